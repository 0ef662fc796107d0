//! The order of a search by relevance: those calls first whose words match best.

use pegcount_calls::{CallQuery, Cursor};
use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::{
    conditions::{Conditions, said},
    fault::Result,
    query::words_alone,
    rows::many,
    ways::{self, Way},
    words,
};
use crate::OrganizationNumber;

/// So many calls at most are ranked: the newest. Every one costs a look at where its words stand.
const MOST_RANKED: u64 = 10_000;
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
    let Some(expression) = words::match_of(organization, text) else { return Ok(Vec::new()) };
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
        found = ranked(connection, &expression, &meant, [most, offset])?;
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

fn ranked(
    connection: &Connection,
    expression: &str,
    (meant, values): &(String, Vec<Value>),
    [most, offset]: [u64; 2],
) -> Result<Vec<Cursor>> {
    let part = [number(MOST_RANKED), expression.to_owned().into(), number(most), number(offset)];
    many(connection, &ranking(meant), params_from_iter(values.iter().chain(&part)), place)
}

/// The statement that ranks the newest of these calls.
fn ranking(meant: &str) -> String {
    let [transcript, summary] = WEIGHTS;
    // The plus has the words searched once, not once for each of the newest.
    format!(
        "WITH newest AS MATERIALIZED ({meant} ORDER BY rowid DESC LIMIT ?)
         SELECT rowid FROM transcripts
         WHERE transcripts MATCH ? AND rowid >= (SELECT min(rowid) FROM newest)
             AND +rowid IN (SELECT rowid FROM newest)
         ORDER BY bm25(transcripts, {transcript:?}, {summary:?}), rowid DESC LIMIT ? OFFSET ?"
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
        let _store = Sqlite::open(&path).unwrap();
        let connection = open_reader(&path).unwrap();
        let (meant, _) = said(OrganizationNumber(1), "alpha");
        let sql = format!("EXPLAIN QUERY PLAN {}", ranking(&meant));
        let steps = many(&connection, &sql, ["1"; 5], |row| Ok(row.get::<_, String>(3)?));
        let steps = steps.map_err(crate::StoreError::from).unwrap();
        let searches: Vec<_> = steps.iter().filter(|step| step.contains("VIRTUAL TABLE INDEX")).collect();
        assert_eq!(searches.len(), 2, "{steps:?}");
        assert!(searches.iter().all(|step| step.starts_with("SCAN transcripts")), "{steps:?}");
        // No equality, which would be a search of its own for each call.
        assert!(searches.iter().all(|step| !step.contains('=')), "{steps:?}");
        assert!(steps.iter().any(|step| step == "MATERIALIZE newest"), "{steps:?}");
    }

    #[tokio::test]
    async fn of_more_matches_than_are_ranked_the_oldest_follow_by_arrival_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path).unwrap();
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MOST_RANKED} + 5)
             INSERT INTO transcripts (rowid, transcript, summary)
             SELECT i, 'o1xalpha', iif(i IN (1, 9), 'o1xalpha', '') FROM n"
        );
        store.writer.lock().await.connection.execute_batch(&fill).unwrap();
        let connection = open_reader(&path).unwrap();
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
}
