//! Encryption at rest: documents and files that only who has the key can read.
//!
//! [`Keys`] are what an operator hands over. What is small is sealed as a whole ([`Keys::seal`]); a file is sealed in
//! chunks, so that any part of it can be read without the rest ([`Sink`] writes one, [`Source`] reads it). Both take
//! files in the clear as well: who is given no keys writes such, and what lies there from before is read on.
//!
//! The cipher is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). Its nonces have 192 bits and are random, so one key may seal as
//! much as there is. Everything sealed is bound to where it belongs: moved elsewhere, cut or changed, it cannot be opened.
//!
//! You will not find here: calls, SQL, or where keys come from.

mod file;
mod keys;

pub use file::{CHUNK, Cursor, HEAD, Head, Sink, Source};
pub use keys::{KeyError, KeyId, Keys, OpenError};
