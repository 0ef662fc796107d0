//! Bodies within bounds: of size, of time, and of memory over all requests together.

use std::{
    ops::Deref,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{body::Body, http::HeaderMap};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of a body that is too large which are taken before the connection is closed.
const MOST_DISCARDED: usize = 32 * 1024 * 1024;
/// Memory for all bodies that are held at one time, in KiB; more wait.
const BUDGET_KIB: u32 = 256 * 1024;

static BUDGET: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(BUDGET_KIB as usize)));

/// Why a body could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is larger than is taken here: 413.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// How many bytes are taken.
        limit: usize,
    },
    /// It did not come in time: 400.
    #[error("the body did not arrive within {} seconds", PATIENCE.as_secs())]
    TooSlow,
    /// The connection broke: 400.
    #[error("the body could not be read")]
    Broken,
}

/// A body, and its share of the memory for bodies, which it gives back when it is dropped.
pub struct Held {
    bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The whole body, if it is no larger than `limit` bytes.
///
/// # Errors
/// [`BodyError`].
pub async fn read(body: Body, limit: usize) -> Result<Held, BodyError> {
    tokio::time::timeout(PATIENCE, read_patiently(body, limit)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_patiently(mut body: Body, limit: usize) -> Result<Held, BodyError> {
    use http_body::Body as _;
    // What a client says of the length is a bound that hyper holds it to; without a word it may be all that is taken.
    let largest = body.size_hint().upper().and_then(|upper| usize::try_from(upper).ok()).unwrap_or(limit);
    if largest > limit && body.size_hint().exact().is_some() {
        discard(body).await;
        return Err(BodyError::TooLarge { limit });
    }
    let kib = u32::try_from(largest.min(limit).div_ceil(1024)).unwrap_or(BUDGET_KIB).min(BUDGET_KIB);
    // The semaphore is never closed, so a share is always had in the end.
    let share = Arc::clone(&BUDGET).acquire_many_owned(kib).await.ok();
    match Limited::new(&mut body, limit).collect().await {
        Ok(collected) => Ok(Held { bytes: collected.to_bytes(), _share: share }),
        Err(error) if error.is::<LengthLimitError>() => {
            discard(body).await;
            Err(BodyError::TooLarge { limit })
        }
        Err(_) => Err(BodyError::Broken),
    }
}

/// Takes what is still on its way and keeps none of it: a client that is sending when the connection is closed does
/// not get to read why.
async fn discard(mut body: Body) {
    let mut discarded = 0;
    while let Some(Ok(frame)) = body.frame().await {
        discarded += frame.data_ref().map_or(0, Bytes::len);
        if discarded > MOST_DISCARDED {
            return;
        }
    }
}

/// The media type of a body in lower case, without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = super::credentials::header_text(headers, "content-type")?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
