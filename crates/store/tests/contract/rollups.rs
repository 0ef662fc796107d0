//! Counts kept beside the calls: whatever happens to calls, what is read from the counts is what the calls add up to.

use std::collections::BTreeMap;

use pegcount_calls::{
    Amount, Bill, Call, CallQuery, Cause, Content, Direction, Disconnection, Paging, Range, Sort, SortKey,
    Stage, State, Stats, Status, Timestamp,
};
use pegcount_store::{Basis, CallKey, Measure, Severity, Spreads, StatsQuery, Store};
use proptest::{prelude::*, sample::select};
use uuid::Uuid;

use crate::{
    bench::{OURS, THEIRS, at, call, end, endpoint, keep_with, name, names, phone_number},
    engines,
};

const HOUR: i64 = 3_600_000;

/// Moments that are often at the edge of an hour or a day, seldom far away, and the same again and again.
fn moments() -> impl Strategy<Value = i64> {
    let near_edges = (-50_i64..50, select(vec![-1_i64, 0, 1])).prop_map(|(hours, off)| hours * HOUR + off);
    let far = select(vec![i64::MIN, i64::MIN + 1, -62_135_596_800_000, 253_402_300_799_999, i64::MAX]);
    prop_oneof![
        8 => near_edges,
        4 => -100 * HOUR..100 * HOUR,
        3 => (0..20_i64).prop_map(|minutes| 5 * HOUR + minutes * 60_000),
        1 => far,
    ]
}

fn states() -> impl Strategy<Value = State> {
    let causes = select(vec![Cause::UserHangup, Cause::AgentHangup, Cause::Busy, Cause::NetworkError]);
    let ended = (0..80_000_000_i64, prop::option::of(0..90_000_i64), causes)
        .prop_map(|(ended, talked, cause)| end(ended, talked, cause));
    prop_oneof![
        Just(State::Queued),
        Just(State::Ringing),
        Just(State::Answered { answered_at: at(7) }),
        ended.clone(),
        ended,
    ]
}

fn costs() -> impl Strategy<Value = Option<Amount>> {
    let nanos = prop_oneof![
        Just(None),
        (-2_000_000_000_i64..9_000_000_000).prop_map(Some),
        select(vec![i64::MAX, i64::MIN]).prop_map(Some),
    ];
    nanos.prop_map(|nanos| nanos.map(Amount::from_nanos))
}

/// Whole milliseconds, as the sketches count them.
fn latencies() -> impl Strategy<Value = BTreeMap<Stage, Vec<f64>>> {
    let samples = prop::collection::vec((0..3_000_u32).prop_map(f64::from), 1..5).prop_map(|mut samples| {
        samples.sort_by(f64::total_cmp);
        samples
    });
    prop::collection::btree_map(select(Stage::ALL.to_vec()), samples, 0..3)
}

fn any_call() -> impl Strategy<Value = (Call, Option<Amount>)> {
    let of = || prop::option::of(0..2_u8);
    let rung = prop::option::of(0..5_000_i64);
    (states(), moments(), any::<bool>(), costs(), of(), of(), rung, latencies()).prop_map(
        |(state, created, outbound, cost, endpoint_of, number_of, rung, latencies)| {
            let direction = if outbound { Direction::Outbound } else { Direction::Inbound };
            let call = Call {
                state,
                direction,
                ringing_at: rung.map(at),
                endpoint: endpoint_of.map(|of| endpoint(&format!("ep_{of}"))),
                phone_number: number_of.map(|of| phone_number(&format!("pn_{of}"))),
                content: Content { latencies, ..Content::default() },
                ..call(created)
            };
            (call, cost)
        },
    )
}

/// What may happen to calls.
#[derive(Clone, Debug)]
enum Step {
    /// A call is opened and saved.
    Open(Box<(Call, Option<Amount>)>),
    /// A call is saved as something else.
    Save(usize, Box<(Call, Option<Amount>)>),
    /// Only the start of a call moves.
    Move(usize, i64),
    /// Two calls become one.
    Merge(usize, usize),
    /// A call is erased.
    Erase(usize),
    /// A call is opened, and not yet saved.
    OpenOnly,
    /// What has happened since the last of these stays...
    Commit,
    /// ...or has not happened.
    RollBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        10 => any_call().prop_map(|call| Step::Open(Box::new(call))),
        5 => (any::<usize>(), any_call()).prop_map(|(which, call)| Step::Save(which, Box::new(call))),
        4 => (any::<usize>(), moments()).prop_map(|(which, start)| Step::Move(which, start)),
        2 => any::<[usize; 2]>().prop_map(|[younger, older]| Step::Merge(younger, older)),
        2 => any::<usize>().prop_map(Step::Erase),
        1 => Just(Step::OpenOnly),
        2 => Just(Step::Commit),
        1 => Just(Step::RollBack),
    ];
    prop::collection::vec(step, 1..80)
}

