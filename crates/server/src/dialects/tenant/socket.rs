//! One WebSocket connection: the live counts, pushed.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension,
    extract::{
        RawQuery,
        ws::{
            CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, rejection::WebSocketUpgradeRejection,
        },
    },
    http::{HeaderMap, header},
    response::Response,
};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, interval_at, sleep, sleep_until, timeout},
};
use tungstenite::error::ProtocolError;

use super::{
    failure::Failure,
    feed::{Feed, Timing, Watcher},
    guests::Guest,
};
use crate::{
    access::Watched,
    auth::Credentials,
    web::{credentials, query::Params},
};

/// How a subprotocol that carries a key begins: a browser can send no header, but it can name subprotocols.
const KEY_PROTOCOL: &str = "api-key.";
/// Largest message that is taken, in bytes; none is read.
const LARGEST_MESSAGE: usize = 4096;
/// Buffers of a connection that carries some sixty bytes at a time. The library's own are 128 KiB, times ten thousand.
const READ_BUFFER: usize = 1024;
const WRITE_BUFFER: usize = 4096;
const LARGEST_WRITE_BUFFER: usize = 64 * 1024;
/// How long the other side gets to say goodbye.
const GOODBYE: Duration = Duration::from_millis(500);

/// `GET /ws/live`, and `GET /` of the live port.
pub(super) async fn connect(
    Extension(feed): Extension<Arc<Feed>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let protocol = key_protocol(&headers);
    let key = shown_key(&headers, query.as_deref().unwrap_or_default(), protocol.as_deref());
    let credentials = key.clone().map(Credentials::Whole);
    let watched = feed.door.admit(credentials.as_ref(), feed.open)?;
    let upgrade = upgrade.map_err(|_| Failure::no_upgrade())?;
    let place = feed.place().ok_or_else(Failure::no_room)?;
    let guest = key.map(|key| feed.guests.note(&key));
    // A browser breaks off when none of the subprotocols it named comes back.
    let upgrade = upgrade
        .protocols(protocol)
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE)
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(LARGEST_WRITE_BUFFER);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, feed, watched, guest, place)))
}

/// The subprotocol that carries a key, if the client named one.
fn key_protocol(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut named =
        values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    named
        .find(|protocol| protocol.len() > KEY_PROTOCOL.len() && protocol.starts_with(KEY_PROTOCOL))
        .map(str::to_owned)
}

