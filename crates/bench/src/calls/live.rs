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
    /// About so many calls in progress, and what has been told of each so far.
    ///
    /// # Errors
    /// When the maker says what the ledger does not take.
    pub fn begin(
        maker: &'a Maker,
        live: u64,
        mut so_far: impl FnMut(Events) -> Result<(), String>,
    ) -> Result<Self, String> {
        let lived: i64 = (0..SAMPLE).map(|number| maker.plan(number, 0).ended()).sum();
        let pace = lived as f64 / SAMPLE as f64 / live as f64;
        let mut calls = Self { maker, pace, opened: 0, under_way: HashMap::new(), next: BinaryHeap::new() };
        // Nothing that began before can still be going on. Calls that are over are passed by.
        let before = ((plan::LONGEST + 60_000) as f64 / pace) as u64;
        for number in 0..before {
            let begin = NOW - ((before - number) as f64 * pace) as i64;
            let plan = maker.plan(number, begin);
            calls.opened += 1;
            if plan.ended() <= NOW {
                continue;
            }
            let places: Vec<usize> =
                plan.moments().enumerate().filter(|(_, at)| *at <= NOW).map(|(place, _)| place).collect();
            let told = places.iter().filter_map(|place| plan.said(maker, *place)).map(|said| tell(&said));
            let told = told.collect::<Result<Vec<Told>, String>>()?;
            so_far(Events { number, organization: organization(&plan), told })?;
            calls.expect(plan, places.len());
        }
        Ok(calls)
    }

    /// How many calls are under way, those that only wait for an afterword included.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// The next event of all.
    ///
    /// # Errors
    /// When the maker says what the ledger does not take.
    pub fn next(&mut self) -> Result<Events, String> {
        let opens_at = NOW + ((self.opened_since_now() + 1) as f64 * self.pace) as i64;
        if self.next.peek().is_none_or(|Reverse((at, ..))| *at >= opens_at) {
            let plan = self.maker.plan(self.opened, opens_at);
            self.opened += 1;
            self.expect(plan, 0);
        }
        let Some(Reverse((_, number, place))) = self.next.pop() else { return Err("no call".to_owned()) };
        let plan = self.under_way.remove(&number).ok_or("a call that is not under way")?;
        let said = plan.said(self.maker, place).ok_or("an event that is not planned")?;
        let events = Events { number, organization: organization(&plan), told: vec![tell(&said)?] };
        self.expect(plan, place + 1);
        Ok(events)
    }

    fn opened_since_now(&self) -> u64 {
        self.opened - ((plan::LONGEST + 60_000) as f64 / self.pace) as u64
    }

    fn expect(&mut self, plan: Plan, place: usize) {
        let moment = plan.moments().nth(place);
        if let Some(at) = moment {
            self.next.push(Reverse((at, plan.number, place)));
            self.under_way.insert(plan.number, plan);
        }
    }
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
        let mut so_far = 0_usize;
        let begun = LiveCalls::begin(&maker, 2_000, |events| {
            so_far += 1;
            assert!(!events.told.is_empty());
            Ok(())
        });
        let mut calls = begun.unwrap();
        assert!((1_800..2_200).contains(&so_far), "{so_far}");
        let mut last = NOW;
        for _ in 0..20_000 {
            let events = calls.next().unwrap();
            let at = events.told[0].report.at.millis();
            assert!(at >= last, "{at} after {last}");
            last = at;
        }
        assert!((1_800..2_400).contains(&calls.under_way()), "{}", calls.under_way());
    }
}
