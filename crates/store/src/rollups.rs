//! Counts that are kept beside the calls, so that nobody has to count calls: what a call adds to which of them.
//!
//! A call is counted in buckets of time, by its creation, in UTC: in those of its organization, of its endpoint and of
//! its phone number. A change of the call takes back what it had added and adds what it is now.

use std::collections::BTreeMap;

use pegcount_calls::{Direction, Disconnection, Range, StatCell, Stats, Status};

use crate::{Measure, OrganizationNumber, StatsQuery, sketch::Counts};

/// How long a stretch one bucket counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Span {
    /// 32 days: added up of them, not kept.
    Block,
    /// A day.
    Day,
    /// An hour.
    Hour,
}

impl Span {
    /// How long it is.
    pub(crate) const fn millis(self) -> i64 {
        match self {
            Self::Block => BLOCK_DAYS * 24 * 3_600_000,
            Self::Day => 24 * 3_600_000,
            Self::Hour => 3_600_000,
        }
    }

    /// The number of the bucket in which this moment lies; 0 begins with 1970.
    pub(crate) const fn bucket_of(self, millis: i64) -> i64 {
        millis.div_euclid(self.millis())
    }

    /// The first and the last moment of a bucket, as far as there are moments.
    pub(crate) fn stretch_of(self, bucket: i64) -> Stretch {
        let first = i128::from(bucket) * i128::from(self.millis());
        Stretch { from: moment(first), to: moment(first + i128::from(self.millis()) - 1) }
    }
}

fn moment(millis: i128) -> i64 {
    i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX })
}

/// Whose calls a row of buckets counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    /// Of this organization...
    pub(crate) organization: OrganizationNumber,
    /// ...these calls.
    pub(crate) dimension: Dimension,
}

/// Which calls of an organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Dimension {
    /// All.
    All,
    /// Those of an endpoint.
    Endpoint(String),
    /// Those of a phone number.
    PhoneNumber(String),
}

impl Series {
    /// The series that counts the calls a query is about, whenever created; `None` when no series does.
    pub(crate) fn of(organization: OrganizationNumber, query: &StatsQuery) -> Option<Self> {
        let dimension = match (&query.endpoint, &query.phone_number) {
            (None, None) => Dimension::All,
            (Some(id), None) => Dimension::Endpoint(id.as_str().to_owned()),
            (None, Some(id)) => Dimension::PhoneNumber(id.as_str().to_owned()),
            (Some(_), Some(_)) => return None,
        };
        Some(Self { organization, dimension })
    }
}

/// The spans that are kept of every series, longest first. Each is a whole number of the next.
pub(crate) const SPANS: [Span; 2] = [Span::Day, Span::Hour];
/// The spans whose sums can be had of every series, in the same order.
pub(crate) const SUMMED: [Span; 3] = [Span::Block, Span::Day, Span::Hour];
/// How many days a block has.
pub(crate) const BLOCK_DAYS: i64 = 32;
/// How many hours a day has: all are UTC's.
pub(crate) const HOURS: i64 = 24;

/// What calls that are counted together have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    /// Whether they were erased: statistics count them all the same, lists do not.
    pub(crate) erased: bool,
    /// Where they stand.
    pub(crate) status: Status,
    /// Their direction.
    pub(crate) direction: Direction,
    /// Why they ended.
    pub(crate) disconnection: Option<Disconnection>,
}

/// What calls of one kind add up to. Wide, so that no sum of what calls can hold comes near its ends; negative while
/// something is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    /// How many there are.
    pub(crate) calls: i128,
    /// How many of them had been answered.
    pub(crate) answered: i128,
    /// Their talk time in whole seconds, each cut off.
    pub(crate) talk_seconds: i128,
    /// Their cost in units of 10^-9.
    pub(crate) cost_nanos: i128,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.answered = self.answered.saturating_add(other.answered);
        self.talk_seconds = self.talk_seconds.saturating_add(other.talk_seconds);
        self.cost_nanos = self.cost_nanos.saturating_add(other.cost_nanos);
    }

    /// What takes it back.
    fn negated(&self) -> Self {
        Self {
            calls: -self.calls,
            answered: -self.answered,
            talk_seconds: -self.talk_seconds,
            cost_nanos: -self.cost_nanos,
        }
    }

    /// As a cell of statistics; `None` when something is negative, which no set of calls is.
    fn cell(&self) -> Option<StatCell> {
        Some(StatCell {
            calls: self.calls.try_into().ok()?,
            answered: self.answered.try_into().ok()?,
            talk_seconds: self.talk_seconds.try_into().ok()?,
            cost_nanos: self.cost_nanos,
        })
    }
}

