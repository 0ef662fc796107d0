//! What one transaction holds, and what it does not take along.

use pegcount_calls::{CallName, Document, EventId, Status, Timestamp};
use pegcount_store::{CallHead, CallKey, Keepsake, OrganizationNumber, Report};
use serde_json::{Value, json};

use super::{Desk, ORG, TEN, minute, named};
use crate::{
    intake::{Incoming, IntakeError, Outcome, history::MOST_EVENTS, queue::PLACES, room},
    vocabulary::{Rejection, source_name},
};

/// Puts a call on file whose one event no version could have written.
async fn damage(desk: &Desk, name: &str) -> CallHead {
    let mut transaction = desk.store.begin().await.unwrap();
    let head = transaction.open_call(ORG, &CallName::new(name).unwrap(), uuid::Uuid::now_v7()).await.unwrap();
    let report = Report {
        id: EventId::new("damaged").unwrap(),
        at: Timestamp::from_millis(TEN),
        at_given: true,
        received_at: Timestamp::from_millis(TEN),
        source: source_name("native"),
        kind: "call_answered".into(),
        data: Document::from_json_text("{"),
        blanked: false,
    };
    transaction.append(head.key, &[report]).await.unwrap();
    transaction.commit().await.unwrap();
    head
}

#[tokio::test]
async fn a_call_that_cannot_be_read_does_not_take_its_neighbours_in_the_batch_along() {
    let desk = Desk::new().await;
    damage(&desk, "damaged").await;
    desk.tell("known", &json!([["1", "call_initiated", 0]])).await;
    // While this is held nothing is written: what is taken up lies in one batch, and what queues behind it in the next.
    let holding = desk.store.begin().await.unwrap();
    let taken_before = desk.metrics.taken_requests.get();
    let answers = async {
        let ask = |call: &str, events: Value| desk.intake.accept(vec![named(call, &events)]);
        tokio::join!(
            ask("first", json!([["1", "call_initiated", 0]])),
            ask("good", json!([["1", "call_initiated", 0]])),
            ask("damaged", json!([["1", "call_initiated", 0]])),
            ask("known", json!([["2", "call_ringing", 1]])),
        )
    };
    let release = async {
        let (queued, taken) = (&desk.metrics.queued_requests, &desk.metrics.taken_requests);
        while queued.get() + (taken.get() - taken_before) as i64 != 4 {
            tokio::task::yield_now().await;
        }
        drop(holding);
    };
    let ((first, good, damaged, known), ()) = tokio::join!(answers, release);
    let accepted = Ok(vec![vec![Outcome::Accepted]]);
    assert_eq!((&first, &good, &known), (&accepted, &accepted, &accepted));
    assert_eq!(damaged, Err(IntakeError::StoreFailed));
    assert_eq!(desk.status("good").await, Status::Initiated);
    assert_eq!(desk.status("known").await, Status::Ringing);
    assert_eq!(desk.live.count(ORG), 3);
    // Nothing was half remembered.
    assert_eq!(desk.tell("known", &json!([["2", "call_ringing", 1]])).await, [Outcome::Duplicate]);
    assert_eq!(desk.reports("known").await.len(), 2);
}

#[tokio::test]
async fn what_finds_no_place_in_the_queue_is_turned_away_and_the_rest_is_written() {
    let desk = Desk::new().await;
    let holding = desk.store.begin().await.unwrap();
    let ask = |number: usize| {
        let incoming = named(&format!("c{number}"), &json!([["1", "call_initiated", 0]]));
        let intake = desk.intake.clone();
        tokio::spawn(async move { intake.accept(vec![incoming]).await })
    };
    // Some are being written, the queue is full of the others.
    let mut asked = Vec::new();
    while desk.metrics.queued_requests.get() < PLACES as i64 {
        asked.push(ask(asked.len()));
        tokio::task::yield_now().await;
    }
    let refused = desk.intake.accept(vec![named("refused", &json!([["1", "call_initiated", 0]]))]).await;
    assert_eq!(refused, Err(IntakeError::Busy));
    assert_eq!(desk.metrics.busy_requests.get(), 1);
    let other = of_other("other", &json!([["1", "call_initiated", 0]]));
    let intake = desk.intake.clone();
    let other = tokio::spawn(async move { intake.accept(vec![other]).await });
    while desk.metrics.queued_requests.get() <= PLACES as i64 {
        tokio::task::yield_now().await;
    }
    drop(holding);
    assert_eq!(other.await.unwrap(), Ok(vec![vec![Outcome::Accepted]]));
    let count = asked.len();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), Ok(vec![vec![Outcome::Accepted]]));
    }
    assert_eq!(desk.live.count(ORG), count);
    assert!(desk.store.call(ORG, "refused").await.unwrap().is_none());
}

