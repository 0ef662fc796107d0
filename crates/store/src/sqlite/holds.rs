//! Calls on hold: those that must not go for the time being.

use pegcount_calls::Timestamp;
use rusqlite::{Connection, params};

use super::{
    calls,
    fault::Result,
    rows::{Columns, one, run},
};
use crate::{CallKey, Hold};

/// The hold on a call.
pub(super) fn of_call(connection: &Connection, call: CallKey) -> Result<Option<Hold>> {
    one(connection, "SELECT reason, since_ms FROM holds WHERE pk = ?1", [call.0], |row| {
        let columns = &mut Columns::of(row);
        Ok(Hold { reason: columns.take()?, since: Timestamp::from_millis(columns.take()?) })
    })
}

/// Puts a call on hold, or has another reason for it from now on.
pub(super) fn set(connection: &Connection, call: CallKey, hold: &Hold) -> Result<()> {
    let organization = calls::organization_of(connection, call)?;
    let sql = "INSERT INTO holds (pk, org, reason, since_ms) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (pk) DO UPDATE SET reason = excluded.reason";
    run(connection, sql, params![call.0, organization.0, hold.reason, hold.since.millis()])?;
    Ok(())
}

/// Ends a hold; whether there was one.
pub(super) fn release(connection: &Connection, call: CallKey) -> Result<bool> {
    Ok(run(connection, "DELETE FROM holds WHERE pk = ?1", [call.0])? > 0)
}

/// The hold on the younger call is on the older one, unless that has one.
pub(super) fn merge(connection: &Connection, younger: CallKey, older: CallKey) -> Result<()> {
    run(connection, "UPDATE OR IGNORE holds SET pk = ?2 WHERE pk = ?1", [younger.0, older.0])?;
    release(connection, younger)?;
    Ok(())
}