/// Calls by their place in the order of arrival, each with its cost.
type Calls = BTreeMap<i64, (Call, Option<Amount>)>;

/// Lets it all happen; gives the calls that are then kept, and those that were erased.
async fn happen(store: &dyn Store, steps: Vec<Step>) -> [Calls; 2] {
    let mut committed = (BTreeMap::new(), Calls::new());
    let (mut kept, mut erased) = committed.clone();
    let mut transaction = store.begin().await.unwrap();
    for (number, step) in steps.into_iter().enumerate() {
        let which = |wanted: usize| kept.keys().nth(wanted % kept.len().max(1)).copied();
        let (key, saved) = match step {
            Step::Open(call) => {
                let name = name(&format!("c{number}"));
                let head = transaction.open_call(OURS, &name, Uuid::now_v7()).await.unwrap();
                (head.key.0, *call)
            }
            Step::OpenOnly => {
                let name = name(&format!("c{number}"));
                let head = transaction.open_call(OURS, &name, Uuid::now_v7()).await.unwrap();
                kept.insert(head.key.0, None);
                continue;
            }
            Step::Save(wanted, call) => {
                let Some(key) = which(wanted) else { continue };
                (key, *call)
            }
            Step::Move(wanted, start) => {
                let Some(key) = which(wanted) else { continue };
                let Some((call, cost)) = kept[&key].clone() else { continue };
                (key, (Call { created_at: at(start), ..call }, cost))
            }
            Step::Merge(younger, older) => {
                let (Some(younger), Some(older)) = (which(younger), which(older)) else { continue };
                transaction.merge(CallKey(younger), CallKey(older), &[]).await.unwrap();
                if younger != older {
                    kept.remove(&younger);
                }
                continue;
            }
            Step::Erase(wanted) => {
                let Some(key) = which(wanted) else { continue };
                transaction.erase(CallKey(key)).await.unwrap();
                erased.extend(kept.remove(&key).flatten().map(|call| (key, call)));
                continue;
            }
            Step::Commit | Step::RollBack => {
                if matches!(step, Step::Commit) {
                    transaction.commit().await.unwrap();
                    committed = (kept.clone(), erased.clone());
                } else {
                    drop(transaction);
                    (kept, erased) = committed.clone();
                }
                transaction = store.begin().await.unwrap();
                continue;
            }
        };
        let bill = Bill { total: saved.1, ..Bill::default() };
        let basis = Basis { phone_number: saved.0.phone_number.clone(), ..Basis::default() };
        transaction.save(CallKey(key), &saved.0, &bill, &basis).await.unwrap();
        kept.insert(key, Some(saved));
    }
    transaction.commit().await.unwrap();
    [kept.into_iter().filter_map(|(key, call)| Some((key, call?))).collect(), erased]
}

fn ranges() -> impl Strategy<Value = Range> {
    (prop::option::of(moments()), prop::option::of(moments())).prop_map(|(from, to)| Range { from, to })
}

fn stats_queries() -> impl Strategy<Value = StatsQuery> {
    let of = || prop_oneof![3 => Just(None), 2 => (0..3_u8).prop_map(Some)];
    let statuses = prop::collection::vec(select(Status::ALL.to_vec()), 0..3);
    let directions = prop::collection::vec(select(vec![Direction::Inbound, Direction::Outbound]), 0..2);
    (of(), of(), statuses, directions, ranges()).prop_map(
        |(endpoint_of, number_of, statuses, directions, created)| StatsQuery {
            endpoint: endpoint_of.map(|of| endpoint(&format!("ep_{of}"))),
            phone_number: number_of.map(|of| phone_number(&format!("pn_{of}"))),
            statuses,
            directions,
            created,
        },
    )
}

