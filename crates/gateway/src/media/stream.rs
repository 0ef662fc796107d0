//! The statistics of one RTP stream (RFC 3550, A.1, A.3, A.8).

use super::rtp::Packet;

/// A jump ahead by more is no loss (RFC 3550, A.1).
const MOST_AHEAD: u16 = 3000;
/// A packet that is late by more is none of this series.
const MOST_LATE: u16 = 100;
/// Where counting begins, so that packets before the first one that came have a place.
const FIRST_CYCLE: u64 = 1 << 16;

/// What happened to the packets of one or more streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Each once, however often it came.
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) reordered: u64,
    pub(super) duplicates: u64,
    pub(super) gaps: u64,
}

impl Counts {
    #[must_use]
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            lost: self.lost + other.lost,
            reordered: self.reordered + other.reordered,
            duplicates: self.duplicates + other.duplicates,
            gaps: self.gaps + other.gaps,
        }
    }
}

/// A stream: the packets of one SSRC.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) ssrc: u32,
    /// Of series of this stream that are over, as its sender began to number anew.
    earlier: Counts,
    /// Of the series at hand; `lost` is reckoned from what follows.
    counts: Counts,
    /// The lowest and the highest number of the series, with the times it went round.
    lowest: u64,
    highest: u64,
    /// Which of the last 128 numbers came; the lowest bit is the highest number.
    came: u128,
    /// The number that would make a far jump a new series.
    expected: Option<u16>,
    clock: Clock,
}

/// How evenly packets arrive.
#[derive(Clone, Debug, Default)]
struct Clock {
    rate: u32,
    transit: Option<u32>,
    jitter_seconds: f64,
    worst_seconds: f64,
}

impl Stream {
    /// A stream before its first packet; `sequence` is the number of that packet.
    pub(super) fn new(ssrc: u32, sequence: u16) -> Self {
        let first = FIRST_CYCLE + u64::from(sequence);
        Self {
            ssrc,
            earlier: Counts::default(),
            counts: Counts::default(),
            lowest: first,
            highest: first,
            came: 0,
            expected: None,
            clock: Clock::default(),
        }
    }

    /// Takes a packet in. `clock_rate` is that of its payload type; `None` when its time says nothing of how evenly
    /// packets arrive: for unknown types, and keys, whose packets all have the time of the first.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, clock_rate: Option<u32>, now_nanos: u64) {
        if self.number(packet.sequence)
            && let Some(rate) = clock_rate
        {
            self.clock.arrived(packet.timestamp, rate, now_nanos);
        }
    }

    /// Counts a number; whether it is a new one.
    fn number(&mut self, sequence: u16) -> bool {
        if self.came == 0 {
            self.came = 1;
            self.counts.received = 1;
            return true;
        }
        // The low 16 bits of the highest number.
        let highest = (self.highest & 0xffff) as u16;
        let ahead = sequence.wrapping_sub(highest);
        let late = highest.wrapping_sub(sequence);
        if ahead == 0 {
            self.counts.duplicates += 1;
            return false;
        }
        if ahead < MOST_AHEAD {
            self.highest += u64::from(ahead);
            self.came = self.came.checked_shl(u32::from(ahead)).unwrap_or_default() | 1;
            self.counts.gaps += u64::from(ahead > 1);
        } else if late < MOST_LATE {
            let bit = 1 << late;
            if self.came & bit != 0 {
                self.counts.duplicates += 1;
                return false;
            }
            self.came |= bit;
            self.counts.reordered += 1;
            self.lowest = self.lowest.min(self.highest - u64::from(late));
        } else if self.expected == Some(sequence) {
            let next = Self::new(self.ssrc, sequence);
            *self = Self { earlier: self.counts(), clock: std::mem::take(&mut self.clock), came: 1, ..next };
        } else {
            self.expected = Some(sequence.wrapping_add(1));
            return false;
        }
        self.expected = None;
        self.counts.received += 1;
        true
    }

    /// All that was counted.
    pub(super) fn counts(&self) -> Counts {
        let expected = self.highest - self.lowest + 1;
        let lost = if self.came == 0 { 0 } else { expected.saturating_sub(self.counts.received) };
        self.earlier.and(Counts { lost, ..self.counts })
    }

    /// The jitter at the moment, in milliseconds.
    pub(super) fn jitter_ms(&self) -> f64 {
        self.clock.jitter_seconds * 1000.0
    }

    /// The highest jitter there was, in milliseconds.
    pub(super) fn worst_jitter_ms(&self) -> f64 {
        self.clock.worst_seconds * 1000.0
    }
}

