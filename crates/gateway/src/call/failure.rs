//! Why the gateway itself ends a call, or gives up on somebody that it calls.

use crate::{Cause, Why};

/// A failure that no peer names: the gateway decides it, and says why in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnFailure {
    /// The called user has no registration.
    NotRegistered,
    /// A 2xx has no session description.
    NoAnswer,
    /// The session description of a 2xx cannot be used, for this reason.
    UnusableAnswer(String),
    /// A session description for a side cannot be made, for this reason. The call had not been answered.
    NoSession(String),
    /// The same within a call.
    LostSession(String),
    /// A side sent no media for as long as it may be silent.
    NoMedia,
    /// A 2xx of ours was not acknowledged.
    NoAck,
    /// A session was not refreshed (RFC 4028).
    SessionExpired,
    /// The call lasted as long as it may.
    LongestCall,
}

impl OwnFailure {
    const fn cause(&self) -> Cause {
        match self {
            Self::NotRegistered => Cause::NoAnswer,
            Self::NoAnswer
            | Self::UnusableAnswer(_)
            | Self::NoSession(_)
            | Self::LostSession(_)
            | Self::NoMedia => Cause::MediaFailure,
            Self::NoAck | Self::SessionExpired | Self::LongestCall => Cause::Timeout,
        }
    }

    /// What a caller that waits is answered with.
    const fn status(&self) -> Option<u16> {
        match self {
            // "Temporarily unavailable": its phone is off.
            Self::NotRegistered => Some(480),
            Self::NoAnswer | Self::UnusableAnswer(_) | Self::NoSession(_) => Some(488),
            Self::LostSession(_) | Self::NoMedia | Self::NoAck | Self::SessionExpired | Self::LongestCall => {
                None
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NotRegistered => "the called user is not registered".to_owned(),
            Self::NoAnswer => "the called side answered without a session description".to_owned(),
            Self::UnusableAnswer(reason) => format!("the called side's answer cannot be used: {reason}"),
            Self::NoSession(reason) | Self::LostSession(reason) => reason.clone(),
            Self::NoMedia => "no media".to_owned(),
            Self::NoAck => "no ACK".to_owned(),
            Self::SessionExpired => "session expired".to_owned(),
            Self::LongestCall => "longest call".to_owned(),
        }
    }
}

impl From<OwnFailure> for Why {
    fn from(failure: OwnFailure) -> Self {
        let why = Self { status: failure.status(), ..failure.cause().into() };
        why.saying(Some(&failure.text()))
    }
}