fn lists() -> impl Strategy<Value = CallQuery> {
    let reasons =
        prop::collection::vec(select(vec![Disconnection::UserHangup, Disconnection::DialBusy]), 0..2);
    let keys = prop_oneof![6 => Just(SortKey::CreatedAt), 1 => Just(SortKey::EndedAt)];
    let sorts = (keys, any::<bool>()).prop_map(|(key, ascending)| Sort { key, ascending });
    let pagings = (0..7_u32, prop_oneof![0..70_u64, Just(u64::MAX)]).prop_map(|(limit, offset)| Paging {
        limit,
        offset,
        after: None,
    });
    (stats_queries(), reasons, sorts, pagings).prop_map(|(query, disconnections, sort, paging)| CallQuery {
        statuses: query.statuses,
        directions: query.directions,
        disconnections,
        endpoints: query.endpoint.into_iter().collect(),
        phone_numbers: query.phone_number.into_iter().collect(),
        created: query.created,
        sort,
        paging,
        ..CallQuery::default()
    })
}

fn lies_in(range: Range, moment: i64) -> bool {
    range.from.is_none_or(|from| moment >= from) && range.to.is_none_or(|to| moment <= to)
}

fn is_meant(query: &StatsQuery, call: &Call) -> bool {
    query.endpoint.as_ref().is_none_or(|id| call.endpoint.as_ref() == Some(id))
        && query.phone_number.as_ref().is_none_or(|id| call.phone_number.as_ref() == Some(id))
        && (query.statuses.is_empty() || query.statuses.contains(&call.status()))
        && (query.directions.is_empty() || query.directions.contains(&call.direction))
        && lies_in(query.created, call.created_at.millis())
}

fn is_listed(query: &CallQuery, call: &Call) -> bool {
    let stats = StatsQuery {
        endpoint: query.endpoints.first().cloned(),
        phone_number: query.phone_numbers.first().cloned(),
        statuses: query.statuses.clone(),
        directions: query.directions.clone(),
        created: query.created,
    };
    is_meant(&stats, call)
        && (query.disconnections.is_empty()
            || call.disconnection().is_some_and(|reason| query.disconnections.contains(&reason)))
}

/// What a part of a list holds, by the calls alone.
fn listed(query: &CallQuery, kept: &Calls) -> (Vec<i64>, u64) {
    let mut all: Vec<(i64, &Call)> = kept.iter().map(|(key, (call, _))| (*key, call)).collect();
    all.retain(|(_, call)| is_listed(query, call));
    let place = |call: &Call| match query.sort.key {
        SortKey::CreatedAt => (false, call.created_at.millis()),
        _ => (call.ended_at().is_none(), call.ended_at().map_or(0, Timestamp::millis)),
    };
    all.sort_by(|(one_key, one), (other_key, other)| {
        let ((one_last, one), (other_last, other)) = (place(one), place(other));
        let order = if query.sort.ascending { one.cmp(&other) } else { other.cmp(&one) };
        one_last.cmp(&other_last).then(order).then(other_key.cmp(one_key))
    });
    let offset = usize::try_from(query.paging.offset).unwrap();
    let part = all.iter().skip(offset).take(query.paging.limit as usize).map(|(key, _)| *key);
    (part.collect(), all.len() as u64)
}

/// The values of a measure of a call, in milliseconds.
fn measured(call: &Call, measure: Measure) -> Vec<f64> {
    let Some(ended) = call.ended_at() else { return Vec::new() };
    let between = |from: Option<Timestamp>, to: Timestamp| from.map(|from| to.since(from).as_millis() as f64);
    let value = match measure {
        Measure::Ring => between(call.ringing_at, call.answered_at().unwrap_or(ended)),
        Measure::Talk => between(call.answered_at(), ended),
        Measure::Latency(stage) => return call.content.latencies.get(&stage).cloned().unwrap_or_default(),
    };
    value.into_iter().collect()
}

/// Whether the store's spreads are those of these calls.
fn are_spread(found: &Spreads, calls: &[&Call]) {
    for measure in Measure::ALL {
        let mut exact: Vec<f64> = calls.iter().flat_map(|call| measured(call, measure)).collect();
        exact.sort_by(f64::total_cmp);
        assert_eq!(found.count(measure), exact.len() as u64, "{measure:?}");
        for share in [0.0, 0.5, 0.9, 0.99, 1.0] {
            let rank = (share * exact.len().saturating_sub(1) as f64).floor() as usize;
            match (exact.get(rank), found.percentile(measure, share)) {
                (Some(exact), Some(found)) => {
                    assert!((found - exact).abs() <= exact * 0.010_001, "{measure:?}");
                }
                (exact, found) => assert_eq!((exact, found), (None, None)),
            }
        }
    }
}

