//! What was known of a call when it was routed: it travels through the gateway with the call.

use pegcount_calls::{EndpointName, PhoneNumberName};
use pegcount_gateway::{Direction, Side};
use serde::{Deserialize, Serialize};

/// What is known of a call from its routing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Note {
    /// Who called is one of ours: an endpoint or a user.
    pub(super) caller_is_ours: bool,
    /// Who was called is one of ours.
    pub(super) callee_is_ours: bool,
    /// Who called is one of ours and wants not to be known outside.
    #[serde(default)]
    pub(super) hides_caller: bool,
    /// The program ordered the call: its first party, which stands on the caller's side, is the one that is called.
    pub(super) ordered: bool,
    /// The calling number.
    pub(super) from: String,
    /// The called number.
    pub(super) to: String,
    /// The organization's number that the call came to or goes out from.
    pub(super) line: Option<String>,
    /// That number's id.
    pub(super) phone_number: Option<PhoneNumberName>,
    /// The endpoint.
    pub(super) endpoint: Option<EndpointName>,
    /// Nothing sensitive of it is kept.
    pub(super) opt_out: bool,
    /// What who ordered it wants to find it by: the text of a JSON object.
    pub(super) metadata: Option<String>,
}

impl Note {
    /// The text that the gateway carries.
    pub(super) fn text(&self) -> std::sync::Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// Reads it back.
    pub(super) fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    /// The side on which the outside party stands, the user of the contract.
    pub(super) fn outside(&self) -> Side {
        match (self.caller_is_ours, self.callee_is_ours) {
            (true, false) => Side::Callee,
            // Of two of ours, who called is the one that wanted something.
            (true, true) | (false, _) => Side::Caller,
        }
    }

    /// The side that called, in the words of the contract: the one whose number is `from_number`.
    pub(super) fn originator(&self) -> Side {
        if self.ordered { Side::Callee } else { Side::Caller }
    }

    /// Whether one of ours stands on a side.
    pub(super) fn is_ours(&self, side: Side) -> bool {
        match side {
            Side::Caller => self.caller_is_ours,
            Side::Callee => self.callee_is_ours,
        }
    }

    /// Which way the call goes.
    pub(super) fn direction(&self) -> Direction {
        if self.ordered || !self.callee_is_ours { Direction::Outbound } else { Direction::Inbound }
    }
}
