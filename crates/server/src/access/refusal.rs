//! Why somebody is turned away.

use std::time::Duration;

use super::Excess;
use crate::{auth::Scope, intake::IntakeError};

/// Why somebody is turned away; each dialect says it in its own words.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No key, or one that nobody has.
    #[error("{0}")]
    Unauthorized(KeyFault),
    /// The key lacks this scope.
    #[error("the key lacks the scope {}", .0.name())]
    Forbidden(Scope),
    /// The key would make or change one that has this scope, which it lacks itself.
    #[error("the key lacks the scope {}, so it cannot make, rotate or revoke a key that has it: use a key with that scope, or `pegcount keys`", .0.name())]
    KeyReachesFurther(Scope),
    /// The link was good once.
    #[error("this link has expired: ask for a new one")]
    LinkExpired,
    /// It is not there, or not the asker's.
    #[error("{0} not found")]
    NotFound(Thing),
    /// A parameter has a value it cannot have.
    #[error("{parameter} {message}")]
    Invalid {
        /// Which one.
        parameter: String,
        /// What it takes, in the rest of a sentence that begins with its name.
        message: String,
    },
    /// Words were looked for by how they begin, and the store is sealed.
    #[error("words of a sealed store are found as a whole only: search without the * at the end of a word")]
    WholeWords,
    /// The id, name or number is taken.
    #[error("{what} exists already")]
    Exists {
        /// What is taken.
        what: String,
    },
    /// The call is over.
    #[error("the call is not active")]
    NotLive,
    /// The job runs at the moment.
    #[error("the job runs at the moment: wait until it has ended")]
    JobRunning,
    /// The call is not over.
    #[error("the call is not over: hang it up first, or tell its end by a call_completed event")]
    NotOver,
    /// The call is on hold.
    #[error("the call is on hold ({0}): release the hold first")]
    Held(String),
    /// The calls of one of the organization's own numbers were to be erased.
    #[error(
        "phone_number is a number of the organization itself: all its calls would be erased. Give the number of the person, \
         or \"own_number\": true to erase all of them"
    )]
    OwnNumber,
    /// No source of the call can hang it up.
    #[error("no source of this call can hang it up: register a control URL, or hang up at the source")]
    NotControllable,
    /// The source of the call cannot be reached.
    #[error("the source of the call cannot be reached: {0}")]
    SourceUnreachable(String),
    /// The source of the call was reached and refused: asked again, it would refuse again.
    #[error("the source of the call does not hang it up: {0}")]
    SourceRefused(String),
    /// The organization has no way out for a call.
    #[error("the organization has no SIP trunk that calls go out by: configure one with outbound")]
    NoTrunk,
    /// Too many requests with this key.
    #[error("too many requests with this key")]
    TooManyRequests {
        /// When the next one will be taken.
        retry_after: Duration,
    },
    /// The query took too long and was cut. Asked again unchanged it would be cut again.
    #[error("{0}")]
    TooLong(Excess),
    /// The server cannot do it at the moment.
    #[error("the server cannot do this at the moment: {reason}")]
    Unavailable {
        /// Why, in words that hold no secret.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
}

/// What is wrong with the key of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// There is none where keys are looked for.
    Missing,
    /// It was never issued, was revoked, or has expired.
    Unknown,
}

impl std::fmt::Display for KeyFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "a valid API key is needed",
            Self::Unknown => {
                "this API key is not known here: it is mistyped, cut short, revoked or expired. A whole key is KEY_ID_SECRET, \
                 without quotes"
            }
        })
    }
}

/// What can be asked for and not be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A call.
    Call,
    /// An endpoint (agent).
    Endpoint,
    /// A phone number.
    PhoneNumber,
    /// An organization (tenant).
    Organization,
    /// A key.
    Key,
    /// A control URL.
    ControlUrl,
    /// What a link led to that was not made here.
    Link,
    /// The recording of a call.
    Recording,
    /// The SIP messages of a call.
    SipTrace,
    /// A job.
    Job,
    /// A hold on a call.
    Hold,
    /// An order to erase the calls of a number.
    Erasure,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Call => "Call",
            Self::Endpoint => "Endpoint",
            Self::PhoneNumber => "Phone number",
            Self::Organization => "Organization",
            Self::Key => "Key",
            Self::ControlUrl => "Control URL",
            Self::Link => "Page",
            Self::Recording => "Recording",
            Self::SipTrace => "SIP trace",
            Self::Job => "Job",
            Self::Hold => "Hold",
            Self::Erasure => "Erasure",
        })
    }
}

impl Refusal {
    /// A parameter has a value it cannot have; the message goes on after the parameter's name.
    pub fn invalid(parameter: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid { parameter: parameter.into(), message: message.into() }
    }
}

impl From<IntakeError> for Refusal {
    fn from(error: IntakeError) -> Self {
        Self::Unavailable { reason: error.to_string(), retry_after: Duration::from_secs(1) }
    }
}

/// The result of everything that can be asked for.
pub type Answer<T> = Result<T, Refusal>;
