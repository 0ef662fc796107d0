//! From frames to samples.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::recording::{
    codec::Codec,
    samples::{Sender, heard, opus_packets, recorded_call, strength},
};

const HOUR: Duration = Duration::from_secs(3_600);

#[derive(Default)]
struct Sides([Vec<f32>; 2]);

impl Sink for Sides {
    type Error = Infallible;

    fn take(&mut self, caller: &[f32], callee: &[f32]) -> Result<(), Infallible> {
        assert_eq!(caller.len(), callee.len());
        self.0[0].extend(caller);
        self.0[1].extend(callee);
        Ok(())
    }
}

/// Counts, and keeps nothing.
#[derive(Default)]
struct Count(u64);

impl Sink for Count {
    type Error = Infallible;

    fn take(&mut self, caller: &[f32], _: &[f32]) -> Result<(), Infallible> {
        self.0 += caller.len() as u64;
        Ok(())
    }
}

fn opus() -> PayloadMap {
    [(96, Codec::Opus, 48_000)].into_iter().collect()
}

fn mixed(frames: impl IntoIterator<Item = Frame>) -> ([Vec<f32>; 2], Found) {
    let mut mixdown = Mixdown::new(HOUR);
    for side in Side::BOTH {
        mixdown.payloads(side, opus());
    }
    let mut sides = Sides::default();
    for frame in frames {
        let Ok(()) = mixdown.push(frame, &mut sides);
    }
    let Ok(found) = mixdown.finish(&mut sides);
    assert_eq!(found.samples, sides.0[0].len() as u64);
    (sides.0, found)
}

/// A part of a side, in milliseconds.
fn part(side: &[f32], from: usize, to: usize) -> &[f32] {
    &side[from * 48..to * 48]
}

fn is_silent(samples: &[f32]) -> bool {
    samples.iter().all(|sample| sample.abs() < 0.02)
}

fn caller() -> Sender {
    Sender::new(Side::Caller, Codec::Pcmu, 440.0)
}

fn callee() -> Sender {
    Sender::new(Side::Callee, Codec::Pcma, 1_500.0)
}

#[test]
fn each_side_is_heard_on_its_own_track_and_nowhere_else() {
    let (sides, found) = mixed(heard([caller().frames(100), callee().frames(100)]));
    assert_eq!(found, Found { begin_nanos: Some(0), samples: 96_000, ..Found::default() });
    for (side, own, others) in [(0, 440.0, 1_500.0), (1, 1_500.0, 440.0)] {
        let middle = part(&sides[side], 100, 1_900);
        assert!((strength(middle, own) - 0.5).abs() < 0.03, "{}", strength(middle, own));
        assert!(strength(middle, others) < 0.005);
    }
}

#[test]
fn every_codec_gives_its_tone_at_its_length() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        let (sides, found) = mixed(Sender::new(Side::Caller, codec, 1_000.0).frames(100));
        assert_eq!((found.samples, found.packets_damaged), (96_000, 0), "{codec:?}");
        assert!(strength(part(&sides[0], 100, 900), 1_000.0) > 0.2, "{codec:?}");
        assert!(is_silent(&sides[1]));
    }
}

#[test]
fn opus_of_every_mode_is_decoded_as_its_reference_encoded_it() {
    for name in ["opus-silk.packets", "opus-hybrid.packets", "opus-celt.packets"] {
        let frames = opus_packets(name).into_iter().enumerate().map(|(at, packet)| Frame {
            side: Side::Callee,
            arrived_nanos: at as u64 * 20_000_000,
            sequence: at as u16,
            timestamp: at as u32 * 960,
            payload_type: 96,
            payload: Bytes::from(packet),
        });
        let (sides, found) = mixed(frames);
        assert_eq!((found.samples, found.packets_damaged), (48_000, 0), "{name}");
        // It was encoded with an amplitude of 9,000.
        let heard = strength(part(&sides[1], 200, 900), 1_000.0);
        assert!((heard - 9_000.0 / 32_768.0).abs() < 0.03, "{name}: {heard}");
    }
}

