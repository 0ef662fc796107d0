//! Which calls a query means, as a condition in SQL.

use pegcount_calls::{CallQuery, MetadataFilter, Range};
use rusqlite::types::Value;

use super::{codes::Code, ways::Way, words};
use crate::{OrganizationNumber, StatsQuery};

/// A condition on the rows of `calls`, and the values of its parameters in their order.
#[derive(Clone)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Every call of an organization, saved or not.
    pub(super) fn of(organization: OrganizationNumber) -> Self {
        Self { sql: "org = ?".to_owned(), values: vec![organization.0.into()] }
    }

    /// The calls that a query means, wherever its part of the list begins, read this way. Whether they are saved is left
    /// to [`Self::saved`], since what says so is not in every index.
    pub(super) fn of_calls(organization: OrganizationNumber, query: &CallQuery, way: Way) -> Self {
        let mut all = Self::of(organization);
        all.one_of("status", query.statuses.iter().map(|status| status.code()));
        all.one_of("direction", query.directions.iter().map(|direction| direction.code()));
        all.one_of("call_type", query.call_types.iter().map(|call_type| call_type.code()));
        all.one_of("endpoint", query.endpoints.iter().map(|id| id.as_str().to_owned()));
        all.one_of("phone_number", query.phone_numbers.iter().map(|id| id.as_str().to_owned()));
        all.one_of("from_number", query.from_numbers.iter().cloned());
        all.one_of("to_number", query.to_numbers.iter().cloned());
        all.one_of("disconnection", query.disconnections.iter().map(|reason| reason.code()));
        all.one_of("successful", query.successful.iter().copied());
        all.one_of("sentiment", query.sentiments.iter().map(|sentiment| sentiment.to_lowercase()));
        all.one_of("in_voicemail", query.in_voicemail.iter().copied());
        all.within("start_ms", query.created);
        all.within("ended_ms", query.ended);
        all.within("total_ms", query.total_millis);
        let filters = query.metadata.iter().enumerate().filter(|(_, filter)| !filter.values.is_empty());
        for (place, filter) in filters {
            all.found(&metadata(organization, filter), way == Way::Metadata(place));
        }
        if let Some(text) = &query.transcript {
            all.found(&said(organization, text), way == Way::Words);
        }
        all
    }

    /// The calls that statistics are about.
    pub(super) fn of_stats(organization: OrganizationNumber, query: &StatsQuery) -> Self {
        let mut all = Self::of(organization).saved();
        all.one_of("endpoint", query.endpoint.iter().map(|id| id.as_str().to_owned()));
        all.one_of("phone_number", query.phone_number.iter().map(|id| id.as_str().to_owned()));
        all.within("start_ms", query.created);
        all
    }

    /// Only calls created at this moment, or on from it in a list ordered by creation.
    pub(super) fn created_from(mut self, begin: i64, ascending: bool) -> Self {
        self.and(if ascending { "start_ms >= ?" } else { "start_ms <= ?" }, [begin]);
        self
    }

    /// Only calls that have been saved.
    pub(super) fn saved(mut self) -> Self {
        self.and("start_ms IS NOT NULL", [0_i64; 0]);
        self
    }

    /// Only calls for which this holds.
    pub(super) fn but(mut self, condition: &str) -> Self {
        self.and(condition, [0_i64; 0]);
        self
    }

    /// Only calls after this place in a list ordered by a column in which it has this value.
    pub(super) fn after(mut self, column: &str, [value, arrival]: [i64; 2], ascending: bool) -> Self {
        let (bound, beyond) = if ascending { (">=", ">") } else { ("<=", "<") };
        // Ties by arrival, newest first, in both orders.
        let condition = format!("{column} {bound} ? AND ({column} {beyond} ? OR pk < ?)");
        self.and(&condition, [value, value, arrival]);
        self
    }

    /// Only calls that arrived before this one.
    pub(super) fn before(mut self, arrival: i64) -> Self {
        self.and("pk < ?", [arrival]);
        self
    }

    /// The condition.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// The values of its parameters.
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    /// And this as well.
    pub(super) fn and<T: Into<Value>>(&mut self, condition: &str, values: impl IntoIterator<Item = T>) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
        self.values.extend(values.into_iter().map(Into::into));
    }

    pub(super) fn one_of<T: Into<Value>>(&mut self, column: &str, wanted: impl ExactSizeIterator<Item = T>) {
        if wanted.len() > 0 {
            let condition = format!("{column} {}", any_of(wanted.len()));
            self.and(&condition, wanted);
        }
    }

    pub(super) fn within(&mut self, column: &str, range: Range) {
        if let Some(from) = range.from {
            self.and(&format!("{column} >= ?"), [from]);
        }
        if let Some(to) = range.to {
            self.and(&format!("{column} <= ?"), [to]);
        }
    }

    /// Only calls that are among those found elsewhere. Unless they lead the way the plus keeps SQLite from going from
    /// them to their rows.
    fn found(&mut self, (found, values): &(String, Vec<Value>), leads: bool) {
        let call = if leads { "pk" } else { "+pk" };
        self.and(&format!("{call} IN ({found})"), values.iter().cloned());
    }
}

/// A statement that gives the keys of calls with one of these values of a metadata key.
pub(super) fn metadata(organization: OrganizationNumber, filter: &MetadataFilter) -> (String, Vec<Value>) {
    let found = [Value::from(organization.0), filter.key.clone().into()];
    let values = any_of(filter.values.len());
    (
        format!("SELECT pk FROM call_meta WHERE org = ? AND key = ? AND value {values}"),
        found.into_iter().chain(filter.values.iter().cloned().map(Into::into)).collect(),
    )
}

/// A statement that gives the keys of calls in which this is said.
pub(super) fn said(organization: OrganizationNumber, text: &str) -> (String, Vec<Value>) {
    said_in(words::match_of_text(organization, text))
}

/// A statement that gives the keys of calls that a full-text expression finds; none without one.
pub(super) fn said_in(expression: Option<String>) -> (String, Vec<Value>) {
    match expression {
        Some(expression) => (
            "SELECT rowid FROM transcripts WHERE transcripts MATCH blinded(?)".to_owned(),
            vec![expression.into()],
        ),
        None => ("SELECT NULL WHERE FALSE".to_owned(), Vec::new()),
    }
}

/// Equals one of so many parameters.
fn any_of(count: usize) -> String {
    if count == 1 { "= ?".to_owned() } else { format!("IN ({})", vec!["?"; count].join(", ")) }
}
