//! What a call costs under a tariff.

use std::{collections::BTreeMap, time::Duration};

use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

use crate::{Amount, Call, CostItem, Decimal, Direction, Price};

/// What an organization pays. It is kept with the calls that it prices: fields are only added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tariff {
    /// Prices of calls; the longest prefix of the called number decides.
    pub rates: Vec<Rate>,
    /// Prices of products that a source counts but does not price, each per its unit.
    pub products: BTreeMap<String, Decimal>,
}

/// The price of calls to numbers with one prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// What the called number begins with; empty: every number.
    pub prefix: String,
    /// Calls of one direction only; `None`: of both.
    pub direction: Option<Direction>,
    /// The price of a minute.
    pub per_minute: Decimal,
    /// The price of every answered call.
    pub connection_fee: Decimal,
    /// How talk time is rounded up.
    pub increments: Increments,
}

/// How talk time is rounded up to what is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Increments {
    /// Seconds that are billed at least.
    pub initial_seconds: u32,
    /// Seconds in which it goes on after that.
    pub following_seconds: u32,
}

impl Default for Increments {
    /// By the second.
    fn default() -> Self {
        Self { initial_seconds: 1, following_seconds: 1 }
    }
}

/// What one call costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bill {
    /// The talk time, rounded up to the rate's increments; `None` while the call lives, 0 unanswered.
    pub billed_seconds: Option<u64>,
    /// What it is made of.
    pub items: Vec<BillItem>,
    /// The sum; `None` until a cost or a rate applies.
    pub total: Option<Amount>,
}

/// What one call costs in all: a bill without its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    /// [`Bill::billed_seconds`].
    pub billed_seconds: Option<u64>,
    /// [`Bill::total`].
    pub total: Option<Amount>,
}

impl From<&Bill> for Charge {
    fn from(bill: &Bill) -> Self {
        Self { billed_seconds: bill.billed_seconds, total: bill.total }
    }
}

/// The costs that the source of a call reported, as far as one tariff has added them up.
#[derive(Clone, Copy, Debug, Default)]
pub struct CostTally {
    /// How many are added up: the first ones of [`crate::Content::costs`].
    counted: usize,
    /// What those that are billed cost.
    total: Option<Amount>,
    /// Whether the source prices its own items.
    source_prices: bool,
}

/// One item of a bill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BillItem {
    /// What was used.
    pub product: BilledProduct,
    /// What the quantity counts.
    pub unit: BillUnit,
    /// Its cost.
    pub cost: Amount,
    /// The price of one unit, where known.
    pub unit_price: Option<Decimal>,
    /// How many units, where known.
    pub quantity: Option<Decimal>,
}

/// What a bill item is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BilledProduct {
    /// The minutes of the call, by the tariff.
    TalkTime(Direction),
    /// The fee of an answered call, by the tariff.
    ConnectionFee,
    /// A product the source named.
    Named(String),
}

/// What the quantity of a bill item counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BillUnit {
    /// Minutes.
    Minute,
    /// Items.
    Item,
}

impl Increments {
    /// The seconds billed for a talk time.
    pub fn billed_seconds(self, talk: Duration) -> u64 {
        let seconds = talk.as_secs() + u64::from(talk.subsec_nanos() > 0);
        let (initial, following) =
            (u64::from(self.initial_seconds), u64::from(self.following_seconds.max(1)));
        match seconds {
            0 => 0,
            short if short <= initial => initial,
            long => initial + (long - initial).div_ceil(following) * following,
        }
    }
}

impl Call {
    /// Whether any tariff bills the two alike: the same number called, time talked, items reported.
    pub fn is_billed_like(&self, other: &Self) -> bool {
        self.direction == other.direction
            && self.to_number == other.to_number
            && self.talk_time() == other.talk_time()
            && self.content.costs == other.content.costs
    }
}

impl Tariff {
    /// The bill of a call: what its source charged, else what the tariff says.
    ///
    /// A source that prices its own items knows its costs, so then no rate is applied to the minutes. One that only
    /// corrects, with negative amounts, corrects what the tariff says.
    pub fn bill(&self, call: &Call) -> Bill {
        let costs = &call.content.costs;
        let mut items: Vec<BillItem> = costs.iter().filter_map(|item| self.bill_reported(item)).collect();
        let source_prices = costs.iter().any(|item| self.is_priced_by_source(item));
        let (billed_seconds, rated) = self.rate(call, source_prices);
        items.extend(rated);
        let total = (!items.is_empty()).then(|| items.iter().map(|item| item.cost).sum());
        Bill { billed_seconds, items, total }
    }

    /// The total of [`Tariff::bill`]. Adds up only the costs that `tally` lacks, so the cost of one more does not grow with
    /// their number. Each tally belongs to one call, whose costs have only been appended to, and to one tariff.
    pub fn charge(&self, call: &Call, tally: &mut CostTally) -> Charge {
        let costs = &call.content.costs;
        for item in costs.get(tally.counted..).unwrap_or_default() {
            if let Some(billed) = self.bill_reported(item) {
                tally.total = Some(tally.total.unwrap_or(Amount::ZERO) + billed.cost);
            }
            tally.source_prices |= self.is_priced_by_source(item);
        }
        tally.counted = costs.len();
        let (billed_seconds, rated) = self.rate(call, tally.source_prices);
        let add = |total: Option<Amount>, item: &BillItem| Some(total.unwrap_or(Amount::ZERO) + item.cost);
        Charge { billed_seconds, total: rated.iter().fold(tally.total, add) }
    }

