//! The events of calls: each call has a range of places in their table, and fills it in the order of arrival.

use pegcount_calls::{Document, EventId, SourceName, Timestamp};
use rusqlite::{Connection, params};

use super::{
    fault::{Result, unavailable, unreadable},
    rows::{Columns, many, one, run},
    sealing::is_locked,
};
use crate::{CallKey, Report};

/// How many bits of a place number the events of its call (0005_events.sql). It is on disk: it is never changed.
const BITS: u32 = 20;

const AT_GIVEN: i64 = 1;
const BLANKED: i64 = 2;

/// The first and the last place of a call.
pub(super) fn places(call: CallKey) -> Result<[i64; 2]> {
    let end = call.0.checked_add(1).and_then(|next| next.checked_mul(1 << BITS));
    let end =
        end.filter(|_| call.0 >= 0).ok_or_else(|| unavailable(format!("there is no call {}", call.0)))?;
    Ok([call.0 << BITS, end - 1])
}

/// The next free place of a call.
fn next_place(connection: &Connection, call: CallKey) -> Result<i64> {
    let [first, last] = places(call)?;
    let newest = "SELECT place FROM events WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT 1";
    match one(connection, newest, [first, last], |row| Ok(row.get::<_, i64>(0)?))? {
        None => Ok(first),
        Some(newest) if newest < last => Ok(newest + 1),
        Some(_) => Err(unavailable(format!("call {} has no room for more events", call.0))),
    }
}

/// The events of a call, oldest first, ties by id.
pub(super) fn of_call(connection: &Connection, call: CallKey) -> Result<Vec<Report>> {
    // Text is compared by its bytes, as ids are.
    let sql = "SELECT id, at_ms, flags, received_ms, source, kind, opened_text(data, id) FROM events
               WHERE place BETWEEN ?1 AND ?2 ORDER BY at_ms, id";
    many(connection, sql, places(call)?, |row| {
        let columns = &mut Columns::of(row);
        let id = columns.name(EventId::new)?;
        let at = Timestamp::from_millis(columns.take()?);
        let flags: i64 = columns.take()?;
        let (received_at, source) = (Timestamp::from_millis(columns.take()?), columns.name(SourceName::new)?);
        let kind = columns.take()?;
        let data = data_of(&id, columns.take()?)?;
        Ok(Report {
            id,
            at,
            at_given: flags & AT_GIVEN != 0,
            received_at,
            source,
            kind,
            data,
            blanked: flags & BLANKED != 0,
        })
    })
    .map_err(|fault| fault.within(&format!("the events of call {}", call.0)))
}

/// Passed on as it is, so it is looked at here: damage within a page shows nowhere else.
fn data_of(id: &EventId, text: String) -> Result<Document> {
    if is_locked(&text) {
        let cause = "it is sealed; either its key is not at hand, or it was changed since";
        return Err(unreadable(format!("event {id}"), cause));
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Document::from_json_text(text)),
        Err(cause) => Err(unreadable(format!("event {id}"), cause)),
    }
}

/// Keeps events of a call.
pub(super) fn append(connection: &Connection, call: CallKey, reports: &[Report]) -> Result<()> {
    if reports.is_empty() {
        return Ok(());
    }
    let first = next_place(connection, call)?;
    let [_, last] = places(call)?;
    let sql = "INSERT INTO events (place, at_ms, id, kind, source, received_ms, flags, data)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, sealed_text(?8, ?3))";
    for (place, report) in (first..).zip(reports) {
        if place > last {
            return Err(unavailable(format!("call {} has no room for more events", call.0)));
        }
        let flags = if report.at_given { AT_GIVEN } else { 0 } | if report.blanked { BLANKED } else { 0 };
        let row = params![
            place,
            report.at.millis(),
            report.id.as_str(),
            report.kind,
            report.source.as_str(),
            report.received_at.millis(),
            flags,
            report.data.as_json_text(),
        ];
        run(connection, sql, row)?;
    }
    Ok(())
}

/// Replaces the data of events by what is left of it.
pub(super) fn blank(connection: &Connection, call: CallKey, events: &[(EventId, Document)]) -> Result<()> {
    let [first, last] = places(call)?;
    let sql = "UPDATE events SET data = sealed_text(?5, id), flags = flags | ?4 WHERE place BETWEEN ?1 AND ?2 AND id = ?3";
    for (id, left) in events {
        run(connection, sql, params![first, last, id.as_str(), BLANKED, left.as_json_text()])?;
    }
    Ok(())
}

/// Removes the events of a call.
pub(super) fn remove(connection: &Connection, call: CallKey) -> Result<()> {
    run(connection, "DELETE FROM events WHERE place BETWEEN ?1 AND ?2", places(call)?)?;
    Ok(())
}

/// Moves the events of the younger call to the older one, some of them under new ids. Of those that share an id even so the older's stay.
pub(super) fn merge(
    connection: &Connection,
    younger: CallKey,
    older: CallKey,
    renamed: &[(EventId, EventId)],
) -> Result<()> {
    let ([first, last], [of_older, to]) = (places(younger)?, places(older)?);
    // What is sealed is bound to the id of its event.
    let rename = "UPDATE events SET id = ?4, data = sealed_text(opened_text(data, id), ?4)
                  WHERE place BETWEEN ?1 AND ?2 AND id = ?3";
    for (from, to) in renamed {
        run(connection, rename, params![first, last, from.as_str(), to.as_str()])?;
    }
    let doubled = "DELETE FROM events WHERE place BETWEEN ?1 AND ?2
                   AND id IN (SELECT id FROM events WHERE place BETWEEN ?3 AND ?4)";
    run(connection, doubled, [first, last, of_older, to])?;
    let next = next_place(connection, older)?;
    let newest = "SELECT max(place) FROM events WHERE place BETWEEN ?1 AND ?2";
    let newest = one(connection, newest, [first, last], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
    let Some(newest) = newest else { return Ok(()) };
    if newest - first > to - next {
        return Err(unavailable(format!("call {} has no room for the events of another", older.0)));
    }
    // The places of the two never meet, so the order in which rows move does not matter.
    let moved = "UPDATE events SET place = place - ?1 + ?3 WHERE place BETWEEN ?1 AND ?2";
    run(connection, moved, [first, last, next])?;
    Ok(())
}
