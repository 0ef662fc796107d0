//! From a key to who asks: a [`Principal`] with an organization and scopes.
//!
//! A whole key is its id, an underscore and its secret: `key_` + 16 characters, `_`, 43 characters. Only the SHA-256 of
//! the secret is kept; it is random, so nothing slower is needed, and it is compared in constant time. All keys that
//! there are lie in memory, since every request needs one; [`Keyring::reload`] follows each change. When a key was last
//! used is noted there to the minute, and brought to the store now and then: a request writes nothing.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicI64, Ordering},
    },
};

use data_encoding::{BASE64URL_NOPAD, Encoding, Specification};
use pegcount_calls::Timestamp;
use pegcount_store::{AccessKey, OrganizationNumber};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Read calls, statistics and live counts.
    CallsRead,
    /// Hang calls up and place them.
    CallsControl,
    /// Send events.
    EventsWrite,
    /// Read recordings.
    RecordingsRead,
    /// Change the organization's settings and keys.
    Admin,
    /// Act for every organization, and do everything there.
    Server,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [
        Self::CallsRead,
        Self::CallsControl,
        Self::EventsWrite,
        Self::RecordingsRead,
        Self::Admin,
        Self::Server,
    ];

    /// Its name (contract, all dialects).
    pub fn name(self) -> &'static str {
        match self {
            Self::CallsRead => "calls:read",
            Self::CallsControl => "calls:control",
            Self::EventsWrite => "events:write",
            Self::RecordingsRead => "recordings:read",
            Self::Admin => "admin",
            Self::Server => "server",
        }
    }

    fn bit(self) -> u32 {
        match self {
            Self::CallsRead => 1,
            Self::CallsControl => 2,
            Self::EventsWrite => 4,
            Self::RecordingsRead => 8,
            Self::Admin => 16,
            Self::Server => 32,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// Every scope.
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// As the store keeps it.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// From what the store keeps; bits that mean nothing are dropped.
    pub fn from_bits(bits: u32) -> Self {
        Self(bits & Self::all().0)
    }

    /// Whether it holds this one.
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Those it holds.
    pub fn each(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }

    /// The names of those it holds.
    pub fn names(self) -> Vec<&'static str> {
        self.each().map(Scope::name).collect()
    }

    /// Reads names.
    ///
    /// # Errors
    /// A sentence that names the one that is unknown and those there are.
    pub fn parse<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        names
            .into_iter()
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(|name| {
                Scope::ALL.into_iter().find(|scope| scope.name() == name).ok_or_else(|| {
                    format!("there is no scope {name:?}: use {}", Self::all().names().join(", "))
                })
            })
            .collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The id of the key.
    pub key_id: Arc<str>,
    /// Whose key it is.
    pub organization: OrganizationNumber,
    /// What it may do.
    pub scopes: Scopes,
}

/// A key that was just made: the only time its secret is seen.
pub struct NewKey {
    /// What the store keeps.
    pub stored: AccessKey,
    /// The secret half.
    pub secret: String,
}

impl NewKey {
    /// Makes a key.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn generate(
        organization: OrganizationNumber,
        scopes: Scopes,
        name: Option<String>,
        created_at: Timestamp,
    ) -> Result<Self, getrandom::Error> {
        let mut random = [0_u8; 42];
        getrandom::fill(&mut random)?;
        let (id, secret) = random.split_at(10);
        let id = format!("{ID_PREFIX}{}", lower_base32().encode(id));
        let secret = BASE64URL_NOPAD.encode(secret);
        let stored = AccessKey {
            id,
            organization,
            name,
            secret_hash: hash(&secret),
            scopes: scopes.bits(),
            created_at,
            expires_at: None,
            last_used_at: None,
        };
        Ok(Self { stored, secret })
    }

    /// The whole key, for one header.
    pub fn whole(&self) -> String {
        format!("{}_{}", self.stored.id, self.secret)
    }
}

