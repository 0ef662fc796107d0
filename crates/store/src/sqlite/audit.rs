//! The audit log: rows that are only added, each with a hash of the one before it.

use pegcount_calls::{Document, Timestamp};
use rusqlite::{Connection, Row, ToSql, params, params_from_iter};

use super::{
    fault::{Fault, Result, unreadable},
    rows::{Columns, count, many, one, run},
};
use crate::{
    AuditEntry, AuditHash, AuditPage, AuditPlace, AuditQuery, AuditVerdict, Deed, OrganizationNumber,
    StoreError, audit::chained,
};

const ENTRY: &str = "SELECT number, at_ms, org, actor, action, subject, details, hash FROM audit";

/// How many rows are looked at in one step.
pub(super) const STEP: u32 = 10_000;

fn entry_of(row: &Row<'_>) -> Result<AuditEntry> {
    let columns = &mut Columns::of(row);
    let number: i64 = columns.take()?;
    read(number, columns).map_err(|fault| fault.within(&format!("entry {number}")))
}

fn read(number: i64, columns: &mut Columns<'_, '_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        number,
        deed: Deed {
            at: Timestamp::from_millis(columns.take()?),
            organization: columns.take::<Option<i64>>()?.map(OrganizationNumber),
            actor: columns.take()?,
            action: columns.take()?,
            subject: columns.take()?,
            details: Document::from_json_text(columns.take::<String>()?),
        },
        hash: columns.take()?,
    })
}

/// A row and its hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    number: i64,
    hash: AuditHash,
}

/// Where the log begins and ends.
struct Ends {
    /// The last row that was taken away.
    cut: Mark,
    /// The last row that was written.
    last: Mark,
}

fn ends(connection: &Connection) -> Result<Ends> {
    let sql = "SELECT cut_number, cut_hash, last_number, last_hash FROM audit_ends";
    let found = one(connection, sql, [], |row| {
        let columns = &mut Columns::of(row);
        let mut mark = || Ok::<_, Fault>(Mark { number: columns.take()?, hash: columns.take()? });
        Ok(Ends { cut: mark()?, last: mark()? })
    });
    let found = found.map_err(|fault| fault.within("the ends of the audit log"))?;
    found.ok_or_else(|| unreadable("the ends of the audit log", "they are missing"))
}

/// Adds these at the end, in this order.
pub(super) fn append(connection: &Connection, deeds: &[Deed]) -> Result<()> {
    let Mark { mut number, mut hash } = ends(connection)?.last;
    for deed in deeds {
        number += 1;
        hash = chained(&hash, number, deed);
        let sql = "INSERT INTO audit (number, at_ms, org, actor, action, subject, details, hash)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let row = params![
            number,
            deed.at.millis(),
            deed.organization.map(|one| one.0),
            deed.actor,
            deed.action,
            deed.subject,
            deed.details.as_json_text(),
            hash,
        ];
        run(connection, sql, row)?;
    }
    run(connection, "UPDATE audit_ends SET last_number = ?1, last_hash = ?2", params![number, hash])?;
    Ok(())
}

/// Takes away entries at the beginning that were made before then, so many at most. How many there were.
pub(super) fn cut(connection: &Connection, before: Timestamp, limit: u32) -> Result<u64> {
    let sql = "SELECT number, hash, at_ms FROM audit ORDER BY number LIMIT ?1";
    let oldest: Vec<(Mark, i64)> = many(connection, sql, [limit], |row| {
        Ok((Mark { number: row.get(0)?, hash: row.get(1)? }, row.get(2)?))
    })?;
    let old = oldest.into_iter().take_while(|(_, at)| *at < before.millis());
    let Some((Mark { number, hash }, _)) = old.last() else { return Ok(0) };
    run(connection, "UPDATE audit_ends SET cut_number = ?1, cut_hash = ?2", params![number, hash])?;
    Ok(run(connection, "DELETE FROM audit WHERE number <= ?1", [number])? as u64)
}

