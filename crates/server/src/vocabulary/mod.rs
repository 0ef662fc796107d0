//! The words of the native event (contract, events.md): what every source emits, the store keeps and `/v1` reads back.
//!
//! [`tell`] is the only way to make a [`Told`]: whatever passed it can be folded, and read again after a restart.
//! Nothing here knows a socket, a store or another source's words.

mod caller;
mod data;
mod fold;
pub mod json;
pub mod kinds;
mod read;
pub mod time;

use data_encoding::BASE32_NOPAD;
use pegcount_calls::{CallName, Cause, Document, Event, EventId, NameError, Party, SourceName, Timestamp};
use pegcount_store::Report;
use sha2::{Digest, Sha256};

pub use fold::fold_reports;
pub use read::{is_metadata_key, read_report, residue};

/// Largest `event_data` in bytes (contract, events.md).
pub const LARGEST_DATA: usize = 64 * 1024;

/// An event both ways: the words to keep, and what they mean.
#[derive(Clone, Debug)]
pub struct Told {
    /// The words.
    pub report: Report,
    /// What they mean.
    pub event: Event,
}

/// Why an event is turned away. Its neighbours are not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people: what is wrong and what would be right.
    pub message: String,
    /// Of [`Rejection::EVENT_ID_REUSED`]: the time of the event that is known under the id.
    pub known_at: Option<Timestamp>,
}

impl Rejection {
    /// Not JSON at all, or JSON that means different things to different readers.
    pub const INVALID_JSON: &'static str = "INVALID_JSON";
    /// A field has a value it cannot have.
    pub const INVALID_EVENT: &'static str = "INVALID_EVENT";
    /// There is no such type.
    pub const UNKNOWN_EVENT_TYPE: &'static str = "UNKNOWN_EVENT_TYPE";
    /// The data is larger than [`LARGEST_DATA`].
    pub const EVENT_TOO_LARGE: &'static str = "EVENT_TOO_LARGE";
    /// The id is known with other content (contract, events.md).
    pub const EVENT_ID_REUSED: &'static str = "EVENT_ID_REUSED";
    /// The call has as many events as one call may have.
    pub const CALL_FULL: &'static str = "CALL_FULL";
    /// The call was erased (contract, events.md).
    pub const CALL_ERASED: &'static str = "CALL_ERASED";
    /// The call's events were deleted because of their age (contract, events.md).
    pub const CALL_SEALED: &'static str = "CALL_SEALED";

    /// A rejection with its sentence.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), known_at: None }
    }

    /// A field has a value it cannot have.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Self::INVALID_EVENT, message)
    }
}

/// What a source says of one event, before it is checked.
#[derive(Clone, Debug)]
pub struct Telling {
    /// The idempotency key within the call.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Whether the source said so, or it was taken from the clock on receipt.
    pub at_given: bool,
    /// When it was received.
    pub received_at: Timestamp,
    /// The source it came through.
    pub source: SourceName,
    /// Its type: one of [`kinds`], or `x_...`.
    pub kind: String,
    /// Its data: the text of a JSON object.
    pub data: String,
}

/// Checks an event and reads what it means.
///
/// # Errors
/// The [`Rejection`] that its sender gets to read.
pub fn tell(telling: Telling) -> Result<Told, Rejection> {
    if telling.data.len() > LARGEST_DATA {
        let message =
            format!("event_data has {} bytes, at most {LARGEST_DATA} are taken", telling.data.len());
        return Err(Rejection::new(Rejection::EVENT_TOO_LARGE, message));
    }
    if !kinds::is_known(&telling.kind) {
        let meant = kinds::alike(&telling.kind).map(|kind| format!(" (did you mean {kind}?)"));
        let message = format!(
            "event_type {:?} is unknown{}: use one of the types in docs/sources/native.md, or a name that begins with x_",
            shortened(&telling.kind),
            meant.unwrap_or_default()
        );
        return Err(Rejection::new(Rejection::UNKNOWN_EVENT_TYPE, message));
    }
    time::check_event_time("created_at", telling.at, telling.received_at)?;
    read::check_opt_out(&telling.data)?;
    let report = Report {
        id: telling.id,
        at: telling.at,
        at_given: telling.at_given,
        received_at: telling.received_at,
        source: telling.source,
        kind: telling.kind,
        data: Document::from_json_text(telling.data),
        blanked: false,
    };
    let event = read_report(&report)?;
    Ok(Told { report, event })
}

