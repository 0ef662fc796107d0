//! Lists that can be counted without their calls: how many there are, and where an offset leads.

use pegcount_calls::CallQuery;

use super::{
    connect::Snapshot,
    fault::{Result, unreadable},
    totals::{Buckets, calls, negative, tally},
};
use crate::{
    OrganizationNumber, StatsQuery,
    rollups::{Piece, SUMMED, Span, Stretch, Tally, pieces},
};

/// A list of calls that the buckets of one series can count.
pub(super) struct Countable<'a> {
    snapshot: &'a Snapshot<'a>,
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
        snapshot: &'a Snapshot<'a>,
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
            ..StatsQuery::default()
        };
        let buckets = Buckets::of(snapshot, organization, &query)?;
        Ok(buckets.map(|buckets| Self { snapshot, organization, list, query, buckets }))
    }

    /// How many calls there are.
    pub(super) fn total(&self) -> Result<u64> {
        self.count(&tally(self.snapshot, self.organization, &self.query)?)
    }

    fn count(&self, tally: &Tally) -> Result<u64> {
        let CallQuery { statuses, directions, disconnections, .. } = self.list;
        let count = tally.count(|kind| {
            !kind.erased
                && (statuses.is_empty() || statuses.contains(&kind.status))
                && (directions.is_empty() || directions.contains(&kind.direction))
                && (disconnections.is_empty()
                    || kind.disconnection.is_some_and(|reason| disconnections.contains(&reason)))
        });
        count.ok_or_else(negative)
    }

    /// Where an offset leads when the list is ordered by creation.
    pub(super) fn place(&self, mut offset: u64, ascending: bool) -> Result<Place> {
        let Some(stretch) = Stretch::of(self.query.created) else { return Ok(Place::Behind) };
        let mut pieces = pieces(stretch, &SUMMED);
        if !ascending {
            pieces.reverse();
        }
        for piece in pieces {
            let begin = match piece {
                Piece::Calls(stretch) => {
                    let tally = calls(self.snapshot, self.organization, &self.query, stretch)?;
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
            sums.add_to(&mut tally)?;
            let count = self.count(&tally)?;
            if *offset < count {
                found = Some(bucket);
                return Ok(false);
            }
            *offset -= count;
            Ok(true)
        })?;
        let Some(bucket) = found else { return Ok(None) };
        let finer = SUMMED.iter().find(|finer| finer.millis() < span.millis());
        if let Some(finer) = finer {
            let each = span.millis() / finer.millis();
            let within =
                self.pass_buckets(*finer, [bucket * each, (bucket + 1) * each], offset, ascending)?;
            return match within {
                Some(begin) => Ok(Some(begin)),
                None => Err(unreadable(
                    "a count kept beside the calls",
                    "a bucket is more than what it is made of",
                )),
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
