//! How many calls there were at once: the calls of a stretch of time are walked through in the order in which they began.

use std::{cmp::Reverse, collections::BinaryHeap};

use pegcount_calls::{Direction, Range, Status, Timestamp};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{codes::Code, conditions::Conditions, fault::Result, rows::Columns, totals::tables};
use crate::{Concurrency, OrganizationNumber, StatsQuery};

/// Few calls last longer. Those are looked for one by one, since nothing else bounds how long ago a call in progress may
/// have begun.
const LONG_MILLIS: i64 = 24 * 3_600_000;

/// How many of the calls that a query means, whenever created, were in progress in each stretch between neighbouring
/// bounds, which ascend. A live call is in progress until now; one that waits in a queue is not.
pub(super) fn concurrency_between(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    bounds: &[Timestamp],
    now: Timestamp,
) -> Result<Vec<Concurrency>> {
    let bounds: Vec<i64> = bounds.iter().map(|bound| bound.millis()).collect();
    let (Some(&first), Some(&last)) = (bounds.first(), bounds.last()) else { return Ok(Vec::new()) };
    let calls = Calls { connection, organization, query, now: now.millis() };
    let mut sweep = Sweep::of(bounds);
    let recently = first.saturating_sub(LONG_MILLIS);
    let no_values = [0_i64; 0];
    // Few of the calls from before are still in progress, so each kind of them is looked for by what makes it few.
    let before = [Some(recently), first.checked_sub(1)];
    calls.each(None, before, "ended_ms IS NULL OR ended_ms > ?", [first], &mut sweep)?;
    let long_before = [None, recently.checked_sub(1)];
    let long = "total_ms > ? AND ended_ms > ?";
    calls.each(Some("calls_total"), long_before, long, [LONG_MILLIS, first], &mut sweep)?;
    calls.each(Some("calls_live"), long_before, "status BETWEEN 1 AND 3", no_values, &mut sweep)?;
    if first < last {
        calls.each(None, [Some(first), last.checked_sub(1)], "TRUE", no_values, &mut sweep)?;
    }
    Ok(sweep.end())
}

/// The calls to walk through.
struct Calls<'a> {
    connection: &'a Connection,
    organization: OrganizationNumber,
    query: &'a StatsQuery,
    now: i64,
}

impl Calls<'_> {
    /// Gives the calls created within (both ends too, without a lower one since ever) that meet a condition: read by
    /// this index, else by their creation.
    fn each(
        &self,
        index: Option<&str>,
        [from, to]: [Option<i64>; 2],
        condition: &str,
        values: impl IntoIterator<Item = i64>,
        sweep: &mut Sweep,
    ) -> Result<()> {
        // Before the first moment there is no call.
        let Some(to) = to else { return Ok(()) };
        let query = StatsQuery { created: Range { from, to: Some(to) }, ..self.query.clone() };
        let mut meant = Conditions::of_stats(self.organization, &query);
        meant.and(&format!("({condition})"), values);
        let select = |table: &str| {
            format!("SELECT start_ms, ended_ms, status, direction FROM {table} WHERE {}", meant.sql())
        };
        let [(calls, _), (erased, _)] = tables(&query);
        let calls = index.map_or_else(|| calls.to_owned(), |index| format!("calls INDEXED BY {index}"));
        let sql = format!("{} UNION ALL {} ORDER BY start_ms", select(&calls), select(erased));
        let values: Vec<&Value> = meant.values().iter().chain(meant.values()).collect();
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            let columns = &mut Columns::of(row);
            let (from, until): (i64, Option<i64>) = (columns.take()?, columns.take()?);
            let (status, direction) = (Status::read(columns.take()?)?, Direction::read(columns.take()?)?);
            if status != Status::Queued && query.means(status, direction) {
                sweep.take(from, until.unwrap_or(self.now));
            }
        }
        Ok(())
    }
}

/// What a walk through the calls has seen.
struct Sweep {
    bounds: Vec<i64>,
    found: Vec<Concurrency>,
    /// How many stretches have begun.
    begun: usize,
    /// When the calls in progress end.
    ends: BinaryHeap<Reverse<i64>>,
}

impl Sweep {
    fn of(bounds: Vec<i64>) -> Self {
        let found = vec![Concurrency::default(); bounds.len().saturating_sub(1)];
        Self { bounds, found, begun: 0, ends: BinaryHeap::new() }
    }

    /// Takes a call from its begin until before its end. Calls come in the order of their begins, but those from before
    /// the first bound, which come first.
    fn take(&mut self, from: i64, until: i64) {
        let from = from.max(self.bounds.first().copied().unwrap_or(from));
        if from >= until {
            return;
        }
        self.begin_stretches(from);
        self.ends.push(Reverse(until));
        self.look(from);
        let mut stretch = self.begun;
        while let Some([begin, end]) = stretch.checked_sub(1).and_then(|last| self.bounds.get(last..=stretch))
        {
            if *begin >= until {
                break;
            }
            let within = i128::from(until.min(*end)) - i128::from(from.max(*begin));
            self.found[stretch - 1].call_millis += u128::try_from(within).unwrap_or(0);
            stretch += 1;
        }
    }

    /// Begins the stretches that begin until this moment, each with the calls then in progress.
    fn begin_stretches(&mut self, until: i64) {
        while let Some(begin) = self.bounds.get(self.begun).copied().filter(|begin| *begin <= until) {
            self.begun += 1;
            // One that is over as it begins has no moment.
            if self.bounds.get(self.begun).is_some_and(|end| *end > begin) {
                self.look(begin);
            }
        }
    }

    /// Counts the calls in progress at a moment.
    fn look(&mut self, at: i64) {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= at) {
            self.ends.pop();
        }
        let Some(found) = self.begun.checked_sub(1).and_then(|stretch| self.found.get_mut(stretch)) else {
            return;
        };
        let now = self.ends.len() as u64;
        if now > found.peak {
            (found.peak, found.peak_at) = (now, Some(Timestamp::from_millis(at)));
        }
    }

    fn end(mut self) -> Vec<Concurrency> {
        self.begin_stretches(i64::MAX);
        self.found
    }
}
