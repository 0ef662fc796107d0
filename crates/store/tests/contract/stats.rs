//! Statistics: what the store counts is what `Stats::of` says.

use std::collections::BTreeMap;

use pegcount_calls::{
    Amount, Bill, Call, Cause, Direction, Disconnection, Ending, Party, Range, State, Stats,
};
use pegcount_store::{StatsQuery, Store};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    bench::{OURS, THEIRS, at, call, end, endpoint, keep, keep_with, phone_number},
    engines,
};

/// A call of any state, with what it costs, of one of two endpoints and phone numbers.
fn any_call() -> impl Strategy<Value = (Call, Option<Amount>)> {
    let causes = prop::sample::select(vec![
        Cause::NormalClearing,
        Cause::UserHangup,
        Cause::AgentHangup,
        Cause::NoAnswer,
        Cause::Busy,
        Cause::Rejected,
        Cause::NetworkError,
        Cause::Timeout,
    ]);
    let parties =
        prop::option::of(prop::sample::select(vec![Party::Caller, Party::Callee, Party::Api, Party::System]));
    let endings = (prop::option::of(0..90_000_i64), 0..90_000_i64, causes, parties, any::<[bool; 3]>());
    let ended = endings.prop_map(|(answered, ended, cause, by, [transfer, failed, inferred])| {
        State::Ended(Ending {
            answered_at: answered.map(at),
            ended_at: at(ended),
            cause,
            by,
            transfer,
            failed,
            inferred,
        })
    });
    let states = prop_oneof![
        Just(State::Queued),
        Just(State::Initiated),
        Just(State::Ringing),
        Just(State::Answered { answered_at: at(40) }),
        ended.clone(),
        ended,
    ];
    let costs = prop::option::of(-2_500_000_000_i64..9_000_000_000);
    let of = prop::option::of(0..2_u8);
    (states, 0..100_i64, any::<bool>(), costs, of.clone(), of).prop_map(
        |(state, created, outbound, cost, endpoint_of, number_of)| {
            let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
            let call = Call {
                state,
                direction,
                endpoint: endpoint_of.map(|of| endpoint(&format!("ep_{of}"))),
                phone_number: number_of.map(|of| phone_number(&format!("pn_{of}"))),
                ..call(created)
            };
            (call, cost.map(Amount::from_nanos))
        },
    )
}

fn bill(total: Option<Amount>) -> Bill {
    Bill { total, ..Bill::default() }
}

async fn keep_all(store: &dyn Store, calls: &[(Call, Option<Amount>)]) {
    for (number, (call, cost)) in calls.iter().enumerate() {
        let name = format!("c{number}");
        keep_with(store, OURS, &name, call, &bill(*cost), call.phone_number.as_ref()).await;
        // The same calls of somebody else must not count.
        keep_with(store, THEIRS, &name, call, &bill(*cost), call.phone_number.as_ref()).await;
    }
}

fn queries() -> Vec<StatsQuery> {
    let created = |from, to| StatsQuery { created: Range { from, to }, ..StatsQuery::default() };
    vec![
        StatsQuery::default(),
        created(Some(20), Some(70)),
        created(None, Some(50)),
        StatsQuery { endpoint: Some(endpoint("ep_0")), ..created(Some(10), None) },
        StatsQuery { phone_number: Some(phone_number("pn_1")), ..StatsQuery::default() },
        StatsQuery {
            endpoint: Some(endpoint("ep_1")),
            phone_number: Some(phone_number("pn_0")),
            ..StatsQuery::default()
        },
        StatsQuery { endpoint: Some(endpoint("unknown")), ..StatsQuery::default() },
    ]
}

fn is_meant(query: &StatsQuery, call: &Call) -> bool {
    let start = call.created_at.millis();
    query.endpoint.as_ref().is_none_or(|id| call.endpoint.as_ref() == Some(id))
        && query.phone_number.as_ref().is_none_or(|id| call.phone_number.as_ref() == Some(id))
        && query.created.from.is_none_or(|from| start >= from)
        && query.created.to.is_none_or(|to| start <= to)
}

#[tokio::test]
async fn any_set_of_calls_has_the_statistics_of_those_that_are_meant() {
    let mut runner = TestRunner::deterministic();
    for home in engines() {
        let store = home.open().unwrap();
        let calls = prop::collection::vec(any_call(), 150).new_tree(&mut runner).unwrap().current();
        keep_all(&*store, &calls).await;
        let bounds = [0, 1, 33, 33, 80, 81].map(at);

        for query in queries() {
            let meant: Vec<_> = calls.iter().filter(|(call, _)| is_meant(&query, call)).collect();
            let of =
                |calls: &[&(Call, Option<Amount>)]| Stats::of(calls.iter().map(|(call, cost)| (call, *cost)));
            assert_eq!(store.stats(OURS, &query).await.unwrap(), of(&meant), "{query:?}");

            let within = |from, until| {
                let within = |call: &&&(Call, _)| (from..until).contains(&call.0.created_at);
                of(&meant.iter().filter(within).copied().collect::<Vec<_>>())
            };
            let stretches: Vec<_> = bounds.windows(2).map(|pair| within(pair[0], pair[1])).collect();
            assert_eq!(store.stats_between(OURS, &query, &bounds).await.unwrap(), stretches, "{query:?}");

            let mut reasons: BTreeMap<Disconnection, u64> = BTreeMap::new();
            for reason in meant.iter().filter_map(|(call, _)| call.disconnection()) {
                *reasons.entry(reason).or_default() += 1;
            }
            let counted = store.disconnections(OURS, &query).await.unwrap();
            assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), reasons, "{query:?}");
        }
    }
}

#[tokio::test]
async fn fewer_than_two_bounds_have_no_stretch_between_them() {
    for home in engines() {
        let store = home.open().unwrap();
        for bounds in [&[][..], &[at(1)]] {
            assert_eq!(store.stats_between(OURS, &StatsQuery::default(), bounds).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn the_largest_costs_add_up_exactly() {
    for home in engines() {
        let store = home.open().unwrap();
        for number in 0..4 {
            let bill = bill(Some(Amount::from_nanos(i64::MAX)));
            keep_with(&*store, OURS, &format!("c{number}"), &call(1), &bill, None).await;
        }
        let smallest = bill(Some(Amount::from_nanos(-1)));
        keep_with(&*store, OURS, "less", &call(1), &smallest, None).await;

        let sum = store.stats(OURS, &StatsQuery::default()).await.unwrap().sum(|_, _| true);
        assert_eq!(sum.cost_nanos, i128::from(i64::MAX) * 4 - 1);
    }
}

#[tokio::test]
async fn a_call_saved_again_counts_once_as_it_is_now() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "c", &call(1)).await;
        let ended = Call { state: end(90_000, Some(61_999), Cause::UserHangup), ..call(2) };
        crate::bench::save_again(&*store, &head, &ended).await;

        let stats = store.stats(OURS, &StatsQuery::default()).await.unwrap();
        assert_eq!(stats, Stats::of([(&ended, None)]));
        assert_eq!(stats.ended().talk_seconds, 61);
    }
}
