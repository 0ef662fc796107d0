//! The keys of an operator, and what is sealed as a whole.

use std::{collections::BTreeSet, fmt, io, sync::Arc};

use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use data_encoding::{BASE32_DNSSEC, BASE64, HEXLOWER};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Bytes of a key.
const KEY: usize = 32;
const NONCE: usize = 24;
const TAG: usize = 16;
const ID: usize = 4;
/// Bytes of what stands for a word.
const BLIND: usize = 10;

/// By what a key is known: derived from it, and tells nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID]);

impl KeyId {
    /// Reads what [`fmt::Display`] writes; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text gives no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is not one.
    #[error("there is no key: make one with `pegcount encryption new-key`")]
    None,
    /// A line that is no key. The line itself may be one with a slip in it, and is not shown.
    #[error("line {line} is no key: 32 bytes in base64, as `pegcount encryption new-key` prints them")]
    Malformed {
        /// Which, from 1.
        line: usize,
    },
    /// A key that stands there already.
    #[error("line {line} has a key that stands above it already")]
    Doubled {
        /// Which, from 1.
        line: usize,
    },
}

/// Why something cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The key it was sealed with is not among those at hand.
    #[error("it is sealed with the key {0}, which is not among the keys")]
    Unknown(KeyId),
    /// It was changed or cut since it was sealed, or belongs elsewhere.
    #[error("it is sealed, and was changed since or belongs elsewhere")]
    Damaged,
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// The keys that are at hand: one seals, all of them open. Copies are cheap.
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

/// A key, and those made of it: each use has its own.
struct Key {
    id: KeyId,
    documents: XChaCha20Poly1305,
    files: XChaCha20Poly1305,
    words: Hmac<Sha256>,
}

/// The same keys in the same order: ids tell.
impl PartialEq for Keys {
    fn eq(&self, other: &Self) -> bool {
        self.ids().eq(other.ids())
    }
}

impl Eq for Keys {}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Keys {
    /// Reads keys, one a line in base64; the first of them seals. Blank lines and those that begin with `#` are none.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        let mut seen = BTreeSet::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let bytes =
                BASE64.decode(text.as_bytes()).ok().and_then(|bytes| <[u8; KEY]>::try_from(bytes).ok());
            let key = Key::of(&bytes.ok_or(KeyError::Malformed { line })?);
            if !seen.insert(key.id) {
                return Err(KeyError::Doubled { line });
            }
            keys.push(key);
        }
        if keys.is_empty() { Err(KeyError::None) } else { Ok(Self(keys.into())) }
    }

    /// A new key, as [`Keys::parse`] reads it.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> io::Result<String> {
        Ok(BASE64.encode(&random::<KEY>()?))
    }

    /// The ids of all keys; the first is that of the one that seals.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.0.iter().map(|key| key.id)
    }

    /// The id of the key that seals.
    pub fn sealing(&self) -> KeyId {
        self.newest().id
    }

    /// Seals something, bound to a context: it opens in no other. The result begins with the id of the key.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, context: &[u8], clear: &[u8]) -> io::Result<Vec<u8>> {
        let key = self.newest();
        let mut sealed = Vec::with_capacity(ID + NONCE + clear.len() + TAG);
        sealed.extend(key.id.0);
        append_sealed(&key.documents, context, clear, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens what [`Keys::seal`] gave for this context.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (id, rest) = sealed.split_first_chunk().ok_or(OpenError::Damaged)?;
        open_sealed(&self.key(KeyId(*id))?.documents, context, rest)
    }

    /// With which key something was sealed by [`Keys::seal`]; `None` where it is cut.
    pub fn id_of(sealed: &[u8]) -> Option<KeyId> {
        sealed.first_chunk().map(|id| KeyId(*id))
    }

    /// What stands for a word in an index: always the same for the same word, letters and digits only, and without the key
    /// nobody can tell for which word.
    pub fn blind(&self, word: &str) -> String {
        let mut hash = self.newest().words.clone();
        hash.update(word.as_bytes());
        BASE32_DNSSEC.encode(&hash.finalize().into_bytes()[..BLIND])
    }

    /// The cipher of files, by the id of its key.
    pub(crate) fn of_files(&self, id: KeyId) -> Result<&XChaCha20Poly1305, OpenError> {
        Ok(&self.key(id)?.files)
    }

    fn key(&self, id: KeyId) -> Result<&Key, OpenError> {
        self.0.iter().find(|key| key.id == id).ok_or(OpenError::Unknown(id))
    }

    /// There is one: [`Keys::parse`], which alone makes keys, gives none without.
    fn newest(&self) -> &Key {
        &self.0[0]
    }
}

impl Key {
    fn of(bytes: &[u8; KEY]) -> Self {
        let made_for = |purpose: &str| -> [u8; KEY] {
            let mut hash = keyed(bytes);
            hash.update(purpose.as_bytes());
            hash.finalize().into_bytes().into()
        };
        let [a, b, c, d, ..] = made_for("pegcount id");
        Self {
            id: KeyId([a, b, c, d]),
            documents: XChaCha20Poly1305::new(&made_for("pegcount documents").into()),
            files: XChaCha20Poly1305::new(&made_for("pegcount files").into()),
            words: keyed(&made_for("pegcount words")),
        }
    }
}

