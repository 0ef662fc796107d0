//! Which calls a query means, as a condition in SQL.

use pegcount_calls::{CallQuery, Cursor, MetadataFilter, Range};
use rusqlite::types::Value;

use super::codes::Code;
use crate::{OrganizationNumber, StatsQuery};

/// A condition on the rows of `calls`, and the values of its parameters in their order.
#[derive(Clone)]
pub(super) struct Conditions {
    sql: String,
    values: Vec<Value>,
}

impl Conditions {
    /// Every saved call of an organization.
    fn of(organization: OrganizationNumber) -> Self {
        Self { sql: "org = ? AND start_ms IS NOT NULL".to_owned(), values: vec![organization.0.into()] }
    }

    /// The calls that a query means, wherever its part of the list begins.
    pub(super) fn of_calls(organization: OrganizationNumber, query: &CallQuery) -> Self {
        let mut all = Self::of(organization);
        if !query.metadata.is_empty() || query.transcript.is_some() {
            // The plus takes the indexes by organization out of the choice: few calls have what is looked for, so to
            // go from these to their rows beats a walk over all calls of the organization.
            all.sql = "+org = ? AND +start_ms IS NOT NULL".to_owned();
        }
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
        for filter in &query.metadata {
            all.with_metadata(organization, filter);
        }
        if let Some(text) = &query.transcript {
            all.saying(text);
        }
        all
    }

    /// The calls that statistics are about.
    pub(super) fn of_stats(organization: OrganizationNumber, query: &StatsQuery) -> Self {
        let mut all = Self::of(organization);
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

    /// Only calls after this place in a list ordered by creation.
    pub(super) fn after(mut self, place: Cursor, ascending: bool) -> Self {
        let (bound, beyond) = if ascending { (">=", ">") } else { ("<=", "<") };
        let start = place.created_at.millis();
        // Ties by arrival, newest first, in both orders.
        let condition = format!("start_ms {bound} ? AND (start_ms {beyond} ? OR pk < ?)");
        self.and(&condition, [start, start, place.arrival]);
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

    fn one_of<T: Into<Value>>(&mut self, column: &str, wanted: impl ExactSizeIterator<Item = T>) {
        if wanted.len() > 0 {
            let condition = format!("{column} {}", any_of(wanted.len()));
            self.and(&condition, wanted);
        }
    }

    fn within(&mut self, column: &str, range: Range) {
        if let Some(from) = range.from {
            self.and(&format!("{column} >= ?"), [from]);
        }
        if let Some(to) = range.to {
            self.and(&format!("{column} <= ?"), [to]);
        }
    }

    fn with_metadata(&mut self, organization: OrganizationNumber, filter: &MetadataFilter) {
        if filter.values.is_empty() {
            return;
        }
        let values = any_of(filter.values.len());
        let condition =
            format!("pk IN (SELECT pk FROM call_meta WHERE org = ? AND key = ? AND value {values})");
        let found = [Value::from(organization.0), filter.key.clone().into()];
        self.and(&condition, found.into_iter().chain(filter.values.iter().cloned().map(Into::into)));
    }

    fn saying(&mut self, text: &str) {
        match match_of(text) {
            Some(expression) => {
                self.and("pk IN (SELECT rowid FROM transcripts WHERE transcripts MATCH ?)", [expression]);
            }
            None => self.and("FALSE", [0_i64; 0]),
        }
    }
}

/// Equals one of so many parameters.
fn any_of(count: usize) -> String {
    if count == 1 { "= ?".to_owned() } else { format!("IN ({})", vec!["?"; count].join(", ")) }
}

/// The full-text expression for a text: each word, and each phrase within double quotes, must occur. Everything is
/// quoted, so no text is ever read as an operator. `None` when there is nothing to look for.
fn match_of(text: &str) -> Option<String> {
    let mut terms: Vec<String> = Vec::new();
    let mut parts = text.split('"').enumerate().peekable();
    while let Some((place, part)) = parts.next() {
        // Every second part lies within quotes, unless the closing one is missing.
        if place % 2 == 1 && parts.peek().is_some() {
            terms.push(part.replace(char::is_control, " "));
        } else {
            terms.extend(
                part.split(|char: char| char.is_whitespace() || char.is_control()).map(str::to_owned),
            );
        }
    }
    // The tokenizer takes letters, digits and private-use characters; a term without any would match everything.
    terms.retain(|term| term.chars().any(|char| char.is_alphanumeric() || is_private(char)));
    // Side by side, not joined by AND: then a term that has no token after all is passed over, as it should be.
    let quoted: Vec<String> = terms.iter().map(|term| format!("\"{term}\"")).collect();
    (!quoted.is_empty()).then(|| quoted.join(" "))
}

fn is_private(char: char) -> bool {
    matches!(char, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_phrases_are_quoted_and_nothing_else_gets_through() {
        assert_eq!(match_of("refund  NOT:x*").as_deref(), Some(r#""refund" "NOT:x*""#));
        assert_eq!(match_of(r#"a "new line" b"#).as_deref(), Some(r#""a" "new line" "b""#));
        assert_eq!(match_of(r#"open "quote OR"#).as_deref(), Some(r#""open" "quote" "OR""#));
        assert_eq!(match_of("nul\0byte").as_deref(), Some(r#""nul" "byte""#));
        assert_eq!(match_of(r#" "" -- * "#), None);
    }
}
