//! What calls add up to: read from the counts beside them, and from the calls where no whole bucket lies.

use pegcount_calls::{CallQuery, Direction, Disconnection, Status};
use rusqlite::{Connection, Row, params, params_from_iter};

use super::{
    codes::Code,
    conditions::Conditions,
    fault::{Fault, Result, unreadable},
    packed,
    rollups::{COUNTED, blob, counted_in, series_number},
    rows::{Columns, many},
};
use crate::{
    Measure, OrganizationNumber, StatsQuery,
    rollups::{HOURS, Kind, Piece, SPANS, Series, Span, Stretch, Sum, Tally, pieces},
    sketch::{Counts, slot_of},
};

/// What SQLite sums is cut into multiples of this and the rest, since all of it may not fit its integer.
const PART: i64 = 1_000_000_000;

/// What the calls that a query means add up to.
pub(super) fn tally(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Tally> {
    let Some(stretch) = Stretch::of(query.created) else { return Ok(Tally::default()) };
    let Some(buckets) = Buckets::of(connection, organization, query)? else {
        return calls(connection, organization, query, stretch);
    };
    let mut tally = Tally::default();
    for piece in pieces(stretch, &SPANS) {
        match piece {
            Piece::Calls(stretch) => tally.add_all(&calls(connection, organization, query, stretch)?),
            Piece::Buckets { span, from, until } => buckets.each(span, [from, until], true, |_, sums| {
                packed::unpack_tally(sums, &mut tally)?;
                Ok(true)
            })?,
        }
    }
    Ok(tally)
}

/// The values of a measure of the calls that a query means.
pub(super) fn sketch(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    measure: Measure,
) -> Result<Counts> {
    let mut counts = Counts::default();
    let Some(stretch) = Stretch::of(query.created) else { return Ok(counts) };
    let buckets = Buckets::of(connection, organization, query)?;
    // Days alone have sketches.
    let spans: &[Span] = if buckets.is_some() { &[Span::Day] } else { &[] };
    for piece in pieces(stretch, spans) {
        match (piece, &buckets) {
            (Piece::Buckets { from, until, .. }, Some(Buckets { series: Some(series), .. })) => {
                let sql = "SELECT sketches FROM rollups WHERE series = ?1 AND day >= ?2 AND day < ?3";
                many(connection, sql, params![series, from, until], |row| {
                    packed::unpack_sketches(blob(row, 0)?, |found, values| {
                        if found == measure { packed::unpack_counts(values, &mut counts) } else { Ok(()) }
                    })
                })?;
            }
            (Piece::Buckets { .. }, _) => {}
            (Piece::Calls(stretch), _) => {
                let query = StatsQuery { created: stretch.range(), ..query.clone() };
                let meant = Conditions::of_stats(organization, &query);
                let columns = COUNTED.join(", ");
                let sql = format!("SELECT {columns} FROM {} WHERE {}", table(&query), meant.sql());
                let read = |row: &Row<'_>| Ok(counted_in(row, 0)?.and_then(|call| call.measure(measure)));
                let values = many(connection, &sql, params_from_iter(meant.values()), read)?;
                for millis in values.into_iter().flatten() {
                    counts.add(slot_of(millis), 1);
                }
            }
        }
    }
    if counts.is_negative() { Err(negative()) } else { Ok(counts) }
}

/// What cannot be: fewer calls than none.
pub(super) fn negative() -> Fault {
    unreadable("a count kept beside the calls", "it is negative")
}

/// The same, from the calls alone.
fn calls(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    stretch: Stretch,
) -> Result<Tally> {
    let query = StatsQuery { created: stretch.range(), ..query.clone() };
    let meant = Conditions::of_stats(organization, &query);
    let sql = format!(
        "SELECT status, direction, disconnection, count(*), count(answered_ms),
             coalesce(sum(talk_ms / 1000 / {PART}), 0), coalesce(sum(talk_ms / 1000 % {PART}), 0),
             coalesce(sum(cost_nanos / {PART}), 0), coalesce(sum(cost_nanos % {PART}), 0)
         FROM {} WHERE {} GROUP BY status, direction, disconnection",
        table(&query),
        meant.sql()
    );
    let mut tally = Tally::default();
    let sums = many(connection, &sql, params_from_iter(meant.values()), |row| {
        let columns = &mut Columns::of(row);
        let kind = Kind {
            status: Status::read(columns.take()?)?,
            direction: Direction::read(columns.take()?)?,
            disconnection: columns.take::<Option<i64>>()?.map(Disconnection::read).transpose()?,
        };
        let sum = Sum {
            calls: columns.take::<i64>()?.into(),
            answered: columns.take::<i64>()?.into(),
            talk_seconds: joined(columns)?,
            cost_nanos: joined(columns)?,
        };
        Ok((kind, sum))
    })?;
    for (kind, sum) in sums {
        tally.add(kind, &sum);
    }
    Ok(tally)
}

/// Where the calls of a query are read from. Left to itself SQLite takes the index that every call is in.
fn table(query: &StatsQuery) -> &'static str {
    match (&query.endpoint, &query.phone_number) {
        (Some(_), _) => "calls INDEXED BY calls_endpoint",
        (None, Some(_)) => "calls INDEXED BY calls_phone_number",
        (None, None) => "calls INDEXED BY calls_start",
    }
}