fn keyed(key: &[u8; KEY]) -> Hmac<Sha256> {
    // As RFC 2104 has it: a key is filled up with zeros.
    let mut block = [0; 64];
    block[..KEY].copy_from_slice(key);
    Hmac::new(&block.into())
}

/// Appends a random nonce, the sealed bytes and their tag.
pub(crate) fn append_sealed(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    clear: &[u8],
    sealed: &mut Vec<u8>,
) -> io::Result<()> {
    let nonce = XNonce::from(random::<NONCE>()?);
    sealed.extend(nonce);
    let begin = sealed.len();
    sealed.extend(clear);
    let tag = cipher.encrypt_inout_detached(&nonce, context, (&mut sealed[begin..]).into());
    sealed.extend(tag.map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?);
    Ok(())
}

/// Opens what [`append_sealed`] appended.
pub(crate) fn open_sealed(
    cipher: &XChaCha20Poly1305,
    context: &[u8],
    sealed: &[u8],
) -> Result<Vec<u8>, OpenError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE>().ok_or(OpenError::Damaged)?;
    let (bytes, tag) = rest.split_last_chunk::<TAG>().ok_or(OpenError::Damaged)?;
    let mut clear = bytes.to_vec();
    let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
    let opened = cipher.decrypt_inout_detached(&nonce, context, clear.as_mut_slice().into(), &tag);
    opened.map(|()| clear).map_err(|_| OpenError::Damaged)
}

/// How many bytes more a sealed piece has than it had in the clear.
pub(crate) const SURPLUS: usize = NONCE + TAG;

pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(count: usize) -> (Vec<String>, Keys) {
        let lines: Vec<String> = (0..count).map(|_| Keys::generate().unwrap()).collect();
        let keys = Keys::parse(&lines.join("\n")).unwrap();
        (lines, keys)
    }

    #[test]
    fn what_was_sealed_opens_with_its_key_wherever_that_stands_and_with_no_other() {
        let (lines, keys_then) = keys(1);
        let sealed = keys_then.seal(b"call 7", b"secret").unwrap();
        let later =
            Keys::parse(&format!("# newer\n{}\n\n{}\n", Keys::generate().unwrap(), lines[0])).unwrap();
        assert_eq!(later.open(b"call 7", &sealed).unwrap(), b"secret");
        assert_ne!(later.sealing(), keys_then.sealing());
        assert_eq!(Keys::id_of(&sealed), Some(keys_then.sealing()));
        let (_, other) = keys(2);
        assert_eq!(other.open(b"call 7", &sealed), Err(OpenError::Unknown(keys_then.sealing())));
    }

    #[test]
    fn what_was_sealed_in_one_place_opens_in_no_other_and_never_looks_the_same_twice() {
        let (_, keys) = keys(1);
        let sealed = keys.seal(b"call 7", b"secret").unwrap();
        assert_eq!(keys.open(b"call 8", &sealed), Err(OpenError::Damaged));
        assert_ne!(keys.seal(b"call 7", b"secret").unwrap(), sealed);
    }

    #[test]
    fn a_word_is_always_blinded_to_the_same_and_differently_by_another_key() {
        let (lines, ours) = keys(1);
        assert_eq!(ours.blind("refund"), Keys::parse(&lines[0]).unwrap().blind("refund"));
        assert_ne!(ours.blind("refund"), ours.blind("refunds"));
        assert_ne!(ours.blind("refund"), keys(1).1.blind("refund"));
        assert!(ours.blind("refund").bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line_and_never_shown() {
        let (lines, keys) = keys(1);
        let key = &lines[0];
        let refused = |text: &str| Keys::parse(text).unwrap_err();
        assert_eq!(refused(" \n# a\n"), KeyError::None);
        assert_eq!(refused(&format!("{key}\nc2hvcnQ=")), KeyError::Malformed { line: 2 });
        assert_eq!(refused(&format!("#\n{key}\n{key}")), KeyError::Doubled { line: 3 });
        assert_eq!(format!("{keys:?}"), format!("[{}]", keys.sealing()));
        assert_eq!(KeyId::parse(&keys.sealing().to_string()), Some(keys.sealing()));
    }

    proptest! {
        #[test]
        fn no_byte_can_be_changed_and_none_be_cut(clear: Vec<u8>, at: prop::sample::Index, flip in 1_u8..) {
            let (_, keys) = keys(1);
            let sealed = keys.seal(b"", &clear).unwrap();
            prop_assert_eq!(keys.open(b"", &sealed).unwrap(), clear);
            let at = at.index(sealed.len());
            prop_assert!(keys.open(b"", &sealed[..at]).is_err());
            let mut changed = sealed;
            changed[at] ^= flip;
            prop_assert!(keys.open(b"", &changed).is_err());
        }
    }
}
