use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::ErrorCode;

use super::*;

const PAGE: usize = trailer::PAGE;
const FILL: &str =
    "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, body TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
    INSERT INTO t SELECT i, 'name ' || i, hex(zeroblob(i * 20)) FROM n;";

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("some.db");
    (folder, path)
}

fn opened(path: &Path) -> Connection {
    open(path, OpenFlags::default()).unwrap()
}

fn count(connection: &Connection) -> Result<i64> {
    connection.query_row("SELECT count(*) FROM t WHERE length(body) = id * 40", [], |row| row.get(0))
}

/// Where every page lies, and whether it fits.
fn pages_of(path: &Path) -> Vec<bool> {
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() % PAGE, 0);
    let pages = bytes.chunks_exact(PAGE).zip(1..);
    pages.map(|(page, number)| trailer::fits(page.try_into().unwrap(), number)).collect()
}

#[test]
fn every_page_of_a_new_file_has_a_checksum() {
    let (_folder, path) = file();
    let connection = opened(&path);
    connection.execute_batch(FILL).unwrap();
    connection.execute_batch("DELETE FROM t WHERE id % 3 = 0; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    assert_eq!(count(&connection).unwrap(), 267);
    drop(connection);
    let pages = pages_of(&path);
    assert!(pages.len() > 100 && pages.iter().all(|fits| *fits), "{pages:?}");
    assert!(has_checksums(&path).unwrap());
    assert_eq!(count(&opened(&path)).unwrap(), 267);
}

#[test]
fn a_flipped_bit_in_any_page_is_an_error() {
    let (_folder, path) = file();
    opened(&path).execute_batch(FILL).unwrap();
    let sound = fs::read(&path).unwrap();
    for page in 0..sound.len() / PAGE {
        let mut bytes = sound.clone();
        bytes[page * PAGE + page * 37 % PAGE] ^= 1 << (page % 8);
        fs::write(&path, &bytes).unwrap();
        let connection = opened(&path);
        let by_all = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
        assert_ne!(by_all.as_deref(), Ok("ok"), "page {}", page + 1);
        let error = connection.query_row("SELECT count(*), sum(length(body)) FROM t", [], |_| Ok(())).err();
        if let Some(rusqlite::Error::SqliteFailure(error, _)) = error {
            assert!(matches!(error.code, ErrorCode::SystemIoFailure | ErrorCode::NotADatabase), "{error:?}");
        }
    }
    take_misfit();
    fs::write(&path, &sound).unwrap();
    assert_eq!(count(&opened(&path)).unwrap(), 400);
    assert_eq!(take_misfit(), None);
}

#[test]
fn a_page_in_the_place_of_another_is_an_error() {
    let (_folder, path) = file();
    opened(&path).execute_batch(FILL).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.copy_within(10 * PAGE..11 * PAGE, 20 * PAGE);
    fs::write(&path, &bytes).unwrap();
    let error = opened(&path).query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    assert_ne!(error.as_deref(), Ok("ok"));
    assert_eq!(take_misfit(), Some(Misfit { file: path, page: 21, is_foreign: false }));
}

#[test]
fn a_damaged_header_does_not_turn_the_checks_off() {
    let (_folder, path) = file();
    opened(&path).execute_batch(FILL).unwrap();
    let sound = fs::read(&path).unwrap();
    for bit in 0..800 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &bytes).unwrap();
        let counted = open(&path, OpenFlags::default()).and_then(|connection| count(&connection));
        assert!(counted.is_err(), "bit {bit}: {counted:?}");
    }
}

/// A file without checksums.
fn plain(path: &Path, journal: &str) {
    let plain = Connection::open(path).unwrap();
    plain.execute_batch(FILL).unwrap();
    plain.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(())).unwrap();
}

