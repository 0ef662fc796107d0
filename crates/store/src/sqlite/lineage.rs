//! How many commits the store has seen, noted in a second place.
//!
//! SQLite takes a log that is missing, or was cut, for one that was never written. So every transaction counts itself in the
//! store, and after its commit the count is noted in a small file beside the store, `pegcount.db-commits`. The file is written when the
//! commit is durable, and is never synced: it may lag behind the store, and never claims more than the disk has confirmed. A
//! store that knows of fewer commits than its file has lost some.
//!
//! A backup gets an id of its own, so that an older store may take the place of a newer one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use uuid::Uuid;

use super::{
    fault::{Result, unreadable},
    rows::{one, run},
    words,
};
use crate::{Losses, StoreError};

/// The commits of a store, and which store that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Commits {
    store: Uuid,
    count: i64,
}

impl Commits {
    /// What the store knows of; `None` where an earlier version made it.
    fn of(connection: &Connection) -> Result<Option<Self>> {
        if !connection.table_exists(Some("main"), "lineage")? {
            return Ok(None);
        }
        Self::read(connection, "SELECT id, commits FROM lineage").map(Some)
    }

    /// Counts the transaction that is under way.
    pub(super) fn with_this_one(connection: &Connection) -> Result<Self> {
        Self::read(connection, "UPDATE lineage SET commits = commits + 1 RETURNING id, commits")
    }

    fn read(connection: &Connection, sql: &str) -> Result<Self> {
        let found = one(connection, sql, [], |row| {
            Ok(Self { store: Uuid::from_bytes(row.get(0)?), count: row.get(1)? })
        })?;
        found.ok_or_else(|| unreadable("the count of commits", "it is missing"))
    }

    /// As a line of text. It always has the same length and is shorter than a sector, so a new one replaces the old one whole.
    fn line(self) -> String {
        let text = format!("{} {:020}", self.store.simple(), self.count);
        let sum = crc32fast::hash(text.as_bytes());
        format!("{text} {sum:08x}\n")
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (store, count) = (Uuid::try_parse(words.next()?).ok()?, words.next()?.parse().ok()?);
        Some(Self { store, count }).filter(|commits| commits.line() == line)
    }
}

/// The file beside a store.
pub(super) struct Note(File);

impl Note {
    /// Opens it, and notes what the store knows of.
    pub(super) fn open(store: &Path, connection: &Connection) -> Result<Self> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path_beside(store));
        let note = Self(opened.map_err(refused)?);
        if let Some(commits) = Commits::of(connection)? {
            note.write(commits);
        }
        Ok(note)
    }

    /// Notes commits that are durable. Where that fails, less is noted than was committed, which does no harm.
    pub(super) fn write(&self, commits: Commits) {
        if let Err(error) = self.0.write_all_at(commits.line().as_bytes(), 0) {
            tracing::warn!(%error, "the count of commits cannot be noted beside the store");
        }
    }

    /// What is noted; `None` where nothing is, or where a crash of the machine left nothing that can be read.
    fn read(store: &Path) -> Result<Option<Commits>> {
        match std::fs::read_to_string(path_beside(store)) {
            Ok(line) => Ok(Commits::of_line(&line)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(None)
            }
            Err(error) => Err(refused(error).into()),
        }
    }
}

fn path_beside(store: &Path) -> PathBuf {
    beside(store, "-commits")
}

fn beside(store: &Path, end: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn refused(error: io::Error) -> StoreError {
    StoreError::Unavailable(error.into())
}

/// Refuses to make a store where files say that there was one.
///
/// # Errors
/// [`StoreError::Lost`].
pub(super) fn look_for_missing(store: &Path, losses: Losses) -> Result<()> {
    if std::fs::metadata(store).is_ok_and(|file| file.len() > 0) {
        return Ok(());
    }
    let is_there = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.len() > 0);
    let left = [path_beside(store), beside(store, "-wal"), words::path_beside(store)];
    let Some(left) = left.iter().find(|path| is_there(path)) else { return Ok(()) };
    let message = format!(
        "the store {} is missing or empty, but there was one: {} is left of it. Put the file back, or restore a backup",
        store.display(),
        left.file_name().unwrap_or_default().display()
    );
    weigh(StoreError::Lost(message), losses)
}

/// Compares a store that was opened with what was noted beside it.
///
/// # Errors
/// [`StoreError::Lost`] when it knows of fewer commits.
pub(super) fn look_for_lost(store: &Path, connection: &Connection, losses: Losses) -> Result<()> {
    let Some(noted) = Note::read(store)? else { return Ok(()) };
    let known = Commits::of(connection)?.filter(|known| known.store == noted.store);
    let Some(known) = known else {
        tracing::warn!(
            store = %store.display(),
            "this is not the store that was here before, but a restored backup or another store"
        );
        return Ok(());
    };
    let lost = noted.count - known.count;
    if lost <= 0 {
        return Ok(());
    }
    let message = format!(
        "the store {} lacks its last commits, {lost} of {}: its log ({}-wal) is missing or was cut, or an older copy of the file \
         was put in its place. Put the log back, or restore a backup",
        store.display(),
        noted.count,
        store.file_name().unwrap_or_default().display()
    );
    weigh(StoreError::Lost(message), losses)
}

