//! What holds of every set of events.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test is made with may fail loudly too")]

mod generated;
mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use generated::{end, events, leg, near, new_event, time, unnamed, wild};
use pegcount_calls::{
    Call, CallLeg, Decimal, Event, EventId, Explanation, Fact, Field, Folded, History, Increments, LegId,
    MetadataPatch, Rate, Stage, State, Stats, Status, Tariff, Timestamp, explain, fold, notes, open_end,
};
use proptest::{
    prelude::{Just, ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest},
    test_runner::TestCaseError,
};

fn history(events: &[Event]) -> History {
    History::of(events.to_vec()).unwrap()
}

/// The call of these events with one more.
fn with(events: &[Event], more: &Event) -> Call {
    fold(&History::of(events.iter().chain([more]).cloned()).unwrap())
}

/// The same calls, down to the order of the metadata.
fn same(one: &Call, other: &Call) -> Result<(), TestCaseError> {
    prop_assert_eq!(one, other);
    let (keys, others) = (one.content.metadata.keys(), other.content.metadata.keys());
    prop_assert_eq!(keys.collect::<Vec<_>>(), others.collect::<Vec<_>>());
    Ok(())
}

/// Whether after each of these events, in this order, the call that was kept is that of all events so far.
fn kept_is_folded(events: &[Event]) -> Result<(), TestCaseError> {
    let mut kept = Folded::of(History::opened_by(events[0].clone()));
    same(&kept.fold().clone(), &fold(kept.history()))?;
    for event in &events[1..] {
        kept.push(event.clone());
        same(&kept.fold().clone(), &fold(kept.history()))?;
    }
    let made = history(events);
    prop_assert_eq!(kept.history().events(), made.events());
    Ok(())
}

fn tariff() -> Tariff {
    let rate = Rate {
        prefix: String::new(),
        direction: None,
        per_minute: Decimal::MAX,
        connection_fee: Decimal::MAX,
        increments: Increments { initial_seconds: u32::MAX, following_seconds: 0 },
    };
    Tariff { rates: vec![rate], products: [("p".to_owned(), Decimal::MAX)].into() }
}

