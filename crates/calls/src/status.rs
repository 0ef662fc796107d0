//! How a call stands and how it ended, by the tables of contract/events.md.

use serde::{Deserialize, Serialize};

use crate::{Call, Direction, Ending, State};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// Only queued so far: not live.
    Queued,
    /// Being set up.
    Initiated,
    /// The destination rings.
    Ringing,
    /// Answered, not ended.
    InProgress,
    /// Ended after an answer.
    Completed,
    /// Rang out.
    NoAnswer,
    /// The originator, or the API, gave up before an answer.
    Canceled,
    /// The destination was busy.
    Busy,
    /// Anything else.
    Failed,
}

impl Status {
    /// Every status, in the order of the contract's table.
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Initiated,
        Self::Ringing,
        Self::InProgress,
        Self::Completed,
        Self::NoAnswer,
        Self::Canceled,
        Self::Busy,
        Self::Failed,
    ];

    /// Whether a call that stands so counts as live.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Initiated | Self::Ringing | Self::InProgress)
    }

    /// Whether a call that stands so is over.
    pub fn is_ended(self) -> bool {
        matches!(self, Self::Completed | Self::NoAnswer | Self::Canceled | Self::Busy | Self::Failed)
    }
}

/// Why a call ended: the hang-up causes of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Ended in the ordinary way.
    NormalClearing,
    /// The user, the outside party, hung up.
    UserHangup,
    /// The agent, our endpoint, hung up.
    AgentHangup,
    /// Nobody answered.
    NoAnswer,
    /// The destination was busy.
    Busy,
    /// The destination refused.
    Rejected,
    /// The network failed.
    NetworkError,
    /// A time limit was reached.
    Timeout,
}

/// Who ended a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Party {
    /// The calling side.
    Caller,
    /// The called side.
    Callee,
    /// An order through the API.
    Api,
    /// The switch or the platform.
    System,
}

/// Why a call was disconnected, in the domain's finest distinction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Disconnection {
    /// The user hung up, or gave up.
    UserHangup,
    /// The agent hung up, or gave up.
    AgentHangup,
    /// Handed over to somebody else.
    CallTransfer,
    /// Stopped through the API.
    ManualStopped,
    /// The longest duration was reached.
    MaxDurationReached,
    /// Rang out.
    DialNoAnswer,
    /// The destination was busy.
    DialBusy,
    /// Could not be dialled, or was refused.
    DialFailed,
    /// The network failed.
    ErrorNetwork,
    /// Timed out.
    ErrorTimeout,
}

impl Call {
    /// Where the call stands.
    pub fn status(&self) -> Status {
        match &self.state {
            State::Queued => Status::Queued,
            State::Initiated => Status::Initiated,
            State::Ringing => Status::Ringing,
            State::Answered { .. } => Status::InProgress,
            State::Ended(ending) => ending.status(),
        }
    }

    /// Why the call was disconnected; `None` while it lives.
    pub fn disconnection(&self) -> Option<Disconnection> {
        let ending = self.ending()?;
        Some(match ending.status() {
            Status::NoAnswer => Disconnection::DialNoAnswer,
            Status::Busy => Disconnection::DialBusy,
            Status::Canceled if ending.by == Some(Party::Api) => Disconnection::ManualStopped,
            Status::Canceled => match self.direction {
                Direction::Inbound => Disconnection::UserHangup,
                Direction::Outbound => Disconnection::AgentHangup,
            },
            Status::Failed => match ending.cause {
                Cause::NetworkError => Disconnection::ErrorNetwork,
                Cause::Timeout => Disconnection::ErrorTimeout,
                _ => Disconnection::DialFailed,
            },
            Status::Completed | Status::Queued | Status::Initiated | Status::Ringing | Status::InProgress => {
                self.disconnection_after_talk(ending)
            }
        })
    }

    /// A completed call's reason. A transfer and an order are said on purpose, so they go before what the cause implies.
    fn disconnection_after_talk(&self, ending: &Ending) -> Disconnection {
        if ending.transfer {
            return Disconnection::CallTransfer;
        }
        if ending.by == Some(Party::Api) {
            return Disconnection::ManualStopped;
        }
        match ending.cause {
            Cause::Timeout => Disconnection::MaxDurationReached,
            Cause::AgentHangup => Disconnection::AgentHangup,
            Cause::NormalClearing if ending.by.is_some_and(|by| self.is_agent_side(by)) => {
                Disconnection::AgentHangup
            }
            _ => Disconnection::UserHangup,
        }
    }

    /// Whether this party is our endpoint: the callee of an inbound, the caller of an outbound call.
    pub fn is_agent_side(&self, party: Party) -> bool {
        match self.direction {
            Direction::Inbound => party == Party::Callee,
            Direction::Outbound => party == Party::Caller,
        }
    }
}

impl Ending {
    /// The status that this end gives the call.
    pub fn status(&self) -> Status {
        if self.answered_at.is_some() {
            let broke = self.failed && matches!(self.cause, Cause::NetworkError | Cause::Timeout);
            return if broke { Status::Failed } else { Status::Completed };
        }
        match self.cause {
            Cause::UserHangup | Cause::AgentHangup => Status::Canceled,
            Cause::NormalClearing if matches!(self.by, Some(Party::Caller | Party::Api)) => Status::Canceled,
            Cause::NormalClearing | Cause::NoAnswer => Status::NoAnswer,
            Cause::Timeout if !self.failed => Status::NoAnswer,
            Cause::Busy => Status::Busy,
            Cause::Rejected | Cause::NetworkError | Cause::Timeout => Status::Failed,
        }
    }
}
