//! What the threads of a store do, done by hand: a simulation lets nothing happen by itself.

use super::{checkpoints, words};

/// What is left to do of a store that was opened without threads.
///
/// Not within a runtime, and not during a transaction: it waits for those who write and read.
pub struct Chores {
    pub(super) checkpoints: checkpoints::Worker,
    pub(super) words: words::Worker,
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
}
