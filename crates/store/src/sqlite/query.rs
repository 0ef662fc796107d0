//! Lists of calls.
//!
//! A list is read in one part, or in two: by end or by time, the calls of which that is known come first and the others
//! after them, each part from an index that has its order.

use std::time::Instant;

use pegcount_calls::{CallQuery, Cursor, MetadataFilter, Sort, SortKey};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    calls,
    conditions::{Conditions, metadata, said, said_in},
    connect::{READ_LIMIT, Snapshot},
    fault::{Fault, Result, unreadable},
    locate::{Countable, Place},
    ranking,
    rows::{count, many},
    ways::{self, Way},
    words,
};
use crate::{CallKey, FoldReports, OrganizationNumber, Page, StoreError};

/// One part of the list that a query asks for.
pub(super) fn page(
    connection: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &CallQuery,
    fold: FoldReports,
) -> Result<Page> {
    let query = &settled(query);
    let after = query.paging.after;
    let countable = match after {
        Some(_) => None,
        None => Countable::of(connection, organization, query)?,
    };
    let total = match (after, &countable) {
        (Some(_), _) => None,
        (None, Some(countable)) => Some(countable.total()?),
        (None, None) => Some(counted(connection, organization, query)?),
    };
    let nothing = Page { calls: Vec::new(), total, next: None };
    if total.is_some_and(|total| query.paging.offset >= total) {
        return Ok(nothing);
    }
    let mut places = if query.sort.key == SortKey::Relevance {
        ranking::places(connection, organization, query, total)?
    } else {
        let by_creation = query.sort.key == SortKey::CreatedAt;
        let place = match countable.filter(|_| by_creation && query.paging.offset > 0) {
            Some(countable) => Some(countable.place(query.paging.offset, query.sort.ascending)?),
            None => None,
        };
        let Some(begin) = Begin::at(query, place) else { return Ok(nothing) };
        let way = ways::of_list(connection, organization, query, total)?;
        places(connection, &Parts { organization, query, way, begin })?
    };
    let more = places.len() > usize::try_from(query.paging.limit).unwrap_or(usize::MAX);
    if more {
        places.pop();
    }
    let next = places.last().copied().filter(|_| more && query.sort.key != SortKey::Relevance);
    let begun = Instant::now();
    let calls = places.iter().filter_map(|place| {
        // SQLite cuts what itself takes too long, not what calls without a document take to be folded.
        if begun.elapsed() > READ_LIMIT {
            return Some(Err(StoreError::TooLong.into()));
        }
        match calls::filed(connection, CallKey(place.arrival), fold) {
            // Its words are still in their index: it was erased a moment ago.
            Ok(None) if query.transcript.is_some() => None,
            Ok(None) => Some(Err(in_an_index_only(place.arrival))),
            Ok(Some(filed)) => Some(Ok(filed)),
            Err(fault) => Some(Err(fault)),
        }
    });
    let calls = calls.collect::<Result<_>>()?;
    Ok(Page { calls, total, next })
}

/// The query in the form in which it is answered: what means nothing is not there.
fn settled(query: &CallQuery) -> CallQuery {
    let mut query = query.clone();
    if query.sort.key == SortKey::Relevance && query.transcript.is_none() {
        query.sort = Sort::default();
    }
    if query.sort.key == SortKey::Relevance {
        query.paging.after = None;
    }
    if query.paging.after.is_some() {
        query.paging.offset = 0;
    }
    query
}

/// How many calls a query means, counted one by one.
fn counted(connection: &Connection, organization: OrganizationNumber, query: &CallQuery) -> Result<u64> {
    let (sql, values) = counting(connection, organization, query)?;
    count(connection, &sql, params_from_iter(values))
}

fn counting(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &CallQuery,
) -> Result<(String, Vec<Value>)> {
    let words = words_alone(query).map(|text| said(organization, text));
    let alone = words.or_else(|| Some(metadata(organization, metadata_alone(query)?)));
    if let Some((found, values)) = alone {
        return Ok((format!("SELECT count(*) FROM ({found})"), values));
    }
    let way = ways::of_count(connection, organization, query)?;
    // What says that a call was saved is in the indexes of creation alone. Whoever has ended was saved.
    let meant = Conditions::of_calls(organization, query, way);
    let meant = if query.ended.is_open() && query.total_millis.is_open() { meant.saved() } else { meant };
    let sql = format!("SELECT count(*) FROM {} WHERE {}", way.rows(), meant.sql());
    Ok((sql, meant.values().to_vec()))
}

/// What is searched for, if nothing else is asked for: every call in the index of words is meant.
pub(super) fn words_alone(query: &CallQuery) -> Option<&str> {
    let words = CallQuery { transcript: query.transcript.clone(), ..CallQuery::default() };
    query.transcript.as_deref().filter(|_| asks_for(query, words))
}

