//! From the frames of a call to the samples of its two sides, side by side.
//!
//! Each side's packets are put in order, decoded, and placed by their time stamps; the first packet of each source is
//! placed by its arrival, which is what sets the two sides against each other. Silence stands where nothing came. Samples
//! leave as soon as nothing can come for their time any more, so that a call of hours needs no more memory than one of a
//! minute.

mod decoder;
mod g711;
mod mix;
mod order;
#[cfg(test)]
mod tests;
mod track;
mod upsampler;

use std::time::Duration;

use self::track::{Track, place_of};
use crate::{Frame, Side, recording::codec::PayloadMap};
pub(super) use mix::{one, sum};

/// Samples a second of a recording.
pub(super) const RATE: u32 = 48_000;

/// How long after its time a packet is still waited for, in samples.
const HORIZON: u64 = 5 * RATE as u64;

/// The most samples that leave at once.
const BLOCK: usize = 4_800;

/// Takes the samples of the caller and as many of the callee.
pub(super) trait Sink {
    /// Why it takes no more.
    type Error;

    /// Takes samples, from about -1 to about 1.
    fn take(&mut self, caller: &[f32], callee: &[f32]) -> Result<(), Self::Error>;
}

/// What a mixdown found, when it is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// `Frame::arrived_nanos` of the first frame with something to hear; none when there was none.
    pub begin_nanos: Option<u64>,
    /// Samples of each side.
    pub samples: u64,
    pub packets_lost: u64,
    pub packets_surplus: u64,
    pub packets_damaged: u64,
    /// There was more than the longest recording may hold.
    pub cut: bool,
}

/// The mixdown of a call.
pub(super) struct Mixdown {
    longest_nanos: u64,
    tracks: [Track; 2],
    begin_nanos: Option<u64>,
    now_nanos: u64,
    given: u64,
    cut: bool,
    block: [Vec<f32>; 2],
}

impl Mixdown {
    /// One that leaves out what comes later than the longest time.
    pub fn new(longest: Duration) -> Self {
        Self {
            longest_nanos: u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX),
            tracks: Default::default(),
            begin_nanos: None,
            now_nanos: 0,
            given: 0,
            cut: false,
            block: Default::default(),
        }
    }

    /// From now on the payload types of a side mean this.
    pub fn payloads(&mut self, side: Side, map: PayloadMap) {
        self.tracks[side as usize].payloads(map);
    }

    /// Takes the next frame of the journal, and gives what is settled.
    pub fn push<S: Sink>(&mut self, frame: Frame, sink: &mut S) -> Result<(), S::Error> {
        let begin_nanos = match self.begin_nanos {
            Some(begin_nanos) => begin_nanos,
            None if self.tracks[frame.side as usize].is_audible(&frame) => {
                *self.begin_nanos.insert(frame.arrived_nanos)
            }
            None => return Ok(()),
        };
        let arrived_nanos = frame.arrived_nanos.saturating_sub(begin_nanos);
        if arrived_nanos > self.longest_nanos {
            self.cut = true;
            return Ok(());
        }
        // After a long pause in steps, so that its silence is given away as it comes.
        while self.now_nanos.saturating_add(1_000_000_000) < arrived_nanos {
            self.now_nanos += 1_000_000_000;
            self.settle(sink)?;
        }
        self.now_nanos = self.now_nanos.max(arrived_nanos);
        self.tracks[frame.side as usize].push(frame, arrived_nanos);
        self.settle(sink)
    }

    /// Gives all that is left.
    pub fn finish<S: Sink>(mut self, sink: &mut S) -> Result<Found, S::Error> {
        let end = self.tracks.iter_mut().map(Track::finish).max().unwrap_or_default();
        let longest = place_of(self.longest_nanos).saturating_add(2 * HORIZON);
        for track in &mut self.tracks {
            track.close(end.min(longest));
        }
        self.give(sink)?;
        let mut found =
            Found { begin_nanos: self.begin_nanos, samples: self.given, cut: self.cut, ..Found::default() };
        for track in &self.tracks {
            let (lost, surplus, damaged) = track.flaws();
            found.packets_lost += lost;
            found.packets_surplus += surplus;
            found.packets_damaged += damaged;
        }
        Ok(found)
    }

    fn settle<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        for track in &mut self.tracks {
            track.settle(self.now_nanos);
        }
        self.give(sink)
    }

    fn give<S: Sink>(&mut self, sink: &mut S) -> Result<(), S::Error> {
        loop {
            let [caller, callee] = &mut self.tracks;
            let ready = caller.samples().len().min(callee.samples().len()).min(BLOCK);
            if ready == 0 {
                return Ok(());
            }
            for (block, track) in self.block.iter_mut().zip([caller, callee]) {
                block.clear();
                block.extend(track.samples().drain(..ready));
            }
            self.given += ready as u64;
            sink.take(&self.block[0], &self.block[1])?;
        }
    }
}
