//! How the call went: its events, and the states it passed through.

use pegcount_calls::{Call, Status, Timestamp};
use pegcount_store::Report;
use serde::Serialize;
use utoipa::ToSchema;

use super::Verbatim;
use crate::vocabulary::{kinds, time::format_rfc3339};

/// One event as it was reported.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentTimelineEntry)]
pub(super) struct TimelineEntry<'a> {
    event: &'a str,
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(value_type = Object)]
    data: Verbatim<'a>,
}

impl<'a> TimelineEntry<'a> {
    /// All events. A call has at least one, so none means that they were erased.
    pub(super) fn of_reports(reports: &'a [Report]) -> Option<Vec<Self>> {
        let entries = reports.iter().map(|report| Self {
            event: &report.kind,
            timestamp: format_rfc3339(report.at),
            data: Verbatim(report.data.as_json_text()),
        });
        (!reports.is_empty()).then(|| entries.collect())
    }
}

/// The states of a call: the statuses of this dialect's document, and words in their manner for what these leave out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = AgentCallState)]
#[serde(rename_all = "UPPERCASE")]
enum CallState {
    Queued,
    Initiated,
    Ringing,
    Answered,
    Held,
    Resumed,
    Transferred,
    /// Ended after an answer.
    Completed,
    /// Ended in any other way.
    Failed,
}

/// One change of state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentStateChange)]
pub(super) struct StateChange {
    state: CallState,
    #[schema(format = DateTime)]
    timestamp: String,
}

impl StateChange {
    /// The changes, oldest first. What a call does once is told once, as the call knows it: each leg may have reported
    /// it, a record may have told it all at the end, and an end may have proved wrong.
    pub(super) fn of_call(call: &Call, reports: &[Report]) -> Vec<Self> {
        let first = |kinds: &[&str]| {
            reports.iter().find(|report| kinds.contains(&report.kind.as_str())).map(|report| report.at)
        };
        let status = call.status();
        let queued = first(&[kinds::CALL_QUEUED]);
        let initiated = first(&[kinds::CALL_INITIATED, kinds::SIP_INVITE_SENT]);
        // A record that was made afterwards does not tell how the call began.
        let begun = queued.is_none().then_some(call.created_at);
        let mut changes: Vec<(Timestamp, CallState)> = Vec::new();
        if status == Status::Queued {
            changes.push((queued.unwrap_or(call.created_at), CallState::Queued));
        } else {
            changes.extend(queued.map(|at| (at, CallState::Queued)));
            changes.extend(initiated.or(begun).map(|at| (at, CallState::Initiated)));
        }
        changes.extend(call.ringing_at.map(|at| (at, CallState::Ringing)));
        changes.extend(call.answered_at().map(|at| (at, CallState::Answered)));
        changes.extend(reports.iter().filter_map(|report| {
            let state = match report.kind.as_str() {
                kinds::CALL_HELD => CallState::Held,
                kinds::CALL_RESUMED => CallState::Resumed,
                kinds::CALL_TRANSFERRED => CallState::Transferred,
                _ => return None,
            };
            Some((report.at, state))
        }));
        changes.extend(call.ended_at().zip(last_state(status)));
        // Stable: what happened in one millisecond stays in the order of a call's life.
        changes.sort_by_key(|(at, _)| *at);
        changes.into_iter().map(|(at, state)| Self { state, timestamp: format_rfc3339(at) }).collect()
    }
}

fn last_state(status: Status) -> Option<CallState> {
    match status {
        Status::Queued | Status::Initiated | Status::Ringing | Status::InProgress => None,
        Status::Completed => Some(CallState::Completed),
        Status::NoAnswer | Status::Canceled | Status::Busy | Status::Failed => Some(CallState::Failed),
    }
}
