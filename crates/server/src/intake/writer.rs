//! The one thread that writes calls.
//!
//! It takes one request, drains what has queued behind it, and writes all of that in one transaction: batching comes
//! from load, no timer holds anybody up. The queue is bounded; when it is full a request waits a little and is then
//! turned away, so that memory stays bounded and a source knows to come again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pegcount_calls::Timestamp;
use pegcount_store::{CallHead, Keepsake, Store, StoreError};
use tokio::sync::{mpsc, oneshot};

use super::{
    CallReference, Deleted, Erased, Incoming, Outcome, Outside, Refold, Refolded,
    basis::{Settler, TariffsHandle},
    batch::{Batch, Done},
    deletion::delete,
    erasure::erase,
    history::Cache,
    redacting::Redacting,
    refold::refold,
};
use crate::{
    live::Live,
    metrics::{EventLabels, Metrics},
    organizations::{Names, PerOrganization},
    redaction::Masks,
    vocabulary::{self, Telling},
};

/// How many requests may wait.
pub(super) const QUEUE: usize = 1024;
/// How long a request waits for its place in the queue.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many events go into one transaction, once there are so many.
const MOST_EVENTS_A_BATCH: usize = 1000;

/// Why events were not taken in. None of them is kept, unless the answer was lost on its way; sending them again is
/// always safe.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntakeError {
    /// More comes in than can be written.
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

enum Request {
    Accept {
        incoming: Vec<Incoming>,
        reply: oneshot::Sender<Result<Vec<Vec<Outcome>>, IntakeError>>,
    },
    Delete {
        heads: Vec<CallHead>,
        keepsake: Keepsake,
        at: Timestamp,
        reply: oneshot::Sender<Result<Deleted, IntakeError>>,
    },
    Erase {
        head: CallHead,
        reply: oneshot::Sender<Result<Erased, IntakeError>>,
    },
    Refold {
        heads: Vec<CallHead>,
        order: Refold,
        reply: oneshot::Sender<Result<Refolded, IntakeError>>,
    },
}

/// The way in. Cloning gives another handle to the same writer; it ends when the last handle is gone.
#[derive(Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
    metrics: Arc<Metrics>,
    redacting: Option<Arc<Redacting>>,
}

impl Intake {
    /// Starts the writer on a thread of its own. The handle that comes with it joins the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(parts: IntakeParts) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (intake, writer) = Self::with_writer(parts);
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new()
            .name("pegcount-writer".into())
            .spawn(move || runtime.block_on(writer))?;
        Ok((intake, thread))
    }

    /// The way in, and the writer behind it, which works as long as it is polled.
    pub fn with_writer(parts: IntakeParts) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let metrics = Arc::clone(&parts.metrics);
        let writer = Writer {
            settler: Settler::new(parts.tariffs, parts.names.clone()),
            store: parts.store,
            live: parts.live,
            metrics: parts.metrics,
            outside: parts.outside,
            cache: Cache::new(),
        };
        let redacting = Redacting::of(parts.masks, parts.names).map(Arc::new);
        (Self { requests, metrics, redacting }, writer.run(queue))
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
        self.send(Request::Accept { incoming, reply }).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
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
        self.send(Request::Refold { heads, order, reply }).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }

    /// Erases a call. When this returns, that is on disk.
    ///
    /// # Errors
    /// [`IntakeError`].
    pub async fn erase(&self, head: CallHead) -> Result<Erased, IntakeError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Erase { head, reply }).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }

    /// Deletes this of calls that are over, as from now on, which is `at`: an event of each call tells it. Calls on hold keep it. When
    /// this returns, that is on disk. They go in one transaction: it should not be many.
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
        self.send(Request::Delete { heads, keepsake, at, reply }).await?;
        answer.await.map_err(|_| IntakeError::ShuttingDown)?
    }

    async fn send(&self, request: Request) -> Result<(), IntakeError> {
        // Counted first: the writer may have taken it before this goes on.
        self.metrics.queued_requests.inc();
        let sent = self.requests.send_timeout(request, PATIENCE).await;
        sent.map_err(|error| {
            self.metrics.queued_requests.dec();
            match error {
                mpsc::error::SendTimeoutError::Timeout(_) => IntakeError::Busy,
                mpsc::error::SendTimeoutError::Closed(_) => IntakeError::ShuttingDown,
            }
        })
    }
}

type Accept = (Vec<Incoming>, oneshot::Sender<Result<Vec<Vec<Outcome>>, IntakeError>>);

struct Writer {
    store: Arc<dyn Store>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    outside: Vec<Box<dyn Outside>>,
    cache: Cache,
    settler: Settler,
}

