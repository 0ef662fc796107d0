//! Stretches of the calendar of a time zone.

use jiff::{Span, ToSpan, Unit, Zoned, ZonedRound, civil::Weekday, tz::TimeZone};
use pegcount_calls::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{access::Refusal, web::query::Params};

/// Most buckets in one answer.
pub(super) const MOST_BUCKETS: usize = 1000;

/// How long a bucket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    /// An hour.
    Hour,
    /// A day of the time zone; 23 or 25 hours when the clocks change.
    Day,
    /// A week from Monday on (ISO 8601).
    Week,
    /// A month of the calendar.
    Month,
}

impl Interval {
    /// The one that is asked for, if any is.
    pub(super) fn asked(params: &Params) -> Result<Option<Self>, Refusal> {
        match params.get("interval") {
            None => Ok(None),
            Some("hour") => Ok(Some(Self::Hour)),
            Some("day") => Ok(Some(Self::Day)),
            Some("week") => Ok(Some(Self::Week)),
            Some("month") => Ok(Some(Self::Month)),
            Some(_) => Err(Refusal::invalid("interval", "must be hour, day, week or month")),
        }
    }

    /// Where buckets begin and end: at full hours, days, weeks or months of the zone, the first and the last cut to what
    /// was asked for.
    pub(super) fn bounds(
        self,
        from: Timestamp,
        to: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<Timestamp>, Refusal> {
        let mut bounds = vec![from];
        if from >= to {
            return Ok(bounds);
        }
        let mut begins = self.begins_after(from, zone)?;
        loop {
            let begin = begins()?;
            bounds.push(begin.min(to));
            if begin >= to {
                return Ok(bounds);
            }
            if bounds.len() > MOST_BUCKETS {
                let message = format!(
                    "must leave at most {MOST_BUCKETS} buckets; use a longer interval or a later start"
                );
                return Err(Refusal::invalid("from_date", message));
            }
        }
    }

    /// Gives where each bucket after the one of this moment begins.
    fn begins_after(
        self,
        from: Timestamp,
        zone: &TimeZone,
    ) -> Result<impl FnMut() -> Result<Timestamp, Refusal>, Refusal> {
        let beyond = |_| Refusal::invalid("from_date", "must lie within the calendar");
        let from: Zoned =
            jiff::Timestamp::from_millisecond(from.millis()).map_err(beyond)?.to_zoned(zone.clone());
        let hour = from.round(ZonedRound::new().smallest(Unit::Hour).mode(jiff::RoundMode::Trunc));
        let hour = hour.map_err(beyond)?;
        let date = from.date();
        let (date, step): (_, Span) = match self {
            Self::Hour | Self::Day => (date, 1.day()),
            Self::Week => {
                (date.checked_sub(date.weekday().since(Weekday::Monday).days()).map_err(beyond)?, 1.week())
            }
            Self::Month => (date.first_of_month(), 1.month()),
        };
        let zone = zone.clone();
        let mut passed = 0_i64;
        Ok(move || {
            passed += 1;
            let begin = match self {
                Self::Hour => hour.checked_add(passed.hours()),
                // By dates, since a day may begin at one o'clock, or have two midnights.
                Self::Day | Self::Week | Self::Month => {
                    date.checked_add(passed * step).and_then(|date| date.to_zoned(zone.clone()))
                }
            };
            Ok(Timestamp::from_millis(begin.map_err(beyond)?.timestamp().as_millisecond()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::time::{format_rfc3339, parse_rfc3339};

    fn starts(interval: Interval, from: &str, to: &str, zone: &str) -> Vec<String> {
        let at = |text| parse_rfc3339(text).unwrap();
        let bounds = interval.bounds(at(from), at(to), &TimeZone::get(zone).unwrap()).unwrap();
        bounds.into_iter().map(format_rfc3339).collect()
    }

    #[test]
    fn days_follow_the_zone_when_the_clocks_change() {
        assert_eq!(
            starts(Interval::Day, "2025-03-29T00:00:00+01:00", "2025-04-01T00:00:00+02:00", "Europe/Berlin"),
            ["2025-03-28T23:00:00Z", "2025-03-29T23:00:00Z", "2025-03-30T22:00:00Z", "2025-03-31T22:00:00Z"]
        );
    }

    #[test]
    fn the_first_and_the_last_bucket_are_cut_to_what_was_asked_for() {
        assert_eq!(
            starts(Interval::Hour, "2025-01-10T10:20:00Z", "2025-01-10T12:05:00Z", "UTC"),
            ["2025-01-10T10:20:00Z", "2025-01-10T11:00:00Z", "2025-01-10T12:00:00Z", "2025-01-10T12:05:00Z"]
        );
    }

    #[test]
    fn a_day_begins_when_its_date_does_even_without_a_midnight_or_with_two() {
        // In Beirut midnight was skipped.
        assert_eq!(
            starts(Interval::Day, "2021-03-26T22:00:00Z", "2021-03-29T21:00:00Z", "Asia/Beirut"),
            ["2021-03-26T22:00:00Z", "2021-03-27T22:00:00Z", "2021-03-28T21:00:00Z", "2021-03-29T21:00:00Z"]
        );
        // In Havana the hour after midnight came twice.
        assert_eq!(
            starts(Interval::Day, "2021-11-06T04:00:00Z", "2021-11-09T05:00:00Z", "America/Havana"),
            ["2021-11-06T04:00:00Z", "2021-11-07T04:00:00Z", "2021-11-08T05:00:00Z", "2021-11-09T05:00:00Z"]
        );
    }

    #[test]
    fn weeks_begin_on_monday_and_months_on_their_first() {
        assert_eq!(
            starts(Interval::Week, "2025-01-01T00:00:00Z", "2025-01-15T00:00:00Z", "UTC"),
            ["2025-01-01T00:00:00Z", "2025-01-06T00:00:00Z", "2025-01-13T00:00:00Z", "2025-01-15T00:00:00Z"]
        );
        assert_eq!(
            starts(Interval::Month, "2024-01-31T12:00:00Z", "2024-04-01T00:00:00Z", "America/New_York"),
            ["2024-01-31T12:00:00Z", "2024-02-01T05:00:00Z", "2024-03-01T05:00:00Z", "2024-04-01T00:00:00Z"]
        );
    }

    #[test]
    fn an_hour_is_as_long_when_the_clocks_change_by_half_of_one() {
        assert_eq!(
            starts(Interval::Hour, "2025-04-05T14:00:00Z", "2025-04-05T17:00:00Z", "Australia/Lord_Howe"),
            ["2025-04-05T14:00:00Z", "2025-04-05T15:00:00Z", "2025-04-05T16:00:00Z", "2025-04-05T17:00:00Z"]
        );
    }

    #[test]
    fn too_many_buckets_are_refused_and_the_end_of_the_calendar_is_no_panic() {
        let refused = |interval: Interval, from: i64| {
            interval.bounds(Timestamp::from_millis(from), Timestamp::from_millis(i64::MAX), &TimeZone::UTC)
        };
        assert!(refused(Interval::Hour, 0).is_err());
        for interval in [Interval::Hour, Interval::Day, Interval::Week, Interval::Month] {
            assert!(refused(interval, jiff::Timestamp::MAX.as_millisecond()).is_err());
            assert!(refused(interval, i64::MAX - 1).is_err());
            assert!(refused(interval, i64::MIN).is_err());
        }
    }
}
