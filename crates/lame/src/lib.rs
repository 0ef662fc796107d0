//! MP3 by the system's LAME library, which is loaded at run time.
//!
//! LAME is under the LGPL. It is neither built nor linked here: where `libmp3lame.so.0` is installed MP3 can be written,
//! where it is not [`Lame::load`] says which package to install. This crate has `unsafe`: it calls C.

mod encoder;
mod library;

pub use encoder::{EncodeError, Encoder, Settings};
pub use library::{Lame, LoadError};
