//! Statistics.

use pegcount_calls::{Disconnection, Range, Stats, Timestamp};
use rusqlite::Connection;

use super::{
    fault::Result,
    totals::{self, negative, tally},
};
use crate::{Measure, OrganizationNumber, StatsQuery};

/// The statistics of the calls that a query means.
pub(super) fn stats(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Stats> {
    tally(connection, organization, query)?.stats().ok_or_else(negative)
}

/// The same for each stretch between neighbouring bounds.
pub(super) fn stats_between(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    bounds: &[Timestamp],
) -> Result<Vec<Stats>> {
    let stretches = bounds.iter().zip(bounds.iter().skip(1));
    stretches
        .map(|(from, until)| match until.millis().checked_sub(1) {
            Some(to) => {
                let created = within(query.created, from.millis(), to);
                stats(connection, organization, &StatsQuery { created, ..query.clone() })
            }
            None => Ok(Stats::default()),
        })
        .collect()
}

/// As much of a range as lies between these, both within.
fn within(range: Range, from: i64, to: i64) -> Range {
    Range {
        from: Some(range.from.map_or(from, |bound| bound.max(from))),
        to: Some(range.to.map_or(to, |bound| bound.min(to))),
    }
}

/// How often each reason ended a call.
pub(super) fn disconnections(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Vec<(Disconnection, u64)>> {
    let counts = tally(connection, organization, query)?.disconnections().ok_or_else(negative)?;
    Ok(counts.into_iter().collect())
}

/// The percentiles of a measure, one for each share.
pub(super) fn percentiles(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    measure: Measure,
    shares: &[f64],
) -> Result<Vec<Option<f64>>> {
    let sketch = totals::sketch(connection, organization, query, measure)?;
    Ok(shares.iter().map(|share| sketch.percentile(*share)).collect())
}
