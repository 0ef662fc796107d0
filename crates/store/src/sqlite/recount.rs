//! Looking for damage in the counts kept beside the calls: they are counted anew and compared.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::Result,
    rollups::{dimension_code, held_day, recount, series_number},
    rows::{Columns, count, many},
};
use crate::{
    Finding, Severity, StoreError,
    rollups::{Day, Series, Span},
};

/// How many differing days are named before the rest is only counted.
const MOST_NAMED: usize = 20;

/// What a comparison has found so far.
#[derive(Default)]
struct Compared {
    named: Vec<Finding>,
    differing: u64,
    /// Days that have calls and are counted, rightly or not.
    seen: u64,
}

/// Compares every day of every series with the calls.
pub(super) fn check(connection: &Connection) -> Result<Vec<Finding>> {
    let mut all = Compared::default();
    recount(connection, |changes| {
        for (series, days) in changes.series() {
            let number = series_number(connection, series)?;
            for (day, counted) in days {
                all.compare(connection, (series, number), *day, counted)?;
            }
        }
        Ok(())
    })?;
    all.look_for_more(connection)?;
    let Compared { mut named, differing, seen } = all;
    let remedy = if differing > 0 { " (`pegcount refold --counts` makes them anew)" } else { "" };
    let message = format!("{seen} days' counts compared with the calls, {differing} differ{remedy}");
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
        day: i64,
        counted: &Day,
    ) -> Result<()> {
        let held = match number {
            Some(number) => held_day(connection, number, day).map_err(StoreError::from),
            None => Ok(None),
        };
        self.seen += u64::from(!matches!(held, Ok(None)));
        let message = match held {
            Ok(Some(held)) if held == *counted => return Ok(()),
            Ok(Some(held)) => difference(&held, counted),
            Ok(None) => "is missing".to_owned(),
            Err(StoreError::Unreadable { what, cause }) => format!("{what} cannot be read: {cause}"),
            Err(error) => return Err(error.into()),
        };
        let subject = subject(connection, series.organization.0, dimension_code(&series.dimension), day)?;
        self.name(&subject, message);
        Ok(())
    }

    fn name(&mut self, subject: &str, message: String) {
        self.differing += 1;
        if self.named.len() < MOST_NAMED {
            self.named.push(finding(false, subject, message));
        }
    }

    /// Days that no call lies in.
    fn look_for_more(&mut self, connection: &Connection) -> Result<()> {
        let more = count(connection, "SELECT count(*) FROM rollups", [])?.saturating_sub(self.seen);
        if more == 0 {
            return Ok(());
        }
        let empty = "SELECT s.org, s.dimension, s.name, r.day
            FROM rollups r JOIN rollup_series s ON s.id = r.series
            WHERE NOT EXISTS (
                SELECT 1 FROM calls c
                WHERE c.org = s.org AND (s.dimension <> 1 OR c.endpoint = s.name)
                  AND (s.dimension <> 2 OR c.phone_number = s.name)
                  AND c.start_ms >= r.day * 86400000 AND c.start_ms < (r.day + 1) * 86400000)
            LIMIT ?1";
        let named = many(connection, empty, [i64::try_from(MOST_NAMED).unwrap_or(0)], |row| {
            let columns = &mut Columns::of(row);
            let (organization, code, name): (i64, i64, String) =
                (columns.take()?, columns.take()?, columns.take()?);
            subject(connection, organization, (code, &name), columns.take()?)
        })?;
        self.differing += more.saturating_sub(named.len() as u64);
        for subject in named {
            self.name(&subject, "counts calls, there are none".to_owned());
        }
        Ok(())
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
    if held.hours != counted.hours {
        return "its hours are not those of its calls".to_owned();
    }
    "its percentiles are not those of its calls".to_owned()
}

/// What people call a day of a series.
fn subject(
    connection: &Connection,
    organization: i64,
    (dimension, name): (i64, &str),
    day: i64,
) -> Result<String> {
    let of = match dimension {
        0 => String::new(),
        1 => format!(", endpoint {name}"),
        _ => format!(", phone number {name}"),
    };
    let begin = Span::Day.stretch_of(day).from;
    let sql = "SELECT strftime('%Y-%m-%d', ?1, 'unixepoch')";
    let date: Option<String> = connection
        .prepare_cached(sql)?
        .query_row(params![begin.div_euclid(1_000)], |row| row.get(0))
        .optional()?
        .flatten();
    let date = date.unwrap_or_else(|| format!("{begin} ms"));
    Ok(format!("count of organization {organization}{of}, {date}"))
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

        let day = "count of organization 1, 1970-01-01";
        let where_day = "WHERE series = 1 AND day = 0";
        for (damage, found) in [
            ("DELETE FROM rollups", format!("{day}: is missing")),
            (
                "UPDATE rollups SET sums = X'80'",
                format!("{day}: a count kept beside the calls cannot be read: it is cut short"),
            ),
            (
                "UPDATE rollups SET sums = X'020004000000'",
                format!("{day}: 2 calls and what they add up to are kept, there are 1"),
            ),
            ("UPDATE rollups SET hours = X''", format!("{day}: its hours are not those of its calls")),
            (
                "UPDATE rollups SET sketches = X'00040202'",
                format!("{day}: its percentiles are not those of its calls"),
            ),
            (
                "INSERT INTO rollups SELECT 2, 5, sums, hours, sketches FROM rollups",
                "count of organization 1, endpoint ep, 1970-01-06: counts calls, there are none".to_owned(),
            ),
        ] {
            let damage = &format!("{damage} {where_day}");
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
        let store = Sqlite::open(&path).unwrap();
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
