//! The words of v1.

use pegcount_calls::{Amount, Call, Cause, Direction, QualityLeg, Role, Stats, Status, Turn};
use pegcount_store::{Filed, Report};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::caller::CallerBody;
use crate::{vocabulary::time::format_rfc3339, web::number::Measure};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusWord {
    /// Call is being set up.
    Initiated,
    /// Destination is ringing.
    Ringing,
    /// Call is active.
    InProgress,
    /// Call ended normally.
    Completed,
    /// Call failed to connect.
    Failed,
    /// Destination was busy.
    Busy,
    /// No answer at destination.
    NoAnswer,
}

impl StatusWord {
    /// Every word, as a filter has it, with the statuses it means.
    pub(super) const FILTERS: [(&'static str, &'static [Status]); 7] = [
        ("initiated", &[Status::Queued, Status::Initiated]),
        ("ringing", &[Status::Ringing]),
        ("in_progress", &[Status::InProgress]),
        ("completed", &[Status::Completed]),
        ("failed", &[Status::Failed]),
        ("busy", &[Status::Busy]),
        ("no_answer", &[Status::NoAnswer, Status::Canceled]),
    ];
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::Queued | Status::Initiated => Self::Initiated,
            Status::Ringing => Self::Ringing,
            Status::InProgress => Self::InProgress,
            Status::Completed => Self::Completed,
            Status::NoAnswer | Status::Canceled => Self::NoAnswer,
            Status::Busy => Self::Busy,
            Status::Failed => Self::Failed,
        }
    }
}

/// From the endpoint's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DirectionWord {
    /// It reached the endpoint.
    Inbound,
    /// It left from the endpoint.
    Outbound,
}

impl From<Direction> for DirectionWord {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Self::Inbound,
            Direction::Outbound => Self::Outbound,
        }
    }
}

/// Why a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseWord {
    /// Normal call termination.
    NormalClearing,
    /// Caller hung up.
    UserHangup,
    /// Agent/endpoint hung up.
    AgentHangup,
    /// Destination didn't answer.
    NoAnswer,
    /// Destination busy.
    Busy,
    /// Call rejected.
    Rejected,
    /// Network failure.
    NetworkError,
    /// Call timed out.
    Timeout,
}

impl From<Cause> for CauseWord {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::NormalClearing => Self::NormalClearing,
            Cause::UserHangup => Self::UserHangup,
            Cause::AgentHangup => Self::AgentHangup,
            Cause::NoAnswer => Self::NoAnswer,
            Cause::Busy => Self::Busy,
            Cause::Rejected => Self::Rejected,
            Cause::NetworkError => Self::NetworkError,
            Cause::Timeout => Self::Timeout,
        }
    }
}

/// A call in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallRow {
    /// The call's string id.
    pub id: String,
    /// The calling number.
    pub from_number: Option<String>,
    /// The called number.
    pub to_number: Option<String>,
    /// From the endpoint's view.
    pub direction: DirectionWord,
    /// Where it stands.
    pub status: StatusWord,
    /// Talk time in whole seconds; null while it lives.
    pub duration: Option<u64>,
    /// Whole cents; null until a cost or rate applies.
    pub cost_cents: Option<i64>,
    /// The endpoint's id.
    pub endpoint_id: Option<String>,
    /// The phone number's id.
    pub phone_number_id: Option<String>,
    /// Where the recording can be had.
    #[schema(format = "uri")]
    pub recording_url: Option<String>,
    /// `[Agent]: …` and `[Caller]: …` lines.
    pub transcript: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was answered.
    #[schema(format = DateTime)]
    pub answered_at: Option<String>,
    /// When it ended, however.
    #[schema(format = DateTime)]
    pub completed_at: Option<String>,
    /// Where the words of `q` stand in it: at most three places, that of the summary first and then by time. Only with `q`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<MatchBody>, required = false)]
    pub matches: Option<Vec<MatchBody>>,
}

impl CallRow {
    /// A call in these words.
    pub(super) fn of(filed: &Filed, recording_url: Option<String>) -> Self {
        let call = &filed.call;
        Self {
            id: filed.head.name.to_string(),
            from_number: call.from_number.clone(),
            to_number: call.to_number.clone(),
            direction: call.direction.into(),
            status: call.status().into(),
            duration: call.talk_time().map(|talk| talk.as_secs()),
            cost_cents: filed.bill.total.map(Amount::cents),
            endpoint_id: call.endpoint.as_ref().map(ToString::to_string),
            phone_number_id: filed.phone_number_id.as_ref().map(ToString::to_string),
            recording_url,
            transcript: transcript(call),
            created_at: format_rfc3339(call.created_at),
            answered_at: call.answered_at().map(format_rfc3339),
            completed_at: call.ended_at().map(format_rfc3339),
            matches: None,
        }
    }
}

