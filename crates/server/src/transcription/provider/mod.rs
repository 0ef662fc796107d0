//! Who hears a piece of sound: a server, or a program here.

mod command;
mod http;

use std::path::PathBuf;

use super::wire::{Garbage, Heard};
use crate::jobs::Setback;

pub(super) use command::Command;
pub(super) use http::Http;

/// The most that is read of what a recogniser says, in bytes.
const LARGEST_ANSWER: usize = 50_000_000;
/// Characters of a recogniser's own reason that are kept.
const LONGEST_REASON: usize = 200;

/// A piece of sound.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// A WAV file: 16 kHz, 16 bits, one channel.
    pub wav: Vec<u8>,
    /// How long it is, in milliseconds.
    pub length: i64,
}

/// Where the files of commands are, which are gone afterwards.
#[derive(Clone, Debug)]
pub(super) struct Scratch {
    /// A folder.
    pub folder: PathBuf,
    /// Whether sound is never written to the disk, but lies in memory behind a link.
    pub is_in_memory: bool,
}

/// Who hears it.
#[derive(Clone, Debug)]
pub(super) enum Provider {
    /// A server.
    Http(Http),
    /// A program here.
    Command(Command),
}

impl Provider {
    /// Who it is, for people: without keys and arguments.
    pub fn told(&self) -> String {
        match self {
            Self::Http(http) => http.told(),
            Self::Command(command) => command.told(),
        }
    }

    /// Has a piece heard.
    ///
    /// # Errors
    /// [`Setback`], without anything that was said.
    pub async fn hear(
        &self,
        piece: Piece,
        language: Option<&str>,
        scratch: &Scratch,
    ) -> Result<Heard, Setback> {
        match self {
            Self::Http(http) => http.hear(piece, language).await,
            Self::Command(command) => command.hear(piece, language, scratch).await,
        }
    }
}

impl From<Garbage> for Setback {
    fn from(garbage: Garbage) -> Self {
        Setback::later(format!("the recogniser said what cannot be read: {garbage}"))
    }
}

/// A recogniser's reason in one line that is not too long.
fn shortened(reason: &str) -> String {
    let line = reason.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
