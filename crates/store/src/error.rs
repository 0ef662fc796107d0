//! What can go wrong with a store.

use pegcount_sealed::KeyId;

/// Anything that went wrong below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the store did not do as asked. Each variant is handled in its own way.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, written or read at the moment; asking again later may help.
    #[error("the store cannot be used: {0}")]
    Unavailable(#[source] BoxError),
    /// A read was cut, since it had taken as long as any may. Asked again it would take as long.
    #[error("the query took too long and was cut: ask for less at once")]
    TooLong,
    /// What is said in calls cannot be searched for at the moment: its index is being made anew.
    #[error("the index of words is being made anew: what is said can be searched for when that is done")]
    Indexing,
    /// There is no room left to write.
    #[error("the disk is full: free some room, writing resumes by itself")]
    Full,
    /// The id, name or number is taken.
    #[error("{what} exists already")]
    Exists {
        /// What is taken, in a word or two.
        what: &'static str,
    },
    /// Something kept cannot be read by this version: damage, or a later version's work.
    #[error("{what} cannot be read")]
    Unreadable {
        /// What cannot be read.
        what: String,
        /// Why not.
        #[source]
        cause: BoxError,
    },
    /// Part of the store's file is damaged. Nothing in it is known, not even that something is not there; a transaction that
    /// met it is over.
    #[error("{what} cannot be read: {why}")]
    Damaged {
        /// What was looked for, as far as that is known.
        what: String,
        /// What is wrong.
        why: String,
    },
    /// Something that was committed is not there any more.
    #[error("{0}")]
    Lost(String),
    /// Files of different stores, or of one at different moments, lie beside each other.
    #[error("{0}")]
    Mixed(String),
    /// Something is sealed with a key that is not at hand.
    #[error(
        "the store is sealed with the key {key}, which is not among the keys: add it to the file or the variable that `encryption` names"
    )]
    MissingKey {
        /// Its id.
        key: KeyId,
    },
    /// Words were looked for by how they begin, and are kept so that they are found as a whole only.
    #[error("the store is sealed: words are found as a whole only, not by how they begin")]
    WholeWords,
    /// A later version wrote this store.
    #[error(
        "the store has schema {found}, this version knows {known}: use the version that wrote it, or a later one"
    )]
    NewerSchema {
        /// The schema of the store.
        found: i64,
        /// The newest schema this version knows.
        known: i64,
    },
    /// There is no engine of this name.
    #[error("there is no store engine {scheme:?}: use sqlite:PATH")]
    UnknownEngine {
        /// What was asked for.
        scheme: String,
    },
}

impl StoreError {
    /// Whether something kept cannot be read.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Unreadable { .. } | Self::Damaged { .. })
    }
}
