//! How much each address has sent lately.

use std::{
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
pub struct Limits {
    /// When the bucket of an address will be full again.
    full_at: LruCache<IpAddr, Instant>,
}

impl Limits {
    /// Limits with room for so many addresses.
    pub fn with_room(addresses: NonZeroUsize) -> Self {
        Self { full_at: LruCache::new(addresses) }
    }

    /// How many addresses are remembered.
    pub fn remembered(&self) -> usize {
        self.full_at.len()
    }

    /// Takes a token out of the address's bucket; false when there is none.
    pub(super) fn take(&mut self, address: IpAddr, rate: Rate, now: Instant) -> bool {
        if rate.per_second == 0 {
            return false;
        }
        let token = Duration::from_secs(1) / rate.per_second;
        let room = token.saturating_mul(rate.burst.max(1));
        let full_at = self.full_at.get_or_insert_mut(subject(address), || now);
        let missing = full_at.saturating_duration_since(now);
        if missing + token > room {
            return false;
        }
        *full_at = (*full_at).max(now) + token;
        true
    }
}

/// What a bucket is kept for: an IPv4 address, or the /64 that one subscriber of IPv6 has to himself.
fn subject(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) & (u128::MAX << 64))),
        address => address,
    }
}
