//! Many calls under way at a time, told event by event in the order of time.
//!
//! A ledger that keeps few calls in progress writes the same few pages again and again, which flatters it. So as many
//! are under way here as a given number of live calls means, from the first event on.

use std::{cmp::Reverse, collections::BinaryHeap, collections::HashMap};

use pegcount::{
    intake::{CallReference, Incoming},
    vocabulary::Told,
};
use pegcount_store::OrganizationNumber;

use super::{Maker, Plan, name, plan, source, tell, year};

/// The moment from which on events are told one by one.
const NOW: i64 = year::BEGIN + 200 * year::DAY + 10 * 3_600_000;
/// How many calls are looked at to learn how long one lives.
const SAMPLE: u64 = 4_000;

/// Calls under way.
pub struct LiveCalls<'a> {
    maker: &'a Maker,
    /// Milliseconds between two begins.
    pace: f64,
    /// How many calls began before the events are told one by one, and how many have begun.
    before: u64,
    opened: u64,
    under_way: HashMap<u64, Plan>,
    /// What happens next: when, in which call, its how manieth event.
    next: BinaryHeap<Reverse<(i64, u64, usize)>>,
}

/// Events of one call, ready for the intake.
pub struct Events {
    /// The call's number.
    pub number: u64,
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// The events.
    pub told: Vec<Told>,
}

impl Events {
    /// As a source hands them to the intake.
    ///
    /// # Errors
    /// Never, unless the alphabet of names changes.
    pub fn incoming(&self) -> Result<Incoming, String> {
        Ok(Incoming {
            organization: self.organization,
            source: source(),
            call: CallReference::Named(name(self.number)?),
            told: self.told.clone(),
        })
    }
}

impl<'a> LiveCalls<'a> {
    /// About so many calls in progress; what has happened in each so far is told by [`Self::so_far`].
    pub fn begin(maker: &'a Maker, live: u64) -> Self {
        let lived: i64 = (0..SAMPLE).map(|number| maker.plan(number, 0).ended()).sum();
        let pace = lived as f64 / SAMPLE as f64 / live as f64;
        // Nothing that began before can still be going on. Calls that are over are passed by.
        let before = ((plan::LONGEST + 60_000) as f64 / pace) as u64;
        let mut calls =
            Self { maker, pace, before, opened: before, under_way: HashMap::new(), next: BinaryHeap::new() };
        for number in 0..before {
            let begin = NOW - ((before - number) as f64 * pace) as i64;
            let plan = maker.plan(number, begin);
            if plan.ended() > NOW {
                let place = happened(&plan);
                calls.await_next(plan, place);
            }
        }
        calls
    }

    /// The calls that are in progress at the begin, in the order in which they began.
    pub fn in_progress(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> = self.under_way.keys().copied().collect();
        numbers.sort_unstable();
        numbers
    }

    /// What had happened in a call at the begin.
    ///
    /// # Errors
    /// When the maker says what the ledger does not take, or there is no such call.
    pub fn so_far(&self, number: u64) -> Result<Events, String> {
        let plan = self.under_way.get(&number).ok_or("a call that is not under way")?;
        let said = (0..happened(plan)).filter_map(|place| plan.said(self.maker, place));
        let told = said.map(|said| tell(&said)).collect::<Result<Vec<Told>, String>>()?;
        Ok(Events { number, organization: organization(plan), told })
    }

    /// The next event of all.
    ///
    /// # Errors
    /// When the maker says what the ledger does not take.
    pub fn next(&mut self) -> Result<Events, String> {
        let opens_at = NOW + ((self.opened - self.before + 1) as f64 * self.pace) as i64;
        if self.next.peek().is_none_or(|Reverse((at, ..))| *at >= opens_at) {
            let plan = self.maker.plan(self.opened, opens_at);
            self.opened += 1;
            self.await_next(plan, 0);
        }
        let Some(Reverse((_, number, place))) = self.next.pop() else { return Err("no call".to_owned()) };
        let plan = self.under_way.remove(&number).ok_or("a call that is not under way")?;
        let said = plan.said(self.maker, place).ok_or("an event that is not planned")?;
        let events = Events { number, organization: organization(&plan), told: vec![tell(&said)?] };
        self.await_next(plan, place + 1);
        Ok(events)
    }

    fn await_next(&mut self, plan: Plan, place: usize) {
        let moment = plan.moments().nth(place);
        if let Some(at) = moment {
            self.next.push(Reverse((at, plan.number, place)));
            self.under_way.insert(plan.number, plan);
        }
    }
}

/// How many of a call's events had happened at the begin.
fn happened(plan: &Plan) -> usize {
    plan.moments().filter(|at| *at <= NOW).count()
}

fn organization(plan: &Plan) -> OrganizationNumber {
    OrganizationNumber(i64::try_from(plan.organization).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_calls_are_in_progress_as_were_asked_for_and_stay_so() {
        let maker = Maker::new(1, 100);
        let mut calls = LiveCalls::begin(&maker, 2_000);
        let numbers = calls.in_progress();
        assert!((1_800..2_200).contains(&numbers.len()), "{}", numbers.len());
        assert!(numbers.iter().all(|number| !calls.so_far(*number).unwrap().told.is_empty()));
        let mut last = NOW;
        for _ in 0..20_000 {
            let events = calls.next().unwrap();
            let at = events.told[0].report.at.millis();
            assert!(at >= last, "{at} after {last}");
            last = at;
        }
        assert!((1_800..2_400).contains(&calls.in_progress().len()), "{}", calls.in_progress().len());
    }
}
