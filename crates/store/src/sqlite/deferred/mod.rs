//! Calls whose document is deferred: their row is right after every event, and their document follows from their events.
//!
//! To write the document of a long call with each of its events would make an event as expensive as the call is long. So
//! such a call has no document for a while. Whoever reads it folds it from its events ([`FoldReports`](crate::FoldReports)). Once it has ended
//! and nothing more comes, its document is written by a thread of its own ([`writer`]).

mod writer;

pub(super) use writer::{DocumentWriter, Endings, Worker};

use pegcount_calls::Call;
use rusqlite::Connection;

use super::{
    Sqlite,
    calls::{self, Kept},
    connect::Snapshot,
    fault::Result,
    rows::{many, one, run},
};
use crate::{BoxError, CallKey, Filed, OrganizationNumber, Report};

/// A call whose document has more bytes is read on a thread that may block: to unpack and to read it takes longer than to
/// change the thread.
const MOST_READ_HERE_BYTES: u64 = 64 * 1024;

impl Sqlite {
    /// The call with this name, else with this UUID. Where it has to be folded, or its document is large, that is done
    /// aside: it takes as long as the call has events.
    pub(super) async fn read_call(
        &self,
        organization: OrganizationNumber,
        id: &str,
    ) -> crate::Result<Option<Filed>> {
        let read =
            |connection: &Snapshot<'_>| calls::call(connection, organization, id, MOST_READ_HERE_BYTES);
        match self.quick(read).await? {
            None => Ok(None),
            Some(Kept::Whole(filed)) => Ok(Some(*filed)),
            // By its id once more: it may become part of another call meanwhile.
            Some(Kept::Deferred(_) | Kept::Beyond) => {
                let (id, fold) = (id.to_owned(), self.fold);
                self.slow(move |connection| calls::filed_by_id(connection, organization, &id, fold)).await
            }
        }
    }
}

/// The [`FoldReports`](crate::FoldReports) of a store that was opened without one.
pub(super) fn no_fold(_: &[Report]) -> std::result::Result<Call, BoxError> {
    Err("the store was opened without a fold".into())
}

/// Identifies one saved state of a deferred call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    number: i64,
    version: i64,
}

/// The state of a call whose document is deferred; `None` of any other call.
pub(super) fn stamp(connection: &Connection, key: CallKey) -> Result<Option<Stamp>> {
    let sql = "SELECT number, version FROM deferred_documents WHERE pk = ?1";
    one(connection, sql, [key.0], |row| Ok(Stamp { number: row.get(0)?, version: row.get(1)? }))
}

/// Notes that a deferred call was saved once more. `false` when its document is not deferred.
pub(super) fn advance(connection: &Connection, key: CallKey) -> Result<bool> {
    let sql = "UPDATE deferred_documents SET version = version + 1 WHERE pk = ?1";
    Ok(run(connection, sql, [key.0])? > 0)
}

/// Defers the document of a call, and removes the one that is there.
pub(super) fn begin(connection: &Connection, key: CallKey) -> Result<()> {
    run(connection, "INSERT INTO deferred_documents (pk, version) VALUES (?1, 0)", [key.0])?;
    run(connection, "DELETE FROM call_documents WHERE pk = ?1", [key.0])?;
    Ok(())
}

/// Notes that the document of a call is not deferred any more.
pub(super) fn end(connection: &Connection, key: CallKey) -> Result<()> {
    run(connection, "DELETE FROM deferred_documents WHERE pk = ?1", [key.0])?;
    forget_metadata(connection, key)
}

/// The metadata by which a deferred call is found.
pub(super) fn metadata(connection: &Connection, key: CallKey) -> Result<Vec<(String, String)>> {
    let sql = "SELECT key, value FROM deferred_metadata WHERE pk = ?1";
    many(connection, sql, [key.0], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Deletes it.
pub(super) fn forget_metadata(connection: &Connection, key: CallKey) -> Result<()> {
    run(connection, "DELETE FROM deferred_metadata WHERE pk = ?1", [key.0])?;
    Ok(())
}

/// The value under one key of it.
pub(super) fn metadata_value(connection: &Connection, call: CallKey, key: &str) -> Result<Option<String>> {
    let sql = "SELECT value FROM deferred_metadata WHERE pk = ?1 AND key = ?2";
    one(connection, sql, (call.0, key), |row| Ok(row.get(0)?))
}

/// Stores the value under one key by which a deferred call is found; `None` deletes it.
pub(super) fn keep_metadata(
    connection: &Connection,
    call: CallKey,
    key: &str,
    value: Option<&str>,
) -> Result<()> {
    match value {
        Some(value) => run(
            connection,
            "INSERT INTO deferred_metadata (pk, key, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (pk, key) DO UPDATE SET value = excluded.value",
            (call.0, key, value),
        ),
        None => run(connection, "DELETE FROM deferred_metadata WHERE pk = ?1 AND key = ?2", (call.0, key)),
    }?;
    Ok(())
}

/// The deferred calls that have ended: their documents are to be written.
fn ended(connection: &Connection) -> Result<Vec<CallKey>> {
    let sql =
        "SELECT d.pk FROM deferred_documents d JOIN calls c ON c.pk = d.pk WHERE c.ended_ms IS NOT NULL";
    many(connection, sql, [], |row| Ok(CallKey(row.get(0)?)))
}

#[cfg(test)]
mod tests {
    use rusqlite::OpenFlags;

    use super::*;
    use crate::Opening;

    #[tokio::test]
    async fn a_store_that_fails_late_while_it_is_opened_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        drop(Sqlite::open(&path, None).unwrap());
        let damaged = pegcount_pages::open(&path, OpenFlags::default()).unwrap();
        damaged.execute_batch("ALTER TABLE deferred_documents RENAME TO lost").unwrap();
        drop(damaged);

        let opening = Opening { fold: Some(no_fold), ..Opening::default() };
        assert!(Sqlite::open_as(&path, opening).is_err());
    }
}
