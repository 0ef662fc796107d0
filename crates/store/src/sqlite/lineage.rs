//! How many commits the store has seen, noted in a second place.
//!
//! SQLite takes a log that is missing, or was cut, for one that was never written. So every transaction counts itself in the
//! store, and after its commit the count is noted in a small file beside the store, `pegcount.db-commits`. The file is written when the
//! commit is durable, and is never synced: it may lag behind the store, and never claims more than the disk has confirmed. A
//! store that knows of fewer commits than its file has lost some.
//!
//! SQLite also takes any log for the one of the file that it lies beside. So what the file alone knows of is compared with what it
//! knows of together with its log: both are of one store, and the file is no newer than the log. The small file notes as well
//! how many commits were moved from the log into the file, so that an older copy of the file is known though its log is the newest.
//!
//! A backup gets an id of its own, so that an older store may take the place of a newer one.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use rusqlite::Connection;
use uuid::Uuid;

use super::{
    fault::{Result, unreadable},
    peek,
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
    pub(super) fn of(connection: &Connection) -> Result<Option<Self>> {
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

    /// What the file alone knows of, without its log. `None` where that cannot be read: it may have been left in the midst of a
    /// checkpoint, and the log has what is missing.
    pub(super) fn of_file(store: &Path) -> Option<Self> {
        let alone = peek::open(store, true).ok()?;
        Self::of(&alone).ok().flatten()
    }
}

/// What is noted beside a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Noted {
    commits: Commits,
    /// How many of them are in the file itself, at least.
    in_file: i64,
}

impl Noted {
    /// As a line of text. It always has the same length and is shorter than a sector, so a new one replaces the old one whole.
    fn line(self) -> String {
        let Commits { store, count } = self.commits;
        let text = format!("{} {count:020} {:020}", store.simple(), self.in_file);
        let sum = crc32fast::hash(text.as_bytes());
        format!("{text} {sum:08x}\n")
    }

    fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let store = Uuid::try_parse(words.next()?).ok()?;
        let [count, in_file] = [words.next()?.parse().ok()?, words.next()?.parse().ok()?];
        Some(Self { commits: Commits { store, count }, in_file }).filter(|noted| noted.line() == line)
    }
}

/// How many commits are in the file itself. The thread that moves them there tells it, and the next commit notes it.
#[derive(Clone, Default)]
pub(super) struct InFile(Arc<AtomicI64>);

impl InFile {
    pub(super) fn reached(&self, commits: Commits) {
        self.0.fetch_max(commits.count, Ordering::Relaxed);
    }
}

/// The file beside a store.
pub(super) struct Note {
    file: File,
    in_file: InFile,
}

