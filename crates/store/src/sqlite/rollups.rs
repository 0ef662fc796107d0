//! The counts kept beside the calls: writing their changes, and making them all anew.

use pegcount_calls::{Direction, Disconnection, Status};
use rusqlite::{Connection, Row, params, types::Value};

use super::{
    codes::Code,
    fault::{Result, unreadable},
    packed,
    rows::{one, run},
};
use crate::{
    CallKey, OrganizationNumber, StoreError,
    rollups::{Changes, Counted, Day, Dimension, Kind, Series, Span, Sum},
};

/// The columns of a call that say how it is counted, in the order of [`counted`].
pub(super) const COUNTED: [&str; 11] = [
    "start_ms",
    "status",
    "direction",
    "disconnection",
    "endpoint",
    "phone_number",
    "ringing_ms",
    "answered_ms",
    "ended_ms",
    "talk_ms",
    "cost_nanos",
];

/// How a call with these columns is counted; a call that was never saved is not.
///
/// Nor is one that cannot be read: it is damage, told by a look at the store, and is counted when it is repaired.
pub(super) fn counted(columns: [&Value; COUNTED.len()]) -> Option<Counted> {
    let [start, status, direction, reason, endpoint, phone_number, ringing, answered, ended, talk, cost] =
        columns;
    let (ringing, answered, ended) = (number(ringing), number(answered), number(ended));
    let disconnection = match reason {
        Value::Null => None,
        reason => Some(Disconnection::of_code(number(reason)?)?),
    };
    let talk = number(talk);
    let since = |from: i64, to: i64| u64::try_from(to.saturating_sub(from)).unwrap_or(0);
    Some(Counted {
        created: number(start)?,
        endpoint: text(endpoint),
        phone_number: text(phone_number),
        kind: Kind {
            status: Status::of_code(number(status)?)?,
            direction: Direction::of_code(number(direction)?)?,
            disconnection,
        },
        sum: Sum {
            calls: 1,
            answered: answered.is_some().into(),
            talk_seconds: (talk.unwrap_or(0) / 1_000).into(),
            cost_nanos: number(cost).unwrap_or(0).into(),
        },
        measures: [
            ringing.zip(answered.or(ended)).map(|(from, to)| since(from, to)),
            answered.and(talk).map(|talk| u64::try_from(talk).unwrap_or(0)),
        ],
    })
}

fn number(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// How the call that this row begins with is counted.
pub(super) fn counted_in(row: &Row<'_>, first: usize) -> Result<Option<Counted>> {
    let columns: [rusqlite::Result<Value>; COUNTED.len()] =
        std::array::from_fn(|column| row.get(first + column));
    let mut values = [const { Value::Null }; COUNTED.len()];
    for (value, column) in values.iter_mut().zip(columns) {
        *value = column?;
    }
    Ok(counted(values.each_ref()))
}

/// How a call is counted as it is kept.
pub(super) fn counted_call(connection: &Connection, key: CallKey) -> Result<Option<Counted>> {
    let sql = format!("SELECT {} FROM calls WHERE pk = ?1", COUNTED.join(", "));
    Ok(one(connection, &sql, [key.0], |row| counted_in(row, 0))?.flatten())
}

/// The number and the name by which a dimension is kept.
pub(super) fn dimension_code(dimension: &Dimension) -> (i64, &str) {
    match dimension {
        Dimension::All => (0, ""),
        Dimension::Endpoint(id) => (1, id),
        Dimension::PhoneNumber(id) => (2, id),
    }
}

/// The number that a series is kept by, if any of its calls were ever counted.
pub(super) fn series_number(connection: &Connection, series: &Series) -> Result<Option<i64>> {
    let (dimension, name) = dimension_code(&series.dimension);
    let sql = "SELECT id FROM rollup_series WHERE org = ?1 AND dimension = ?2 AND name = ?3";
    one(connection, sql, params![series.organization.0, dimension, name], |row| Ok(row.get(0)?))
}

/// Writes the changes, each day once and in order, and forgets them.
pub(super) fn flush(connection: &Connection, changes: &mut Changes) -> Result<()> {
    for (series, changes) in changes.series() {
        if changes.values().all(Day::is_empty) {
            continue;
        }
        let number = match series_number(connection, series)? {
            Some(number) => number,
            None => {
                let (dimension, name) = dimension_code(&series.dimension);
                let sql = "INSERT INTO rollup_series (org, dimension, name) VALUES (?1, ?2, ?3)";
                let row = params![series.organization.0, dimension, name];
                connection.prepare_cached(sql)?.insert(row)?
            }
        };
        for (day, change) in changes.iter().filter(|(_, change)| !change.is_empty()) {
            write(connection, number, *day, change)?;
        }
    }
    changes.clear();
    Ok(())
}

/// A day of a series as it is kept.
pub(super) fn held_day(connection: &Connection, series: i64, day: i64) -> Result<Option<Day>> {
    let sql = "SELECT sums, hours, sketches FROM rollups WHERE series = ?1 AND day = ?2";
    one(connection, sql, [series, day], |row| {
        packed::unpack_day([blob(row, 0)?, blob(row, 1)?, blob(row, 2)?])
    })
}

/// A column of packed counts.
pub(super) fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8]> {
    row.get_ref(column)?.as_blob().map_err(|cause| unreadable("a count kept beside the calls", cause))
}

/// Adds a change to what is kept of a day; a day without calls is removed.
fn write(connection: &Connection, series: i64, day: i64, change: &Day) -> Result<()> {
    let held = match held_day(connection, series, day).map_err(StoreError::from) {
        Ok(held) => held,
        // A call must be kept even so. Readers of this day are told, and a look at the store names it.
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::error!(%error, series, day, "a day's counts are damaged and were left as they are");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let is_new = held.is_none();
    let mut sum = held.unwrap_or_default();
    sum.add_all(change);
    if sum.is_empty() {
        run(connection, "DELETE FROM rollups WHERE series = ?1 AND day = ?2", [series, day])?;
        return Ok(());
    }
    let sql = if is_new {
        "INSERT INTO rollups (series, day, sums, hours, sketches) VALUES (?1, ?2, ?3, ?4, ?5)"
    } else {
        "UPDATE rollups SET sums = ?3, hours = ?4, sketches = ?5 WHERE series = ?1 AND day = ?2"
    };
    let [sums, hours, sketches] = packed::pack_day(&sum);
    run(connection, sql, params![series, day, sums, hours, sketches])?;
    Ok(())
}

/// Counts every call anew, and gives the counts of one organization's day after the other, oldest first.
pub(super) fn recount(
    connection: &Connection,
    mut take: impl FnMut(&mut Changes) -> Result<()>,
) -> Result<()> {
    let sql = format!(
        "SELECT org, {} FROM calls WHERE start_ms IS NOT NULL ORDER BY org, start_ms",
        COUNTED.join(", ")
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut changes = Changes::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let organization: i64 = row.get(0)?;
        let Some(counted) = counted_in(row, 1)? else { continue };
        let day = Some((organization, Span::Day.bucket_of(counted.created)));
        if last != day {
            take(&mut changes)?;
            changes.clear();
            last = day;
        }
        changes.replace(OrganizationNumber(organization), None, Some(&counted));
    }
    take(&mut changes)
}

/// Makes all counts anew from the calls.
pub(super) fn rebuild(connection: &Connection) -> Result<()> {
    for table in ["rollups", "rollup_series"] {
        run(connection, &format!("DELETE FROM {table}"), [])?;
    }
    recount(connection, |changes| flush(connection, changes))
}
