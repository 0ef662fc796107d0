//! The way in, as others hold it.

use std::sync::Arc;

use pegcount_calls::Timestamp;
use pegcount_store::{CallHead, Keepsake, Store, StoreError};
use tokio::sync::oneshot;

use super::{
    CallReference, Deleted, Erased, Incoming, Outcome, Outside, Refold, Refolded,
    basis::TariffsHandle,
    history::Thresholds,
    queue::{Accept, Delete, Entrance, Queue, RefoldCalls, Request},
    redacting::Redacting,
    writer::Writer,
};
use crate::{
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    redaction::Masks,
    vocabulary::{self, Telling},
};

/// How many events of one call are taken in at once. Between these others have their turn.
const MOST_EVENTS_AT_ONCE: usize = 100;

/// Why events were not taken in. Those of a large request may be kept in part; sending them again is always safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// More comes in of the organization than can be written.
    #[error("more events come in than can be written; send them again")]
    Busy,
    /// The disk is full.
    #[error("the disk is full; send them again when there is room")]
    Full,
    /// The store does not take writes.
    #[error("the store does not take writes at the moment; send them again")]
    StoreFailed,
    /// The program is ending.
    #[error("the server is shutting down; send them again")]
    ShuttingDown,
}

impl From<&StoreError> for IntakeError {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::Full => Self::Full,
            _ => Self::StoreFailed,
        }
    }
}

/// What the way in is made of.
pub struct IntakeParts {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The calls in progress.
    pub live: Arc<Live>,
    /// What organizations are called.
    pub names: Names,
    /// What organizations pay.
    pub tariffs: TariffsHandle,
    /// What is masked before anything is kept.
    pub masks: PerOrganization<Masks>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who else wants to know of calls.
    pub outside: Vec<Box<dyn Outside>>,
}

/// The way in. Cloning gives another handle to the same writer; it ends when the last handle is gone.
#[derive(Clone)]
pub struct Intake {
    entrance: Arc<Entrance>,
    redacting: Option<Arc<Redacting>>,
}

impl Intake {
    /// Starts the writer on a thread of its own. The handle that comes with it joins the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(parts: IntakeParts) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        Self::start_with(parts, Thresholds::default())
    }

    pub(super) fn start_with(
        parts: IntakeParts,
        thresholds: Thresholds,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (intake, writer) = Self::with_writer(parts, thresholds);
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("pegcount-writer".into())
            .spawn(move || runtime.block_on(writer))?;
        Ok((intake, thread))
    }

    /// The way in, and the writer behind it, which works as long as it is polled.
    pub fn with_writer(
        parts: IntakeParts,
        thresholds: Thresholds,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let queue = Queue::new(Arc::clone(&parts.metrics));
        let entrance = Entrance::of(&queue);
        let redacting = Redacting::of(parts.masks.clone(), parts.names.clone()).map(Arc::new);
        (Self { entrance, redacting }, Writer::new(parts, queue, thresholds).run())
    }

    /// Takes events in. When this returns, they are on disk, in the live set and visible to the next read.
    ///
    /// # Errors
    /// [`IntakeError`]; what is wrong with single events is in their [`Outcome`].
    pub async fn accept(&self, mut incoming: Vec<Incoming>) -> Result<Vec<Vec<Outcome>>, IntakeError> {
        if let Some(redacting) = &self.redacting {
            for one in &mut incoming {
                redacting.mask(one).await.map_err(|error| {
                    tracing::error!(%error, "events were not taken in: what to mask of them cannot be read");
                    IntakeError::from(&error)
                })?;
            }
        }
        let (reply, answer) = oneshot::channel();
        let (incoming, pieces) = into_pieces(incoming);
        let outcomes = Vec::with_capacity(incoming.len());
        self.entrance.send(Request::Accept(Accept { incoming, outcomes, is_alone: false, reply })).await?;
        let mut outcomes = answer.await.map_err(|_| IntakeError::ShuttingDown)??.into_iter();
        Ok(pieces.into_iter().map(|count| outcomes.by_ref().take(count).flatten().collect()).collect())
    }

    /// Takes in one event that this program itself tells of a call.
    ///
    /// # Errors
    /// [`IntakeError`]; an event that is none is rejected, as anybody else's.
    pub async fn tell(&self, head: &CallHead, telling: Telling) -> Result<Outcome, IntakeError> {
        let source = telling.source.clone();
        let told = match vocabulary::tell(telling) {
            Ok(told) => vec![told],
            Err(rejection) => return Ok(Outcome::Rejected(rejection)),
        };
        let call = CallReference::Named(head.name.clone());
        let incoming = Incoming { organization: head.organization, source, call, told };
        let outcomes = self.accept(vec![incoming]).await?;
        // Each event has its outcome; without one it is as if the writer had gone.
        outcomes.into_iter().flatten().next().ok_or(IntakeError::ShuttingDown)
    }

    /// Folds these calls again from their events, with what they were folded with unless the order says otherwise.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn refold(&self, heads: Vec<CallHead>, order: Refold) -> Result<Refolded, IntakeError> {
        let (reply, answer) = oneshot::channel();
        let refolded = Refolded::default();
        self.entrance.send(Request::Refold(RefoldCalls { heads, order, refolded, reply })).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }

    /// Erases a call. When this returns, that is on disk.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn erase(&self, head: CallHead) -> Result<Erased, IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.entrance.send(Request::Erase { head, reply }).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }

    /// Deletes this of calls that are over, as from now on, which is `at`: an event of each call tells it. Calls on hold keep it. When
    /// this returns, that is on disk. After an error some of it may be: the order can be given again.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn delete(
        &self,
        heads: Vec<CallHead>,
        keepsake: Keepsake,
        at: Timestamp,
    ) -> Result<Deleted, IntakeError> {
        let (reply, answer) = oneshot::channel();
        let deleted = Deleted::default();
        self.entrance.send(Request::Delete(Delete { heads, keepsake, at, deleted, reply })).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }
}

/// Divides events of one call that are too many to be taken in at once. Tells how many pieces each became.
fn into_pieces(incoming: Vec<Incoming>) -> (Vec<Incoming>, Vec<usize>) {
    let mut pieces = Vec::with_capacity(incoming.len());
    let mut counts = Vec::with_capacity(incoming.len());
    for Incoming { organization, source, call, told } in incoming {
        let count = told.len().div_ceil(MOST_EVENTS_AT_ONCE).max(1);
        let mut told = told.into_iter();
        pieces.extend((0..count).map(|_| Incoming {
            organization,
            source: source.clone(),
            call: call.clone(),
            told: told.by_ref().take(MOST_EVENTS_AT_ONCE).collect(),
        }));
        counts.push(count);
    }
    (pieces, counts)
}
