//! How long a job that failed waits, and after how many attempts it waits no more.

use std::time::Duration;

/// How many attempts a job has. One that fails each time is dead after two days and a half.
pub const MOST_ATTEMPTS: u32 = 10;

const SECOND: u64 = 1;
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// How long to wait after the first failure, the second, and so on.
const WAITS: [u64; 7] = [10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 6 * HOUR, 12 * HOUR];
/// The longest wait that anybody may ask for.
const LONGEST: Duration = Duration::from_secs(24 * HOUR);
/// The shortest: a peer that says "at once" is not asked in circles.
const SHORTEST: Duration = Duration::from_secs(SECOND);

/// How long a job waits that has failed so often, at least once. The dice make it up to a fifth more or less, so that jobs
/// which failed together do not come back together.
pub(super) fn wait_after(attempts: u32, dice: u32) -> Duration {
    let place = (attempts.max(1) as usize - 1).min(WAITS.len() - 1);
    let fifths = 4.0 + 2.0 * f64::from(dice) / f64::from(u32::MAX);
    Duration::from_secs(WAITS[place]).mul_f64(fifths / 5.0)
}

/// How long it waits when somebody said how long.
pub(super) fn wait_as_told(told: Duration) -> Duration {
    told.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_twelve_hours_and_stay_there_a_fifth_more_or_less() {
        let seconds = |attempts, dice| wait_after(attempts, dice).as_secs();
        let least: Vec<u64> = (1..=9).map(|attempts| seconds(attempts, 0)).collect();
        assert_eq!(least, [8, 48, 240, 1_440, 5_760, 17_280, 34_560, 34_560, 34_560]);
        let most: Vec<u64> = (1..=7).map(|attempts| seconds(attempts, u32::MAX)).collect();
        assert_eq!(most, [12, 72, 360, 2_160, 8_640, 25_920, 51_840]);
        assert_eq!(seconds(u32::MAX, u32::MAX / 2), 43_199, "any count of attempts has a wait");
        assert_eq!(seconds(0, 0), 8);
    }

    #[test]
    fn a_wait_that_was_asked_for_is_neither_nothing_nor_for_ever() {
        for (told, waits) in [(0, 1), (120, 120), (u64::MAX, 24 * HOUR)] {
            assert_eq!(wait_as_told(Duration::from_secs(told)).as_secs(), waits);
        }
    }
}
