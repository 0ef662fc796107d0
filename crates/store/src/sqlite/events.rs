//! The events of calls.

use pegcount_calls::{Document, EventId, SourceName, Timestamp};
use rusqlite::{Connection, params};

use super::{
    fault::{Result, unreadable},
    rows::{Columns, many, run},
};
use crate::{CallKey, Report};

const AT_GIVEN: i64 = 1;
const BLANKED: i64 = 2;

/// The events of a call, oldest first, ties by id.
pub(super) fn of_call(connection: &Connection, call: CallKey) -> Result<Vec<Report>> {
    // Text is compared by its bytes, as ids are.
    let sql = "SELECT id, at_ms, flags, received_ms, source, kind, data FROM events WHERE pk = ?1 ORDER BY at_ms, id";
    many(connection, sql, [call.0], |row| {
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
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Document::from_json_text(text)),
        Err(cause) => Err(unreadable(format!("event {id}"), cause)),
    }
}

/// Keeps events of a call.
pub(super) fn append(connection: &Connection, call: CallKey, reports: &[Report]) -> Result<()> {
    let sql = "INSERT INTO events (pk, at_ms, id, kind, source, received_ms, flags, data)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    for report in reports {
        let flags = if report.at_given { AT_GIVEN } else { 0 } | if report.blanked { BLANKED } else { 0 };
        let row = params![
            call.0,
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

/// Empties the data of events.
pub(super) fn blank(connection: &Connection, call: CallKey, events: &[EventId]) -> Result<()> {
    let sql = "UPDATE events SET data = '{}', flags = flags | ?3 WHERE pk = ?1 AND id = ?2";
    for id in events {
        run(connection, sql, params![call.0, id.as_str(), BLANKED])?;
    }
    Ok(())
}

/// Moves the events of the younger call to the older one, whose own stay where both share an id.
pub(super) fn merge(connection: &Connection, younger: CallKey, older: CallKey) -> Result<()> {
    let pair = params![older.0, younger.0];
    // The key holds the time as well, so the same id at another time would not collide by itself.
    let doubled = "DELETE FROM events WHERE pk = ?2 AND id IN (SELECT id FROM events WHERE pk = ?1)";
    run(connection, doubled, pair)?;
    run(connection, "UPDATE events SET pk = ?1 WHERE pk = ?2", pair)?;
    Ok(())
}
