//! The order of a search by relevance: those calls first whose words match best.

use pegcount_calls::{CallQuery, Cursor, Search, Term};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::{
    conditions::{Conditions, said, said_in},
    fault::Result,
    query::words_alone,
    rows::{count, many},
    ways::{self, Way},
    words,
};
use crate::OrganizationNumber;

/// So many calls at most are ranked: the newest. Every one costs a look at where its words stand.
const MOST_RANKED: u64 = 10_000;
/// What more calls say than this says nothing of how well one matches. To weigh it would also cost a walk through all of
/// them: how rare a word is, is counted anew in each search.
const MOST_WEIGHED: u64 = 50_000;
/// How much a word counts in the transcript and in the summary. The summary says what the call was about; in the
/// transcript a word may have been said in passing.
const WEIGHTS: [f64; 2] = [1.0, 3.0];

/// The places of the calls that were asked for, and of one more to tell whether the list goes on: the ranked ones, then
/// the others, newest first.
pub(super) fn places(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &CallQuery,
    total: Option<u64>,
) -> Result<Vec<Cursor>> {
    let text = query.transcript.as_deref().unwrap_or_default();
    let search = Search::of(text);
    let Some(expression) = words::match_of(organization, search.terms()) else { return Ok(Vec::new()) };
    let meant = match words_alone(query) {
        Some(text) => said(organization, text),
        None => {
            let way = ways::of_list(connection, organization, query, total)?.unwrap_or(Way::Words);
            let meant = Conditions::of_calls(organization, query, way);
            (format!("SELECT pk AS rowid FROM {} WHERE {}", way.rows(), meant.sql()), meant.values().to_vec())
        }
    };
    let most = u64::from(query.paging.limit) + 1;
    let offset = query.paging.offset;
    let mut found = Vec::new();
    if offset < MOST_RANKED {
        let alone = total.filter(|_| words_alone(query).is_some());
        let weighty = weighty(connection, organization, search.terms(), alone)?;
        let (sql, expression) = match words::match_of(organization, weighty) {
            Some(weighty) => (ranking(&meant.0), weighty),
            None => (by_summary(&meant.0), format!("summary : ({expression})")),
        };
        let part = [number(MOST_RANKED), expression.into(), number(most), number(offset)];
        found = many(connection, &sql, params_from_iter(meant.1.iter().chain(&part)), place)?;
    }
    let left = most - found.len() as u64;
    if left > 0 && total.is_none_or(|total| total > MOST_RANKED) {
        let (sql, values) = &meant;
        let sql = format!("{sql} ORDER BY rowid DESC LIMIT ? OFFSET ?");
        let part = [number(left), number(offset.max(MOST_RANKED))];
        found.extend(many(connection, &sql, params_from_iter(values.iter().chain(&part)), place)?);
    }
    Ok(found)
}

/// The terms that so few calls have that they tell how well one matches. `total` is how many calls have all terms, if
/// that is known.
fn weighty<'a>(
    connection: &Connection,
    organization: OrganizationNumber,
    terms: &'a [Term],
    total: Option<u64>,
) -> Result<Vec<&'a Term>> {
    let mut found = Vec::new();
    for term in terms {
        let calls = match (terms, total) {
            ([_], Some(total)) => total,
            _ => {
                let (sql, mut values) = said_in(words::match_of(organization, [term]));
                values.push(number(MOST_WEIGHED + 1));
                let sql = format!("SELECT count(*) FROM ({sql} LIMIT ?)");
                count(connection, &sql, params_from_iter(values))?
            }
        };
        if calls <= MOST_WEIGHED {
            found.push(term);
        }
    }
    Ok(found)
}

/// The statement that ranks the newest of these calls.
fn ranking(meant: &str) -> String {
    let [transcript, summary] = WEIGHTS;
    // The plus has the words searched once, not once for each of the newest.
    format!(
        "WITH newest AS MATERIALIZED ({meant} ORDER BY rowid DESC LIMIT ?)
         SELECT rowid FROM transcripts
         WHERE transcripts MATCH blinded(?) AND rowid >= (SELECT min(rowid) FROM newest)
             AND +rowid IN (SELECT rowid FROM newest)
         ORDER BY bm25(transcripts, {transcript:?}, {summary:?}), rowid DESC LIMIT ? OFFSET ?"
    )
}

/// The statement that has those of the newest of these calls first whose summary has every word.
fn by_summary(meant: &str) -> String {
    format!(
        "WITH newest AS MATERIALIZED ({meant} ORDER BY rowid DESC LIMIT ?)
         SELECT rowid FROM newest
         ORDER BY rowid IN (
             SELECT rowid FROM transcripts
             WHERE transcripts MATCH blinded(?) AND rowid >= (SELECT min(rowid) FROM newest)
         ) DESC, rowid DESC LIMIT ? OFFSET ?"
    )
}

fn place(row: &Row<'_>) -> Result<Cursor> {
    Ok(Cursor { value: None, arrival: row.get(0)? })
}

