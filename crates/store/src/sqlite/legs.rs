//! Which leg of which source belongs to which call.

use pegcount_calls::SourceName;
use rusqlite::{Connection, params};

use super::{
    calls::{self, HEAD},
    fault::Result,
    rows::{Columns, many, run},
};
use crate::{CallHead, CallKey, LegSpan, OrganizationNumber};

/// The calls that have this leg in an overlapping span, oldest arrival first.
pub(super) fn find(
    connection: &Connection,
    organization: OrganizationNumber,
    source: &SourceName,
    leg: &LegSpan,
) -> Result<Vec<CallHead>> {
    let sql = format!(
        "SELECT {HEAD} FROM legs l JOIN calls c ON c.pk = l.pk
         WHERE l.org = ?1 AND l.source = ?2 AND l.leg = ?3 AND l.from_ms <= ?4 AND l.to_ms >= ?5 ORDER BY c.pk"
    );
    let span = params![organization.0, source.as_str(), leg.id.as_str(), leg.to.millis(), leg.from.millis()];
    many(connection, &sql, span, |row| calls::head(&mut Columns::of(row)))
}

/// Notes that a leg belongs to a call, or widens the span in which it does.
pub(super) fn link(connection: &Connection, call: CallKey, source: &SourceName, leg: &LegSpan) -> Result<()> {
    let organization = calls::organization_of(connection, call)?;
    let sql = "INSERT INTO legs (org, source, leg, pk, from_ms, to_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (org, source, leg, pk) DO UPDATE
               SET from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)";
    let span = params![
        organization.0,
        source.as_str(),
        leg.id.as_str(),
        call.0,
        leg.from.millis(),
        leg.to.millis(),
    ];
    run(connection, sql, span)?;
    Ok(())
}

/// Moves the legs of the younger call to the older one.
pub(super) fn merge(connection: &Connection, younger: CallKey, older: CallKey) -> Result<()> {
    let moved = "INSERT INTO legs (org, source, leg, pk, from_ms, to_ms)
                 SELECT org, source, leg, ?1, from_ms, to_ms FROM legs WHERE pk = ?2
                 ON CONFLICT (org, source, leg, pk) DO UPDATE
                 SET from_ms = min(from_ms, excluded.from_ms), to_ms = max(to_ms, excluded.to_ms)";
    run(connection, moved, params![older.0, younger.0])?;
    run(connection, "DELETE FROM legs WHERE pk = ?1", [younger.0])?;
    Ok(())
}