const OTHER: OrganizationNumber = OrganizationNumber(2);

async fn with_other_organization() -> Desk {
    let desk = Desk::new().await;
    let name = pegcount_calls::OrganizationName::new("org_2").unwrap();
    desk.store.create_organization(&name, Some(OTHER), None).await.unwrap();
    desk
}

fn of_other(call: &str, events: &Value) -> Incoming {
    Incoming { organization: OTHER, ..named(call, events) }
}

fn many(from: usize, to: usize) -> Value {
    (from..to).map(|number| json!([format!("{number}"), "x_many", number, {}])).collect()
}

#[tokio::test]
async fn one_organization_waits_for_no_more_than_a_batch_of_another() {
    let desk = with_other_organization().await;
    let holding = desk.store.begin().await.unwrap();
    let ask = |incoming: Vec<Incoming>| {
        let intake = desk.intake.clone();
        tokio::spawn(async move { intake.accept(incoming).await })
    };
    let mut asked: Vec<_> =
        (0..50).map(|number| ask(vec![named(&format!("c{number}"), &many(0, 100))])).collect();
    let all_wait = async |count: u64| {
        while desk.metrics.queued_requests.get() as u64 + desk.metrics.taken_requests.get() < count {
            tokio::task::yield_now().await;
        }
    };
    all_wait(50).await;
    asked.push(ask(vec![of_other("late", &many(0, 1))]));
    all_wait(51).await;
    drop(holding);
    for answer in asked {
        assert!(answer.await.unwrap().is_ok());
    }
    // Keys are given in the order in which calls are opened.
    let late = desk.store.call(OTHER, "late").await.unwrap().unwrap();
    assert!(late.head.key.0 <= 1 + (room::MOST_EVENTS / 100) as i64, "{:?}", late.head.key);
}

#[tokio::test]
async fn a_large_request_is_written_in_parts_between_which_others_have_their_turn() {
    let desk = with_other_organization().await;
    let holding = desk.store.begin().await.unwrap();
    let large: Vec<Incoming> = (0..20)
        .map(|number| {
            let mut one = named(&format!("c{number}"), &many(0, 100));
            one.told.push(one.told[0].clone());
            one
        })
        .collect();
    let answers = async {
        let small = vec![of_other("small", &many(0, 1))];
        tokio::join!(desk.intake.accept(large), desk.intake.accept(small))
    };
    let release = async {
        while desk.metrics.queued_requests.get() as u64 + desk.metrics.taken_requests.get() < 2 {
            tokio::task::yield_now().await;
        }
        drop(holding);
    };
    let ((large, small), ()) = tokio::join!(answers, release);
    let mut of_call = vec![Outcome::Accepted; 100];
    of_call.push(Outcome::Duplicate);
    assert_eq!((large, small), (Ok(vec![of_call; 20]), Ok(vec![vec![Outcome::Accepted]])));
    let small = desk.store.call(OTHER, "small").await.unwrap().unwrap();
    assert!(small.head.key.0 <= 2 + (room::MOST_EVENTS / 100) as i64, "{:?}", small.head.key);
    assert_eq!((desk.metrics.taken_requests.get(), desk.metrics.queued_requests.get()), (2, 0));
}

#[tokio::test]
async fn many_events_of_one_call_are_written_in_parts_too() {
    let desk = with_other_organization().await;
    let holding = desk.store.begin().await.unwrap();
    let mut events = many(0, 2_500);
    events[2_400] = json!(["0", "x_many", 0, {}]);
    let answers = async {
        let (large, small) = (vec![named("large", &events)], vec![of_other("small", &many(0, 1))]);
        // What is opened after the first part of the large one comes before its second.
        let after = vec![named("after", &many(0, 1))];
        tokio::join!(desk.intake.accept(large), desk.intake.accept(small), desk.intake.accept(after))
    };
    let release = async {
        while desk.metrics.queued_requests.get() as u64 + desk.metrics.taken_requests.get() < 3 {
            tokio::task::yield_now().await;
        }
        drop(holding);
    };
    let ((large, small, after), ()) = tokio::join!(answers, release);
    let mut of_call = vec![Outcome::Accepted; 2_500];
    of_call[2_400] = Outcome::Duplicate;
    assert_eq!(large, Ok(vec![of_call]));
    assert_eq!((small, after), (Ok(vec![vec![Outcome::Accepted]]), Ok(vec![vec![Outcome::Accepted]])));
    let keys = [(OTHER, "small"), (ORG, "after")].map(async |(organization, call)| {
        desk.store.call(organization, call).await.unwrap().unwrap().head.key
    });
    let [small, after] = keys;
    assert!(small.await < after.await, "a request waits for the whole one before it, others do not");
}

