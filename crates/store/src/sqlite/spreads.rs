//! How measures are spread: read from the sketches beside the calls, and from the calls where no whole bucket lies.

use pegcount_calls::Timestamp;
use rusqlite::params_from_iter;

use super::{
    codes::Code,
    conditions::Conditions,
    connect::Snapshot,
    fault::Result,
    packed,
    rollups::{COUNTED, blob, counted_in},
    rows::many,
    stats::stretches,
    totals::{Buckets, negative, tables},
};
use crate::{
    Measure, OrganizationNumber, Spreads, StatsQuery,
    rollups::{Piece, SPANS, Span, Stretch, pieces},
    sketch::Counts,
};

/// How the measures of the calls that a query means are spread, for each stretch between neighbouring bounds.
pub(super) fn spreads_between(
    connection: &Snapshot<'_>,
    organization: OrganizationNumber,
    query: &StatsQuery,
    bounds: &[Timestamp],
    measures: &[Measure],
) -> Result<Vec<Spreads>> {
    let spreads = |query: &StatsQuery| Looking { connection, organization, query, measures }.spreads();
    stretches(query, bounds)
        .map(|query| query.map_or_else(|| Ok(Spreads::default()), |query| spreads(&query)))
        .collect()
}

/// What is looked for, and where.
struct Looking<'a> {
    connection: &'a Snapshot<'a>,
    organization: OrganizationNumber,
    query: &'a StatsQuery,
    measures: &'a [Measure],
}

impl Looking<'_> {
    fn spreads(&self) -> Result<Spreads> {
        let mut spreads = Spreads::default();
        let Some(stretch) = Stretch::of(self.query.created) else { return Ok(spreads) };
        let buckets = Buckets::of(self.connection, self.organization, self.query)?;
        for piece in pieces(stretch, if buckets.is_some() { &SPANS } else { &[] }) {
            match piece {
                Piece::Buckets { span, from, until } => {
                    if let Some(series) = buckets.as_ref().and_then(|buckets| buckets.series) {
                        self.buckets(series, span, [from, until], &mut spreads)?;
                    }
                }
                Piece::Calls(stretch) => self.calls(stretch, &mut spreads)?,
            }
        }
        if spreads.is_negative() { Err(negative()) } else { Ok(spreads) }
    }

    fn buckets(&self, series: i64, span: Span, [from, until]: [i64; 2], into: &mut Spreads) -> Result<()> {
        let sql = "SELECT counts FROM rollup_sketches WHERE series = ?1 AND span = ?2 AND bucket >= ?3 AND bucket < ?4";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query([series, span.code(), from, until])?;
        while let Some(row) = rows.next()? {
            packed::unpack_groups(blob(row, 0)?, |group, bytes| {
                if self.measures.contains(&group.measure) && self.query.means(group.status, group.direction) {
                    let mut counts = Counts::default();
                    packed::unpack_counts(bytes, &mut counts)?;
                    into.add(group.measure, &counts);
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn calls(&self, stretch: Stretch, into: &mut Spreads) -> Result<()> {
        let query = StatsQuery { created: stretch.range(), ..self.query.clone() };
        let meant = Conditions::of_stats(self.organization, &query);
        for (table, _) in tables(&query) {
            // Calls that live have no values.
            let sql = format!(
                "SELECT {} FROM {table} WHERE {} AND ended_ms IS NOT NULL",
                COUNTED.join(", "),
                meant.sql()
            );
            many(self.connection, &sql, params_from_iter(meant.values()), |row| {
                let Some(call) = counted_in(row, 0)? else { return Ok(()) };
                let kind = call.kind;
                let meant =
                    |measure| self.measures.contains(measure) && query.means(kind.status, kind.direction);
                for (measure, values) in call.values.iter().filter(|(measure, _)| meant(measure)) {
                    into.add(*measure, values);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
