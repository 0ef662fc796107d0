//! Calls that are old, and what is kept of them.

use pegcount_calls::Timestamp;
use rusqlite::{Connection, params};

use super::{
    calls,
    fault::Result,
    rows::{Columns, count, many},
};
use crate::{CallHead, CallKey, Keepsake, OldCalls, OldPage};

/// The bit of `calls.keeps`. They are on disk: they are never changed.
pub(super) fn bit(keepsake: Keepsake) -> i64 {
    match keepsake {
        Keepsake::Recording => 1,
        Keepsake::Transcript => 2,
        Keepsake::Events => 4,
        // It is its row.
        Keepsake::Call => 0,
    }
}

/// The bit of calls that a recording should come of. The index of those calls has it word for word (0011_retention.sql).
pub(super) const LACKS_RECORDING: i64 = 8;

/// Calls that ended within and that a recording should have come of, the newest first, and how many there are.
pub(super) fn lacking_recording(
    connection: &Connection,
    [from, to]: [Timestamp; 2],
    limit: u32,
) -> Result<(Vec<CallHead>, u64)> {
    let within = "c.keeps & 8 AND c.ended_ms >= ?1 AND c.ended_ms < ?2";
    let sql = format!("SELECT {} FROM calls c WHERE {within} ORDER BY c.ended_ms DESC LIMIT ?3", calls::HEAD);
    let bounds = [from.millis(), to.millis()];
    let found = many(connection, &sql, params![bounds[0], bounds[1], limit], |row| {
        calls::head(&mut Columns::of(row))
    })?;
    Ok((found, count(connection, &format!("SELECT count(*) FROM calls c WHERE {within}"), bounds)?))
}

/// The calls among the next ones in the order of their arrival that may have a recording, and the call to go on after.
pub(super) fn recorded_after(
    connection: &Connection,
    after: CallKey,
    limit: u32,
) -> Result<(Vec<CallHead>, Option<CallKey>)> {
    let sql = format!("SELECT {}, c.keeps FROM calls c WHERE c.pk > ?1 ORDER BY c.pk LIMIT ?2", calls::HEAD);
    let seen = many(connection, &sql, params![after.0, limit], |row| {
        let columns = &mut Columns::of(row);
        let (head, keeps) = (calls::head(columns)?, columns.take::<Option<i64>>()?);
        Ok((head, keeps.is_none_or(|keeps| keeps & bit(Keepsake::Recording) != 0)))
    })?;
    let next = seen.last().map(|(head, _)| head.key);
    Ok((seen.into_iter().filter(|(_, may)| *may).map(|(head, _)| head).collect(), next))
}

/// Calls that ended before some time and of which something is kept.
pub(super) fn old_calls(connection: &Connection, query: &OldCalls) -> Result<OldPage> {
    // An index of each keepsake would have every call that ends pay for it. Old calls are looked through instead, now and
    // then, in the order of an index that there is.
    let sql = format!(
        "SELECT {}, c.ended_ms, c.keeps FROM calls c
         WHERE c.org = ?1 AND c.ended_ms IS NOT NULL AND c.ended_ms < ?2 AND (c.ended_ms, c.pk) > (?3, ?4)
         ORDER BY c.ended_ms, c.pk LIMIT ?5",
        calls::HEAD
    );
    let (ended, key) = query.after.unwrap_or((Timestamp::from_millis(i64::MIN), CallKey(i64::MIN)));
    let values =
        params![query.organization.0, query.ended_before.millis(), ended.millis(), key.0, query.limit];
    let wanted = bit(query.keepsake);
    let seen = many(connection, &sql, values, |row| {
        let columns = &mut Columns::of(row);
        let head = calls::head(columns)?;
        let (ended, keeps) = (Timestamp::from_millis(columns.take()?), columns.take::<Option<i64>>()?);
        let is_kept = wanted == 0 || keeps.is_none_or(|keeps| keeps & wanted != 0);
        Ok((head, ended, is_kept))
    })?;
    let is_full = seen.len() >= usize::try_from(query.limit).unwrap_or(usize::MAX);
    let next = seen.last().filter(|_| is_full).map(|(head, ended, _)| (*ended, head.key));
    let calls = seen.into_iter().filter(|(.., is_kept)| *is_kept).map(|(head, ..)| head).collect();
    Ok(OldPage { calls, next })
}