async fn holds(
    store: &dyn Store,
    [kept, erased]: [&Calls; 2],
    queries: &[StatsQuery],
    bounds: &[i64],
    lists: &[CallQuery],
) {
    let stats_of = |query: &StatsQuery, within: &dyn Fn(i64) -> bool| {
        let meant = kept.values().chain(erased.values()).filter(|(call, _)| is_meant(query, call));
        Stats::of(
            meant.filter(|(call, _)| within(call.created_at.millis())).map(|(call, cost)| (call, *cost)),
        )
    };
    let bounds: Vec<_> = bounds.iter().copied().map(at).collect();
    for query in queries {
        assert_eq!(store.stats(OURS, query).await.unwrap(), stats_of(query, &|_| true), "{query:?}");
        let between = store.stats_between(OURS, query, &bounds).await.unwrap();
        let expected: Vec<Stats> = bounds
            .windows(2)
            .map(|pair| stats_of(query, &|moment| (pair[0]..pair[1]).contains(&at(moment))))
            .collect();
        assert_eq!(between, expected, "{query:?} {bounds:?}");
        let mut reasons: BTreeMap<Disconnection, u64> = BTreeMap::new();
        for (call, _) in kept.values().chain(erased.values()).filter(|(call, _)| is_meant(query, call)) {
            if let Some(reason) = call.disconnection() {
                *reasons.entry(reason).or_default() += 1;
            }
        }
        let counted = store.disconnections(OURS, query).await.unwrap();
        assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), reasons, "{query:?}");
    }
    for query in queries {
        let meant: Vec<&Call> = kept
            .values()
            .chain(erased.values())
            .map(|(call, _)| call)
            .filter(|call| is_meant(query, call))
            .collect();
        let spreads = store.spreads_between(OURS, query, &bounds, &Measure::ALL).await.unwrap();
        assert_eq!(spreads.len(), bounds.len() - 1);
        for (pair, spreads) in bounds.windows(2).zip(&spreads) {
            let within: Vec<&Call> =
                meant.iter().copied().filter(|call| (pair[0]..pair[1]).contains(&call.created_at)).collect();
            are_spread(spreads, &within);
        }
    }
    for query in lists {
        let page = store.calls(OURS, query).await.unwrap();
        let keys: Vec<i64> = page.calls.iter().map(|filed| filed.head.key.0).collect();
        assert_eq!((keys, page.total.unwrap()), listed(query, kept), "{query:?}");
    }
    let findings = store.check().await.unwrap();
    let bad: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity != Severity::Fine && !finding.message.contains("no events"))
        .filter(|finding| !["calls", "unfolded calls"].contains(&finding.subject.as_str()))
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_to_calls_all_that_is_counted_is_what_they_add_up_to(
        steps in steps(),
        queries in prop::collection::vec(stats_queries(), 12),
        bounds in prop::collection::vec(moments(), 6),
        lists in prop::collection::vec(lists(), 40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for home in engines() {
                let store = home.open().unwrap();
                // The same of somebody else must not count.
                keep_with(&*store, THEIRS, "theirs", &call(1), &Bill::default(), None).await;
                let kept = happen(&*store, steps.clone()).await;
                holds(&*store, kept.each_ref(), &queries, &bounds, &lists).await;
            }
        });
    }
}

#[tokio::test]
async fn a_page_deep_in_the_list_is_where_it_belongs_in_both_orders() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        for number in 0..600_i64 {
            // Three of each start, half an hour apart: over twelve days.
            let call = Call { endpoint: Some(endpoint("ep")), ..call(number / 3 * HOUR / 2) };
            let head = transaction.open_call(OURS, &name(&number.to_string()), Uuid::now_v7()).await.unwrap();
            transaction.save(head.key, &call, &Bill::default(), &Basis::default()).await.unwrap();
        }
        transaction.commit().await.unwrap();
        for of in [vec![], vec![endpoint("ep")]] {
            let page = async |ascending, offset| {
                let query = CallQuery {
                    endpoints: of.clone(),
                    sort: Sort { key: SortKey::CreatedAt, ascending },
                    paging: Paging { limit: 4, offset, after: None },
                    ..CallQuery::default()
                };
                let page = store.calls(OURS, &query).await.unwrap();
                assert_eq!(page.total, Some(600));
                names(&page).join(" ")
            };
            assert_eq!(page(true, 499).await, "499 498 503 502");
            assert_eq!(page(false, 499).await, "100 99 98 97");
            assert_eq!(page(false, 598).await, "1 0");
            assert_eq!(page(false, 600).await, "");
        }
    }
}
