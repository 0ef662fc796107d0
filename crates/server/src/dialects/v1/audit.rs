//! `/v1/audit`: who read what was said in calls, who erased, who changed keys.

use axum::{Json, extract::RawQuery};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use pegcount_calls::Timestamp;
use pegcount_store::{AuditEntry, AuditPlace};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{handlers::params, query::limit, wire::raw};
use crate::{
    access::{Action, AuditFilter, Refusal},
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::Failure,
        query::Params,
        schemas::{DateOrTime, TimeZoneName, one_of, schema},
    },
};

/// An entry of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditBody {
    /// Its place in the log of the server. Entries of other organizations lie between.
    pub number: i64,
    /// When it was done.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The id of a key; or `link`, `open`, `operator` or `server`, who have none.
    #[schema(example = "key_abcdefghijklmnop")]
    pub actor: String,
    /// What was done.
    #[schema(example = "call_read")]
    pub action: String,
    /// To what: the UUID of a call, the id of a key, the number of a job. Null for lists.
    pub subject: Option<String>,
    /// What else is to be known, such as how many calls a list had.
    #[schema(value_type = Object)]
    pub details: Box<RawValue>,
    /// SHA-256 over the hash of the entry before it and what this one says, in hexadecimal.
    pub hash: String,
}

impl From<&AuditEntry> for AuditBody {
    fn from(entry: &AuditEntry) -> Self {
        let deed = &entry.deed;
        Self {
            number: entry.number,
            created_at: format_rfc3339(deed.at),
            actor: deed.actor.clone(),
            action: deed.action.clone(),
            subject: deed.subject.clone(),
            details: raw(deed.details.as_json_text()),
            hash: HEXLOWER.encode(&entry.hash),
        }
    }
}

/// Entries of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditBody>,
    /// How many were asked for.
    pub limit: u32,
    /// Where the next part begins; null at the end.
    pub next_cursor: Option<String>,
}

fn filter(params: &Params) -> Result<AuditFilter, Refusal> {
    let action = params.get("action").map(|name| Action::named(name).ok_or_else(no_action)).transpose()?;
    let after = params.get("cursor").map(|text| read_cursor(text).ok_or_else(no_cursor)).transpose()?;
    let limit = limit(params)?;
    let text = |name| params.get(name).map(str::to_owned);
    let (actor, call) = (text("actor"), text("call"));
    Ok(AuditFilter { action, actor, call, at: params.created()?, limit, after })
}

fn no_action() -> Refusal {
    let names = Action::ALL.map(Action::name);
    Refusal::invalid("action", format!("must be one of {}", names.join(", ")))
}

fn no_cursor() -> Refusal {
    Refusal::invalid("cursor", "must be the next_cursor of an answer")
}

fn write_cursor(after: AuditPlace) -> String {
    BASE64URL_NOPAD.encode(format!("audit,{},{}", after.at.millis(), after.number).as_bytes())
}

fn read_cursor(text: &str) -> Option<AuditPlace> {
    let decoded = String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
    let (at, number) = decoded.strip_prefix("audit,")?.split_once(',')?;
    Some(AuditPlace { at: Timestamp::from_millis(at.parse().ok()?), number: number.parse().ok()? })
}

schema! {
    /// The name of an action.
    ActionName = one_of(Action::ALL.map(Action::name))
}

/// List the audit log of the organization, newest first.
///
/// Who read what was said in calls, who heard recordings, who erased, who changed keys. What was done in the last second may
/// not be there yet.
#[utoipa::path(
    get, path = "/v1/audit", tag = "settings",
    params(
        ("action" = inline(Option<ActionName>), Query, description = "Only what was done so: call_read, calls_listed, calls_searched, events_read, log_read, sip_trace_read, recording_linked, recording_heard, call_erased, call_held, call_released, erasure_ordered, key_created, key_rotated, key_revoked, job_retried, job_forgotten"),
        ("actor" = Option<String>, Query, description = "Only by this key (its id), or link, open, operator"),
        ("call" = Option<String>, Query, description = "Only about this call: its UUID, or its id while it is not erased"),
        ("from_date" = Option<DateOrTime>, Query, description = "Start date or time (ISO 8601), inclusive"),
        ("to_date" = Option<DateOrTime>, Query, description = "End: a date is covered whole, a time is exclusive"),
        ("tz" = Option<TimeZoneName>, Query, description = "IANA time zone of dates without an offset; default UTC"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of an answer: continues there"),
    ),
    responses(
        (status = 200, body = AuditList),
        (status = 404, description = "CALL_NOT_FOUND: there is no call of this id; a UUID is always searched for"),
    )
)]
pub(super) async fn list_audit(
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<AuditList>, Failure> {
    let filter = filter(&params(query.as_deref()))?;
    let limit = filter.limit;
    let page = caller.access.audit(filter).await?;
    let entries = page.entries.iter().map(AuditBody::from).collect();
    Ok(Json(AuditList { entries, limit, next_cursor: page.next.map(write_cursor) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        let place = AuditPlace { at: Timestamp::from_millis(-5), number: 17 };
        assert_eq!(read_cursor(&write_cursor(place)), Some(place));
        for other in ["", "17", "nonsense", "YXVkaXQsMTc", "am9iLDE3"] {
            assert_eq!(read_cursor(other), None, "{other}");
        }
    }

    #[test]
    fn an_action_that_there_is_not_is_refused_by_name() {
        let refused = filter(&Params::parse("action=nonsense")).unwrap_err().to_string();
        assert!(refused.starts_with("action must be one of call_read, "), "{refused}");
        assert_eq!(filter(&Params::parse("action=call_erased")).unwrap().action, Some(Action::CallErased));
    }
}
