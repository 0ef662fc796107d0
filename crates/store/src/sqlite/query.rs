//! Lists of calls.

use pegcount_calls::{CallQuery, Cursor, Sort, SortKey, Timestamp};
use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    calls,
    conditions::Conditions,
    fault::{Result, unreadable},
    locate::{Countable, Place},
    rows::{count, many},
};
use crate::{CallKey, OrganizationNumber, Page};

/// So few calls that they are sooner sorted than looked for among all others in the order of the list.
const FEW: u64 = 5_000;

/// One part of the list that a query asks for.
pub(super) fn page(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &CallQuery,
) -> Result<Page> {
    let by_creation = query.sort.key == SortKey::CreatedAt;
    let after = query.paging.after.filter(|_| by_creation);
    let meant = Conditions::of_calls(organization, query);
    let countable = match after {
        Some(_) => None,
        None => Countable::of(connection, organization, query)?,
    };
    let total = match (after, &countable) {
        (Some(_), _) => None,
        (None, Some(countable)) => Some(countable.total()?),
        (None, None) => {
            let sql = format!("SELECT count(*) FROM calls WHERE {}", meant.sql());
            Some(count(connection, &sql, params_from_iter(meant.values()))?)
        }
    };
    if total.is_some_and(|total| query.paging.offset >= total) {
        return Ok(Page { calls: Vec::new(), total, next: None });
    }
    let rows = rows_of(query, total.filter(|_| countable.is_some()));
    let begin = match after {
        Some(place) => Begin { meant: meant.after(place, query.sort.ascending), offset: 0 },
        None => match begin(meant, query, countable.filter(|_| by_creation))? {
            Some(begin) => begin,
            None => return Ok(Page { calls: Vec::new(), total, next: None }),
        },
    };
    let mut places = places(connection, rows, &begin.meant, query, begin.offset)?;
    let more = places.len() > usize::try_from(query.paging.limit).unwrap_or(usize::MAX);
    if more {
        places.pop();
    }
    let next = places.last().copied().filter(|_| more && by_creation);
    let calls =
        places.iter().map(|place| filed(connection, CallKey(place.arrival))).collect::<Result<_>>()?;
    Ok(Page { calls, total, next })
}

/// How a part of the list is come by: so many of these calls are passed over.
struct Begin {
    meant: Conditions,
    offset: u64,
}

/// Where the part of the list begins that a query asks for by its offset; `None` behind the end.
fn begin(meant: Conditions, query: &CallQuery, countable: Option<Countable<'_>>) -> Result<Option<Begin>> {
    let offset = query.paging.offset;
    let Some(countable) = countable.filter(|_| offset > 0) else { return Ok(Some(Begin { meant, offset })) };
    let ascending = query.sort.ascending;
    Ok(match countable.place(offset, ascending)? {
        Place::Behind => None,
        Place::Within { begin, offset } => {
            Some(Begin { meant: meant.created_from(begin, ascending), offset })
        }
    })
}

/// Where the rows are read from, given how many there are if only what is counted was asked for. Of several statuses the planner takes the index of the order for granted, and walks
/// all calls where few match: the live ones among millions.
fn rows_of(query: &CallQuery, total: Option<u64>) -> &'static str {
    let by_status_alone = !query.statuses.is_empty()
        && query.endpoints.is_empty()
        && query.phone_numbers.is_empty()
        && query.directions.is_empty()
        && query.disconnections.is_empty();
    if by_status_alone && total.is_some_and(|total| total <= FEW) {
        "calls INDEXED BY calls_status"
    } else {
        "calls"
    }
}

/// The places of the calls of a part of the list, and of one more to tell whether it goes on.
fn places(
    connection: &Connection,
    rows: &str,
    meant: &Conditions,
    query: &CallQuery,
    offset: u64,
) -> Result<Vec<Cursor>> {
    let sql = format!(
        "SELECT start_ms, pk FROM {rows} WHERE {} ORDER BY {} LIMIT ? OFFSET ?",
        meant.sql(),
        order(query.sort)
    );
    let part = [
        Value::from(i64::from(query.paging.limit) + 1),
        Value::from(i64::try_from(offset).unwrap_or(i64::MAX)),
    ];
    let values = params_from_iter(meant.values().iter().chain(&part));
    many(connection, &sql, values, |row| {
        Ok(Cursor { created_at: Timestamp::from_millis(row.get(0)?), arrival: row.get(1)? })
    })
}

fn filed(connection: &Connection, key: CallKey) -> Result<crate::Filed> {
    calls::filed(connection, key)?
        .ok_or_else(|| unreadable(format!("call {}", key.0), "it is in an index only"))
}

fn order(sort: Sort) -> &'static str {
    match (sort.key, sort.ascending) {
        (SortKey::CreatedAt, false) => "start_ms DESC, pk DESC",
        (SortKey::CreatedAt, true) => "start_ms ASC, pk DESC",
        (SortKey::EndedAt, false) => "ended_ms DESC NULLS LAST, pk DESC",
        (SortKey::EndedAt, true) => "ended_ms ASC NULLS LAST, pk DESC",
        (SortKey::TotalTime, false) => "total_ms DESC NULLS LAST, pk DESC",
        (SortKey::TotalTime, true) => "total_ms ASC NULLS LAST, pk DESC",
    }
}
