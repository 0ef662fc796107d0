//! Names and ids of Asterisk's channels.

use pegcount_calls::Timestamp;
use pegcount_store::LegSpan;

use crate::sources::mapped::leg_id;

/// How long a channel may have lived before the row that names it, at most: 24 h. A unique id that says more belongs to
/// a wrong clock or a wrong zone.
const LONGEST_BEFORE_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// The channel's name. The two halves of a Local channel (`Local/100@lab-00000003;1` and `;2`) are one.
pub(super) fn whole(channel: &str) -> &str {
    let is_local = channel.starts_with("Local/");
    let half = channel.strip_suffix(";1").or_else(|| channel.strip_suffix(";2"));
    half.filter(|_| is_local).unwrap_or(channel)
}

/// A channel's unique id as a leg; never used again, since it holds the time and a count.
pub(super) fn unique_leg(uniqueid: &str) -> Result<LegSpan, String> {
    Ok(LegSpan::unique(leg_id(&format!("uid:{uniqueid}"))?))
}

/// A mark that one row leaves, or looks for: `kind` says of what, in the span in which the channel's name means it. After
/// a restart Asterisk counts its names from 0 again, and lines such as `DAHDI/1-1` are used over and over.
pub(super) fn mark(kind: &str, channel: &str, from: Timestamp, to: Timestamp) -> Result<LegSpan, String> {
    Ok(LegSpan { id: leg_id(&format!("{kind}:{}", whole(channel)))?, from, to: to.max(from) })
}

/// Whether the name ends in a count of its own (`PJSIP/bob-00000001`), as all do but those of physical lines: it means one
/// channel until the switch restarts.
pub(super) fn is_counted(channel: &str) -> bool {
    let name = whole(channel);
    name.rsplit_once('-')
        .is_some_and(|(_, count)| count.len() == 8 && count.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The time in a unique id (`[system name-]epoch.count`).
pub(super) fn epoch_of(uniqueid: &str) -> Option<Timestamp> {
    let number = uniqueid.rsplit('-').next()?;
    let (seconds, count) = number.split_once('.')?;
    let is_count = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let at = seconds.parse::<i64>().ok().filter(|seconds| is_count && EPOCHS.contains(seconds))?;
    Some(Timestamp::from_millis(at * 1000))
}

/// Seconds since the epoch that a switch may name: from 1990 to 2100.
const EPOCHS: std::ops::Range<i64> = 631_152_000..4_102_444_800;

/// When the channel was made, as its unique id (`[system name-]epoch.count`) tells; `None` if it cannot be believed for
/// something that began at `start`.
pub(super) fn made_at(uniqueid: &str, start: Timestamp) -> Option<Timestamp> {
    let at = epoch_of(uniqueid)?;
    let before = start.millis().checked_sub(at.millis())?;
    ((0..=LONGEST_BEFORE_MILLIS).contains(&before) && !is_zone_offset(before)).then_some(at)
}

/// Whether a difference is one of time zones (whole quarters of an hour), give or take a second: then it tells of a
/// file that was read in another zone than it was written in, not of a channel that lived long.
fn is_zone_offset(millis: i64) -> bool {
    const QUARTER: i64 = 15 * 60 * 1000;
    let off = millis.rem_euclid(QUARTER);
    millis > QUARTER / 2 && off.min(QUARTER - off) <= 1000
}

/// Whether an extension is one that was dialled; `s`, `h`, `i`, `t` and the like are places in the dialplan
/// (Asterisk, special dialplan extensions).
pub(super) fn dialled_number(extension: &str) -> Option<&str> {
    let is_special = extension.len() == 1 && extension.bytes().all(|byte| byte.is_ascii_alphabetic());
    (!extension.is_empty() && !is_special).then_some(extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_a_local_channel_are_one() {
        assert_eq!(whole("Local/100@lab-00000003;1"), whole("Local/100@lab-00000003;2"));
        assert_eq!(whole("PJSIP/bob-00000001"), "PJSIP/bob-00000001");
        assert_eq!(whole("PJSIP/bob;1"), "PJSIP/bob;1");
    }

    #[test]
    fn names_of_lines_have_no_count_of_their_own() {
        for counted in ["PJSIP/bob-00000001", "SIP/trunk-0a1b2c3d", "Local/1@x-00000003;2"] {
            assert!(is_counted(counted), "{counted}");
        }
        for line in ["DAHDI/1-1", "Zap/4-1", "mISDN/1-u23", "PJSIP/bob", ""] {
            assert!(!is_counted(line), "{line}");
        }
    }

    #[test]
    fn a_unique_id_tells_when_the_channel_was_made_if_that_can_be_believed() {
        let start = Timestamp::from_millis(1_795_184_413_000);
        assert_eq!(made_at("lab-1795184410.58", start), Some(Timestamp::from_millis(1_795_184_410_000)));
        assert_eq!(made_at("1795184410.58", start), Some(Timestamp::from_millis(1_795_184_410_000)));
        let berlin = start.plus_millis(60 * 60 * 1000);
        assert_eq!(made_at("lab-1795184413.58", berlin), None);
        for id in ["", "lab", "lab-x.1", "lab-1795184499.1", "1.1", "12.50", "99999999999999999999.1"] {
            assert_eq!(made_at(id, start), None, "{id}");
        }
    }

    #[test]
    fn places_in_the_dialplan_are_no_numbers() {
        assert_eq!(dialled_number("100"), Some("100"));
        assert_eq!(dialled_number("bob"), Some("bob"));
        assert_eq!(dialled_number("7"), Some("7"));
        for place in ["s", "h", "i", "T", ""] {
            assert_eq!(dialled_number(place), None, "{place}");
        }
    }
}
