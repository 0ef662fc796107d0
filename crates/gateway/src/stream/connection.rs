//! One connection: what arrives is cut, guarded and handed to the stack; what the stack sends is written.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::Duration,
};

use rsipstack::{
    sip::SipMessage,
    transport::{
        SipAddr, SipConnection, TransportEvent, channel::ChannelConnection, connection::TransportReceiver,
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    sync::mpsc,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{Streams, frame::Framer, open::Place};
use crate::guard::{Carrier, Reason, Source, Verdict};

/// Until somebody who connected says something sound.
const FIRST: Duration = Duration::from_secs(10);
/// Until a peer takes what is written.
const WRITE: Duration = Duration::from_secs(10);
/// Messages that wait to be written: a peer that takes so few is cut off.
const MOST_WAITING: usize = 1024;

/// What a connection is made of.
pub(super) struct Connection {
    pub(super) streams: Arc<Streams>,
    pub(super) remote: SocketAddr,
    pub(super) place: Place,
    pub(super) closed: CancellationToken,
    /// Whether we made it: then who is there is known.
    pub(super) ours: bool,
}

/// The ways between a connection and the stack.
pub(super) struct Ways {
    pub(super) channel: ChannelConnection,
    pub(super) address: SipAddr,
    pub(super) to_stack: mpsc::UnboundedSender<TransportEvent>,
    pub(super) from_stack: TransportReceiver,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn run<S: AsyncRead + AsyncWrite>(self, stream: S, ways: Ways) {
        let (reading, writing) = tokio::io::split(stream);
        let Ways { channel, address, to_stack, from_stack } = ways;
        let (answers, to_answer) = mpsc::channel(16);
        let reader = self.read(reading, &channel, &address, &to_stack, &answers);
        tokio::select! {
            () = self.closed.cancelled() => {}
            end = reader => tracing::debug!(remote = %self.remote, ?end, "a SIP connection ends"),
            end = write(writing, from_stack, to_answer) => {
                tracing::debug!(remote = %self.remote, ?end, "a SIP connection takes no more");
            }
        }
        self.streams.forget(self.remote, &self.closed);
        self.closed.cancel();
        drop(self.place);
    }

    async fn read<S: AsyncRead>(
        &self,
        mut stream: ReadHalf<S>,
        channel: &ChannelConnection,
        address: &SipAddr,
        to_stack: &mpsc::UnboundedSender<TransportEvent>,
        answers: &mpsc::Sender<Vec<u8>>,
    ) -> io::Result<()> {
        let mut framer = Framer::new(self.streams.settings.largest_message);
        let mut known = self.ours;
        loop {
            let patience = if known { self.streams.settings.idle } else { FIRST };
            let read = timeout(patience, stream.read_buf(framer.room())).await;
            if read.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? == 0 {
                return Ok(());
            }
            loop {
                let message = match framer.next() {
                    Ok(Some(message)) => message,
                    Ok(None) => break,
                    Err(_) => {
                        self.streams.gate.counts().count_dropped(Reason::TooLarge);
                        return Err(io::Error::from(io::ErrorKind::InvalidData));
                    }
                };
                if let Some(message) = self.judge(&message, answers)? {
                    known = true;
                    let event = TransportEvent::Incoming(
                        message,
                        SipConnection::Channel(channel.clone()),
                        address.clone(),
                    );
                    to_stack.send(event).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
                }
            }
        }
    }

    /// Guards one message. An error: nobody knows any more where the next begins.
    fn judge(&self, bytes: &[u8], answers: &mpsc::Sender<Vec<u8>>) -> io::Result<Option<SipMessage>> {
        let counts = self.streams.gate.counts();
        let now = tokio::time::Instant::now().into_std();
        let source = Source { address: self.remote, carrier: Carrier::Stream };
        let verdict = {
            let mut limits = self.streams.limits.lock().unwrap_or_else(PoisonError::into_inner);
            self.streams.gate.judge(bytes, source, now, &mut limits)
        };
        let lost = |reason| matches!(reason, Reason::ContentLength | Reason::NotSip | Reason::TooLarge);
        match verdict {
            Verdict::Pass(message) => {
                counts.count_passed();
                let transport = self.streams.transport.of_stack();
                let message = SipMessage::try_from(message.as_slice()).and_then(|message| {
                    SipConnection::update_msg_received(message, self.remote, transport)
                        .map_err(|_| rsipstack::sip::Error::Unexpected(String::new()))
                });
                Ok(message.ok())
            }
            Verdict::Answer { reason, reply, .. } => {
                counts.count_answered(reason);
                // Who does not take its answers asks again.
                let _ = answers.try_send(reply);
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
    mut from_stack: TransportReceiver,
    mut answers: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    loop {
        let bytes = tokio::select! {
            Some(answer) = answers.recv() => answer,
            event = from_stack.recv() => match event {
                Some(TransportEvent::Incoming(SipMessage::Request(request), ..)) => request.to_bytes(),
                Some(TransportEvent::Incoming(SipMessage::Response(response), ..)) => response.to_bytes(),
                Some(TransportEvent::New(_) | TransportEvent::Closed(_)) => continue,
                None => return Ok(()),
            },
        };
        if from_stack.len() > MOST_WAITING {
            return Err(io::Error::from(io::ErrorKind::TimedOut));
        }
        let written = async {
            stream.write_all(&bytes).await?;
            stream.flush().await
        };
        timeout(WRITE, written).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    }
}
