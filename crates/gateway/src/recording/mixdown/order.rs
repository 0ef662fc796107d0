//! The packets of one side in the order in which they were sent.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::recording::codec::{Codec, Payload};

/// How long a packet waits for one that was sent before it, and how many may wait.
const PATIENCE_NANOS: u64 = 1_000_000_000;
const WAITING_ROOM: usize = 64;

/// How many of the first packets are put in order before the first of them is taken as the first.
const FIRST: usize = 4;

/// How far media time and arrival may part between two packets of the same source. Beyond it the time stamps began anew.
const ASTRAY_SECONDS: f64 = 2.0;

/// How far sequence numbers may leap, and how far fall back, in the same source (RFC 3550, A.1).
const LEAP: i16 = 3_000;
const FALL: i16 = -500;

/// A packet on its way into a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub arrived_nanos: u64,
    pub sequence: u16,
    pub timestamp: u32,
    pub meaning: Payload,
    pub payload: Bytes,
    /// The first of a source: its time stamps have nothing to do with those before.
    pub fresh: bool,
}

/// The newest packet, in order of arrival, whose time stamp counts.
#[derive(Clone, Copy)]
struct Newest {
    arrived_nanos: u64,
    timestamp: u32,
    clock_rate: u32,
}

/// Puts packets in order, leaves out duplicates, and notices when a source gives way to another.
#[derive(Default)]
pub(super) struct Order {
    newest: Option<Newest>,
    /// The highest sequence number so far, counted on beyond 16 bits.
    highest: Option<i64>,
    /// The number that is to come next.
    next: Option<i64>,
    fresh: bool,
    waiting: BTreeMap<i64, Packet>,
    /// Of a source that has given way: all in order, to be taken first.
    left: Vec<Packet>,
    lost: u64,
}

impl Order {
    /// How many numbers were passed over.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a packet in.
    pub fn push(&mut self, packet: Packet) {
        let audible = packet.meaning.codec != Codec::Silent;
        let step = self.highest.map(|highest| packet.sequence.wrapping_sub(highest as u16) as i16);
        let leapt = step.is_some_and(|step| !(FALL..=LEAP).contains(&step));
        if leapt && !audible {
            return;
        }
        if leapt || (audible && self.newest.is_some_and(|newest| newest.is_astray_of(&packet))) {
            self.begin_anew();
        }
        if audible {
            self.newest = Some(Newest {
                arrived_nanos: packet.arrived_nanos,
                timestamp: packet.timestamp,
                clock_rate: packet.meaning.clock_rate,
            });
        }
        let number = match (self.highest, step) {
            (Some(highest), Some(step)) => highest + i64::from(step),
            _ => i64::from(packet.sequence),
        };
        self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
        if self.next.is_none_or(|next| number >= next) {
            self.waiting.entry(number).or_insert(packet);
        }
    }

    /// The next packet in order: the one that is due, or the one after it when that did not come in time.
    pub fn pop(&mut self, now_nanos: u64) -> Option<Packet> {
        if !self.left.is_empty() {
            return Some(self.left.remove(0));
        }
        let (number, first) = self.waiting.first_key_value()?;
        let due = match self.next {
            Some(next) => *number == next || self.waiting.len() > WAITING_ROOM,
            None => self.waiting.len() >= FIRST,
        };
        let waited = now_nanos.saturating_sub(first.arrived_nanos) > PATIENCE_NANOS;
        if due || waited { self.take_first() } else { None }
    }

    /// The next packet in order, whatever is missing before it.
    pub fn pop_last(&mut self) -> Option<Packet> {
        if self.left.is_empty() { self.take_first() } else { Some(self.left.remove(0)) }
    }

    fn take_first(&mut self) -> Option<Packet> {
        let (number, mut packet) = self.waiting.pop_first()?;
        if let Some(next) = self.next {
            self.lost += u64::try_from(number - next).unwrap_or_default();
        }
        self.next = Some(number + 1);
        // What cannot be heard has no place in time, so the next packet has to be the first.
        if packet.meaning.codec != Codec::Silent {
            packet.fresh = std::mem::take(&mut self.fresh);
        }
        Some(packet)
    }

    fn begin_anew(&mut self) {
        while let Some(packet) = self.take_first() {
            self.left.push(packet);
        }
        (self.newest, self.highest, self.next) = (None, None, None);
        self.fresh = true;
    }
}

