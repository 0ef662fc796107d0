//! One connection: what arrives is cut, guarded and handed on; what is sent is written.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Streams,
    frame::{Framer, Piece},
    open::Place,
};
use crate::{
    guard::{Carrier, Reason, Source, Verdict},
    sip::Message,
};

/// Until somebody who connected says something sound.
const FIRST: Duration = Duration::from_secs(10);
/// Until a peer takes what is written.
const WRITE: Duration = Duration::from_secs(10);
/// What a connection is made of.
pub(super) struct Connection {
    pub(super) streams: Arc<Streams>,
    pub(super) remote: SocketAddr,
    pub(super) place: Place,
    pub(super) closed: CancellationToken,
    /// Whether we made it: then who is there is known.
    pub(super) ours: bool,
}

/// What is to be written to a connection.
pub(super) struct Outgoing {
    pub(super) messages: mpsc::Receiver<Bytes>,
    /// Where what the guard answers joins them.
    pub(super) answers: mpsc::Sender<Bytes>,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn run<S: AsyncRead + AsyncWrite>(self, stream: S, outgoing: Outgoing) {
        let (reading, writing) = tokio::io::split(stream);
        let Outgoing { messages, answers } = outgoing;
        tokio::select! {
            () = self.closed.cancelled() => {}
            end = self.read(reading, &answers) => {
                tracing::debug!(remote = %self.remote, ?end, "a SIP connection ends");
            }
            end = write(writing, messages) => {
                tracing::debug!(remote = %self.remote, ?end, "a SIP connection takes no more");
            }
        }
        self.streams.forget(self.remote, &self.closed);
        drop(self.place);
    }

    async fn read<S: AsyncRead>(
        &self,
        mut stream: ReadHalf<S>,
        answers: &mpsc::Sender<Bytes>,
    ) -> io::Result<()> {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        let heard = self.streams.heard.get().ok_or_else(gone)?;
        let mut framer = Framer::new(self.streams.settings.largest_message);
        let mut known = self.ours;
        loop {
            let patience = if known { self.streams.settings.idle } else { FIRST };
            let read = timeout(patience, stream.read_buf(framer.room())).await;
            if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Ok(());
            }
            loop {
                let piece = match framer.next() {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break,
                    Err(_) => {
                        self.streams.gate.counts().count_dropped(Reason::TooLarge);
                        return Err(io::Error::from(io::ErrorKind::InvalidData));
                    }
                };
                if let Some(message) = self.judge(&piece, answers)? {
                    known = true;
                    heard.send((message, self.remote)).await.map_err(|_| gone())?;
                }
            }
        }
    }

    /// Guards one message. An error: nobody knows any more where the next begins.
    fn judge(&self, piece: &Piece, answers: &mpsc::Sender<Bytes>) -> io::Result<Option<Message>> {
        let (bytes, carrier) = match piece {
            Piece::Message(bytes) => (bytes, Carrier::Stream),
            Piece::Head(bytes) => (bytes, Carrier::StreamHead),
        };
        let counts = self.streams.gate.counts();
        let now = tokio::time::Instant::now().into_std();
        let source = Source { address: self.remote, carrier };
        let verdict = {
            let mut limits = self.streams.limits.lock().unwrap_or_else(PoisonError::into_inner);
            self.streams.gate.judge(bytes, source, now, &mut limits)
        };
        let lost = |reason| matches!(reason, Reason::ContentLength | Reason::NotSip);
        match verdict {
            Verdict::Pass(message) => {
                counts.count_passed();
                Ok(Message::read(message.into()))
            }
            Verdict::Answer { reason, reply, .. } => {
                counts.count_answered(reason);
                // Who does not take its answers asks again.
                let _ = answers.try_send(reply.into());
                if lost(reason) { Err(io::Error::from(io::ErrorKind::InvalidData)) } else { Ok(None) }
            }
            Verdict::Drop(reason) => {
                counts.count_dropped(reason);
                if lost(reason) { Err(io::Error::from(io::ErrorKind::InvalidData)) } else { Ok(None) }
            }
        }
    }
}

async fn write<S: AsyncWrite>(
    mut stream: WriteHalf<S>,
    mut messages: mpsc::Receiver<Bytes>,
) -> io::Result<()> {
    while let Some(bytes) = messages.recv().await {
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        timeout(WRITE, written).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    }
    Ok(())
}
