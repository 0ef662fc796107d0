//! What one transaction holds, and what it does not take along.

use pegcount_calls::{CallName, Document, EventId, Status, Timestamp};
use pegcount_store::{CallHead, CallKey, Report};
use serde_json::{Value, json};

use super::{Desk, ORG, TEN, minute, named};
use crate::{
    intake::{IntakeError, Outcome, history::MOST_EVENTS, writer::QUEUE},
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
    while desk.metrics.queued_requests.get() < QUEUE as i64 {
        asked.push(ask(asked.len()));
        tokio::task::yield_now().await;
    }
    let refused = desk.intake.accept(vec![named("refused", &json!([["1", "call_initiated", 0]]))]).await;
    assert_eq!(refused, Err(IntakeError::Busy));
    drop(holding);
    let count = asked.len();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), Ok(vec![vec![Outcome::Accepted]]));
    }
    assert_eq!(desk.live.count(ORG), count);
    assert!(desk.store.call(ORG, "refused").await.unwrap().is_none());
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
