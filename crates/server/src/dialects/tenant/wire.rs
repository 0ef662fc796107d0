//! The words of this dialect: exactly the documented keys, in the documented order.

use axum::extract::ws::Utf8Bytes;
use pegcount_calls::{Stats, Status};
use pegcount_store::OrganizationNumber;
use serde::Serialize;
use utoipa::{
    ToSchema,
    openapi::{
        Object, ObjectBuilder, Ref, Type,
        schema::{AnyOfBuilder, Schema, SchemaType},
    },
};

use crate::web::schemas::{DateOrTime, TimeZoneName};

/// The answer of `get_cdr_stats.php`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct CdrStats {
    /// The tenant, as it was asked for.
    #[schema(example = "1")]
    tenant_id: String,
    /// Calls that have ended.
    #[schema(example = 18)]
    total_calls: u64,
    /// Those that were answered.
    #[schema(example = 18)]
    answered: u64,
    /// Those that rang out.
    #[schema(example = 0)]
    no_answer: u64,
    /// Those that were given up before an answer.
    #[schema(example = 0)]
    cancel: u64,
}

impl CdrStats {
    /// The buckets of events.md: what is busy or failed unanswered counts in the total alone.
    pub(super) fn of(tenant_id: String, stats: &Stats) -> Self {
        let ended = stats.ended();
        Self {
            tenant_id,
            total_calls: ended.calls,
            answered: ended.answered,
            no_answer: stats.with_status(Status::NoAnswer).calls,
            cancel: stats.with_status(Status::Canceled).calls,
        }
    }
}

/// The answer of `get_live_calls.php`.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct LiveCalls {
    /// The tenant, as it was asked for.
    #[schema(example = "1")]
    pub(super) tenant_id: String,
    /// Calls that are live now.
    #[schema(example = 0)]
    pub(super) live_calls: usize,
}

/// The number of a tenant, as a string or as an integer.
fn tenant_id() -> Object {
    let types: SchemaType = [Type::String, Type::Integer, Type::Null].into_iter().collect();
    ObjectBuilder::new().schema_type(types).build()
}

/// A form has empty fields where nothing was filled in.
fn date_or_time() -> Schema {
    let schema = AnyOfBuilder::new()
        .item(Ref::from_schema_name(DateOrTime::name()))
        .item(ObjectBuilder::new().schema_type(Type::String).max_length(Some(0)))
        .item(ObjectBuilder::new().schema_type(Type::Null));
    schema.build().into()
}

/// What both take. The tenant may be named in the query instead.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only documents what body.rs reads by hand")]
pub(super) struct Question {
    /// The tenant's number. JSON may hold it as an integer, too.
    #[schema(example = "1", schema_with = tenant_id, required = false)]
    tenant_id: String,
    /// Only calls created from then on: a date, or an RFC 3339 time. Statistics only.
    #[schema(schema_with = date_or_time, required = false)]
    from_date: Option<String>,
    /// Only calls created until then: a date, which is covered whole, or an RFC 3339 time. Statistics only.
    #[schema(schema_with = date_or_time, required = false)]
    to_date: Option<String>,
    /// The IANA time zone of dates; UTC without one. Statistics only.
    #[schema(value_type = Option<TimeZoneName>)]
    tz: Option<String>,
}

/// Every failure.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// Always `error`.
    #[schema(example = "error")]
    pub(super) status: &'static str,
    /// What is wrong, in a sentence.
    #[schema(example = "tenant_id is required")]
    pub(super) message: String,
}

/// The message that tells the system-wide count.
pub(super) fn total_message(count: usize) -> Utf8Bytes {
    format!(r#"{{"event":"call_count","count":{count}}}"#).into()
}

/// The message that tells one tenant's count.
pub(super) fn tenant_message(tenant: OrganizationNumber, count: usize) -> Utf8Bytes {
    format!(r#"{{"event":"call_count","count":{count},"tenant_id":"{}"}}"#, tenant.0).into()
}
