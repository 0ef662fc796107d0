//! Times as Asterisk, and exports of its tables, write them.

use jiff::{
    Zoned,
    civil::DateTime,
    fmt::strtime::BrokenDownTime,
    tz::{Offset, TimeZone},
};
use pegcount_calls::Timestamp;

use crate::vocabulary::time::has_real_offset;

/// Longest text of a time in bytes.
const LONGEST: usize = 64;
/// 1990-01-01T00:00:00Z: what lies before it stands for a time that never came.
const EARLIEST: Timestamp = Timestamp::from_millis(631_152_000_000);

/// Reads the times of a file.
///
/// `YYYY-mm-dd HH:MM:SS[.fff]` in the file's zone (cdr_csv, and cel with a `dateformat`), with a zone behind it in that one,
/// or `sec[.usec]` since the epoch (cel without a `dateformat`), or a format that was named. What is finer than a
/// millisecond is cut off.
#[derive(Clone, Debug)]
pub struct TimeReader {
    zone: TimeZone,
    format: Option<String>,
}

/// What a column of times holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// It is empty, or holds what databases write for no time (`NULL`, `0000-00-00 00:00:00`, the epoch).
    Never,
    /// A moment.
    At(Moment),
}

/// A moment as a local clock shows it: one, or either of two where the clock passes the same hour twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    earlier: Timestamp,
    later: Timestamp,
}

impl Moment {
    fn one(at: Timestamp) -> Self {
        Self { earlier: at, later: at }
    }

    /// The one of the two that lies nearer to this time.
    pub(super) fn nearest(self, to: Timestamp) -> Timestamp {
        let distance = |at: Timestamp| at.millis().abs_diff(to.millis());
        if distance(self.later) < distance(self.earlier) { self.later } else { self.earlier }
    }

    /// The first of the two that does not lie before this time; the earlier if both do.
    pub(super) fn first_from(self, from: Timestamp) -> Timestamp {
        if self.earlier < from && self.later >= from { self.later } else { self.earlier }
    }

    /// The earlier of the two (RFC 5545 section 3.3.5).
    pub(super) fn earlier(self) -> Timestamp {
        self.earlier
    }
}

impl TimeReader {
    /// A reader of a file whose times without a zone are of this one.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, format: None }
    }

    /// The same for times that are written in this format of strftime.
    ///
    /// # Errors
    /// A sentence, when the format cannot be read back to a date and a time.
    pub fn with_format(self, format: &str) -> Result<Self, String> {
        let reader = Self { format: Some(format.to_owned()), ..self };
        let sample = DateTime::constant(2026, 11, 20, 14, 37, 24, 0);
        let shown = sample
            .to_zoned(TimeZone::UTC)
            .ok()
            .and_then(|sample: Zoned| jiff::fmt::strtime::format(format, &sample).ok());
        let is_read = shown.is_some_and(|text| {
            let read = BrokenDownTime::parse(format, &text).and_then(|parsed| parsed.to_datetime());
            read.is_ok_and(|read| read.date() == sample.date() && read.hour() == sample.hour())
        });
        if is_read {
            Ok(reader)
        } else {
            Err("it must hold a date and a time in strftime's letters, such as \"%d/%m/%Y %H:%M:%S\""
                .to_owned())
        }
    }

    /// Reads a time; `None` if it is none.
    pub(super) fn read(&self, text: &str) -> Option<Reading> {
        let text = text.trim();
        if is_gap(text) {
            return Some(Reading::Never);
        }
        if text.len() > LONGEST {
            return None;
        }
        let by_format = |format: &String| {
            let parsed = BrokenDownTime::parse(format, text).ok()?;
            self.place(parsed.to_datetime().ok()?, parsed.offset())
        };
        let moment = self.format.as_ref().and_then(by_format).or_else(|| self.plain(text))?;
        Some(if moment.later < EARLIEST { Reading::Never } else { Reading::At(moment) })
    }

    fn plain(&self, text: &str) -> Option<Moment> {
        if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return parse_epoch(text).map(Moment::one);
        }
        // A date alone would be read as its midnight.
        if !text.contains(':') || !has_real_offset(text) {
            return None;
        }
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(Moment::one(floored(instant)?));
        }
        if let Ok(local) = text.parse::<DateTime>() {
            return self.place(local, None);
        }
        let (local, zone) = text.rsplit_once(' ')?;
        if zone.starts_with(['+', '-']) {
            return Some(Moment::one(floored(format!("{local}{zone}").parse().ok()?)?));
        }
        self.named(local.parse().ok()?, zone)
    }

    /// A local time whose zone is named behind it: by the abbreviation that the file's zone has at that time, which tells
    /// the two passes of an hour apart, or by a name of its own.
    fn named(&self, local: DateTime, zone: &str) -> Option<Moment> {
        if matches!(zone, "UTC" | "GMT" | "UCT" | "Z") {
            return self.place(local, Some(Offset::UTC));
        }
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let passes = [ambiguous.earlier().ok(), ambiguous.later().ok()];
        let is_named = |at: &jiff::Timestamp| self.zone.to_offset_info(*at).abbreviation() == zone;
        if let Some(at) = passes.into_iter().flatten().find(is_named) {
            return Some(Moment::one(floored(at)?));
        }
        let other = TimeZone::get(zone).ok()?;
        Self { zone: other, format: None }.place(local, None)
    }

    /// A local time in the file's zone, or at an offset. One that the clock leaps over is moved by the leap.
    fn place(&self, local: DateTime, offset: Option<Offset>) -> Option<Moment> {
        if let Some(offset) = offset {
            if offset.seconds().abs() >= 86_400 {
                return None;
            }
            return Some(Moment::one(floored(offset.to_timestamp(local).ok()?)?));
        }
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        let compatible = floored(ambiguous.compatible().ok()?)?;
        let is_passed_twice = matches!(ambiguous.offset(), jiff::tz::AmbiguousOffset::Fold { .. });
        let later = if is_passed_twice { floored(ambiguous.later().ok()?)? } else { compatible };
        Some(Moment { earlier: compatible, later })
    }
}

