//! What the index does not have yet: the calls whose words have changed, numbered in the order in which that happened.
//!
//! They lie in the store's own file, so they are as durable as the calls. A row goes when what it tells of is durable in
//! the index. The last one stays until another follows, since the next number is told by it: the numbers have no gap, and
//! by them a store and an index know whether they belong together.

use rusqlite::Connection;

use super::super::{
    fault::{Result, unreadable},
    rows::{many, one, run},
};
use crate::CallKey;

/// Notes that a call's words have changed, or are gone; gives the number of that.
pub(in crate::sqlite) fn note(connection: &Connection, key: CallKey) -> Result<i64> {
    Ok(connection.prepare_cached("INSERT INTO words_due (pk) VALUES (?1)")?.insert([key.0])?)
}

/// Forgets what is durable in the index, which has everything up to this number.
pub(super) fn trim(connection: &Connection, durable: i64) -> Result<()> {
    run(connection, "DELETE FROM words_due WHERE number < ?1", [durable])?;
    Ok(())
}

/// So many of those that follow this number, in their order.
pub(super) fn after(connection: &Connection, number: i64, limit: usize) -> Result<Vec<(i64, CallKey)>> {
    let sql = "SELECT number, pk FROM words_due WHERE number > ?1 ORDER BY number LIMIT ?2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    many(connection, sql, [number, limit], |row| Ok((row.get(0)?, CallKey(row.get(1)?))))
}

/// The first and the last number; `None` while no words have ever changed.
pub(super) fn span(connection: &Connection) -> Result<Option<[i64; 2]>> {
    let sql = "SELECT (SELECT min(number) FROM words_due), (SELECT max(number) FROM words_due)";
    let found: Option<[Option<i64>; 2]> = one(connection, sql, [], |row| Ok([row.get(0)?, row.get(1)?]))?;
    Ok(found.and_then(|[first, last]| Some([first?, last?])))
}

/// Whether an index that has everything up to this number lacks nothing but what is here.
pub(super) fn follows(connection: &Connection, taken: i64) -> Result<bool> {
    Ok(span(connection)?.map_or(taken == 0, |[first, _]| first <= taken.saturating_add(1)))
}

/// By what the index knows that it is this store's.
pub(super) fn store_id(connection: &Connection) -> Result<Vec<u8>> {
    let found = one(connection, "SELECT id FROM words_store", [], |row| Ok(row.get(0)?))?;
    found.ok_or_else(|| unreadable("by what the index of words is known", "it is missing"))
}
