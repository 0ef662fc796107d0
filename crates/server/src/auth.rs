//! From a key to who asks: a [`Principal`] with an organization and scopes.
//!
//! A whole key is its id, an underscore and its secret: `key_` + 16 characters, `_`, 43 characters. Only the SHA-256 of
//! the secret is kept; it is random, so nothing slower is needed, and it is compared in constant time. All keys that
//! there are lie in memory, since every request needs one; [`Keyring::reload`] follows each change.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
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

    /// The names of those it holds.
    pub fn names(self) -> Vec<&'static str> {
        Scope::ALL.into_iter().filter(|scope| self.has(*scope)).map(Scope::name).collect()
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

/// Every key that there is.
#[derive(Default)]
pub struct Keyring {
    keys: RwLock<HashMap<String, AccessKey>>,
}

impl Keyring {
    /// Replaces the keys by those that there are now.
    pub fn reload(&self, keys: Vec<AccessKey>) {
        let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Who shows these credentials; `None` when nobody whom we know.
    pub fn principal(&self, credentials: &Credentials) -> Option<Principal> {
        match credentials {
            Credentials::Whole(key) => {
                let (id, secret) = split_whole(key)?;
                self.check(id, secret)
            }
            Credentials::Pair { id, secret } => match split_whole(id) {
                Some((id, own)) if bool::from(own.as_bytes().ct_eq(secret.as_bytes())) => self.check(id, own),
                Some(_) => None,
                None => self.check(id, secret),
            },
        }
    }

    fn check(&self, id: &str, secret: &str) -> Option<Principal> {
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        let key = keys.get(id)?;
        let same: bool = key.secret_hash.ct_eq(&hash(secret)).into();
        same.then(|| Principal {
            key_id: key.id.as_str().into(),
            organization: key.organization,
            scopes: Scopes::from_bits(key.scopes),
        })
    }
}

/// The two halves of a whole key.
fn split_whole(key: &str) -> Option<(&str, &str)> {
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

    #[test]
    fn a_key_opens_whole_or_as_a_pair_and_not_when_a_letter_is_wrong() {
        let (ring, key) = ring();
        let pair =
            |id: &str, secret: &str| Credentials::Pair { id: id.to_owned(), secret: secret.to_owned() };
        let principal = ring.principal(&Credentials::Whole(key.whole())).unwrap();
        assert_eq!(principal.organization, OrganizationNumber(7));
        assert!(ring.principal(&pair(&key.stored.id, &key.secret)).is_some());
        assert!(ring.principal(&pair(&key.whole(), &key.secret)).is_some());
        assert!(ring.principal(&pair(&key.whole(), "wrong")).is_none());
        assert!(ring.principal(&pair(&key.stored.id, "wrong")).is_none());
        assert!(ring.principal(&Credentials::Whole(format!("{}x", key.whole()))).is_none());
        assert!(ring.principal(&Credentials::Whole(String::new())).is_none());
        assert!(ring.principal(&Credentials::Whole("é".repeat(40))).is_none());
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
