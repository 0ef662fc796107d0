//! Reads a little of a store without opening it, for a check that must change nothing.

use std::path::Path;

use pegcount_sealed::Keys;
use rusqlite::{Connection, OpenFlags};

use super::{check, directory, fault::Fault, sealing, size};
use crate::{Finding, Organization, Result, StoreError};

/// The organizations of the store that lies here; `None` where none does.
///
/// # Errors
/// [`StoreError::MissingKey`] when something may be sealed with a key that is not among these.
pub(crate) fn organizations(path: &Path, keys: Option<&Keys>) -> Result<Option<Vec<Organization>>> {
    let Some(connection) = opened(path)? else { return Ok(None) };
    // A store of an earlier version has no such table, and nothing that is sealed.
    if connection
        .table_exists(None, sealing::KEYS_TABLE)
        .map_err(|error| StoreError::from(Fault::from(error)))?
    {
        sealing::require_keys(&connection, keys)?;
    }
    let organizations = directory::organizations(&connection)?;
    Ok(Some(organizations))
}

/// Whether the pages and indexes of the store that lies here agree.
///
/// # Errors
/// [`StoreError::Unreadable`] where not even that can be found out.
pub(crate) fn file(path: &Path) -> Result<Vec<Finding>> {
    let none = || StoreError::Unavailable(format!("there is no store {}", path.display()).into());
    Ok(check::file(&opened(path)?.ok_or_else(none)?)?)
}

/// The store that lies here, if any.
fn opened(path: &Path) -> Result<Option<Connection>> {
    let found = size::of(path).map_err(|error| StoreError::Unavailable(error.into()))?;
    // A file without a byte is a store that was never begun; SQLite takes one of a single byte for such a file.
    if found.bytes < 2 {
        return Ok(None);
    }
    // A server that runs may have emptied its log; its shared memory is there all the same.
    let is_at_rest = found.log_bytes == 0 && !size::shared_memory_of(path).exists();
    open(path, is_at_rest).map(Some).map_err(|error| StoreError::from(Fault::from(error)))
}

/// A store at rest is read as it is: a usual reader would make files beside it.
pub(super) fn open(path: &Path, is_at_rest: bool) -> rusqlite::Result<Connection> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let mut name = String::from("file:");
    for byte in std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()) {
        name.push_str(&format!("%{byte:02x}"));
    }
    name.push_str(if is_at_rest { "?immutable=1" } else { "" });
    pegcount_pages::open(name, flags)
}

#[cfg(test)]
mod tests {
    use pegcount_calls::OrganizationName;

    use super::*;
    use crate::{Store as _, sqlite::Sqlite};

    #[tokio::test]
    async fn organizations_are_read_whether_the_store_is_open_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("what? calls#1.db");
        assert_eq!(organizations(&path, None).unwrap(), None);
        let store = Sqlite::open(&path, None).unwrap();
        let made =
            store.create_organization(&OrganizationName::new("org-1").unwrap(), None, None).await.unwrap();
        assert_eq!(organizations(&path, None).unwrap(), Some(vec![made.clone()]));
        store.close().await.unwrap();
        drop(store);
        let files = || std::fs::read_dir(folder.path()).unwrap().count();
        let before = files();
        assert_eq!(organizations(&path, None).unwrap(), Some(vec![made]));
        assert_eq!(files(), before, "nothing is made");
        std::fs::write(&path, "no store at all, just words. ".repeat(100)).unwrap();
        assert!(organizations(&path, None).is_err());
    }
    #[tokio::test]
    async fn a_store_whose_key_is_missing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let keys = Keys::parse(&Keys::generate().unwrap()).unwrap();
        let store = Sqlite::open(&path, Some(&keys)).unwrap();
        assert_eq!(organizations(&path, Some(&keys)).unwrap(), Some(Vec::new()));
        assert!(matches!(organizations(&path, None), Err(StoreError::MissingKey { .. })));
        store.close().await.unwrap();
        drop(store);
        assert!(matches!(organizations(&path, None), Err(StoreError::MissingKey { .. })));
    }
}
