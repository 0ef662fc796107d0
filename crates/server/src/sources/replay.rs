//! For tests: groups records into calls by their legs, as the intake does, and folds them.

use std::collections::BTreeMap;

use pegcount_calls::{Call, Event, History, Timestamp, fold};
use pegcount_store::LegSpan;

use super::Mapped;
use crate::{
    intake::{CallReference, Ties},
    vocabulary::tell,
};

/// 2026-11-21T00:00:00Z, after everything that was recorded.
pub(super) const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_795_219_200_000);

/// A call and what it is called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Replayed {
    pub(super) name: String,
    pub(super) call: Call,
    pub(super) events: usize,
}

struct Group {
    name: String,
    legs: Vec<LegSpan>,
    ties: Ties,
    events: BTreeMap<String, Event>,
}

fn meet(one: &LegSpan, other: &LegSpan) -> bool {
    one.id == other.id && one.from <= other.to && other.from <= one.to
}

/// The calls that these records make when they arrive in this order.
pub(super) fn replay<'a>(records: impl IntoIterator<Item = &'a Mapped>) -> Vec<Replayed> {
    let mut groups: Vec<Group> = Vec::new();
    for record in records {
        let CallReference::Legs { legs, ties, name } = &record.call else {
            panic!("a record names its legs")
        };
        assert!(!record.tellings.is_empty());
        let mut joined =
            Group { name: name.to_string(), legs: legs.clone(), ties: ties.clone(), events: BTreeMap::new() };
        let (mut kept, mut met) = (Vec::new(), Vec::new());
        for group in groups {
            let is_named = group.name == name.as_str();
            let mut known = group.legs.iter().chain(&group.ties.left);
            let sought = legs.iter().chain(&ties.sought);
            let meets = is_named || known.any(|leg| sought.clone().any(|other| meet(leg, other)));
            if meets { met.push(group) } else { kept.push(group) }
        }
        if let Some(oldest) = met.first() {
            joined.name.clone_from(&oldest.name);
        }
        for group in met {
            joined.legs.extend(group.legs);
            joined.ties.left.extend(group.ties.left);
            joined.events.extend(group.events);
        }
        for telling in &record.tellings {
            let told = tell(telling.clone()).unwrap_or_else(|error| panic!("{error}: {telling:?}"));
            // The first of an id stays.
            joined.events.entry(told.event.id.to_string()).or_insert(told.event);
        }
        kept.push(joined);
        groups = kept;
    }
    groups
        .into_iter()
        .map(|group| {
            let events = group.events.len();
            let history = History::of(group.events.into_values()).expect("a group has events");
            Replayed { name: group.name, call: fold(&history), events }
        })
        .collect()
}

/// The calls, which must be the same whatever the order of arrival: every permutation of few records; of many, both
/// directions, every rotation and some shuffles. The name may differ: the first record to arrive gives it.
pub(super) fn replay_in_every_order(records: &[Mapped]) -> Vec<Replayed> {
    let expected = sorted(replay(records));
    for order in orders(records.len()) {
        let arrived = sorted(replay(order.iter().map(|&place| &records[place])));
        let calls = |replayed: &[Replayed]| replayed.iter().map(|one| one.call.clone()).collect::<Vec<_>>();
        assert_eq!(calls(&arrived), calls(&expected), "arrival in the order {order:?}");
    }
    expected
}

/// The calls of these records, oldest first, which are the same in every order of arrival.
pub(super) fn sorted_calls(records: &[Mapped]) -> Vec<Call> {
    let mut calls: Vec<Call> = replay_in_every_order(records).into_iter().map(|one| one.call).collect();
    calls.sort_by_key(|call| call.created_at);
    calls
}

/// The one call of these records.
pub(super) fn one_call(records: &[Mapped]) -> Replayed {
    let mut calls = replay_in_every_order(records);
    assert_eq!(calls.len(), 1, "{:?}", calls.iter().map(|one| &one.name).collect::<Vec<_>>());
    calls.remove(0)
}

fn sorted(mut calls: Vec<Replayed>) -> Vec<Replayed> {
    // Its text begins with the time of creation.
    calls.sort_by_key(|one| format!("{:?}", one.call));
    calls
}

fn orders(count: usize) -> Vec<Vec<usize>> {
    let places: Vec<usize> = (0..count).collect();
    if count <= 6 {
        return permutations(&places);
    }
    let mut orders: Vec<Vec<usize>> = Vec::new();
    for by in 0..count {
        let mut rotated = places.clone();
        rotated.rotate_left(by);
        orders.push(rotated.iter().rev().copied().collect());
        orders.push(rotated);
    }
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..200 {
        let mut shuffled = places.clone();
        for place in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(place, (state >> 33) as usize % (place + 1));
        }
        orders.push(shuffled);
    }
    orders
}

fn permutations(places: &[usize]) -> Vec<Vec<usize>> {
    if places.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, &first) in places.iter().enumerate() {
        let mut rest = places.to_vec();
        rest.remove(index);
        all.extend(permutations(&rest).into_iter().map(|mut order| {
            order.insert(0, first);
            order
        }));
    }
    all
}
