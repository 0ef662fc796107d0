//! One side of a call: its packets in their places in time.

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    HORIZON, RATE,
    decoder::Decoder,
    order::{Order, Packet},
    upsampler::Upsampler,
};
use crate::{
    Frame,
    recording::codec::{Codec, PayloadMap},
};

/// How far ahead of its arrival a packet may stand: beyond it its time stamps are not to be believed.
const AHEAD: u64 = 2 * RATE as u64;

/// How far ahead of the arrivals the track may grow: beyond it a side sends more than it has time for.
const SURPLUS: u64 = 2 * HORIZON;

/// A sender's clock is looked at every so many packets, and set right when all of them came later than this.
const CLOCK_PACKETS: u32 = 500;
const CLOCK_SLACK: u64 = RATE as u64 / 10;

/// The place of a time stamp.
#[derive(Clone, Copy)]
struct Anchor {
    timestamp: u32,
    place: u64,
}

/// How late the promptest of some packets was.
#[derive(Clone, Copy, Default)]
struct Slack {
    packets: u32,
    least: Option<u64>,
}

/// A side's samples, at [`RATE`], as far as they are settled. Places are counted in them.
pub(super) struct Track {
    map: PayloadMap,
    order: Order,
    decoder: Option<(Codec, Decoder)>,
    upsampler: Upsampler,
    anchor: Option<Anchor>,
    slack: Slack,
    /// Where the next sample comes to stand.
    end: u64,
    samples: VecDeque<f32>,
    decoded: Vec<f32>,
    surplus: u64,
    damaged: u64,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            map: PayloadMap::default(),
            order: Order::default(),
            decoder: None,
            upsampler: Upsampler::from(RATE),
            anchor: None,
            slack: Slack::default(),
            end: 0,
            samples: VecDeque::new(),
            decoded: Vec::new(),
            surplus: 0,
            damaged: 0,
        }
    }
}

impl Track {
    /// From now on payload types mean this.
    pub fn payloads(&mut self, map: PayloadMap) {
        self.map = map;
    }

    /// Whether there is anything to hear in a frame.
    pub fn is_audible(&self, frame: &Frame) -> bool {
        self.map.meaning(frame.payload_type).codec != Codec::Silent && !frame.payload.is_empty()
    }

    /// Takes a frame in. `arrived_nanos` is counted from the begin of the recording.
    pub fn push(&mut self, frame: Frame, arrived_nanos: u64) {
        let mut meaning = self.map.meaning(frame.payload_type);
        if frame.payload.is_empty() {
            meaning.codec = Codec::Silent;
        }
        let payload = if meaning.codec == Codec::Silent { Bytes::new() } else { frame.payload };
        self.order.push(Packet {
            arrived_nanos,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            meaning,
            payload,
            fresh: false,
        });
    }

    /// Brings in what is due, and fills what nothing can come for any more with silence.
    pub fn settle(&mut self, now_nanos: u64) {
        while let Some(packet) = self.order.pop(now_nanos) {
            self.place(&packet);
        }
        let settled = place_of(now_nanos).saturating_sub(HORIZON);
        if self.end < settled {
            self.silence_until(settled);
        }
    }

    /// Brings in all that is left, and gives the end of what there is.
    pub fn finish(&mut self) -> u64 {
        while let Some(packet) = self.order.pop_last() {
            self.place(&packet);
        }
        self.end
    }

    /// Fills with silence up to a place, and keeps nothing back.
    pub fn close(&mut self, end: u64) {
        self.silence_until(end);
        self.upsampler.flush(&mut self.samples);
        // Silence is in whole samples of the codec's rate, which may leave less than one of them.
        for _ in self.end..end {
            self.samples.push_back(0.0);
        }
        self.end = self.end.max(end);
    }

    /// The samples that are ready.
    pub fn samples(&mut self) -> &mut VecDeque<f32> {
        &mut self.samples
    }

    /// Packets lost, more than there was time for, and damaged.
    pub fn flaws(&self) -> (u64, u64, u64) {
        (self.order.lost(), self.surplus, self.damaged)
    }

    fn place(&mut self, packet: &Packet) {
        let arrival = place_of(packet.arrived_nanos);
        let codec = packet.meaning.codec;
        if codec == Codec::Silent {
            return;
        }
        if self.end > arrival.saturating_add(SURPLUS) {
            self.surplus += 1;
            return;
        }
        if self.decoder.as_ref().is_none_or(|(current, _)| *current != codec) {
            let Some(decoder) = Decoder::of(codec) else { return };
            self.change_rate(decoder.rate());
            self.decoder = Some((codec, decoder));
        }
        let place = self.place_in_time(packet, arrival);
        let Some((_, decoder)) = &mut self.decoder else { return };
        self.decoded.clear();
        if decoder.decode(&packet.payload, &mut self.decoded).is_err() {
            self.damaged += 1;
        }
        if !self.decoded.is_empty() {
            self.silence_until(place);
            self.upsampler.push(&self.decoded, &mut self.samples);
            self.end += self.decoded.len() as u64 * self.upsampler.ratio();
        }
    }

    /// Where a packet belongs by its time stamp, never before what is there already.
    fn place_in_time(&mut self, packet: &Packet, arrival: u64) -> u64 {
        let anchored = self.anchor.filter(|_| !packet.fresh).map(|anchor| {
            let ticks = i64::from(packet.timestamp.wrapping_sub(anchor.timestamp) as i32);
            let samples = ticks * i64::from(RATE) / i64::from(packet.meaning.clock_rate.max(1));
            anchor.place.saturating_add_signed(samples)
        });
        let (wanted, begins) = match anchored {
            Some(place) if place <= arrival.saturating_add(AHEAD) => {
                (place + self.clock_error(place, arrival), false)
            }
            Some(_) | None => (arrival, true),
        };
        let place = wanted.max(self.end);
        // The anchor stays where it is as long as it is right: so no rounding adds up.
        if begins || anchored != Some(place) {
            self.anchor = Some(Anchor { timestamp: packet.timestamp, place });
            self.slack = Slack::default();
        }
        place
    }

    /// How far behind its arrivals a side has fallen whose clock is slow.
    fn clock_error(&mut self, place: u64, arrival: u64) -> u64 {
        let late = arrival.saturating_sub(place);
        let least = self.slack.least.map_or(late, |least| least.min(late));
        self.slack = Slack { packets: self.slack.packets + 1, least: Some(least) };
        if self.slack.packets < CLOCK_PACKETS {
            return 0;
        }
        self.slack = Slack::default();
        if least > CLOCK_SLACK { least } else { 0 }
    }

    fn silence_until(&mut self, place: u64) {
        let ratio = self.upsampler.ratio();
        let count = place.saturating_sub(self.end) / ratio;
        self.end += count * ratio;
        self.upsampler.push_silence(count, &mut self.samples);
    }

    fn change_rate(&mut self, rate: u32) {
        if rate != self.upsampler.rate() {
            self.upsampler.flush(&mut self.samples);
            self.upsampler = Upsampler::from(rate);
        }
    }
}

/// The place of a time since the begin of the recording.
pub(super) fn place_of(nanos: u64) -> u64 {
    let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    seconds * u64::from(RATE) + rest * u64::from(RATE) / 1_000_000_000
}