    /// The billed seconds of a call, and its items by the tariff's rate.
    fn rate(&self, call: &Call, source_prices: bool) -> (Option<u64>, Vec<BillItem>) {
        let rate = self.rate_of(call);
        let increments = rate.map(|rate| rate.increments).unwrap_or_default();
        let billed_seconds = call.talk_time().map(|talk| increments.billed_seconds(talk));
        let applies = rate.zip(billed_seconds).filter(|_| !source_prices);
        let items = applies.map(|(rate, seconds)| rate.items(call.direction, seconds)).unwrap_or_default();
        (billed_seconds, items)
    }

    /// Whether an item shows that the source knows its costs.
    fn is_priced_by_source(&self, item: &CostItem) -> bool {
        let priced = !matches!(item.price, Price::Counted { .. });
        priced && self.bill_reported(item).is_none_or(|item| item.cost >= Amount::ZERO)
    }

    fn rate_of(&self, call: &Call) -> Option<&Rate> {
        let number = call.to_number.as_deref().unwrap_or_default();
        self.rates
            .iter()
            .filter(|rate| rate.direction.is_none_or(|direction| direction == call.direction))
            .filter(|rate| number.starts_with(&rate.prefix))
            .max_by_key(|rate| (rate.prefix.len(), rate.direction.is_some()))
    }

    fn bill_reported(&self, item: &CostItem) -> Option<BillItem> {
        let (cost, unit_price, quantity) = match &item.price {
            Price::Stated { amount, unit_price, quantity } => (*amount, *unit_price, *quantity),
            Price::Each { unit_price, quantity } => {
                (product_of(*unit_price, *quantity)?, Some(*unit_price), Some(*quantity))
            }
            Price::Counted { quantity } => {
                let unit_price = self.products.get(&item.product)?;
                (product_of(*unit_price, *quantity)?, Some(*unit_price), Some(*quantity))
            }
        };
        let unit = if item.per_minute { BillUnit::Minute } else { BillUnit::Item };
        Some(BillItem {
            product: BilledProduct::Named(item.product.clone()),
            unit,
            cost,
            unit_price,
            quantity,
        })
    }
}

/// Price times quantity; `None` beyond what an amount holds, which the way in does not let pass.
fn product_of(unit_price: Decimal, quantity: Decimal) -> Option<Amount> {
    Amount::from_decimal(unit_price.checked_mul(quantity)?).ok()
}

impl Rate {
    fn items(&self, direction: Direction, billed_seconds: u64) -> Vec<BillItem> {
        let mut items = Vec::new();
        if billed_seconds == 0 {
            return items;
        }
        let minutes = Decimal::from(billed_seconds) / Decimal::from(60);
        // Multiplied before it is divided: a third of a minute has no exact decimal.
        let cost = self
            .per_minute
            .checked_mul(Decimal::from(billed_seconds))
            .and_then(|seconds| Amount::from_decimal(seconds / Decimal::from(60)).ok());
        if let Some(cost) = cost {
            items.push(BillItem {
                product: BilledProduct::TalkTime(direction),
                unit: BillUnit::Minute,
                cost,
                unit_price: Some(self.per_minute),
                quantity: Some(minutes.round_dp(12)),
            });
        }
        if !self.connection_fee.is_zero()
            && let Ok(cost) = Amount::from_decimal(self.connection_fee)
        {
            items.push(BillItem {
                product: BilledProduct::ConnectionFee,
                unit: BillUnit::Item,
                cost,
                unit_price: Some(self.connection_fee),
                quantity: Some(Decimal::ONE),
            });
        }
        items
    }
}

impl Bill {
    /// Minutes billed by the minute items, in whole seconds (contract, organization dialect: quantity x 60).
    pub fn minute_item_seconds(&self) -> Option<u64> {
        let item = self.items.iter().find(|item| item.unit == BillUnit::Minute)?;
        item.quantity?.checked_mul(Decimal::from(60))?.round().to_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn billed(initial_seconds: u32, following_seconds: u32, talk_millis: u64) -> u64 {
        Increments { initial_seconds, following_seconds }.billed_seconds(Duration::from_millis(talk_millis))
    }

    #[test]
    fn talk_time_is_rounded_up_to_the_increments_and_nothing_is_billed_for_nothing() {
        assert_eq!(billed(1, 1, 0), 0);
        assert_eq!(billed(1, 1, 5_001), 6);
        assert_eq!(billed(60, 6, 1), 60);
        assert_eq!(billed(60, 6, 60_000), 60);
        assert_eq!(billed(60, 6, 60_001), 66);
        assert_eq!(billed(60, 60, 924_000), 960);
        assert_eq!(billed(0, 0, 5_500), 6);
    }
}
