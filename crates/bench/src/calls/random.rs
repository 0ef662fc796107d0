//! Chance that comes out the same every time it starts from the same seed.

/// Splitmix64: enough for made-up calls, and quick.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// A sequence that belongs to one thing of many, unrelated to its neighbours'.
    pub fn of_one(seed: u64, thing: u64, part: u64) -> Self {
        let mut first = Self(seed ^ thing.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(first.any() ^ part.wrapping_mul(0xa076_1d64_78bd_642f))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 inclusive to 1 exclusive.
    pub fn unit(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// From 0 inclusive to the limit exclusive.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
    }

    /// Both ends included.
    pub fn between(&mut self, least: i64, most: i64) -> i64 {
        least + (self.unit() * (most - least + 1) as f64) as i64
    }

    /// Whether something happens that happens this often.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// As durations and latencies are: mostly near the median, now and then far above.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        // Box-Muller; 1 - unit is never 0.
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.unit()).cos();
        median * (sigma * normal).exp()
    }
}

/// A choice among ranks, the n-th chosen n^-exponent times as often as the first. One draw costs the same however many
/// ranks there are (Walker's alias method).
#[derive(Clone, Debug)]
pub struct Zipf {
    /// For each place: how likely it is kept, and the rank taken otherwise.
    places: Vec<(f64, usize)>,
}

impl Zipf {
    /// A choice among so many ranks, at least one.
    pub fn of(ranks: usize, exponent: f64) -> Self {
        let weights: Vec<f64> = (1..=ranks.max(1)).map(|rank| (rank as f64).powf(-exponent)).collect();
        let mean = weights.iter().sum::<f64>() / weights.len() as f64;
        let mut places: Vec<(f64, usize)> =
            weights.iter().enumerate().map(|(rank, weight)| (weight / mean, rank)).collect();
        // The first ranks have too much, the last too little: each of the last is filled up from one of the first.
        let (mut rich, mut poor): (Vec<usize>, Vec<usize>) =
            (0..places.len()).partition(|rank| places.get(*rank).is_some_and(|place| place.0 >= 1.0));
        while let (Some(to), Some(from)) = (poor.pop(), rich.last().copied()) {
            let missing = places.get(to).map_or(0.0, |place| 1.0 - place.0);
            if let Some(place) = places.get_mut(to) {
                place.1 = from;
            }
            if let Some(place) = places.get_mut(from) {
                place.0 -= missing;
                if place.0 < 1.0 {
                    rich.pop();
                    poor.push(from);
                }
            }
        }
        Self { places }
    }

    /// One rank; the most frequent is 0.
    pub fn pick(&self, random: &mut Random) -> usize {
        let place = random.below(self.places.len());
        match self.places.get(place) {
            Some((kept, other)) if random.unit() >= *kept => *other,
            _ => place,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_rank_is_chosen_half_as_often_as_the_first() {
        let zipf = Zipf::of(1000, 1.0);
        let mut random = Random::of(3);
        let mut counts = vec![0_u32; 1000];
        for _ in 0..1_000_000 {
            counts[zipf.pick(&mut random)] += 1;
        }
        let share = |rank: usize| f64::from(counts[rank - 1]) * rank as f64 / f64::from(counts[0]);
        for rank in [2, 3, 10] {
            assert!((0.95..1.05).contains(&share(rank)), "{rank}: {}", share(rank));
        }
        let last: u32 = counts[900..].iter().sum();
        assert!((13_000..15_500).contains(&last), "{last}");
    }

    #[test]
    fn one_thing_gives_one_sequence_and_its_neighbour_another() {
        let first = |thing, part| Random::of_one(7, thing, part).any();
        assert_eq!(first(1, 2), first(1, 2));
        assert_ne!(first(1, 2), first(2, 1));
        assert_ne!(first(1, 2), first(1, 3));
    }
}
