//! Requests that wait for the writer, and how many may.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pegcount_calls::Timestamp;
use pegcount_store::{CallHead, Keepsake};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{
    sync::{AcquireError, Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

use super::{
    Deleted, Erased, Incoming, IntakeError, Outcome, Refold, Refolded,
    fair::{FairQueue, Flow, Spent},
};
use crate::metrics::{Metrics, WaitLabels};

/// How many requests of one organization may wait.
pub(super) const PLACES: usize = 1024;
/// How long a request waits for its place in the queue.
const PLACE_TIMEOUT: Duration = Duration::from_secs(2);

type Reply<T> = oneshot::Sender<Result<T, IntakeError>>;

/// What the writer is asked to do.
pub(super) enum Request {
    Accept(Accept),
    Delete(Delete),
    Erase { head: CallHead, reply: Reply<Erased> },
    Refold(RefoldCalls),
}

/// Events to be taken in, and what became of those that are written already.
pub(super) struct Accept {
    pub(super) incoming: Vec<Incoming>,
    pub(super) outcomes: Vec<Vec<Outcome>>,
    /// Whether it is written in batches of its own: the store refused one that it was part of.
    pub(super) is_alone: bool,
    pub(super) reply: Reply<Vec<Vec<Outcome>>>,
}

/// Calls of which something is to be deleted, and what came of those before.
pub(super) struct Delete {
    pub(super) heads: Vec<CallHead>,
    pub(super) keepsake: Keepsake,
    pub(super) at: Timestamp,
    pub(super) deleted: Deleted,
    pub(super) reply: Reply<Deleted>,
}

/// Calls to be folded again, and what came of those before.
pub(super) struct RefoldCalls {
    pub(super) heads: Vec<CallHead>,
    pub(super) order: Refold,
    pub(super) refolded: Refolded,
    pub(super) reply: Reply<Refolded>,
}

impl Request {
    /// Whose time it takes.
    fn flow(&self) -> Flow {
        match self {
            Self::Accept(accept) => accept.flow(),
            Self::Delete(delete) => delete.flow(),
            Self::Erase { head, .. } => Flow::Organization(head.organization),
            Self::Refold(_) => Flow::Operator,
        }
    }

    /// How many events, or calls, it speaks of.
    fn size(&self) -> usize {
        match self {
            Self::Accept(accept) => accept.rest().iter().map(|one| one.told.len()).sum(),
            Self::Delete(delete) => delete.heads.len(),
            Self::Erase { .. } => 1,
            Self::Refold(refold) => refold.heads.len(),
        }
    }
}

impl Delete {
    /// Whose time it takes.
    pub(super) fn flow(&self) -> Flow {
        self.heads.first().map_or(Flow::Operator, |head| Flow::Organization(head.organization))
    }
}

impl Accept {
    /// Whose time it takes.
    pub(super) fn flow(&self) -> Flow {
        self.incoming.first().map_or(Flow::Operator, |one| Flow::Organization(one.organization))
    }

    /// Those of which nothing is written yet.
    pub(super) fn rest(&self) -> &[Incoming] {
        self.incoming.get(self.outcomes.len()..).unwrap_or_default()
    }
}

/// The queue of the writer. It ends when the last [`Entrance`] to it is gone, and for those who wait when the writer is.
pub(super) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct State {
    requests: FairQueue<Waiting>,
    places: HashMap<Flow, Arc<Semaphore>>,
    is_closed: bool,
}

struct Waiting {
    request: Request,
    since: Instant,
    /// Its place, until it is taken up. The rest of one that was taken up needs none.
    place: Option<OwnedSemaphorePermit>,
}

impl Queue {
    pub(super) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), arrived: Notify::new(), metrics })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a request wait for the writer.
    async fn push(&self, request: Request) -> Result<(), IntakeError> {
        let flow = request.flow();
        let place = self.place(flow).await?;
        let size = request.size();
        {
            let mut state = self.state();
            if state.is_closed {
                return Err(IntakeError::ShuttingDown);
            }
            let waiting = Waiting { request, since: Instant::now(), place: Some(place) };
            state.requests.push(flow, waiting, size);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// A place among the requests of this flow.
    async fn place(&self, flow: Flow) -> Result<OwnedSemaphorePermit, IntakeError> {
        let places = {
            let mut state = self.state();
            if state.is_closed {
                return Err(IntakeError::ShuttingDown);
            }
            Arc::clone(state.places.entry(flow).or_insert_with(|| Arc::new(Semaphore::new(PLACES))))
        };
        if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
            return Ok(place);
        }
        let begun = Instant::now();
        let place = tokio::time::timeout(PLACE_TIMEOUT, places.acquire_owned()).await;
        self.observe(WaitLabels::PLACE, begun);
        match place {
            Ok(place) => place.map_err(|_: AcquireError| IntakeError::ShuttingDown),
            Err(_) => {
                self.metrics.busy_requests.inc();
                Err(IntakeError::Busy)
            }
        }
    }

    fn observe(&self, reason: WaitLabels, begun: Instant) {
        self.metrics.waits.get_or_create(&reason).observe(begun.elapsed().as_secs_f64());
    }

    /// The next request, and what one of its events is expected to cost; `None` once nobody can send any more and all are
    /// taken.
    pub(super) async fn next(&self) -> Option<(Request, Duration)> {
        loop {
            {
                let mut state = self.state();
                if let Some((waiting, event_cost)) = state.requests.pop() {
                    return Some((self.taken(waiting), event_cost));
                }
                if state.is_closed {
                    return None;
                }
            }
            self.arrived.notified().await;
        }
    }

    /// The next request, if there is one and its events may be written together with those of others.
    pub(super) fn next_accept(&self) -> Option<(Accept, Duration)> {
        let mut state = self.state();
        let joins =
            |waiting: &Waiting| matches!(&waiting.request, Request::Accept(accept) if !accept.is_alone);
        let (waiting, event_cost) =
            state.requests.peek().is_some_and(joins).then(|| state.requests.pop())??;
        match self.taken(waiting) {
            Request::Accept(accept) => Some((accept, event_cost)),
            // It was looked at before.
            _ => None,
        }
    }

    fn taken(&self, waiting: Waiting) -> Request {
        // A rest was counted when its first part was taken.
        if waiting.place.is_some() {
            self.metrics.queued_requests.dec();
            self.metrics.taken_requests.inc();
        }
        self.observe(WaitLabels::TURN, waiting.since);
        waiting.request
    }

    /// Has the rest of a request wait, in front of the others of its flow.
    pub(super) fn push_rest(&self, request: Request) {
        let (flow, size) = (request.flow(), request.size());
        let waiting = Waiting { request, since: Instant::now(), place: None };
        self.state().requests.push_rest(flow, waiting, size);
    }

    /// Notes what the requests took that were taken since this was last noted.
    pub(super) fn settle(&self, spent: &BTreeMap<Flow, Spent>) {
        self.state().requests.settle(spent);
    }

    /// Turns away whoever waits or comes: the writer is gone.
    fn abandon(&self) {
        let mut state = self.state();
        state.is_closed = true;
        state.places.values().for_each(|places| places.close());
        // Whoever waits for an answer learns that none comes.
        state.requests.clear();
    }
}

/// The way into the queue.
pub(super) struct Entrance(Arc<Queue>);

impl Entrance {
    pub(super) fn of(queue: &Arc<Queue>) -> Arc<Self> {
        Arc::new(Self(Arc::clone(queue)))
    }

    /// Has a request wait for the writer.
    pub(super) async fn send(&self, request: Request) -> Result<(), IntakeError> {
        // Counted first: the writer may have taken it before this goes on.
        let counted = Counted::new(&self.0.metrics.queued_requests);
        self.0.push(request).await?;
        // The writer counts it off.
        std::mem::forget(counted);
        Ok(())
    }
}

/// Counts a request that waits, until it is turned away or whoever sent it has gone.
struct Counted<'a>(&'a Gauge);

impl<'a> Counted<'a> {
    fn new(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.arrived.notify_one();
    }
}

/// The writer's end of the queue.
pub(super) struct Exit(pub(super) Arc<Queue>);

impl Drop for Exit {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
