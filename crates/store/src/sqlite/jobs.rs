//! Jobs: asked for in the transaction of what causes them, leased by whoever runs them, gone when they are done.
//!
//! A lease is of one attempt: whoever comes with another one (its lease ran out, somebody else has the job now) changes
//! nothing. Numbers of states are those of codes.rs.

use pegcount_calls::{Document, Timestamp};
use rusqlite::{Connection, Row, ToSql, params, params_from_iter};

use super::{
    codes::Code,
    fault::{Result, unreadable},
    rows::{Columns, count, counted, many, one, run},
};
use crate::{
    CallKey, Job, JobCount, JobFailure, JobId, JobOrder, JobPage, JobQuery, JobState, NewJob, Next,
    OrganizationNumber, StoreError,
};

const JOB: &str =
    "SELECT id, org, kind, subject, pk, data, state, attempts, due_ms, leased_until_ms, created_ms,
                   failed_ms, error FROM jobs";

fn job_of(row: &Row<'_>) -> Result<Job> {
    let columns = &mut Columns::of(row);
    let id: i64 = columns.take()?;
    read(id, columns).map_err(|fault| fault.within(&format!("job {id}")))
}

fn read(id: i64, columns: &mut Columns<'_, '_>) -> Result<Job> {
    Ok(Job {
        id: JobId(id),
        organization: OrganizationNumber(columns.take()?),
        kind: columns.take()?,
        subject: columns.take()?,
        call: columns.take::<Option<i64>>()?.map(CallKey),
        data: data_of(columns.take()?)?,
        state: JobState::read(columns.take()?)?,
        attempts: columns.take()?,
        due: Timestamp::from_millis(columns.take()?),
        leased_until: columns.take::<Option<i64>>()?.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(columns.take()?),
        failure: failure_of(columns.take()?, columns.take()?),
    })
}

/// Passed on as it is, so it is looked at here.
fn data_of(text: String) -> Result<Document> {
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(Document::from_json_text(text)),
        Err(cause) => Err(unreadable("its data", cause)),
    }
}

fn failure_of(at: Option<i64>, error: Option<String>) -> Option<JobFailure> {
    at.zip(error).map(|(at, error)| JobFailure { at: Timestamp::from_millis(at), error })
}

/// Asks for a job. One that waits keeps its time, one that runs is run once more, one that is dead waits again; each has
/// the data of who asked last.
pub(super) fn enqueue(connection: &Connection, new: &NewJob) -> Result<()> {
    let sql = "INSERT INTO jobs (org, kind, subject, pk, data, state, attempts, due_ms, created_ms)
               VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, ?6, ?7)
               ON CONFLICT (org, kind, subject) DO UPDATE SET
                   pk = coalesce(excluded.pk, pk),
                   data = excluded.data,
                   state = iif(state = 2, 0, state),
                   attempts = iif(state = 2, 0, attempts),
                   due_ms = iif(state = 2, excluded.due_ms, due_ms),
                   again_ms = iif(state = 1, min(coalesce(again_ms, excluded.due_ms), excluded.due_ms), NULL)";
    let row = params![
        new.organization.0,
        new.kind,
        new.subject,
        new.call.map(|call| call.0),
        new.data.as_json_text(),
        new.due.millis(),
        new.created_at.millis(),
    ];
    run(connection, sql, row)?;
    Ok(())
}