impl Writer {
    async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        while let Some(first) = queue.recv().await {
            let mut accepts: Vec<Accept> = Vec::new();
            let mut events = 0;
            let mut next = Some(first);
            while let Some(request) = next.take() {
                self.metrics.queued_requests.dec();
                self.metrics.taken_requests.inc();
                match request {
                    Request::Accept { incoming, reply } => {
                        events += incoming.iter().map(|one| one.told.len()).sum::<usize>();
                        accepts.push((incoming, reply));
                    }
                    Request::Delete { heads, keepsake, at, reply } => {
                        let answer = self.delete(&heads, keepsake, at).await;
                        let _ = reply.send(answer);
                    }
                    Request::Erase { head, reply } => {
                        let answer = self.erase(&head).await;
                        let _ = reply.send(answer);
                    }
                    Request::Refold { heads, order, reply } => {
                        let answer = self.refold(&heads, order).await;
                        let _ = reply.send(answer);
                    }
                }
                if events < MOST_EVENTS_A_BATCH {
                    next = queue.try_recv().ok();
                }
            }
            self.accept(accepts).await;
        }
    }

    /// Writes what came in and answers. Whoever has gone away in the meantime gets no answer; that is no error.
    async fn accept(&mut self, accepts: Vec<Accept>) {
        if accepts.is_empty() {
            return;
        }
        let all: Vec<&Vec<Incoming>> = accepts.iter().map(|(incoming, _)| incoming).collect();
        match self.write(&all).await {
            Ok(outcomes) => {
                for ((_, reply), outcomes) in accepts.into_iter().zip(outcomes) {
                    let _ = reply.send(Ok(outcomes));
                }
            }
            // One of them may be to blame (a damaged call, say): the others are not made to suffer.
            Err(_) if accepts.len() > 1 => {
                for (incoming, reply) in accepts {
                    let answer = self.write(&[&incoming]).await;
                    let _ = reply.send(answer.map(|mut outcomes| outcomes.pop().unwrap_or_default()));
                }
            }
            Err(error) => {
                for (_, reply) in accepts {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    async fn write(&mut self, requests: &[&Vec<Incoming>]) -> Result<Vec<Vec<Vec<Outcome>>>, IntakeError> {
        let begun = Instant::now();
        match self.commit(requests).await {
            Ok((outcomes, done)) => {
                self.publish(&done);
                self.metrics.commit_seconds.observe(begun.elapsed().as_secs_f64());
                self.count(requests, &outcomes);
                Ok(outcomes)
            }
            Err(error) => {
                self.metrics.failed_commits.inc();
                tracing::error!(%error, cause = std::error::Error::source(&error), "events were not taken in");
                Err(IntakeError::from(&error))
            }
        }
    }

    async fn commit(
        &mut self,
        requests: &[&Vec<Incoming>],
    ) -> Result<(Vec<Vec<Vec<Outcome>>>, Done), StoreError> {
        let mut batch =
            Batch::begin(self.store.as_ref(), &mut self.cache, &mut self.settler, &self.outside).await?;
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            let mut of_request = Vec::with_capacity(request.len());
            for incoming in request.iter() {
                of_request.push(batch.take(incoming).await?);
            }
            outcomes.push(of_request);
        }
        Ok((outcomes, batch.finish().await?))
    }

    /// Says what was done, which is on disk by now.
    fn publish(&self, Done { standing, forgotten, asked }: &Done) {
        self.live.apply(standing);
        for (organization, call) in forgotten {
            self.outside.iter().for_each(|one| one.discard(*organization, call));
        }
        if *asked {
            self.outside.iter().for_each(|one| one.asked());
        }
    }

    async fn delete(
        &mut self,
        heads: &[CallHead],
        keepsake: Keepsake,
        at: Timestamp,
    ) -> Result<Deleted, IntakeError> {
        let deleted = async {
            let mut batch =
                Batch::begin(self.store.as_ref(), &mut self.cache, &mut self.settler, &self.outside).await?;
            let deleted = delete(&mut batch, heads, keepsake, at).await?;
            Ok((deleted, batch.finish().await?))
        };
        let (deleted, done) = deleted.await.map_err(|error: StoreError| {
            tracing::error!(%error, "what is old was not deleted of calls");
            IntakeError::from(&error)
        })?;
        self.publish(&done);
        Ok(deleted)
    }

    fn count(&self, requests: &[&Vec<Incoming>], outcomes: &[Vec<Vec<Outcome>>]) {
        let mut accepted = 0_u32;
        let pairs =
            requests.iter().zip(outcomes).flat_map(|(request, outcomes)| request.iter().zip(outcomes));
        for (incoming, outcomes) in pairs {
            for outcome in outcomes {
                let outcome = match outcome {
                    Outcome::Accepted => {
                        accepted += 1;
                        "accepted"
                    }
                    Outcome::Duplicate => "duplicate",
                    Outcome::Rejected(_) => "rejected",
                };
                let labels = EventLabels { source: incoming.source.to_string(), outcome };
                self.metrics.events.get_or_create(&labels).inc();
            }
        }
        self.metrics.commit_events.observe(f64::from(accepted));
    }

    async fn erase(&mut self, head: &CallHead) -> Result<Erased, IntakeError> {
        let (erased, names) = erase(self.store.as_ref(), head, &self.outside).await.map_err(|error| {
            tracing::error!(%error, "a call was not erased");
            IntakeError::from(&error)
        })?;
        if erased == Erased::Gone {
            drop(self.cache.take(head.key));
            self.live.apply(&[(head.organization, head.key, None)]);
            for name in &names {
                self.outside.iter().for_each(|one| one.discard(head.organization, name));
            }
            self.outside.iter().for_each(|one| one.asked());
        }
        Ok(erased)
    }

    async fn refold(&mut self, heads: &[CallHead], order: Refold) -> Result<Refolded, IntakeError> {
        match refold(self.store.as_ref(), &mut self.settler, &self.outside, heads, order).await {
            Ok((refolded, standing)) => {
                self.live.apply(&standing);
                // What is remembered of them says what they were folded with before.
                standing.iter().for_each(|(_, key, _)| drop(self.cache.take(*key)));
                Ok(refolded)
            }
            Err(error) => {
                tracing::error!(%error, "calls were not folded again");
                Err(IntakeError::from(&error))
            }
        }
    }
}
