//! Which calls are asked for, in which order, which part of the list; and how the answer repeats it.

use pegcount_calls::{CallQuery, EndpointName, MetadataFilter, Paging, Range, Sort, SortKey, Status};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    criteria::{Criteria, METADATA},
    wire::{CallStatus, CallType, Direction, DisconnectionReason, SortBy, SortOrder, Word, sentiment},
};
use crate::access::{Answer, Refusal};

/// Calls on a page when nobody says (contract, organization).
const DEFAULT_LIMIT: u32 = 20;
/// Most calls on a page (contract, organization).
const LARGEST_LIMIT: u32 = 100;
/// Most metadata keys one request may ask about: each is a search of its own.
const MOST_METADATA_KEYS: usize = 20;
/// Longest metadata key in bytes, as of an event.
const LONGEST_METADATA_KEY: usize = 256;
/// A range that no call lies in.
const NEVER: Range = Range { from: Some(1), to: Some(0) };

/// A list as it was asked for.
#[derive(Debug)]
pub(super) struct Listing {
    /// For the store.
    pub(super) query: CallQuery,
    /// The page, from 0.
    pub(super) page: u64,
    /// Calls on a page.
    pub(super) limit: u32,
    /// What the list is ordered by.
    pub(super) sort_by: SortBy,
    /// Which way.
    pub(super) sort_order: SortOrder,
    /// The filters that were applied, as they were understood.
    pub(super) applied: Map<String, Value>,
}

impl Listing {
    /// Reads every parameter.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] that names the first one that has a bad value.
    pub(super) fn of(criteria: &Criteria) -> Answer<Self> {
        let page = criteria.integer("page", 0)?.unwrap_or(0).unsigned_abs();
        let limit = criteria.one("limit", read_limit)?.unwrap_or(DEFAULT_LIMIT);
        let sort_by = criteria.one("sort_by", read_word)?.unwrap_or(SortBy::StartTimestamp);
        let sort_order = criteria.one("sort_order", read_word)?.unwrap_or(SortOrder::Descending);
        let mut applied = Applied::default();
        let mut query = CallQuery {
            sort: Sort { key: sort_key(sort_by), ascending: sort_order == SortOrder::Ascending },
            paging: Paging { limit, offset: page.saturating_mul(u64::from(limit)), after: None },
            ..CallQuery::default()
        };
        filter_by_values(criteria, &mut query, &mut applied)?;
        filter_by_metadata(criteria, &mut query, &mut applied)?;
        filter_by_ranges(criteria, &mut query, &mut applied)?;
        if let Some(text) = criteria.one("transcript_search", read_text)? {
            applied.note("transcript_search", &text);
            query.transcript = Some(text);
        }
        if applied.impossible {
            query.created = NEVER;
        }
        Ok(Self { query, page, limit, sort_by, sort_order, applied: applied.filters })
    }
}

/// The filters that were applied.
#[derive(Default)]
struct Applied {
    filters: Map<String, Value>,
    /// A filter was given that no call can pass.
    impossible: bool,
}

impl Applied {
    fn note(&mut self, name: &str, value: impl Serialize) {
        self.filters.insert(name.to_owned(), json!(value));
    }

    fn note_list(&mut self, name: &str, values: &[impl Serialize]) {
        if !values.is_empty() {
            self.note(name, values);
        }
    }

    fn note_range(&mut self, name: &str, range: Range) {
        if !range.is_open() {
            self.note(name, json!({"lower_threshold": range.from, "upper_threshold": range.to}));
        }
    }
}

