//! The words of this dialect: names and the order of the keys, as its document shows them.

mod conversation;
mod course;
mod measures;
mod mistakes;

use pegcount_calls::{Call, Cause, Party, Status};
use pegcount_store::{EndpointNumber, Filed, Report};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    vocabulary::time::format_rfc3339,
    web::{number::Measure, verbatim::Verbatim},
};

use conversation::{ToolUse, Utterance};
use course::{StateChange, TimelineEntry};
use measures::{AudioConfig, CallInsights, CallQuality, StageData};
pub(super) use mistakes::{Detail, Mistake, Place};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentCallStatus)]
#[serde(rename_all = "UPPERCASE")]
enum CallStatus {
    Answered,
    Failed,
    Initiated,
    Queued,
}

impl CallStatus {
    /// Of a call; one that failed is told by whether it had been answered.
    fn of(call: &Call) -> Self {
        match call.status() {
            Status::Queued => Self::Queued,
            Status::Initiated | Status::Ringing => Self::Initiated,
            Status::InProgress | Status::Completed => Self::Answered,
            Status::NoAnswer | Status::Canceled | Status::Busy => Self::Failed,
            Status::Failed if call.answered_at().is_some() => Self::Answered,
            Status::Failed => Self::Failed,
        }
    }
}

/// From the agent's view.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentDirection)]
#[serde(rename_all = "lowercase")]
enum Direction {
    Inbound,
    Outbound,
}

impl From<pegcount_calls::Direction> for Direction {
    fn from(direction: pegcount_calls::Direction) -> Self {
        match direction {
            pegcount_calls::Direction::Inbound => Self::Inbound,
            pegcount_calls::Direction::Outbound => Self::Outbound,
        }
    }
}

/// Everything that is known of one call.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentCallStats)]
pub(super) struct CallStats<'a> {
    #[schema(value_type = String, format = "uuid")]
    call_id: Uuid,
    call_agent_id: i64,
    #[schema(value_type = Vec<Object>)]
    stt_data: Vec<StageData>,
    #[schema(value_type = Vec<Object>)]
    llm_data: Vec<StageData>,
    #[schema(value_type = Vec<Object>)]
    tts_data: Vec<StageData>,
    call_transcription: Vec<Utterance<'a>>,
    #[schema(format = "uri")]
    call_recording_url: Option<String>,
    from_number: Option<&'a str>,
    to_number: Option<&'a str>,
    recording_id: Option<&'a str>,
    #[schema(value_type = Object)]
    call_context: Verbatim<'a>,
    call_status: CallStatus,
    #[schema(value_type = Option<f64>)]
    call_duration: Option<Measure>,
    billed_duration: Option<u64>,
    #[schema(format = DateTime)]
    initiation_time: String,
    #[schema(format = DateTime)]
    answer_time: Option<String>,
    #[schema(format = DateTime)]
    end_time: Option<String>,
    hangup_cause_name: Option<&'static str>,
    hangup_source: Option<&'static str>,
    call_direction: Direction,
    task_id: Option<i64>,
    call_state_changes: Vec<StateChange>,
    call_triggered: bool,
    call_quality: CallQuality<'a>,
    call_insights: CallInsights<'a>,
    call_timeline: Option<Vec<TimelineEntry<'a>>>,
    tool_data: Vec<ToolUse<'a>>,
    audio_config: AudioConfig<'a>,
    org_id: i64,
}

impl<'a> CallStats<'a> {
    /// The call in this dialect's words.
    pub(super) fn of(
        filed: &'a Filed,
        reports: &'a [Report],
        agent: EndpointNumber,
        recording_url: Option<String>,
    ) -> Self {
        let call = &filed.call;
        let content = &call.content;
        let [stt_data, llm_data, tts_data] = measures::stage_data(reports);
        Self {
            call_id: filed.head.uuid,
            call_agent_id: agent.0,
            stt_data,
            llm_data,
            tts_data,
            call_transcription: content.turns.iter().map(Utterance::of).collect(),
            call_recording_url: recording_url,
            from_number: call.from_number.as_deref(),
            to_number: call.to_number.as_deref(),
            recording_id: content
                .recording
                .as_ref()
                .and_then(|recording| Some(recording.announced_by.as_ref()?.as_str())),
            call_context: Verbatim(content.context.as_ref().map_or("{}", |context| context.as_json_text())),
            call_status: CallStatus::of(call),
            // Milliseconds as thousandths: the nearest fraction to each shows as just these digits.
            call_duration: call.talk_time().map(|talk| Measure(talk.as_millis() as f64 / 1000.0)),
            billed_duration: filed.bill.billed_seconds,
            initiation_time: format_rfc3339(call.created_at),
            answer_time: call.answered_at().map(format_rfc3339),
            end_time: call.ended_at().map(format_rfc3339),
            hangup_cause_name: hangup_cause_name(call),
            hangup_source: call.ending().and_then(|ending| ending.by).map(hangup_source),
            call_direction: call.direction.into(),
            task_id: content.task,
            call_state_changes: StateChange::of_call(call, reports),
            call_triggered: call.status() != Status::Queued,
            call_quality: CallQuality::of(content),
            call_insights: content.analysis.as_ref().into(),
            call_timeline: TimelineEntry::of_reports(reports),
            tool_data: ToolUse::of_entries(&content.tools),
            audio_config: (&content.audio).into(),
            org_id: filed.head.organization.0,
        }
    }
}

fn hangup_cause_name(call: &Call) -> Option<&'static str> {
    let ending = call.ending()?;
    if ending.status() == Status::Canceled {
        return Some("Cancelled");
    }
    Some(match ending.cause {
        Cause::NormalClearing | Cause::UserHangup | Cause::AgentHangup => "Normal Hangup",
        Cause::Busy => "Busy Line",
        Cause::NoAnswer => "No Answer",
        Cause::Rejected => "Rejected",
        Cause::NetworkError => "Network Error",
        Cause::Timeout => "Ring Timeout Reached",
    })
}

fn hangup_source(party: Party) -> &'static str {
    match party {
        Party::Caller => "Caller",
        Party::Callee => "Callee",
        Party::Api => "API Request",
        Party::System => "System",
    }
}
