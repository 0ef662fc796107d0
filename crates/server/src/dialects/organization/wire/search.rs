//! What a search asks for in a body. It only documents what `criteria.rs` reads by hand.
#![expect(dead_code, reason = "it is never made: the criteria are read by hand")]

use utoipa::ToSchema;

use super::{CallStatus, CallType, Direction, DisconnectionReason, SortBy, SortOrder};

/// A search for calls.
#[derive(ToSchema)]
#[schema(as = OrganizationSearch)]
pub(in super::super) struct SearchRequest {
    /// From 0.
    #[schema(minimum = 0, default = 0)]
    page: Option<u64>,
    #[schema(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    sort_by: Option<SortBy>,
    sort_order: Option<SortOrder>,
    filter_criteria: Option<FilterCriteria>,
}

/// Which calls. Alternatives within a list, all filters together. Each list may be a single value too, and
/// `metadata.KEY` stands for a key of `metadata`.
#[derive(ToSchema)]
#[schema(as = OrganizationFilterCriteria, example = json!({
    "call_status": ["ENDED"], "agent_id": ["agent-123"],
    "duration_ms": {"lower_threshold": 30000, "upper_threshold": 300000}, "transcript_search": "help"
}))]
struct FilterCriteria {
    call_status: Option<Vec<CallStatus>>,
    call_type: Option<Vec<CallType>>,
    direction: Option<Vec<Direction>>,
    agent_id: Option<Vec<String>>,
    from_number: Option<Vec<String>>,
    to_number: Option<Vec<String>>,
    disconnection_reason: Option<Vec<DisconnectionReason>>,
    /// The same as `metadata.batch_call_id`.
    batch_call_id: Option<Vec<String>>,
    call_successful: Option<Vec<bool>>,
    user_sentiment: Option<Vec<String>>,
    in_voicemail: Option<Vec<bool>>,
    /// A value, or a list of values, for each key.
    metadata: Option<std::collections::BTreeMap<String, Vec<String>>>,
    start_timestamp: Option<Threshold>,
    end_timestamp: Option<Threshold>,
    duration_ms: Option<Threshold>,
    /// Words of the transcript or the summary.
    transcript_search: Option<String>,
}

/// Two bounds in milliseconds, both inclusive.
#[derive(ToSchema)]
#[schema(as = OrganizationThreshold)]
struct Threshold {
    lower_threshold: Option<i64>,
    upper_threshold: Option<i64>,
}
