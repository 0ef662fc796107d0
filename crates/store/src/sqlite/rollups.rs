//! The counts kept beside the calls: writing their changes, and making them all anew.

use std::collections::BTreeMap;

use pegcount_calls::{Call, Direction, Disconnection, Stage, Status};
use rusqlite::{Connection, Row, params, types::Value};

use super::{
    blocks::Block,
    codes::Code,
    fault::{Result, unreadable},
    packed,
    rows::{one, run},
};
use crate::{
    CallKey, Measure, OrganizationNumber, StoreError,
    rollups::{
        BLOCK_DAYS, Changes, Counted, Day, Dimension, Kind, SPANS, Series, SeriesChanges, Sketches, Span, Sum,
    },
    sketch::{Counts, slot_of},
};

/// The columns of a call that say how it is counted, in the order of [`counted`].
pub(super) const COUNTED: [&str; 12] = [
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
    "latencies",
];

/// How a call with these columns is counted; a call that was never saved is not.
///
/// Nor is one that cannot be read: it is damage, told by a look at the store, and is counted when it is repaired.
pub(super) fn counted(columns: [&Value; COUNTED.len()]) -> Option<Counted> {
    let [
        start,
        status,
        direction,
        reason,
        endpoint,
        phone_number,
        ringing,
        answered,
        ended,
        talk,
        cost,
        latencies,
    ] = columns;
    let (ringing, answered, ended) = (number(ringing), number(answered), number(ended));
    let disconnection = match reason {
        Value::Null => None,
        reason => Some(Disconnection::of_code(number(reason)?)?),
    };
    let talk = number(talk);
    let values = match ended {
        Some(ended) => values(
            ringing.map(|ringing| (ringing, answered.unwrap_or(ended))),
            answered.and(talk),
            latencies,
        )?,
        None => BTreeMap::new(),
    };
    Some(Counted {
        created: number(start)?,
        endpoint: text(endpoint),
        phone_number: text(phone_number),
        kind: Kind {
            erased: false,
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
        values,
    })
}

/// What a call that is over adds to the sketches: its ring's begin and end, its talk time, and its latencies as kept.
fn values(
    ring: Option<(i64, i64)>,
    talk: Option<i64>,
    latencies: &Value,
) -> Option<BTreeMap<Measure, Counts>> {
    let mut values = BTreeMap::new();
    let ring = ring.map(|(from, to)| to.saturating_sub(from));
    for (measure, millis) in [(Measure::Ring, ring), (Measure::Talk, talk)] {
        if let Some(millis) = millis {
            let slot = slot_of(u64::try_from(millis).unwrap_or(0));
            values.entry(measure).or_insert_with(Counts::default).add(slot, 1);
        }
    }
    match latencies {
        Value::Null => {}
        Value::Blob(bytes) => packed::unpack_values(bytes, &mut values).ok()?,
        _ => return None,
    }
    Some(values)
}

/// The latencies of a call that is over, as they are kept in its row.
pub(super) fn latencies(call: &Call) -> Option<Vec<u8>> {
    call.ended_at()?;
    let mut values = BTreeMap::new();
    for stage in Stage::ALL {
        let mut counts = Counts::default();
        for millis in call.latency_samples(stage) {
            // Cut to whole milliseconds; a sample is neither negative nor endless, and `as` would bound it.
            counts.add(slot_of(*millis as u64), 1);
        }
        if !counts.is_empty() {
            values.insert(Measure::Latency(stage), counts);
        }
    }
    (!values.is_empty()).then(|| packed::pack_values(&values))
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

impl Code for Span {
    const WHAT: &'static str = "the span";

    fn code(self) -> i64 {
        match self {
            Self::Day => 0,
            Self::Hour => 1,
            Self::Block => 2,
        }
    }

    fn of_code(code: i64) -> Option<Self> {
        SPANS.into_iter().find(|span| span.code() == code)
    }
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

/// Writes the changes, each bucket once and in order, and forgets them. Gives the blocks that have changed.
pub(super) fn flush(connection: &Connection, changes: &mut Changes) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    for (series, SeriesChanges { days, sketches }) in changes.series() {
        if days.values().all(Day::is_empty) && sketches.values().all(Sketches::is_empty) {
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
        for (day, change) in days.iter().filter(|(_, change)| !change.is_empty()) {
            write_day(connection, number, *day, change)?;
            blocks.push((number, day.div_euclid(BLOCK_DAYS)));
        }
        for ((span, bucket), change) in sketches.iter().filter(|(_, change)| !change.is_empty()) {
            write_sketches(connection, [number, span.code(), *bucket], change)?;
        }
    }
    changes.clear();
    Ok(blocks)
}

/// A day of a series as it is kept.
pub(super) fn held_day(connection: &Connection, series: i64, day: i64) -> Result<Option<Day>> {
    let sql = "SELECT sums, hours FROM rollups WHERE series = ?1 AND day = ?2";
    one(connection, sql, [series, day], |row| packed::unpack_day([blob(row, 0)?, blob(row, 1)?]))
}

/// The sketches of a series (its number, the span, the bucket) as they are kept.
pub(super) fn held_sketches(connection: &Connection, place: [i64; 3]) -> Result<Option<Sketches>> {
    let sql = "SELECT counts FROM rollup_sketches WHERE series = ?1 AND span = ?2 AND bucket = ?3";
    one(connection, sql, place, |row| packed::unpack_sketches(blob(row, 0)?))
}

/// A column of packed counts.
pub(super) fn blob<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a [u8]> {
    row.get_ref(column)?.as_blob().map_err(|cause| unreadable("a count kept beside the calls", cause))
}

/// What is kept of a bucket; `None` when it is damaged. A call must be kept even so: readers of this bucket are told,
/// and a look at the store names it.
fn undamaged<T: Default>(held: Result<Option<T>>) -> Result<Option<(T, bool)>> {
    match held.map_err(StoreError::from) {
        Ok(held) => {
            let is_new = held.is_none();
            Ok(Some((held.unwrap_or_default(), is_new)))
        }
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::error!(%error, "counts are damaged and were left as they are");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Adds a change to what is kept of a day; a day without calls is removed.
fn write_day(connection: &Connection, series: i64, day: i64, change: &Day) -> Result<()> {
    let Some((mut sum, is_new)) = undamaged(held_day(connection, series, day))? else { return Ok(()) };
    sum.add_all(change);
    if sum.is_empty() {
        run(connection, "DELETE FROM rollups WHERE series = ?1 AND day = ?2", [series, day])?;
        return Ok(());
    }
    let sql = if is_new {
        "INSERT INTO rollups (series, day, sums, hours) VALUES (?1, ?2, ?3, ?4)"
    } else {
        "UPDATE rollups SET sums = ?3, hours = ?4 WHERE series = ?1 AND day = ?2"
    };
    let [sums, hours] = packed::pack_day(&sum);
    run(connection, sql, params![series, day, sums, hours])?;
    Ok(())
}

/// Adds a change to the sketches that are kept of a bucket; a bucket without values is removed.
fn write_sketches(connection: &Connection, place: [i64; 3], change: &Sketches) -> Result<()> {
    let Some((mut sum, is_new)) = undamaged(held_sketches(connection, place))? else { return Ok(()) };
    sum.add_all(change);
    if sum.is_empty() {
        let gone = "DELETE FROM rollup_sketches WHERE series = ?1 AND span = ?2 AND bucket = ?3";
        run(connection, gone, place)?;
        return Ok(());
    }
    let sql = if is_new {
        "INSERT INTO rollup_sketches (series, span, bucket, counts) VALUES (?1, ?2, ?3, ?4)"
    } else {
        "UPDATE rollup_sketches SET counts = ?4 WHERE series = ?1 AND span = ?2 AND bucket = ?3"
    };
    let [series, span, bucket] = place;
    run(connection, sql, params![series, span, bucket, packed::pack_sketches(&sum)])?;
    Ok(())
}

/// Counts every call anew, and gives the counts of one organization's day after the other, oldest first.
pub(super) fn recount(
    connection: &Connection,
    mut take: impl FnMut(&mut Changes) -> Result<()>,
) -> Result<()> {
    let columns = COUNTED.join(", ");
    let sql = format!(
        "SELECT org, 0 AS erased, {columns} FROM calls WHERE start_ms IS NOT NULL
         UNION ALL SELECT org, 1, {columns} FROM erased_calls ORDER BY org, start_ms"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut changes = Changes::default();
    let mut last = None;
    while let Some(row) = rows.next()? {
        let (organization, erased): (i64, bool) = (row.get(0)?, row.get(1)?);
        let Some(mut counted) = counted_in(row, 2)? else { continue };
        counted.kind.erased = erased;
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
    for table in ["rollups", "rollup_sketches", "rollup_series"] {
        run(connection, &format!("DELETE FROM {table}"), [])?;
    }
    recount(connection, |changes| flush(connection, changes).map(drop))
}
