//! The media of one side of many calls: it speaks in each and counts what it hears.
//!
//! All calls share one socket, since each is told by its source number (SSRC), which the gateway passes on as it is. Two
//! threads, so that the pace does not depend on what else is done here: one speaks, one hears.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{party::socket, pause};
use crate::serving::failed;

/// Of one packet: 20 ms of G.711, 8,000 samples a second.
const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// The calls speak in turn within the time of a packet, so that packets do not come all at once.
const TURNS: u32 = 10;
/// RTP's head (RFC 3550).
const HEAD: usize = 12;
/// How often the one who hears looks whether it is over.
const LOOK: Duration = Duration::from_millis(50);
/// Packets of speech until it begins again: two seconds.
const SPEECH: usize = 100;

/// One side's media. Dropped, it is silent.
pub struct Media {
    /// Where it hears.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    socket: UdpSocket,
    over: AtomicBool,
    mouths: Mutex<Vec<Mouth>>,
    heard: Mutex<HashMap<u32, Heard>>,
}

/// One call's speech.
struct Mouth {
    source: u32,
    to: SocketAddr,
    speaks: bool,
    sent: u32,
}

/// What was heard of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Heard {
    packets: u32,
    /// Those that came twice, or after a later one.
    late: u32,
    next: u16,
}

/// Packets that one side sent and the other heard.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Passed {
    /// Sent.
    pub sent: u64,
    /// Heard.
    pub heard: u64,
    /// Sent and not heard, or heard twice or in the wrong order.
    pub faults: u64,
}

impl Media {
    /// Opens a socket and begins to hear.
    ///
    /// # Errors
    /// When there is no socket or no thread.
    pub fn open(ip: Ipv4Addr) -> Result<Self, String> {
        let cannot = |error: std::io::Error| failed("media", &error);
        let socket = socket(ip)?;
        socket.set_read_timeout(Some(LOOK)).map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared {
            socket,
            over: AtomicBool::new(false),
            mouths: Mutex::default(),
            heard: Mutex::default(),
        });
        let mut media = Self { address, shared: Arc::clone(&shared), threads: Vec::new() };
        let start = |name: &str, work: fn(&Shared)| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name(name.to_owned()).spawn(move || work(&shared)).map_err(cannot)
        };
        media.threads.push(start("speaks", Shared::speak)?);
        media.threads.push(start("hears", Shared::hear)?);
        Ok(media)
    }

    /// Speaks in a call from now on.
    pub fn speak(&self, source: u32, to: SocketAddr) {
        self.shared.mouths().push(Mouth { source, to, speaks: true, sent: 0 });
    }

    /// Is silent in a call from now on.
    pub fn hush(&self, source: u32) {
        for mouth in self.shared.mouths().iter_mut().filter(|mouth| mouth.source == source) {
            mouth.speaks = false;
        }
    }

    /// Is silent in all calls from now on.
    pub fn hush_all(&self) {
        for mouth in self.shared.mouths().iter_mut() {
            mouth.speaks = false;
        }
    }

    /// What this side sent, and what the other heard of it.
    pub fn passed_to(&self, other: &Self) -> Passed {
        let heard = other.shared.heard();
        let mut all = Passed::default();
        for mouth in self.shared.mouths().iter() {
            let here = heard.get(&mouth.source).copied().unwrap_or_default();
            all.sent += u64::from(mouth.sent);
            all.heard += u64::from(here.packets);
            all.faults += u64::from(mouth.sent.abs_diff(here.packets) + here.late);
        }
        all
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn mouths(&self) -> MutexGuard<'_, Vec<Mouth>> {
        self.mouths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<u32, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn speak(&self) {
        let speech = speech();
        let mut packet = [0; HEAD + SAMPLES];
        let begun = Instant::now();
        for turn in 0_u32.. {
            // By the clock, not from the last turn: who is late catches up, and no packet is left out.
            let due = begun + PACKET / TURNS * turn;
            pause(due.saturating_duration_since(Instant::now()));
            if self.over.load(Ordering::Relaxed) {
                return;
            }
            for (place, mouth) in (0_u32..).zip(self.mouths().iter_mut()) {
                if mouth.speaks && place % TURNS == turn % TURNS {
                    write(&mut packet, mouth, &speech);
                    // What is not sent is not heard, and counted so.
                    let _ = self.socket.send_to(&packet, mouth.to);
                    mouth.sent += 1;
                }
            }
        }
    }

    fn hear(&self) {
        let mut buffer = [0; 2_048];
        while !self.over.load(Ordering::Relaxed) {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            if let Some((source, sequence)) = buffer.get(..length).and_then(read) {
                self.heard().entry(source).or_default().take(sequence);
            }
        }
    }
}

