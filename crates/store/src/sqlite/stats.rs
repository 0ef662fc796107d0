//! Statistics, counted from the rows.

use pegcount_calls::{Amount, Direction, Disconnection, StatCell, Stats, Status, Timestamp};
use rusqlite::{Connection, params_from_iter};

use super::{
    codes::Code,
    conditions::Conditions,
    fault::Result,
    rows::{Columns, counted, many},
};
use crate::{OrganizationNumber, StatsQuery};

/// The statistics of the calls that a query means.
pub(super) fn stats(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Stats> {
    stats_of(connection, &Conditions::of_stats(organization, query))
}

/// The same for each stretch between neighbouring bounds.
pub(super) fn stats_between(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
    bounds: &[Timestamp],
) -> Result<Vec<Stats>> {
    let meant = Conditions::of_stats(organization, query);
    let stretches = bounds.iter().zip(bounds.iter().skip(1));
    stretches
        .map(|(from, until)| stats_of(connection, &meant.clone().between(from.millis(), until.millis())))
        .collect()
}

fn stats_of(connection: &Connection, meant: &Conditions) -> Result<Stats> {
    // Major units and the rest are summed apart: the sum of all amounts may not fit SQLite's integer.
    let unit = Amount::PER_MAJOR_UNIT;
    let sql = format!(
        "SELECT status, direction, count(*), count(answered_ms), coalesce(sum(talk_ms / 1000), 0),
             coalesce(sum(cost_nanos / {unit}), 0), coalesce(sum(cost_nanos % {unit}), 0)
         FROM calls WHERE {} GROUP BY status, direction",
        meant.sql()
    );
    let mut stats = Stats::default();
    let cells = many(connection, &sql, params_from_iter(meant.values()), |row| {
        let columns = &mut Columns::of(row);
        let status = Status::read(columns.take()?)?;
        let direction = Direction::read(columns.take()?)?;
        let calls = counted(columns.take()?)?;
        let answered = counted(columns.take()?)?;
        let talk_seconds = counted(columns.take()?)?;
        let (major, rest): (i64, i64) = (columns.take()?, columns.take()?);
        let cost_nanos = i128::from(major) * i128::from(unit) + i128::from(rest);
        Ok((status, direction, StatCell { calls, answered, talk_seconds, cost_nanos }))
    })?;
    for (status, direction, cell) in cells {
        stats.add(status, direction, &cell);
    }
    Ok(stats)
}

/// How often each reason ended a call.
pub(super) fn disconnections(
    connection: &Connection,
    organization: OrganizationNumber,
    query: &StatsQuery,
) -> Result<Vec<(Disconnection, u64)>> {
    let meant = Conditions::of_stats(organization, query);
    let sql = format!(
        "SELECT disconnection, count(*) FROM calls WHERE {} AND disconnection IS NOT NULL
         GROUP BY disconnection ORDER BY disconnection",
        meant.sql()
    );
    many(connection, &sql, params_from_iter(meant.values()), |row| {
        Ok((Disconnection::read(row.get(0)?)?, counted(row.get(1)?)?))
    })
}
