//! Byte ranges of what is served.

use std::ops::Range;

/// Which bytes of a representation a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// All of them; also for several ranges at once, which a server need not serve.
    Whole,
    /// These.
    Bytes(Range<u64>),
    /// A range that begins behind the end: 416.
    Beyond,
}

/// Reads a `Range` header (RFC 9110, 14.2) for a representation of `size` bytes. A malformed header is ignored.
pub fn part(range: &str, size: u64) -> Part {
    let bytes = range.trim().strip_prefix("bytes=").and_then(|bytes| bytes.split_once('-'));
    let Some((from, to)) = bytes.map(|(from, to)| (from.trim(), to.trim())) else { return Part::Whole };
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    match (from, to) {
        ("", "") => Part::Whole,
        ("", last) => match number(last) {
            None => Part::Whole,
            Some(last) if last == 0 || size == 0 => Part::Beyond,
            Some(last) => Part::Bytes(size.saturating_sub(last)..size),
        },
        (from, "") => match number(from) {
            None => Part::Whole,
            Some(from) if from >= size => Part::Beyond,
            Some(from) => Part::Bytes(from..size),
        },
        (from, to) => match number(from).zip(number(to)) {
            None => Part::Whole,
            Some((from, to)) if from > to => Part::Whole,
            Some((from, _)) if from >= size => Part::Beyond,
            Some((from, to)) => Part::Bytes(from..to.saturating_add(1).min(size)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_as_a_file_server_reads_it() {
        for (range, expected) in [
            ("bytes=0-3", Part::Bytes(0..4)),
            ("bytes=10-", Part::Bytes(10..16)),
            ("bytes=-2", Part::Bytes(14..16)),
            ("bytes=-99", Part::Bytes(0..16)),
            ("bytes=4-99999999999999999999999", Part::Bytes(4..16)),
            ("bytes=15-15", Part::Bytes(15..16)),
            ("bytes=16-", Part::Beyond),
            ("bytes=16-20", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=99999999999999999999999-", Part::Beyond),
            ("bytes=5-3", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-1,4-5", Part::Whole),
            ("bytes=+1-", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("seconds=0-3", Part::Whole),
            ("", Part::Whole),
        ] {
            assert_eq!(part(range, 16), expected, "{range}");
        }
        assert_eq!(part("bytes=-5", 0), Part::Beyond);
        assert_eq!(part("bytes=0-", 0), Part::Beyond);
    }
}
