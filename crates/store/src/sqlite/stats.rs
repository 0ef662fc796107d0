//! Statistics.

use pegcount_calls::{Disconnection, Range, Stats, Timestamp};

use super::{
    connect::Snapshot,
    fault::Result,
    totals::{negative, tally},
};
use crate::{OrganizationNumber, StatsQuery};

/// The statistics of the calls that a query means.
pub(super) fn stats(
    snapshot: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Stats> {
    tally(snapshot, organization, query)?.stats().ok_or_else(negative)
}

/// The same for each stretch between neighbouring bounds.
pub(super) fn stats_between(
    snapshot: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &StatsQuery,
    bounds: &[Timestamp],
) -> Result<Vec<Stats>> {
    let stats = |query: &StatsQuery| stats(snapshot, organization, query);
    stretches(query, bounds)
        .map(|query| query.map_or_else(|| Ok(Stats::default()), |query| stats(&query)))
        .collect()
}

/// What a query means of each stretch between neighbouring bounds; `None` of one without moments.
pub(super) fn stretches(
    query: &StatsQuery,
    bounds: &[Timestamp],
) -> impl Iterator<Item = Option<StatsQuery>> {
    bounds.iter().zip(bounds.iter().skip(1)).map(|(from, until)| {
        let to = until.millis().checked_sub(1)?;
        Some(StatsQuery { created: within(query.created, from.millis(), to), ..query.clone() })
    })
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
    snapshot: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Vec<(Disconnection, u64)>> {
    let counts = tally(snapshot, organization, query)?.disconnections().ok_or_else(negative)?;
    Ok(counts.into_iter().collect())
}
