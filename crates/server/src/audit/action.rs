//! What is noted, in a word.

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call was read, with what was said in it.
    CallRead,
    /// Calls were listed, with what was said in them.
    CallsListed,
    /// Calls were searched by what was said in them.
    CallsSearched,
    /// The events of a call were read.
    EventsRead,
    /// The log of a call was read by a signed link.
    LogRead,
    /// The SIP messages of a call were read.
    SipTraceRead,
    /// It was asked where the recording of a call can be heard.
    RecordingLinked,
    /// A recording, or a part of it, was heard by a signed link.
    RecordingHeard,
    /// A call was erased.
    CallErased,
    /// A call was put on hold.
    CallHeld,
    /// The hold on a call was ended.
    CallReleased,
    /// It was ordered that the calls of a number be erased.
    ErasureOrdered,
    /// A key was made.
    KeyCreated,
    /// A key was replaced by another one, and expires.
    KeyRotated,
    /// A key was revoked.
    KeyRevoked,
    /// A job was ordered to be run once more.
    JobRetried,
    /// A job was forgotten.
    JobForgotten,
    /// Calls were erased because of their age.
    CallsExpired,
    /// Entries of this log were taken away because of their age.
    AuditCut,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 19] = [
        Self::CallRead,
        Self::CallsListed,
        Self::CallsSearched,
        Self::EventsRead,
        Self::LogRead,
        Self::SipTraceRead,
        Self::RecordingLinked,
        Self::RecordingHeard,
        Self::CallErased,
        Self::CallHeld,
        Self::CallReleased,
        Self::ErasureOrdered,
        Self::KeyCreated,
        Self::KeyRotated,
        Self::KeyRevoked,
        Self::JobRetried,
        Self::JobForgotten,
        Self::CallsExpired,
        Self::AuditCut,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallRead => "call_read",
            Self::CallsListed => "calls_listed",
            Self::CallsSearched => "calls_searched",
            Self::EventsRead => "events_read",
            Self::LogRead => "log_read",
            Self::SipTraceRead => "sip_trace_read",
            Self::RecordingLinked => "recording_linked",
            Self::RecordingHeard => "recording_heard",
            Self::CallErased => "call_erased",
            Self::CallHeld => "call_held",
            Self::CallReleased => "call_released",
            Self::ErasureOrdered => "erasure_ordered",
            Self::KeyCreated => "key_created",
            Self::KeyRotated => "key_rotated",
            Self::KeyRevoked => "key_revoked",
            Self::JobRetried => "job_retried",
            Self::JobForgotten => "job_forgotten",
            Self::CallsExpired => "calls_expired",
            Self::AuditCut => "audit_cut",
        }
    }

    /// The action of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Whether it changes nothing.
    pub fn is_read(self) -> bool {
        match self {
            Self::CallRead
            | Self::CallsListed
            | Self::CallsSearched
            | Self::EventsRead
            | Self::LogRead
            | Self::SipTraceRead
            | Self::RecordingLinked
            | Self::RecordingHeard => true,
            Self::CallErased
            | Self::CallHeld
            | Self::CallReleased
            | Self::ErasureOrdered
            | Self::KeyCreated
            | Self::KeyRotated
            | Self::KeyRevoked
            | Self::JobRetried
            | Self::JobForgotten
            | Self::CallsExpired
            | Self::AuditCut => false,
        }
    }
}
