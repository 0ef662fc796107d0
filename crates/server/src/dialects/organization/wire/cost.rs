//! What a call costs, in this dialect's words: amounts in major units of the currency, written digit by digit.

use pegcount_calls::{Amount, Bill, BillItem, BillUnit, BilledProduct, Decimal, Direction};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// An exact decimal as a JSON number: its own digits, never those of a binary fraction near it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Exact(Decimal);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.0.normalize().to_string();
        RawValue::from_string(digits).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }
}

impl From<Amount> for Exact {
    fn from(amount: Amount) -> Self {
        Self(amount.to_decimal())
    }
}

/// The cost of a call in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationCostSum)]
pub(super) struct CostSum {
    #[schema(value_type = Option<f64>)]
    combined_cost: Option<Exact>,
}

/// The cost of a call that was asked for by its id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationCallCost)]
pub(super) struct CallCost<'a> {
    #[schema(value_type = Option<f64>)]
    combined_cost: Option<Exact>,
    product_costs: Vec<ProductCost<'a>>,
    total_duration_seconds: Option<u64>,
    #[schema(value_type = Option<f64>)]
    total_duration_unit_price: Option<Exact>,
    #[schema(value_type = Option<f64>)]
    total_one_time_price: Option<Exact>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationProductCost)]
struct ProductCost<'a> {
    product: &'a str,
    #[schema(value_type = f64)]
    cost: Exact,
    #[schema(value_type = Option<f64>)]
    unit_price: Option<Exact>,
}

impl From<&Bill> for CostSum {
    fn from(bill: &Bill) -> Self {
        Self { combined_cost: bill.total.map(Exact::from) }
    }
}

impl<'a> From<&'a Bill> for CallCost<'a> {
    fn from(bill: &'a Bill) -> Self {
        // The minute item is the duration's; all others together are the one-time price, so that the two always make
        // the sum, also when a later item corrects an earlier one.
        let by_minute = bill.items.iter().position(|item| item.unit == BillUnit::Minute);
        let others = bill.items.iter().enumerate().filter(|(place, _)| Some(*place) != by_minute);
        let one_time: Amount = others.map(|(_, item)| item.cost).sum();
        let minute_item = by_minute.and_then(|place| bill.items.get(place));
        Self {
            combined_cost: bill.total.map(Exact::from),
            product_costs: bill.items.iter().map(Into::into).collect(),
            total_duration_seconds: bill.minute_item_seconds(),
            total_duration_unit_price: minute_item.and_then(|item| item.unit_price).map(Exact),
            total_one_time_price: bill.total.map(|_| one_time.into()),
        }
    }
}

impl<'a> From<&'a BillItem> for ProductCost<'a> {
    fn from(item: &'a BillItem) -> Self {
        Self {
            product: match &item.product {
                BilledProduct::TalkTime(Direction::Inbound) => "inbound_call",
                BilledProduct::TalkTime(Direction::Outbound) => "outbound_call",
                BilledProduct::ConnectionFee => "connection_fee",
                BilledProduct::Named(name) => name,
            },
            cost: item.cost.into(),
            unit_price: item.unit_price.map(Exact),
        }
    }
}