/// What this program tells of a call of which it has deleted something because of its age: `kind` says what.
pub fn deleted(kind: &str, at: Timestamp) -> Result<Told, Rejection> {
    let report = Report {
        id: event_id_of(&format!("retention {kind} {}", at.millis())),
        at,
        at_given: true,
        received_at: at,
        source: source_name("retention"),
        kind: kind.to_owned(),
        data: Document::from_json_text(r#"{"reason":"retention"}"#),
        blanked: false,
    };
    let event = read_report(&report)?;
    Ok(Told { report, event })
}

/// The native word for a cause.
pub fn cause_word(cause: Cause) -> &'static str {
    match cause {
        Cause::NormalClearing => "normal_clearing",
        Cause::UserHangup => "user_hangup",
        Cause::AgentHangup => "agent_hangup",
        Cause::NoAnswer => "no_answer",
        Cause::Busy => "busy",
        Cause::Rejected => "rejected",
        Cause::NetworkError => "network_error",
        Cause::Timeout => "timeout",
    }
}

/// The native word for a party.
pub fn party_word(party: Party) -> &'static str {
    match party {
        Party::Caller => "caller",
        Party::Callee => "callee",
        Party::Api => "api",
        Party::System => "system",
    }
}

/// What stands in a column of ids where there is no id: exports of databases, and switches, fill the gap in many ways.
const PLACEHOLDERS: [&str; 9] =
    ["null", "\\n", "-", "0", "none", "(null)", "nil", "undefined", "00000000-0000-0000-0000-000000000000"];

/// The id, unless it is a placeholder for one that is not there.
pub fn given_id(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_placeholder = PLACEHOLDERS.iter().any(|placeholder| text.eq_ignore_ascii_case(placeholder));
    (!text.is_empty() && !is_placeholder).then_some(text)
}

/// The name of a call that a source names in its own way: its own words where they fit the alphabet, else `call_` and
/// 26 base32 characters of their SHA-256 (contract, events.md).
pub fn call_name(foreign: &str) -> CallName {
    CallName::new(foreign).unwrap_or_else(|_| {
        let digest = digest_text(foreign.as_bytes());
        // The digest's letters always fit, so the last resort is never taken.
        CallName::new(format!("call_{digest}")).unwrap_or_else(|_: NameError| unnamed_call())
    })
}

fn unnamed_call() -> CallName {
    CallName::new("call_unnamed").unwrap_or_else(|_| call_name("call"))
}

/// The name of a source, which the program itself chooses and which therefore fits the alphabet.
pub fn source_name(name: &'static str) -> SourceName {
    SourceName::new(name).unwrap_or_else(|_| source_name("unnamed"))
}

/// An event's id made of its content: the same words give the same id.
pub fn event_id_of(content: &str) -> EventId {
    let text = format!("evt_{}", digest_text(content.as_bytes()));
    EventId::new(&text).unwrap_or_else(|_| event_id_of("event"))
}

/// 26 characters, 130 bits, of the SHA-256 of some bytes.
fn digest_text(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(&Sha256::digest(bytes)).to_ascii_lowercase();
    text.truncate(26);
    text
}

/// At most the first 60 characters, for messages that repeat what was sent.
pub fn shortened(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_no_id() {
        for text in ["", " ", "NULL", "null", "\\N", "-", "0", "none", "None", "(null)"] {
            assert_eq!(given_id(text), None, "{text:?}");
        }
        for text in ["00", "0.0", "n", "1768471200.1", " x "] {
            assert_eq!(given_id(text), Some(text.trim()), "{text:?}");
        }
    }
}
