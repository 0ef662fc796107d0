//! What many calls add up to.

use std::collections::BTreeMap;

use crate::{Amount, Call, Direction, Status};

/// What calls of one status and direction add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatCell {
    /// How many there are.
    pub calls: u64,
    /// How many of them had been answered.
    pub answered: u64,
    /// Their talk time: whole seconds of each, cut off as a CDR's billsec is, then added.
    pub talk_seconds: u64,
    /// Their cost in units of 10^-9, wide enough for every call there is.
    pub cost_nanos: i128,
}

/// The statistics of a set of calls, by status and direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    cells: BTreeMap<(Status, Direction), StatCell>,
}

impl StatCell {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.answered += other.answered;
        self.talk_seconds += other.talk_seconds;
        self.cost_nanos += other.cost_nanos;
    }
}

impl Stats {
    /// The statistics of these calls, each with its cost.
    pub fn of<'a>(calls: impl IntoIterator<Item = (&'a Call, Option<Amount>)>) -> Self {
        let mut stats = Self::default();
        for (call, cost) in calls {
            let cell = StatCell {
                calls: 1,
                answered: u64::from(call.answered_at().is_some()),
                talk_seconds: call.talk_time().map_or(0, |talk| talk.as_secs()),
                cost_nanos: cost.map_or(0, |cost| i128::from(cost.nanos())),
            };
            stats.add(call.status(), call.direction, &cell);
        }
        stats
    }

    /// Adds a cell.
    pub fn add(&mut self, status: Status, direction: Direction, cell: &StatCell) {
        self.cells.entry((status, direction)).or_default().add(cell);
    }

    /// The sum of the cells that are wanted.
    pub fn sum(&self, wanted: impl Fn(Status, Direction) -> bool) -> StatCell {
        let mut sum = StatCell::default();
        for ((status, direction), cell) in &self.cells {
            if wanted(*status, *direction) {
                sum.add(cell);
            }
        }
        sum
    }

    /// The sum over the calls that have ended.
    pub fn ended(&self) -> StatCell {
        self.sum(|status, _| status.is_ended())
    }

    /// The sum over the calls of one status.
    pub fn with_status(&self, wanted: Status) -> StatCell {
        self.sum(|status, _| status == wanted)
    }
}
