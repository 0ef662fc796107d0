//! The numbers that stand in the database for states and causes. They are on disk: a number is never given a new
//! meaning.

use pegcount_calls::{CallType, Cause, Direction, Disconnection, Party, Stage, Status};

use super::fault::{Result, unreadable};
use crate::{JobState, Measure};

/// Something that is kept as a number.
pub(super) trait Code: Sized {
    /// What it is, for messages.
    const WHAT: &'static str;

    /// Its number.
    fn code(self) -> i64;
    /// What has this number.
    fn of_code(code: i64) -> Option<Self>;

    /// What has this number; a number nobody knows was written by a later version, or is damage.
    fn read(code: i64) -> Result<Self> {
        Self::of_code(code).ok_or_else(|| unreadable(Self::WHAT, format!("there is no code {code}")))
    }
}

macro_rules! codes {
    ($($kind:ident, $what:literal { $($variant:ident = $code:literal,)* })*) => {$(
        impl Code for $kind {
            const WHAT: &'static str = $what;

            fn code(self) -> i64 {
                match self {
                    $(Self::$variant => $code,)*
                }
            }

            fn of_code(code: i64) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

codes! {
    JobState, "the state" {
        Waiting = 0,
        Running = 1,
        Dead = 2,
    }
    Status, "the status" {
        Queued = 0,
        Initiated = 1,
        Ringing = 2,
        InProgress = 3,
        Completed = 4,
        NoAnswer = 5,
        Canceled = 6,
        Busy = 7,
        Failed = 8,
    }
    Direction, "the direction" {
        Inbound = 0,
        Outbound = 1,
    }
    CallType, "the type" {
        Phone = 0,
        Web = 1,
    }
    Cause, "the cause" {
        NormalClearing = 0,
        UserHangup = 1,
        AgentHangup = 2,
        NoAnswer = 3,
        Busy = 4,
        Rejected = 5,
        NetworkError = 6,
        Timeout = 7,
    }
    Stage, "the stage" {
        EndToEnd = 0,
        Llm = 1,
        Stt = 2,
        Tts = 3,
        Other = 4,
    }
    Party, "the party" {
        Caller = 0,
        Callee = 1,
        Api = 2,
        System = 3,
    }
    Disconnection, "the reason" {
        UserHangup = 0,
        AgentHangup = 1,
        CallTransfer = 2,
        ManualStopped = 3,
        MaxDurationReached = 4,
        DialNoAnswer = 5,
        DialBusy = 6,
        DialFailed = 7,
        ErrorNetwork = 8,
        ErrorTimeout = 9,
    }
}

/// The first code of a stage's latency among the measures.
const LATENCIES: i64 = 2;

impl Code for Measure {
    const WHAT: &'static str = "the measure";

    fn code(self) -> i64 {
        match self {
            Self::Ring => 0,
            Self::Talk => 1,
            Self::Latency(stage) => LATENCIES + stage.code(),
        }
    }

    fn of_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Ring),
            1 => Some(Self::Talk),
            _ => Stage::of_code(code.checked_sub(LATENCIES)?).map(Self::Latency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_statuses_are_the_codes_that_the_index_of_live_calls_holds() {
        for status in Status::ALL {
            assert_eq!(status.is_live(), (1..=3).contains(&status.code()), "{status:?}");
            assert_eq!(Status::of_code(status.code()), Some(status));
        }
    }

    #[test]
    fn every_measure_is_what_its_code_says() {
        for measure in Measure::ALL {
            assert_eq!(Measure::of_code(measure.code()), Some(measure));
        }
        assert_eq!(Measure::of_code(7).or(Measure::of_code(-1)).or(Measure::of_code(i64::MIN)), None);
    }

    #[test]
    fn an_unknown_code_cannot_be_read() {
        let error = crate::StoreError::from(Cause::read(99).unwrap_err());
        assert_eq!(error.to_string(), "the cause cannot be read");
    }
}