/// A place in a call where words of `q` stand.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct MatchBody {
    /// Where it is.
    pub field: MatchField,
    /// Who says it: `agent` or `caller`; null in a summary, and where the transcript does not tell.
    pub role: Option<MatchRole>,
    /// Milliseconds from the answer to the begin of the turn that it is in, where that is known.
    pub start_ms: Option<i64>,
    /// About 160 characters of what is said there, with `…` where it was cut. This is HTML: the text itself is escaped, and
    /// the only tags are the `<mark>` and `</mark>` around each word or phrase of `q`, so it can be put into a page as it is.
    #[schema(example = "I want my <mark>money back</mark>, please")]
    pub snippet: String,
}

/// Where in a call something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchField {
    /// In what was said.
    Transcript,
    /// In the summary of an analysis.
    Summary,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MatchRole {
    /// The agent.
    Agent,
    /// Whoever speaks with it.
    Caller,
}

/// One part of the list of calls.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallList {
    /// The calls.
    pub calls: Vec<CallRow>,
    /// How many there are; absent when continued from a cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub total: Option<u64>,
    /// How many were asked for.
    pub limit: u32,
    /// How many were passed over.
    pub offset: u64,
    /// Where the next part begins; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub next_cursor: Option<String>,
}

/// One call.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallDetail {
    /// The call's string id.
    pub id: String,
    /// The calling number.
    pub from_number: Option<String>,
    /// The called number.
    pub to_number: Option<String>,
    /// From the endpoint's view.
    pub direction: DirectionWord,
    /// Where it stands.
    pub status: StatusWord,
    /// Talk time in whole seconds; null while it lives.
    pub duration: Option<u64>,
    /// Whole cents; null until a cost or rate applies.
    pub cost_cents: Option<i64>,
    /// The endpoint.
    pub endpoint: Option<EndpointInCall>,
    /// The phone number.
    pub phone_number: Option<PhoneNumberInCall>,
    /// Where the recording can be had.
    #[schema(format = "uri")]
    pub recording_url: Option<String>,
    /// `[Agent]: …` and `[Caller]: …` lines.
    pub transcript: Option<String>,
    /// How the audio was; null until it was measured.
    pub quality_metrics: Option<QualityMetrics>,
    /// Why it ended.
    pub hangup_cause: Option<CauseWord>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was answered.
    #[schema(format = DateTime)]
    pub answered_at: Option<String>,
    /// When it ended, however.
    #[schema(format = DateTime)]
    pub completed_at: Option<String>,
    /// What is known of the caller, beside the number; absent where nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = CallerBody, required = false)]
    pub caller: Option<CallerBody>,
}

/// The endpoint of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct EndpointInCall {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// The platform it runs on.
    pub provider: Option<String>,
}

/// The phone number of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct PhoneNumberInCall {
    /// Its id.
    pub id: String,
    /// E.164.
    pub number: Option<String>,
}

/// How the audio of a call was.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct QualityMetrics {
    /// Milliseconds.
    #[schema(value_type = Option<f64>)]
    pub latency_ms: Option<Measure>,
    /// The codec's name.
    pub audio_codec: Option<String>,
    /// The share of packets lost, 0 to 1.
    #[schema(value_type = Option<f64>)]
    pub packet_loss: Option<Measure>,
}

impl CallDetail {
    /// A call in these words.
    pub(super) fn of(filed: &Filed, recording_url: Option<String>) -> Self {
        let row = CallRow::of(filed, recording_url);
        let call = &filed.call;
        Self {
            endpoint: row.endpoint_id.map(|id| {
                let known = filed.endpoint.as_ref();
                EndpointInCall {
                    id,
                    name: known.and_then(|endpoint| endpoint.name.clone()),
                    provider: known.and_then(|endpoint| endpoint.provider.clone()),
                }
            }),
            phone_number: row.phone_number_id.map(|id| {
                let known = filed.phone_number.as_ref().and_then(|number| number.number.clone());
                // While only its id is known, the call's own number on our side stands in (contract, cli.md).
                PhoneNumberInCall { id, number: known.or_else(|| call.own_number().map(str::to_owned)) }
            }),
            quality_metrics: quality(call),
            hangup_cause: call.ending().map(|ending| ending.cause.into()),
            id: row.id,
            from_number: row.from_number,
            to_number: row.to_number,
            direction: row.direction,
            status: row.status,
            duration: row.duration,
            cost_cents: row.cost_cents,
            recording_url: row.recording_url,
            transcript: row.transcript,
            created_at: row.created_at,
            answered_at: row.answered_at,
            completed_at: row.completed_at,
            caller: CallerBody::of(&call.content.caller),
        }
    }
}

