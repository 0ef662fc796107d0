//! Orders to erase every call from and to a number, and which calls those are.

use pegcount_calls::Timestamp;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::{
    calls::{self, HEAD},
    fault::Result,
    rows::{Columns, counted, many, one, run},
};
use crate::{CallHead, CallKey, Erasure, ErasureProgress, OrganizationNumber};

/// Keeps a new order.
pub(super) fn create(connection: &Connection, erasure: &Erasure) -> Result<()> {
    let sql = "INSERT INTO erasures (id, org, number, created_ms, erased, held, live) VALUES (?1, ?2, ?3, ?4, 0, 0, 0)";
    let Erasure { id, organization, digits, created_at, .. } = erasure;
    run(connection, sql, params![id.as_bytes(), organization.0, digits, created_at.millis()])?;
    Ok(())
}

/// The order with this id.
pub(super) fn of_id(
    connection: &Connection,
    organization: OrganizationNumber,
    id: Uuid,
) -> Result<Option<Erasure>> {
    let sql =
        "SELECT number, created_ms, finished_ms, erased, held, live FROM erasures WHERE id = ?1 AND org = ?2";
    one(connection, sql, params![id.as_bytes(), organization.0], |row| {
        let columns = &mut Columns::of(row);
        Ok(Erasure {
            id,
            organization,
            digits: columns.take()?,
            created_at: Timestamp::from_millis(columns.take()?),
            finished_at: columns.take::<Option<i64>>()?.map(Timestamp::from_millis),
            progress: ErasureProgress {
                erased: counted(columns.take()?)?,
                held: counted(columns.take()?)?,
                live: counted(columns.take()?)?,
            },
        })
    })
}

/// Keeps how far an order has come, whether its number is still needed, and when it was finished.
pub(super) fn update(connection: &Connection, erasure: &Erasure) -> Result<()> {
    let Erasure { id, digits, finished_at, progress: ErasureProgress { erased, held, live }, .. } = erasure;
    let whole = |count: &u64| i64::try_from(*count).unwrap_or(i64::MAX);
    let sql =
        "UPDATE erasures SET number = ?2, finished_ms = ?3, erased = ?4, held = ?5, live = ?6 WHERE id = ?1";
    let finished = finished_at.map(Timestamp::millis);
    run(connection, sql, params![id.as_bytes(), digits, finished, whole(erased), whole(held), whole(live)])?;
    Ok(())
}

/// What stands in front of a number in the writings of it that are looked for.
const BEFORE: [&str; 3] = ["+", "", "00"];
/// What stands in front of that in an address.
const SCHEMES: [&str; 4] = ["sip:", "sips:", "tel:", ""];

/// The calls from or to a number, or of a caller that the network gave it to, by their keys, after this one. It is found in these writings: the digits, with `+` or
/// `00` in front or nothing, and each of these as the user of an address.
pub(super) fn calls_of(
    connection: &Connection,
    organization: OrganizationNumber,
    digits: &str,
    after: CallKey,
    limit: u32,
) -> Result<Vec<CallHead>> {
    let mut found = Vec::new();
    for column in ["from_number", "to_number", "asserted_number"] {
        let sql = format!(
            "SELECT {HEAD} FROM calls c
             WHERE c.org = ?1 AND c.{column} IS NOT NULL AND c.{column} >= ?2 AND c.{column} < ?3 AND +c.pk > ?4
             ORDER BY +c.pk LIMIT ?5"
        );
        let writings = SCHEMES.into_iter().flat_map(|scheme| {
            BEFORE.map(|before| {
                let whole = format!("{scheme}{before}{digits}");
                // As it is, with a host, with parameters: nothing stands between these in the order of bytes.
                [
                    (whole.clone(), format!("{whole}\u{1}")),
                    (format!("{whole}@"), format!("{whole}A")),
                    (format!("{whole};"), format!("{whole}<")),
                ]
            })
        });
        for (from, until) in writings.flatten() {
            let range = params![organization.0, from, until, after.0, limit];
            found.extend(many(connection, &sql, range, |row| calls::head(&mut Columns::of(row)))?);
        }
    }
    found.sort_by_key(|head: &CallHead| head.key);
    found.dedup_by_key(|head| head.key);
    found.truncate(limit as usize);
    Ok(found)
}