#[tokio::test]
async fn calls_of_many_bytes_are_deleted_in_parts() {
    let desk = Desk::new().await;
    let words = "word ".repeat(8_000);
    let mut heads = Vec::new();
    for number in 0..8 {
        let name = format!("c{number}");
        desk.tell(&name, &minute()).await;
        let turns: Value = (0..30)
            .map(|turn| {
                json!([format!("t{turn}"), "transcript_turn", turn, { "role": "agent", "content": words }])
            })
            .collect();
        assert!(desk.tell(&name, &turns).await.iter().all(|outcome| *outcome == Outcome::Accepted));
        heads.push(desk.call(&name).await.head);
    }
    let at = Timestamp::from_millis(TEN + 100_000);
    let deleted = desk.intake.delete(heads, Keepsake::Transcript, at).await.unwrap();
    assert_eq!((deleted.calls, deleted.held), (8, 0));
    for number in 0..8 {
        assert!(!desk.call(&format!("c{number}")).await.call.content.has_words());
    }
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn a_refold_names_what_it_cannot_read_and_goes_on() {
    let desk = Desk::new().await;
    let head = damage(&desk, "damaged").await;
    desk.tell("good", &minute()).await;
    let good = desk.call("good").await.head;
    let refolded = desk.intake.refold(vec![head, good], crate::intake::Refold::default()).await.unwrap();
    assert_eq!((refolded.examined, refolded.differing.len()), (1, 0));
    assert_eq!(refolded.unreadable.len(), 1);
    assert_eq!(refolded.unreadable[0].0, "damaged");
    assert!(refolded.unreadable[0].1.contains("event damaged cannot be read"), "{refolded:?}");
}

#[tokio::test]
async fn a_call_takes_so_many_events_and_turns_the_next_away_alone() {
    let desk = Desk::new().await;
    let events = |from: usize, to: usize| -> Value {
        (from..to).map(|number| json!([format!("{number}"), "x_many", number, {}])).collect()
    };
    let mut told = 0;
    while told < MOST_EVENTS {
        let next = (told + 5_000).min(MOST_EVENTS);
        let outcomes = desk.tell("c", &events(told, next)).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Accepted));
        told = next;
    }
    let desk = desk.restarted().await;
    let outcomes = desk
        .accept(vec![
            named("c", &events(MOST_EVENTS - 1, MOST_EVENTS + 1)),
            named("d", &json!([["1", "call_initiated", 0]])),
        ])
        .await;
    assert_eq!(outcomes[0][0], Outcome::Duplicate);
    let Outcome::Rejected(rejection) = &outcomes[0][1] else { panic!("{outcomes:?}") };
    assert_eq!(rejection.code, Rejection::CALL_FULL);
    assert_eq!(outcomes[1], [Outcome::Accepted]);
}

#[tokio::test]
async fn the_live_set_follows_each_commit_and_is_the_same_after_a_restart() {
    let desk = Desk::new().await;
    desk.tell("queued", &json!([["1", "call_queued", 0]])).await;
    desk.tell("ringing", &json!([["1", "call_ringing", 0]])).await;
    desk.tell("over", &minute()).await;
    assert_eq!(desk.live.count(ORG), 1);
    desk.tell("back", &json!([["1", "call_answered", 0], ["2", "call_failed", 5, { "inferred": true }]]))
        .await;
    assert_eq!(desk.live.count(ORG), 1);
    desk.tell("back", &json!([["3", "call_seen", 6]])).await;
    assert_eq!(desk.live.count(ORG), 2);
    let by_status = desk.live.by_status(ORG);
    let desk = desk.restarted().await;
    assert_eq!(desk.live.by_status(ORG), by_status);
}

#[tokio::test]
async fn a_refold_of_a_live_call_leaves_it_live() {
    let desk = Desk::new().await;
    desk.tell("c", &json!([["1", "call_ringing", 0]])).await;
    desk.tariffs.replace(super::tariffs("1"));
    let renewal = crate::intake::Renewal { rates: true, numbers: true };
    desk.refold_as(crate::intake::Refold { check_only: false, renewal }).await;
    assert_eq!(desk.live.count(ORG), 1);
    // The writer's memory and the row agree.
    desk.tell("c", &json!([["2", "call_completed", 9]])).await;
    assert_eq!(desk.live.count(ORG), 0);
    assert!(desk.differences().await.is_empty());
    assert!(desk.store.calls_after(None, CallKey(0), 10).await.unwrap().len() == 1);
}