/// The key as a header, in the query, or in a subprotocol.
fn shown_key(headers: &HeaderMap, query: &str, protocol: Option<&str>) -> Option<String> {
    if let Some(Credentials::Whole(key)) = credentials::whole_key(headers) {
        return Some(key);
    }
    let params = Params::parse(query);
    let in_query = params.get("api_key").map(str::trim).filter(|key| !key.is_empty());
    in_query.or_else(|| protocol?.strip_prefix(KEY_PROTOCOL)).map(str::to_owned)
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leave {
    /// The server stops.
    Shutdown,
    /// The key is no longer good.
    Revoked,
    /// What came is no WebSocket frame, or not one that may come now.
    Malformed,
    /// What came is larger than [`LARGEST_MESSAGE`].
    TooLarge,
    /// A text is no UTF-8.
    NotText,
    /// Nothing was heard of the other side for so long, not even an answer to a ping.
    Silent(Duration),
    /// The other side hung up, reads nothing, or cannot be reached.
    Gone,
}

impl Leave {
    /// What the other side is told (RFC 6455 section 7.4.1).
    fn farewell(self) -> Option<CloseFrame> {
        match self {
            Self::Shutdown => Some(CloseFrame { code: 1001, reason: "the server stops".into() }),
            Self::Revoked => Some(CloseFrame { code: 1008, reason: "the key is no longer valid".into() }),
            Self::Malformed => Some(CloseFrame { code: 1002, reason: "this is no WebSocket frame".into() }),
            Self::TooLarge => Some(CloseFrame {
                code: 1009,
                reason: format!("a message may have {LARGEST_MESSAGE} bytes").into(),
            }),
            Self::NotText => Some(CloseFrame { code: 1007, reason: "a text must be UTF-8".into() }),
            Self::Silent(limit) => Some(CloseFrame {
                code: 1008,
                reason: format!("nothing was heard for {} s: answer pings", limit.as_secs()).into(),
            }),
            Self::Gone => None,
        }
    }

    /// After an error nothing more is read: when the other side has heard the farewell cannot be seen.
    fn is_fault_of_peer(self) -> bool {
        matches!(self, Self::Malformed | Self::TooLarge | Self::NotText)
    }
}

impl From<axum::Error> for Leave {
    fn from(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            // A connection that breaks off is no fault of a frame.
            Some(tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Gone,
            Some(tungstenite::Error::Protocol(_)) => Self::Malformed,
            Some(tungstenite::Error::Capacity(_)) => Self::TooLarge,
            Some(tungstenite::Error::Utf8(_)) => Self::NotText,
            _ => Self::Gone,
        }
    }
}

async fn serve(
    socket: WebSocket,
    feed: Arc<Feed>,
    watched: Watched,
    guest: Option<Arc<Guest>>,
    place: OwnedSemaphorePermit,
) {
    let (opening, watcher) = feed.open(watched);
    let mut connection =
        Connection { socket, timing: feed.timing, pace: Pace::begin(Instant::now(), feed.next_turn()) };
    let leave = connection.run(opening, watcher, pin!(told_to_leave(&feed, guest.as_deref()))).await;
    if let Some(farewell) = leave.farewell() {
        // Nobody is left to be told when this fails.
        let _ = timeout(GOODBYE, connection.say_goodbye(farewell)).await;
        if leave.is_fault_of_peer() {
            // Closed at once, with bytes unread, the connection would be reset, and the farewell lost with it.
            sleep(GOODBYE).await;
        }
    }
    drop(place);
}

struct Connection {
    socket: WebSocket,
    timing: Timing,
    pace: Pace,
}

impl Connection {
    /// `leaving` is one future for the whole connection: to begin and drop one for each message would cost more than
    /// the message, since all connections would take turns at one lock for it.
    async fn run(
        &mut self,
        opening: Vec<Utf8Bytes>,
        mut watcher: Watcher,
        mut leaving: Pin<&mut impl Future<Output = Leave>>,
    ) -> Leave {
        let timing = self.timing;
        let mut pings = interval_at(Instant::now() + timing.ping, timing.ping);
        let mut due = opening;
        loop {
            if let Err(leave) = self.send(std::mem::take(&mut due), leaving.as_mut()).await {
                return leave;
            }
            let held_until = self.pace.held_until();
            tokio::select! {
                leave = &mut leaving => return leave,
                incoming = self.socket.recv() => match incoming {
                    // What a client says is not read, only that it lives.
                    Some(Ok(Message::Pong(payload))) => self.pace.answered(&payload, Instant::now()),
                    Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Ping(_))) => {
                        self.pace.heard(Instant::now());
                    }
                    Some(Err(error)) => return error.into(),
                    Some(Ok(Message::Close(_))) | None => return Leave::Gone,
                },
                () = watcher.ready(), if held_until.is_none() => due = watcher.take(),
                () = sleep_until(held_until.unwrap_or_else(Instant::now)), if held_until.is_some() => {
                    self.pace.release();
                }
                now = pings.tick() => {
                    if self.pace.silent_for(now) > timing.silence {
                        return Leave::Silent(timing.silence);
                    }
                    let ping = self.pace.ping();
                    if let Err(leave) = self.write(vec![ping], leaving.as_mut()).await {
                        return leave;
                    }
                }
            }
        }
    }

    /// Sends messages as one write, and now and then a ping behind them whose answer tells that they were read.
    async fn send(
        &mut self,
        messages: Vec<Utf8Bytes>,
        leaving: Pin<&mut impl Future<Output = Leave>>,
    ) -> Result<(), Leave> {
        if messages.is_empty() {
            return Ok(());
        }
        let ping = self.pace.sending(messages.len(), Instant::now());
        self.write(messages.into_iter().map(Message::Text).chain(ping).collect(), leaving).await
    }

    async fn write(
        &mut self,
        messages: Vec<Message>,
        leaving: Pin<&mut impl Future<Output = Leave>>,
    ) -> Result<(), Leave> {
        let limit = self.timing.write;
        let socket = &mut self.socket;
        let writing = async {
            for message in messages {
                socket.feed(message).await?;
            }
            socket.flush().await
        };
        tokio::select! {
            leave = leaving => Err(leave),
            written = timeout(limit, writing) => match written {
                Ok(Ok(())) => Ok(()),
                // Who reads nothing would not read a farewell either.
                Ok(Err(_)) | Err(_) => Err(Leave::Gone),
            },
        }
    }

    async fn say_goodbye(&mut self, farewell: CloseFrame) {
        if self.socket.send(Message::Close(Some(farewell))).await.is_ok() {
            while let Some(Ok(_)) = self.socket.recv().await {}
        }
    }
}

