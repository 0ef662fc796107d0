//! The words of this dialect: names, casing and the order of the keys, as its documents show them.

mod conversation;
mod cost;
mod performance;
mod search;
mod words;

use indexmap::IndexMap;
use pegcount_calls::{Call, EndpointName, Stage, Summary, Timestamp};
use pegcount_store::{Filed, Page, Report};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};
use uuid::Uuid;

use super::listing::Listing;
use crate::{
    access::Access,
    vocabulary::kinds,
    web::{number::Measure, verbatim::Verbatim},
};

use conversation::{Spoken, Utterance};
use cost::{CallCost, CostSum};
pub(super) use performance::AgentPerformance;
pub(super) use search::SearchRequest;
pub(super) use words::{
    CallStatus, CallType, Direction, DisconnectionReason, SortBy, SortOrder, Word, sentiment,
};

/// What every answer is wrapped in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationEnvelope)]
pub(super) struct Envelope<T> {
    message: &'static str,
    #[schema(example = "success")]
    status: &'static str,
    #[schema(schema_with = null)]
    error: (),
    data: T,
}

impl<T> Envelope<T> {
    /// Around what was asked for.
    pub(super) fn success(message: &'static str, data: T) -> Self {
        Self { message, status: "success", error: (), data }
    }
}

/// What every refusal is wrapped in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationFailure)]
pub(super) struct FailureEnvelope {
    #[schema(example = "Call not found")]
    message: String,
    #[schema(example = "error")]
    status: &'static str,
    #[schema(example = "Call with ID 'x' does not exist")]
    error: String,
    #[schema(schema_with = null)]
    data: (),
}

impl FailureEnvelope {
    /// Around the reason why there is nothing.
    pub(super) fn new(message: String, error: String) -> Self {
        Self { message, status: "error", error, data: () }
    }
}

fn null() -> Object {
    ObjectBuilder::new().schema_type(Type::Null).build()
}

/// One part of the list of calls.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationCallList)]
pub(super) struct CallList<'a> {
    organization_id: &'a str,
    calls: Vec<ListedCall<'a>>,
    pagination: Pagination,
    returned_count: usize,
    sort_order: SortOrder,
    sort_by: SortBy,
    applied_filters: &'a Map<String, Value>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationPagination)]
struct Pagination {
    page: u64,
    limit: u32,
    total_count: u64,
    total_pages: u64,
    has_next_page: bool,
    has_previous_page: bool,
}

impl<'a> CallList<'a> {
    /// The page in this dialect's words.
    pub(super) fn of(access: &'a Access, listing: &'a Listing, page: &'a Page) -> Self {
        let organization = access.organization().id.as_str();
        let calls =
            page.calls.iter().map(|filed| ListedCall::of(filed, organization, Urls::of(access, filed)));
        Self::with(organization, listing, calls.collect(), page.total.unwrap_or_default())
    }

    /// The list round calls that are in this dialect's words already.
    pub(super) fn with(
        organization_id: &'a str,
        listing: &'a Listing,
        calls: Vec<ListedCall<'a>>,
        total_count: u64,
    ) -> Self {
        let total_pages = total_count.div_ceil(u64::from(listing.limit.max(1)));
        Self {
            organization_id,
            returned_count: calls.len(),
            calls,
            pagination: Pagination {
                page: listing.page,
                limit: listing.limit,
                total_count,
                total_pages,
                has_next_page: listing.page.saturating_add(1) < total_pages,
                has_previous_page: listing.page > 0,
            },
            sort_order: listing.sort_order,
            sort_by: listing.sort_by,
            applied_filters: &listing.applied,
        }
    }
}

/// Where the recording and the log of a call can be had.
#[derive(Clone, Debug, Default)]
pub(super) struct Urls {
    /// The recording.
    pub(super) recording: Option<String>,
    /// The log.
    pub(super) log: Option<String>,
}

impl Urls {
    fn of(access: &Access, filed: &Filed) -> Self {
        Self { recording: access.recording_url(filed), log: access.log_url(filed) }
    }
}

/// A call in a list. Its keys are those of a call by itself, in the list's order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationListedCall)]
pub(super) struct ListedCall<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    call_id: &'a str,
    agent_id: Option<&'a str>,
    #[serde(flatten)]
    rest: CallBody<'a, CostSum>,
}

