//! Why a channel ended, and who ended it, by its CEL row.

use pegcount_calls::{Cause, Party};
use serde_json::Value;

use super::channel::whole;
use crate::sources::mapped::cause_of_q850;

/// What a CEL row carries beyond its columns: a JSON object (Asterisk, `cel.c`).
#[derive(Clone, Debug, Default)]
pub(super) struct Extra(Value);

impl Extra {
    /// Reads the column; one that holds no JSON tells nothing.
    pub(super) fn read(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_default())
    }

    /// A text that is there and not empty.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether the channel that this one dialled was answered.
    pub(super) fn dial_was_answered(&self) -> bool {
        self.text("dialstatus") == Some("ANSWER")
    }

    /// Whether another channel took the call (Q.850 code 26, which the losers of a race get).
    pub(super) fn is_answered_elsewhere(&self) -> bool {
        self.hangup_cause() == Some(26)
    }

    /// The Q.850 code of the hang-up.
    pub(super) fn hangup_cause(&self) -> Option<i64> {
        let code = self.0.get("hangupcause")?;
        let code = code.as_i64().or_else(|| code.as_str()?.parse().ok())?;
        (0..=127).contains(&code).then_some(code)
    }
}

/// What is known of a channel when its HANGUP row comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hangup<'a> {
    /// The row's extra data.
    pub(super) extra: &'a Extra,
    /// Whether the channel had been answered.
    pub(super) answered: bool,
    /// Whether it is the originating channel.
    pub(super) origin: bool,
    /// The channel's own name.
    pub(super) channel: &'a str,
    /// The originating channel's name, where its begin was seen.
    pub(super) origin_channel: Option<&'a str>,
}

impl Hangup<'_> {
    /// The cause and who ended it. `None` for the cause: an ordinary end.
    pub(super) fn ending(&self) -> (Option<Cause>, Option<Party>) {
        let by = self.party();
        let coded = self.extra.hangup_cause().and_then(cause_of_q850);
        // 16 is also what the originating channel gets when its dial rang out; 0, 31 and 127 say nothing.
        let says_nothing = matches!(coded, None | Some(Cause::NormalClearing));
        if says_nothing
            && !self.answered
            && let Some((cause, told)) = self.extra.text("dialstatus").and_then(cause_of_dial_status)
        {
            return (Some(cause), told.or(by));
        }
        (coded, by)
    }

    /// Whose channel asked for the end. Empty where an order did (AMI, ARI), or a transfer; the dialplan names itself.
    fn party(&self) -> Option<Party> {
        let source = whole(self.extra.text("hangupsource")?);
        if source.starts_with("dialplan/") {
            return Some(Party::System);
        }
        let is_own = source == whole(self.channel);
        match self.origin_channel {
            Some(origin) if source == whole(origin) => Some(Party::Caller),
            Some(_) => Some(Party::Callee),
            None if is_own => Some(if self.origin { Party::Caller } else { Party::Callee }),
            None => None,
        }
    }
}

/// What came of the dial (`DIALSTATUS`), and who made it so where the word tells.
fn cause_of_dial_status(status: &str) -> Option<(Cause, Option<Party>)> {
    Some(match status {
        "NOANSWER" => (Cause::NoAnswer, None),
        "CANCEL" => (Cause::UserHangup, Some(Party::Caller)),
        "BUSY" => (Cause::Busy, None),
        "CONGESTION" | "CHANUNAVAIL" => (Cause::NetworkError, None),
        "DONTCALL" | "TORTURE" | "INVALIDARGS" => (Cause::Rejected, None),
        _ => return None,
    })
}

/// Whether a channel that ended so failed rather than completed.
pub(super) fn is_failure(cause: Option<Cause>, answered: bool) -> bool {
    match cause {
        Some(Cause::NetworkError | Cause::Timeout) => true,
        Some(Cause::Busy | Cause::Rejected) => !answered,
        Some(Cause::NormalClearing | Cause::UserHangup | Cause::AgentHangup | Cause::NoAnswer) | None => {
            false
        }
    }
}
