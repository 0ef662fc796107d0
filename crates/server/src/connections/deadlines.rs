//! The deadlines of a connection, and what it does meanwhile.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::metrics::Closed;

/// Bytes of an answer that are handed to the connection at once: so many must be taken within [`Deadlines::answer`].
const PART_BYTES: usize = 64 * 1024;

/// How long each phase of a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// The TLS handshake.
    pub handshake: Duration,
    /// From the opening of a connection until the head of its first request is there.
    pub first_request: Duration,
    /// How long no request may be under way, the head of the next one included.
    pub idle: Duration,
    /// How long a client may take to accept the next 64 KiB of an answer.
    pub answer: Duration,
    /// How often an HTTP/2 client is asked whether it is there, and how long it may take to say so.
    pub ping: Duration,
    /// A connection beyond the caps, in all.
    pub reserve: Duration,
    /// How long a connection that is over may take to close.
    pub goodbye: Duration,
    /// How long requests may go on after the order to stop (contract, cli.md).
    pub shutdown: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            ping: Duration::from_secs(20),
            reserve: Duration::from_secs(5),
            goodbye: Duration::from_secs(1),
            shutdown: Duration::from_secs(10),
        }
    }
}

/// The requests of one connection that are under way.
pub(super) struct Activity {
    state: Mutex<State>,
}

struct State {
    /// Each request, and since when its client has not taken what it was given; `None` while the answer is made.
    under_way: Vec<(u64, Option<Instant>)>,
    next: u64,
    /// When the last request ended, or the connection began.
    idle_since: Instant,
}

impl Activity {
    /// A connection that has just been opened.
    pub(super) fn begin(now: Instant) -> Self {
        Self { state: Mutex::new(State { under_way: Vec::new(), next: 0, idle_since: now }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request has come.
    pub(super) fn request(self: &Arc<Self>) -> UnderWay {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.under_way.push((number, None));
        UnderWay { activity: Arc::clone(self), number }
    }

    /// When the connection has to be looked at next.
    pub(super) fn due(&self, deadlines: &Deadlines, now: Instant) -> Instant {
        self.state().deadline(deadlines).map_or(now + deadlines.answer, |(due, _)| due)
    }

    /// Why the connection has to be closed, if it has to.
    pub(super) fn overdue(&self, deadlines: &Deadlines, now: Instant) -> Option<Closed> {
        let (_, reason) = self.state().deadline(deadlines).filter(|(due, _)| *due <= now)?;
        Some(reason)
    }
}

impl State {
    /// When the connection is closed unless something happens; `None` while answers are made.
    fn deadline(&self, deadlines: &Deadlines) -> Option<(Instant, Closed)> {
        if self.under_way.is_empty() {
            return Some(match self.next {
                0 => (self.idle_since + deadlines.first_request, Closed::Silent),
                _ => (self.idle_since + deadlines.idle, Closed::Idle),
            });
        }
        let stalled = self.under_way.iter().filter_map(|(_, since)| *since).min()?;
        Some((stalled + deadlines.answer, Closed::Unread))
    }
}

/// A request that is under way until its answer was handed over.
pub(super) struct UnderWay {
    activity: Arc<Activity>,
    number: u64,
}

impl UnderWay {
    /// Notes since when the client has to take something; `None` while it has to wait.
    fn note(&self, since: Option<Instant>) {
        let mut state = self.activity.state();
        if let Some((_, noted)) = state.under_way.iter_mut().find(|(number, _)| *number == self.number) {
            *noted = since;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.under_way.retain(|(number, _)| *number != self.number);
        state.idle_since = Instant::now();
    }
}

/// The body of an answer, handed over in parts. It is asked for the next part once the client has taken the last one, over
/// HTTP/1 as over HTTP/2, so it knows how long a client takes.
pub(super) struct TimedBody {
    body: Body,
    rest: Bytes,
    under_way: UnderWay,
}

impl TimedBody {
    pub(super) fn new(body: Body, under_way: UnderWay) -> Self {
        under_way.note(Some(Instant::now()));
        Self { body, rest: Bytes::new(), under_way }
    }
}

impl http_body::Body for TimedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.rest.is_empty() {
            match Pin::new(&mut this.body).poll_frame(cx) {
                Poll::Pending => {
                    this.under_way.note(None);
                    return Poll::Pending;
                }
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(ended) => return Poll::Ready(ended),
            }
        }
        this.under_way.note(Some(Instant::now()));
        let part = this.rest.split_to(this.rest.len().min(PART_BYTES));
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}