/// The metadata that is asked for, if nothing else is: every call in the index of metadata is meant.
fn metadata_alone(query: &CallQuery) -> Option<&MetadataFilter> {
    let [filter] = query.metadata.as_slice() else { return None };
    let metadata = CallQuery { metadata: query.metadata.clone(), ..CallQuery::default() };
    (!filter.values.is_empty() && asks_for(query, metadata)).then_some(filter)
}

/// Whether a query has these filters and no others.
fn asks_for(query: &CallQuery, filters: CallQuery) -> bool {
    CallQuery { sort: query.sort, paging: query.paging.clone(), ..filters } == *query
}

/// Where the part of a list begins that was asked for.
#[derive(Clone, Copy)]
enum Begin {
    /// After so many calls.
    Offset(u64),
    /// After so many of the calls that were created at this moment or lie behind it.
    Created(i64, u64),
    /// After this place.
    After(Cursor),
}

impl Begin {
    /// `None` behind the end of the list.
    fn at(query: &CallQuery, place: Option<Place>) -> Option<Self> {
        match (query.paging.after, place) {
            (Some(cursor), _) => Some(Self::After(cursor)),
            (None, Some(Place::Behind)) => None,
            (None, Some(Place::Within { begin, offset })) => Some(Self::Created(begin, offset)),
            (None, None) => Some(Self::Offset(query.paging.offset)),
        }
    }
}

/// A list and how it is read.
struct Parts<'a> {
    organization: OrganizationNumber,
    query: &'a CallQuery,
    /// What the calls are read by; `None`: by the order of each part.
    way: Option<Way>,
    begin: Begin,
}

/// A stretch of a list that one index has in its order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All calls, by creation.
    Created,
    /// The calls of which this is known.
    Known { column: &'static str, index: &'static str },
    /// The others, by arrival.
    Unknown,
}

impl Part {
    /// The parts of a list, in its order, without those that no call can be in.
    fn of(query: &CallQuery) -> Vec<Self> {
        let known = match query.sort.key {
            SortKey::CreatedAt | SortKey::Relevance => return vec![Self::Created],
            SortKey::EndedAt => Self::Known { column: "ended_ms", index: "calls_ended" },
            SortKey::TotalTime => Self::Known { column: "total_ms", index: "calls_total" },
        };
        let statuses = &query.statuses;
        let any_has_ended = statuses.is_empty() || statuses.iter().any(|status| status.is_ended());
        let any_has_not = statuses.is_empty() || statuses.iter().any(|status| !status.is_ended());
        let in_range = query.ended.is_open() && query.total_millis.is_open();
        let parts = [(known, any_has_ended), (Self::Unknown, any_has_not && in_range)];
        parts.into_iter().filter(|(_, any)| *any).map(|(part, _)| part).collect()
    }

    fn index(self) -> &'static str {
        match self {
            Self::Created => "calls_start",
            Self::Known { index, .. } => index,
            Self::Unknown => "calls_unended",
        }
    }

    fn column(self) -> &'static str {
        match self {
            Self::Created => "start_ms",
            Self::Known { column, .. } => column,
            Self::Unknown => "NULL",
        }
    }

    fn order(self, ascending: bool) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        match self {
            Self::Created | Self::Known { .. } => format!("{} {direction}, pk DESC", self.column()),
            Self::Unknown => "pk DESC".to_owned(),
        }
    }

    /// The statement that reads so many of these calls after so many.
    fn statement(self, rows: &str, meant: &Conditions, ascending: bool) -> String {
        let (column, order) = (self.column(), self.order(ascending));
        format!("SELECT {column}, pk FROM {rows} WHERE {} ORDER BY {order} LIMIT ? OFFSET ?", meant.sql())
    }

    /// Only the calls that are in this part.
    fn within(self, meant: Conditions) -> Conditions {
        match self {
            Self::Created => meant.saved(),
            Self::Known { column, .. } => meant.but(&format!("{column} IS NOT NULL")),
            // Its time is unknown exactly as long as its end is. Word for word the condition of the index.
            Self::Unknown => meant.saved().but("ended_ms IS NULL"),
        }
    }
}

impl Parts<'_> {
    /// The rows and the calls of a part, and how many of them to pass over; `None` when the list begins behind it.
    fn part(&self, part: Part) -> Option<(String, Conditions, u64)> {
        let way = self.way.unwrap_or(Way::Index(part.index()));
        let meant = part.within(Conditions::of_calls(self.organization, self.query, way));
        let ascending = self.query.sort.ascending;
        let (meant, offset) = match (&self.begin, part) {
            (Begin::Offset(offset), _) => (meant, *offset),
            (Begin::Created(begin, offset), _) => (meant.created_from(*begin, ascending), *offset),
            (Begin::After(Cursor { value: Some(value), arrival }), Part::Created | Part::Known { .. }) => {
                (meant.after(part.column(), [*value, *arrival], ascending), 0)
            }
            (Begin::After(Cursor { value: None, .. }), Part::Created | Part::Known { .. }) => return None,
            (Begin::After(Cursor { value: Some(_), .. }), Part::Unknown) => (meant, 0),
            (Begin::After(Cursor { value: None, arrival }), Part::Unknown) => (meant.before(*arrival), 0),
        };
        Some((way.rows(), meant, offset))
    }
}

