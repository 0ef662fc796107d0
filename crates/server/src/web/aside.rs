//! Answers that take a while to write.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use pegcount_store::stand_back;

use crate::access::{Answer, Refusal};

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
    let written = tokio::task::spawn_blocking(aside).await.map_err(|error| unwritable(&error))?;
    written.map(Bytes::from).map_err(|error| unwritable(&error))
}

fn unwritable(error: &dyn std::error::Error) -> Refusal {
    Refusal::Unavailable {
        reason: format!("the answer cannot be written: {error}"),
        retry_after: std::time::Duration::from_secs(1),
    }
}
