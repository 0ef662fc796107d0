//! Counts from which percentiles are read: in fixed slots, so that what was counted can be taken back exactly.
//!
//! The layout is that of DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", 2019): the slots grow by a constant factor, chosen so that the middle of a slot is off by
//! at most 1 % of any value in it. It is on disk: it is never changed.

use std::collections::BTreeMap;

use crate::Measure;

/// How far the value of a slot is off at most, as a share.
const ERROR: f64 = 0.01;
/// The factor from the upper bound of a slot to the next one's.
const GROWTH: f64 = (1.0 + ERROR) / (1.0 - ERROR);
/// Slot 0 holds zero, slot 1 one millisecond, and the last bounded one ends beyond 24 hours.
const SLOTS: usize = 916;

/// The upper bound of each slot after slot 0, which belongs to it. Made by multiplication alone: unlike a logarithm it
/// gives the same on every machine, to the last bit.
const BOUNDS: [f64; SLOTS] = bounds();

const fn bounds() -> [f64; SLOTS] {
    let mut bounds = [1.0; SLOTS];
    let mut slot = 1;
    while slot < SLOTS {
        bounds[slot] = bounds[slot - 1] * GROWTH;
        slot += 1;
    }
    bounds
}

/// The slot that a value is counted in. What is longer than all slots shares one after the last.
pub(crate) fn slot_of(millis: u64) -> u16 {
    if millis == 0 {
        return 0;
    }
    let slot = BOUNDS.partition_point(|bound| *bound < millis as f64) + 1;
    u16::try_from(slot).unwrap_or(u16::MAX)
}

/// The value that stands for all of a slot.
fn middle_of(slot: u16) -> f64 {
    let Some(place) = usize::from(slot).checked_sub(1) else { return 0.0 };
    BOUNDS.get(place).map_or(BOUNDS[SLOTS - 1], |bound| 2.0 * bound / (1.0 + GROWTH))
}

/// How many values each slot holds; slots without any are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    slots: BTreeMap<u16, i64>,
}

impl Counts {
    /// Counts so many more values; negative: fewer.
    pub(crate) fn add(&mut self, slot: u16, count: i64) {
        let held = self.slots.entry(slot).or_default();
        *held = held.saturating_add(count);
        if *held == 0 {
            self.slots.remove(&slot);
        }
    }

    /// Adds all of another.
    pub(crate) fn add_all(&mut self, other: &Self) {
        for (slot, count) in other.slots() {
            self.add(slot, count);
        }
    }

    /// Each slot and its count, ascending.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (u16, i64)> {
        self.slots.iter().map(|(slot, count)| (*slot, *count))
    }

    /// The value that this share of all values does not exceed, to 1 %; shares go from 0 to 1. `None` without values.
    pub(crate) fn percentile(&self, share: f64) -> Option<f64> {
        let rank = share.clamp(0.0, 1.0) * self.total().checked_sub(1).filter(|last| *last >= 0)? as f64;
        let mut passed = 0_i64;
        let within = self.slots().find(|(_, count)| {
            passed = passed.saturating_add(*count);
            passed as f64 > rank.floor()
        });
        within.map(|(slot, _)| middle_of(slot))
    }

    /// How many values there are.
    pub(crate) fn total(&self) -> i64 {
        self.slots.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether it is what no set of values is.
    pub(crate) fn is_negative(&self) -> bool {
        self.slots.values().any(|count| *count < 0)
    }

    /// Whether nothing is counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

/// How the values of each measure of a set of calls are spread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spreads {
    counts: BTreeMap<Measure, Counts>,
}

impl Spreads {
    /// Adds the values of a measure.
    pub(crate) fn add(&mut self, measure: Measure, counts: &Counts) {
        if !counts.is_empty() {
            self.counts.entry(measure).or_default().add_all(counts);
        }
    }

    /// Whether it is what no set of calls has.
    pub(crate) fn is_negative(&self) -> bool {
        self.counts.values().any(Counts::is_negative)
    }

    /// How many values of a measure there are.
    pub fn count(&self, measure: Measure) -> u64 {
        self.counts.get(&measure).map_or(0, |counts| u64::try_from(counts.total()).unwrap_or(0))
    }

    /// The value in milliseconds that this share (from 0 to 1) of all values of a measure does not exceed: right to 1 %
    /// from a millisecond to a day. `None` without values.
    pub fn percentile(&self, measure: Measure, share: f64) -> Option<f64> {
        self.counts.get(&measure)?.percentile(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_end_beyond_a_day_and_their_middle_is_within_one_percent_of_all_they_hold() {
        let day = 24 * 3_600_000;
        assert!(BOUNDS[SLOTS - 1] >= day as f64 && BOUNDS[SLOTS - 3] < day as f64);
        for millis in (1..2_000).chain([59_999, 60_000, 3_600_000, day - 1, day]) {
            let off = (middle_of(slot_of(millis)) - millis as f64).abs() / millis as f64;
            assert!(off <= ERROR * 1.000_001, "{millis} ms is off by {off}");
        }
    }

    #[test]
    fn the_slots_are_those_on_disk() {
        let slots = [0, 1, 2, 3, 1_000, 60_000, 3_600_000, 86_400_000, u64::MAX].map(slot_of);
        assert_eq!(slots, [0, 1, 36, 56, 347, 552, 756, 915, 917]);
    }

    #[test]
    fn percentiles_are_of_the_lower_rank_and_none_without_values() {
        let mut counts = Counts::default();
        assert_eq!(counts.percentile(0.5), None);
        for millis in [0, 100, 200, 300] {
            counts.add(slot_of(millis), 1);
        }
        let percentiles = [0.0, 0.4, 0.5, 0.99, 1.0].map(|share| counts.percentile(share).unwrap().round());
        assert_eq!(percentiles, [0.0, 100.0, 100.0, 198.0, 302.0]);
        assert!(!counts.is_negative());
        counts.add(3, -1);
        assert!(counts.is_negative());
    }

    #[test]
    fn what_is_taken_back_leaves_nothing() {
        let mut counts = Counts::default();
        counts.add(5, 2);
        counts.add(9, 1);
        counts.add(5, -2);
        assert_eq!(counts.slots().collect::<Vec<_>>(), [(9, 1)]);
        counts.add(9, -1);
        assert!(counts.is_empty());
    }
}