/// The last measure of the agent's leg, else of the caller's; latency and codec missing there from the media's set-up.
fn quality(call: &Call) -> Option<QualityMetrics> {
    let content = &call.content;
    let measured =
        content.quality.get(&QualityLeg::Agent).or_else(|| content.quality.get(&QualityLeg::Caller));
    let media = &content.media;
    let metrics = QualityMetrics {
        latency_ms: measured.and_then(|quality| quality.latency_millis).or(media.latency_millis).map(Measure),
        audio_codec: measured.and_then(|quality| quality.codec.clone()).or_else(|| media.codec.clone()),
        packet_loss: measured.and_then(|quality| quality.packet_loss).map(Measure),
    };
    let unknown = QualityMetrics { latency_ms: None, audio_codec: None, packet_loss: None };
    (measured.is_some() || metrics != unknown).then_some(metrics)
}

/// `[Agent]: …` and `[Caller]: …` lines; the text as given where there are no turns.
pub(super) fn transcript(call: &Call) -> Option<String> {
    let content = &call.content;
    if content.turns.is_empty() {
        return content.transcript_text.clone();
    }
    let line = |turn: &Turn| {
        let speaker = match turn.said.role {
            Role::Agent => "[Agent]",
            Role::User => "[Caller]",
        };
        format!("{speaker}: {}", turn.said.content)
    };
    Some(content.turns.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// What many calls add up to.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct StatsBody {
    /// Calls that have ended.
    pub total_calls: u64,
    /// Those that ended after an answer.
    pub completed_calls: u64,
    /// All others of them.
    pub failed_calls: u64,
    /// Talk time of the completed calls.
    pub total_duration_seconds: u64,
    /// Talk time of a completed call on average.
    pub average_duration_seconds: u64,
    /// Whole cents.
    pub total_cost_cents: i64,
    /// Ended inbound calls.
    pub inbound_calls: u64,
    /// Ended outbound calls.
    pub outbound_calls: u64,
    /// Completed of all that ended, to three decimals.
    #[schema(value_type = f64)]
    pub success_rate: Measure,
}

impl From<&Stats> for StatsBody {
    fn from(stats: &Stats) -> Self {
        let ended = stats.ended();
        let completed = stats.with_status(Status::Completed);
        let of_direction =
            |wanted: Direction| stats.sum(|status, direction| status.is_ended() && direction == wanted).calls;
        let rounded = |numerator: u64, denominator: u64| match denominator {
            0 => 0,
            _ => (numerator + denominator / 2) / denominator,
        };
        Self {
            total_calls: ended.calls,
            completed_calls: completed.calls,
            failed_calls: ended.calls - completed.calls,
            total_duration_seconds: completed.talk_seconds,
            average_duration_seconds: rounded(completed.talk_seconds, completed.calls),
            total_cost_cents: Amount::cents_of(ended.cost_nanos),
            inbound_calls: of_direction(Direction::Inbound),
            outbound_calls: of_direction(Direction::Outbound),
            success_rate: Measure(rounded(completed.calls * 1000, ended.calls) as f64 / 1000.0),
        }
    }
}

/// The timeline of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    /// Oldest first, ties by id.
    pub events: Vec<EventBody>,
}

/// One event of a timeline.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventBody {
    /// Its id.
    pub id: String,
    /// Its type.
    pub event_type: String,
    /// When it happened.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// What it says.
    #[schema(value_type = Object)]
    pub event_data: Box<RawValue>,
}

impl From<&Report> for EventBody {
    fn from(report: &Report) -> Self {
        Self {
            id: report.id.to_string(),
            event_type: report.kind.clone(),
            created_at: format_rfc3339(report.at),
            event_data: raw(report.data.as_json_text()),
        }
    }
}

/// JSON text as it is; what is no JSON, which was never let in, as null.
pub(super) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// An order was taken.
#[derive(Debug, Serialize, ToSchema)]
pub struct HangupBody {
    /// Always true.
    pub success: bool,
    /// What happens now.
    #[schema(example = "Call hangup initiated")]
    pub message: &'static str,
}

/// Where a recording can be had.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecordingBody {
    /// The link.
    #[schema(format = "uri")]
    pub recording_url: String,
    /// Until when it is good; null for a link that the source gave.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Seconds.
    #[schema(value_type = Option<f64>)]
    pub duration_seconds: Option<Measure>,
    /// The container.
    pub format: Option<String>,
    /// Bytes.
    pub size_bytes: Option<u64>,
}
