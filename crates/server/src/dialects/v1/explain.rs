//! `GET /v1/calls/{id}/explain`: which event set a field, and which rivals lost.

use std::collections::HashMap;

use axum::response::Response;
use pegcount_calls::{Call, Counted, EventId, Explanation, Field, Note, QualityLeg, Stage, Why};
use pegcount_store::{Filed, Report};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{
    privacy::HoldBody,
    wire::{CallDetail, CauseWord, StatusWord},
};
use crate::{
    access::Explained,
    vocabulary::time::format_rfc3339,
    web::{aside, caller::Caller, failure::Failure, path::Path},
};

/// A call, field by field.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExplainBody {
    /// The call's string id.
    pub id: String,
    /// Where it stands.
    #[schema(value_type = StatusWord)]
    pub status: Value,
    /// How many events it is made of.
    pub events: usize,
    /// Since when its events are not kept: what they said of its fields is not known any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, format = DateTime)]
    pub sealed_at: Option<String>,
    /// Whether it was recorded and its recording, which should be there by now, is not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recording_missing: bool,
    /// What keeps it from being erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HoldBody, required = false)]
    pub hold: Option<HoldBody>,
    /// What does not fit together in its events.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<NoteBody>,
    /// The fields that events spoke of.
    pub fields: Vec<FieldBody>,
}

/// Something that does not fit together.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoteBody {
    /// A word for programs.
    pub kind: NoteWord,
    /// What it is, in a sentence.
    pub message: String,
    /// The event that tells it.
    pub event_id: String,
}

/// What does not fit together.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteWord {
    /// The answer lies after the end: two clocks differ.
    ClockSkew,
    /// The talk time that a source states differs from what its clocks make of it by more than a second.
    LengthsDiffer,
    /// The talk time that a source states is longer than the call by more than a second.
    TalkExceedsCall,
}

impl From<&Note> for NoteBody {
    fn from(note: &Note) -> Self {
        let seconds = |millis: i64| millis as f64 / 1000.0;
        match note {
            Note::AnsweredAfterEnd { answered_by, millis } => Self {
                kind: NoteWord::ClockSkew,
                message: format!(
                    "the answer lies {} s after the end: two clocks differ; the call counts as answered at its \
                     end at the latest",
                    seconds(*millis)
                ),
                event_id: answered_by.to_string(),
            },
            Note::LengthsDiffer { told_by, stated_millis, clock_millis, counted } => Self {
                kind: NoteWord::LengthsDiffer,
                message: format!(
                    "the source states {} s of talk, its clocks make it {} s: {}",
                    seconds(*stated_millis),
                    seconds(*clock_millis),
                    match counted {
                        Counted::Stated => "what is stated counts",
                        Counted::Clocks => "the clocks count",
                        Counted::Neither => NEITHER_COUNTS,
                    }
                ),
                event_id: told_by.to_string(),
            },
            Note::TalkExceedsCall { told_by, stated_millis, call_millis, counted } => Self {
                kind: NoteWord::TalkExceedsCall,
                message: format!(
                    "the source states {} s of talk, but {} s from the start of the call to its end: {}",
                    seconds(*stated_millis),
                    seconds(*call_millis),
                    match counted {
                        Counted::Stated =>
                            "it counts as answered at its start, and the stated talk time counts",
                        Counted::Clocks =>
                            "it counts as answered at its start, and the talk time is cut to the call",
                        Counted::Neither => NEITHER_COUNTS,
                    }
                ),
                event_id: told_by.to_string(),
            },
        }
    }
}

/// What an event states of the talk time has no effect.
const NEITHER_COUNTS: &str = "neither counts: other events decide the talk time, or the call is not over";

/// One field.
#[derive(Debug, Serialize, ToSchema)]
pub struct FieldBody {
    /// Its name.
    pub field: String,
    /// What it is now; a count where many events add up.
    pub value: Value,
    /// The events that made it so.
    pub set_by: Vec<WitnessBody>,
    /// The events that spoke of it in vain.
    pub lost: Vec<WitnessBody>,
}

/// An event that spoke of a field.
#[derive(Debug, Serialize, ToSchema)]
pub struct WitnessBody {
    /// Its id.
    pub event_id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The source it came through.
    pub source: String,
    /// Why it lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = ReasonWord, required = false)]
    pub reason: Option<ReasonWord>,
}

/// Why an event lost.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasonWord {
    /// A later event spoke of the same field, or an end that counts more.
    Superseded,
    /// Another event names an earlier time.
    NotTheEarliest,
    /// It speaks of a leg that does not decide this field.
    OtherLeg,
    /// It was an inferred end, and the call proved to be alive after it.
    Refuted,
}