impl Heard {
    fn take(&mut self, sequence: u16) {
        self.packets += 1;
        // Beyond half of all numbers is behind (RFC 1982).
        if sequence.wrapping_sub(self.next) < 0x8000 {
            self.next = sequence.wrapping_add(1);
        } else {
            self.late += 1;
        }
    }
}

/// The next packet of a call: its sequence begins with 0.
fn write(packet: &mut [u8; HEAD + SAMPLES], mouth: &Mouth, speech: &[[u8; SAMPLES]]) {
    let head: [&[u8]; 4] = [
        &[0x80, 0],
        // The numbers begin anew after 65,535.
        &(mouth.sent as u16).to_be_bytes(),
        &(mouth.sent.wrapping_mul(SAMPLES as u32)).to_be_bytes(),
        &mouth.source.to_be_bytes(),
    ];
    let place = (mouth.sent as usize + mouth.source as usize) % SPEECH;
    let spoken = speech.get(place).into_iter().flatten();
    for (byte, value) in packet.iter_mut().zip(head.into_iter().flatten().chain(spoken)) {
        *byte = *value;
    }
}

/// Source and sequence number of a packet of G.711.
fn read(packet: &[u8]) -> Option<(u32, u16)> {
    let [0x80, 0, first, second, _, _, _, _, source @ ..] = packet else { return None };
    let source = source.first_chunk().copied()?;
    Some((u32::from_be_bytes(source), u16::from_be_bytes([*first, *second])))
}

/// Two seconds of what is as rich as a voice: a tone of 140 Hz with overtones whose loudness goes up and down four times a
/// second, over a little noise.
fn speech() -> Vec<[u8; SAMPLES]> {
    let mut noise = 1_u32;
    let mut sample = |number: usize| {
        let time = number as f64 / 8_000.0;
        let turn = std::f64::consts::TAU * time;
        let voice: f64 = (1..=12).map(|tone| (turn * 140.0 * f64::from(tone)).sin() / f64::from(tone)).sum();
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
        (voice * (0.55 + 0.45 * (turn * 4.0).sin()) * 6_000.0 + hiss * 600.0) as i16
    };
    (0..SPEECH).map(|packet| std::array::from_fn(|place| mu_law(sample(packet * SAMPLES + place)))).collect()
}

/// A sample in μ-law (G.711).
fn mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = sample.unsigned_abs().min(32_635) + 132;
    // The place of the highest bit: 7 at least, because of what was added, and 14 at most.
    let exponent = (15 - size.leading_zeros()).saturating_sub(7);
    let mantissa = (size >> (exponent + 3)) & 0x0f;
    // Eight bits in all.
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_coded_as_g711_says() {
        let coded = [0, -1, 132, 1_000, -1_000, 32_767, -32_768].map(mu_law);
        assert_eq!(coded, [0xff, 0x7f, 0xef, 0xce, 0x4e, 0x80, 0x00]);
    }

    #[test]
    fn what_comes_late_or_twice_is_told_from_what_is_left_out() {
        let mut heard = Heard { next: 65_534, ..Heard::default() };
        for sequence in [65_534, 65_535, 0, 2, 1, 2] {
            heard.take(sequence);
        }
        assert_eq!(heard, Heard { packets: 6, late: 2, next: 3 });
    }

    #[test]
    fn two_sides_hear_every_packet_of_each_other() {
        let sides = [(); 2].map(|()| Media::open(Ipv4Addr::LOCALHOST).unwrap());
        let [one, other] = &sides;
        one.speak(7, other.address);
        other.speak(8, one.address);
        let passed = || [one.passed_to(other), other.passed_to(one)];
        let begun = Instant::now();
        while passed().iter().any(|passed| passed.sent < 5) {
            assert!(begun.elapsed() < Duration::from_secs(20));
            pause(PACKET);
        }
        one.hush(7);
        other.hush_all();
        while passed().iter().any(|passed| passed.faults > 0) {
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", passed());
            pause(PACKET);
        }
    }
}