/// How a key's id begins.
const ID_PREFIX: &str = "key_";
/// Length of a key's id: its prefix and 16 characters.
const ID_LENGTH: usize = 20;

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn lower_base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    // The symbols above are 32 distinct ASCII letters, which is all that can be wrong with them.
    specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
}

/// What somebody shows to be let in.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A whole key.
    Whole(String),
    /// A key's id, or the whole key, and its secret.
    Pair {
        /// The id, or the whole key.
        id: String,
        /// The secret.
        secret: String,
    },
}

/// How exactly the last use of a key is noted.
const USE_RESOLUTION_MS: i64 = 60_000;
/// Stands for a key that was never used.
const NEVER: i64 = i64::MIN;

/// Every key that there is.
#[derive(Default)]
pub struct Keyring {
    keys: RwLock<HashMap<String, HeldKey>>,
}

struct HeldKey {
    key: AccessKey,
    /// Its last use in milliseconds, or [`NEVER`]; the store's `last_used_at` of `key` may be older.
    used_ms: AtomicI64,
}

impl HeldKey {
    fn last_used_at(&self) -> Option<Timestamp> {
        let used_ms = self.used_ms.load(Ordering::Relaxed);
        (used_ms != NEVER).then(|| Timestamp::from_millis(used_ms))
    }

    /// Most uses read and do not write, so that threads do not wait for each other.
    fn note_use(&self, now: Timestamp) {
        if now.millis().saturating_sub(self.used_ms.load(Ordering::Relaxed)) >= USE_RESOLUTION_MS {
            self.used_ms.fetch_max(now.millis(), Ordering::Relaxed);
        }
    }
}

impl Keyring {
    /// Replaces the keys by those that there are now. Uses that the store does not know yet are kept.
    pub fn reload(&self, keys: Vec<AccessKey>) {
        let mut held = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let used_ms = |key: &AccessKey| {
            let known = held.get(&key.id).and_then(HeldKey::last_used_at).max(key.last_used_at);
            AtomicI64::new(known.map_or(NEVER, Timestamp::millis))
        };
        let keys = keys.into_iter().map(|key| (key.id.clone(), HeldKey { used_ms: used_ms(&key), key }));
        *held = keys.collect();
    }

    /// Who shows these credentials at this time; `None` for an unknown key and for an expired one.
    pub fn principal(&self, credentials: &Credentials, now: Timestamp) -> Option<Principal> {
        match credentials {
            Credentials::Whole(key) => {
                let (id, secret) = split_whole(key)?;
                self.check(id, secret, now)
            }
            Credentials::Pair { id, secret } => match split_whole(id) {
                Some((id, own)) if bool::from(own.as_bytes().ct_eq(secret.as_bytes())) => {
                    self.check(id, own, now)
                }
                Some(_) => None,
                None => self.check(id, secret, now),
            },
        }
    }

    fn check(&self, id: &str, secret: &str, now: Timestamp) -> Option<Principal> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let held = keys.get(id)?;
        let same: bool = held.key.secret_hash.ct_eq(&hash(secret)).into();
        if !same || has_expired(&held.key, now) {
            return None;
        }
        held.note_use(now);
        Some(Principal {
            key_id: held.key.id.as_str().into(),
            organization: held.key.organization,
            scopes: Scopes::from_bits(held.key.scopes),
        })
    }

    /// The last uses that the store does not know.
    pub fn unsaved_uses(&self) -> Vec<(String, Timestamp)> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let unsaved = |held: &HeldKey| held.last_used_at().filter(|used| Some(*used) > held.key.last_used_at);
        keys.values().filter_map(|held| unsaved(held).map(|used| (held.key.id.clone(), used))).collect()
    }

    /// These keys of the store, each with its last use as far as it is known here. Expired ones are left out.
    #[must_use]
    pub fn current(&self, mut keys: Vec<AccessKey>, now: Timestamp) -> Vec<AccessKey> {
        let known = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|key| !has_expired(key, now));
        for key in &mut keys {
            key.last_used_at = known.get(&key.id).and_then(HeldKey::last_used_at).max(key.last_used_at);
        }
        keys
    }
}

