//! Looking for damage in the counts kept beside the calls: they are counted anew and compared.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    codes::Code,
    fault::Result,
    rollups::{dimension_code, held_day, held_sketches, recount, series_number},
    rows::{Columns, count, many},
};
use crate::{
    Finding, Severity, StoreError,
    rollups::{Day, Series, SeriesChanges, Sketches, Span},
};

/// How many differing days are named before the rest is only counted.
const MOST_NAMED: usize = 20;

/// What a comparison has found so far.
#[derive(Default)]
struct Compared {
    named: Vec<Finding>,
    differing: u64,
    /// Days that have calls and are counted, rightly or not.
    days: u64,
    /// Buckets of sketches that have values and are kept, rightly or not.
    sketches: u64,
}

/// Compares every day of every series with the calls.
pub(super) fn check(connection: &Connection) -> Result<Vec<Finding>> {
    let mut all = Compared::default();
    recount(connection, |changes| {
        for (series, SeriesChanges { days, sketches }) in changes.series() {
            let number = series_number(connection, series)?;
            for (day, counted) in days {
                all.compare_day(connection, (series, number), *day, counted)?;
            }
            for (bucket, counted) in sketches {
                all.compare_sketches(connection, (series, number), *bucket, counted)?;
            }
        }
        Ok(())
    })?;
    all.look_for_more(connection)?;
    let Compared { mut named, differing, days, sketches } = all;
    let remedy = if differing > 0 { " (`pegcount refold --counts` makes them anew)" } else { "" };
    let message = format!(
        "{days} days' counts and {sketches} sketches compared with the calls, {differing} differ{remedy}"
    );
    named.push(finding(differing == 0, "counts", message));
    Ok(named)
}

fn finding(fine: bool, subject: &str, message: String) -> Finding {
    let severity = if fine { Severity::Fine } else { Severity::Damage };
    Finding { severity, subject: subject.to_owned(), message }
}

impl Compared {
    fn compare_day(
        &mut self,
        connection: &Connection,
        (series, number): (&Series, Option<i64>),
        day: i64,
        counted: &Day,
    ) -> Result<()> {
        let held = held(number, |number| held_day(connection, number, day));
        self.days += u64::from(!matches!(held, Ok(None)));
        let Some(message) = compared(held, counted, difference)? else { return Ok(()) };
        let of = (series.organization.0, dimension_code(&series.dimension));
        let subject = subject(connection, of, Span::Day, day)?;
        self.name(&subject, message);
        Ok(())
    }

    fn compare_sketches(
        &mut self,
        connection: &Connection,
        (series, number): (&Series, Option<i64>),
        (span, bucket): (Span, i64),
        counted: &Sketches,
    ) -> Result<()> {
        let held = held(number, |number| held_sketches(connection, [number, span.code(), bucket]));
        self.sketches += u64::from(!matches!(held, Ok(None)));
        let differ = |_: &_, _: &_| "its percentiles are not those of its calls".to_owned();
        let Some(message) = compared(held, counted, differ)? else { return Ok(()) };
        let of = (series.organization.0, dimension_code(&series.dimension));
        let subject = subject(connection, of, span, bucket)?;
        self.name(&subject, message);
        Ok(())
    }

    fn name(&mut self, subject: &str, message: String) {
        self.differing += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(finding(false, subject, message));
        }
    }

    /// Buckets that no call lies in.
    fn look_for_more(&mut self, connection: &Connection) -> Result<()> {
        let days = "SELECT series, 0 AS span, day AS bucket FROM rollups";
        let sketches = "SELECT series, span, bucket FROM rollup_sketches";
        for (kept, seen) in [(days, self.days), (sketches, self.sketches)] {
            let more = count(connection, &format!("SELECT count(*) FROM ({kept})"), [])?.saturating_sub(seen);
            if more > 0 {
                let named = empty_buckets(connection, kept)?;
                self.differing += more.saturating_sub(named.len() as u64);
                for subject in named {
                    self.name(&subject, "counts calls, there are none".to_owned());
                }
            }
        }
        Ok(())
    }
}

