//! From what was heard of a recording to the events that tell it.

use pegcount_calls::{Call, Timestamp};
use pegcount_store::Report;
use serde_json::{Map, Value, json};

use super::{NAME, turns::Turn};
use crate::{
    recordings::Object,
    vocabulary::{self, Telling, Told, kinds, source_name},
};

/// Bytes of a text at most: an event has 64 KiB, and some characters need two in JSON.
const LONGEST_TEXT: usize = 30 * 1024;

/// Where a recording stands in its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// When it begins.
    begins_at: Timestamp,
    /// When the call was answered.
    answered_at: Option<Timestamp>,
    /// The call's first and last instant: what is told of a call that is over must not make it look alive.
    span: (Timestamp, Option<Timestamp>),
    /// The side that called is the agent's.
    agent_calls: bool,
}

impl Placed {
    /// As the reports of a call say.
    pub fn of(object: &Object, call: &Call, reports: &[Report]) -> Self {
        let name = object.to_string();
        let of_kind = |kind: &'static str| {
            let reports = reports.iter().filter(move |report| report.kind == kind && !report.blanked);
            reports.filter_map(|report| serde_json::from_str::<Value>(report.data.as_json_text()).ok())
        };
        let told = of_kind(kinds::RECORDING_READY).filter(|data| data["object"].as_str() == Some(&name));
        let begins_at = told.filter_map(|data| data["begins_at"].as_i64()).next_back();
        let answered_at = call.answered_at();
        Self {
            begins_at: begins_at.map(Timestamp::from_millis).or(answered_at).unwrap_or(call.created_at),
            answered_at,
            span: (call.created_at, call.ended_at()),
            agent_calls: of_kind(kinds::CALL_INITIATED).any(|data| data["calling_leg"] == "agent"),
        }
    }

    /// An instant within the call, so many milliseconds after the recording begins.
    fn at(&self, millis: i64) -> Timestamp {
        let (first, last) = self.span;
        let at = self.begins_at.plus_millis(millis).max(first);
        last.map_or(at, |last| at.min(last.max(first)))
    }

    /// The same in milliseconds from the answer, which is what turns are told in.
    fn since_answer(&self, millis: i64) -> Option<i64> {
        self.answered_at.map(|answered_at| self.begins_at.plus_millis(millis).millis() - answered_at.millis())
    }

    fn role(&self, leg: usize) -> &'static str {
        if (leg == 0) == self.agent_calls { "agent" } else { "caller" }
    }
}

/// The events of turns, each with an id that follows from its place.
pub(super) fn of_turns(
    turns: &[Turn],
    object: &Object,
    placed: &Placed,
    language: Option<&str>,
    now: Timestamp,
) -> Vec<Told> {
    let told = turns.iter().enumerate().filter_map(|(place, turn)| {
        let mut data = Map::new();
        data.insert("role".into(), json!(placed.role(turn.leg)));
        data.insert("content".into(), json!(turn.text));
        data.extend(placed.since_answer(turn.start).map(|start| ("start_ms".to_owned(), json!(start))));
        data.extend(placed.since_answer(turn.end).map(|end| ("end_ms".to_owned(), json!(end))));
        // Times of words count from the answer too; without one there is nothing to count from.
        if placed.answered_at.is_some() && !turn.words.is_empty() {
            let words = turn.words.iter().map(|word| {
                json!({
                    "word": word.word,
                    "start_ms": placed.since_answer(word.start_millis),
                    "end_ms": placed.since_answer(word.end_millis),
                })
            });
            data.insert("words".into(), words.collect());
        }
        data.extend(language.map(|language| ("language".to_owned(), json!(language))));
        data.insert("inferred".into(), json!(true));
        let at = placed.at(turn.start);
        tell(&format!("{object} {place}"), kinds::TRANSCRIPT_TURN, at, Value::Object(data).to_string(), now)
    });
    told.collect()
}

/// The event of a text of which nobody knows who said what; one that is too long for an event is cut and says so.
pub(super) fn of_text(text: &str, object: &Object, placed: &Placed, now: Timestamp) -> Option<Told> {
    let mut data = json!({ "text": text, "inferred": true });
    if text.len() > LONGEST_TEXT {
        data =
            json!({ "text": text[..text.floor_char_boundary(LONGEST_TEXT)], "inferred": true, "cut": true });
    }
    tell(&format!("{object} text"), kinds::TRANSCRIPT_READY, placed.at(0), data.to_string(), now)
}

fn tell(place: &str, kind: &str, at: Timestamp, data: String, now: Timestamp) -> Option<Told> {
    let telling = Telling {
        id: vocabulary::event_id_of(&format!("transcription {place}")),
        at,
        at_given: true,
        received_at: now,
        source: source_name(NAME),
        kind: kind.to_owned(),
        data,
    };
    // What is made here fits; a clock that was set back in between is all that can be wrong.
    vocabulary::tell(telling)
        .inspect_err(|error| tracing::error!(%error, "a part of a transcript is left out"))
        .ok()
}
