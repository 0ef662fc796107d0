//! The audit log: who read what was said, who erased, who changed keys.
//!
//! What is noted goes into a bounded queue, and from there many entries at a time into the store: within half a second, or
//! when enough wait. Who asks for something is answered once its entry is in the queue; while the queue is full nobody is.
//! So nothing is read that is not noted, but for a kill, which may lose what was noted in the last second. What changes
//! something is answered once its entry is on disk.

mod action;
mod config;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use pegcount_calls::Document;
use pegcount_store::{Deed, OrganizationNumber, Store};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

pub use action::Action;
pub use config::Config;
use writer::{Note, Writer};

/// How many entries may wait to be written.
const MOST_WAITING: usize = 4096;
/// How long who asks waits for room in the queue, and who changed something until its entry is on disk.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end waits for the last entries.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// It cannot be noted at the moment, so it must not be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit log takes no entries")]
pub struct Unnoted;

/// What is to be noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose things; `None`: the whole server's.
    pub organization: Option<OrganizationNumber>,
    /// Who: the id of a key, or one of [`actor`].
    pub actor: String,
    /// To what: the UUID of a call, the id of a key, the number of a job.
    pub subject: Option<String>,
    /// What else is to be known; an object without personal data.
    pub details: Document,
}

/// Those who do something without a key.
pub mod actor {
    /// Somebody with a signed link.
    pub const LINK: &str = "link";
    /// Somebody at a dialect that the configuration opened to everybody.
    pub const OPEN: &str = "open";
    /// Whoever runs the command line.
    pub const OPERATOR: &str = "operator";
    /// This program by itself.
    pub const SERVER: &str = "server";
}

/// The way into the audit log.
pub struct Audit {
    queue: mpsc::Sender<Note>,
    clock: Clock,
    reads: bool,
    patience: Duration,
    stop: CancellationToken,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Audit {
    /// Notes in this store from now on.
    pub fn start(store: Arc<dyn Store>, clock: Clock, config: &Config) -> Arc<Self> {
        Arc::new(Self::start_with(store, clock, config, PATIENCE))
    }

    fn start_with(store: Arc<dyn Store>, clock: Clock, config: &Config, patience: Duration) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let stop = CancellationToken::new();
        let writer = Writer { store, clock: clock.clone(), keep_days: config.keep_days, stop: stop.clone() };
        let writer = tokio::spawn(writer.run(waiting));
        Self { queue, clock, reads: config.reads, patience, stop, writer: Mutex::new(Some(writer)) }
    }

    /// Room for one entry, so that what is done then can be noted. `None` where such a thing is not noted.
    ///
    /// # Errors
    /// [`Unnoted`] when there is none within two seconds.
    pub async fn room(&self, action: Action) -> Result<Option<Room<'_>>, Unnoted> {
        if action.is_read() && !self.reads {
            return Ok(None);
        }
        let permit = match self.queue.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Closed(())) => return Err(Unnoted),
            Err(mpsc::error::TrySendError::Full(())) => {
                match tokio::time::timeout(self.patience, self.queue.reserve()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) | Err(_) => return Err(Unnoted),
                }
            }
        };
        Ok(Some(Room { permit, action, clock: &self.clock, patience: self.patience }))
    }

    /// Notes what was read. It may be told to who asked for it when this returns without an error.
    ///
    /// # Errors
    /// [`Unnoted`].
    pub async fn read(&self, action: Action, entry: impl FnOnce() -> Entry) -> Result<(), Unnoted> {
        if let Some(room) = self.room(action).await? {
            room.put(entry(), None);
        }
        Ok(())
    }

    /// Writes what waits, and takes no more.
    pub async fn close(&self) {
        self.stop.cancel();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && tokio::time::timeout(LAST_PATIENCE, writer).await.is_err()
        {
            tracing::error!("the last entries of the audit log could not be written and are lost");
        }
    }
}

/// Room for one entry.
pub struct Room<'a> {
    permit: mpsc::Permit<'a, Note>,
    action: Action,
    clock: &'a Clock,
    patience: Duration,
}

impl Room<'_> {
    fn put(self, entry: Entry, written: Option<oneshot::Sender<()>>) {
        let deed = Deed {
            at: self.clock.now(),
            organization: entry.organization,
            actor: entry.actor,
            action: self.action.name().to_owned(),
            subject: entry.subject,
            details: entry.details,
        };
        self.permit.send(Note { deed, written });
    }

    /// Notes what was done, and waits until that is on disk. It is done whatever becomes of its entry, so there is no
    /// error: an entry that takes longer is written when it can be.
    pub async fn done(self, entry: Entry) {
        let (written, told) = oneshot::channel();
        let patience = self.patience;
        self.put(entry, Some(written));
        if !matches!(tokio::time::timeout(patience, told).await, Ok(Ok(()))) {
            tracing::warn!("an entry of the audit log waits to be written");
        }
    }
}
