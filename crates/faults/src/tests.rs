use rusqlite::Connection;

use super::*;

const FILE: &str = "some.db";

/// A table that counts up, one durable commit after the other.
fn counting(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // With less, the journal that the change of the mode leaves may come back and undo everything.
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "wal_autocheckpoint", 5)?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS counts (number INTEGER PRIMARY KEY, filling BLOB NOT NULL)",
    )?;
    Ok(connection)
}

fn count(connection: &Connection) -> rusqlite::Result<i64> {
    connection.execute("INSERT INTO counts (filling) VALUES (randomblob(3000))", [])?;
    connection.query_row("SELECT count(*) FROM counts", [], |row| row.get(0))
}

/// Counts on this disk until the power goes; gives the last number that was told.
fn count_until_down(contents: &Contents, operations: u64) -> (std::sync::Arc<Disk>, i64, i64) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::mount(folder.path(), contents).unwrap();
    let connection = counting(&folder.path().join(FILE)).unwrap();
    let begun = connection.query_row("SELECT count(*) FROM counts", [], |row| row.get(0)).unwrap();
    disk.cut_power_after(Some(operations));
    let mut last = begun;
    while let Ok(number) = count(&connection) {
        last = number;
    }
    assert!(disk.is_down());
    (disk, begun, last)
}

#[test]
fn what_was_committed_outlives_every_crash_and_is_whole() {
    install().unwrap();
    let mut dice = Dice::of(7);
    for loss in [Loss::Nothing, Loss::Unsynced, Loss::Latest, Loss::Scattered] {
        let (mut contents, mut last) = (Contents::new(), 0);
        for _ in 0..40 {
            let (disk, begun, told) = count_until_down(&contents, dice.below(120));
            assert!(begun == last || begun == last + 1, "{loss:?}: {last} were told, {begun} are there");
            last = told;
            contents = disk.left(loss, &mut dice);
        }
        assert!(last > 100, "{loss:?}");
    }
}

#[test]
fn what_was_not_synced_may_be_lost() {
    install().unwrap();
    let mut dice = Dice::of(7);
    let mut lost = 0;
    for _ in 0..40 {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::mount(folder.path(), &Contents::new()).unwrap();
        let connection = counting(&folder.path().join(FILE)).unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        let told = (0..4).map(|_| count(&connection).unwrap()).last();
        disk.cut_power();
        assert!(count(&connection).is_err());
        let left = tempfile::tempdir().unwrap();
        let disk = Disk::mount(left.path(), &disk.left(Loss::Scattered, &mut dice)).unwrap();
        let found = counting(&left.path().join(FILE)).and_then(|connection| {
            connection.query_row("SELECT count(*) FROM counts", [], |row| row.get::<_, i64>(0))
        });
        lost += u32::from(found.ok() != told);
        drop(disk);
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn a_disk_without_room_refuses_what_makes_a_file_longer() {
    install().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::mount(folder.path(), &Contents::new()).unwrap();
    let connection = counting(&folder.path().join(FILE)).unwrap();
    disk.set_room(Some(20_000));
    let error = (0..20).map(|_| count(&connection)).find_map(Result::err).unwrap();
    assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
    disk.set_room(None);
    count(&connection).unwrap();
}

#[test]
fn the_same_is_done_to_the_disk_whenever_the_same_is_done() {
    install().unwrap();
    let fingerprints = [(); 2].map(|()| count_until_down(&Contents::new(), 100).0.fingerprint());
    assert_eq!(fingerprints[0], fingerprints[1]);
}