/// The places of the calls that were asked for, and of one more to tell whether the list goes on.
fn places(connection: &Connection, list: &Parts<'_>) -> Result<Vec<Cursor>> {
    if let Some(found) = early(connection, list)? {
        return Ok(found);
    }
    let limit = list.query.paging.limit;
    let mut found: Vec<Cursor> = Vec::new();
    // How many calls of earlier parts were passed over.
    let mut passed = 0;
    for part in Part::of(list.query) {
        let Some((rows, meant, offset)) = list.part(part) else { continue };
        let left = i64::from(limit) + 1 - i64::try_from(found.len()).unwrap_or(i64::MAX);
        let offset = if found.is_empty() { offset.saturating_sub(passed) } else { 0 };
        let statement = part.statement(&rows, &meant, list.query.sort.ascending);
        let bounds = [Value::from(left), Value::from(i64::try_from(offset).unwrap_or(i64::MAX))];
        let values = params_from_iter(meant.values().iter().chain(&bounds));
        let more = many(connection, &statement, values, |row| {
            Ok(Cursor { value: row.get(0)?, arrival: row.get(1)? })
        })?;
        if more.is_empty() && offset > 0 {
            let sql = format!("SELECT count(*) FROM {rows} WHERE {}", meant.sql());
            passed += count(connection, &sql, params_from_iter(meant.values()))?;
        }
        found.extend(more);
        if found.len() > usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
    }
    Ok(found)
}

/// So many calls of a list are looked at first for the words that are searched for, and so few can be asked for there.
const FIRST: i64 = 2_000;
const FEW_OF_FIRST: u64 = 500;

/// The places of the calls that were asked for, if the first calls of the list suffice for words that many have: that
/// spares gathering every call that has them.
fn early(connection: &Connection, list: &Parts<'_>) -> Result<Option<Vec<Cursor>>> {
    let text = list.query.transcript.as_deref().filter(|_| matches!(list.way, None | Some(Way::Index(_))));
    let Some(expression) = text.and_then(|text| words::match_of_text(list.organization, text)) else {
        return Ok(None);
    };
    let others = &CallQuery { transcript: None, ..list.query.clone() };
    let unsaid = Parts { organization: list.organization, query: others, way: list.way, begin: list.begin };
    // Calls of a later part have not ended: nothing they say is found.
    let Some(part) = Part::of(list.query).first().copied() else { return Ok(None) };
    let Some((rows, meant, offset)) = unsaid.part(part) else { return Ok(None) };
    let wanted = u64::from(list.query.paging.limit) + 1;
    if part == Part::Unknown || offset.saturating_add(wanted) > FEW_OF_FIRST {
        return Ok(None);
    }
    let (said, words) = said_in(Some(expression));
    let sql = early_statement(part, &rows, &meant, list.query.sort.ascending, &said);
    let bounds = [wanted, offset].map(|bound| Value::from(i64::try_from(bound).unwrap_or(i64::MAX)));
    let values = meant.values().iter().cloned().chain([FIRST.into()]).chain(words).chain(bounds);
    let found = many(connection, &sql, params_from_iter(values), |row| {
        Ok(Cursor { value: row.get(0)?, arrival: row.get(1)? })
    })?;
    Ok((found.len() as u64 >= wanted).then_some(found))
}

/// The statement that reads those of the first calls of a part in which this is said. Calls mostly arrive as they are
/// created: between the keys of the first calls lie few others.
fn early_statement(part: Part, rows: &str, meant: &Conditions, ascending: bool, said: &str) -> String {
    let (column, order) = (part.column(), part.order(ascending));
    let meant = meant.sql();
    format!(
        "WITH first AS MATERIALIZED (SELECT {column}, pk FROM {rows} WHERE {meant} ORDER BY {order} LIMIT ?)
         SELECT {column}, pk FROM first
         WHERE pk IN ({said} AND rowid BETWEEN (SELECT min(pk) FROM first) AND (SELECT max(pk) FROM first))
         ORDER BY {order} LIMIT ? OFFSET ?"
    )
}

fn in_an_index_only(key: i64) -> Fault {
    unreadable(format!("call {key}"), "it is in an index only")
}

#[cfg(test)]
mod tests;
