//! How long the stages of a voice agent took.

use serde::{Deserialize, Serialize};

/// A stage of a voice agent's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    /// From the end of the user's words to the begin of the agent's.
    EndToEnd,
    /// The language model.
    Llm,
    /// Speech to text.
    Stt,
    /// Text to speech.
    Tts,
    /// Anything else.
    Other,
}

impl Stage {
    /// Every stage.
    pub const ALL: [Self; 5] = [Self::EndToEnd, Self::Llm, Self::Stt, Self::Tts, Self::Other];
}

/// The spread of one stage's latencies, all in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The shortest.
    pub min: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
    /// How many samples there are.
    pub num: Option<u64>,
    /// The median.
    pub p50: Option<f64>,
    /// The 90th percentile.
    pub p90: Option<f64>,
    /// The 95th percentile.
    pub p95: Option<f64>,
    /// The 99th percentile.
    pub p99: Option<f64>,
    /// The samples, ascending, at most [`Summary::MOST_VALUES`] of them.
    pub values: Vec<f64>,
}

impl Summary {
    /// How many samples are listed (contract, organization dialect).
    pub const MOST_VALUES: usize = 100;

    /// The exact summary of samples in ascending order; `None` without samples.
    ///
    /// Percentiles interpolate linearly between the closest ranks (contract, organization dialect).
    pub fn of(ascending: &[f64]) -> Option<Self> {
        let (&min, &max) = (ascending.first()?, ascending.last()?);
        Some(Self {
            min: Some(min),
            max: Some(max),
            num: Some(ascending.len() as u64),
            p50: percentile(ascending, 0.50),
            p90: percentile(ascending, 0.90),
            p95: percentile(ascending, 0.95),
            p99: percentile(ascending, 0.99),
            values: ascending.iter().take(Self::MOST_VALUES).copied().collect(),
        })
    }
}

fn percentile(ascending: &[f64], share: f64) -> Option<f64> {
    let rank = share * (ascending.len().checked_sub(1)? as f64);
    let below = ascending.get(rank.floor() as usize)?;
    let above = ascending.get(rank.ceil() as usize)?;
    // Twelve digits are more than any clock gives; the rest is the noise of binary fractions.
    Some(((below + (above - below) * rank.fract()) * 1e6).round() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_interpolate_between_the_closest_ranks() {
        let summary = Summary::of(&[100.0, 200.0, 300.0, 400.0, 500.0]).unwrap();
        assert_eq!(summary.p50, Some(300.0));
        assert_eq!(summary.p90, Some(460.0));
        assert_eq!(summary.p99, Some(496.0));
        assert_eq!(summary.num, Some(5));
    }

    #[test]
    fn one_sample_is_every_percentile_and_none_is_no_summary() {
        assert_eq!(Summary::of(&[7.5]).unwrap().p95, Some(7.5));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn the_listed_values_are_cut_but_the_count_is_true() {
        let samples: Vec<f64> = (0..250).map(f64::from).collect();
        let summary = Summary::of(&samples).unwrap();
        assert_eq!(summary.num, Some(250));
        assert_eq!(summary.values.len(), 100);
    }
}
