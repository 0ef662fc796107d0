//! Whole calls over a year, for filling a store.

use pegcount::vocabulary::Told;
use pegcount_calls::{Call, CallName, History, fold};

use super::{Maker, Plan, name, tell, year};

/// A call from its first to its last event.
pub struct Whole {
    /// How it goes.
    pub plan: Plan,
    /// Its name.
    pub name: CallName,
    /// Its events, in order.
    pub told: Vec<Told>,
    /// The fold of them.
    pub call: Call,
}

/// The calls of a year.
pub struct Calls<'a> {
    maker: &'a Maker,
    year: year::Year,
    count: u64,
}

impl<'a> Calls<'a> {
    /// So many calls over the year.
    pub fn of(maker: &'a Maker, count: u64) -> Self {
        Self { maker, year: year::Year::new(), count }
    }

    /// How the call of this number goes, from 0.
    pub fn plan(&self, number: u64) -> Plan {
        let begin = self.year.moment(number as f64 / self.count as f64).min(year::END - 1);
        self.maker.plan(number, begin)
    }

    /// The call of this number. What would happen after the year has not happened yet.
    ///
    /// # Errors
    /// When the maker says what the ledger does not take.
    pub fn call(&self, number: u64) -> Result<Whole, String> {
        let plan = self.plan(number);
        let told = (0..)
            .map_while(|place| plan.said(self.maker, place))
            .take_while(|said| said.at < year::END)
            .map(|said| tell(&said))
            .collect::<Result<Vec<Told>, String>>()?;
        let history = History::of(told.iter().map(|one| one.event.clone()));
        let call = history.as_ref().map(fold).ok_or("a call without events")?;
        Ok(Whole { name: name(number)?, plan, told, call })
    }
}