/// What calls add up to, by kind; kinds that add up to nothing are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ascending by kind: there are few.
    sums: Vec<(Kind, Sum)>,
}

impl Tally {
    /// Adds a sum.
    pub(crate) fn add(&mut self, kind: Kind, sum: &Sum) {
        self.add_near(0, kind, sum);
    }

    /// Adds a sum whose kind is likely to be at this place; gives the place after it. Days have much the same kinds in
    /// the same order, so one after the other is added without a search.
    pub(crate) fn add_near(&mut self, place: usize, kind: Kind, sum: &Sum) -> usize {
        let found = match self.sums.get(place) {
            Some((there, _)) if *there == kind => Ok(place),
            _ => self.sums.binary_search_by_key(&kind, |(kind, _)| *kind),
        };
        match found {
            Ok(place) => {
                if let Some((_, held)) = self.sums.get_mut(place) {
                    held.add(sum);
                    if *held == Sum::default() {
                        self.sums.remove(place);
                        return place;
                    }
                }
                place + 1
            }
            Err(place) if *sum != Sum::default() => {
                self.sums.insert(place, (kind, *sum));
                place + 1
            }
            Err(place) => place,
        }
    }

    /// Adds all of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (kind, sum) in other.sums() {
            self.add(*kind, sum);
        }
    }

    /// The sums.
    pub(crate) fn sums(&self) -> &[(Kind, Sum)] {
        &self.sums
    }

    /// Whether it adds up to nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.sums.is_empty()
    }

    /// As statistics; `None` when something is negative.
    pub(crate) fn stats(&self) -> Option<Stats> {
        let mut stats = Stats::default();
        for (kind, sum) in self.sums() {
            stats.add(kind.status, kind.direction, &sum.cell()?);
        }
        Some(stats)
    }

    /// How often each reason ended a call; `None` when something is negative.
    pub(crate) fn disconnections(&self) -> Option<BTreeMap<Disconnection, u64>> {
        let mut counts: BTreeMap<Disconnection, u64> = BTreeMap::new();
        for (kind, sum) in self.sums() {
            let Some(reason) = kind.disconnection else { continue };
            let count = u64::try_from(sum.calls).ok()?;
            *counts.entry(reason).or_default() += count;
        }
        Some(counts)
    }

    /// Leaves out the kinds that are not wanted.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&Kind) -> bool) {
        self.sums.retain(|(kind, _)| wanted(kind));
    }

    /// How many calls there are of the kinds that are wanted; `None` when something is negative.
    pub(crate) fn count(&self, wanted: impl Fn(&Kind) -> bool) -> Option<u64> {
        self.sums.iter().filter(|(kind, _)| wanted(kind)).try_fold(0_u64, |count, (_, sum)| {
            u64::try_from(sum.calls).ok().and_then(|calls| count.checked_add(calls))
        })
    }
}

/// As much of a call as is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// When it was created, in milliseconds since the epoch.
    pub(crate) created: i64,
    /// Its endpoint.
    pub(crate) endpoint: Option<String>,
    /// The phone number it belongs to.
    pub(crate) phone_number: Option<String>,
    /// Its kind.
    pub(crate) kind: Kind,
    /// What it adds to the sum of its kind.
    pub(crate) sum: Sum,
    /// The values that it adds to the sketches: none before it is over.
    pub(crate) values: BTreeMap<Measure, Counts>,
}

impl Counted {
    /// Whether both add the same values to the same sketches.
    fn adds_the_same_values(&self, other: &Self) -> bool {
        self.values == other.values
            && (self.values.is_empty()
                || (self.created, &self.endpoint, &self.phone_number, self.kind.status, self.kind.direction)
                    == (
                        other.created,
                        &other.endpoint,
                        &other.phone_number,
                        other.kind.status,
                        other.kind.direction,
                    ))
    }

    /// The dimensions in which it counts.
    fn dimensions(&self) -> impl Iterator<Item = Dimension> {
        let endpoint = self.endpoint.clone().map(Dimension::Endpoint);
        let phone_number = self.phone_number.clone().map(Dimension::PhoneNumber);
        [Some(Dimension::All), endpoint, phone_number].into_iter().flatten()
    }
}