/// Leases what is due, oldest due first.
pub(super) fn lease(
    connection: &Connection,
    kinds: &[&str],
    now: Timestamp,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Job>> {
    let mut due: Vec<(i64, i64)> = Vec::new();
    for kind in kinds {
        // One after the other, since each is then read in the order of the index, and no further than needed.
        for condition in ["state = 0 AND due_ms <= ?2", "state = 1 AND leased_until_ms <= ?2"] {
            let sql = format!(
                "SELECT due_ms, id FROM jobs WHERE kind = ?1 AND {condition} ORDER BY due_ms, id LIMIT ?3"
            );
            let found = many(connection, &sql, params![kind, now.millis(), limit], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            due.extend(found);
        }
    }
    due.sort_unstable();
    due.truncate(limit as usize);
    let mut leased = Vec::with_capacity(due.len());
    for (_, id) in due {
        let sql = "UPDATE jobs SET state = 1, attempts = attempts + 1, leased_until_ms = ?2 WHERE id = ?1";
        run(connection, sql, params![id, until.millis()])?;
        match one(connection, &format!("{JOB} WHERE id = ?1"), [id], job_of).map_err(StoreError::from) {
            Ok(job) => leased.extend(job),
            // It must not keep those behind it from being run.
            Err(StoreError::Unreadable { what, .. }) => {
                let sql = "UPDATE jobs SET state = 2, leased_until_ms = NULL, failed_ms = ?2, error = ?3 WHERE id = ?1";
                run(connection, sql, params![id, now.millis(), format!("{what} cannot be read")])?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(leased)
}

/// When the next of these kinds can be leased.
pub(super) fn next_due(connection: &Connection, kinds: &[&str]) -> Result<Option<Timestamp>> {
    let mut next: Option<i64> = None;
    for kind in kinds {
        for sql in [
            "SELECT min(due_ms) FROM jobs WHERE kind = ?1 AND state = 0",
            "SELECT min(leased_until_ms) FROM jobs WHERE kind = ?1 AND state = 1",
        ] {
            let due = one(connection, sql, [kind], |row| Ok(row.get::<_, Option<i64>>(0)?))?.flatten();
            next = next.into_iter().chain(due).min();
        }
    }
    Ok(next.map(Timestamp::from_millis))
}

/// Takes a done job away; one that was asked for again meanwhile waits anew.
pub(super) fn done(connection: &Connection, id: JobId, attempt: u32) -> Result<bool> {
    let again =
        "UPDATE jobs SET state = 0, attempts = 0, leased_until_ms = NULL, due_ms = again_ms, again_ms = NULL,
                     failed_ms = NULL, error = NULL
                 WHERE id = ?1 AND attempts = ?2 AND state = 1 AND again_ms IS NOT NULL";
    let gone = "DELETE FROM jobs WHERE id = ?1 AND attempts = ?2 AND state = 1";
    let lease = params![id.0, attempt];
    Ok(run(connection, again, lease)? > 0 || run(connection, gone, lease)? > 0)
}

/// Notes that a job failed, and what becomes of it.
pub(super) fn failed(
    connection: &Connection,
    id: JobId,
    attempt: u32,
    failure: &JobFailure,
    next: Next,
) -> Result<bool> {
    let lease = params![
        id.0,
        attempt,
        failure.at.millis(),
        failure.error,
        match next {
            Next::At(due) => Some(due.millis()),
            Next::Never => None,
        },
    ];
    // Dead for what it was asked the first time, it is alive for what it was asked since.
    let sql = "UPDATE jobs SET
                   state = iif(coalesce(?5, again_ms) IS NULL, 2, 0),
                   attempts = iif(?5 IS NULL AND again_ms IS NOT NULL, 0, attempts),
                   due_ms = coalesce(?5, again_ms, due_ms),
                   leased_until_ms = NULL, again_ms = NULL, failed_ms = ?3, error = ?4
               WHERE id = ?1 AND attempts = ?2 AND state = 1";
    Ok(run(connection, sql, lease)? > 0)
}

/// Gives a lease back, as if it had never been taken.
pub(super) fn give_back(connection: &Connection, id: JobId, attempt: u32) -> Result<bool> {
    let sql = "UPDATE jobs SET state = 0, attempts = attempts - 1, leased_until_ms = NULL, again_ms = NULL
               WHERE id = ?1 AND attempts = ?2 AND state = 1";
    Ok(run(connection, sql, params![id.0, attempt])? > 0)
}

/// Ends every lease there is.
pub(super) fn end_leases(connection: &Connection, failure: &JobFailure, most_attempts: u32) -> Result<u64> {
    let sql =
        "UPDATE jobs SET state = iif(attempts >= ?3 AND again_ms IS NULL, 2, 0), leased_until_ms = NULL,
                   again_ms = NULL, failed_ms = ?1, error = ?2
               WHERE state = 1";
    Ok(run(connection, sql, params![failure.at.millis(), failure.error, most_attempts])? as u64)
}

/// The job with this number.
pub(super) fn job(connection: &Connection, id: JobId) -> Result<Option<Job>> {
    one(connection, &format!("{JOB} WHERE id = ?1"), [id.0], job_of)
}

/// One part of a list of jobs, newest first.
pub(super) fn page(connection: &Connection, query: &JobQuery) -> Result<JobPage> {
    let mut conditions = "TRUE".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut and = |condition: &str, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
            values.push(value);
        }
    };
    and("org = ?", query.organization.map(|organization| Box::new(organization.0) as _));
    and("state = ?", query.state.map(|state| Box::new(state.code()) as _));
    and("kind = ?", query.kind.clone().map(|kind| Box::new(kind) as _));
    let total = match query.after {
        None => {
            let sql = format!("SELECT count(*) FROM jobs WHERE {conditions}");
            Some(count(connection, &sql, params_from_iter(&values))?)
        }
        Some(after) => {
            conditions.push_str(" AND id < ?");
            values.push(Box::new(after.0));
            None
        }
    };
    values.push(Box::new(i64::from(query.limit) + 1));
    let sql = format!("{JOB} WHERE {conditions} ORDER BY id DESC LIMIT ?");
    let mut jobs = many(connection, &sql, params_from_iter(&values), job_of)?;
    let is_all = jobs.len() <= query.limit as usize;
    jobs.truncate(query.limit as usize);
    let next = jobs.last().filter(|_| !is_all).map(|job| job.id);
    Ok(JobPage { jobs, total, next })
}

/// Why an order about one job changed nothing.
fn unchanged(
    connection: &Connection,
    organization: Option<OrganizationNumber>,
    id: JobId,
) -> Result<JobOrder> {
    let sql = "SELECT 1 FROM jobs WHERE id = ?1 AND org = coalesce(?2, org)";
    let there = one(connection, sql, params![id.0, organization.map(|one| one.0)], |_| Ok(()))?;
    Ok(if there.is_some() { JobOrder::Running } else { JobOrder::Missing })
}

/// Has a job that waits or is dead run now, with all its attempts.
pub(super) fn rerun(
    connection: &Connection,
    organization: Option<OrganizationNumber>,
    id: JobId,
    now: Timestamp,
) -> Result<JobOrder> {
    let sql = "UPDATE jobs SET state = 0, attempts = 0, due_ms = ?3
               WHERE id = ?1 AND org = coalesce(?2, org) AND state <> 1";
    match run(connection, sql, params![id.0, organization.map(|one| one.0), now.millis()])? {
        0 => unchanged(connection, organization, id),
        _ => Ok(JobOrder::Done),
    }
}

/// The same for every dead job, of this kind if there is one.
pub(super) fn rerun_dead(connection: &Connection, kind: Option<&str>, now: Timestamp) -> Result<u64> {
    let sql = "UPDATE jobs SET state = 0, attempts = 0, due_ms = ?2
               WHERE state = 2 AND kind = coalesce(?1, kind)";
    Ok(run(connection, sql, params![kind, now.millis()])? as u64)
}

/// Takes a job away that does not run.
pub(super) fn forget(
    connection: &Connection,
    organization: Option<OrganizationNumber>,
    id: JobId,
) -> Result<JobOrder> {
    let sql = "DELETE FROM jobs WHERE id = ?1 AND org = coalesce(?2, org) AND state <> 1";
    match run(connection, sql, params![id.0, organization.map(|one| one.0)])? {
        0 => unchanged(connection, organization, id),
        _ => Ok(JobOrder::Done),
    }
}

/// How many jobs of each kind are in each state.
pub(super) fn counts(connection: &Connection) -> Result<Vec<JobCount>> {
    // What cannot be read is told by the doctor.
    let sql = "SELECT kind, state, count(*), min(created_ms) FROM jobs WHERE state BETWEEN 0 AND 2
               GROUP BY kind, state";
    many(connection, sql, [], |row| {
        let columns = &mut Columns::of(row);
        Ok(JobCount {
            kind: columns.take()?,
            state: JobState::read(columns.take()?)?,
            count: counted(columns.take()?)?,
            oldest: Timestamp::from_millis(columns.take()?),
        })
    })
}

/// Which jobs are kept, by their numbers, and what of each cannot be read.
pub(super) fn unreadable_ones(connection: &Connection) -> Result<(u64, Vec<String>)> {
    let mut statement = connection.prepare(&format!("{JOB} ORDER BY id"))?;
    let mut rows = statement.query([])?;
    let (mut looked_at, mut bad) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        looked_at += 1;
        match job_of(row).map_err(StoreError::from) {
            Ok(_) => {}
            Err(StoreError::Unreadable { what, cause }) => {
                bad.push(format!("{what} cannot be read: {cause}"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok((looked_at, bad))
}

/// The jobs of the younger call are the older one's.
pub(super) fn merge(connection: &Connection, younger: CallKey, older: CallKey) -> Result<()> {
    run(connection, "UPDATE jobs SET pk = ?2 WHERE pk = ?1", [younger.0, older.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, sqlite::Sqlite};

    #[tokio::test]
    async fn a_damaged_job_is_dead_and_those_behind_it_are_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "INSERT INTO jobs (org, kind, subject, data, state, attempts, due_ms, created_ms)
                 VALUES (1, 'k', 'bad', '{', 0, 0, 1, 1), (1, 'k', 'good', '{}', 0, 0, 2, 1)",
            )
            .unwrap();
        let at = Timestamp::from_millis;
        let leased = store.lease_jobs(&["k"], at(5), at(9), 10).await.unwrap();
        let subjects: Vec<_> = leased.iter().map(|job| job.subject.as_str()).collect();
        assert_eq!(subjects, ["good"]);
        let counts = store.job_counts().await.unwrap();
        let dead: Vec<_> = counts.iter().filter(|one| one.state == JobState::Dead).collect();
        assert_eq!((dead.len(), dead[0].count), (1, 1));
        // Its number is in what the doctor says.
        assert_eq!(store.forget_job(None, JobId(1)).await.unwrap(), JobOrder::Done);
    }
}