fn filter_by_values(criteria: &Criteria, query: &mut CallQuery, applied: &mut Applied) -> Answer<()> {
    let statuses: Vec<CallStatus> = criteria.every("call_status", read_word)?;
    applied.note_list("call_status", &statuses);
    query.statuses = Status::ALL.into_iter().filter(|status| statuses.contains(&(*status).into())).collect();
    // No call is ever SCHEDULED here; an empty list of statuses would mean all of them.
    applied.impossible = query.statuses.is_empty() && !statuses.is_empty();

    let types: Vec<CallType> = criteria.every("call_type", read_word)?;
    applied.note_list("call_type", &types);
    query.call_types = types.into_iter().map(Into::into).collect();

    let directions: Vec<Direction> = criteria.every("direction", read_word)?;
    applied.note_list("direction", &directions);
    query.directions = directions.into_iter().map(Into::into).collect();

    query.endpoints =
        criteria.every("agent_id", |text| EndpointName::new(text).map_err(|error| error.to_string()))?;
    let agents: Vec<&str> = query.endpoints.iter().map(EndpointName::as_str).collect();
    applied.note_list("agent_id", &agents);

    query.from_numbers = criteria.every("from_number", read_text)?;
    applied.note_list("from_number", &query.from_numbers);
    query.to_numbers = criteria.every("to_number", read_text)?;
    applied.note_list("to_number", &query.to_numbers);

    let reasons: Vec<DisconnectionReason> = criteria.every("disconnection_reason", read_word)?;
    applied.note_list("disconnection_reason", &reasons);
    query.disconnections = reasons.into_iter().map(Into::into).collect();

    let batches = criteria.every("batch_call_id", read_text)?;
    applied.note_list("batch_call_id", &batches);
    if !batches.is_empty() {
        query.metadata.push(MetadataFilter { key: "batch_call_id".to_owned(), values: batches });
    }

    query.successful = criteria.every("call_successful", read_bool)?;
    applied.note_list("call_successful", &query.successful);
    query.sentiments = criteria.every("user_sentiment", |text| Ok(sentiment(text)))?;
    applied.note_list("user_sentiment", &query.sentiments);
    query.in_voicemail = criteria.every("in_voicemail", read_bool)?;
    applied.note_list("in_voicemail", &query.in_voicemail);
    Ok(())
}

fn filter_by_metadata(criteria: &Criteria, query: &mut CallQuery, applied: &mut Applied) -> Answer<()> {
    let keys = criteria.metadata_keys();
    if keys.len() > MOST_METADATA_KEYS {
        let message = format!("filters take at most {MOST_METADATA_KEYS} keys");
        return Err(Refusal::invalid("metadata", message));
    }
    for key in keys {
        if key.len() > LONGEST_METADATA_KEY {
            let message = format!("filters take keys of at most {LONGEST_METADATA_KEY} bytes");
            return Err(Refusal::invalid("metadata", message));
        }
        let name = format!("{METADATA}{key}");
        let values = criteria.every(&name, read_text)?;
        applied.note_list(&name, &values);
        query.metadata.push(MetadataFilter { key: key.to_owned(), values });
    }
    Ok(())
}

fn filter_by_ranges(criteria: &Criteria, query: &mut CallQuery, applied: &mut Applied) -> Answer<()> {
    query.created = criteria.range("start_timestamp", i64::MIN)?;
    applied.note_range("start_timestamp", query.created);
    query.ended = criteria.range("end_timestamp", i64::MIN)?;
    applied.note_range("end_timestamp", query.ended);
    query.total_millis = criteria.range("duration_ms", 0)?;
    applied.note_range("duration_ms", query.total_millis);
    Ok(())
}

fn sort_key(sort_by: SortBy) -> SortKey {
    match sort_by {
        // A call starts when it is created at the switch, so these two are one.
        SortBy::StartTimestamp | SortBy::CreatedAt => SortKey::CreatedAt,
        SortBy::EndTimestamp => SortKey::EndedAt,
        SortBy::CallDuration => SortKey::TotalTime,
    }
}

fn read_limit(text: &str) -> Result<u32, String> {
    let value = text.strip_prefix('+').unwrap_or(text).parse().ok();
    value
        .filter(|value| (1..=LARGEST_LIMIT).contains(value))
        .ok_or_else(|| format!("must be an integer from 1 to {LARGEST_LIMIT}"))
}

/// A word of one of this dialect's lists of words, in either case.
fn read_word<T: Word>(text: &str) -> Result<T, String> {
    let known = T::ALL.iter().find(|known| known.word().eq_ignore_ascii_case(text));
    known.copied().ok_or_else(|| {
        let words: Vec<&str> = T::ALL.iter().map(|known| known.word()).collect();
        format!("must be one of {}", words.join(", "))
    })
}

fn read_bool(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

/// Any text; it stands where other values are read that may be wrong.
fn read_text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}