#[test]
fn a_file_without_checksums_is_used_as_it_is_until_a_vacuum_adds_them() {
    for journal in ["WAL", "DELETE"] {
        let (_folder, path) = file();
        plain(&path, journal);
        assert!(!has_checksums(&path).unwrap());
        let connection = opened(&path);
        connection.execute_batch("DELETE FROM t WHERE id % 2 = 0").unwrap();
        assert_eq!(count(&connection).unwrap(), 200);
        drop(connection);
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 200);
        assert!(!has_checksums(&path).unwrap());

        opened(&path).execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
        assert!(has_checksums(&path).unwrap(), "{journal}");
        assert!(pages_of(&path).iter().all(|fits| *fits), "{journal}");
        assert_eq!(count(&opened(&path)).unwrap(), 200);
        opened(&path).execute_batch("DELETE FROM t WHERE id % 3 = 0").unwrap();
        assert!(pages_of(&path).iter().all(|fits| *fits), "{journal}");
    }
}

#[test]
fn a_vacuum_without_the_log_is_refused_and_leaves_the_file_as_it_was() {
    for pages_kept in [10, 2_000] {
        let (_folder, path) = file();
        plain(&path, "DELETE");
        let before = fs::read(&path).unwrap();
        let connection = opened(&path);
        connection.pragma_update(None, "cache_size", pages_kept).unwrap();
        assert!(connection.execute_batch("VACUUM").is_err());
        drop(connection);
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 400);
        assert_eq!(count(&opened(&path)).unwrap(), 400);
        assert!(fs::read(&path).unwrap()[100..] == before[100..]);
    }
}