impl From<Why> for ReasonWord {
    fn from(why: Why) -> Self {
        match why {
            Why::Superseded => Self::Superseded,
            Why::NotTheEarliest => Self::NotTheEarliest,
            Why::OtherLeg => Self::OtherLeg,
            Why::Refuted => Self::Refuted,
        }
    }
}

/// Explain a call: each field with the event that set it and those that lost.
#[utoipa::path(
    get, path = "/v1/calls/{id}/explain", tag = "calls",
    params(("id" = String, Path, description = "The call's id, or its UUID")),
    responses((status = 200, body = ExplainBody))
)]
pub(super) async fn explain_call(caller: Caller, Path(id): Path<String>) -> Result<Response, Failure> {
    let access = caller.access;
    let explained = access.explain(&id).await?;
    let events = explained.reports.len();
    let write = move || {
        let url = access.recording_url(&explained.filed);
        serde_json::to_vec(&explain_body(explained, url))
    };
    Ok(aside::json_of_events(events, write).await?)
}

fn explain_body(explained: Explained, recording_url: Option<String>) -> ExplainBody {
    let Explained { filed, explanations, notes, reports, hold, lacks_recording } = explained;
    let detail = serde_json::to_value(CallDetail::of(&filed, recording_url)).unwrap_or_default();
    let by_id = reports.iter().map(|report| (&report.id, report)).collect();
    let fields = explanations.iter().map(|explanation| field_body(explanation, &filed, &detail, &by_id));
    ExplainBody {
        id: filed.head.name.to_string(),
        status: detail.get("status").cloned().unwrap_or_default(),
        events: reports.len(),
        sealed_at: filed.call.content.sealed_at.map(format_rfc3339),
        recording_missing: lacks_recording,
        hold: hold.map(Into::into),
        notes: notes.iter().map(Into::into).collect(),
        fields: fields.collect(),
    }
}

fn field_body(
    explanation: &Explanation,
    filed: &Filed,
    detail: &Value,
    reports: &HashMap<&EventId, &Report>,
) -> FieldBody {
    let witness = |id: &EventId, reason: Option<Why>| {
        let report = reports.get(id);
        WitnessBody {
            event_id: id.to_string(),
            event_type: report.map(|report| report.kind.clone()).unwrap_or_default(),
            created_at: report.map(|report| format_rfc3339(report.at)).unwrap_or_default(),
            source: report.map(|report| report.source.to_string()).unwrap_or_default(),
            reason: reason.map(Into::into),
        }
    };
    FieldBody {
        field: name(&explanation.field),
        value: value(&explanation.field, &filed.call, detail),
        set_by: explanation.set_by.iter().map(|id| witness(id, None)).collect(),
        lost: explanation.lost.iter().map(|(id, why)| witness(id, Some(*why))).collect(),
    }
}

/// A stage as the wire has it.
pub(super) fn stage_word(stage: Stage) -> &'static str {
    match stage {
        Stage::EndToEnd => "e2e",
        Stage::Llm => "llm",
        Stage::Stt => "stt",
        Stage::Tts => "tts",
        Stage::Other => "other",
    }
}

fn leg(leg: QualityLeg) -> &'static str {
    match leg {
        QualityLeg::Agent => "agent",
        QualityLeg::Caller => "caller",
    }
}

fn name(field: &Field) -> String {
    match field {
        Field::CreatedAt => "created_at".into(),
        Field::RingingAt => "ringing_at".into(),
        Field::AnsweredAt => "answered_at".into(),
        Field::End => "end".into(),
        Field::Direction => "direction".into(),
        Field::CallType => "call_type".into(),
        Field::FromNumber => "from_number".into(),
        Field::ToNumber => "to_number".into(),
        Field::Endpoint => "endpoint_id".into(),
        Field::PhoneNumber => "phone_number_id".into(),
        Field::CallSid => "telephony.call_sid".into(),
        Field::ConferenceSid => "telephony.conference_sid".into(),
        Field::SipCallId => "telephony.sip_call_id".into(),
        Field::CallerName => "caller.name".into(),
        Field::AssertedNumber => "caller.asserted_number".into(),
        Field::Privacy => "caller.privacy".into(),
        Field::Diversion => "caller.diversion".into(),
        Field::Attestation => "caller.attestation".into(),
        Field::Headers => "caller.headers".into(),
        Field::Task => "task_id".into(),
        Field::Context => "context".into(),
        Field::Metadata(key) => format!("metadata.{key}"),
        Field::OptOut => "opt_out_sensitive_data_storage".into(),
        Field::Recording => "recording_url".into(),
        Field::Turns => "transcript".into(),
        Field::Tools => "tools".into(),
        Field::TranscriptText => "transcript_text".into(),
        Field::TranscriptDeleted => "transcript_deleted_at".into(),
        Field::Latency(of) => format!("latency.{}", stage_word(*of)),
        Field::LatencySummary(of) => format!("latency_summary.{}", stage_word(*of)),
        Field::Quality(of) => format!("quality.{}", leg(*of)),
        Field::Media => "media".into(),
        Field::AudioConfig => "audio_config".into(),
        Field::Costs => "cost".into(),
        Field::Successful => "call_successful".into(),
        Field::Summary => "call_summary".into(),
        Field::Sentiment => "user_sentiment".into(),
        Field::InVoicemail => "in_voicemail".into(),
        Field::CustomAnalysis => "custom_analysis".into(),
    }
}

