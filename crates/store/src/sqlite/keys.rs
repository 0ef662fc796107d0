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
    let sql = "SELECT id, org, name, secret_hash, scopes, created_ms, expires_ms, used_ms FROM access_keys
               ORDER BY created_ms, id";
    many(connection, sql, [], |row| {
        let columns = &mut Columns::of(row);
        Ok(AccessKey {
            id: columns.take()?,
            organization: OrganizationNumber(columns.take()?),
            name: columns.take()?,
            secret_hash: columns.take()?,
            scopes: columns.take()?,
            created_at: Timestamp::from_millis(columns.take()?),
            expires_at: columns.take::<Option<i64>>()?.map(Timestamp::from_millis),
            last_used_at: columns.take::<Option<i64>>()?.map(Timestamp::from_millis),
        })
    })
}

/// Keeps a key.
pub(super) fn create(connection: &Connection, key: &AccessKey) -> Result<()> {
    let sql = "INSERT INTO access_keys (id, org, name, secret_hash, scopes, created_ms, expires_ms, used_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    let row = params![
        key.id,
        key.organization.0,
        key.name,
        key.secret_hash.as_slice(),
        key.scopes,
        key.created_at.millis(),
        key.expires_at.map(Timestamp::millis),
        key.last_used_at.map(Timestamp::millis),
    ];
    run(connection, sql, row).map_err(|fault| fault.or_exists("the key"))?;
    Ok(())
}

/// Revokes a key.
pub(super) fn revoke(connection: &Connection, id: &str) -> Result<bool> {
    Ok(run(connection, "DELETE FROM access_keys WHERE id = ?1", [id])? > 0)
}

/// Keeps a key in place of another one, which expires.
pub(super) fn rotate(
    connection: &Connection,
    id: &str,
    new: &AccessKey,
    expires_at: Timestamp,
) -> Result<bool> {
    let sql = "UPDATE access_keys SET expires_ms = min(coalesce(expires_ms, ?2), ?2) WHERE id = ?1";
    let is_there = run(connection, sql, params![id, expires_at.millis()])? > 0;
    if is_there {
        create(connection, new)?;
    }
    Ok(is_there)
}

/// Records when keys were last used, and deletes those that have expired.
pub(super) fn keep_uses(connection: &Connection, uses: &[(String, Timestamp)], now: Timestamp) -> Result<()> {
    let sql = "UPDATE access_keys SET used_ms = max(coalesce(used_ms, ?2), ?2) WHERE id = ?1";
    for (id, at) in uses {
        run(connection, sql, params![id, at.millis()])?;
    }
    run(connection, "DELETE FROM access_keys WHERE expires_ms <= ?1", [now.millis()])?;
    Ok(())
}