/// One part of the list, newest first.
pub(super) fn page(connection: &Connection, query: &AuditQuery) -> Result<AuditPage> {
    let mut conditions = "org = ?".to_owned();
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(query.organization.0)];
    let mut and = |condition: &str, value: Option<Box<dyn ToSql>>| {
        if let Some(value) = value {
            conditions.push_str(" AND ");
            conditions.push_str(condition);
            values.push(value);
        }
    };
    let text = |text: &Option<String>| text.clone().map(|text| Box::new(text) as _);
    and("action = ?", text(&query.action));
    and("actor = ?", text(&query.actor));
    and("subject = ?", text(&query.subject));
    and("at_ms >= ?", query.at.from.map(|from| Box::new(from) as _));
    and("at_ms <= ?", query.at.to.map(|to| Box::new(to) as _));
    if let Some(after) = query.after {
        conditions.push_str(" AND (at_ms, number) < (?, ?)");
        values.push(Box::new(after.at.millis()));
        values.push(Box::new(after.number));
    }
    values.push(Box::new(i64::from(query.limit) + 1));
    let sql = format!("{ENTRY} WHERE {conditions} ORDER BY at_ms DESC, number DESC LIMIT ?");
    let mut entries = many(connection, &sql, params_from_iter(&values), entry_of)?;
    let is_all = entries.len() <= query.limit as usize;
    entries.truncate(query.limit as usize);
    let last = entries.last().filter(|_| !is_all);
    let next = last.map(|last| AuditPlace { at: last.deed.at, number: last.number });
    Ok(AuditPage { entries, next })
}

/// Looks at every entry, a step at a time: no read is so long that the log grows.
pub(super) fn walk_through(connection: &Connection) -> Result<AuditVerdict> {
    let mut walk = Walk::default();
    loop {
        let snapshot = connection.unchecked_transaction()?;
        if let Some(verdict) = walk.step(&snapshot, STEP)? {
            return Ok(verdict);
        }
    }
}

/// A look at every entry, a step at a time.
#[derive(Default)]
pub(super) struct Walk {
    /// The last row that fits; `None` before the first step.
    at: Option<Mark>,
    entries: u64,
}

impl Walk {
    /// Looks at the next rows; gives the verdict after the last, or at the first that does not fit.
    pub(super) fn step(&mut self, connection: &Connection, limit: u32) -> Result<Option<AuditVerdict>> {
        let ends = ends(connection)?;
        let mut at = match self.at {
            // What comes next may have been taken away since the last step.
            Some(at) if at.number >= ends.cut.number => at,
            _ => ends.cut,
        };
        if self.at.is_none() {
            let left = count(connection, "SELECT count(*) FROM audit WHERE number <= ?1", [at.number])?;
            if left > 0 {
                let fault = format!("{left} entries are there that were cut off at {}", at.number);
                return Ok(Some(self.verdict(at, Some(fault))));
            }
        }
        let sql = format!("{ENTRY} WHERE number > ?1 ORDER BY number LIMIT ?2");
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![at.number, limit])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            found += 1;
            match fitting(at, row)? {
                Ok(mark) => at = mark,
                Err(fault) => return Ok(Some(self.verdict(at, Some(fault)))),
            }
            self.entries += 1;
        }
        self.at = Some(at);
        if found == limit {
            return Ok(None);
        }
        let fault = if at.number < ends.last.number {
            Some(format!("entry {} is missing: {} were written", at.number + 1, ends.last.number))
        } else if at == ends.last {
            None
        } else {
            Some(format!("entry {} is not the last one that was written", at.number))
        };
        Ok(Some(self.verdict(at, fault)))
    }

    fn verdict(&self, at: Mark, fault: Option<String>) -> AuditVerdict {
        AuditVerdict { entries: self.entries, last: at.number, hash: at.hash, fault }
    }
}