/// Some of the buckets of a table that no call lies in.
fn empty_buckets(connection: &Connection, kept: &str) -> Result<Vec<String>> {
    let lies_in = "c.org = s.org AND (s.dimension <> 1 OR c.endpoint = s.name)
        AND (s.dimension <> 2 OR c.phone_number = s.name)
        AND c.start_ms >= r.bucket * iif(r.span = 0, 86400000, 3600000)
        AND c.start_ms < (r.bucket + 1) * iif(r.span = 0, 86400000, 3600000)";
    let sql = format!(
        "SELECT s.org, s.dimension, s.name, r.span, r.bucket
         FROM ({kept}) r LEFT JOIN rollup_series s ON s.id = r.series
         WHERE NOT EXISTS (SELECT 1 FROM calls c WHERE {lies_in})
           AND NOT EXISTS (SELECT 1 FROM erased_calls c WHERE {lies_in})
         LIMIT ?1"
    );
    many(connection, &sql, [i64::try_from(MOST_NAMED).unwrap_or(0)], |row| {
        let columns = &mut Columns::of(row);
        let of: [Option<i64>; 2] = [columns.take()?, columns.take()?];
        let name: Option<String> = columns.take()?;
        let (span, bucket): (i64, i64) = (columns.take()?, columns.take()?);
        let [organization, dimension] = of.map(|number| number.unwrap_or(-1));
        let of = (organization, (dimension, name.as_deref().unwrap_or("nobody's")));
        subject(connection, of, Span::read(span)?, bucket)
    })
}

/// What is kept of a bucket of a series, if the series has a number.
fn held<T>(
    number: Option<i64>,
    read: impl FnOnce(i64) -> Result<Option<T>>,
) -> std::result::Result<Option<T>, StoreError> {
    number.map_or(Ok(None), |number| read(number).map_err(StoreError::from))
}