fn has_expired(key: &AccessKey, now: Timestamp) -> bool {
    key.expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// The two halves of a whole key.
pub fn split_whole(key: &str) -> Option<(&str, &str)> {
    if !key.is_ascii() || key.len() <= ID_LENGTH {
        return None;
    }
    let (id, rest) = key.split_at(ID_LENGTH);
    Some((id, rest.strip_prefix('_')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (Keyring, NewKey) {
        let scopes = Scopes::parse(["calls:read"]).unwrap();
        let key = NewKey::generate(OrganizationNumber(7), scopes, None, Timestamp::from_millis(0)).unwrap();
        let ring = Keyring::default();
        ring.reload(vec![key.stored.clone()]);
        (ring, key)
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    #[test]
    fn a_key_opens_whole_or_as_a_pair_and_not_when_a_letter_is_wrong() {
        let (ring, key) = ring();
        let pair =
            |id: &str, secret: &str| Credentials::Pair { id: id.to_owned(), secret: secret.to_owned() };
        let principal = ring.principal(&Credentials::Whole(key.whole()), NOW).unwrap();
        assert_eq!(principal.organization, OrganizationNumber(7));
        assert!(ring.principal(&pair(&key.stored.id, &key.secret), NOW).is_some());
        assert!(ring.principal(&pair(&key.whole(), &key.secret), NOW).is_some());
        assert!(ring.principal(&pair(&key.whole(), "wrong"), NOW).is_none());
        assert!(ring.principal(&pair(&key.stored.id, "wrong"), NOW).is_none());
        assert!(ring.principal(&Credentials::Whole(format!("{}x", key.whole())), NOW).is_none());
        assert!(ring.principal(&Credentials::Whole(String::new()), NOW).is_none());
        assert!(ring.principal(&Credentials::Whole("é".repeat(40)), NOW).is_none());
    }

    #[test]
    fn an_expired_key_opens_nothing() {
        let (ring, mut key) = ring();
        key.stored.expires_at = Some(NOW.plus_millis(1));
        ring.reload(vec![key.stored.clone()]);
        let whole = Credentials::Whole(key.whole());
        assert!(ring.principal(&whole, NOW).is_some());
        assert!(ring.principal(&whole, NOW.plus_millis(1)).is_none());
        assert!(ring.current(vec![key.stored], NOW.plus_millis(1)).is_empty());
    }

    #[test]
    fn the_last_use_is_noted_to_the_minute() {
        let (ring, key) = ring();
        let open = |credentials: String, at| ring.principal(&Credentials::Whole(credentials), at);
        let used = || ring.unsaved_uses().into_iter().map(|(_, at)| at).next();
        assert!(open(format!("{}x", key.whole()), NOW).is_none());
        assert_eq!(used(), None, "a wrong secret is no use of the key");
        assert!(open(key.whole(), NOW).is_some());
        assert_eq!(used(), Some(NOW));
        assert!(open(key.whole(), NOW.plus_millis(59_999)).is_some());
        assert_eq!(used(), Some(NOW));
        let later = NOW.plus_millis(60_000);
        assert!(open(key.whole(), later).is_some());
        // A change of other keys does not forget it.
        ring.reload(vec![key.stored.clone()]);
        assert_eq!(used(), Some(later));
        assert_eq!(ring.current(vec![key.stored.clone()], later)[0].last_used_at, Some(later));
        ring.reload(vec![AccessKey { last_used_at: Some(later), ..key.stored }]);
        assert_eq!(used(), None, "the store knows it");
    }

    #[test]
    fn a_key_fits_a_url_and_a_subprotocol() {
        let (_, key) = ring();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        assert!(key.whole().bytes().all(fits), "{}", key.whole());
        assert_eq!(key.stored.id.len(), ID_LENGTH);
    }

    #[test]
    fn an_unknown_scope_is_named_together_with_those_there_are() {
        let error = Scopes::parse(["calls:read", "calls:write"]).unwrap_err();
        assert!(error.contains("calls:write") && error.contains("events:write"), "{error}");
    }
}