/// Events with the same ones in another order, some of them more than once.
fn told_twice() -> impl Strategy<Value = (Vec<Event>, Vec<Event>)> {
    let repeated = (events(&near(), 14), proptest::collection::vec(any::<proptest::sample::Index>(), 0..6));
    repeated.prop_flat_map(|(events, again)| {
        let mut twice = events.clone();
        twice.extend(again.iter().map(|index| index.get(&events).clone()));
        (Just(events), Just(twice).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn neither_order_nor_repetition_changes_a_call((events, retold) in told_twice()) {
        same(&fold(&history(&events)), &fold(&history(&retold)))?;
    }

    #[test]
    fn a_history_is_the_same_set_whether_made_at_once_or_event_by_event(events in events(&near(), 14)) {
        let mut grown = History::opened_by(events[0].clone());
        events[1..].iter().for_each(|event| grown.insert(event.clone()));
        let made = history(&events);
        prop_assert_eq!(grown.events(), made.events());
    }

    #[test]
    fn a_call_kept_event_by_event_is_the_fold_of_them_all(events in events(&near(), 24)) {
        kept_is_folded(&events)?;
    }

    #[test]
    fn a_call_kept_in_the_order_of_time_is_the_fold_of_them_all(events in events(&near(), 24)) {
        kept_is_folded(history(&events).events())?;
    }

    #[test]
    fn a_kept_call_that_talks_in_order_is_the_fold_of_all(
        setup in events(&near(), 8), talk in events(&near(), 24)
    ) {
        // Most of a long call is talk in the order of time, behind its setup: the part that is taken in at once.
        let talk = talk.into_iter().enumerate().map(|(number, event)| Event {
            id: EventId::new(format!("talk-{number:02}")).unwrap(),
            at: Timestamp::from_millis(1_736_503_205_000 + number as i64 / 2 * 500),
            ..event
        });
        let mut events = history(&setup).events().to_vec();
        events.extend(talk.filter(|event| !matches!(event.fact, Fact::Queued(_) | Fact::Initiated(_))));
        kept_is_folded(&events)?;
    }

    #[test]
    fn whatever_the_events_hold_there_is_a_call(events in events(&wild(), 10)) {
        let history = history(&events);
        let (call, _) = explain(&history);
        fold(&history);
        notes(&history, &call);
        open_end(&history);
        call.disconnection();
        call.total_time();
        call.own_number();
        Stage::ALL.into_iter().for_each(|stage| drop(call.latency(stage)));
        for tariff in [Tariff::default(), tariff()] {
            let bill = tariff.bill(&call);
            bill.minute_item_seconds();
            Stats::of([(&call, bill.total)]).ended();
        }
        check_times(&call)?;
    }

    #[test]
    fn times_and_liveness_follow_from_where_the_call_stands(events in events(&near(), 14)) {
        check_times(&fold(&history(&events)))?;
    }

    #[test]
    fn the_explanation_is_of_the_same_call_and_names_events_of_the_set(events in events(&near(), 14)) {
        let (call, explanations) = explain(&history(&events));
        same(&call, &fold(&history(&events)))?;
        for explanation in &explanations {
            check_explanation(explanation, &events, &call)?;
        }
    }

    #[test]
    fn what_lost_may_be_left_unsaid(events in events(&near(), 14)) {
        let (call, explanations) = explain(&history(&events));
        for field in [Field::FromNumber, Field::Direction, Field::Task, Field::Metadata("k".into())] {
            let Some(explanation) = explanations.iter().find(|one| one.field == field) else { continue };
            let lost = |event: &Event| explanation.lost.iter().any(|(id, _)| *id == event.id);
            let silent = events.iter().map(|event| {
                if lost(event) { unsaid(event, &field) } else { event.clone() }
            });
            let without = fold(&History::of(silent).unwrap());
            match field {
                Field::FromNumber => prop_assert_eq!(&without.from_number, &call.from_number),
                Field::Direction => prop_assert_eq!(without.direction, call.direction),
                Field::Task => prop_assert_eq!(without.content.task, call.content.task),
                _ => prop_assert_eq!(without.content.metadata.get("k"), call.content.metadata.get("k")),
            }
        }
    }

    #[test]
    fn what_is_reported_after_the_fact_only_never_lives(events in events(&near(), 14)) {
        let recorded = events.into_iter().map(|event| {
            let leg = event.leg.unwrap_or(CallLeg {
                id: LegId::new("a").unwrap(),
                origin_unless_dialled: false,
                dialled: None,
                after_the_fact: true,
            });
            Event { leg: Some(CallLeg { after_the_fact: true, ..leg }), ..event }
        });
        prop_assert!(!fold(&History::of(recorded).unwrap()).is_live());
    }

    #[test]
    fn once_every_leg_has_ended_the_call_is_over_or_to_be_concluded(events in events(&near(), 14)) {
        let mut events = events;
        events.retain(|event| event.leg.is_some() && !matches!(event.fact, Fact::Seen | Fact::Other));
        let last = Timestamp::from_millis(1_736_503_300_000);
        let legs: BTreeMap<_, _> =
            events.iter().filter_map(|event| event.leg.clone()).map(|leg| (leg.id.to_string(), leg)).collect();
        let ends = legs.into_values().map(|leg| Event {
            id: EventId::new(format!("end-{}", leg.id)).unwrap(),
            ..new_event(last, Some(leg), Fact::Ended(Box::default()))
        });
        events.extend(ends);
        if let Some(history) = History::of(events) {
            let is_over = fold(&history).status().is_ended();
            prop_assert!(is_over || open_end(&history).is_some_and(|open| open.at == last));
        }
    }

    #[test]
    fn a_told_end_of_the_whole_call_ends_it(events in events(&near(), 14), at in time(&near()), end in end(&near())) {
        let told = Fact::Ended(Box::new(pegcount_calls::End { inferred: false, ..end }));
        let call = with(&events, &new_event(at, None, told));
        prop_assert!(call.status().is_ended());
        prop_assert!(!call.ending().unwrap().inferred);
        prop_assert!(call.ended_at().unwrap() <= at);
    }

    #[test]
    fn proof_of_life_does_nothing_but_refute_concluded_ends(
        events in events(&near(), 14), at in time(&near()), leg in proptest::option::of(leg())
    ) {
        let first = events.iter().map(|event| event.at).min().unwrap();
        let seen = new_event(at.max(first), leg, Fact::Seen);
        let call = with(&events, &seen);
        let before = fold(&history(&events));
        if before.ending().is_some_and(|ending| ending.inferred) && call.ending().is_none() {
            // It refutes what was concluded of legs too.
            return Ok(());
        }
        let refuted = |event: &Event| {
            let of_leg = event.leg.as_ref().map(|leg| &leg.id);
            let concerns = of_leg.is_none() || seen.leg.as_ref().is_none_or(|leg| Some(&leg.id) == of_leg);
            let inferred = matches!(&event.fact, Fact::Ended(end) if end.inferred);
            concerns && inferred && event.at < seen.at
        };
        if !events.iter().any(refuted) {
            same(&call, &fold(&history(&events)))?;
        }
        let left = events.iter().map(|event| {
            // What an end tells of the parties stays when the end is refuted; here only the rest is compared.
            let said = Fact::MetadataSet(MetadataPatch::new());
            if refuted(event) { Event { fact: said, ..event.clone() } } else { event.clone() }
        });
        let left = fold(&History::of(left).unwrap());
        prop_assert_eq!((&call.state, call.ringing_at), (&left.state, left.ringing_at));
    }

    #[test]
    fn an_event_changes_no_field_of_which_its_kind_says_nothing(
        events in events(&near(), 14), more in unnamed(&near())
    ) {
        let before = fold(&history(&events));
        // An event of any kind may be the first.
        let more = Event { at: more.at.max(before.created_at), ..more };
        let after = with(&events, &more);
        for (name, is_same, may_speak) in ASPECTS {
            prop_assert!(may_speak(&more) || is_same(&before, &after), "{} changed by {:?}", name, more.fact);
        }
    }
}

/// The event, saying nothing of this field.
fn unsaid(event: &Event, field: &Field) -> Event {
    let mut event = event.clone();
    let setup = match &mut event.fact {
        Fact::Queued(setup) | Fact::Initiated(setup) => setup.as_mut(),
        Fact::Ended(end) => &mut end.setup,
        Fact::MetadataSet(patch) => {
            patch.shift_remove("k");
            return event;
        }
        _ => return event,
    };
    match field {
        Field::FromNumber => setup.from_number = None,
        Field::Direction => setup.direction = None,
        Field::Task => setup.task = None,
        Field::Metadata(key) => drop(setup.metadata.shift_remove(key)),
        other => panic!("{other:?} cannot be left out here"),
    }
    event
}

type Aspect = (&'static str, fn(&Call, &Call) -> bool, fn(&Event) -> bool);

/// A field, whether two calls agree in it, and whether an event may have something to say of it.
const ASPECTS: &[Aspect] = &[
    (
        "created_at",
        |one, other| one.created_at == other.created_at,
        |event| matches!(event.fact, Fact::Ended(_)),
    ),
    ("state", |one, other| one.state == other.state, speaks_of_life),
    ("ringing_at", |one, other| one.ringing_at == other.ringing_at, speaks_of_life),
    ("direction", |one, other| one.direction == other.direction, speaks_of_parties),
    ("call_type", |one, other| one.call_type == other.call_type, speaks_of_parties),
    ("from_number", |one, other| one.from_number == other.from_number, speaks_of_parties),
    ("to_number", |one, other| one.to_number == other.to_number, speaks_of_parties),
    ("endpoint", |one, other| one.endpoint == other.endpoint, speaks_of_parties),
    ("phone_number", |one, other| one.phone_number == other.phone_number, speaks_of_parties),
    ("telephony", |one, other| one.content.telephony == other.content.telephony, speaks_of_parties),
    ("caller", |one, other| one.content.caller == other.content.caller, speaks_of_parties),
    ("opt_out", |one, other| one.opt_out == other.opt_out, |event| event.opts_out),
    ("task", |one, other| one.content.task == other.content.task, has_setup),
    ("context", |one, other| one.content.context == other.content.context, has_setup),
    (
        "metadata",
        |one, other| one.content.metadata == other.content.metadata,
        |event| has_setup(event) || matches!(event.fact, Fact::MetadataSet(_)),
    ),
    (
        "recording",
        |one, other| one.content.recording == other.content.recording,
        |event| event.opts_out || matches!(event.fact, Fact::RecordingReady(_) | Fact::RecordingDeleted),
    ),
    (
        "lacking recording",
        |one, other| one.content.lacks_recording() == other.content.lacks_recording(),
        |event| {
            let of_recording = matches!(
                event.fact,
                Fact::RecordingReady(_) | Fact::RecordingFailed { .. } | Fact::RecordingDeleted
            );
            event.opts_out || has_setup(event) || of_recording
        },
    ),
    (
        "turns",
        |one, other| one.content.turns == other.content.turns,
        |event| {
            let of_turns = matches!(event.fact, Fact::Turn(_) | Fact::TranscriptDeleted);
            event.opts_out || speaks_of_life(event) || of_turns
        },
    ),
    (
        "tools",
        |one, other| one.content.tools == other.content.tools,
        |event| {
            let of_tools = Fact::is_spoken(&event.fact) || matches!(event.fact, Fact::TranscriptDeleted);
            event.opts_out || of_tools
        },
    ),
    (
        "transcript",
        |one, other| one.content.transcript_text == other.content.transcript_text,
        |event| {
            let of_words =
                matches!(event.fact, Fact::TranscriptReady(_) | Fact::Turn(_) | Fact::TranscriptDeleted);
            event.opts_out || of_words
        },
    ),
    (
        "latencies",
        |one, other| one.content.latencies == other.content.latencies,
        |event| matches!(event.fact, Fact::StageLatency(_)),
    ),
    (
        "summaries",
        |one, other| one.content.latency_summaries == other.content.latency_summaries,
        |event| matches!(event.fact, Fact::LatencySummary(_)),
    ),
    ("quality", |one, other| one.content.quality == other.content.quality, measures_media),
    ("loss", |one, other| one.content.worst_packet_loss == other.content.worst_packet_loss, measures_media),
    (
        "media",
        |one, other| one.content.media == other.content.media,
        |event| matches!(event.fact, Fact::MediaEstablished(_)),
    ),
    (
        "audio",
        |one, other| one.content.audio == other.content.audio,
        |event| measures_media(event) || matches!(event.fact, Fact::MediaEstablished(_)),
    ),
    (
        "costs",
        |one, other| one.content.costs == other.content.costs,
        |event| matches!(event.fact, Fact::Cost(_)),
    ),
    (
        "analysis",
        |one, other| one.content.analysis == other.content.analysis,
        |event| matches!(event.fact, Fact::AnalysisReady(_) | Fact::TranscriptDeleted),
    ),
];

fn speaks_of_life(event: &Event) -> bool {
    event.fact.is_lifecycle() || event.fact.shows_life() || event.leg.is_some()
}

fn has_setup(event: &Event) -> bool {
    event.fact.setup().is_some()
}

/// A leg alone may tell which one is the originating leg.
fn speaks_of_parties(event: &Event) -> bool {
    has_setup(event) || event.leg.is_some()
}

fn measures_media(event: &Event) -> bool {
    matches!(event.fact, Fact::MediaQuality(_))
}

fn check_times(call: &Call) -> Result<(), TestCaseError> {
    let live = matches!(call.state, State::Initiated | State::Ringing | State::Answered { .. });
    prop_assert_eq!(call.is_live(), live);
    prop_assert_eq!(call.status().is_live(), live);
    prop_assert_eq!(call.status().is_ended(), call.ending().is_some());
    prop_assert_eq!(call.status() == Status::Queued, call.state == State::Queued);
    let since = |from: Option<Timestamp>| {
        let millis = i128::from(call.ended_at()?.millis()) - i128::from(from?.millis());
        Some(Duration::from_millis(millis.clamp(0, i128::from(i64::MAX)) as u64))
    };
    let by_clock = since(call.answered_at()).or(call.ended_at().map(|_| Duration::ZERO));
    let stated = call.content.stated_talk_millis.map(Duration::from_millis);
    prop_assert_eq!(call.talk_time(), stated.filter(|_| call.ending().is_some()).or(by_clock));
    if let Some((answered_at, ended_at)) = call.answered_at().zip(call.ended_at()) {
        prop_assert!(answered_at <= ended_at);
    }
    prop_assert_eq!(call.total_time(), since(Some(call.created_at)));
    prop_assert_eq!(call.disconnection().is_some(), call.status().is_ended());
    Ok(())
}

fn check_explanation(found: &Explanation, events: &[Event], call: &Call) -> Result<(), TestCaseError> {
    let additive = matches!(found.field, Field::Turns | Field::Tools | Field::Latency(_) | Field::Costs);
    let known: BTreeSet<&EventId> = events.iter().map(|event| &event.id).collect();
    let winners: BTreeSet<&EventId> = found.set_by.iter().collect();
    let losers: BTreeSet<&EventId> = found.lost.iter().map(|(id, _)| id).collect();
    prop_assert!(winners.is_subset(&known) && losers.is_subset(&known), "{:?}", found);
    prop_assert_eq!(winners.len(), found.set_by.len(), "twice among the winners: {:?}", found);
    prop_assert!(winners.is_disjoint(&losers), "{:?}", found);
    prop_assert!(additive || winners.len() <= 1, "{:?}", found);
    let Some(winner) = events.iter().find(|event| winners.contains(&event.id)) else { return Ok(()) };
    let end = match &winner.fact {
        Fact::Ended(end) => Some(end),
        _ => None,
    };
    match found.field {
        Field::CreatedAt => {
            let said = end.and_then(|end| end.started_at);
            prop_assert!(call.created_at == winner.at || Some(call.created_at) == said);
        }
        Field::FromNumber => {
            prop_assert_eq!(&call.from_number, &winner.fact.setup().unwrap().from_number);
        }
        Field::End => {
            let (ending, end) = (call.ending().unwrap(), end.unwrap());
            prop_assert_eq!((ending.cause, ending.by, ending.failed), (end.cause(), end.by, end.failed));
            prop_assert_eq!(ending.transfer, end.transfer);
            // What a leg tells may end the call as concluded only.
            prop_assert!(ending.inferred == end.inferred || (ending.inferred && winner.leg.is_some()));
        }
        _ => {}
    }
    Ok(())
}

/// Every order of up to four things, else two hundred of them.
fn orders(count: usize) -> Vec<Vec<usize>> {
    if count <= 4 {
        return (0..count).fold(vec![vec![]], |orders, next| {
            let grown = orders.iter().flat_map(|order: &Vec<usize>| {
                (0..=order.len()).map(move |place| {
                    let mut longer = order.clone();
                    longer.insert(place, next);
                    longer
                })
            });
            grown.collect()
        });
    }
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut shuffled = || {
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).rev().for_each(|last| order.swap(last, random(last + 1)));
        // One of them again.
        order.insert(random(count), random(count));
        order
    };
    (0..200).map(|_| shuffled()).collect()
}

#[test]
fn every_story_is_the_same_in_every_order_and_told_twice() {
    for story in story::all() {
        let call = fold(&history(&story.events));
        for order in orders(story.events.len()) {
            let retold = History::of(order.iter().map(|place| story.events[*place].clone())).unwrap();
            same(&fold(&retold), &call).unwrap_or_else(|error| panic!("{}: {error}", story.place));
        }
        let twice = History::of(story.events.iter().rev().chain(&story.events).cloned()).unwrap();
        assert_eq!(story.faults(&twice), "");
    }
}
