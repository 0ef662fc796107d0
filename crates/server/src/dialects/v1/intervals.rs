//! Stretches of the calendar of a time zone.

use jiff::{
    Span, ToSpan,
    civil::{Date, Weekday},
    tz::TimeZone,
};
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
    /// An hour of the clock; one in which the clocks change is cut there.
    Hour,
    /// A day of the time zone; 23 or 25 hours when the clocks change. A date that a zone left out has no bucket.
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
    /// was asked for. Each is later than the one before.
    pub(super) fn bounds(
        self,
        from: Timestamp,
        to: Timestamp,
        zone: &TimeZone,
    ) -> Result<Vec<Timestamp>, Refusal> {
        let mut bounds = vec![from];
        let mut last = from;
        let dates = self.dates(from, zone)?;
        for passed in 1.. {
            if last >= to {
                break;
            }
            if bounds.len() > MOST_BUCKETS {
                let message = format!(
                    "must leave at most {MOST_BUCKETS} buckets; use a longer interval or a later start"
                );
                return Err(Refusal::invalid("from_date", message));
            }
            let begin = match dates {
                None => next_hour(last, zone)?,
                Some((first, step)) => begin_of(first, passed * step, zone)?,
            };
            // A date that the zone left out begins with the next one, and one that the clocks came back to began before.
            if begin > last {
                last = begin;
                bounds.push(begin.min(to));
            }
        }
        Ok(bounds)
    }

    /// The date that the bucket of this moment begins with, and how far it is from one to the next; `None` for hours.
    fn dates(self, from: Timestamp, zone: &TimeZone) -> Result<Option<(Date, Span)>, Refusal> {
        let date = instant(from)?.to_zoned(zone.clone()).date();
        Ok(match self {
            Self::Hour => None,
            Self::Day => Some((date, 1.day())),
            Self::Week => {
                let days = date.weekday().since(Weekday::Monday).days();
                Some((date.checked_sub(days).map_err(beyond)?, 1.week()))
            }
            Self::Month => Some((date.first_of_month(), 1.month())),
        })
    }
}

fn beyond(_: jiff::Error) -> Refusal {
    Refusal::invalid("from_date", "must lie within the calendar")
}

fn instant(at: Timestamp) -> Result<jiff::Timestamp, Refusal> {
    jiff::Timestamp::from_millisecond(at.millis()).map_err(beyond)
}

/// When the date this far after another one begins; where it has no midnight, or two, at its first moment.
fn begin_of(date: Date, passed: Span, zone: &TimeZone) -> Result<Timestamp, Refusal> {
    let begin = date.checked_add(passed).and_then(|date| date.to_zoned(zone.clone())).map_err(beyond)?;
    Ok(Timestamp::from_millis(begin.timestamp().as_millisecond()))
}

