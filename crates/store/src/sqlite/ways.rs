//! Which index calls are read by.
//!
//! SQLite keeps no statistics here, and each statement the plan it was prepared with, so it cannot know that one number
//! has three calls and another a million. The choice is made here: what few calls have is looked up and sorted, else the
//! list is walked in its order until the part is full.

use pegcount_calls::{CallQuery, EndpointName, PhoneNumberName, SortKey, Status};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    codes::Code,
    conditions::{self, Conditions},
    fault::Result,
    rows::count,
};
use crate::OrganizationNumber;

/// So few calls that they are sooner sorted than looked for among all others in the order of the list.
pub(super) const FEW: u64 = 10_000;
/// How far candidates are counted to find the one with the fewest calls: never further than this many times it.
const STEP: u64 = 16;

/// What calls are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// An index of the table of calls.
    Index(&'static str),
    /// The metadata that a query's filter of this place asks for.
    Metadata(usize),
    /// The words that are searched for.
    Words,
}

impl Way {
    /// The rows of the calls, as a statement names them.
    pub(super) fn rows(self) -> String {
        match self {
            Self::Index(index) => format!("calls INDEXED BY {index}"),
            // From the keys to the rows; every index would lead through more of them.
            Self::Metadata(_) | Self::Words => "calls NOT INDEXED".to_owned(),
        }
    }
}

/// A filter that an index knows.
struct Candidate {
    way: Way,
    /// A statement that gives a row for each call that passes this filter, but perhaps not the others; and its values.
    passing: (String, Vec<Value>),
    /// Whether its calls come in the order of their creation.
    by_creation: bool,
}

/// What a list is read by that is sorted by this key: `None` when the index of the order is best. `total` is how many
/// calls the list has, if that is known.
pub(super) fn of_list(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &CallQuery,
    total: Option<u64>,
) -> Result<Option<Way>> {
    let candidates = candidates(organization, query);
    let in_order =
        candidates.iter().find(|candidate| candidate.by_creation && query.sort.key == SortKey::CreatedAt);
    // What is read whole is read from where the fewest calls are.
    let part = query.paging.offset.saturating_add(query.paging.limit.into());
    if in_order.is_none() && total.is_some_and(|total| total <= part) && !candidates.is_empty() {
        return of_count(connection, organization, query).map(Some);
    }
    let decided = match candidates.as_slice() {
        [] => true,
        [_] if in_order.is_some() => true,
        // Many calls are soon found in the order of the list.
        _ => total.is_some_and(|total| total > FEW),
    };
    let fewest = if decided { None } else { fewest(connection, &candidates, [FEW])? };
    Ok(fewest.or(in_order).map(|candidate| candidate.way))
}

/// What the calls of a query are counted by.
pub(super) fn of_count(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &CallQuery,
) -> Result<Way> {
    let candidates = candidates(organization, query);
    let fewest = match candidates.as_slice() {
        [] | [_] => None,
        several => fewest(connection, several, [FEW, FEW * STEP, FEW * STEP * STEP])?,
    };
    Ok(fewest.or(candidates.first()).map_or(Way::Index("calls_start"), |candidate| candidate.way))
}

/// The candidate with the fewest calls, if one of them has no more than the last of these bounds.
fn fewest<'a>(
    connection: &Connection,
    candidates: &'a [Candidate],
    bounds: impl IntoIterator<Item = u64>,
) -> Result<Option<&'a Candidate>> {
    for most in bounds {
        let mut found: Option<(&Candidate, u64)> = None;
        for candidate in candidates {
            let most = found.map_or(most, |(_, fewest)| fewest.saturating_sub(1));
            let calls = count_up_to(connection, candidate, most + 1)?;
            if calls <= most {
                found = Some((candidate, calls));
            }
            if calls == 0 {
                break;
            }
        }
        if let Some((fewest, _)) = found {
            return Ok(Some(fewest));
        }
    }
    Ok(None)
}

fn count_up_to(connection: &Connection, candidate: &Candidate, most: u64) -> Result<u64> {
    let (passing, values) = &candidate.passing;
    let most = Value::from(i64::try_from(most).unwrap_or(i64::MAX));
    let sql = format!("SELECT count(*) FROM ({passing} LIMIT ?)");
    count(connection, &sql, params_from_iter(values.iter().chain([&most])))
}

/// The filters of a query that an index knows, those first that fewer calls pass as a rule.
fn candidates(organization: OrganizationNumber, query: &CallQuery) -> Vec<Candidate> {
    let names = |ids: &[EndpointName]| texts(ids.iter().map(EndpointName::as_str));
    let numbers = |ids: &[PhoneNumberName]| texts(ids.iter().map(PhoneNumberName::as_str));
    let mut found = Vec::new();
    let mut values = |column: &str, index, wanted: Vec<Value>| {
        if wanted.is_empty() {
            return;
        }
        let by_creation = wanted.len() == 1;
        let mut passing = Conditions::of(organization);
        passing.one_of(column, wanted.into_iter());
        passing.within("start_ms", query.created);
        found.push(Candidate { way: Way::Index(index), passing: rows(index, &passing), by_creation });
    };
    values("from_number", "calls_from", texts(query.from_numbers.iter().map(String::as_str)));
    values("to_number", "calls_to", texts(query.to_numbers.iter().map(String::as_str)));
    values("endpoint", "calls_endpoint", names(&query.endpoints));
    values("phone_number", "calls_phone_number", numbers(&query.phone_numbers));
    values(
        "status",
        "calls_status",
        query.statuses.iter().map(|status: &Status| status.code().into()).collect(),
    );
    if let Some(text) = &query.transcript {
        let passing = conditions::said(organization, text);
        found.push(Candidate { way: Way::Words, passing, by_creation: false });
    }
    for (place, filter) in query.metadata.iter().enumerate() {
        if !filter.values.is_empty() {
            let passing = conditions::metadata(organization, filter);
            found.push(Candidate { way: Way::Metadata(place), passing, by_creation: false });
        }
    }
    let ranges = [
        ("ended_ms", "calls_ended", query.ended),
        ("total_ms", "calls_total", query.total_millis),
        ("start_ms", "calls_start", query.created),
    ];
    for (column, index, range) in ranges.into_iter().filter(|(_, _, range)| !range.is_open()) {
        let mut passing = Conditions::of(organization);
        passing.within(column, range);
        let by_creation = column == "start_ms";
        found.push(Candidate { way: Way::Index(index), passing: rows(index, &passing), by_creation });
    }
    found
}

fn texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Value> {
    texts.map(|text| text.to_owned().into()).collect()
}

fn rows(index: &str, passing: &Conditions) -> (String, Vec<Value>) {
    let sql = format!("SELECT 1 FROM calls INDEXED BY {index} WHERE {}", passing.sql());
    (sql, passing.values().to_vec())
}

/// Everything by which the calls of a query can be read.
#[cfg(test)]
pub(super) fn every(organization: OrganizationNumber, query: &CallQuery) -> Vec<Way> {
    candidates(organization, query).into_iter().map(|candidate| candidate.way).collect()
}