fn value(field: &Field, call: &Call, detail: &Value) -> Value {
    let content = &call.content;
    let analysis = content.analysis.as_ref();
    let shown = |key: &str| detail.get(key).cloned().unwrap_or_default();
    let of_caller = |key: &str| shown("caller").get(key).cloned().unwrap_or_default();
    match field {
        Field::CreatedAt => shown("created_at"),
        Field::AnsweredAt => shown("answered_at"),
        Field::RingingAt => json!(call.ringing_at.map(format_rfc3339)),
        Field::End => end(call),
        Field::Direction => shown("direction"),
        Field::CallType => json!(match call.call_type {
            pegcount_calls::CallType::Phone => "phone_call",
            pegcount_calls::CallType::Web => "web_call",
        }),
        Field::FromNumber => shown("from_number"),
        Field::ToNumber => shown("to_number"),
        Field::Endpoint => json!(call.endpoint.as_ref().map(ToString::to_string)),
        Field::PhoneNumber => json!(call.phone_number.as_ref().map(ToString::to_string)),
        Field::CallSid => json!(content.telephony.call_sid),
        Field::ConferenceSid => json!(content.telephony.conference_sid),
        Field::SipCallId => json!(content.telephony.sip_call_id),
        Field::CallerName => of_caller("name"),
        Field::AssertedNumber => of_caller("asserted_number"),
        Field::Privacy => of_caller("privacy"),
        Field::Diversion => of_caller("diversion"),
        Field::Attestation => of_caller("attestation"),
        Field::Headers => of_caller("headers"),
        Field::Task => json!(content.task),
        Field::Context => document(content.context.as_ref()),
        Field::Metadata(key) => document(content.metadata.get(key)),
        Field::OptOut => json!(call.opt_out),
        Field::Recording => shown("recording_url"),
        Field::Turns => json!({ "turns": content.turns.len() }),
        Field::Tools => json!({ "entries": content.tools.len() }),
        Field::TranscriptText => json!({ "characters": content.transcript_text.as_ref().map(String::len) }),
        Field::TranscriptDeleted => json!(content.transcript_deleted_at.map(format_rfc3339)),
        Field::Latency(of) => json!({ "samples": content.latencies.get(of).map_or(0, Vec::len) }),
        Field::LatencySummary(of) => {
            json!({ "p50": content.latency_summaries.get(of).and_then(|one| one.p50) })
        }
        Field::Quality(of) => {
            json!({ "packet_loss": content.quality.get(of).and_then(|one| one.packet_loss) })
        }
        Field::Media => json!({ "codec": content.media.codec, "latency_ms": content.media.latency_millis }),
        Field::AudioConfig => {
            json!({ "codec": content.audio.codec, "sample_rate_hz": content.audio.sample_rate_hz })
        }
        Field::Costs => json!({ "items": content.costs.len(), "cost_cents": shown("cost_cents") }),
        Field::Successful => json!(analysis.and_then(|found| found.successful)),
        Field::Summary => json!(analysis.and_then(|found| found.summary.clone())),
        Field::Sentiment => json!(analysis.and_then(|found| found.sentiment.clone())),
        Field::InVoicemail => json!(analysis.and_then(|found| found.in_voicemail)),
        Field::CustomAnalysis => document(analysis.and_then(|found| found.custom.as_ref())),
    }
}

fn end(call: &Call) -> Value {
    let Some(ending) = call.ending() else { return Value::Null };
    json!({
        "completed_at": format_rfc3339(ending.ended_at),
        "hangup_cause": CauseWord::from(ending.cause),
        "inferred": ending.inferred,
    })
}

fn document(document: Option<&pegcount_calls::Document>) -> Value {
    document.and_then(|document| serde_json::from_str(document.as_json_text()).ok()).unwrap_or_default()
}
