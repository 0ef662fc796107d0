//! Bodies within bounds: of size, of time, and of memory over all requests together.

use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Extensions, HeaderMap},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::budget::{Budget, Portion};

pub use super::budget::Sender;

/// How long a client may take to send a body, beside what its bytes buy.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes that buy a second.
const LEAST_BYTES_PER_SECOND: u32 = 16 * 1024;
/// How long a body waits for memory.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);
/// When a request whose body found no memory may be sent again.
pub const ROOM_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Most bytes of a body that is too large which are taken before the connection is closed.
const MOST_DISCARDED: usize = 32 * 1024 * 1024;
/// Memory for all bodies that are held at one time.
const BUDGET_BYTES: usize = 256 * 1024 * 1024;
/// Of it for the bodies of one key, and of all who show none: four of the largest.
const SHARE_BYTES: usize = 64 * 1024 * 1024;

static BUDGET: LazyLock<Arc<Budget>> = LazyLock::new(|| Budget::new(BUDGET_BYTES, SHARE_BYTES));

/// Why a body could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than is taken here: 413.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// How many bytes are taken.
        limit: usize,
    },
    /// It comes too slowly: 408.
    #[error(
        "the body came too slowly: send at least {LEAST_BYTES_PER_SECOND} bytes a second, after {} seconds",
        GRACE.as_secs()
    )]
    TooSlow,
    /// Other bodies take all memory for bodies, or those of this key its share: 503.
    #[error("the server has no room for the body at the moment: send fewer at once, or send it again later")]
    NoRoom,
    /// The connection broke: 400.
    #[error("the body could not be read")]
    Broken,
}

/// A body, and the memory that it takes until it is dropped.
#[derive(Debug)]
pub struct Held {
    bytes: Bytes,
    _portion: Portion,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, if it is no larger than `limit` bytes. Its memory is that of the [`Sender`] among the extensions of the
/// request.
///
/// # Errors
/// [`BodyError`].
pub async fn read(extensions: &Extensions, body: Body, limit: usize) -> Result<Held, BodyError> {
    let sender = extensions.get::<Sender>().cloned().unwrap_or_default();
    let pace = Pace { due: Instant::now() + GRACE };
    read_within(&BUDGET, sender, body, limit, pace).await
}

async fn read_within(
    budget: &Arc<Budget>,
    sender: Sender,
    mut body: Body,
    limit: usize,
    mut pace: Pace,
) -> Result<Held, BodyError> {
    use http_body::Body as _;
    if body.size_hint().exact().is_some_and(|length| length > limit as u64) {
        return Err(too_large(body, limit, pace).await);
    }
    let mut portion = budget.begin(sender);
    let mut bytes = BytesMut::new();
    while let Some(part) = pace.next_part(&mut body).await? {
        if bytes.len() + part.len() > limit {
            return Err(too_large(body, limit, pace).await);
        }
        let waits_since = Instant::now();
        timeout(ROOM_TIMEOUT, portion.take(part.len())).await.map_err(|_| BodyError::NoRoom)?;
        // A client is not slow while it is not read from.
        pace.due += waits_since.elapsed();
        bytes.extend_from_slice(&part);
    }
    portion.arrived();
    Ok(Held { bytes: bytes.freeze(), _portion: portion })
}

/// How fast a body comes.
struct Pace {
    /// When the next part must be there.
    due: Instant,
}

impl Pace {
    async fn next_part(&mut self, body: &mut Body) -> Result<Option<Bytes>, BodyError> {
        match timeout_at(self.due, body.frame()).await {
            Err(_) => Err(BodyError::TooSlow),
            Ok(None) => Ok(None),
            Ok(Some(Err(_))) => Err(BodyError::Broken),
            Ok(Some(Ok(frame))) => {
                let part = frame.into_data().unwrap_or_default();
                self.due +=
                    Duration::from_secs(1).mul_f64(part.len() as f64 / f64::from(LEAST_BYTES_PER_SECOND));
                Ok(Some(part))
            }
        }
    }
}

/// Takes what is still on its way and keeps none of it: a client that is sending when the connection is closed does
/// not get to read why.
async fn too_large(mut body: Body, limit: usize, mut pace: Pace) -> BodyError {
    let mut discarded = 0;
    while let Ok(Some(part)) = pace.next_part(&mut body).await {
        discarded += part.len();
        if discarded > MOST_DISCARDED {
            break;
        }
    }
    BodyError::TooLarge { limit }
}

/// The media type of a body in lower case, without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = super::credentials::header_text(headers, "content-type")?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::{StreamExt, stream};

    use super::*;

    fn pace(grace: Duration) -> Pace {
        Pace { due: Instant::now() + grace }
    }

    /// Sends these parts, and then nothing.
    fn stuck(parts: &[&'static str]) -> Body {
        let parts: Vec<_> =
            parts.iter().map(|part| Ok::<_, Infallible>(Bytes::from_static(part.as_bytes()))).collect();
        Body::from_stream(stream::iter(parts).chain(stream::pending()))
    }

    #[tokio::test]
    async fn a_body_that_stops_is_too_slow() {
        let budget = Budget::new(1024, 512);
        for body in [stuck(&[]), stuck(&["["]), stuck(&["[", "1"])] {
            let read =
                read_within(&budget, Sender::Stranger, body, 64, pace(Duration::from_millis(20))).await;
            assert_eq!(read.unwrap_err(), BodyError::TooSlow);
        }
    }

    #[tokio::test]
    async fn what_has_come_buys_time() {
        let mut pace = pace(Duration::ZERO);
        let before = pace.due;
        let part = Body::from(vec![b'x'; 32 * 1024]);
        // Long enough to be polled once.
        pace.due += GRACE;
        pace.next_part(&mut { part }).await.unwrap();
        assert_eq!(pace.due - before, GRACE + Duration::from_secs(2));
    }

    #[tokio::test]
    async fn idle_bodies_of_one_key_keep_nobody_out() {
        let budget = Budget::new(1024, 512);
        let key = |name: &str| Sender::Key(name.into());
        let grace = GRACE;
        let idle: Vec<_> = (0..100)
            .map(|_| {
                let budget = Arc::clone(&budget);
                tokio::spawn(async move {
                    read_within(&budget, key("idle"), stuck(&["["]), 1024, pace(grace)).await
                })
            })
            .collect();
        tokio::task::yield_now().await;
        for name in ["idle", "other"] {
            let body = Body::from(vec![b'x'; 400]);
            let held = read_within(&budget, key(name), body, 1024, pace(grace)).await;
            assert_eq!(held.unwrap().len(), 400, "{name}");
        }
        idle.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_body_beyond_its_limit_is_too_large() {
        let budget = Budget::new(1024, 512);
        for body in [Body::from("x".repeat(65)), stuck(&["xxxxxxxx"; 9])] {
            let read =
                read_within(&budget, Sender::Stranger, body, 64, pace(Duration::from_millis(20))).await;
            assert_eq!(read.unwrap_err(), BodyError::TooLarge { limit: 64 });
        }
    }
}