fn joined(columns: &mut Columns<'_, '_>) -> Result<i128> {
    let (large, rest): (i64, i64) = (columns.take()?, columns.take()?);
    Ok(i128::from(large) * i128::from(PART) + i128::from(rest))
}

/// The buckets of one series.
struct Buckets<'a> {
    connection: &'a Connection,
    /// `None` when none of its calls was ever counted.
    series: Option<i64>,
}

impl<'a> Buckets<'a> {
    /// Those that count the calls of a query, if there are any that do.
    fn of(
        connection: &'a Connection,
        organization: OrganizationNumber,
        query: &StatsQuery,
    ) -> Result<Option<Self>> {
        let Some(series) = Series::of(organization, query) else { return Ok(None) };
        Ok(Some(Self { connection, series: series_number(connection, &series)? }))
    }

    /// Gives the sums of each bucket from the first until before the second, in either order, until told to stop.
    fn each(
        &self,
        span: Span,
        [from, until]: [i64; 2],
        ascending: bool,
        mut take: impl FnMut(i64, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        match span {
            Span::Day => self.each_day("sums", [from, until], ascending, take),
            Span::Hour => {
                let days = [from.div_euclid(HOURS), (until - 1).div_euclid(HOURS) + 1];
                self.each_day("hours", days, ascending, |day, hours| {
                    let mut parts = Vec::new();
                    packed::unpack_hours(hours, |hour, sums| {
                        parts.push((day * HOURS + hour, sums.to_vec()));
                        Ok(())
                    })?;
                    parts.retain(|(hour, _)| (from..until).contains(hour));
                    if !ascending {
                        parts.reverse();
                    }
                    for (hour, sums) in parts {
                        if !take(hour, &sums)? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                })
            }
        }
    }

    fn each_day(
        &self,
        column: &str,
        [from, until]: [i64; 2],
        ascending: bool,
        mut take: impl FnMut(i64, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let Some(series) = self.series else { return Ok(()) };
        let order = if ascending { "ASC" } else { "DESC" };
        let sql = format!(
            "SELECT day, {column} FROM rollups WHERE series = ?1 AND day >= ?2 AND day < ?3 ORDER BY day {order}"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([series, from, until])?;
        while let Some(row) = rows.next()? {
            if !take(row.get(0)?, blob(row, 1)?)? {
                break;
            }
        }
        Ok(())
    }
}

/// A list of calls that the buckets of one series can count.
pub(super) struct Countable<'a> {
    connection: &'a Connection,
    organization: OrganizationNumber,
    list: &'a CallQuery,
    query: StatsQuery,
    buckets: Buckets<'a>,
}

/// Where an offset into a list leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind its last call.
    Behind,
    /// So many calls after the first one that was created at this moment or later on in the list's order.
    Within {
        /// The moment, in milliseconds since the epoch.
        begin: i64,
        /// How many calls to pass over from there.
        offset: u64,
    },
}

impl<'a> Countable<'a> {
    /// The list of a query, if it is such a one.
    pub(super) fn of(
        connection: &'a Connection,
        organization: OrganizationNumber,
        list: &'a CallQuery,
    ) -> Result<Option<Self>> {
        if !knows_all_of(list) {
            return Ok(None);
        }
        let query = StatsQuery {
            endpoint: list.endpoints.first().cloned(),
            phone_number: list.phone_numbers.first().cloned(),
            created: list.created,
        };
        let buckets = Buckets::of(connection, organization, &query)?;
        Ok(buckets.map(|buckets| Self { connection, organization, list, query, buckets }))
    }

    /// How many calls there are.
    pub(super) fn total(&self) -> Result<u64> {
        self.count(&tally(self.connection, self.organization, &self.query)?)
    }

    fn count(&self, tally: &Tally) -> Result<u64> {
        let CallQuery { statuses, directions, disconnections, .. } = self.list;
        let count = tally.count(|kind| {
            (statuses.is_empty() || statuses.contains(&kind.status))
                && (directions.is_empty() || directions.contains(&kind.direction))
                && (disconnections.is_empty()
                    || kind.disconnection.is_some_and(|reason| disconnections.contains(&reason)))
        });
        count.ok_or_else(negative)
    }

    /// Where an offset leads when the list is ordered by creation.
    pub(super) fn place(&self, mut offset: u64, ascending: bool) -> Result<Place> {
        let Some(stretch) = Stretch::of(self.query.created) else { return Ok(Place::Behind) };
        let mut pieces = pieces(stretch, &SPANS);
        if !ascending {
            pieces.reverse();
        }
        for piece in pieces {
            let begin = match piece {
                Piece::Calls(stretch) => {
                    let tally = calls(self.connection, self.organization, &self.query, stretch)?;
                    let count = self.count(&tally)?;
                    if offset < count {
                        Some(if ascending { stretch.from } else { stretch.to })
                    } else {
                        offset -= count;
                        None
                    }
                }
                Piece::Buckets { span, from, until } => {
                    self.pass_buckets(span, [from, until], &mut offset, ascending)?
                }
            };
            if let Some(begin) = begin {
                return Ok(Place::Within { begin, offset });
            }
        }
        Ok(Place::Behind)
    }

    /// Passes over buckets while the offset reaches over them; gives where the one begins that it ends in.
    fn pass_buckets(
        &self,
        span: Span,
        range: [i64; 2],
        offset: &mut u64,
        ascending: bool,
    ) -> Result<Option<i64>> {
        let mut found = None;
        self.buckets.each(span, range, ascending, |bucket, sums| {
            let mut tally = Tally::default();
            packed::unpack_tally(sums, &mut tally)?;
            let count = self.count(&tally)?;
            if *offset < count {
                found = Some(bucket);
                return Ok(false);
            }
            *offset -= count;
            Ok(true)
        })?;
        let Some(bucket) = found else { return Ok(None) };
        let finer = SPANS.iter().find(|finer| finer.millis() < span.millis());
        if let Some(finer) = finer {
            let each = span.millis() / finer.millis();
            let within =
                self.pass_buckets(*finer, [bucket * each, (bucket + 1) * each], offset, ascending)?;
            return match within {
                Some(begin) => Ok(Some(begin)),
                None => Err(unreadable("a count kept beside the calls", "a day is more than its hours")),
            };
        }
        let stretch = span.stretch_of(bucket);
        Ok(Some(if ascending { stretch.from } else { stretch.to }))
    }
}

/// Whether counts tell which calls a query means. Every field is named: a new filter must be thought of here.
fn knows_all_of(query: &CallQuery) -> bool {
    let CallQuery {
        statuses: _,
        directions: _,
        call_types,
        endpoints,
        phone_numbers,
        from_numbers,
        to_numbers,
        disconnections: _,
        metadata,
        successful,
        sentiments,
        in_voicemail,
        created: _,
        ended,
        total_millis,
        transcript,
        sort: _,
        paging: _,
    } = query;
    endpoints.len() <= 1
        && phone_numbers.len() <= 1
        && call_types.is_empty()
        && from_numbers.is_empty()
        && to_numbers.is_empty()
        && metadata.is_empty()
        && successful.is_empty()
        && sentiments.is_empty()
        && in_voicemail.is_empty()
        && ended.is_open()
        && total_millis.is_open()
        && transcript.is_none()
}
