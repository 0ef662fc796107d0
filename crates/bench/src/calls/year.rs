//! When calls come in over a year: more by day than by night, fewer at weekends.

/// 2026-01-01T00:00:00Z, a Thursday.
pub const BEGIN: i64 = 1_767_225_600_000;
/// One day in milliseconds.
pub const DAY: i64 = 86_400_000;
/// The first moment that is not of the year.
pub const END: i64 = BEGIN + 365 * DAY;

const HOUR: i64 = 3_600_000;
/// How much is called in each hour of a day.
const BY_HOUR: [f64; 24] = [
    2.0, 1.5, 1.0, 1.0, 1.0, 2.0, 5.0, 12.0, 25.0, 38.0, 42.0, 40.0, 32.0, 36.0, 40.0, 38.0, 34.0, 28.0,
    20.0, 14.0, 9.0, 6.0, 4.0, 3.0,
];
/// How much is called on each day of a week that begins as the year does.
const BY_DAY: [f64; 7] = [1.0, 0.95, 0.4, 0.3, 1.15, 1.05, 1.0];

/// The rhythm of a year.
pub struct Year {
    /// What share of the year's calls has come in when each hour ends.
    shares: Vec<f64>,
}

impl Year {
    /// The rhythm.
    pub fn new() -> Self {
        let weights = (0..365).flat_map(|day| {
            let of_day = BY_DAY.get(day % 7).copied().unwrap_or(1.0);
            BY_HOUR.iter().map(move |of_hour| of_hour * of_day)
        });
        let mut sum = 0.0;
        let mut shares: Vec<f64> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        for share in &mut shares {
            *share /= sum;
        }
        Self { shares }
    }

    /// The moment before which this share (from 0 to 1) of the year's calls has come in.
    pub fn moment(&self, share: f64) -> i64 {
        let hour = self.shares.partition_point(|end| *end <= share).min(self.shares.len() - 1);
        let begin = hour.checked_sub(1).and_then(|before| self.shares.get(before)).copied().unwrap_or(0.0);
        let end = self.shares.get(hour).copied().unwrap_or(1.0);
        let within = ((share - begin) / (end - begin)).clamp(0.0, 1.0);
        BEGIN + i64::try_from(hour).unwrap_or(0) * HOUR + (within * HOUR as f64) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_forward_from_the_begin_to_the_end_of_the_year() {
        let year = Year::new();
        let moments: Vec<i64> = (0..=1000).map(|part| year.moment(f64::from(part) / 1000.0)).collect();
        assert!(moments.is_sorted());
        assert_eq!(moments[0], BEGIN);
        assert_eq!(moments[1000], END);
        let by_night = moments.iter().filter(|moment| (**moment % DAY) < 6 * HOUR).count();
        assert!(by_night < 40, "{by_night}");
    }
}
