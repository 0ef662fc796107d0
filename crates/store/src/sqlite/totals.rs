//! What calls add up to: read from the counts beside them, and from the calls where no whole bucket lies.

use pegcount_calls::{Direction, Disconnection, Status};
use rusqlite::{Connection, params_from_iter};

use super::{
    codes::Code,
    conditions::Conditions,
    connect::Snapshot,
    fault::{Fault, Result, unreadable},
    packed,
    rollups::{blob, series_number},
    rows::{Columns, many, one},
};
use crate::{
    OrganizationNumber, StatsQuery,
    rollups::{BLOCK_DAYS, HOURS, Kind, Piece, SUMMED, Series, Span, Stretch, Sum, Tally, pieces},
};

/// What SQLite sums is cut into multiples of this and the rest, since all of it may not fit its integer.
const PART: i64 = 1_000_000_000;

/// What the calls that a query means add up to.
pub(super) fn tally(
    snapshot: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Tally> {
    let mut tally = Tally::default();
    let Some(stretch) = Stretch::of(query.created) else { return Ok(tally) };
    let buckets = Buckets::of(snapshot, organization, query)?;
    for piece in pieces(stretch, if buckets.is_some() { &SUMMED } else { &[] }) {
        match (piece, &buckets) {
            (Piece::Buckets { span, from, until }, Some(buckets)) => {
                buckets.each(span, [from, until], true, |_, sums| {
                    sums.add_to(&mut tally)?;
                    Ok(true)
                })?;
            }
            (Piece::Buckets { .. }, None) => {}
            (Piece::Calls(stretch), _) => tally.add_all(&calls(snapshot, organization, query, stretch)?),
        }
    }
    tally.retain(|kind| query.means(kind.status, kind.direction));
    Ok(tally)
}

/// What cannot be: fewer calls than none.
pub(super) fn negative() -> Fault {
    unreadable("a count kept beside the calls", "it is negative")
}

/// What the calls of a stretch add up to, from the calls alone.
pub(super) fn calls(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    stretch: Stretch,
) -> Result<Tally> {
    let mut tally = Tally::default();
    for (table, erased) in tables(query) {
        let meant =
            Conditions::of_stats(organization, &StatsQuery { created: stretch.range(), ..query.clone() });
        let sql = format!(
            "SELECT status, direction, disconnection, count(*), count(answered_ms),
                 coalesce(sum(talk_ms / 1000 / {PART}), 0), coalesce(sum(talk_ms / 1000 % {PART}), 0),
                 coalesce(sum(cost_nanos / {PART}), 0), coalesce(sum(cost_nanos % {PART}), 0)
             FROM {table} WHERE {} GROUP BY status, direction, disconnection",
            meant.sql()
        );
        let sums = many(connection, &sql, params_from_iter(meant.values()), |row| {
            let columns = &mut Columns::of(row);
            let kind = Kind {
                erased,
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
    }
    Ok(tally)
}

/// Where the calls of a query are read from, and whether those are the erased ones. Left to itself SQLite takes the
/// index that every call is in.
pub(super) fn tables(query: &StatsQuery) -> [(&'static str, bool); 2] {
    let calls = match (&query.endpoint, &query.phone_number) {
        (Some(_), _) => "calls INDEXED BY calls_endpoint",
        (None, Some(_)) => "calls INDEXED BY calls_phone_number",
        (None, None) => "calls INDEXED BY calls_start",
    };
    [(calls, false), ("erased_calls", true)]
}

fn joined(columns: &mut Columns<'_, '_>) -> Result<i128> {
    let (large, rest): (i64, i64) = (columns.take()?, columns.take()?);
    Ok(i128::from(large) * i128::from(PART) + i128::from(rest))
}

/// The sums of a bucket.
pub(super) enum Sums<'a> {
    /// As they are kept.
    Packed(&'a [u8]),
    /// As they were added up.
    Added(&'a Tally),
}

impl Sums<'_> {
    /// Adds them.
    pub(super) fn add_to(&self, tally: &mut Tally) -> Result<()> {
        match self {
            Self::Packed(sums) => packed::unpack_tally(sums, tally),
            Self::Added(sums) => {
                tally.add_all(sums);
                Ok(())
            }
        }
    }
}

/// The buckets of one series.
pub(super) struct Buckets<'a> {
    snapshot: &'a Snapshot<'a>,
    /// `None` when none of its calls was ever counted.
    pub(super) series: Option<i64>,
}

impl<'a> Buckets<'a> {
    /// Those that count the calls of a query, if there are any that do.
    pub(super) fn of(
        snapshot: &'a Snapshot<'a>,
        organization: OrganizationNumber,
        query: &StatsQuery,
    ) -> Result<Option<Self>> {
        let Some(series) = Series::of(organization, query) else { return Ok(None) };
        Ok(Some(Self { snapshot, series: series_number(snapshot, &series)? }))
    }

    /// Gives the sums of each bucket from the first until before the second, in either order, until told to stop.
    pub(super) fn each(
        &self,
        span: Span,
        [from, until]: [i64; 2],
        ascending: bool,
        mut take: impl FnMut(i64, Sums<'_>) -> Result<bool>,
    ) -> Result<()> {
        match span {
            Span::Block => self.each_block([from, until], ascending, take),
            Span::Day => {
                self.each_day("sums", [from, until], ascending, |day, sums| take(day, Sums::Packed(sums)))
            }
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
                        if !take(hour, Sums::Packed(&sums))? {
                            return Ok(false);
                        }
                    }
                    Ok(true)
                })
            }
        }
    }

    /// Of blocks that nobody counted in, one in a row is given at most: years may lie between two calls.
    fn each_block(
        &self,
        [from, until]: [i64; 2],
        ascending: bool,
        mut take: impl FnMut(i64, Sums<'_>) -> Result<bool>,
    ) -> Result<()> {
        let Some(series) = self.series else { return Ok(()) };
        let first_day = |block: i64| block.saturating_mul(BLOCK_DAYS);
        let mut days = [first_day(from), first_day(until)];
        let mut next = self.outermost(series, days, ascending)?;
        while let Some(block) = next {
            let [begin, end] = [first_day(block), first_day(block + 1)];
            let sum = self.snapshot.sum((series, block), || {
                let mut tally = Tally::default();
                self.each_day("sums", [begin, end], true, |_, sums| {
                    packed::unpack_tally(sums, &mut tally)?;
                    Ok(true)
                })?;
                Ok(tally)
            })?;
            if !take(block, Sums::Added(&sum))? {
                break;
            }
            days = if ascending { [end, days[1]] } else { [days[0], begin] };
            next = match sum.is_empty() {
                true => self.outermost(series, days, ascending)?,
                false if days[0] >= days[1] => None,
                false => Some(if ascending { block + 1 } else { block - 1 }),
            };
        }
        Ok(())
    }

    /// The block of the first day, or of the last, in which something is counted, of these: from the first until before
    /// the second.
    fn outermost(&self, series: i64, [from, until]: [i64; 2], first: bool) -> Result<Option<i64>> {
        let order = if first { "ASC" } else { "DESC" };
        let sql = format!(
            "SELECT day FROM rollups WHERE series = ?1 AND day >= ?2 AND day < ?3 ORDER BY day {order} LIMIT 1"
        );
        let day = one(self.snapshot, &sql, [series, from, until], |row| Ok(row.get::<_, i64>(0)?))?;
        Ok(day.map(|day| day.div_euclid(BLOCK_DAYS)))
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
        let mut statement = self.snapshot.prepare_cached(&sql)?;
        let mut rows = statement.query([series, from, until])?;
        while let Some(row) = rows.next()? {
            if !take(row.get(0)?, blob(row, 1)?)? {
                break;
            }
        }
        Ok(())
    }
}
