//! Erasing a call: what it counts for stays, and hashes by which a late event of it is known.

use hmac::{Hmac, KeyInit, Mac};
use pegcount_calls::{CallName, SourceName};
use rusqlite::{Connection, params};
use sha2::Sha256;

use super::{
    calls, events,
    fault::{Result, unavailable, unreadable},
    rollups::{COUNTED, counted_call},
    rows::{many, one, run},
    save,
    transaction::Writer,
};
use crate::{CallKey, LegSpan, OrganizationNumber};

/// What a name is the name of. Their hashes never meet.
#[derive(Clone, Copy)]
enum Named<'a> {
    Call(&'a str),
    Leg { source: &'a str, leg: &'a str },
}

/// Removes a call but for what it counts, and notes what it and its legs were called.
pub(super) fn erase(writer: &mut Writer, key: CallKey) -> Result<()> {
    let organization = calls::organization_of(&writer.connection, key)?;
    bury(&writer.connection, organization, key)?;
    // Its contribution is taken back as a call's, and added as an erased call's.
    let mut counted = counted_call(&writer.connection, key)?;
    save::forget(writer, key)?;
    let Writer { connection, changes, .. } = writer;
    if let Some(counted) = &mut counted {
        counted.kind.erased = true;
        changes.replace(organization, None, Some(counted));
        let columns = COUNTED.join(", ");
        let sql = format!(
            "INSERT INTO erased_calls (pk, org, total_ms, {columns}) SELECT pk, org, total_ms, {columns} FROM calls WHERE pk = ?1"
        );
        run(connection, &sql, [key.0])?;
    }
    events::remove(connection, key)?;
    for table in ["legs", "call_names", "call_uuids", "jobs", "holds", "calls"] {
        run(connection, &format!("DELETE FROM {table} WHERE pk = ?1"), [key.0])?;
    }
    Ok(())
}

/// Whether the call of this name was erased.
pub(super) fn is_erased(
    connection: &Connection,
    organization: OrganizationNumber,
    name: &CallName,
) -> Result<bool> {
    is_buried(connection, organization, Named::Call(name.as_str()), [i64::MIN, i64::MAX])
}

/// Whether a call that had this leg in an overlapping span was erased.
pub(super) fn is_erased_leg(
    connection: &Connection,
    organization: OrganizationNumber,
    source: &SourceName,
    leg: &LegSpan,
) -> Result<bool> {
    let named = Named::Leg { source: source.as_str(), leg: leg.id.as_str() };
    is_buried(connection, organization, named, [leg.from.millis(), leg.to.millis()])
}

fn is_buried(
    connection: &Connection,
    organization: OrganizationNumber,
    named: Named<'_>,
    [from, to]: [i64; 2],
) -> Result<bool> {
    // Without a key nothing was ever erased.
    let Some(key) = held_key(connection)? else { return Ok(false) };
    let hash = hash(&key, organization, named)?;
    let sql = "SELECT 1 FROM tombstones WHERE hash = ?1 AND from_ms <= ?2 AND to_ms >= ?3 LIMIT 1";
    Ok(one(connection, sql, params![hash, to, from], |_| Ok(()))?.is_some())
}

/// Notes what a call and its legs are called.
fn bury(connection: &Connection, organization: OrganizationNumber, key: CallKey) -> Result<()> {
    let secret = match held_key(connection)? {
        Some(key) => key,
        None => {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(|cause| unavailable(cause.to_string()))?;
            run(connection, "INSERT INTO tombstone_key (id, key) VALUES (1, ?1)", [key])?;
            key
        }
    };
    let note = |named: Named<'_>, [from, to]: [i64; 2]| {
        let hash = hash(&secret, organization, named)?;
        let sql = "INSERT OR IGNORE INTO tombstones (hash, from_ms, to_ms) VALUES (?1, ?2, ?3)";
        run(connection, sql, params![hash, from, to])
    };
    let names = "SELECT name FROM calls WHERE pk = ?1 UNION SELECT name FROM call_names WHERE pk = ?1";
    for name in many(connection, names, [key.0], |row| Ok(row.get::<_, String>(0)?))? {
        note(Named::Call(&name), [i64::MIN, i64::MAX])?;
    }
    let legs = "SELECT source, leg, from_ms, to_ms FROM legs WHERE pk = ?1";
    let legs: Vec<(String, String, [i64; 2])> =
        many(connection, legs, [key.0], |row| Ok((row.get(0)?, row.get(1)?, [row.get(2)?, row.get(3)?])))?;
    for (source, leg, span) in legs {
        note(Named::Leg { source: &source, leg: &leg }, span)?;
    }
    Ok(())
}

fn held_key(connection: &Connection) -> Result<Option<[u8; 32]>> {
    one(connection, "SELECT key FROM tombstone_key", [], |row| {
        row.get::<_, [u8; 32]>(0).map_err(|cause| unreadable("the key of the erased calls' names", cause))
    })
}

/// Keyed, so that who has the names of calls from elsewhere cannot look them up without the key as well.
fn hash(key: &[u8; 32], organization: OrganizationNumber, named: Named<'_>) -> Result<Vec<u8>> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map_err(|cause| unavailable(cause.to_string()))?;
    let mac = mac.chain_update(organization.0.to_le_bytes());
    // Names hold no control characters, so what parts them is in none of them.
    let mac = match named {
        Named::Call(name) => mac.chain_update(b"call\0").chain_update(name),
        Named::Leg { source, leg } => {
            mac.chain_update(b"leg\0").chain_update(source).chain_update(b"\0").chain_update(leg)
        }
    };
    Ok(mac.finalize().into_bytes().to_vec())
}