#[test]
fn lost_packets_leave_silence_and_what_follows_stays_in_its_place() {
    let mut sender = caller();
    let mut frames = sender.frames(50);
    sender.skip(25);
    frames.extend(sender.frames(25));
    let (sides, found) = mixed(frames);
    assert_eq!((found.samples, found.packets_lost), (96_000, 25));
    assert!(strength(part(&sides[0], 100, 980), 440.0) > 0.45);
    assert!(is_silent(part(&sides[0], 1_020, 1_480)));
    assert!(strength(part(&sides[0], 1_520, 1_980), 440.0) > 0.45);
}

#[test]
fn packets_that_are_doubled_or_out_of_order_sound_as_if_they_were_not() {
    let frames = caller().frames(60);
    let mut jumbled = frames.clone();
    for at in (6..50).step_by(7) {
        jumbled.swap(at, at + 2);
        jumbled.insert(at, frames[at - 2].clone());
        // As they arrive, not as they were sent.
        for (place, frame) in jumbled.iter_mut().enumerate() {
            frame.arrived_nanos = place as u64 * 20_000_000;
        }
    }
    let ((plain, _), (mended, found)) = (mixed(frames), mixed(jumbled));
    assert_eq!(found.packets_lost, 0);
    assert_eq!(plain[0], mended[0]);
}

#[test]
fn the_sides_are_set_against_each_other_by_the_arrival_of_their_first_packets() {
    let late = callee().arriving_from(700).frames(50);
    let (sides, found) = mixed(heard([caller().arriving_from(200).frames(100), late]));
    assert_eq!((found.begin_nanos, found.samples), (Some(200_000_000), 96_000));
    assert!(is_silent(part(&sides[1], 0, 490)));
    assert!(strength(part(&sides[1], 510, 1_490), 1_500.0) > 0.45);
    assert!(is_silent(part(&sides[1], 1_510, 2_000)));
}

#[test]
fn another_source_with_other_numbers_is_placed_by_its_arrival() {
    let mut sender = caller();
    let mut frames = sender.frames(50);
    sender.nanos += 500_000_000;
    (sender.sequence, sender.timestamp) = (7, 4_000_000);
    frames.extend(sender.frames(50));
    let (sides, found) = mixed(frames);
    assert_eq!((found.samples, found.packets_lost), (2_500 * 48, 0));
    assert!(is_silent(part(&sides[0], 1_020, 1_480)));
    assert!(strength(part(&sides[0], 1_520, 2_480), 440.0) > 0.45);
}

#[test]
fn a_side_that_changes_its_codec_is_heard_on() {
    let first = Sender::new(Side::Caller, Codec::Pcmu, 1_000.0).frames(50);
    let then = Sender::new(Side::Caller, Codec::Opus, 1_000.0).arriving_from(1_000).frames(50);
    let (sides, found) = mixed(first.into_iter().chain(then));
    assert_eq!((found.samples, found.packets_damaged), (96_000, 0));
    assert!(strength(part(&sides[0], 100, 950), 1_000.0) > 0.4);
    assert!(strength(part(&sides[0], 1_200, 1_900), 1_000.0) > 0.2);
}

#[test]
fn a_key_press_is_silence_of_its_length() {
    let mut sender = caller();
    let mut frames = sender.frames(50);
    let mut key = Sender::new(Side::Caller, Codec::Silent, 0.0).arriving_from(1_000);
    (key.sequence, key.timestamp) = (sender.sequence, sender.timestamp);
    frames.extend(key.frames(10));
    sender.skip(10);
    frames.extend(sender.frames(50));
    let (sides, found) = mixed(frames);
    assert_eq!((found.samples, found.packets_lost), (2_200 * 48, 0));
    assert!(is_silent(part(&sides[0], 1_020, 1_180)));
    assert!(strength(part(&sides[0], 1_220, 2_180), 440.0) > 0.45);
}

#[test]
fn a_burst_after_a_stall_of_the_network_is_where_it_was_sent() {
    let mut frames = caller().frames(100);
    for frame in &mut frames[50..80] {
        frame.arrived_nanos = 1_600_000_000;
    }
    let (sides, found) = mixed(frames);
    assert_eq!((found.samples, found.packets_lost), (96_000, 0));
    assert!(strength(part(&sides[0], 100, 1_900), 440.0) > 0.45);
}

