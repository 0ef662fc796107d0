//! Waiting for the disk without holding anybody else up.

use std::io;

/// Does what waits for the disk on a thread that may wait.
///
/// # Errors
/// What the work says.
pub async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