#[test]
fn a_file_that_was_cut_behind_its_log_is_not_filled_with_zeros() {
    let (_folder, path) = file();
    let connection = opened(&path);
    connection.execute_batch(FILL).unwrap();
    // What is in the log says how long the file is.
    connection
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET name = 'x' WHERE id = 1")
        .unwrap();
    let text = "SELECT sum(hex(body) = hex(hex(zeroblob(id * 20)))) FROM t";
    let sound = |connection: &Connection| connection.query_row(text, [], |row| row.get::<_, i64>(0));
    assert_eq!(sound(&connection).unwrap(), 400);
    let [whole, log] = ["", "-wal"].map(|end| fs::read(format!("{}{end}", path.display())).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    for cut in [100, PAGE, PAGE + 100, 200 * PAGE] {
        fs::write(&copy, &whole[..whole.len() - cut]).unwrap();
        fs::write(folder.path().join("copy.db-wal"), &log).unwrap();
        let connection = opened(&copy);
        take_misfit();
        let error = sound(&connection).unwrap_err();
        assert!(
            matches!(error, Error::SqliteFailure(error, _) if error.extended_code == ffi::SQLITE_IOERR_DATA)
        );
        assert_eq!(take_misfit().map(|misfit| misfit.file), Some(copy.clone()), "{cut}");
        drop(connection);
        fs::remove_file(&copy).unwrap();
    }
}

#[test]
fn a_header_that_says_another_size_of_pages_is_an_error() {
    let (_folder, path) = file();
    opened(&path).execute_batch(FILL).unwrap();
    let sound = fs::read(&path).unwrap();
    for size in [[0x02, 0x00], [0x08, 0x00], [0x20, 0x00], [0x00, 0x01]] {
        let mut bytes = sound.clone();
        bytes[16..18].copy_from_slice(&size);
        // As if it were whole: what is compared with it otherwise would notice.
        bytes[28..32].copy_from_slice(&[0; 4]);
        fs::write(&path, &bytes).unwrap();
        let counted = open(&path, OpenFlags::default()).and_then(|connection| count(&connection));
        assert!(counted.is_err(), "{size:?}: {counted:?}");
    }
    for length in [1, 99, 100, 2_000, 4_095] {
        fs::write(&path, &sound[..length]).unwrap();
        let counted = open(&path, OpenFlags::default()).and_then(|connection| count(&connection));
        assert!(counted.is_err(), "{length}: {counted:?}");
        assert_eq!(fs::read(&path).unwrap(), &sound[..length]);
    }
}

#[test]
fn a_connection_from_before_the_vacuum_moves_pages_with_checksums() {
    let (_folder, path) = file();
    plain(&path, "WAL");
    let earlier = opened(&path);
    assert_eq!(count(&earlier).unwrap(), 400);
    let later = opened(&path);
    later.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    assert!(has_checksums(&path).unwrap());
    later.execute_batch("UPDATE t SET body = hex(zeroblob(id * 20)) WHERE id > 390").unwrap();
    earlier.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop((earlier, later));
    assert!(pages_of(&path).iter().all(|fits| *fits));
    assert_eq!(count(&opened(&path)).unwrap(), 400);
}

#[test]
fn a_file_that_leaves_no_room_is_not_begun_with_checksums() {
    let (folder, path) = file();
    let other = folder.path().join("other.db");
    let connection = opened(&path);
    connection.execute("ATTACH ?1 AS other", [other.to_str().unwrap()]).unwrap();
    connection.execute_batch("PRAGMA other.cache_size = 5").unwrap();
    let fill = FILL.replace("PRAGMA journal_mode = WAL;", "BEGIN;").replace(" t ", " other.t ");
    // Pages are written before the first one, which then says that there is no room in them.
    let filled = connection.execute_batch(&fill).and_then(|()| connection.execute_batch("COMMIT"));
    drop(connection);
    let kept = Connection::open(&other).unwrap();
    match filled {
        Ok(()) => assert_eq!(count(&kept).unwrap(), 400),
        Err(_) => assert!(count(&kept).is_err(), "there is no table"),
    }
    assert_eq!(kept.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok");
}

/// The locks on a file, by any process, as the system lists them.
#[cfg(target_os = "linux")]
fn locks(path: &Path) -> usize {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    fs::read_to_string("/proc/locks").unwrap().lines().filter(|line| line.contains(&inode)).count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_look_at_a_file_leaves_the_locks_on_it() {
    let (_folder, path) = file();
    let connection = opened(&path);
    connection.execute_batch(FILL).unwrap();
    let before = locks(&path);
    assert!(before > 0, "a file with a log stays locked while it is open");
    assert!(has_checksums(&path).unwrap());
    assert_eq!(locks(&path), before);
    drop(fs::File::open(&path).unwrap());
    assert!(locks(&path) < before, "what must not be done");
}

#[test]
fn a_rolled_back_transaction_leaves_a_file_with_checksums_as_it_was() {
    let (_folder, path) = file();
    opened(&path).execute_batch(&format!("{FILL}; PRAGMA journal_mode = DELETE")).unwrap();
    let connection = opened(&path);
    connection.pragma_update(None, "cache_size", 5).unwrap();
    connection
        .execute_batch("BEGIN; UPDATE t SET body = 'x', name = id; DELETE FROM t WHERE id > 100; ROLLBACK")
        .unwrap();
    assert_eq!(count(&connection).unwrap(), 400);
    connection.execute_batch("BEGIN; SAVEPOINT s; DELETE FROM t; ROLLBACK TO s; INSERT INTO t VALUES (999, 'y', hex(zeroblob(19980))); COMMIT").unwrap();
    assert_eq!(count(&connection).unwrap(), 401);
    drop(connection);
    assert!(pages_of(&path).iter().all(|fits| *fits));
}

#[test]
fn a_copy_by_vacuum_has_checksums() {
    let (folder, path) = file();
    Connection::open(&path).unwrap().execute_batch(FILL).unwrap();
    let copy = folder.path().join("copy.db");
    let connection = opened(&path);
    connection.pragma_update(None, "cache_size", 10).unwrap();
    connection.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    assert!(pages_of(&copy).iter().all(|fits| *fits));
    assert_eq!(count(&opened(&copy)).unwrap(), 400);
}

#[test]
fn a_page_that_another_program_wrote_is_told_from_damage() {
    let (_folder, path) = file();
    opened(&path).execute_batch(FILL).unwrap();
    let sound = fs::read(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("VACUUM").unwrap();
    take_misfit();
    assert!(count(&opened(&path)).is_err());
    assert_eq!(take_misfit(), Some(Misfit { file: path.clone(), page: 1, is_foreign: true }));

    let mut zeros = sound;
    zeros[5 * PAGE..].fill(0);
    fs::write(&path, zeros).unwrap();
    assert!(count(&opened(&path)).is_err());
    assert!(take_misfit().is_some_and(|misfit| !misfit.is_foreign), "a page that is gone");
}
