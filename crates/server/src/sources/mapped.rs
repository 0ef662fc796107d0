//! What the sources that read records of calls share: one record made into native events.

use pegcount_calls::{Cause, EventId, LegId, Party, Timestamp};
use serde_json::{Map, Value};

use crate::{
    intake::CallReference,
    vocabulary::{Telling, cause_word, event_id_of, party_word, source_name},
};

pub(super) use crate::vocabulary::given_id;

/// One record of a source: the call that it speaks of, and what it tells of it.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The call, by its legs.
    pub call: CallReference,
    /// Its events; never empty.
    pub tellings: Vec<Telling>,
}

/// Longest number, id or name in bytes that the native event takes.
const LONGEST_SHORT_TEXT: usize = 256;

/// The text without control characters and outer white space, cut to what the native event takes; `None` if nothing
/// is left.
pub(super) fn short_text(text: &str) -> Option<String> {
    let mut cleaned: String = text.chars().filter(|character| !character.is_control()).collect();
    let mut end = cleaned.len().min(LONGEST_SHORT_TEXT);
    while !cleaned.is_char_boundary(end) {
        end -= 1;
    }
    cleaned.truncate(end);
    let trimmed = cleaned.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// A leg's name. What is no possible name (too long, control characters) is named by its digest.
pub(super) fn leg_id(text: &str) -> Result<LegId, String> {
    LegId::new(text)
        .or_else(|_| LegId::new(event_id_of(text).as_str()))
        .map_err(|error| format!("the leg's name {error}"))
}

/// An event's id: the text where it fits the alphabet, else its digest.
pub(super) fn event_id(text: &str) -> EventId {
    EventId::new(text).unwrap_or_else(|_| event_id_of(text))
}

/// Makes the events of one record.
pub(super) struct Teller {
    /// The source's name.
    pub(super) source: &'static str,
    /// When the record was received.
    pub(super) received_at: Timestamp,
}

impl Teller {
    /// An event whose time the source knows.
    pub(super) fn tell(&self, id: EventId, at: Timestamp, kind: &str, data: Data) -> Telling {
        Telling {
            id,
            at,
            at_given: true,
            received_at: self.received_at,
            source: source_name(self.source),
            kind: kind.to_owned(),
            data: data.into_text(),
        }
    }
}

/// The data of an event while it is written.
#[derive(Clone, Default)]
pub(super) struct Data(Map<String, Value>);

impl Data {
    /// Data that speaks of one leg, which the source reports only once it has ended.
    pub(super) fn of_ended_leg(leg: &LegId) -> Self {
        Self::default().with("leg_id", Some(leg.as_str())).with("after_the_fact", Some(true))
    }

    /// With this field, if there is something to say.
    #[must_use]
    pub(super) fn with(mut self, field: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
        self
    }

    /// With a text field, cleaned and cut to what the native event takes.
    #[must_use]
    pub(super) fn with_text(self, field: &str, text: Option<&str>) -> Self {
        self.with(field, text.and_then(short_text))
    }

    /// With a time, in epoch milliseconds.
    #[must_use]
    pub(super) fn with_time(self, field: &str, at: Option<Timestamp>) -> Self {
        self.with(field, at.map(Timestamp::millis))
    }

    /// With the metadata of these pairs that are not empty.
    #[must_use]
    pub(super) fn with_metadata(self, pairs: &[(&str, Option<&str>)]) -> Self {
        let metadata: Map<String, Value> = pairs
            .iter()
            .filter_map(|(key, text)| Some(((*key).to_owned(), short_text((*text)?)?.into())))
            .collect();
        self.with("metadata", (!metadata.is_empty()).then_some(metadata))
    }

    /// With why it ended and who ended it, as far as known.
    #[must_use]
    pub(super) fn with_ending(self, cause: Option<Cause>, by: Option<Party>) -> Self {
        self.with("hangup_cause", cause.map(cause_word)).with("hangup_source", by.map(party_word))
    }

    /// The object that it is.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }

    fn into_text(self) -> String {
        self.into_value().to_string()
    }
}

/// What a cause code of ITU-T Q.850 means (contract, events.md). `None`: it says nothing (0 is no code, 31 normal
/// unspecified, 127 interworking), or it is not in the table.
pub(super) fn cause_of_q850(code: i64) -> Option<Cause> {
    Some(match code {
        16 => Cause::NormalClearing,
        17 => Cause::Busy,
        // 26, answered elsewhere: nobody answered this leg.
        18..=20 | 26 => Cause::NoAnswer,
        1 | 21 | 22 | 28 => Cause::Rejected,
        102 => Cause::Timeout,
        2 | 3 | 27 => Cause::NetworkError,
        // Classes 2 to 6: resource unavailable, option unavailable or unimplemented, invalid message, protocol error.
        32..=126 => Cause::NetworkError,
        _ => return None,
    })
}
