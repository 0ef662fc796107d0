//! Looking for damage.

use std::path::Path;

use rusqlite::{Connection, types::Value};

use super::{
    audit, calls, events,
    fault::{Fault, Result},
    jobs, recount,
    rows::{count, many},
    save, tariffs,
    words::Snapshot,
};
use crate::{CallKey, Filed, Finding, FoldReports, JobState, Severity, StoreError};

/// How many damaged things are named before the rest is only counted.
const MOST_NAMED: usize = 20;
/// How many calls are looked at between two questions for more.
const CALLS_AT_A_TIME: u32 = 1_000;

/// What must not be there, each with what it means when it is.
const ORPHANS: [(&str, &str); 9] = [
    ("events", "are of no call"),
    ("call_documents", "are of no call"),
    ("deferred_documents", "are of no call"),
    ("deferred_metadata", "are of no call"),
    ("call_meta", "are of no call"),
    ("legs", "are of no call"),
    ("call_names", "lead to no call"),
    ("call_uuids", "lead to no call"),
    ("jobs", "are of no call"),
];

/// Looks at the whole store.
pub(super) fn check(connection: &Connection, fold: FoldReports) -> Result<Vec<Finding>> {
    let mut findings = looked_at("file", file(connection))?;
    let mut snapshot = match Snapshot::of(connection) {
        Ok(snapshot) => snapshot,
        Err(fault) => {
            findings.extend(looked_at("index of words", Err(fault))?);
            return Ok(findings);
        }
    };
    let about_words = snapshot.finding(MOST_NAMED);
    let connection = &*snapshot.connection;
    let one = |finding: Result<Finding>| finding.map(|finding| vec![finding]);
    findings.extend(looked_at("page checksums", one(checksums(connection)))?);
    for (table, meaning) in ORPHANS {
        findings.extend(looked_at(table, one(orphans(connection, table, meaning)))?);
    }
    findings.push(about_words);
    findings.extend(looked_at("unfolded calls", one(unsaved(connection)))?);
    findings.extend(looked_at("jobs", jobs(connection))?);
    findings.extend(looked_at("audit", one(audit_log(connection)))?);
    findings.extend(looked_at("tariffs", one(tariffs::check(connection)))?);
    findings.extend(looked_at("calls", calls(&snapshot, fold))?);
    findings.extend(looked_at("counts", recount::check(connection))?);
    Ok(findings)
}

/// What was found in one part of the store. A part that cannot be read is itself a finding, and the next one is looked at.
fn looked_at(subject: &str, found: Result<Vec<Finding>>) -> Result<Vec<Finding>> {
    found.or_else(|fault| Ok(vec![finding(false, subject, unreadable(fault.into())?)]))
}

fn finding(fine: bool, subject: &str, message: impl Into<String>) -> Finding {
    let severity = if fine { Severity::Fine } else { Severity::Damage };
    Finding { severity, subject: subject.to_owned(), message: message.into() }
}

/// SQLite's own look at its pages, and at every index against its table. Tables with damage are named.
pub(super) fn file(connection: &Connection) -> Result<Vec<Finding>> {
    let said = integrity(connection, &MOST_NAMED.to_string())?;
    if said.is_empty() {
        return Ok(vec![finding(true, "file", "pages and indexes agree")]);
    }
    let mut findings = vec![finding(false, "file", said.join("; "))];
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0 ORDER BY name";
    for table in many(connection, tables, [], |row| Ok(row.get::<_, String>(0)?))? {
        let said = integrity(connection, &format!("'{table}'"))?;
        if !said.is_empty() {
            let message =
                format!("it, or an index of it, is damaged: restore a backup ({})", said.join("; "));
            findings.push(finding(false, &format!("table {table}"), message));
        }
    }
    Ok(findings)
}

/// What SQLite finds in the file, or in a table: nothing when it is sound. A page that cannot be read may end the look.
fn integrity(connection: &Connection, what: &str) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let mut statement = connection.prepare(&format!("PRAGMA main.integrity_check({what})"))?;
    let mut rows = statement.query([])?;
    loop {
        match rows.next().map_err(|error| StoreError::from(Fault::from(error))) {
            Ok(Some(row)) => said.push(row.get::<_, String>(0)?),
            Ok(None) => break,
            Err(error) => {
                said.push(unreadable(error)?);
                break;
            }
        }
    }
    said.retain(|one| one != "ok");
    said.truncate(MOST_NAMED);
    Ok(said)
}

/// Whether damage of a page shows at reading.
fn checksums(connection: &Connection) -> Result<Finding> {
    let path = Path::new(connection.path().unwrap_or_default());
    let has_them = pegcount_pages::has_checksums(path)?;
    let (severity, message) = match has_them {
        true => (Severity::Fine, "every page has one"),
        false => (
            Severity::Warning,
            "pages have none, as an earlier version made the file: damage may go unnoticed. A backup has them: \
             `pegcount backup`, and restore it",
        ),
    };
    Ok(Finding { severity, subject: "page checksums".to_owned(), message: message.to_owned() })
}