impl Clock {
    fn arrived(&mut self, timestamp: u32, rate: u32, now_nanos: u64) {
        if self.rate != rate {
            self.rate = rate;
            self.transit = None;
        }
        // Both wrap at 32 bits, and only their difference counts.
        let ticks = u128::from(now_nanos) * u128::from(rate) / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let step = transit.wrapping_sub(before).cast_signed().unsigned_abs();
            // More than a second is a sender that set its clock anew.
            if step <= rate {
                let step = f64::from(step) / f64::from(rate);
                self.jitter_seconds += (step - self.jitter_seconds) / 16.0;
                self.worst_seconds = self.worst_seconds.max(self.jitter_seconds);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counted(sequences: &[u16]) -> Counts {
        let mut stream = Stream::new(1, sequences[0]);
        for sequence in sequences {
            stream.number(*sequence);
        }
        stream.counts()
    }

    #[test]
    fn packets_in_order_are_received_also_where_numbers_wrap() {
        let sequences: Vec<u16> = (0..200_000_u32).map(|number| (number + 65_000) as u16).collect();
        assert_eq!(counted(&sequences), Counts { received: 200_000, ..Counts::default() });
    }

    #[test]
    fn losses_make_gaps() {
        let expected = Counts { received: 4, lost: 5, gaps: 2, ..Counts::default() };
        assert_eq!(counted(&[65_534, 65_535, 4, 6]), expected);
    }

    #[test]
    fn a_late_packet_is_not_lost_and_a_second_one_is_a_duplicate() {
        let expected = Counts { received: 4, reordered: 1, duplicates: 2, gaps: 1, lost: 0 };
        assert_eq!(counted(&[1, 2, 4, 3, 3, 4]), expected);
        let expected = Counts { received: 2, reordered: 1, ..Counts::default() };
        assert_eq!(counted(&[0, 65_535]), expected, "the first to come need not be the first sent");
        let expected = Counts { received: 4, lost: 147, reordered: 1, duplicates: 1, gaps: 2 };
        assert_eq!(counted(&[0, 75, 150, 51, 51]), expected);
    }

    #[test]
    fn a_far_jump_counts_when_the_next_packet_follows_it() {
        assert_eq!(counted(&[1, 2, 30_000, 3]), Counts { received: 3, ..Counts::default() });
        // The first packet of the new series is not counted, as in RFC 3550.
        assert_eq!(counted(&[1, 2, 30_000, 30_001, 30_002]), Counts { received: 4, ..Counts::default() });
    }

    /// The jitter after packets of 20 ms each that arrive at these milliseconds.
    fn jitter(arrivals: &[u64], rate: u32) -> f64 {
        let mut clock = Clock::default();
        for (index, arrival) in (0..).zip(arrivals) {
            let ticks: u32 = index * (rate / 50);
            clock.arrived(ticks.wrapping_add(u32::MAX - 100), rate, arrival * 1_000_000);
        }
        clock.jitter_seconds * 1000.0
    }

    #[test]
    fn jitter_is_that_of_rfc_3550_at_every_clock() {
        for rate in [8000, 48_000] {
            assert!(jitter(&[0, 20, 40, 60], rate).abs() < 1e-9);
            // One step of 16 ms: 16/16; then one of -16: 1 + (16 - 1)/16.
            assert!((jitter(&[0, 36], rate) - 1.0).abs() < 1e-9);
            assert!((jitter(&[0, 36, 40], rate) - 1.9375).abs() < 1e-9);
        }
    }

    #[test]
    fn a_clock_set_anew_is_no_jitter() {
        assert!(jitter(&[0, 20, 5000, 5020], 8000).abs() < 1e-9);
        let mut clock = Clock::default();
        clock.arrived(0, 8000, 0);
        clock.arrived(7, 48_000, 20_000_000);
        assert!(clock.jitter_seconds.abs() < 1e-9, "a change of codec changes the clock");
    }

    proptest! {
        #[test]
        fn what_came_and_what_is_lost_add_up(first in any::<u16>(), keep in prop::collection::vec(any::<bool>(), 1..2000)) {
            let sequences: Vec<u16> =
                (0..).zip(&keep).filter(|(_, keep)| **keep).map(|(number, _)| first.wrapping_add(number)).collect();
            prop_assume!(!sequences.is_empty());
            let counts = counted(&sequences);
            let span = keep.iter().rposition(|keep| *keep).expect("one") - keep.iter().position(|keep| *keep).expect("one") + 1;
            prop_assert_eq!(counts.received + counts.lost, span as u64);
            prop_assert_eq!(counts.received, sequences.len() as u64);
        }

        #[test]
        fn any_numbers_at_any_time_are_counted(packets in prop::collection::vec((any::<u16>(), any::<u32>(), 0..u64::MAX, 1..96_000_u32), 1..200)) {
            let mut stream = Stream::new(9, packets[0].0);
            for (sequence, timestamp, now, rate) in packets {
                let packet = Packet { payload_type: 0, sequence, timestamp, ssrc: 9, payload: &[] };
                stream.packet(&packet, Some(rate), now);
            }
            prop_assert!(stream.counts().received > 0);
            prop_assert!((0.0..=1000.0).contains(&stream.jitter_ms()));
        }
    }
}
