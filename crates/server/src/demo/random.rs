//! Chance that comes out the same every time it starts from the same seed.

/// A generator of the xorshift64* family (Vigna, "An experimental exploration of Marsaglia's xorshift generators").
pub(super) struct Random(u64);

impl Random {
    /// Neighbouring seeds give unrelated sequences.
    pub(super) fn of(seed: u64) -> Self {
        // One round of splitmix64. Its result is 0 for one seed only, and 0 is where xorshift would stay for ever.
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((mixed ^ (mixed >> 31)).max(1))
    }

    /// Any number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 inclusive to 1 exclusive.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something happens that happens this often.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// An integer, both ends included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        let span = (most - least + 1).max(1) as f64;
        least + (self.unit() * span) as i64
    }

    /// A number between two others.
    pub(super) fn within(&mut self, least: f64, most: f64) -> f64 {
        least + self.unit() * (most - least)
    }

    /// One of these.
    pub(super) fn pick<T: Copy + Default>(&mut self, items: &[T]) -> T {
        let place = (self.unit() * items.len() as f64) as usize;
        items.get(place).copied().unwrap_or_default()
    }

    /// One of these, each as likely as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, items: &[(u32, T)]) -> Option<T> {
        let total: u32 = items.iter().map(|(weight, _)| weight).sum();
        let mut left = self.unit() * f64::from(total);
        for (weight, item) in items {
            left -= f64::from(*weight);
            if left < 0.0 {
                return Some(*item);
            }
        }
        items.last().map(|(_, item)| *item)
    }

    /// The time until the next of events that come independently of each other.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// As latencies are: mostly near the median, now and then far above.
    pub(super) fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box-Muller; 1 - unit is never 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }

    /// The same in whole milliseconds.
    pub(super) fn millis(&mut self, median: f64, sigma: f64) -> i64 {
        self.log_normal(median, sigma).round() as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence_and_its_neighbour_another() {
        let sequence = |seed| {
            let mut random = Random::of(seed);
            [(); 8].map(|()| random.next())
        };
        assert_eq!(sequence(1), sequence(1));
        assert_ne!(sequence(1), sequence(2));
        assert_ne!(sequence(0), [0; 8]);
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_near_their_median() {
        let mut random = Random::of(7);
        let numbers: Vec<i64> = (0..1000).map(|_| random.between(1, 6)).collect();
        assert!((1..=6).all(|number| numbers.contains(&number)));
        assert!(numbers.iter().all(|number| (1..=6).contains(number)));
        let mut latencies: Vec<f64> = (0..1001).map(|_| random.log_normal(400.0, 0.4)).collect();
        latencies.sort_by(f64::total_cmp);
        assert!((350.0..450.0).contains(&latencies[500]));
        let pauses: f64 = (0..1000).map(|_| random.exponential(100.0)).sum();
        assert!((90_000.0..110_000.0).contains(&pauses));
    }
}