fn orphans(connection: &Connection, table: &str, meaning: &str) -> Result<Finding> {
    let sql =
        format!("SELECT count(*) FROM {table} WHERE pk IS NOT NULL AND pk NOT IN (SELECT pk FROM calls)");
    let found = count(connection, &sql, [])?;
    let message = if found == 0 { "no row is lost".to_owned() } else { format!("{found} rows {meaning}") };
    Ok(finding(found == 0, table, message))
}

fn unsaved(connection: &Connection) -> Result<Finding> {
    let found = count(connection, "SELECT count(*) FROM calls WHERE start_ms IS NULL", [])?;
    let message = format!("{found} calls were opened and never folded");
    let severity = if found == 0 { Severity::Fine } else { Severity::Warning };
    Ok(Finding { severity, subject: "unfolded calls".to_owned(), message })
}

/// The audit log: every entry fits the one before it.
fn audit_log(connection: &Connection) -> Result<Finding> {
    let verdict = match audit::verify(connection).map_err(StoreError::from) {
        Ok(verdict) => verdict,
        Err(error) => return Ok(finding(false, "audit", unreadable(error)?)),
    };
    Ok(match verdict.fault {
        None => finding(true, "audit", format!("{} entries fit each other", verdict.entries)),
        Some(fault) => finding(false, "audit", fault),
    })
}

/// Every job: it can be read. That some are dead is for somebody to look at.
fn jobs(connection: &Connection) -> Result<Vec<Finding>> {
    let (looked_at, bad) = jobs::unreadable_ones(connection)?;
    let mut findings: Vec<Finding> =
        bad.iter().take(MOST_NAMED).map(|message| finding(false, "jobs", message.clone())).collect();
    let message = format!("{looked_at} jobs looked at, {} damaged", bad.len());
    findings.push(finding(bad.is_empty(), "jobs", message));
    let counts = jobs::counts(connection)?;
    let dead: u64 = counts.iter().filter(|one| one.state == JobState::Dead).map(|one| one.count).sum();
    if dead > 0 {
        let message = format!("{dead} are dead: see `pegcount jobs list --state dead`");
        findings.push(Finding { severity: Severity::Warning, subject: "jobs".to_owned(), message });
    }
    Ok(findings)
}

/// Every call: it can be read, its columns are those of the call they make, its words can be found if it has ended, and
/// it has events.
fn calls(snapshot: &Snapshot<'_>, fold: FoldReports) -> Result<Vec<Finding>> {
    let connection = &*snapshot.connection;
    let mut damaged = Vec::new();
    let (mut looked_at, mut found) = (0_u64, 0_u64);
    let mut last = CallKey(0);
    loop {
        let heads = calls::after(connection, None, last, CALLS_AT_A_TIME)?;
        let Some(newest) = heads.last() else { break };
        last = newest.key;
        for head in heads {
            looked_at += 1;
            if let Some(message) = damage_of(snapshot, head.key, fold)? {
                found += 1;
                if damaged.len() < MOST_NAMED {
                    damaged.push(finding(false, &format!("call {}", head.name), message));
                }
            }
        }
    }
    damaged.push(finding(found == 0, "calls", format!("{looked_at} calls looked at, {found} damaged")));
    Ok(damaged)
}