fn weigh(lost: StoreError, losses: Losses) -> Result<()> {
    match losses {
        Losses::Refused => Err(lost.into()),
        Losses::Accepted => {
            tracing::warn!("going on without what was lost, as ordered: {lost}");
            Ok(())
        }
    }
}

/// Makes a copy of a store one of its own.
pub(super) fn part(copy: &Connection) -> Result<()> {
    if copy.table_exists(Some("main"), "lineage")? {
        run(copy, "UPDATE lineage SET id = ?1", [Uuid::now_v7().as_bytes()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pegcount_calls::EndpointName;

    use super::*;
    use crate::{OrganizationNumber, Store, open_accepting, sqlite::Sqlite};

    const FILES: [&str; 4] = ["pegcount.db", "pegcount.db-wal", "pegcount.db-commits", "pegcount-words.db"];

    /// The files of a store as a kill leaves them: ten commits, some of them in the log alone.
    async fn killed() -> tempfile::TempDir {
        let (home, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let path = home.path().join("pegcount.db");
        let store = Sqlite::open(&path, None).unwrap();
        for number in 0..10 {
            commit(&store, number).await;
            if number == 4 {
                assert!(store.empty_log().await.unwrap());
            }
        }
        for file in FILES {
            fs::copy(home.path().join(file), folder.path().join(file)).unwrap();
        }
        folder
    }

    async fn commit(store: &Sqlite, number: u32) {
        let mut transaction = store.begin().await.unwrap();
        let id = EndpointName::new(format!("ep_{number}")).unwrap();
        transaction.note_endpoint(OrganizationNumber(1), &id).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn endpoints(store: &dyn Store) -> u64 {
        store.endpoints(OrganizationNumber(1), 1, 0).await.unwrap().1
    }

    /// What is in each file; SQLite makes a log that is missing, and leaves it empty.
    fn contents(folder: &Path) -> Vec<Vec<u8>> {
        FILES.iter().map(|file| fs::read(folder.join(file)).unwrap_or_default()).collect()
    }

    #[tokio::test]
    async fn a_killed_store_goes_on_with_all_that_was_committed() {
        let folder = killed().await;
        for lag in [false, true] {
            if lag {
                fs::write(folder.path().join("pegcount.db-commits"), "").unwrap();
            }
            let store = Sqlite::open(&folder.path().join("pegcount.db"), None).unwrap();
            assert_eq!(endpoints(&store).await, 10);
        }
    }

    #[tokio::test]
    async fn a_lost_or_cut_log_and_a_lost_or_empty_file_are_refused_and_left_as_they_are() {
        type Loss = fn(&Path);
        let losses: [(&str, Loss, u64); 4] = [
            ("lacks its last commits, 5 of 10", |home| fs::remove_file(home.join(FILES[1])).unwrap(), 5),
            (
                "lacks its last commits",
                |home| {
                    let log = fs::OpenOptions::new().write(true).open(home.join(FILES[1])).unwrap();
                    log.set_len(log.metadata().unwrap().len() - 100).unwrap();
                },
                9,
            ),
            ("is missing or empty", |home| fs::remove_file(home.join(FILES[0])).unwrap(), 0),
            ("is missing or empty", |home| fs::write(home.join(FILES[0]), "").unwrap(), 0),
        ];
        for (message, lose, left) in losses {
            let folder = killed().await;
            lose(folder.path());
            let path = folder.path().join("pegcount.db");
            let before = contents(folder.path());
            for _ in 0..2 {
                let error = Sqlite::open(&path, None).map(drop).unwrap_err();
                assert!(
                    matches!(error, StoreError::Lost(_)) && error.to_string().contains(message),
                    "{error}"
                );
            }
            assert!(contents(folder.path()) == before, "{message}: a file was changed");

            let store = open_accepting(path.to_str().unwrap(), None, Losses::Accepted).unwrap();
            assert_eq!(endpoints(&*store).await, left, "{message}");
            drop(store);
            drop(Sqlite::open(&path, None).unwrap());
        }
    }

    #[tokio::test]
    async fn an_older_backup_may_take_the_place_of_a_store() {
        let folder = killed().await;
        let path = folder.path().join("pegcount.db");
        let backup = folder.path().join("backup.db");
        let store = Sqlite::open(&path, None).unwrap();
        store.backup(&backup).await.unwrap();
        commit(&store, 10).await;
        store.close().await.unwrap();
        drop(store);
        fs::rename(&backup, &path).unwrap();
        for _ in 0..2 {
            let store = Sqlite::open(&path, None).unwrap();
            assert_eq!(endpoints(&store).await, 10);
        }
    }

    #[test]
    fn a_line_that_was_torn_is_none() {
        let commits = Commits { store: Uuid::now_v7(), count: 17 };
        let line = commits.line();
        assert_eq!(Commits::of_line(&line), Some(commits));
        for end in 0..line.len() {
            assert_eq!(Commits::of_line(&line[..end]), None);
        }
        assert_eq!(Commits::of_line(&line.replace("17", "18")), None);
    }
}
