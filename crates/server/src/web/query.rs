//! Parameters of a query, read one by one with their names in every error.

use jiff::{civil::Date, tz::TimeZone};
use pegcount_calls::{Range, Timestamp};

use crate::{access::Refusal, vocabulary::time};

/// Most values of one parameter: so many that nobody needs more, so few that every store takes them in one statement.
pub const MOST_VALUES: usize = 200;

/// The parameters of a query string or of a form, in the order they came; a name may occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    pairs: Vec<(String, String)>,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text.
    pub fn parse(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self { pairs }
    }

    /// Of pairs read elsewhere (a multipart form, JSON).
    pub fn of(pairs: Vec<(String, String)>) -> Self {
        Self { pairs }
    }

    /// Every parameter.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The last value of a parameter; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .filter(|(other, value)| *other == name && !value.is_empty())
            .map(|(_, value)| value)
            .last()
    }

    /// Every value of a parameter that may be repeated or list values with commas.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.iter()
            .filter(|(other, _)| *other == name)
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|value| !value.is_empty())
            .collect()
    }

    /// Every value of a list, each read by `read`, which says in the rest of a sentence what would be right.
    pub fn each<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Refusal> {
        let values = self.list(name);
        if values.len() > MOST_VALUES {
            return Err(Refusal::invalid(name, format!("takes at most {MOST_VALUES} values")));
        }
        values
            .into_iter()
            .map(|value| read(value).map_err(|message| Refusal::invalid(name, message)))
            .collect()
    }

    /// An integer within bounds.
    pub fn integer(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        // A `+` before a number has become a space.
        let text = text.trim().strip_prefix('+').unwrap_or(text.trim());
        match text.parse::<i64>() {
            Ok(value) if (least..=most).contains(&value) => Ok(Some(value)),
            _ if most == i64::MAX => Err(Refusal::invalid(name, format!("must be an integer from {least}"))),
            _ => Err(Refusal::invalid(name, format!("must be an integer from {least} to {most}"))),
        }
    }

    /// An integer within bounds, for a count of rows.
    pub fn count(&self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Refusal> {
        let value = self.integer(name, i64::from(least), i64::from(most))?;
        Ok(value.and_then(|value| u32::try_from(value).ok()))
    }

    /// An IANA time zone from `tz`; UTC without one.
    pub fn zone(&self) -> Result<TimeZone, Refusal> {
        let Some(name) = self.get("tz") else { return Ok(TimeZone::UTC) };
        TimeZone::get(name)
            .map_err(|_| Refusal::invalid("tz", "must be an IANA time zone such as Europe/Berlin"))
    }

    /// When calls were created: from `from_date` on, which belongs to it, until `to_date`: a date is covered whole, a
    /// time is not part of it (contract, all dialects).
    pub fn created(&self) -> Result<Range, Refusal> {
        let zone = self.zone()?;
        let from = self.moment("from_date", &zone)?;
        let to = self.moment("to_date", &zone)?;
        let range = Range {
            from: from.map(|from| from.start.millis()),
            to: to.map(|to| to.end.millis().saturating_sub(1)),
        };
        if let (Some(from), Some(to)) = (from, to)
            && from.start > to.latest_start()
        {
            return Err(Refusal::invalid("from_date", "must not lie after to_date"));
        }
        Ok(range)
    }

    fn moment(&self, name: &str, zone: &TimeZone) -> Result<Option<Moment>, Refusal> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let text = text.trim();
        let moment = match time::parse_rfc3339(text) {
            Some(at) => Some(Moment { start: at, end: at }),
            None => text.parse::<Date>().ok().filter(|_| text.len() == 10).and_then(|date| day(date, zone)),
        };
        moment
            .map(Some)
            .ok_or_else(|| Refusal::invalid(name, "must be a date (2025-01-31) or an RFC 3339 time"))
    }
}

/// A time, or a whole day.
#[derive(Clone, Copy)]
struct Moment {
    start: Timestamp,
    /// The first instant after it, as an upper bound that is not part of it.
    end: Timestamp,
}

impl Moment {
    fn latest_start(self) -> Timestamp {
        if self.start == self.end { self.start } else { self.end.plus_millis(-1) }
    }
}

fn day(date: Date, zone: &TimeZone) -> Option<Moment> {
    // The last days of the calendar lie beyond it in some zones, and have no day after them.
    let start = date.to_zoned(zone.clone()).map(|start| start.timestamp().as_millisecond());
    let start = start.ok().or_else(|| (date.year() == 9999).then_some(time::LAST.millis()))?;
    let end = date
        .tomorrow()
        .and_then(|next| next.to_zoned(zone.clone()))
        .map_or(i64::MAX, |next| next.timestamp().as_millisecond());
    Some(Moment { start: Timestamp::from_millis(start), end: Timestamp::from_millis(end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn created(query: &str) -> Result<(Option<i64>, Option<i64>), Refusal> {
        Params::parse(query).created().map(|range| (range.from, range.to))
    }

    const JAN_10: i64 = 1_736_467_200_000;
    const DAY: i64 = 86_400_000;

    #[test]
    fn a_date_is_covered_whole_and_a_time_excludes_itself() {
        assert_eq!(
            created("from_date=2025-01-10&to_date=2025-01-10"),
            Ok((Some(JAN_10), Some(JAN_10 + DAY - 1)))
        );
        assert_eq!(created("to_date=2025-01-10T00:00:00Z"), Ok((None, Some(JAN_10 - 1))));
        assert_eq!(created("from_date=2025-01-10T01:00:00+01:00"), Ok((Some(JAN_10), None)));
        assert_eq!(created("from_date=2025-01-10&tz=Europe/Berlin"), Ok((Some(JAN_10 - 3_600_000), None)));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name_and_the_last_day_of_the_calendar_is_not() {
        for (query, name) in [
            ("from_date=2025-01-11&to_date=2025-01-10", "from_date"),
            ("from_date=2025-02-30", "from_date"),
            ("to_date=soon", "to_date"),
            ("from_date=2025-01-10&tz=Mars/Olympus", "tz"),
        ] {
            let Err(Refusal::Invalid { parameter, .. }) = created(query) else { panic!("{query}") };
            assert_eq!(parameter, name);
        }
        assert!(created("to_date=9999-12-31").is_ok());
        assert!(created("from_date=2025-01-10&to_date=2025-01-10T00:00:00Z").is_ok());
    }

    #[test]
    fn numbers_are_bounded_and_a_space_reads_as_their_plus() {
        let params = Params::parse("limit=+20&offset=99999999999999999999&page=-1");
        assert_eq!(params.count("limit", 1, 100), Ok(Some(20)));
        assert!(params.integer("offset", 0, i64::MAX).is_err());
        assert!(params.integer("page", 0, 10).is_err());
        assert_eq!(params.integer("absent", 0, 10), Ok(None));
    }

    #[test]
    fn lists_come_repeated_or_with_commas() {
        assert_eq!(Params::parse("a=1,2&b=x&a=3,").list("a"), ["1", "2", "3"]);
    }
}