impl<'a> ListedCall<'a> {
    /// The call in this dialect's words. A list shows no events and of the cost only the sum.
    pub(super) fn of(filed: &'a Filed, organization: &'a str, urls: Urls) -> Self {
        Self {
            id: filed.head.uuid,
            call_id: filed.head.name.as_str(),
            agent_id: agent_id(&filed.call),
            rest: CallBody::of(filed, organization, urls, Vec::new(), (&filed.bill).into()),
        }
    }
}

/// A call that was asked for by its id.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationFoundCall)]
pub(super) struct FoundCall<'a> {
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    agent_id: Option<&'a str>,
    call_id: &'a str,
    #[serde(flatten)]
    rest: CallBody<'a, CallCost<'a>>,
}

impl<'a> FoundCall<'a> {
    /// The call in this dialect's words.
    pub(super) fn of(access: &'a Access, filed: &'a Filed, reports: &[Report]) -> Self {
        Self::with(filed, access.organization().id.as_str(), Urls::of(access, filed), reports)
    }

    /// The same with links made elsewhere.
    pub(super) fn with(filed: &'a Filed, organization: &'a str, urls: Urls, reports: &[Report]) -> Self {
        let events = CallEvent::of_call(&filed.call, reports);
        Self {
            id: filed.head.uuid,
            agent_id: agent_id(&filed.call),
            call_id: filed.head.name.as_str(),
            rest: CallBody::of(filed, organization, urls, events, (&filed.bill).into()),
        }
    }
}

fn agent_id(call: &Call) -> Option<&str> {
    call.endpoint.as_ref().map(EndpointName::as_str)
}

/// What a call is in the list as well as by itself, in the order of both.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationCallBody)]
struct CallBody<'a, Cost> {
    organization_id: &'a str,
    call_status: CallStatus,
    call_type: CallType,
    direction: Direction,
    from_number: Option<&'a str>,
    to_number: Option<&'a str>,
    start_timestamp: i64,
    end_timestamp: Option<i64>,
    call_duration: Option<u64>,
    disconnection_reason: Option<DisconnectionReason>,
    #[schema(format = "uri")]
    recording_url: Option<String>,
    #[schema(format = "uri")]
    public_log_url: Option<String>,
    opt_out_sensitive_data_storage: bool,
    #[schema(value_type = Object)]
    metadata: IndexMap<&'a str, Verbatim<'a>>,
    events: Vec<CallEvent<'a>>,
    transcript: String,
    transcript_object: Vec<Utterance<'a>>,
    transcript_with_tool_calls: Vec<Spoken<'a>>,
    latency: Latency,
    call_analysis: Option<CallAnalysis<'a>>,
    call_cost: Cost,
    telephony_identifier: TelephonyIdentifier<'a>,
}

impl<'a, Cost> CallBody<'a, Cost> {
    fn of(
        filed: &'a Filed,
        organization_id: &'a str,
        urls: Urls,
        events: Vec<CallEvent<'a>>,
        call_cost: Cost,
    ) -> Self {
        let call = &filed.call;
        let metadata = &call.content.metadata;
        Self {
            organization_id,
            call_status: call.status().into(),
            call_type: call.call_type.into(),
            direction: call.direction.into(),
            from_number: call.from_number.as_deref(),
            to_number: call.to_number.as_deref(),
            start_timestamp: call.created_at.millis(),
            end_timestamp: call.ended_at().map(Timestamp::millis),
            call_duration: call
                .total_time()
                .map(|total| u64::try_from(total.as_millis()).unwrap_or(u64::MAX)),
            disconnection_reason: call.disconnection().map(Into::into),
            recording_url: urls.recording,
            public_log_url: urls.log,
            opt_out_sensitive_data_storage: call.opt_out,
            metadata: metadata
                .iter()
                .map(|(key, value)| (key.as_str(), Verbatim(value.as_json_text())))
                .collect(),
            events,
            transcript: conversation::transcript(&call.content),
            transcript_object: conversation::utterances(call),
            transcript_with_tool_calls: conversation::with_tool_calls(call),
            latency: Latency::of(call),
            call_analysis: call.content.analysis.as_ref().map(Into::into),
            call_cost,
            telephony_identifier: TelephonyIdentifier {
                call_sid: call.content.telephony.call_sid.as_deref(),
                conference_sid: call.content.telephony.conference_sid.as_deref(),
            },
        }
    }
}

/// One entry of a call's log.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationCallEvent)]
pub(super) struct CallEvent<'a> {
    timestamp: i64,
    event: &'static str,
    session_time: i64,
    data: EventData<'a>,
}

#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationEventData)]
#[serde(untagged)]
enum EventData<'a> {
    None(Nothing),
    Parties { direction: Direction, from: Option<&'a str>, to: Option<&'a str> },
    End { disconnection_reason: Option<DisconnectionReason> },
}

