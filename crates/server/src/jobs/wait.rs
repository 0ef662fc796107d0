//! How long a server wants not to be asked again.

use std::time::Duration;

use axum::http::{
    HeaderMap,
    header::{DATE, RETRY_AFTER},
};
use jiff::{Timestamp, fmt::rfc2822};

/// How long to wait before a server is asked again, as its answer says (RFC 9110, section 10.2.3): seconds, or a date, which
/// counts from that of the answer. `None` where it says nothing that can be read.
pub fn told_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let told = text(RETRY_AFTER)?;
    if let Ok(seconds) = told.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds.ceil()).ok();
    }
    let (until, now) = (date(told)?, date(text(DATE)?)?);
    Some(Duration::from_secs(u64::try_from(until.as_second() - now.as_second()).unwrap_or_default()))
}

fn date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_or_by_a_date() {
        for (told, seconds) in [
            ("120", Some(120)),
            (" 0.5 ", Some(1)),
            ("Thu, 01 Jan 2026 10:01:00 GMT", Some(60)),
            ("Thu, 01 Jan 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, told.parse().unwrap());
            headers.insert(DATE, "Thu, 01 Jan 2026 10:00:00 GMT".parse().unwrap());
            assert_eq!(told_wait(&headers).map(|wait| wait.as_secs()), seconds, "{told}");
        }
        assert_eq!(told_wait(&HeaderMap::new()), None);
    }
}
