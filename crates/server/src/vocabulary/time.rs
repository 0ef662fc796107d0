//! Times in words.

use pegcount_calls::Timestamp;

use super::Rejection;

/// 1990-01-01T00:00:00Z: nothing that this program counts happened before it (contract, events.md).
const EARLIEST: Timestamp = Timestamp::from_millis(631_152_000_000);
/// How far ahead a source's clock may run (contract, events.md): 24 h.
const LONGEST_AHEAD_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// Reads an RFC 3339 time. A space where the offset's sign belongs is read as `+`, since that is what a query string
/// makes of it. What is finer than a millisecond is cut off, and a leap second (`:60`) is read as the second before it.
pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    if text.len() > 40 {
        return None;
    }
    let mended;
    let text = match text.rsplit_once(' ') {
        Some((time, offset)) if time.contains(['T', 't']) => {
            mended = format!("{time}+{offset}");
            &mended
        }
        _ => text,
    };
    if !has_real_offset(text) {
        return None;
    }
    match text.parse::<jiff::Timestamp>() {
        Ok(instant) => Some(Timestamp::from_millis(floor_millis(instant))),
        Err(_) => last_days(text),
    }
}

/// Whether the offset, if there is one, has fewer than 24 hours (RFC 3339, section 5.6): the calendar takes more.
pub fn has_real_offset(text: &str) -> bool {
    let time = text.find([':', 'T', 't']).and_then(|begin| text.get(begin..)).unwrap_or_default();
    let time = time.split('[').next().unwrap_or_default();
    let hours = time.rfind(['+', '-']).and_then(|sign| time.get(sign + 1..sign + 3)?.parse::<u8>().ok());
    hours.is_none_or(|hours| hours < 24)
}

/// The last full second that the calendar has: 9999-12-30T22:00:00Z.
pub const LAST: Timestamp = Timestamp::from_millis(253_402_207_200_000);

/// The last two days of the year 9999, which people write for "for ever", lie beyond the calendar in some offset: they
/// are read as its end.
fn last_days(text: &str) -> Option<Timestamp> {
    let rest = text.strip_prefix("9999-12-31").or_else(|| text.strip_prefix("9999-12-30"))?;
    let sound: Result<jiff::Timestamp, _> = format!("9999-12-29{rest}").parse();
    sound.is_ok().then_some(LAST)
}

fn floor_millis(instant: jiff::Timestamp) -> i64 {
    i64::try_from(instant.as_nanosecond().div_euclid(1_000_000)).unwrap_or(i64::MAX)
}

/// Writes RFC 3339 in UTC with `Z`; whole seconds when the milliseconds are 0 (contract, all dialects).
pub fn format_rfc3339(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.millis()) {
        Ok(instant) if at.millis().rem_euclid(1000) == 0 => format!("{instant:.0}"),
        Ok(instant) => format!("{instant:.3}"),
        // Beyond year 9999 there is no such text; nothing that was let in lies there.
        Err(_) => String::new(),
    }
}

/// Whether two times differ by whole quarters of an hour, as the same clock does in two time zones.
pub fn differ_by_zone(one: Timestamp, other: Timestamp) -> bool {
    const QUARTER_MILLIS: i64 = 15 * 60 * 1000;
    one != other && one.millis().saturating_sub(other.millis()) % QUARTER_MILLIS == 0
}

/// Checks a time of an event: not before 1990, not more than 24 h after its receipt.
pub fn check_event_time(field: &str, at: Timestamp, received_at: Timestamp) -> Result<(), Rejection> {
    if at < EARLIEST {
        return Err(Rejection::invalid(format!(
            "{field} lies before 1990; a number is read as epoch milliseconds, not seconds"
        )));
    }
    if at > received_at.plus_millis(LONGEST_AHEAD_MILLIS) {
        return Err(Rejection::invalid(format!("{field} lies more than 24 hours in the future")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_to_the_millisecond_in_any_offset() {
        let at = |text| parse_rfc3339(text).map(Timestamp::millis);
        assert_eq!(at("2025-01-10T10:00:05Z"), Some(1_736_503_205_000));
        assert_eq!(at("2025-01-10T11:00:05.1239+01:00"), Some(1_736_503_205_123));
        assert_eq!(at("2025-01-10T11:00:05 01:00"), Some(1_736_503_205_000));
        assert_eq!(at("9999-12-31T23:59:59Z"), Some(LAST.millis()));
        assert_eq!(at("9999-12-31T25:59:59Z"), None);
        assert_eq!(at("2025-01-10T10:00:05+23:59"), Some(1_736_503_205_000 - 86_340_000));
        for text in [
            "2025-01-10T10:00:05+24:00",
            "2025-01-10T10:00:05-25:59",
            "2025-01-10T10:00:05 25:00",
            "2025-01-10T10:00:05+23:60",
            "9999-12-31T23:59:59+25:00",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
        assert_eq!(at("2016-12-31T23:59:60Z"), at("2016-12-31T23:59:59Z"));
        assert_eq!(at("2025-01-10"), None);
        assert_eq!(at("yesterday"), None);
    }

    #[test]
    fn a_difference_of_zones_is_made_of_quarters_of_an_hour() {
        let at = |millis: i64| Timestamp::from_millis(1_736_503_205_000 + millis);
        for millis in [3_600_000, -3_600_000, 20_700_000, 86_400_000] {
            assert!(differ_by_zone(at(0), at(millis)), "{millis}");
        }
        for millis in [0, 1, 60_000, 3_599_999] {
            assert!(!differ_by_zone(at(0), at(millis)), "{millis}");
        }
    }

    #[test]
    fn epoch_seconds_are_refused_with_the_unit_that_is_meant() {
        let now = Timestamp::from_millis(1_736_503_205_000);
        let seconds = check_event_time("created_at", Timestamp::from_millis(1_736_503_205), now);
        let sentence = seconds.unwrap_err().to_string();
        assert!(sentence.contains("created_at") && sentence.contains("epoch milliseconds"), "{sentence}");
        assert!(check_event_time("created_at", now, now).is_ok());
    }

    #[test]
    fn times_are_written_with_milliseconds_only_when_there_are_some() {
        assert_eq!(format_rfc3339(Timestamp::from_millis(1_736_503_205_000)), "2025-01-10T10:00:05Z");
        assert_eq!(format_rfc3339(Timestamp::from_millis(1_736_503_205_120)), "2025-01-10T10:00:05.120Z");
    }
}
