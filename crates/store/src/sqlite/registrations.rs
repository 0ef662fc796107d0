//! Registrations of users of the SIP gateway.

use pegcount_calls::{Document, Timestamp};
use rusqlite::{Connection, params};

use super::{
    fault::Result,
    rows::{Columns, many, run},
    sealing,
};
use crate::{OrganizationNumber, Registration};

/// Those that have not expired. One that is sealed with a key that is not at hand is left out: its phone registers again.
pub(super) fn current(connection: &Connection, now: Timestamp) -> Result<Vec<Registration>> {
    let sql = "SELECT org, user, expires_ms, opened_text(contacts, 'registration ' || org || ' ' || user)
               FROM registrations WHERE expires_ms > ?1 ORDER BY org, user";
    let all = many(connection, sql, [now.millis()], |row| {
        let columns = &mut Columns::of(row);
        let organization = OrganizationNumber(columns.take()?);
        let user = columns.take()?;
        let expires_at = Timestamp::from_millis(columns.take()?);
        let contacts: String = columns.take()?;
        let contacts = (!sealing::is_locked(&contacts)).then(|| Document::from_json_text(contacts));
        Ok(Registration { organization, user, expires_at, contacts })
    })?;
    Ok(all.into_iter().filter(|one| one.contacts.is_some()).collect())
}

/// Replaces what is kept of these users, and deletes what has expired.
pub(super) fn save(connection: &Connection, changed: &[Registration], now: Timestamp) -> Result<()> {
    for Registration { organization, user, expires_at, contacts } in changed {
        match contacts {
            Some(contacts) => {
                let sql = "INSERT INTO registrations (org, user, expires_ms, contacts)
                           VALUES (?1, ?2, ?3, sealed_text(?4, 'registration ' || ?1 || ' ' || ?2))
                           ON CONFLICT (org, user) DO UPDATE SET expires_ms = excluded.expires_ms, contacts = excluded.contacts";
                let row = params![organization.0, user, expires_at.millis(), contacts.as_json_text()];
                run(connection, sql, row)?;
            }
            None => {
                let sql = "DELETE FROM registrations WHERE org = ?1 AND user = ?2";
                run(connection, sql, params![organization.0, user])?;
            }
        }
    }
    run(connection, "DELETE FROM registrations WHERE expires_ms <= ?1", [now.millis()])?;
    Ok(())
}