/// What is wrong with what is kept of a bucket.
fn compared<T: PartialEq>(
    held: std::result::Result<Option<T>, StoreError>,
    counted: &T,
    difference: impl FnOnce(&T, &T) -> String,
) -> Result<Option<String>> {
    match held {
        Ok(Some(held)) if held == *counted => Ok(None),
        Ok(Some(held)) => Ok(Some(difference(&held, counted))),
        Ok(None) => Ok(Some("is missing".to_owned())),
        Err(StoreError::Unreadable { what, cause }) => Ok(Some(format!("{what} cannot be read: {cause}"))),
        Err(error @ StoreError::Damaged { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// How what is kept of a day differs from its calls.
fn difference(held: &Day, counted: &Day) -> String {
    if held.sums != counted.sums {
        let calls =
            |day: &Day| day.sums.sums().iter().fold(0_i128, |all, (_, sum)| all.saturating_add(sum.calls));
        let (held, counted) = (calls(held), calls(counted));
        return format!("{held} calls and what they add up to are kept, there are {counted}");
    }
    "its hours are not those of its calls".to_owned()
}

/// What people call a bucket of a series.
fn subject(
    connection: &Connection,
    (organization, (dimension, name)): (i64, (i64, &str)),
    span: Span,
    bucket: i64,
) -> Result<String> {
    let of = match dimension {
        0 => String::new(),
        1 => format!(", endpoint {name}"),
        2 => format!(", phone number {name}"),
        _ => format!(", {name}"),
    };
    let begin = span.stretch_of(bucket).from;
    let format = match span {
        Span::Block | Span::Day => "%Y-%m-%d",
        Span::Hour => "%Y-%m-%dT%HZ",
    };
    let sql = "SELECT strftime(?2, ?1, 'unixepoch')";
    let date: Option<String> = connection
        .prepare_cached(sql)?
        .query_row(params![begin.div_euclid(1_000), format], |row| row.get(0))
        .optional()?
        .flatten();
    let date = date.unwrap_or_else(|| format!("{begin} ms"));
    Ok(format!("count of organization {organization}{of}, {date}"))
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{Bill, Call, CallName, Cause, Content, Ending, EndpointName, State, Timestamp};
    use uuid::Uuid;

    use super::*;
    use crate::{
        Basis, OrganizationNumber, StatsQuery, Store,
        sqlite::{Sqlite, samples::ended_call},
    };

    const OURS: OrganizationNumber = OrganizationNumber(1);

    fn call(created: i64) -> Call {
        let Call { state: State::Ended(ending), .. } = ended_call(Content::default()) else { unreachable!() };
        let ended_at = Timestamp::from_millis(created + 9);
        Call {
            created_at: Timestamp::from_millis(created),
            ringing_at: Some(Timestamp::from_millis(created)),
            state: State::Ended(Ending { ended_at, cause: Cause::NoAnswer, ..ending }),
            endpoint: Some(EndpointName::new("ep").unwrap()),
            ..ended_call(Content::default())
        }
    }

    async fn keep(store: &Sqlite, name: &str, call: &Call) {
        let mut transaction = store.begin().await.unwrap();
        let name = CallName::new(name).unwrap();
        let head = transaction.open_call(OURS, &name, Uuid::now_v7()).await.unwrap();
        transaction.save(head.key, call, &Bill::default(), &Basis::default()).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn named(store: &Sqlite) -> Vec<String> {
        let reader = store.readers.slow().await.unwrap();
        let findings = reader.read(|snapshot| check(snapshot)).unwrap();
        let bad = findings.into_iter().filter(|finding| finding.severity != Severity::Fine);
        bad.map(|finding| format!("{}: {}", finding.subject, finding.message)).collect()
    }

    #[tokio::test]
    async fn counts_that_differ_from_the_calls_are_named_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        keep(&store, "c", &call(1)).await;
        keep(&store, "d", &call(-1)).await;
        assert_eq!(named(&store).await, [""; 0]);

        let day = "count of organization 1, 1970-01-01";
        for (damage, found) in [
            ("DELETE FROM rollups WHERE series = 1 AND day = 0", format!("{day}: is missing")),
            (
                "UPDATE rollups SET sums = X'80' WHERE series = 1 AND day = 0",
                format!("{day}: a count kept beside the calls cannot be read: it is cut short"),
            ),
            (
                "UPDATE rollups SET sums = X'020004000000' WHERE series = 1 AND day = 0",
                format!("{day}: 2 calls and what they add up to are kept, there are 1"),
            ),
            (
                "UPDATE rollups SET hours = X'' WHERE series = 1 AND day = 0",
                format!("{day}: its hours are not those of its calls"),
            ),
            (
                "UPDATE rollup_sketches SET counts = X'14040802' WHERE series = 1 AND span = 1 AND bucket = 0",
                "count of organization 1, 1970-01-01T00Z: its percentiles are not those of its calls"
                    .to_owned(),
            ),
            (
                "DELETE FROM rollup_sketches WHERE series = 1 AND span = 0 AND bucket = 0",
                format!("{day}: is missing"),
            ),
            (
                "INSERT INTO rollups SELECT 2, 5, sums, hours FROM rollups WHERE series = 1 AND day = 0",
                "count of organization 1, endpoint ep, 1970-01-06: counts calls, there are none".to_owned(),
            ),
        ] {
            let found = [found];
            Connection::open(&path).unwrap().execute_batch(damage).unwrap();
            let named_now = named(&store).await;
            let (last, rest) = named_now.split_last().unwrap();
            assert_eq!(rest, found, "{damage}");
            assert!(last.contains("compared with the calls, 1 differ ("), "{last}");
            store.rebuild_rollups().await.unwrap();
            assert_eq!(named(&store).await, [""; 0], "{damage}");
        }
    }

    #[tokio::test]
    async fn a_damaged_count_keeps_no_call_out_and_is_never_read_as_if_it_were_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path, None).unwrap();
        keep(&store, "c", &call(1)).await;
        for sums in ["X'80'", "X'020001000000'"] {
            let damage = format!("UPDATE rollups SET sums = {sums}");
            Connection::open(&path).unwrap().execute_batch(&damage).unwrap();
            let stats = store.stats(OURS, &StatsQuery::default()).await;
            assert!(matches!(stats, Err(StoreError::Unreadable { .. })), "{sums}: {stats:?}");
        }
        Connection::open(&path).unwrap().execute_batch("UPDATE rollups SET sums = X'80'").unwrap();
        keep(&store, "d", &call(2)).await;
        let stats = store.stats(OURS, &StatsQuery::default()).await;
        assert!(matches!(stats, Err(StoreError::Unreadable { .. })), "{stats:?}");

        store.rebuild_rollups().await.unwrap();
        let stats = store.stats(OURS, &StatsQuery::default()).await.unwrap();
        assert_eq!(stats.sum(|_, _| true).calls, 2);
    }
}
