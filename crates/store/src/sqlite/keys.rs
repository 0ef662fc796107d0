//! Keys to the interfaces.

use pegcount_calls::Timestamp;
use rusqlite::{Connection, params};

use super::{
    fault::Result,
    rows::{Columns, many, run},
};
use crate::{AccessKey, OrganizationNumber};

/// Every key that has not been revoked.
pub(super) fn keys(connection: &Connection) -> Result<Vec<AccessKey>> {
    let sql =
        "SELECT id, org, name, secret_hash, scopes, created_ms FROM access_keys ORDER BY created_ms, id";
    many(connection, sql, [], |row| {
        let columns = &mut Columns::of(row);
        Ok(AccessKey {
            id: columns.take()?,
            organization: OrganizationNumber(columns.take()?),
            name: columns.take()?,
            secret_hash: columns.take()?,
            scopes: columns.take()?,
            created_at: Timestamp::from_millis(columns.take()?),
        })
    })
}

/// Keeps a key.
pub(super) fn create(connection: &Connection, key: &AccessKey) -> Result<()> {
    let sql = "INSERT INTO access_keys (id, org, name, secret_hash, scopes, created_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let row = params![
        key.id,
        key.organization.0,
        key.name,
        key.secret_hash.as_slice(),
        key.scopes,
        key.created_at.millis(),
    ];
    run(connection, sql, row).map_err(|fault| fault.or_exists("the key"))?;
    Ok(())
}

/// Revokes a key.
pub(super) fn revoke(connection: &Connection, id: &str) -> Result<bool> {
    Ok(run(connection, "DELETE FROM access_keys WHERE id = ?1", [id])? > 0)
}
