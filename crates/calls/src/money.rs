//! Money and the exact decimals it is made of. No binary fraction comes near it.

use std::{iter::Sum, ops::Add};

use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};

/// A price or a quantity, exact.
pub use rust_decimal::Decimal;

/// An amount of money in the organization's currency, in units of 10^-9 of its major unit (contract, events.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Amount(i64);

/// Why a decimal is no usable price, quantity or amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not the text of a decimal number.
    #[error("must be a decimal number")]
    NotADecimal,
    /// Beyond what one item of a bill may hold.
    #[error("must lie between -1000000 and 1000000 and have at most 12 decimal places")]
    OutOfRange,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// How many of these units make one major unit of the currency.
    pub const PER_MAJOR_UNIT: i64 = 1_000_000_000;
    /// The largest amount one item may have, either way. A sum stops at nine billion, which no call costs.
    const LARGEST_MAJOR: i64 = 1_000_000;

    /// So many units of 10^-9.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// In units of 10^-9.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// The amount of a decimal in major units, rounded half away from zero at the ninth place.
    ///
    /// # Errors
    /// [`MoneyError::OutOfRange`] beyond ±1,000,000 major units.
    pub fn from_decimal(major: Decimal) -> Result<Self, MoneyError> {
        if major.abs() > Decimal::from(Self::LARGEST_MAJOR) {
            return Err(MoneyError::OutOfRange);
        }
        let nanos = (major * Decimal::from(Self::PER_MAJOR_UNIT))
            .round_dp_with_strategy(0, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        nanos.to_i64().map(Self).ok_or(MoneyError::OutOfRange)
    }

    /// As a decimal in major units, without trailing zeros.
    pub fn to_decimal(self) -> Decimal {
        Decimal::new(self.0, 9).normalize()
    }

    /// Whole cents (hundredths of the major unit) of a sum of amounts, rounded half up, once, here
    /// (contract, v1 statistics). Takes the sum wide, since that of all calls may not fit one amount.
    pub fn cents_of(nanos: i128) -> i64 {
        const PER_CENT: i128 = Amount::PER_MAJOR_UNIT as i128 / 100;
        let cents = (nanos + PER_CENT / 2).div_euclid(PER_CENT);
        i64::try_from(cents).unwrap_or(if cents < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whole cents of this amount, rounded half up.
    pub fn cents(self) -> i64 {
        Self::cents_of(i128::from(self.0))
    }
}

impl Add for Amount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::ZERO, Add::add)
    }
}

/// Reads a price or a quantity from its decimal text, `1e-3` included.
///
/// # Errors
/// [`MoneyError::NotADecimal`], or [`MoneyError::OutOfRange`] beyond ±1,000,000 or twelve decimal places: within these
/// a product of two is still exact.
pub fn parse_decimal(text: &str) -> Result<Decimal, MoneyError> {
    if text.len() > 64 {
        return Err(MoneyError::NotADecimal);
    }
    let value = Decimal::from_str_exact(text)
        .or_else(|_| Decimal::from_scientific(text))
        .map_err(|_| MoneyError::NotADecimal)?
        .normalize();
    if value.abs() > Decimal::from(Amount::LARGEST_MAJOR) || value.scale() > 12 {
        return Err(MoneyError::OutOfRange);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Amount {
        Amount::from_decimal(parse_decimal(text).unwrap()).unwrap()
    }

    #[test]
    fn a_decimal_is_taken_exactly_and_given_back_without_trailing_zeros() {
        assert_eq!(amount("0.1").nanos() + amount("0.2").nanos(), amount("0.3").nanos());
        assert_eq!(amount("0.10").to_decimal().to_string(), "0.1");
        assert_eq!(amount("1e-3").nanos(), 1_000_000);
        assert_eq!(amount("-0.0000000005").nanos(), -1);
    }

    #[test]
    fn cents_round_half_up_also_below_zero() {
        assert_eq!(amount("0.125").cents(), 13);
        assert_eq!(amount("0.1249").cents(), 12);
        assert_eq!(amount("-0.125").cents(), -12);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        assert_eq!(parse_decimal("free"), Err(MoneyError::NotADecimal));
        assert_eq!(parse_decimal("1e400"), Err(MoneyError::NotADecimal));
        assert_eq!(parse_decimal("1000001"), Err(MoneyError::OutOfRange));
        assert_eq!(parse_decimal("0.0000000000001"), Err(MoneyError::OutOfRange));
        assert_eq!(parse_decimal("NaN"), Err(MoneyError::NotADecimal));
    }
}
