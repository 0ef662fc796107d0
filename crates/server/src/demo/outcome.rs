//! How a call of the demonstration ends.

use serde_json::{Value, json};

use super::random::Random;
use crate::vocabulary::kinds;

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// All was said, then the user hung up.
    UserHungUp,
    /// All was said, then the agent hung up.
    AgentHungUp,
    /// The user lost patience.
    BrokenOff,
    /// Handed over to a person.
    Transferred,
    /// Stopped through the API.
    Stopped,
    /// The longest duration was reached.
    TooLong,
    /// The network failed in mid-call.
    Dropped,
    /// A voicemail answered.
    Voicemail,
    /// The destination was busy.
    Busy,
    /// It rang out.
    NoAnswer,
    /// The caller gave up.
    Canceled,
    /// The destination refused.
    Rejected,
    /// It could not be put through.
    Unreachable,
    /// The attempt timed out.
    TimedOut,
}

/// How often each happens to a call that the agent takes.
const INBOUND: &[(u32, Outcome)] = &[
    (46, Outcome::UserHungUp),
    (20, Outcome::AgentHungUp),
    (8, Outcome::BrokenOff),
    (7, Outcome::Transferred),
    (2, Outcome::Stopped),
    (1, Outcome::TooLong),
    (2, Outcome::Dropped),
    (3, Outcome::Busy),
    (2, Outcome::NoAnswer),
    (5, Outcome::Canceled),
    (1, Outcome::Rejected),
    (2, Outcome::Unreachable),
    (1, Outcome::TimedOut),
];

/// How often each happens to a call that the agent places.
const OUTBOUND: &[(u32, Outcome)] = &[
    (28, Outcome::UserHungUp),
    (18, Outcome::AgentHungUp),
    (6, Outcome::BrokenOff),
    (3, Outcome::Transferred),
    (1, Outcome::Stopped),
    (1, Outcome::TooLong),
    (2, Outcome::Dropped),
    (11, Outcome::Voicemail),
    (8, Outcome::Busy),
    (13, Outcome::NoAnswer),
    (3, Outcome::Canceled),
    (3, Outcome::Rejected),
    (2, Outcome::Unreachable),
    (1, Outcome::TimedOut),
];

/// The last event of a call: its type and its data.
pub(super) type End = (&'static str, Value);

impl Outcome {
    pub(super) fn choose(random: &mut Random, outbound: bool) -> Self {
        random.weighted(if outbound { OUTBOUND } else { INBOUND }).unwrap_or(Self::UserHungUp)
    }

    /// Whether anybody, or a machine, answers.
    pub(super) fn is_answered(self) -> bool {
        match self {
            Self::UserHungUp
            | Self::AgentHungUp
            | Self::BrokenOff
            | Self::Transferred
            | Self::Stopped
            | Self::TooLong
            | Self::Dropped
            | Self::Voicemail => true,
            Self::Busy
            | Self::NoAnswer
            | Self::Canceled
            | Self::Rejected
            | Self::Unreachable
            | Self::TimedOut => false,
        }
    }

    /// Whether the conversation stops in the middle.
    pub(super) fn cuts_short(self) -> bool {
        matches!(self, Self::BrokenOff | Self::Transferred | Self::Stopped | Self::Dropped)
    }

    /// Whether the call rings before it ends unanswered.
    pub(super) fn rings(self) -> bool {
        !matches!(self, Self::Busy | Self::Unreachable | Self::TimedOut)
    }

    /// How a source would report it.
    pub(super) fn end(self, outbound: bool) -> End {
        let (user, agent) = if outbound { ("callee", "caller") } else { ("caller", "callee") };
        let completed = |cause: &str, source: &str| {
            let data = json!({ "hangup_cause": cause, "hangup_source": source, "sip_status": 200, "q850_cause": 16 });
            (kinds::CALL_COMPLETED, data)
        };
        let failed = |cause: &str, source: &str, sip_status: u16, q850_cause: u8| {
            let data = json!({
                "hangup_cause": cause,
                "hangup_source": source,
                "sip_status": sip_status,
                "q850_cause": q850_cause,
            });
            (kinds::CALL_FAILED, data)
        };
        match self {
            Self::UserHungUp | Self::BrokenOff => completed("user_hangup", user),
            Self::AgentHungUp | Self::Voicemail => completed("agent_hangup", agent),
            Self::Stopped => completed("normal_clearing", "api"),
            Self::TooLong => completed("timeout", "system"),
            Self::Transferred => {
                let data = json!({ "hangup_cause": "normal_clearing", "hangup_source": agent, "reason": "transfer" });
                (kinds::CALL_COMPLETED, data)
            }
            Self::Dropped => failed("network_error", "system", 200, 41),
            Self::Busy => failed("busy", "callee", 486, 17),
            Self::NoAnswer => failed("no_answer", "system", 480, 19),
            Self::Canceled => {
                let cause = if outbound { "agent_hangup" } else { "user_hangup" };
                failed(cause, "caller", 487, 16)
            }
            Self::Rejected => failed("rejected", "callee", 603, 21),
            Self::Unreachable => failed("network_error", "system", 503, 38),
            Self::TimedOut => failed("timeout", "system", 504, 102),
        }
    }

    /// How the user felt about it.
    pub(super) fn sentiment(self, random: &mut Random) -> &'static str {
        match self {
            Self::BrokenOff | Self::Dropped => random.pick(&["Negative", "Negative", "Neutral"]),
            Self::Transferred | Self::Stopped | Self::TooLong => {
                random.pick(&["Neutral", "Neutral", "Negative"])
            }
            Self::UserHungUp | Self::AgentHungUp => {
                random.pick(&["Positive", "Positive", "Positive", "Neutral"])
            }
            _ => "Unknown",
        }
    }

    /// Whether the call reached its goal.
    pub(super) fn is_success(self) -> bool {
        matches!(self, Self::UserHungUp | Self::AgentHungUp)
    }

    /// What an analysis says of a call that did not.
    pub(super) fn setback(self) -> &'static str {
        match self {
            Self::UserHungUp | Self::AgentHungUp => "",
            Self::BrokenOff => "{full} hung up before the matter was settled.",
            Self::Transferred => "{full} asked for a person and was handed over.",
            Self::Stopped => "The call with {full} was stopped by an operator.",
            Self::TooLong => "The call with {full} reached its longest duration.",
            Self::Dropped => "The connection to {full} was lost.",
            Self::Voicemail => "A voicemail answered; a message was left for {full}.",
            _ => "The call was not answered.",
        }
    }
}
