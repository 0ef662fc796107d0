//! How many calls there were at once.

use pegcount_calls::{Bill, Call, Cause, Direction, Ending, State, Timestamp};
use pegcount_store::{Concurrency, StatsQuery};
use proptest::prelude::*;

use crate::{
    bench::{OURS, THEIRS, at, call, endpoint, keep, keep_with},
    engines,
};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 200 * HOUR;

/// A call that began some time in a week, and how long it was; most are short, some longer than a day, some live.
fn any_call() -> impl Strategy<Value = Call> {
    let lengths = prop_oneof![
        4 => (0..4_i64).prop_map(|quarters| Some(quarters * HOUR / 4)),
        2 => (0..72 * HOUR).prop_map(Some),
        1 => Just(None),
    ];
    (0..168_i64, lengths, any::<[bool; 3]>()).prop_map(|(hour, length, [outbound, of_endpoint, queued])| {
        let created = hour * HOUR;
        let state = match length {
            None if queued => State::Queued,
            None => State::Answered { answered_at: at(created) },
            Some(length) => State::Ended(Ending {
                answered_at: None,
                ended_at: at(created + length),
                cause: Cause::NoAnswer,
                by: None,
                transfer: false,
                failed: false,
                inferred: false,
            }),
        };
        Call {
            state,
            direction: if outbound { Direction::Outbound } else { Direction::Inbound },
            endpoint: of_endpoint.then(|| endpoint("ep")),
            ..call(created)
        }
    })
}

/// The same, by looking at every moment at which it can change.
fn counted(calls: &[&Call], from: i64, until: i64) -> Concurrency {
    let spans: Vec<(i64, i64)> = calls
        .iter()
        .filter(|call| call.state != State::Queued)
        .map(|call| (call.created_at.millis(), call.ended_at().map_or(NOW, Timestamp::millis)))
        .collect();
    let mut moments: Vec<i64> = spans.iter().map(|span| span.0).filter(|begin| *begin > from).collect();
    moments.push(from);
    moments.sort_unstable();
    let mut found = Concurrency::default();
    for moment in moments.into_iter().filter(|moment| (from..until).contains(moment)) {
        let now = spans.iter().filter(|(begin, end)| (*begin..*end).contains(&moment)).count() as u64;
        if now > found.peak {
            (found.peak, found.peak_at) = (now, Some(at(moment)));
        }
    }
    let within = spans.iter().map(|(begin, end)| ((*end).min(until) - (*begin).max(from)).max(0));
    found.call_millis = u128::try_from(within.sum::<i64>()).unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
    #[test]
    fn the_calls_at_once_are_those_in_progress_at_some_moment(
        calls in prop::collection::vec(any_call(), 1..60),
        mut bounds in prop::collection::vec((-10_i64..210).prop_map(|hour| hour * HOUR), 2..8),
    ) {
        bounds.sort_unstable();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for home in engines() {
                let store = home.open().unwrap();
                for (number, call) in calls.iter().enumerate() {
                    keep(&*store, &format!("c{number}"), call).await;
                }
                // The same calls of somebody else must not count.
                for (number, call) in calls.iter().enumerate() {
                    keep_with(&*store, THEIRS, &format!("c{number}"), call, &Bill::default(), None).await;
                }
                let bounds: Vec<_> = bounds.iter().copied().map(at).collect();
                let queries = [
                    StatsQuery::default(),
                    StatsQuery { endpoint: Some(endpoint("ep")), ..StatsQuery::default() },
                    StatsQuery { directions: vec![Direction::Outbound], ..StatsQuery::default() },
                ];
                for query in queries {
                    let meant: Vec<&Call> = calls
                        .iter()
                        .filter(|call| query.endpoint.is_none() || call.endpoint == query.endpoint)
                        .filter(|call| query.directions.is_empty() || query.directions.contains(&call.direction))
                        .collect();
                    let found = store.concurrency_between(OURS, &query, &bounds, at(NOW)).await.unwrap();
                    let expected: Vec<Concurrency> = bounds
                        .windows(2)
                        .map(|pair| counted(&meant, pair[0].millis(), pair[1].millis()))
                        .collect();
                    assert_eq!(found, expected, "{query:?} {bounds:?}");
                }
            }
        });
    }
}