fn damage_of(snapshot: &Snapshot<'_>, key: CallKey, fold: FoldReports) -> Result<Option<String>> {
    let connection = &*snapshot.connection;
    let filed = match calls::filed(connection, key, fold).map_err(StoreError::from) {
        Ok(Some(filed)) => filed,
        Ok(None) => return Ok(Some("is in an index only".to_owned())),
        Err(StoreError::Unreadable { what, cause }) => {
            return Ok(Some(format!("{what} cannot be read: {cause}")));
        }
        Err(error @ StoreError::Damaged { .. }) => return Ok(Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    if let Some(column) = differing_column(connection, key, &filed)? {
        return Ok(Some(format!("its {column} is not what its state makes it")));
    }
    if let Some(message) = snapshot.damage_of(&filed)? {
        return Ok(Some(message.to_owned()));
    }
    match events::of_call(connection, key).map_err(StoreError::from) {
        Ok(reports) if reports.is_empty() => Ok(Some("has no events".to_owned())),
        Ok(_) => Ok(None),
        Err(error) => unreadable(error).map(Some),
    }
}

/// What is damaged, if that is the error.
fn unreadable(error: StoreError) -> Result<String> {
    match error {
        StoreError::Unreadable { what, cause } => Ok(format!("{what} cannot be read: {cause}")),
        error @ StoreError::Damaged { .. } => Ok(error.to_string()),
        error => Err(error.into()),
    }
}

fn differing_column(connection: &Connection, key: CallKey, filed: &Filed) -> Result<Option<&'static str>> {
    let row = save::row_of(&filed.call, (&filed.bill).into(), &filed.basis());
    let kept = save::kept_row(connection, key, &row)?.unwrap_or_default();
    // An older program did not note what is kept, or noted more: it is noted when the call is next saved, and costs a look.
    let may_be_more = |column: &str, value: &Value, kept: &Value| {
        column == "keeps"
            && match (value, kept) {
                (_, Value::Null) => true,
                (Value::Integer(value), Value::Integer(kept)) => kept & value == *value,
                _ => false,
            }
    };
    let mut pairs = row.iter().zip(&kept);
    let differing = pairs.find(|((column, value), kept)| value != *kept && !may_be_more(column, value, kept));
    Ok(differing.map(|((column, _), _)| *column))
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{Bill, CallName, Content, EventId, SourceName, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Basis, OrganizationNumber, Report, Store,
        sqlite::{samples::ended_call, words},
    };

    /// Keeps a call, does this to the file, and gives what a look at the store then finds.
    async fn findings_after(damage: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = super::super::Sqlite::open(&path, None).unwrap();
        let mut transaction = store.begin().await.unwrap();
        let name = CallName::new("c").unwrap();
        let head = transaction.open_call(OrganizationNumber(1), &name, Uuid::now_v7()).await.unwrap();
        let report = Report {
            id: EventId::new("e").unwrap(),
            at: Timestamp::from_millis(1),
            at_given: true,
            received_at: Timestamp::from_millis(1),
            source: SourceName::new("native").unwrap(),
            kind: "call_initiated".to_owned(),
            data: pegcount_calls::Document::from_json_text("{}"),
            blanked: false,
        };
        transaction.append(head.key, &[report]).await.unwrap();
        let content = Content { transcript_text: Some("words".to_owned()), ..Content::default() };
        transaction.save(head.key, &ended_call(content), &Bill::default(), &Basis::default()).await.unwrap();
        transaction.commit().await.unwrap();

        store.indexer.caught_up().await.unwrap();
        let connection = Connection::open(&path).unwrap();
        words::attach(&connection, &path).unwrap();
        connection.execute_batch(damage).unwrap();
        let findings = store.check().await.unwrap();
        // Counts differ from what is damaged by hand: recount.rs.
        let bad = findings.into_iter().filter(|finding| finding.severity != Severity::Fine);
        let bad = bad.filter(|finding| !finding.subject.starts_with("count"));
        bad.map(|finding| format!("{}: {}", finding.subject, finding.message)).collect()
    }

    #[tokio::test]
    async fn damage_is_named() {
        let one_call = "calls: 1 calls looked at, 1 damaged";
        for (damage, found) in [
            ("SELECT 1", vec![]),
            (
                "UPDATE calls SET status = 3",
                vec!["call c: the state cannot be read: a part of it is missing", one_call],
            ),
            (
                "UPDATE calls SET status = 99",
                vec!["call c: the status cannot be read: there is no code 99", one_call],
            ),
            (
                "UPDATE calls SET talk_ms = 5",
                vec!["call c: its talk_ms is not what its state makes it", one_call],
            ),
            (
                "DELETE FROM call_documents",
                vec!["call c: the document cannot be read: it is missing", one_call],
            ),
            ("DELETE FROM events", vec!["call c: has no events", one_call]),
            ("DELETE FROM transcripts", vec!["call c: is missing in the index of words", one_call]),
            (
                "INSERT INTO transcripts (rowid, transcript) VALUES (9, 'o1xlost')",
                vec!["index of words: the words of 1 calls are of none that has ended"],
            ),
            (
                "INSERT INTO jobs VALUES (7, 1, 'k', 's', 9, '{', 3, 0, 0, NULL, NULL, 0, NULL, NULL)",
                vec![
                    "jobs: 1 rows are of no call",
                    "jobs: job 7: its data cannot be read: EOF while parsing an object at line 1 column 1",
                    "jobs: 1 jobs looked at, 1 damaged",
                ],
            ),
            (
                "INSERT INTO jobs VALUES (7, 1, 'k', 's', NULL, '{}', 2, 10, 0, NULL, NULL, 0, 1, 'why')",
                vec!["jobs: 1 are dead: see `pegcount jobs list --state dead`"],
            ),
            ("UPDATE audit_ends SET last_number = 2", vec!["audit: entry 1 is missing: 2 were written"]),
            (
                "DELETE FROM audit_ends",
                vec!["audit: the ends of the audit log cannot be read: they are missing"],
            ),
            (
                "DELETE FROM calls",
                vec![
                    "events: 1 rows are of no call",
                    "call_documents: 1 rows are of no call",
                    "index of words: the words of 1 calls are of none that has ended",
                ],
            ),
        ] {
            let named = findings_after(damage).await;
            assert_eq!(named.len(), found.len(), "{damage}: {named:?}");
            for (named, found) in named.iter().zip(found) {
                let named = named.replace("call c: call c: ", "call c: ");
                // What mends the index follows.
                let named = if named.starts_with("index") { named.get(..found.len()) } else { Some(&*named) };
                assert_eq!(named, Some(found), "{damage}");
            }
        }
    }
}