/// `{}`
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = OrganizationNothing, max_properties = 0)]
struct Nothing {}

impl<'a> CallEvent<'a> {
    /// The lifecycle. What a call does once is told once, as the call knows it: each leg may have reported it, a record
    /// may have told it all at the end, and an end may have proved wrong.
    fn of_call(call: &'a Call, reports: &[Report]) -> Vec<Self> {
        let answered_at = call.answered_at().map(Timestamp::millis);
        let entry = |at: Timestamp, event, data| CallEvent {
            timestamp: at.millis(),
            event,
            session_time: answered_at.map_or(0, |answered| at.millis().saturating_sub(answered).max(0)),
            data,
        };
        let started = match call.direction {
            pegcount_calls::Direction::Inbound => "Call started - INBOUND",
            pegcount_calls::Direction::Outbound => "Call started - OUTBOUND",
        };
        let parties = EventData::Parties {
            direction: call.direction.into(),
            from: call.from_number.as_deref(),
            to: call.to_number.as_deref(),
        };
        let end = EventData::End { disconnection_reason: call.disconnection().map(Into::into) };
        let mut events = vec![entry(call.created_at, "Call created", EventData::None(Nothing {}))];
        events.extend(call.ringing_at.map(|at| entry(at, "Call ringing", EventData::None(Nothing {}))));
        events.extend(call.answered_at().map(|at| entry(at, started, parties)));
        events.extend(reports.iter().filter_map(|report| {
            let event = match report.kind.as_str() {
                kinds::CALL_HELD => "Call held",
                kinds::CALL_RESUMED => "Call resumed",
                kinds::CALL_TRANSFERRED => "Call transferred",
                _ => return None,
            };
            Some(entry(report.at, event, EventData::None(Nothing {})))
        }));
        events.extend(call.ended_at().map(|at| entry(at, "Call ended", end)));
        // Stable: what happened in one millisecond stays in the order of a call's life.
        events.sort_by_key(|event| event.timestamp);
        events
    }
}

/// The latencies of the stages that have some.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = OrganizationLatency)]
struct Latency {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LatencySummary, required = false)]
    e2e: Option<LatencySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LatencySummary, required = false)]
    llm: Option<LatencySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LatencySummary, required = false)]
    stt: Option<LatencySummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LatencySummary, required = false)]
    tts: Option<LatencySummary>,
}

impl Latency {
    fn of(call: &Call) -> Self {
        let of = |stage| call.latency(stage).map(LatencySummary::from);
        Self { e2e: of(Stage::EndToEnd), llm: of(Stage::Llm), stt: of(Stage::Stt), tts: of(Stage::Tts) }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationLatencySummary)]
struct LatencySummary {
    #[schema(value_type = Option<f64>)]
    max: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    min: Option<Measure>,
    num: Option<u64>,
    #[schema(value_type = Option<f64>)]
    p50: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    p90: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    p95: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    p99: Option<Measure>,
    #[schema(value_type = Vec<f64>)]
    values: Vec<Measure>,
}

impl From<Summary> for LatencySummary {
    fn from(summary: Summary) -> Self {
        Self {
            max: summary.max.map(Measure),
            min: summary.min.map(Measure),
            num: summary.num,
            p50: summary.p50.map(Measure),
            p90: summary.p90.map(Measure),
            p95: summary.p95.map(Measure),
            p99: summary.p99.map(Measure),
            values: summary.values.into_iter().map(Measure).collect(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationCallAnalysis)]
struct CallAnalysis<'a> {
    call_successful: Option<bool>,
    call_summary: Option<&'a str>,
    #[schema(example = "Positive")]
    user_sentiment: Option<String>,
    in_voicemail: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    custom_analysis_data: Option<Verbatim<'a>>,
}

impl<'a> From<&'a pegcount_calls::Analysis> for CallAnalysis<'a> {
    fn from(analysis: &'a pegcount_calls::Analysis) -> Self {
        Self {
            call_successful: analysis.successful,
            call_summary: analysis.summary.as_deref(),
            user_sentiment: analysis.sentiment.as_deref().map(sentiment),
            in_voicemail: analysis.in_voicemail,
            custom_analysis_data: analysis.custom.as_ref().map(|custom| Verbatim(custom.as_json_text())),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrganizationTelephonyIdentifier)]
struct TelephonyIdentifier<'a> {
    call_sid: Option<&'a str>,
    conference_sid: Option<&'a str>,
}