/// Whether nothing but zeros and what parts them is there, or a database's word for nothing.
fn is_gap(text: &str) -> bool {
    let is_zero = text.contains('0')
        && text.bytes().all(|byte| matches!(byte, b'0' | b'-' | b':' | b'.' | b'/' | b' '));
    text.is_empty() || is_zero || text.eq_ignore_ascii_case("null") || text == "\\N"
}

fn floored(instant: jiff::Timestamp) -> Option<Timestamp> {
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

    fn reader(zone: &str) -> TimeReader {
        TimeReader::new(TimeZone::get(zone).unwrap())
    }

    fn at(text: &str, zone: &str) -> Option<i64> {
        match reader(zone).read(text)? {
            Reading::At(moment) => Some(moment.earlier().millis()),
            Reading::Never => Some(0),
        }
    }

    #[test]
    fn local_times_are_read_in_the_zone_that_was_named() {
        assert_eq!(at("2026-11-20 14:37:24", "UTC"), Some(1_795_185_444_000));
        assert_eq!(at("2026-11-20 14:37:24.359", "UTC"), Some(1_795_185_444_359));
        assert_eq!(at("2026-11-20 15:37:24.3599", "Europe/Berlin"), Some(1_795_185_444_359));
        assert_eq!(at("2026-11-20T14:37:24Z", "Europe/Berlin"), Some(1_795_185_444_000));
    }

    #[test]
    fn a_zone_behind_the_time_goes_before_the_file_s() {
        for text in [
            "2026-11-20 14:37:24 UTC",
            "2026-11-20 14:37:24 GMT",
            "2026-11-20 15:37:24 CET",
            "2026-11-20 15:37:24 Europe/Paris",
            "2026-11-20 15:37:24+01:00",
            "2026-11-20 15:37:24 +0100",
        ] {
            assert_eq!(at(text, "Europe/Berlin"), Some(1_795_185_444_000), "{text}");
        }
        for zone in [" XYZ", "+25:59", " +2559", " -24:00"] {
            assert_eq!(at(&format!("2026-11-20 15:37:24{zone}"), "Europe/Berlin"), None, "{zone}");
        }
        // The abbreviation tells which pass of the hour is meant.
        assert_eq!(at("2026-10-25 02:30:00 CEST", "Europe/Berlin"), at("2026-10-25 00:30:00", "UTC"));
        assert_eq!(at("2026-10-25 02:30:00 CET", "Europe/Berlin"), at("2026-10-25 01:30:00", "UTC"));
    }

    #[test]
    fn epoch_times_need_no_zone() {
        assert_eq!(at("1795185444.359871", "Europe/Berlin"), Some(1_795_185_444_359));
        assert_eq!(at("1795185444.3", "UTC"), Some(1_795_185_444_300));
        assert_eq!(at("1795185444", "UTC"), Some(1_795_185_444_000));
    }

    #[test]
    fn a_format_that_is_named_is_read() {
        let read = |format: &str, text: &str| match reader("Europe/Berlin")
            .with_format(format)
            .unwrap()
            .read(text)
        {
            Some(Reading::At(moment)) => Some(moment.earlier().millis()),
            _ => None,
        };
        assert_eq!(read("%d/%m/%Y %H:%M:%S", "20/11/2026 15:37:24"), Some(1_795_185_444_000));
        assert_eq!(read("%d/%m/%Y %H:%M:%S%.f", "20/11/2026 15:37:24.359"), Some(1_795_185_444_359));
        assert_eq!(read("%m-%d-%Y %I:%M:%S %p %z", "11-20-2026 02:37:24 PM +0000"), Some(1_795_185_444_000));
        // What Asterisk writes by itself is read beside it.
        assert_eq!(read("%d/%m/%Y %H:%M:%S", "1795185444.359"), Some(1_795_185_444_359));
        for format in ["%d/%m/%Y", "%H:%M", "x", "%", ""] {
            assert!(reader("UTC").with_format(format).is_err(), "{format}");
        }
    }

    #[test]
    fn of_a_time_that_the_clock_passes_twice_both_are_known() {
        let Some(Reading::At(moment)) = reader("Europe/Berlin").read("2026-10-25 02:30:00") else { panic!() };
        let utc = |text| Timestamp::from_millis(at(text, "UTC").unwrap());
        let (first, second) = (utc("2026-10-25 00:30:00"), utc("2026-10-25 01:30:00"));
        assert_eq!(moment.earlier(), first);
        assert_eq!(moment.nearest(second.plus_millis(-60_000)), second);
        assert_eq!((moment.first_from(first), moment.first_from(first.plus_millis(1))), (first, second));
        assert_eq!(at("2026-03-29 02:30:00", "Europe/Berlin"), at("2026-03-29 01:30:00", "UTC"));
    }

    #[test]
    fn what_databases_write_for_no_time_is_none() {
        for text in
            ["", "NULL", "\\N", "0000-00-00 00:00:00", "0000-00-00", "0", "0.000000", "1970-01-01 00:00:00"]
        {
            assert_eq!(reader("UTC").read(text), Some(Reading::Never), "{text}");
        }
        for text in [".", "..", "1.2.3", "2026-11-20", "now", "99999999999999999999.0", "2026-13-01 00:00:00"]
        {
            assert_eq!(reader("UTC").read(text), None, "{text}");
        }
    }
}
