//! How much each address has sent lately.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use lru::LruCache;

use super::policy::Rate;

/// One token bucket for each address heard lately.
///
/// There is room for so many addresses; the one silent for the longest time is forgotten first, and comes back with a
/// full bucket. So a flood of invented addresses costs no memory, and no known peer its turn.
#[derive(Debug)]
pub struct Limits(Buckets<IpAddr>);

impl Limits {
    /// Limits with room for so many addresses.
    pub fn with_room(addresses: NonZeroUsize) -> Self {
        Self(Buckets::with_room(addresses))
    }

    /// How many addresses are remembered.
    pub fn remembered(&self) -> usize {
        self.0.full_at.len()
    }

    /// Takes a token out of the address's bucket; false when there is none.
    pub(super) fn take(&mut self, address: IpAddr, rate: Rate, now: Instant) -> bool {
        self.0.take(subject(address), rate, now)
    }
}

/// Token buckets, one a key; the key unused for the longest time is forgotten first.
#[derive(Debug)]
pub(super) struct Buckets<K: Hash + Eq> {
    /// When the bucket of a key will be full again.
    full_at: LruCache<K, Instant>,
}

impl<K: Hash + Eq> Buckets<K> {
    /// Holds buckets for at most this number of keys.
    pub(super) fn with_room(keys: NonZeroUsize) -> Self {
        Self { full_at: LruCache::new(keys) }
    }

    /// Takes a token out of a bucket; false when there is none.
    pub(super) fn take(&mut self, key: K, rate: Rate, now: Instant) -> bool {
        if rate.per_second == 0 {
            return false;
        }
        let token = Duration::from_secs(1) / rate.per_second;
        let room = token.saturating_mul(rate.burst.max(1));
        let full_at = self.full_at.get_or_insert_mut(key, || now);
        let missing = full_at.saturating_duration_since(now);
        if missing + token > room {
            return false;
        }
        *full_at = (*full_at).max(now) + token;
        true
    }
}

/// What a bucket is kept for: an IPv4 address, or the /64 that one subscriber of IPv6 has to himself.
pub(super) fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))),
        address => address,
    }
}