/// How a call enters a count.
#[derive(Clone, Copy)]
enum Times {
    Once,
    TakenBack,
}

/// What the calls of one day of a series add up to, or the change of it. Empty parts are left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Day {
    /// All of them.
    pub(crate) sums: Tally,
    /// Those of each hour, from 0.
    pub(crate) hours: BTreeMap<i64, Tally>,
}

impl Day {
    fn count(&mut self, call: &Counted, times: Times) {
        let sum = match times {
            Times::Once => call.sum,
            Times::TakenBack => call.sum.negated(),
        };
        self.sums.add(call.kind, &sum);
        let hour = Span::Hour.bucket_of(call.created).rem_euclid(HOURS);
        self.hours.entry(hour).or_default().add(call.kind, &sum);
        self.leave_out_empty();
    }

    /// Adds a change.
    pub(crate) fn add_all(&mut self, change: &Self) {
        self.sums.add_all(&change.sums);
        for (hour, sums) in &change.hours {
            self.hours.entry(*hour).or_default().add_all(sums);
        }
        self.leave_out_empty();
    }

    fn leave_out_empty(&mut self) {
        self.hours.retain(|_, sums| !sums.is_empty());
    }

    /// Whether nothing is counted, or changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.sums.is_empty() && self.hours.is_empty()
    }
}

/// What the values of one sketch have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group {
    /// What was measured.
    pub(crate) measure: Measure,
    /// The status of the calls.
    pub(crate) status: Status,
    /// Their direction.
    pub(crate) direction: Direction,
}

/// The values of the calls of one bucket, or the change of them. Empty sketches are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sketches {
    /// The sketch of each group.
    pub(crate) groups: BTreeMap<Group, Counts>,
}

impl Sketches {
    fn count(&mut self, call: &Counted, times: Times) {
        let Kind { status, direction, .. } = call.kind;
        for (measure, values) in &call.values {
            let counts = self.groups.entry(Group { measure: *measure, status, direction }).or_default();
            for (slot, count) in values.slots() {
                let count = match times {
                    Times::Once => count,
                    Times::TakenBack => -count,
                };
                counts.add(slot, count);
            }
        }
        self.leave_out_empty();
    }

    /// Adds a change.
    pub(crate) fn add_all(&mut self, change: &Self) {
        for (group, counts) in &change.groups {
            self.groups.entry(*group).or_default().add_all(counts);
        }
        self.leave_out_empty();
    }

    fn leave_out_empty(&mut self) {
        self.groups.retain(|_, counts| !counts.is_empty());
    }

    /// Whether there are no values.
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// The changes of one series.
#[derive(Debug, Default)]
pub(crate) struct SeriesChanges {
    /// Of what calls add up to, by the number of the day.
    pub(crate) days: BTreeMap<i64, Day>,
    /// Of the sketches, by the bucket of each span.
    pub(crate) sketches: BTreeMap<(Span, i64), Sketches>,
}

/// The changes of many buckets, gathered so that each one of a series is written once.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    series: BTreeMap<Series, SeriesChanges>,
}

impl Changes {
    /// A call counted as `old` now counts as `new`.
    pub(crate) fn replace(
        &mut self,
        organization: OrganizationNumber,
        old: Option<&Counted>,
        new: Option<&Counted>,
    ) {
        if old == new {
            return;
        }
        let same_values = old.zip(new).is_some_and(|(old, new)| old.adds_the_same_values(new));
        for (counted, times) in [(old, Times::TakenBack), (new, Times::Once)] {
            let Some(call) = counted else { continue };
            for dimension in call.dimensions() {
                let series = self.series.entry(Series { organization, dimension }).or_default();
                series.days.entry(Span::Day.bucket_of(call.created)).or_default().count(call, times);
                if same_values || call.values.is_empty() {
                    continue;
                }
                for span in SPANS {
                    let bucket = (span, span.bucket_of(call.created));
                    series.sketches.entry(bucket).or_default().count(call, times);
                }
            }
        }
    }

    /// The changes by series.
    pub(crate) fn series(&self) -> &BTreeMap<Series, SeriesChanges> {
        &self.series
    }

