//! What the threads of a store do, done by hand: a simulation lets nothing happen by itself.

use super::{checkpoints, deferred, words};

/// What is left to do of a store that was opened without threads.
///
/// Not within a runtime, and not during a transaction: it waits for those who write and read.
pub struct Chores {
    pub(super) checkpoints: checkpoints::Worker,
    pub(super) words: words::Worker,
    /// `None` where the store was opened without a fold.
    pub(super) documents: Option<deferred::Worker>,
}

impl Chores {
    /// Moves the write-ahead log into the file, if it is long enough.
    pub fn move_log(&mut self) {
        self.checkpoints.turn();
    }

    /// Takes the words of some calls into their index.
    pub fn take_words_in(&mut self) {
        self.words.turn();
    }

    /// Writes the documents of calls that are over and whose document is deferred.
    pub fn write_documents(&mut self) {
        if let Some(documents) = &mut self.documents {
            documents.turn();
        }
    }
}
