//! The schema, and how an older one becomes it.

use rusqlite::{Connection, TransactionBehavior};

use super::{
    fault::{Result, unreadable},
    rollups, save,
};
use crate::StoreError;

/// Each step leads from the version that is its place in the list to the next. Steps are only ever added.
const MIGRATIONS: [&str; 19] = [
    include_str!("migrations/0001_start.sql"),
    include_str!("migrations/0002_rollups.sql"),
    include_str!("migrations/0003_totals.sql"),
    include_str!("migrations/0004_lists.sql"),
    include_str!("migrations/0005_events.sql"),
    include_str!("migrations/0006_words.sql"),
    include_str!("migrations/0007_jobs.sql"),
    include_str!("migrations/0008_folded_words.sql"),
    include_str!("migrations/0009_audit.sql"),
    include_str!("migrations/0010_privacy.sql"),
    include_str!("migrations/0011_retention.sql"),
    include_str!("migrations/0012_words_apart.sql"),
    include_str!("migrations/0013_sealing.sql"),
    include_str!("migrations/0014_key_rotation.sql"),
    include_str!("migrations/0015_basis.sql"),
    include_str!("migrations/0016_asserted_number.sql"),
    include_str!("migrations/0017_registrations.sql"),
    include_str!("migrations/0018_lineage.sql"),
    include_str!("migrations/0019_deferred_documents.sql"),
];

/// The schema since which the counts beside the calls are made as they are now: an older file gets them anew. A step
/// that changes what is counted, or how it is kept, raises this to its number.
const COUNTED_SINCE: usize = 3;

/// The schema since which the row of a call holds its latencies: in an older file they are taken from the documents.
const LATENCIES_SINCE: usize = 3;

/// Marks the file as ours ("Pegc"), so that nobody's other database is ever written to.
const APPLICATION: i32 = 0x5065_6763;

/// Brings the file to the newest schema.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    if version(connection)? == MIGRATIONS.len() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that no other process can be about to do the same.
    let found = version(&transaction)?;
    for (number, step) in MIGRATIONS.iter().enumerate().skip(found) {
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", known(number + 1))?;
    }
    if found < LATENCIES_SINCE {
        save::fill_latencies(&transaction)?;
    }
    if found < COUNTED_SINCE {
        rollups::rebuild(&transaction)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()?;
    Ok(())
}

/// The schema version of the file, 0 when it is empty.
///
/// # Errors
/// [`StoreError::NewerSchema`] when this version does not know it, [`StoreError::Unreadable`] when the file is no store.
pub(super) fn version(connection: &Connection) -> Result<usize> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (tables > 0 || found != 0) {
        return Err(unreadable("the file", "it is a database of another program"));
    }
    match usize::try_from(found) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(StoreError::NewerSchema { found, known: known(MIGRATIONS.len()) }.into()),
    }
}

fn known(version: usize) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use pegcount_calls::EndpointName;

    use super::*;
    use crate::{
        OrganizationNumber, Severity, StatsQuery, Store,
        sqlite::{Sqlite, recount},
    };

    fn refused(prepare: impl FnOnce(&PathBuf)) -> StoreError {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        prepare(&path);
        let before = std::fs::read(&path).unwrap();
        let error = Sqlite::open(&path, None).map(|_| ()).unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), before, "the file was changed");
        error
    }

    #[test]
    fn a_file_of_another_program_is_refused_and_left_as_it_is() {
        let database = |path: &PathBuf| {
            Connection::open(path)
                .unwrap()
                .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
                .unwrap();
        };
        assert_eq!(refused(database).to_string(), "the file cannot be read");
        let text =
            |path: &PathBuf| std::fs::write(path, "not a database at all, just words. ".repeat(100)).unwrap();
        assert!(matches!(refused(text), StoreError::Unreadable { .. }));
    }

    /// Two organizations' calls as the first schema held them: of all statuses, at edges of hours and days and far
    /// away, one opened and never saved, one that cannot be read.
    const FIRST_CALLS: &str = "
        WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499)
        INSERT INTO calls (org, name, uuid, start_ms, ringing_ms, status, direction, call_type, answered_ms,
            ended_ms, talk_ms, cost_nanos, disconnection, endpoint, phone_number)
        SELECT 1 + i % 2, 'c' || i, randomblob(16), (i - 250) * 1800000 - i % 3, i, i % 9, i % 2, 0,
            iif(i % 9 IN (3, 4), i, NULL), iif(i % 9 > 3, i + 5, NULL), iif(i % 9 = 4, i * 100, NULL),
            iif(i % 4 = 0, NULL, 9223372036854775807 - i), iif(i % 9 > 3, i % 10, NULL),
            iif(i % 3 = 0, 'ep', NULL), iif(i % 5 = 0, 'pn', NULL) FROM n;
        UPDATE calls SET start_ms = -9223372036854775807 - 1 WHERE name = 'c1';
        UPDATE calls SET start_ms = 9223372036854775807 WHERE name = 'c2';
        UPDATE calls SET status = 99 WHERE name = 'c3';
        INSERT INTO calls (org, name, uuid) VALUES (1, 'opened', randomblob(16));";

    #[tokio::test]
    async fn a_file_of_the_first_schema_has_its_calls_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let first = Connection::open(&path).unwrap();
        first.execute_batch(MIGRATIONS[0]).unwrap();
        first.pragma_update(None, "user_version", 1).unwrap();
        first.pragma_update(None, "application_id", APPLICATION).unwrap();
        first.execute_batch(FIRST_CALLS).unwrap();
        drop(first);

        let store = Sqlite::open(&path, None).unwrap();
        let plain = Connection::open(&path).unwrap();
        assert_eq!(version(&plain).unwrap(), MIGRATIONS.len());
        for organization in [1, 2] {
            for (filter, endpoint) in [("TRUE", None), ("endpoint = 'ep'", Some("ep"))] {
                let sql = format!(
                    "SELECT count(*), count(answered_ms), coalesce(sum(talk_ms / 1000), 0) FROM calls
                     WHERE org = {organization} AND start_ms IS NOT NULL AND status <> 99 AND {filter}"
                );
                let counted: [i64; 3] =
                    plain.query_row(&sql, [], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?])).unwrap();
                let endpoint = endpoint.map(|id| EndpointName::new(id).unwrap());
                let query = StatsQuery { endpoint, ..StatsQuery::default() };
                let stats = store.stats(OrganizationNumber(organization), &query).await.unwrap();
                let sum = stats.sum(|_, _| true);
                assert_eq!(
                    [sum.calls, sum.answered, sum.talk_seconds].map(u64::cast_signed),
                    counted,
                    "{sql}"
                );
            }
        }
        let findings = recount::check(&plain).unwrap();
        assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:?}");
        drop(store);
        drop(Sqlite::open(&path, None).unwrap());
    }

    #[test]
    fn a_place_that_is_none_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let error = Sqlite::open(&folder.path().join("missing/calls.db"), None).map(|_| ()).unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
}