    /// Forgets every change.
    pub(crate) fn clear(&mut self) {
        self.series.clear();
    }
}

/// A stretch of time in milliseconds since the epoch, both ends within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Its first moment.
    pub(crate) from: i64,
    /// Its last moment.
    pub(crate) to: i64,
}

impl Stretch {
    /// The moments that lie in a range; `None` when none do.
    pub(crate) fn of(range: Range) -> Option<Self> {
        let (from, to) = (range.from.unwrap_or(i64::MIN), range.to.unwrap_or(i64::MAX));
        (from <= to).then_some(Self { from, to })
    }

    /// The range of its moments.
    pub(crate) fn range(self) -> Range {
        Range { from: Some(self.from), to: Some(self.to) }
    }
}

/// A part of a stretch of time, and what knows its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Whole buckets.
    Buckets {
        /// Of this span...
        span: Span,
        /// ...from this one...
        from: i64,
        /// ...until before this one.
        until: i64,
    },
    /// The calls themselves.
    Calls(Stretch),
}

/// The pieces of a stretch, oldest first: the longest whole buckets in the middle, and the calls themselves at ends
/// that are no whole bucket of any of the spans (longest first).
pub(crate) fn pieces(stretch: Stretch, spans: &[Span]) -> Vec<Piece> {
    let Some((&span, finer)) = spans.split_first() else { return vec![Piece::Calls(stretch)] };
    let Stretch { from, to } = stretch;
    // Nothing lies outside of all moments, so the bucket that holds the outermost one is whole.
    let (lowest, highest) = (span.bucket_of(from), span.bucket_of(to));
    let first = if span.stretch_of(lowest).from == from { lowest } else { lowest + 1 };
    let until = if span.stretch_of(highest).to == to { highest + 1 } else { highest };
    if first >= until {
        return pieces(stretch, finer);
    }
    let (begin, end) = (span.stretch_of(first).from, span.stretch_of(until - 1).to);
    let mut all = Vec::new();
    if from < begin {
        all.extend(pieces(Stretch { from, to: begin - 1 }, finer));
    }
    all.push(Piece::Buckets { span, from: first, until });
    if end < to {
        all.extend(pieces(Stretch { from: end + 1, to }, finer));
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A moment, often at or near an edge.
    fn moments() -> impl Strategy<Value = i64> {
        let near_edges = (-60_i64..60, prop::sample::select(vec![-1_i64, 0, 1]))
            .prop_map(|(hours, off)| hours * 3_600_000 + off);
        prop_oneof![
            near_edges,
            -400_000_000_i64..400_000_000,
            any::<i64>(),
            prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX]),
        ]
    }

    fn stretch_of(piece: &Piece) -> Stretch {
        match *piece {
            Piece::Calls(stretch) => stretch,
            Piece::Buckets { span, from, until } => {
                Stretch { from: span.stretch_of(from).from, to: span.stretch_of(until - 1).to }
            }
        }
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_stretch_cover_it_without_gap_or_overlap(one in moments(), other in moments()) {
            let stretch = Stretch { from: one.min(other), to: one.max(other) };
            for spans in [&SUMMED[..], &SPANS, &[Span::Day], &[]] {
                let pieces = pieces(stretch, spans);
                let covered: Vec<Stretch> = pieces.iter().map(stretch_of).collect();
                prop_assert_eq!(covered.first().map(|first| first.from), Some(stretch.from));
                prop_assert_eq!(covered.last().map(|last| last.to), Some(stretch.to));
                for pair in covered.windows(2) {
                    prop_assert_eq!(pair[0].to.checked_add(1), Some(pair[1].from));
                }
                for piece in &pieces {
                    if let (Piece::Calls(ends), Some(span)) = (piece, spans.last()) {
                        let longest = i128::from(span.millis()) * 2;
                        prop_assert!(i128::from(ends.to) - i128::from(ends.from) < longest);
                    }
                }
            }
        }

        #[test]
        fn every_moment_lies_in_its_bucket_and_every_hour_in_one_day(moment in moments()) {
            for span in SUMMED {
                let stretch = span.stretch_of(span.bucket_of(moment));
                prop_assert!((stretch.from..=stretch.to).contains(&moment));
            }
            let hour = Span::Hour.bucket_of(moment);
            prop_assert_eq!(hour.div_euclid(24), Span::Day.bucket_of(moment));
        }
    }
}
