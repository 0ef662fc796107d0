//! Words that stand for the values of the domain.

use pegcount_calls::{Disconnection, Status};
use serde::Serialize;
use utoipa::ToSchema;

/// A list of words that stand for the values of something.
pub(in super::super) trait Word: Copy + 'static {
    /// Every value.
    const ALL: &'static [Self];

    /// Its word.
    fn word(self) -> &'static str;
}

// A word is a `tt`: a `literal` would reach the derives wrapped, and the API document would show the names of the values.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident as $schema:ident { $($value:ident = $word:tt),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
        #[schema(as = $schema)]
        pub(in super::super) enum $name {
            $(#[serde(rename = $word)] $value,)*
        }

        impl Word for $name {
            const ALL: &'static [Self] = &[$(Self::$value),*];

            fn word(self) -> &'static str {
                match self {
                    $(Self::$value => $word,)*
                }
            }
        }
    )*};
}

words! {
    /// Where a call stands.
    CallStatus as OrganizationCallStatus {
        Registered = "REGISTERED",
        Scheduled = "SCHEDULED",
        Ongoing = "ONGOING",
        Ended = "ENDED",
        Error = "ERROR",
    }
    /// What carries a call.
    CallType as OrganizationCallType { PhoneCall = "PHONE_CALL", WebCall = "WEB_CALL" }
    /// From the agent's view.
    Direction as OrganizationDirection { Inbound = "INBOUND", Outbound = "OUTBOUND" }
    /// Why a call ended.
    DisconnectionReason as OrganizationDisconnectionReason {
        UserHangup = "USER_HANGUP",
        AgentHangup = "AGENT_HANGUP",
        CallTransfer = "CALL_TRANSFER",
        ManualStopped = "MANUAL_STOPPED",
        MaxDurationReached = "MAX_DURATION_REACHED",
        DialNoAnswer = "DIAL_NO_ANSWER",
        DialBusy = "DIAL_BUSY",
        DialFailed = "DIAL_FAILED",
        ErrorNetwork = "ERROR_NETWORK",
        ErrorTimeout = "ERROR_TIMEOUT",
    }
    /// What a list is ordered by.
    SortBy as OrganizationSortBy {
        StartTimestamp = "start_timestamp",
        EndTimestamp = "end_timestamp",
        CreatedAt = "created_at",
        CallDuration = "call_duration",
    }
    /// Which way a list is ordered.
    SortOrder as OrganizationSortOrder { Descending = "descending", Ascending = "ascending" }
}

/// A sentiment as the document of this dialect writes it (`Positive`), in whichever case the source reported it.
pub(in super::super) fn sentiment(reported: &str) -> String {
    let mut written = String::with_capacity(reported.len());
    let mut begins_word = true;
    for letter in reported.chars() {
        match begins_word {
            true => written.extend(letter.to_uppercase()),
            false => written.extend(letter.to_lowercase()),
        }
        begins_word = letter.is_whitespace();
    }
    written
}

impl From<Status> for CallStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued | Status::Initiated | Status::Ringing => Self::Registered,
            Status::InProgress => Self::Ongoing,
            Status::Completed | Status::NoAnswer | Status::Canceled | Status::Busy => Self::Ended,
            Status::Failed => Self::Error,
        }
    }
}

/// Ties each word to its value of the domain, both ways, so that a new value stops the build here.
macro_rules! same_as {
    ($($wire:ident = $domain:path { $($word:ident = $value:ident),* $(,)? })*) => {$(
        impl From<$domain> for $wire {
            fn from(value: $domain) -> Self {
                match value {
                    $(<$domain>::$value => Self::$word,)*
                }
            }
        }

        impl From<$wire> for $domain {
            fn from(word: $wire) -> Self {
                match word {
                    $($wire::$word => Self::$value,)*
                }
            }
        }
    )*};
}

same_as! {
    CallType = pegcount_calls::CallType { PhoneCall = Phone, WebCall = Web }
    Direction = pegcount_calls::Direction { Inbound = Inbound, Outbound = Outbound }
    DisconnectionReason = Disconnection {
        UserHangup = UserHangup,
        AgentHangup = AgentHangup,
        CallTransfer = CallTransfer,
        ManualStopped = ManualStopped,
        MaxDurationReached = MaxDurationReached,
        DialNoAnswer = DialNoAnswer,
        DialBusy = DialBusy,
        DialFailed = DialFailed,
        ErrorNetwork = ErrorNetwork,
        ErrorTimeout = ErrorTimeout,
    }
}