/// The next full hour on the clock, or when the clocks change, if that is earlier: a change by half an hour would leave all
/// hours after it half an hour off.
fn next_hour(at: Timestamp, zone: &TimeZone) -> Result<Timestamp, Refusal> {
    const HOUR_MILLIS: i64 = 3_600_000;
    let now = instant(at)?;
    let offset = zone.to_offset(now);
    let clock = at.plus_millis(i64::from(offset.seconds()) * 1000).millis();
    let full = instant(at.plus_millis(HOUR_MILLIS - clock.rem_euclid(HOUR_MILLIS)))?;
    let changes = zone.following(now).take_while(|change| change.timestamp() < full);
    let change = changes.filter(|change| change.offset() != offset).map(|change| change.timestamp()).next();
    Ok(Timestamp::from_millis(change.unwrap_or(full).as_millisecond()))
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
    fn hours_are_full_again_after_the_clocks_changed_by_half_of_one() {
        // At 02:00 it was 01:30 again.
        assert_eq!(
            starts(Interval::Hour, "2025-04-05T14:00:00Z", "2025-04-05T17:30:00Z", "Australia/Lord_Howe"),
            [
                "2025-04-05T14:00:00Z",
                "2025-04-05T15:00:00Z",
                "2025-04-05T15:30:00Z",
                "2025-04-05T16:30:00Z",
                "2025-04-05T17:30:00Z"
            ]
        );
        // At 02:00 it was 02:30.
        assert_eq!(
            starts(Interval::Hour, "2025-10-04T14:30:00Z", "2025-10-04T17:00:00Z", "Australia/Lord_Howe"),
            ["2025-10-04T14:30:00Z", "2025-10-04T15:30:00Z", "2025-10-04T16:00:00Z", "2025-10-04T17:00:00Z"]
        );
    }

    #[test]
    fn a_date_that_a_zone_left_out_has_no_bucket() {
        let days = starts(Interval::Day, "2011-12-29T10:00:00Z", "2011-12-31T10:00:00Z", "Pacific/Apia");
        assert_eq!(days, ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
    }

    /// Zones that change their clocks in every way there is: by half an hour, at midnight, before and after it, by a whole
    /// day, in the month of Ramadan, and not at all.
    const ZONES: [&str; 20] = [
        "UTC",
        "Europe/Berlin",
        "Europe/Dublin",
        "America/New_York",
        "America/St_Johns",
        "America/Havana",
        "America/Sao_Paulo",
        "America/Caracas",
        "America/Nuuk",
        "America/Scoresbysund",
        "Asia/Beirut",
        "Asia/Gaza",
        "Asia/Kathmandu",
        "Asia/Pyongyang",
        "Africa/Casablanca",
        "Australia/Lord_Howe",
        "Pacific/Apia",
        "Pacific/Chatham",
        "Pacific/Kiritimati",
        "Pacific/Kwajalein",
    ];

    /// Four days around each change of a zone's clocks from 1990 to 2037, begun at an odd minute.
    fn around_changes(zone: &TimeZone) -> impl Iterator<Item = [Timestamp; 2]> {
        let begin = jiff::civil::date(1990, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp();
        let changes =
            zone.following(begin).map(|change| Timestamp::from_millis(change.timestamp().as_millisecond()));
        let until = parse_rfc3339("2037-12-31T00:00:00Z").unwrap();
        let all: Vec<_> = changes.take_while(|at| *at < until).collect();
        let days = |days: i64| days * 86_400_000 + 37 * 60_000;
        all.into_iter().chain([until]).map(move |at| [at.plus_millis(days(-3)), at.plus_millis(days(1))])
    }

    fn local(at: Timestamp, zone: &TimeZone) -> jiff::Zoned {
        instant(at).unwrap().to_zoned(zone.clone())
    }

    #[test]
    fn each_bucket_of_hours_lies_within_one_hour_of_the_clock() {
        for name in ZONES {
            let zone = TimeZone::get(name).unwrap();
            for [from, to] in around_changes(&zone) {
                let bounds = Interval::Hour.bounds(from, to, &zone).unwrap();
                assert_eq!((bounds.first(), bounds.last()), (Some(&from), Some(&to)), "{name}");
                for bucket in bounds.windows(2) {
                    assert!(bucket[0] < bucket[1], "{name} {bucket:?}");
                    let hour = |at| {
                        let local = local(at, &zone);
                        (local.date(), local.hour(), local.offset())
                    };
                    assert_eq!(hour(bucket[0]), hour(bucket[1].plus_millis(-1)), "{name} {bucket:?}");
                }
            }
        }
    }

    #[test]
    fn each_date_that_a_zone_has_is_one_bucket_of_days() {
        for name in ZONES {
            let zone = TimeZone::get(name).unwrap();
            for [from, to] in around_changes(&zone) {
                let bounds = Interval::Day.bounds(from, to, &zone).unwrap();
                assert_eq!((bounds.first(), bounds.last()), (Some(&from), Some(&to)), "{name}");
                assert!(bounds.windows(2).all(|bucket| bucket[0] < bucket[1]), "{name} {bounds:?}");
                let minutes = (from.millis()..to.millis()).step_by(60_000);
                let dates: std::collections::BTreeSet<_> =
                    minutes.map(|at| local(Timestamp::from_millis(at), &zone).date()).collect();
                assert_eq!(bounds.len() - 1, dates.len(), "{name} {dates:?} {bounds:?}");
                for begin in &bounds[1..bounds.len() - 1] {
                    let [before, after] = [begin.plus_millis(-1), *begin].map(|at| local(at, &zone).date());
                    assert!(before < after, "{name} {before} {after}");
                }
            }
        }
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
