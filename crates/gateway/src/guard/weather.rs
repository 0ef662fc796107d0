//! A bad network, for tests: the same seed brings the same weather.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

use crate::sip::Datagrams;

/// Datagrams on their way at once; more are lost, as in a full router.
const MOST_WAITING: usize = 4096;

/// What happens to datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Of a thousand, so many are lost.
    pub lost_per_mille: u16,
    /// Of a thousand that are not lost, so many come twice.
    pub doubled_per_mille: u16,
    /// Each is late by up to this; so they overtake each other.
    pub latest: Duration,
    /// Where chance begins.
    pub seed: u64,
}

impl Weather {
    /// Nothing happens to any.
    pub const FINE: Self = Self { lost_per_mille: 0, doubled_per_mille: 0, latest: Duration::ZERO, seed: 0 };

    /// How late each copy of the next datagram is; none when it is lost.
    fn next(self, chance: &mut Chance) -> Vec<Duration> {
        if chance.below(1000) < u64::from(self.lost_per_mille) {
            return Vec::new();
        }
        let copies = if chance.below(1000) < u64::from(self.doubled_per_mille) { 2 } else { 1 };
        let latest = u64::try_from(self.latest.as_micros()).unwrap_or(u64::MAX);
        (0..copies).map(|_| Duration::from_micros(chance.below(latest.saturating_add(1)))).collect()
    }
}

/// A socket in bad weather, in both directions.
///
/// What is received waits here for its time. What is sent is late too: on the wire only while somebody receives from
/// this socket, as its door always does.
pub struct WeatheredSocket<S> {
    socket: S,
    weather: Weather,
    outgoing: std::sync::Mutex<Way>,
    /// Wakes the receiver to a datagram that is to be sent.
    sent: tokio::sync::Notify,
    incoming: Mutex<Way>,
}

struct Way {
    chance: Chance,
    waiting: BTreeMap<(Instant, u64), (Vec<u8>, SocketAddr)>,
    number: u64,
}

impl Way {
    fn new(seed: u64) -> Self {
        Self { chance: Chance(seed), waiting: BTreeMap::new(), number: 0 }
    }

    fn enter(&mut self, weather: Weather, bytes: &[u8], address: SocketAddr, now: Instant) {
        for late in weather.next(&mut self.chance) {
            if self.waiting.len() < MOST_WAITING {
                self.number += 1;
                self.waiting.insert((now + late, self.number), (bytes.to_vec(), address));
            }
        }
    }

    fn next_at(&self) -> Option<Instant> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    fn leave(&mut self, now: Instant) -> Option<(Vec<u8>, SocketAddr)> {
        self.next_at().filter(|at| *at <= now)?;
        self.waiting.pop_first().map(|(_, datagram)| datagram)
    }
}

impl<S: Datagrams> WeatheredSocket<S> {
    /// Puts a socket into this weather.
    pub fn new(socket: S, weather: Weather) -> Self {
        Self {
            socket,
            weather,
            outgoing: std::sync::Mutex::new(Way::new(weather.seed)),
            sent: tokio::sync::Notify::new(),
            incoming: Mutex::new(Way::new(!weather.seed)),
        }
    }

    fn outgoing(&self) -> std::sync::MutexGuard<'_, Way> {
        self.outgoing.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl<S: Datagrams> Datagrams for WeatheredSocket<S> {
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut incoming = self.incoming.lock().await;
        loop {
            let due = self.outgoing().leave(Instant::now());
            if let Some((bytes, address)) = due {
                let _lost = self.socket.send_to(&bytes, address);
                continue;
            }
            if let Some((bytes, address)) = incoming.leave(Instant::now()) {
                let length = bytes.len().min(buffer.len());
                buffer[..length].copy_from_slice(&bytes[..length]);
                return Ok((length, address));
            }
            let outgoing_at = self.outgoing().next_at();
            let next = [outgoing_at, incoming.next_at()].into_iter().flatten().min();
            tokio::select! {
                biased;
                received = self.socket.recv_from(buffer) => {
                    let (length, address) = received?;
                    let bytes = buffer.get(..length).unwrap_or_default();
                    incoming.enter(self.weather, bytes, address, Instant::now());
                }
                () = self.sent.notified() => {}
                () = async { sleep_until(next.unwrap_or_else(Instant::now)).await }, if next.is_some() => {}
            }
        }
    }

    fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
        if self.weather == Weather::FINE {
            return self.socket.send_to(bytes, address);
        }
        self.outgoing().enter(self.weather, bytes, address, Instant::now());
        self.sent.notify_one();
        Ok(())
    }
}

/// Numbers that look like chance and follow from a seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}