impl Newest {
    /// Whether a packet cannot be of the same source: its clock is another, or its time stamp is far from where the time
    /// that has passed would have it.
    fn is_astray_of(&self, packet: &Packet) -> bool {
        let media =
            f64::from(packet.timestamp.wrapping_sub(self.timestamp) as i32) / f64::from(self.clock_rate);
        let passed = (packet.arrived_nanos as f64 - self.arrived_nanos as f64) / 1e9;
        self.clock_rate != packet.meaning.clock_rate || (media - passed).abs() > ASTRAY_SECONDS
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(sequence: u16, timestamp: u32, arrived_millis: u64) -> Packet {
        Packet {
            arrived_nanos: arrived_millis * 1_000_000,
            sequence,
            timestamp,
            meaning: Payload { codec: Codec::Pcmu, clock_rate: 8_000 },
            payload: Bytes::new(),
            fresh: false,
        }
    }

    /// A packet every 20 ms, from a sequence number on.
    fn nth(first: u16, at: u32) -> Packet {
        packet(first.wrapping_add(at as u16), at * 160, u64::from(at) * 20)
    }

    /// What comes out, and how many were lost.
    fn ordered(packets: impl IntoIterator<Item = Packet>) -> (Vec<Packet>, u64) {
        let mut order = Order::default();
        let mut out = Vec::new();
        for packet in packets {
            let now = packet.arrived_nanos;
            order.push(packet);
            out.extend(std::iter::from_fn(|| order.pop(now)));
        }
        out.extend(std::iter::from_fn(|| order.pop_last()));
        (out, order.lost())
    }

    fn sequences(packets: &[Packet]) -> Vec<u16> {
        packets.iter().map(|packet| packet.sequence).collect()
    }

    #[test]
    fn packets_come_out_in_order_across_the_end_of_the_numbers() {
        let (out, lost) = ordered([0, 2, 1, 3, 5, 6, 4, 7].map(|at| nth(65_533, at)));
        assert_eq!(sequences(&out), [65_533, 65_534, 65_535, 0, 1, 2, 3, 4]);
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_packet_that_comes_twice_comes_out_once() {
        let (out, lost) = ordered([0, 0, 1, 1, 2, 3, 4, 1, 5, 5].map(|at| nth(10, at)));
        assert_eq!(sequences(&out), [10, 11, 12, 13, 14, 15]);
        assert_eq!(lost, 0);
    }

    #[test]
    fn what_never_comes_is_waited_for_and_passed_over() {
        let mut order = Order::default();
        for at in [0, 1, 2, 3, 5] {
            order.push(nth(0, at));
        }
        let now = nth(0, 5).arrived_nanos;
        let out: Vec<Packet> = std::iter::from_fn(|| order.pop(now)).collect();
        assert_eq!(sequences(&out), [0, 1, 2, 3]);
        assert_eq!(order.pop(now + PATIENCE_NANOS), None);
        assert_eq!(order.pop(now + PATIENCE_NANOS + 1).map(|packet| packet.sequence), Some(5));
        assert_eq!(order.lost(), 1);
    }

    #[test]
    fn time_stamps_that_begin_anew_begin_a_new_source() {
        let old = (0..5).map(|at| nth(100, at));
        let new = (5..10).map(|at| packet(at as u16, 900_000 + at * 160, u64::from(at) * 20));
        let (out, lost) = ordered(old.chain(new));
        assert_eq!(sequences(&out), [100, 101, 102, 103, 104, 5, 6, 7, 8, 9]);
        let fresh: Vec<u16> =
            out.iter().filter(|packet| packet.fresh).map(|packet| packet.sequence).collect();
        assert_eq!((fresh, lost), (vec![5], 0));
    }

    #[test]
    fn a_pause_whose_time_stamps_went_on_is_the_same_source() {
        let late = packet(5, 8_000 * 3_600, 3_600_000);
        let (out, lost) = ordered((0..5).map(|at| nth(0, at)).chain([late]));
        assert!(out.iter().all(|packet| !packet.fresh));
        assert_eq!(lost, 0);
    }

    #[test]
    fn a_key_press_is_in_the_order_and_its_time_stamp_is_not_minded() {
        let key = |sequence, millis| {
            let mut packet = packet(sequence, 640, millis);
            packet.meaning.codec = Codec::Silent;
            packet
        };
        let keys = (0..200).map(|at| key(4 + at, 80 + u64::from(at) * 20));
        let after = packet(204, 640 + 200 * 160, 4_080);
        let (out, lost) = ordered((0..4).map(|at| nth(0, at)).chain(keys).chain([after]));
        assert_eq!((out.len(), lost), (205, 0));
        assert!(out.iter().all(|packet| !packet.fresh));
    }

    proptest! {
        #[test]
        fn a_shuffled_stream_comes_out_as_it_was_sent(first: u16, swaps in proptest::collection::vec(4_usize..95, 0..40)) {
            let mut packets: Vec<Packet> = (0..100).map(|at| nth(first, at)).collect();
            let sent = sequences(&packets);
            for at in swaps {
                packets.swap(at, at + 3);
            }
            let (out, lost) = ordered(packets);
            prop_assert_eq!((sequences(&out), lost), (sent, 0));
        }

        #[test]
        fn any_packets_are_ordered_without_a_panic(
            packets in proptest::collection::vec((any::<u16>(), any::<u32>(), any::<u64>(), any::<bool>()), 0..200),
        ) {
            let count = packets.len();
            let (out, _) = ordered(packets.into_iter().map(|(sequence, timestamp, arrived_nanos, silent)| Packet {
                arrived_nanos,
                meaning: Payload { codec: if silent { Codec::Silent } else { Codec::Pcmu }, clock_rate: 8_000 },
                ..packet(sequence, timestamp, 0)
            }));
            prop_assert!(out.len() <= count);
        }
    }
}
