//! Looking for damage in the counts kept beside the calls: they are counted anew and compared.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::Result,
    packed,
    rollups::{dimension_code, measure_code, recount, series_number, span_code},
    rows::{Columns, count, many, one},
};
use crate::{
    Finding, Severity, StoreError,
    rollups::{Change, Dimension, Series, Span, Tally},
    sketch::Counts,
};

/// How many differing buckets are named before the rest is only counted.
const MOST_NAMED: usize = 20;

/// What a comparison has found so far.
#[derive(Default)]
struct Compared {
    named: Vec<Finding>,
    differing: u64,
    /// Buckets of sums, and of sketches, that were looked at and are there.
    seen: [u64; 2],
}

/// Compares every bucket with the calls.
pub(super) fn check(connection: &Connection) -> Result<Vec<Finding>> {
    let mut all = Compared::default();
    recount(connection, |changes| {
        for (series, changes) in changes.series() {
            let number = series_number(connection, series)?;
            for ((span, bucket), change) in changes {
                all.compare(connection, (series, number), (*span, *bucket), change)?;
            }
        }
        Ok(())
    })?;
    all.look_for_more(connection)?;
    let Compared { mut named, differing, seen: [buckets, _] } = all;
    let message = format!("{buckets} counts compared with the calls, {differing} differ");
    named.push(finding(differing == 0, "counts", message));
    Ok(named)
}

fn finding(fine: bool, subject: &str, message: String) -> Finding {
    let severity = if fine { Severity::Fine } else { Severity::Damage };
    Finding { severity, subject: subject.to_owned(), message }
}

impl Compared {
    fn compare(
        &mut self,
        connection: &Connection,
        (series, number): (&Series, Option<i64>),
        (span, bucket): (Span, i64),
        change: &Change,
    ) -> Result<()> {
        let held = match number {
            Some(number) => sums(connection, [number, span_code(span), bucket])?,
            None => Held::Missing,
        };
        let [sums_seen, sketches_seen] = &mut self.seen;
        *sums_seen += u64::from(!matches!(held, Held::Missing));
        let message = match held {
            Held::Whole(tally) if tally == change.tally => None,
            Held::Whole(tally) => Some(format!(
                "{} calls and what they add up to are kept, there are {}",
                calls_of(&tally),
                calls_of(&change.tally)
            )),
            Held::Missing => Some("is missing".to_owned()),
            Held::Damaged(why) => Some(why),
        };
        let mut messages = Vec::from_iter(message);
        for (measure, counts) in change.sketches.iter().filter(|(_, counts)| !counts.is_empty()) {
            let held = match number {
                Some(number) => counts_of(connection, [number, measure_code(*measure), bucket])?,
                None => Held::Missing,
            };
            *sketches_seen += u64::from(!matches!(held, Held::Missing));
            if !matches!(held, Held::Whole(held) if held == *counts) {
                messages.push(format!("its percentiles of {measure:?} are not those of its calls"));
            }
        }
        if !messages.is_empty() {
            let subject = subject(connection, dimension_code(&series.dimension), series, (span, bucket))?;
            self.name(&subject, messages.join("; "));
        }
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
        let [sums, sketches] = self.seen;
        let more = count(connection, "SELECT count(*) FROM rollups", [])?.saturating_sub(sums);
        if more > 0 {
            let empty = "SELECT s.org, s.dimension, s.name, r.span, r.bucket
                FROM rollups r JOIN rollup_series s ON s.id = r.series
                WHERE NOT EXISTS (
                    SELECT 1 FROM calls c
                    WHERE c.org = s.org AND (s.dimension <> 1 OR c.endpoint = s.name)
                      AND (s.dimension <> 2 OR c.phone_number = s.name)
                      AND c.start_ms >= r.bucket * iif(r.span = 0, 86400000, 3600000)
                      AND c.start_ms < (r.bucket + 1) * iif(r.span = 0, 86400000, 3600000))
                LIMIT ?1";
            let named = many(connection, empty, [i64::try_from(MOST_NAMED).unwrap_or(0)], |row| {
                let columns = &mut Columns::of(row);
                let organization = crate::OrganizationNumber(columns.take()?);
                let (code, name): (i64, String) = (columns.take()?, columns.take()?);
                let span = if columns.take::<i64>()? == 0 { Span::Day } else { Span::Hour };
                let series = Series { organization, dimension: Dimension::All };
                subject(connection, (code, &name), &series, (span, columns.take()?))
            })?;
            let unnamed = more.saturating_sub(named.len() as u64);
            for subject in named {
                self.name(&subject, "counts calls, there are none".to_owned());
            }
            self.differing += unnamed;
        }
        let sketched = count(connection, "SELECT count(*) FROM rollup_sketches", [])?;
        let more = sketched.saturating_sub(sketches);
        if more > 0 {
            self.differing += more;
            self.named.push(finding(false, "percentiles", format!("{more} of them are of no call")));
        }
        Ok(())
    }
}

fn calls_of(tally: &Tally) -> i128 {
    tally.sums().iter().map(|(_, sum)| sum.calls).sum()
}

/// What is kept of a bucket.
enum Held<T> {
    Missing,
    Damaged(String),
    Whole(T),
}

fn sums(connection: &Connection, key: [i64; 3]) -> Result<Held<Tally>> {
    let sql = "SELECT sums FROM rollups WHERE series = ?1 AND span = ?2 AND bucket = ?3";
    held(connection, sql, key, packed::unpack_tally)
}