impl Note {
    /// Opens it, and notes what the store knows of.
    pub(super) fn open(store: &Path, connection: &Connection) -> Result<Self> {
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).mode(0o600).open(path_beside(store));
        let note = Self { file: opened.map_err(refused)?, in_file: InFile::default() };
        if let Some(in_file) = Commits::of_file(store) {
            note.in_file.reached(in_file);
        }
        if let Some(commits) = Commits::of(connection)? {
            note.write(commits);
        }
        Ok(note)
    }

    /// What the thread that makes checkpoints tells this.
    pub(super) fn in_file(&self) -> InFile {
        self.in_file.clone()
    }

    /// Notes commits that are durable. Where that fails, less is noted than was committed, which does no harm.
    pub(super) fn write(&self, commits: Commits) {
        let noted = Noted { commits, in_file: self.in_file.0.load(Ordering::Relaxed) };
        if let Err(error) = self.file.write_all_at(noted.line().as_bytes(), 0) {
            tracing::warn!(%error, "the count of commits cannot be noted beside the store");
        }
    }

    /// What is noted; `None` where nothing is, or where a crash of the machine left nothing that can be read.
    fn read(store: &Path) -> Result<Option<Noted>> {
        match std::fs::read_to_string(path_beside(store)) {
            Ok(line) => Ok(Noted::of_line(&line)),
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

/// Bytes of the smallest store: SQLite takes a file of one byte for one that it has just made, and removes the log beside it.
const SMALLEST: u64 = 2;

/// Refuses to make a store where files say that there was one.
///
/// # Errors
/// [`StoreError::Lost`].
pub(super) fn look_for_missing(store: &Path, losses: Losses) -> Result<()> {
    if std::fs::metadata(store).is_ok_and(|file| file.len() >= SMALLEST) {
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

/// Compares a store that was opened with what its file alone knows of, and with what was noted beside it.
///
/// # Errors
/// [`StoreError::Mixed`] when file and log do not belong together. [`StoreError::Lost`] when it knows of fewer commits than noted.
pub(super) fn look_for_lost(
    store: &Path,
    in_file: Option<Commits>,
    connection: &Connection,
    losses: Losses,
) -> Result<()> {
    let known = Commits::of(connection)?;
    let noted = Note::read(store)?;
    look_for_mixed(store, in_file, known, noted)?;
    let Some(noted) = noted.map(|noted| noted.commits) else {
        if known.is_some_and(|known| known.count > 0) {
            let name = path_beside(store);
            tracing::warn!(
                file = %name.display(),
                "the count of commits beside the store is missing or torn: whether commits were lost cannot be known this time"
            );
        }
        return Ok(());
    };
    let known = known.filter(|known| known.store == noted.store);
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

/// Refuses a file whose log is another's. Nothing that is read from both is right, so that cannot be accepted.
fn look_for_mixed(
    store: &Path,
    in_file: Option<Commits>,
    known: Option<Commits>,
    noted: Option<Noted>,
) -> Result<()> {
    const STRANGE: &str = "is that of another store. Put its own log back";
    let why = match (in_file, known) {
        (Some(in_file), Some(known)) if known.store != in_file.store => STRANGE,
        (Some(in_file), Some(known)) if known.count < in_file.count => {
            "is older than the file. Put the newest log back"
        }
        // Without a log of its own it only lacks what came later.
        (Some(in_file), Some(known))
            if known.count > in_file.count
                && noted.is_some_and(|noted| {
                    noted.commits.store == known.store && noted.in_file > in_file.count
                }) =>
        {
            "is newer than the file, of which an older copy was put in its place. Put the newest file back"
        }
        (Some(_), None) => STRANGE,
        // All that is known is in the log, as before the first checkpoint.
        (None, Some(known)) if noted.is_some_and(|noted| noted.commits.store != known.store) => STRANGE,
        _ => return Ok(()),
    };
    let name = store.file_name().unwrap_or_default().display();
    let message = format!(
        "the store {} cannot be used with the log beside it: {name}-wal {why}; or move {name}-wal and {name}-shm away to use the file as it is",
        store.display()
    );
    Err(StoreError::Mixed(message).into())
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

/// Makes a copy of a store one of its own. It has no commits of its own yet, so none are missed where it is put.
pub(super) fn part(copy: &Connection) -> Result<()> {
    if copy.table_exists(Some("main"), "lineage")? {
        run(copy, "UPDATE lineage SET id = ?1, commits = 0", [Uuid::now_v7().as_bytes()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use pegcount_calls::EndpointName;

    use super::*;
    use crate::{Opening, OrganizationNumber, Store, open_as, sqlite::Sqlite};

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
        let losses: [(&str, Loss, u64); 5] = [
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
            ("is missing or empty", |home| fs::write(home.join(FILES[0]), "S").unwrap(), 0),
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

            let store =
                open_as(path.to_str().unwrap(), Opening { losses: Losses::Accepted, ..Opening::default() })
                    .unwrap();
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

    #[tokio::test]
    async fn a_log_that_is_not_the_files_own_is_refused_and_left_as_it_is() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), killed().await);
        let path = home.path().join(FILES[0]);
        let read = |file: usize| fs::read(home.path().join(FILES[file])).unwrap();
        let store = Sqlite::open(&path, None).unwrap();
        let (mut files, mut logs) = (Vec::new(), Vec::new());
        for number in 0..10 {
            commit(&store, number).await;
            if number == 4 || number == 6 {
                logs.push(read(1));
                assert!(store.empty_log().await.unwrap());
                files.push(read(0));
            }
        }
        let (newest, note) = (read(1), read(2));
        let strange = fs::read(elsewhere.path().join(FILES[1])).unwrap();
        let lay = |file: &[u8], log: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, bytes) in FILES.iter().zip([file, log, &note]) {
                fs::write(folder.path().join(name), bytes).unwrap();
            }
            folder
        };
        for (file, log, message) in [
            (&files[0], &newest, "an older copy was put in its place"),
            (&files[1], &logs[0], "is older than the file"),
            (&files[1], &strange, "is that of another store"),
        ] {
            let folder = lay(file, log);
            let path = folder.path().join(FILES[0]);
            let before = contents(folder.path());
            for losses in [Losses::Refused, Losses::Accepted] {
                let error = open_as(path.to_str().unwrap(), Opening { losses, ..Opening::default() })
                    .map(drop)
                    .expect_err(message);
                assert!(matches!(error, StoreError::Mixed(_)), "{error}");
                assert!(error.to_string().contains(message), "{error}");
            }
            assert!(contents(folder.path()) == before, "{message}: a file was changed");

            for end in ["-wal", "-shm"] {
                fs::remove_file(beside(&path, end)).unwrap();
            }
            let error = Sqlite::open(&path, None).map(drop).unwrap_err();
            assert!(matches!(error, StoreError::Lost(_)), "{error}");
            let store =
                open_as(path.to_str().unwrap(), Opening { losses: Losses::Accepted, ..Opening::default() })
                    .unwrap();
            assert_eq!(endpoints(&*store).await, if file == &files[0] { 5 } else { 7 });
        }
        let folder = lay(&files[1], &newest);
        let store = Sqlite::open(&folder.path().join(FILES[0]), None).unwrap();
        assert_eq!(endpoints(&store).await, 10);
    }

    #[tokio::test]
    async fn a_backup_beside_the_log_of_the_store_before_is_refused() {
        let folder = killed().await;
        let [path, backup] = ["pegcount.db", "backup.db"].map(|name| folder.path().join(name));
        let store = Sqlite::open(&path, None).unwrap();
        store.backup(&backup).await.unwrap();
        commit(&store, 10).await;
        let log = fs::read(beside(&path, "-wal")).unwrap();
        drop(store);
        fs::rename(&backup, &path).unwrap();
        fs::write(beside(&path, "-wal"), log).unwrap();
        let error = Sqlite::open(&path, None).map(drop).unwrap_err();
        assert!(matches!(error, StoreError::Mixed(_)), "{error}");
        fs::remove_file(beside(&path, "-wal")).unwrap();
        assert_eq!(endpoints(&Sqlite::open(&path, None).unwrap()).await, 10);
    }

    #[test]
    fn a_line_that_was_torn_is_none() {
        let noted = Noted { commits: Commits { store: Uuid::now_v7(), count: 17 }, in_file: 15 };
        let line = noted.line();
        assert_eq!(Noted::of_line(&line), Some(noted));
        for end in 0..line.len() {
            assert_eq!(Noted::of_line(&line[..end]), None);
        }
        assert_eq!(Noted::of_line(&line.replace("017", "018")), None);
    }
}
