//! What a listener does when no connection can be taken.

use std::{io, time::Duration};

use tokio::time::sleep;

/// The first pause, and the longest. A connection that cannot be taken stays in the queue of the system, which would report
/// it again at once.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses between failures of one listener.
pub struct Backoff {
    what: &'static str,
    pause: Duration,
}

impl Backoff {
    /// For a listener that takes this, with its article.
    pub fn new(what: &'static str) -> Self {
        Self { what, pause: FIRST_PAUSE }
    }

    /// Takes the next connection; `None` after a failure and its pause.
    pub async fn accept<T>(&mut self, take: impl AsyncFnOnce() -> io::Result<T>) -> Option<T> {
        match take().await {
            Ok(taken) => {
                self.pause = FIRST_PAUSE;
                Some(taken)
            }
            Err(error) => {
                if let Some(pause) = self.pause_after(&error) {
                    let what = self.what;
                    tracing::warn!(%error, "{what} could not be taken: if too many files are open, raise their limit");
                    sleep(pause).await;
                }
                None
            }
        }
    }

    fn pause_after(&mut self, error: &io::Error) -> Option<Duration> {
        if is_of_peer(error) {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        Some(pause)
    }
}

/// Whether the peer went away before its connection was taken: nothing to wait for.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_listener_pauses_longer_from_failure_to_failure() {
        let mut backoff = Backoff::new("a connection");
        let full = io::Error::from(io::ErrorKind::Other);
        let pauses = [50, 100, 200, 400, 800, 1000, 1000];
        for pause in pauses {
            assert_eq!(backoff.pause_after(&full), Some(Duration::from_millis(pause)));
        }
        assert_eq!(backoff.pause_after(&io::ErrorKind::ConnectionAborted.into()), None);
        assert_eq!(backoff.accept(async || Ok(1)).await, Some(1));
        assert_eq!(backoff.pause_after(&full), Some(FIRST_PAUSE));
    }
}
