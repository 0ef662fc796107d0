//! What would keep a worker of the runtime busy: bodies that take a while to read, answers that take a while to write.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use pegcount_store::stand_back;

use tokio::sync::Semaphore;

use super::body::Held;
use crate::access::{Answer, Refusal};

/// Bodies above this many bytes are read aside: it takes longer than to change the thread.
const READ_ASIDE_BYTES: usize = 64 * 1024;
/// Answers made of more events are written aside, for the same reason.
const WRITE_ASIDE_EVENTS: usize = 200;
/// Bodies that are read aside at one time; others wait. They share the processors with everything else.
const MOST_READ: usize = 2;

static READS: Semaphore = Semaphore::const_new(MOST_READ);

/// Makes something of a body: of a long one on a thread that stands back.
///
/// # Errors
/// [`Refusal::Unavailable`] when that thread failed.
pub async fn read<T: Send + 'static>(
    body: Held,
    read: impl FnOnce(&[u8]) -> T + Send + 'static,
) -> Answer<T> {
    if body.len() <= READ_ASIDE_BYTES {
        return Ok(read(&body));
    }
    // The semaphore is never closed.
    let turn = READS.acquire().await.ok();
    let aside = move || {
        // It is not given back before the work is done, whoever has gone meanwhile.
        let _turn = turn;
        stand_back();
        read(&body)
    };
    tokio::task::spawn_blocking(aside).await.map_err(|error| failed("the body cannot be read", &error))
}

/// A whole answer in JSON, written as [`written`] has it.
///
/// # Errors
/// [`Refusal::Unavailable`] when it cannot be written.
pub async fn json(write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static) -> Answer<Response> {
    Ok(([(header::CONTENT_TYPE, "application/json")], written(write).await?).into_response())
}

/// Writes a long answer, or a part of one, on a thread that stands back, as the read before it did: the workers of the
/// runtime are there for whoever tells an event meanwhile.
///
/// # Errors
/// [`Refusal::Unavailable`] when it cannot be written.
pub async fn written(write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static) -> Answer<Bytes> {
    let aside = move || {
        stand_back();
        write()
    };
    let written = tokio::task::spawn_blocking(aside).await.map_err(|error| failed(UNWRITABLE, &error))?;
    written.map(Bytes::from).map_err(|error| failed(UNWRITABLE, &error))
}

/// An answer made of so many events, in JSON: a long one as [`json`] has it, a short one right here.
///
/// # Errors
/// [`Refusal::Unavailable`] when it cannot be written.
pub async fn json_of_events(
    events: usize,
    write: impl FnOnce() -> serde_json::Result<Vec<u8>> + Send + 'static,
) -> Answer<Response> {
    if events > WRITE_ASIDE_EVENTS {
        return json(write).await;
    }
    let written = write().map_err(|error| failed(UNWRITABLE, &error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], written).into_response())
}

const UNWRITABLE: &str = "the answer cannot be written";

fn failed(what: &str, error: &dyn std::error::Error) -> Refusal {
    Refusal::Unavailable {
        reason: format!("{what}: {error}"),
        retry_after: std::time::Duration::from_secs(1),
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, http::Extensions};

    use super::*;
    use crate::web::body;

    #[tokio::test]
    async fn a_long_body_is_read_on_another_thread() {
        let here = std::thread::current().id();
        for (bytes, is_aside) in [(READ_ASIDE_BYTES, false), (READ_ASIDE_BYTES + 1, true)] {
            let body = Body::from(vec![b' '; bytes]);
            let body = body::read(&Extensions::new(), body, 2 * READ_ASIDE_BYTES).await.unwrap();
            let thread = read(body, |_| std::thread::current().id()).await.unwrap();
            assert_eq!(thread != here, is_aside, "{bytes}");
        }
    }

    #[tokio::test]
    async fn an_answer_of_many_events_is_written_on_another_thread() {
        let here = std::thread::current().id();
        for (events, is_aside) in [(WRITE_ASIDE_EVENTS, false), (WRITE_ASIDE_EVENTS + 1, true)] {
            let (tell, told) = std::sync::mpsc::channel();
            let write = move || {
                tell.send(std::thread::current().id()).unwrap();
                serde_json::to_vec("")
            };
            json_of_events(events, write).await.unwrap();
            assert_eq!(told.recv().unwrap() != here, is_aside, "{events}");
        }
    }
}
