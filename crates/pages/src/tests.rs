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
    assert_eq!(take_misfit(), Some(Misfit { file: path, page: 21 }));
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

#[test]
fn a_file_without_checksums_is_used_as_it_is_until_a_vacuum_adds_them() {
    for journal in ["WAL", "DELETE"] {
        let (_folder, path) = file();
        let plain = Connection::open(&path).unwrap();
        plain.execute_batch(FILL).unwrap();
        plain.query_row(&format!("PRAGMA journal_mode = {journal}"), [], |_| Ok(())).unwrap();
        drop(plain);
        assert!(!has_checksums(&path).unwrap());
        let connection = opened(&path);
        connection.execute_batch("DELETE FROM t WHERE id % 2 = 0").unwrap();
        assert_eq!(count(&connection).unwrap(), 200);
        drop(connection);
        assert_eq!(count(&Connection::open(&path).unwrap()).unwrap(), 200);
        assert!(!has_checksums(&path).unwrap());

        opened(&path).execute_batch("VACUUM").unwrap();
        assert!(has_checksums(&path).unwrap(), "{journal}");
        assert!(pages_of(&path).iter().all(|fits| *fits), "{journal}");
        assert_eq!(count(&opened(&path)).unwrap(), 200);
        opened(&path).execute_batch("DELETE FROM t WHERE id % 3 = 0").unwrap();
        assert!(pages_of(&path).iter().all(|fits| *fits), "{journal}");
    }
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
