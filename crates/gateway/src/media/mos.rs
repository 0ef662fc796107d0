//! An estimate of how a listener would rate what he hears.
//!
//! The E-model of ITU-T G.107, simplified as is usual for a network that is watched from inside: a rating
//!
//! ```text
//! R = 93.2 - Id - Ie_eff
//! Id     = 0.024 d + 0.11 (d - 177.3)   the last term only where d > 177.3
//! Ie_eff = Ie + (95 - Ie) P / (P + Bpl)
//! ```
//!
//! and from it the mean opinion score by G.107, Annex B. 93.2 is R with every other input at its default (G.107, 7.1 of
//! 2005 and later). Id is the approximation of Cole and Rosenbluth (ACM SIGCOMM Computer Communication Review 31-2,
//! 2001). d is the delay one way in milliseconds: half the round trip, 20 ms to fill a packet, and a jitter buffer of
//! twice the jitter. P is the loss in percent, taken as random (G.107, 7.6 with `BurstR` = 1). Ie = 0 and Bpl = 25.1 are
//! those of G.711 with concealment (G.113, Appendix I). For G.722 and Opus G.113 has no values on this narrowband
//! scale; the same are taken, which rates Opus too low under loss, as it repairs more.

use crate::sdp::Codec;

/// R without any impairment of ours.
const BEST_RATING: f64 = 93.2;
/// Milliseconds of speech in a usual packet.
const PACKET_MS: f64 = 20.0;

/// The mean opinion score, 1 to 4.5, of speech in this codec, heard with this loss (0 to 1), jitter and round trip;
/// `None` for a codec that carries no speech. An unknown round trip counts as 0.
pub fn mos(codec: Codec, loss: f64, jitter_ms: f64, round_trip_ms: Option<f64>) -> Option<f64> {
    let (impairment, robustness) = match codec {
        Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::Opus => (0.0, 25.1),
        Codec::TelephoneEvent | Codec::ComfortNoise => return None,
    };
    let percent = loss.clamp(0.0, 1.0) * 100.0;
    let lossy = impairment + (95.0 - impairment) * percent / (percent + robustness);
    let delay = round_trip_ms.unwrap_or_default().max(0.0) / 2.0 + PACKET_MS + 2.0 * jitter_ms.max(0.0);
    Some(score(BEST_RATING - delay_impairment(delay) - lossy))
}

fn delay_impairment(delay_ms: f64) -> f64 {
    0.024 * delay_ms + 0.11 * (delay_ms - 177.3).max(0.0)
}

/// G.107, Annex B.
fn score(rating: f64) -> f64 {
    if rating <= 0.0 {
        1.0
    } else if rating >= 100.0 {
        4.5
    } else {
        // The cubic falls below 1 for the lowest ratings.
        (1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The table rounds 4.024 up.
    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() < 0.0061
    }

    #[test]
    fn scores_are_those_of_the_table_in_g_107_annex_b() {
        for (rating, expected) in [(90.0, 4.34), (80.0, 4.03), (70.0, 3.60), (60.0, 3.10), (50.0, 2.58)] {
            assert!(close(score(rating), expected), "{rating}: {}", score(rating));
        }
        assert!(close(score(93.2), 4.41));
        assert!(close(score(-1.0), 1.0) && close(score(1.0), 1.0) && close(score(101.0), 4.5));
    }

    #[test]
    fn delay_hurts_more_beyond_177_milliseconds() {
        assert!(close(delay_impairment(100.0), 2.4));
        assert!(close(delay_impairment(300.0), 7.2 + 13.497));
    }

    #[test]
    fn calls_are_rated_as_computed_by_hand() {
        let rated = |loss, jitter, round_trip| mos(Codec::Pcma, loss, jitter, round_trip).expect("speech");
        // d = 20, R = 92.72.
        assert!(close(rated(0.0, 0.0, None), 4.40));
        // d = 150, Ie_eff = 95 * 2 / 27.1 = 7.01, R = 82.59.
        assert!(close(rated(0.02, 30.0, Some(140.0)), 4.12));
        // d = 20, Ie_eff = 95 * 25.1 / 50.2 = 47.5, R = 45.22.
        assert!(close(rated(0.251, 0.0, None), 2.33));
        assert_eq!(mos(Codec::TelephoneEvent, 0.0, 0.0, None), None);
    }

    proptest! {
        #[test]
        fn every_score_is_on_the_scale_and_no_impairment_raises_it(
            loss in -1.0..2.0_f64, jitter in -1.0..5000.0_f64, round_trip in -1.0..9000.0_f64, more in 0.0..1.0_f64
        ) {
            let rated = mos(Codec::Opus, loss, jitter, Some(round_trip)).expect("speech");
            prop_assert!((1.0..=4.5).contains(&rated));
            for worse in [
                mos(Codec::Opus, loss + more, jitter, Some(round_trip)),
                mos(Codec::Opus, loss, jitter + 100.0 * more, Some(round_trip)),
                mos(Codec::Opus, loss, jitter, Some(round_trip + 100.0 * more)),
            ] {
                prop_assert!(worse.expect("speech") <= rated + 0.01);
            }
        }
    }
}
