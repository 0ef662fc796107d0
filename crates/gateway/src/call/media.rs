//! What a call wants of its media: SDP rewritten on its way from one side to the other, events, a recording.

use async_trait::async_trait;
use bytes::Bytes;

use super::words::MediaEvent;
use crate::{CallId, Side, media::Latching};

/// The part of an SDP in the exchange of offer and answer (RFC 3264).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It offers.
    Offer,
    /// It answers.
    Answer,
}

/// An SDP that cannot be taken, or media that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MediaRefused(pub String);

/// What the media has to know of who stands on a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// Whether it may be behind address translation: it is answered where its messages come from.
    pub nat: bool,
    /// Where its media may come from beside where its SDP says.
    pub latching: Latching,
    /// Whether it is spoken to over IPv4, else over IPv6.
    pub ipv4: bool,
}

/// The media of one call. Dropped, it is gone at once.
#[async_trait]
pub trait Media: Send {
    /// Who stands on a side from now on, or is asked to.
    fn party(&mut self, side: Side, party: Party);

    /// Takes what one side said, and says what to tell the other. The same words may come again, and a later answer
    /// goes before an earlier one.
    ///
    /// # Errors
    /// When there is nothing in it that can be relayed.
    async fn relay(&mut self, from: Side, stance: Stance, sdp: &[u8]) -> Result<Bytes, MediaRefused>;

    /// Whether the answer of one side could be taken: it answers what that side was offered.
    ///
    /// # Errors
    /// When it cannot be read, or has no codec of the offer (RFC 3264, 6.1).
    fn check_answer(&self, from: Side, sdp: &[u8]) -> Result<(), MediaRefused>;

    /// What to tell a side when the other said nothing: an offer of our own, or what that side was told last.
    ///
    /// # Errors
    /// When there is nothing to offer.
    async fn own(&mut self, to: Side) -> Result<Bytes, MediaRefused>;

    /// Begins to record.
    fn record(&mut self);

    /// The next event. May be dropped at any time without losing one.
    async fn next(&mut self) -> MediaEvent;

    /// Ends it: the last events follow, and then [`MediaEvent::Closed`].
    fn close(&mut self);

    /// The owner knows that the call is over. Says why it is not recorded although it should be.
    fn over(&mut self) -> Option<String>;
}

/// Makes the media of calls.
#[async_trait]
pub trait MediaMaker: Send + Sync + 'static {
    /// Whether there is room for the media of one more call. One that is let in without finds it refused.
    fn has_room(&self) -> bool;

    /// The media of a call that begins.
    ///
    /// # Errors
    /// When there are no ports left.
    async fn open(&self, call: &CallId, account: &str) -> Result<Box<dyn Media>, MediaRefused>;
}

/// The media of a call that has none: everything is refused.
#[derive(Debug, Default)]
pub struct NoMedia {
    closed: bool,
}

#[async_trait]
impl Media for NoMedia {
    fn party(&mut self, _side: Side, _party: Party) {}

    async fn relay(&mut self, _from: Side, _stance: Stance, _sdp: &[u8]) -> Result<Bytes, MediaRefused> {
        Err(MediaRefused("no media".into()))
    }

    fn check_answer(&self, _from: Side, _sdp: &[u8]) -> Result<(), MediaRefused> {
        Err(MediaRefused("no media".into()))
    }

    async fn own(&mut self, _to: Side) -> Result<Bytes, MediaRefused> {
        Err(MediaRefused("no media".into()))
    }

    fn record(&mut self) {}

    async fn next(&mut self) -> MediaEvent {
        if self.closed { MediaEvent::Closed } else { std::future::pending().await }
    }

    fn close(&mut self) {
        self.closed = true;
    }

    fn over(&mut self) -> Option<String> {
        None
    }
}
