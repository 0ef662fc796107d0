//! What was refused: counted by reason; of known peers reported within a bound; of strangers logged within a bound.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    num::NonZeroUsize,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::{Rate, limits::Buckets};

/// Refused attempts of one trunk or user that are reported as calls; others are only counted. A peer that dials wrong numbers
/// all day leaves at most 86,500 calls a day.
pub const RECORDED: Rate = Rate { per_second: 1, burst: 100 };
/// Lines about one address. A line must come for each of a few attempts, so that a program that counts lines can act.
const LOGGED_OF_ONE: Rate = Rate { per_second: 1, burst: 10 };
/// Lines about all addresses.
const LOGGED: Rate = Rate { per_second: 20, burst: 200 };
/// Addresses, and peers, whose rates are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// Counts what was refused, and bounds what is said about it.
#[derive(Debug)]
pub struct Refusals {
    counts: Mutex<BTreeMap<&'static str, u64>>,
    unrecorded: AtomicU64,
    rates: Mutex<Rates>,
}

#[derive(Debug)]
struct Rates {
    peers: Buckets<String>,
    addresses: Buckets<IpAddr>,
    lines: Buckets<()>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            unrecorded: AtomicU64::new(0),
            rates: Mutex::new(Rates {
                peers: Buckets::with_room(REMEMBERED),
                addresses: Buckets::with_room(REMEMBERED),
                lines: Buckets::with_room(NonZeroUsize::MIN),
            }),
        }
    }
}

impl Refusals {
    fn rates(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an attempt that was refused for this reason.
    pub fn count(&self, reason: &'static str) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
    }

    /// Whether an attempt of a known peer is reported as a call: see [`RECORDED`].
    pub fn records(&self, peer: &str, now: Instant) -> bool {
        let records = self.rates().peers.take(peer.to_owned(), RECORDED, now);
        self.unrecorded.fetch_add(u64::from(!records), Ordering::Relaxed);
        records
    }

    /// Counts an attempt of a known peer that nobody had the time to report.
    pub fn leave_unrecorded(&self) {
        self.unrecorded.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and logs what a stranger was refused. `user` is the name that it gave itself, if there is such a user: names that
    /// strangers make up are not logged.
    pub fn of_stranger(&self, source: IpAddr, reason: &'static str, user: Option<&str>, now: Instant) {
        self.count(reason);
        let source = source.to_canonical();
        let logs = {
            let mut rates = self.rates();
            rates.addresses.take(super::limits::subject(source), LOGGED_OF_ONE, now)
                && rates.lines.take((), LOGGED, now)
        };
        if logs {
            // The words and their order are read by programs: docs/fail2ban/pegcount.conf.
            tracing::warn!(%source, reason, user, "refused a SIP request");
        }
    }

    /// How many attempts were refused, by reason.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many attempts of known peers were beyond [`RECORDED`].
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_of_one_peer_is_recorded_within_the_bound() {
        let (refusals, now) = (Refusals::default(), Instant::now());
        let recorded = |peer: &str, at: Instant| (0..5_000).filter(|_| refusals.records(peer, at)).count();
        assert_eq!(recorded("flooding", now), RECORDED.burst as usize);
        assert_eq!(recorded("flooding", now + Duration::from_secs(10)), 10);
        assert!(refusals.records("other", now), "nobody else pays for it");
        assert_eq!(refusals.unrecorded(), 10_000 - 110);
    }

    #[test]
    fn every_refusal_is_counted_by_its_reason() {
        let refusals = Refusals::default();
        for number in 0..1_000_u32 {
            refusals.of_stranger(IpAddr::V4(number.into()), "scanner", None, Instant::now());
        }
        refusals.count("no_trunk");
        assert_eq!(refusals.counts(), BTreeMap::from([("no_trunk", 1), ("scanner", 1_000)]));
    }
}