async fn told_to_leave(feed: &Feed, guest: Option<&Guest>) -> Leave {
    let revoked = async {
        match guest {
            Some(guest) => guest.revoked().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = feed.shutdown.cancelled() => Leave::Shutdown,
        () = revoked => Leave::Revoked,
    }
}

/// Messages between two pings that ask whether they were read.
const STRIDE: u64 = 32;
/// Messages that may be on their way unread. The machines between us and a slow reader hold thousands, which it would
/// then have to read one after the other, the newest last.
const MOST_UNREAD: u64 = 128;
/// Who never answers pings is nevertheless told the newest this often, until it has been silent for too long.
const UNANSWERED_HOLD: Duration = Duration::from_secs(1);

/// How much may be sent: a slow reader gets the newest count, not a backlog.
#[derive(Debug)]
struct Pace {
    sent: u64,
    asked: u64,
    read: u64,
    last_sent: Instant,
    last_heard: Instant,
}

impl Pace {
    /// `turn` differs from connection to connection: all are sent the same messages, and if all were asked behind the
    /// same one, ten thousand answers would come at once.
    fn begin(now: Instant, turn: u64) -> Self {
        let before = turn % STRIDE;
        Self { sent: before, asked: 0, read: before, last_sent: now, last_heard: now }
    }

    /// Counts messages; sometimes a ping belongs behind them.
    fn sending(&mut self, messages: usize, now: Instant) -> Option<Message> {
        self.sent = self.sent.saturating_add(messages as u64);
        self.last_sent = now;
        (self.sent - self.asked >= STRIDE).then(|| self.ping())
    }

    /// A ping that asks whether everything sent so far was read.
    fn ping(&mut self) -> Message {
        self.asked = self.sent;
        Message::Ping(Bytes::copy_from_slice(&self.sent.to_be_bytes()))
    }

    /// A pong came.
    fn answered(&mut self, payload: &[u8], now: Instant) {
        self.heard(now);
        // A pong that nobody asked for only says that somebody is there (RFC 6455 section 5.5.3).
        if let Ok(number) = payload.try_into() {
            let read = u64::from_be_bytes(number);
            if read <= self.asked {
                self.read = self.read.max(read);
            }
        }
    }

    fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    fn silent_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.last_heard)
    }

    /// Until when nothing is sent unless the other side reads; `None`: it may be sent now.
    fn held_until(&self) -> Option<Instant> {
        (self.sent - self.read >= MOST_UNREAD).then(|| self.last_sent + UNANSWERED_HOLD)
    }

    /// Lets one more batch through to a side that answers no pings.
    fn release(&mut self) {
        self.read = (self.sent + 1).saturating_sub(MOST_UNREAD).max(self.read);
    }
}

#[cfg(test)]
mod pace_tests {
    use super::*;

    #[test]
    fn who_answers_pings_is_told_everything_and_who_does_not_the_newest_now_and_then() {
        let now = Instant::now();
        let mut pace = Pace::begin(now, 0);
        let mut pings = Vec::new();
        for _ in 0..MOST_UNREAD {
            assert_eq!(pace.held_until(), None);
            pings.extend(pace.sending(1, now));
        }
        assert_eq!(pings.len() as u64, MOST_UNREAD / STRIDE);
        assert_eq!(pace.held_until(), Some(now + UNANSWERED_HOLD));
        let Some(Message::Ping(payload)) = pings.first() else { panic!("a ping") };
        pace.answered(payload, now);
        assert_eq!(pace.held_until(), None);
        pace.sending(STRIDE as usize, now);
        assert!(pace.held_until().is_some());
        pace.release();
        assert_eq!(pace.held_until(), None);
        pace.sending(1, now);
        assert!(pace.held_until().is_some());
    }

    #[test]
    fn connections_that_are_sent_the_same_are_asked_behind_different_messages() {
        let now = Instant::now();
        let mut paces: Vec<_> = (0..STRIDE).map(|turn| Pace::begin(now, turn)).collect();
        for _ in 0..STRIDE {
            let asked = paces.iter_mut().filter_map(|pace| pace.sending(1, now)).count();
            assert_eq!(asked, 1);
        }
    }

    #[test]
    fn a_pong_that_nobody_asked_for_opens_nothing() {
        let now = Instant::now();
        let mut pace = Pace::begin(now, 0);
        pace.sending(MOST_UNREAD as usize, now);
        pace.answered(&u64::MAX.to_be_bytes(), now);
        pace.answered(b"hello", now);
        assert!(pace.held_until().is_some());
    }
}
