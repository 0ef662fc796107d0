//! How the fold's time grows.
#![expect(clippy::unwrap_used, reason = "what a test is made with may fail loudly too")]

use std::time::Instant;

use pegcount_calls::{
    CallLeg, End, Event, EventId, Fact, History, LegId, Role, SourceName, Timestamp, TurnReport, explain,
};

/// Events that ask most of the fold: many legs that dial each other, ends concluded and refuted, turns, metadata.
fn hard_events(count: i64) -> History {
    let leg = |number: i64| LegId::new(format!("leg{number}")).unwrap();
    let events = (0..count).map(|place| {
        let inferred = |inferred| Fact::Ended(Box::new(End { inferred, ..End::default() }));
        let fact = match place % 6 {
            0..=2 => inferred(true),
            3 => inferred(false),
            4 => Fact::Turn(Box::new(TurnReport {
                role: Role::User,
                content: String::new(),
                start_millis: Some(count - place),
                end_millis: None,
                words: vec![],
                language: None,
            })),
            _ => Fact::MetadataSet([(format!("k{place}"), None)].into_iter().collect()),
        };
        let spoken_of =
            CallLeg { id: leg(place), origin_unless_dialled: place % 2 == 0, dialled: Some(leg(place / 2)) };
        let (at, source) = (Timestamp::from_millis(place), SourceName::new("test").unwrap());
        Event { id: EventId::new(format!("e{place}")).unwrap(), at, source, leg: Some(spoken_of), fact }
    });
    History::of(events).unwrap()
}

#[test]
fn sixteen_times_the_events_take_nowhere_near_two_hundred_times_as_long() {
    let time_of = |count| {
        let history = hard_events(count);
        let once = || {
            let start = Instant::now();
            std::hint::black_box(explain(&history));
            start.elapsed()
        };
        (0..5).map(|_| once()).min().unwrap()
    };
    let (few, many) = (time_of(1_000), time_of(16_000));
    assert!(many < few * 80, "1,000 events took {few:?}, 16,000 took {many:?}");
}
