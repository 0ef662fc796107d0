//! Media for tests: tones as packets, and how to find them again.

use std::f64::consts::TAU;

use audio_codec::Encoder;
use bytes::Bytes;

use super::codec::Codec;
use crate::{Frame, Side};

/// A sine, from 0 to half of full scale.
pub(super) fn tone(hertz: f64, rate: u32, from: usize, count: usize) -> Vec<i16> {
    (from..from + count)
        .map(|at| ((at as f64 * hertz * TAU / f64::from(rate)).sin() * 16_384.0) as i16)
        .collect()
}

/// How strong a frequency is in samples at 48 kHz: 1 for a full sine (Goertzel's algorithm).
pub(super) fn strength(samples: &[f32], hertz: f64) -> f64 {
    let turn = 2.0 * (hertz * TAU / 48_000.0).cos();
    let (mut last, mut before) = (0.0, 0.0);
    for sample in samples {
        (last, before) = (f64::from(*sample) + turn * last - before, last);
    }
    2.0 * (last * last + before * before - turn * last * before).max(0.0).sqrt() / samples.len() as f64
}

/// From samples to the payload of a packet.
type Coder = Box<dyn FnMut(&[i16]) -> Vec<u8>>;

/// Someone who sends a tone in packets of 20 ms.
pub(super) struct Sender {
    side: Side,
    hertz: f64,
    payload_type: u8,
    coder: Coder,
    rate: u32,
    ticks: u32,
    at: usize,
    /// The next packet's.
    pub sequence: u16,
    /// The next packet's.
    pub timestamp: u32,
    /// When the next packet arrives, in nanoseconds.
    pub nanos: u64,
}

impl Sender {
    pub fn new(side: Side, codec: Codec, hertz: f64) -> Self {
        let (payload_type, rate, ticks, coder): (_, _, _, Coder) = match codec {
            Codec::Pcmu => {
                let mut coder = audio_codec::pcmu::PcmuEncoder::new();
                (0, 8_000, 160, Box::new(move |samples| coder.encode(samples)))
            }
            Codec::Pcma => {
                let mut coder = audio_codec::pcma::PcmaEncoder::new();
                (8, 8_000, 160, Box::new(move |samples| coder.encode(samples)))
            }
            Codec::G722 => {
                let mut coder = audio_codec::g722::G722Encoder::new();
                (9, 16_000, 160, Box::new(move |samples| coder.encode(samples)))
            }
            Codec::Opus => {
                let mut packets = opus_packets("opus-hybrid.packets").into_iter().cycle();
                (96, 48_000, 960, Box::new(move |_| packets.next().expect("a packet")))
            }
            Codec::Silent => (101, 8_000, 0, Box::new(|_| vec![1, 10, 0, 160])),
        };
        let (sequence, timestamp) = (65_500, u32::MAX - 3_000);
        Self { side, hertz, payload_type, coder, rate, ticks, at: 0, sequence, timestamp, nanos: 0 }
    }

    pub fn arriving_from(mut self, millis: u64) -> Self {
        self.nanos = millis * 1_000_000;
        self
    }

    pub fn frame(&mut self) -> Frame {
        let count = self.rate as usize / 50;
        let payload = (self.coder)(&tone(self.hertz, self.rate, self.at, count));
        let frame = Frame {
            side: self.side,
            arrived_nanos: self.nanos,
            sequence: self.sequence,
            timestamp: self.timestamp,
            payload_type: self.payload_type,
            payload: Bytes::from(payload),
        };
        self.at += count;
        self.skip(1);
        frame
    }

    pub fn frames(&mut self, count: usize) -> Vec<Frame> {
        (0..count).map(|_| self.frame()).collect()
    }

    /// Time passes as if packets had been sent.
    pub fn skip(&mut self, packets: u16) {
        self.sequence = self.sequence.wrapping_add(packets);
        self.timestamp = self.timestamp.wrapping_add(self.ticks * u32::from(packets));
        self.nanos += 20_000_000 * u64::from(packets);
    }
}

/// Frames of both sides in order of arrival, as a relay hears them.
pub(super) fn heard(sides: impl IntoIterator<Item = Vec<Frame>>) -> Vec<Frame> {
    let mut all: Vec<Frame> = sides.into_iter().flatten().collect();
    all.sort_by_key(|frame| frame.arrived_nanos);
    all
}

fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recording");
    std::fs::read(folder.join(name)).expect("a fixture")
}

/// A second of 1,000 Hz in packets of 20 ms, made by the reference implementation: each after its length.
pub(super) fn opus_packets(name: &str) -> Vec<Vec<u8>> {
    let bytes = fixture(name);
    let mut rest = bytes.as_slice();
    let mut packets = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (packet, after) = after.split_at(usize::from(u16::from_le_bytes(*length)));
        packets.push(packet.to_vec());
        rest = after;
    }
    packets
}

/// Two seconds of a recorded call: G.711 from two phones, as their packets came in.
pub(super) fn recorded_call() -> Vec<Frame> {
    let bytes = fixture("two-sides.pcap");
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut begin, mut frames) = (24, None, Vec::new());
    while at < bytes.len() {
        let nanos = u64::from(number(at)) * 1_000_000_000 + u64::from(number(at + 4)) * 1_000;
        let length = number(at + 8) as usize;
        // Ethernet, IPv4 and UDP without options; then RTP.
        let packet = &bytes[at + 16..at + 16 + length];
        let rtp = &packet[42..];
        frames.push(Frame {
            side: if packet[29] == 21 { Side::Caller } else { Side::Callee },
            arrived_nanos: nanos - *begin.get_or_insert(nanos),
            sequence: u16::from_be_bytes([rtp[2], rtp[3]]),
            timestamp: u32::from_be_bytes([rtp[4], rtp[5], rtp[6], rtp[7]]),
            payload_type: rtp[1] & 0x7f,
            payload: Bytes::copy_from_slice(&rtp[12..]),
        });
        at += 16 + length;
    }
    frames
}