fn number(number: u64) -> Value {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{Paging, Sort, SortKey};

    use super::*;
    use crate::sqlite::{Sqlite, connect::open_reader};

    #[test]
    fn the_words_are_searched_once_for_the_newest_and_once_to_rank_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let _store = Sqlite::open(&path, None).unwrap();
        let connection = open_reader(&path, &Default::default()).unwrap();
        let (meant, _) = said(OrganizationNumber(1), "alpha");
        for sql in [ranking(&meant), by_summary(&meant)] {
            let sql = format!("EXPLAIN QUERY PLAN {sql}");
            let steps = many(&connection, &sql, ["1"; 5], |row| Ok(row.get::<_, String>(3)?));
            let steps = steps.map_err(crate::StoreError::from).unwrap();
            let searches: Vec<_> = steps.iter().filter(|step| step.contains("VIRTUAL TABLE INDEX")).collect();
            assert_eq!(searches.len(), 2, "{steps:?}");
            assert!(searches.iter().all(|step| step.starts_with("SCAN transcripts")), "{steps:?}");
            // No equality, which would be a search of its own for each call.
            assert!(searches.iter().all(|step| !step.contains('=')), "{steps:?}");
            assert!(steps.iter().any(|step| step == "MATERIALIZE newest"), "{steps:?}");
        }
    }

    #[test]
    fn of_more_matches_than_are_ranked_the_oldest_follow_by_arrival_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let _store = Sqlite::open(&path, None).unwrap();
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MOST_RANKED} + 5)
             INSERT INTO transcripts (rowid, transcript, summary)
             SELECT i, 'o1xalpha', iif(i IN (1, 9), 'o1xalpha', '') FROM n"
        );
        words::open_index(&path).execute_batch(&fill).unwrap();
        let connection = open_reader(&path, &Default::default()).unwrap();
        let found = |offset, limit| {
            let query = CallQuery {
                transcript: Some("alpha".to_owned()),
                sort: Sort { key: SortKey::Relevance, ascending: false },
                paging: Paging { limit, offset, after: None },
                ..CallQuery::default()
            };
            let organization = OrganizationNumber(1);
            let found = places(&connection, organization, &query, Some(MOST_RANKED + 5));
            let found = found.map_err(crate::StoreError::from).unwrap();
            found.into_iter().map(|place| place.arrival).collect::<Vec<_>>()
        };
        let newest = i64::try_from(MOST_RANKED).unwrap() + 5;
        // The oldest would be the second best.
        assert_eq!(found(0, 2), [9, newest, newest - 1]);
        assert_eq!(found(MOST_RANKED - 2, 3), [7, 6, 5, 4]);
        assert_eq!(found(MOST_RANKED + 1, 9), [4, 3, 2, 1]);
        let mut all = found(0, u32::MAX - 1);
        all.sort_unstable();
        assert_eq!(all, (1..=newest).collect::<Vec<_>>());
    }

    #[test]
    fn words_that_very_many_calls_have_do_not_weigh_and_alone_have_the_summaries_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let _store = Sqlite::open(&path, None).unwrap();
        let newest = i64::try_from(MOST_WEIGHED).unwrap() + 1;
        let inner = newest - 100;
        // The seldom word stands in three calls: once, twice, and beside the frequent one many times.
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {newest})
             INSERT INTO transcripts (rowid, transcript, summary)
             SELECT i, 'o1xalpha' || CASE i
                 WHEN 5 THEN ' o1xbeta o1xgamma' WHEN 6 THEN ' o1xbeta o1xbeta'
                 WHEN 7 THEN ' o1xalpha o1xalpha o1xalpha o1xbeta' ELSE '' END,
                 iif(i IN (3, {inner}), 'o1xalpha', '') FROM n"
        );
        words::open_index(&path).execute_batch(&fill).unwrap();
        let connection = open_reader(&path, &Default::default()).unwrap();
        let found = |text: &str, total, offset, limit| {
            let query = CallQuery {
                transcript: Some(text.to_owned()),
                sort: Sort { key: SortKey::Relevance, ascending: false },
                paging: Paging { limit, offset, after: None },
                ..CallQuery::default()
            };
            let found = places(&connection, OrganizationNumber(1), &query, Some(total));
            let found = found.map_err(crate::StoreError::from).unwrap();
            found.into_iter().map(|place| place.arrival).collect::<Vec<_>>()
        };
        // Call 3 is not among the newest.
        let total = MOST_WEIGHED + 1;
        assert_eq!(found("alpha", total, 0, 2), [inner, newest, newest - 1]);
        assert_eq!(found("alpha", total, 1, 1), [newest, newest - 1]);
        assert_eq!(found("alpha", total, total - 2, 9), [2, 1]);
        // By what is seldom alone, and for the length of the call.
        assert_eq!(found("alpha beta", 3, 0, 9), [6, 5, 7]);
        assert_eq!(found("\"alpha beta\" alpha", 3, 0, 9), [6, 5, 7]);
    }
}
