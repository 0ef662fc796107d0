//! Nonces that need no memory until they are used, and are used for each count once.

use std::{num::NonZeroUsize, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use lru::LruCache;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of the signature that a nonce carries.
const SIGNATURE: usize = 16;

/// Whether a nonce may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is ours, young, and was not used with this count.
    Good,
    /// The client takes a new one and needs no new password.
    Stale,
}

/// A nonce is the time and number of its making, signed. One that was used is remembered with its highest counts.
pub(super) struct Nonces {
    key: [u8; 32],
    good_for: Duration,
    made: u64,
    used: LruCache<u64, Counts>,
    /// Nonces up to this number were forgotten, so nobody knows how they were used.
    forgotten: u64,
}

/// The highest count seen, and which of the 64 up to it were.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    highest: u32,
    seen: u64,
}

impl Counts {
    /// Notes a count; false when it was seen before, or is too old to tell.
    fn note(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1_u64.checked_shl(behind).unwrap_or(0);
        let fresh = count > 0 && bit != 0 && self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

impl Nonces {
    pub(super) fn new(key: [u8; 32], good_for: Duration, remembered: NonZeroUsize) -> Self {
        Self { key, good_for, made: 0, used: LruCache::new(remembered), forgotten: 0 }
    }

    pub(super) fn make(&mut self, now: Duration) -> String {
        self.made += 1;
        let mut bytes = [now.as_secs().to_be_bytes(), self.made.to_be_bytes()].concat();
        bytes.extend_from_slice(&self.signature(&bytes));
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Uses a nonce. Only for who has proved to know a password: others would fill the memory.
    pub(super) fn take(&mut self, nonce: &str, count: u32, now: Duration) -> Standing {
        match self.number(nonce, now) {
            Some(number) if self.note(number, count) => Standing::Good,
            _ => Standing::Stale,
        }
    }

    /// The number of a nonce that is ours and young.
    fn number(&self, nonce: &str, now: Duration) -> Option<u64> {
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?;
        let (said, signature) = bytes.split_at_checked(16)?;
        if !bool::from(self.signature(said).ct_eq(signature)) {
            return None;
        }
        let made_at = u64::from_be_bytes(said.get(..8)?.try_into().ok()?);
        let number = u64::from_be_bytes(said.get(8..)?.try_into().ok()?);
        let age = now.as_secs().checked_sub(made_at)?;
        (age < self.good_for.as_secs()).then_some(number)
    }

    fn note(&mut self, number: u64, count: u32) -> bool {
        if let Some(counts) = self.used.get_mut(&number) {
            return counts.note(count);
        }
        if number <= self.forgotten {
            return false;
        }
        let mut counts = Counts::default();
        let fresh = counts.note(count);
        if let Some((forgotten, _)) = self.used.push(number, counts) {
            self.forgotten = self.forgotten.max(forgotten);
        }
        fresh
    }

    fn signature(&self, bytes: &[u8]) -> [u8; SIGNATURE] {
        let mut signature = [0; SIGNATURE];
        // A key of any length is taken, so there is nothing to fail.
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            let whole = mac.chain_update(bytes).finalize().into_bytes();
            signature.copy_from_slice(&whole[..SIGNATURE]);
        }
        signature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1000);

    fn nonces(remembered: usize) -> Nonces {
        Nonces::new([7; 32], Duration::from_secs(60), NonZeroUsize::new(remembered).expect("some"))
    }

    #[test]
    fn a_nonce_is_good_once_for_each_count_in_any_near_order() {
        let mut nonces = nonces(10);
        let nonce = nonces.make(NOW);
        let mut take = |count| nonces.take(&nonce, count, NOW) == Standing::Good;
        assert_eq!([1, 1, 3, 2, 2, 0].map(&mut take), [true, false, true, true, false, false]);
        assert_eq!([100, 37, 36, 100].map(&mut take), [true, true, false, false]);
        assert_eq!([u32::MAX, 101, u32::MAX - 1].map(&mut take), [true, false, true]);
    }

    #[test]
    fn a_nonce_ends_with_its_time_and_one_of_others_is_none() {
        let mut nonces = nonces(10);
        let nonce = nonces.make(NOW);
        let mut at = |nonce: &str, seconds| nonces.take(nonce, 1, Duration::from_secs(seconds));
        assert_eq!(at(&nonce, 1060), Standing::Stale);
        assert_eq!(at(&nonce, 999), Standing::Stale, "made in the future");
        let foreign = Nonces::new([8; 32], Duration::from_secs(60), NonZeroUsize::MIN).make(NOW);
        for wrong in [foreign.as_str(), "", "AAAA", &nonce[1..], "not base64!"] {
            assert_eq!(at(wrong, 1000), Standing::Stale, "{wrong}");
        }
        assert_eq!(at(&nonce, 1059), Standing::Good);
    }

    #[test]
    fn a_nonce_that_had_to_be_forgotten_is_not_good_again() {
        let mut nonces = nonces(2);
        let made: Vec<String> = (0..4).map(|_| nonces.make(NOW)).collect();
        for nonce in &made[..3] {
            assert_eq!(nonces.take(nonce, 1, NOW), Standing::Good);
        }
        assert_eq!(nonces.take(&made[0], 1, NOW), Standing::Stale);
        assert_eq!(nonces.take(&made[0], 2, NOW), Standing::Stale);
        assert_eq!(nonces.take(&made[3], 1, NOW), Standing::Good);
    }
}
