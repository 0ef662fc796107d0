//! Times as Asterisk writes them.

use jiff::{civil::DateTime, tz::TimeZone};
use pegcount_calls::Timestamp;

/// Reads a time: `YYYY-mm-dd HH:MM:SS[.fff]` in this zone (cdr_csv, and cel with a `dateformat`), or `sec[.usec]` since
/// the epoch (cel without one). What is finer than a millisecond is cut off.
///
/// Asterisk writes local times without a zone. One that the clock passes twice is the earlier, one that it leaps over
/// is moved by the leap (RFC 5545 section 3.3.5, which jiff calls "compatible").
pub(super) fn parse(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 40 {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return parse_epoch(text);
    }
    // A date alone would be read as its midnight.
    if !text.contains(':') {
        return None;
    }
    let instant = match text.parse::<jiff::Timestamp>() {
        Ok(instant) => instant,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp(),
    };
    i64::try_from(instant.as_nanosecond().div_euclid(1_000_000)).ok().map(Timestamp::from_millis)
}

fn parse_epoch(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let millis = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let seconds = seconds.parse::<i64>().ok().filter(|&seconds| seconds > 0)?;
    Some(Timestamp::from_millis(seconds.checked_mul(1000)?.checked_add(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        TimeZone::get(name).unwrap()
    }

    fn at(text: &str, name: &str) -> Option<i64> {
        parse(text, &zone(name)).map(Timestamp::millis)
    }

    #[test]
    fn local_times_are_read_in_the_zone_that_was_named() {
        assert_eq!(at("2026-11-20 14:37:24", "UTC"), Some(1_795_185_444_000));
        assert_eq!(at("2026-11-20 14:37:24.359", "UTC"), Some(1_795_185_444_359));
        assert_eq!(at("2026-11-20 15:37:24.3599", "Europe/Berlin"), Some(1_795_185_444_359));
        assert_eq!(at("2026-11-20T14:37:24Z", "Europe/Berlin"), Some(1_795_185_444_000));
    }

    #[test]
    fn epoch_times_need_no_zone() {
        assert_eq!(at("1795185444.359871", "Europe/Berlin"), Some(1_795_185_444_359));
        assert_eq!(at("1795185444.3", "UTC"), Some(1_795_185_444_300));
        assert_eq!(at("1795185444", "UTC"), Some(1_795_185_444_000));
    }

    #[test]
    fn a_time_that_the_clock_passes_twice_is_the_earlier_and_one_that_it_leaps_over_is_moved() {
        assert_eq!(at("2026-10-25 02:30:00", "Europe/Berlin"), at("2026-10-25 00:30:00", "UTC"));
        assert_eq!(at("2026-03-29 02:30:00", "Europe/Berlin"), at("2026-03-29 01:30:00", "UTC"));
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in
            ["", ".", "..", "1.2.3", "2026-11-20", "now", "99999999999999999999.0", "2026-13-01 00:00:00"]
        {
            assert_eq!(at(text, "UTC"), None, "{text}");
        }
    }
}