fn counts_of(connection: &Connection, key: [i64; 3]) -> Result<Held<Counts>> {
    let sql = "SELECT counts FROM rollup_sketches WHERE series = ?1 AND measure = ?2 AND bucket = ?3";
    held(connection, sql, key, packed::unpack_counts)
}

fn held<T: Default>(
    connection: &Connection,
    sql: &str,
    key: [i64; 3],
    unpack: impl FnOnce(&[u8], &mut T) -> Result<()>,
) -> Result<Held<T>> {
    let bytes: Option<Vec<u8>> = one(connection, sql, key, |row| Ok(row.get(0)?))?;
    let Some(bytes) = bytes else { return Ok(Held::Missing) };
    let mut whole = T::default();
    match unpack(&bytes, &mut whole).map_err(StoreError::from) {
        Ok(()) => Ok(Held::Whole(whole)),
        Err(StoreError::Unreadable { what, cause }) => {
            Ok(Held::Damaged(format!("{what} cannot be read: {cause}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// What people call a bucket.
fn subject(
    connection: &Connection,
    (dimension, name): (i64, &str),
    series: &Series,
    (span, bucket): (Span, i64),
) -> Result<String> {
    let of = match dimension {
        0 => String::new(),
        1 => format!(", endpoint {name}"),
        _ => format!(", phone number {name}"),
    };
    let begin = span.stretch_of(bucket).from;
    let sql = "SELECT strftime('%Y-%m-%d %H:%M', ?1, 'unixepoch')";
    let date: Option<String> = connection
        .prepare_cached(sql)?
        .query_row(params![begin.div_euclid(1_000)], |row| row.get(0))
        .optional()?
        .flatten();
    let date = date.unwrap_or_else(|| format!("{begin} ms"));
    let span = match span {
        Span::Day => "day",
        Span::Hour => "hour",
    };
    Ok(format!("count of organization {}{of}, {span} of {date}", series.organization.0))
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{
        Bill, Call, CallName, CallType, Content, Direction, EndpointName, State, Timestamp,
    };
    use uuid::Uuid;

    use super::*;
    use crate::{OrganizationNumber, StatsQuery, Store, sqlite::Sqlite};

    const OURS: OrganizationNumber = OrganizationNumber(1);

    fn call(created: i64) -> Call {
        Call {
            created_at: Timestamp::from_millis(created),
            ringing_at: None,
            state: State::Initiated,
            direction: Direction::Inbound,
            call_type: CallType::Phone,
            from_number: None,
            to_number: None,
            endpoint: Some(EndpointName::new("ep").unwrap()),
            phone_number: None,
            opt_out: false,
            content: Content::default(),
        }
    }

    async fn keep(store: &Sqlite, name: &str, call: &Call) {
        let mut transaction = store.begin().await.unwrap();
        let name = CallName::new(name).unwrap();
        let head = transaction.open_call(OURS, &name, Uuid::now_v7()).await.unwrap();
        transaction.save(head.key, call, &Bill::default(), None).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn named(store: &Sqlite) -> Vec<String> {
        let reader = store.readers.slow().await.unwrap();
        let findings = reader.read(check).unwrap();
        let bad = findings.into_iter().filter(|finding| finding.severity != Severity::Fine);
        bad.map(|finding| format!("{}: {}", finding.subject, finding.message)).collect()
    }

    #[tokio::test]
    async fn counts_that_differ_from_the_calls_are_named_and_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path).unwrap();
        keep(&store, "c", &call(1)).await;
        keep(&store, "d", &call(-1)).await;
        assert_eq!(named(&store).await, [""; 0]);

        let day = "count of organization 1, day of 1970-01-01 00:00";
        for (damage, found) in [
            (
                "DELETE FROM rollups WHERE series = 1 AND span = 0 AND bucket = 0",
                vec![format!("{day}: is missing")],
            ),
            (
                "UPDATE rollups SET sums = X'80' WHERE series = 1 AND span = 0 AND bucket = 0",
                vec![format!("{day}: a count kept beside the calls cannot be read: it is cut short")],
            ),
            (
                "UPDATE rollups SET sums = X'020004000000' WHERE series = 1 AND span = 0 AND bucket = 0",
                vec![format!("{day}: 2 calls and what they add up to are kept, there are 1")],
            ),
            (
                "INSERT INTO rollups SELECT series, 1, 5, sums FROM rollups WHERE span = 1 AND series = 2 LIMIT 1",
                vec![
                    "count of organization 1, endpoint ep, hour of 1970-01-01 05:00: counts calls, there are none"
                        .to_owned(),
                ],
            ),
            (
                "INSERT INTO rollup_sketches VALUES (1, 0, 0, X'0202')",
                vec!["percentiles: 1 of them are of no call".to_owned()],
            ),
        ] {
            Connection::open(&path).unwrap().execute_batch(damage).unwrap();
            let named_now = named(&store).await;
            let (last, rest) = named_now.split_last().unwrap();
            assert_eq!(rest, found, "{damage}");
            assert!(last.ends_with("compared with the calls, 1 differ"), "{last}");
            store.rebuild_rollups().await.unwrap();
            assert_eq!(named(&store).await, [""; 0], "{damage}");
        }
    }

    #[tokio::test]
    async fn a_damaged_count_keeps_no_call_out_and_is_never_read_as_if_it_were_right() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let store = Sqlite::open(&path).unwrap();
        keep(&store, "c", &call(1)).await;
        for sums in ["X'80'", "X'020001000000'"] {
            let damage = format!("UPDATE rollups SET sums = {sums} WHERE span = 0");
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
