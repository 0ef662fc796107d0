//! What a search asks for in a body. It only documents what `criteria.rs` reads by hand.
#![expect(dead_code, reason = "it is never made: the criteria are read by hand")]

use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, Type, schema::SchemaType},
};

use super::{CallStatus, CallType, Direction, DisconnectionReason, SortBy, SortOrder};
use crate::web::schemas::{Id, schema};

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

/// Which calls. Alternatives within a list, all filters together; `metadata.KEY` stands for a key of `metadata`.
#[derive(ToSchema)]
#[schema(as = OrganizationFilterCriteria, example = json!({
    "call_status": ["ENDED"], "agent_id": ["agent-123"],
    "duration_ms": {"lower_threshold": 30000, "upper_threshold": 300000}, "transcript_search": "help"
}))]
struct FilterCriteria {
    call_status: Option<OneOrMany<CallStatus>>,
    call_type: Option<OneOrMany<CallType>>,
    direction: Option<OneOrMany<Direction>>,
    agent_id: Option<OneOrMany<Id>>,
    from_number: Option<OneOrMany<String>>,
    to_number: Option<OneOrMany<String>>,
    disconnection_reason: Option<OneOrMany<DisconnectionReason>>,
    /// The same as `metadata.batch_call_id`.
    batch_call_id: Option<OneOrMany<String>>,
    call_successful: Option<OneOrMany<bool>>,
    user_sentiment: Option<OneOrMany<String>>,
    in_voicemail: Option<OneOrMany<bool>>,
    /// A value, or a list of values, for each key.
    metadata: Option<std::collections::BTreeMap<String, OneOrMany<MetadataValue>>>,
    start_timestamp: Option<Threshold>,
    end_timestamp: Option<Threshold>,
    duration_ms: Option<LengthThreshold>,
    /// Words of the transcript or the summary.
    transcript_search: Option<String>,
}

/// A value, or several of which one is enough.
#[derive(ToSchema)]
#[schema(as = OrganizationOneOrMany)]
#[serde(untagged)]
enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

schema! {
    /// A value of metadata, which is compared as text.
    MetadataValue = ObjectBuilder::new()
        .schema_type([Type::String, Type::Number, Type::Boolean].into_iter().collect::<SchemaType>())
}

/// Two bounds of a length in milliseconds, both inclusive.
#[derive(ToSchema)]
#[schema(as = OrganizationLengthThreshold)]
struct LengthThreshold {
    #[schema(minimum = 0)]
    lower_threshold: Option<i64>,
    #[schema(minimum = 0)]
    upper_threshold: Option<i64>,
}

/// Two bounds in milliseconds since the epoch, both inclusive.
#[derive(ToSchema)]
#[schema(as = OrganizationThreshold)]
struct Threshold {
    lower_threshold: Option<i64>,
    upper_threshold: Option<i64>,
}