/// The mark of a row that fits behind another one; else what is wrong with it.
fn fitting(before: Mark, row: &Row<'_>) -> Result<std::result::Result<Mark, String>> {
    let entry = match entry_of(row).map_err(StoreError::from) {
        Ok(entry) => entry,
        Err(StoreError::Unreadable { what, cause }) => {
            return Ok(Err(format!("{what} cannot be read: {cause}")));
        }
        Err(error @ StoreError::Damaged { .. }) => return Ok(Err(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let expected = before.number + 1;
    if entry.number != expected {
        return Ok(Err(format!("entry {expected} is missing")));
    }
    if chained(&before.hash, expected, &entry.deed) != entry.hash {
        return Ok(Err(format!("entry {expected} is not as it was written")));
    }
    Ok(Ok(Mark { number: expected, hash: entry.hash }))
}

/// The whole look.
pub(super) fn verify(connection: &Connection) -> Result<AuditVerdict> {
    let mut walk = Walk::default();
    loop {
        if let Some(verdict) = walk.step(connection, STEP)? {
            return Ok(verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, sqlite::Sqlite};

    fn deed(number: i64) -> Deed {
        Deed {
            at: Timestamp::from_millis(number * 10),
            organization: Some(OrganizationNumber(1)),
            actor: "key_1".to_owned(),
            action: "call_read".to_owned(),
            subject: Some(format!("call {number}")),
            details: Document::from_json_text("{}"),
        }
    }

    async fn fault_after(damage: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        let deeds: Vec<Deed> = (1..=6).map(deed).collect();
        store.append_audit(&deeds[..4]).await.unwrap();
        store.append_audit(&deeds[4..]).await.unwrap();
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        store.verify_audit().await.unwrap().fault
    }

    #[tokio::test]
    async fn a_row_that_was_changed_removed_moved_or_put_in_is_named() {
        for (damage, fault) in [
            ("SELECT 1", None),
            ("UPDATE audit SET actor = 'other' WHERE number = 3", Some("entry 3 is not as it was written")),
            ("UPDATE audit SET at_ms = at_ms + 1 WHERE number = 1", Some("entry 1 is not as it was written")),
            (
                "UPDATE audit SET hash = zeroblob(32) WHERE number = 5",
                Some("entry 5 is not as it was written"),
            ),
            ("DELETE FROM audit WHERE number = 2", Some("entry 2 is missing")),
            ("DELETE FROM audit WHERE number = 1", Some("entry 1 is missing")),
            ("DELETE FROM audit WHERE number = 6", Some("entry 6 is missing: 6 were written")),
            ("DELETE FROM audit", Some("entry 1 is missing: 6 were written")),
            (
                "UPDATE audit SET number = 99 WHERE number = 4; UPDATE audit SET number = 4 WHERE number = 5;
                 UPDATE audit SET number = 5 WHERE number = 99",
                Some("entry 4 is not as it was written"),
            ),
            (
                "INSERT INTO audit SELECT 7, at_ms, org, actor, action, subject, details, hash FROM audit
                 WHERE number = 6",
                Some("entry 7 is not as it was written"),
            ),
            ("UPDATE audit SET hash = x'01' WHERE number = 2", Some("entry 2 cannot be read: ")),
            (
                "UPDATE audit_ends SET last_number = 5, last_hash = (SELECT hash FROM audit WHERE number = 5)",
                Some("entry 6 is not the last one that was written"),
            ),
        ] {
            let found = fault_after(damage).await;
            let same = match (&found, fault) {
                (Some(found), Some(fault)) => found.starts_with(fault),
                (found, fault) => found.is_none() && fault.is_none(),
            };
            assert!(same, "{damage}: {found:?}");
        }
    }

    #[tokio::test]
    async fn rows_that_were_cut_off_and_come_back_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        store.append_audit(&[deed(1), deed(2), deed(3)]).await.unwrap();
        let plain = Connection::open(&path).unwrap();
        plain.execute_batch("CREATE TABLE old AS SELECT * FROM audit").unwrap();
        assert_eq!(store.cut_audit(Timestamp::from_millis(25), 10).await.unwrap(), 2);
        assert_eq!(store.verify_audit().await.unwrap().fault, None);
        plain.execute_batch("INSERT INTO audit SELECT * FROM old WHERE number = 2").unwrap();
        let fault = store.verify_audit().await.unwrap().fault.unwrap();
        assert_eq!(fault, "1 entries are there that were cut off at 2");
    }

    #[test]
    fn a_look_in_small_steps_finds_what_a_look_at_once_does_and_goes_on_behind_what_was_cut_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("calls.db"), None).unwrap();
        drop(store);
        let plain = Connection::open(folder.path().join("calls.db")).unwrap();
        append(&plain, &(1..=7).map(deed).collect::<Vec<_>>()).unwrap();
        let mut walk = Walk::default();
        assert_eq!(walk.step(&plain, 2).unwrap(), None);
        assert_eq!(cut(&plain, Timestamp::from_millis(45), 10).unwrap(), 4);
        assert_eq!(walk.step(&plain, 2).unwrap(), None);
        append(&plain, &[deed(8)]).unwrap();
        let verdict = walk.step(&plain, 3).unwrap().unwrap();
        assert_eq!((verdict.entries, verdict.last, verdict.fault), (6, 8, None));
        assert_eq!(verify(&plain).unwrap().entries, 4);
    }
}