#[test]
fn a_slow_clock_is_set_right_with_silence() {
    // A clock of 1 in 1,000: after a minute the side would be 60 ms behind, after five 300.
    let mut frames = caller().frames(15_000);
    for (at, frame) in frames.iter_mut().enumerate() {
        frame.arrived_nanos = at as u64 * 20_020_000;
    }
    let (_, found) = mixed(frames);
    let seconds = found.samples as f64 / 48_000.0;
    assert!((seconds - 300.3).abs() < 0.12, "{seconds}");
}

#[test]
fn a_recorded_call_is_heard_on_both_sides() {
    let (sides, found) = mixed(recorded_call());
    assert!((95_000..=97_500).contains(&found.samples), "{found:?}");
    assert_eq!((found.packets_lost, found.packets_surplus, found.packets_damaged), (0, 0, 0));
    for side in &sides {
        let power = side.iter().map(|sample| f64::from(sample * sample)).sum::<f64>() / side.len() as f64;
        assert!((0.005..0.2).contains(&power.sqrt()), "{}", power.sqrt());
    }
}

#[test]
fn half_an_hour_of_silence_passes_through_a_memory_of_seconds() {
    let mut mixdown = Mixdown::new(HOUR);
    let mut count = Count::default();
    let frames = caller().frames(10).into_iter().chain(callee().arriving_from(3_600_000 / 2).frames(10));
    for frame in frames {
        let Ok(()) = mixdown.push(frame, &mut count);
        for track in &mut mixdown.tracks {
            assert!(track.samples().len() < 20 * RATE as usize);
        }
    }
    let Ok(found) = mixdown.finish(&mut count);
    assert_eq!(found.samples, (1_800 * 1_000 + 200) * 48);
}

#[test]
fn a_side_that_sends_more_than_time_has_room_for_is_bounded() {
    let mut mixdown = Mixdown::new(HOUR);
    let mut count = Count::default();
    let mut frames = caller().frames(4_000);
    for frame in &mut frames {
        frame.arrived_nanos /= 10;
        let Ok(()) = mixdown.push(frame.clone(), &mut count);
        assert!(mixdown.tracks[0].samples().len() < 25 * RATE as usize);
    }
    let Ok(found) = mixdown.finish(&mut count);
    assert!(found.packets_surplus > 0);
    assert!(found.samples < 25 * u64::from(RATE));
}

#[test]
fn what_comes_after_the_longest_time_is_cut() {
    let mut mixdown = Mixdown::new(Duration::from_secs(1));
    let mut count = Count::default();
    for frame in caller().frames(100) {
        let Ok(()) = mixdown.push(frame, &mut count);
    }
    let Ok(found) = mixdown.finish(&mut count);
    assert!(found.cut);
    assert_eq!(found.samples, 51 * 960);
}

#[test]
fn a_call_without_media_gives_nothing() {
    let (_, found) = mixed(Sender::new(Side::Caller, Codec::Silent, 0.0).frames(20));
    assert_eq!(found, Found::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_frames_are_mixed_without_a_panic_and_in_bounded_time(
        frames in proptest::collection::vec(
            (any::<bool>(), 0_u64..30_000_000_000, any::<u16>(), any::<u32>(), 0_usize..6, proptest::collection::vec(any::<u8>(), 0..400)),
            0..60,
        ),
    ) {
        let frames = frames.into_iter().map(|(callee, arrived_nanos, sequence, timestamp, kind, payload)| Frame {
            side: if callee { Side::Callee } else { Side::Caller },
            arrived_nanos,
            sequence,
            timestamp,
            payload_type: [0, 8, 9, 96, 101, 127][kind],
            payload: Bytes::from(payload),
        });
        let (sides, _) = mixed(frames);
        prop_assert!(sides[0].len() <= 60 * RATE as usize);
        prop_assert!(sides.iter().flatten().all(|sample| sample.is_finite()));
    }
}
