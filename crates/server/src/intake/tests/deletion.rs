//! What is old goes: recordings, what was said, events.

use pegcount_calls::Timestamp;
use pegcount_store::{Hold, Keepsake};
use serde_json::{Value, json};

use super::{Desk, ORG, TEN, named, record};
use crate::{
    intake::{Deleted, Erased, Outcome},
    vocabulary::Rejection,
};

/// A call that is over, with everything that can be deleted of it.
fn whole() -> Value {
    json!([
        ["1", "call_initiated", 0, { "from_number": "+15550001", "metadata": { "k": "v" } }],
        ["2", "call_answered", 0],
        ["3", "transcript_turn", 10, { "role": "caller", "content": "my secret" }],
        ["4", "dtmf_received", 11, { "digit": "7" }],
        ["5", "call_completed", 60_000],
        ["6", "analysis_ready", 61_000, { "call_successful": true, "call_summary": "a secret", "user_sentiment": "good" }],
        ["7", "recording_ready", 62_000, { "object": "1.c.mp3" }],
    ])
}

impl Desk {
    async fn delete(&self, call: &str, keepsake: Keepsake, at: i64) -> Deleted {
        let head = self.call(call).await.head;
        self.intake.delete(vec![head], keepsake, Timestamp::from_millis(TEN + at)).await.unwrap()
    }

    fn discarded(&self) -> Vec<String> {
        std::mem::take(&mut *self.discarded.lock().unwrap())
    }

    /// The events of a call: type, data, and whether words are gone from it.
    async fn told_of(&self, call: &str) -> Vec<(String, String, bool)> {
        let reports = self.reports(call).await;
        reports.into_iter().map(|one| (one.kind, one.data.as_json_text().to_owned(), one.blanked)).collect()
    }
}

const DONE: Deleted = Deleted { calls: 1, held: 0 };
const NOTHING: Deleted = Deleted { calls: 0, held: 0 };

#[tokio::test]
async fn a_recording_goes_with_its_file_and_an_event_tells_it() {
    let desk = Desk::new().await;
    desk.tell("c", &whole()).await;
    assert_eq!(desk.delete("c", Keepsake::Recording, 90_000).await, DONE);
    assert_eq!(desk.discarded(), ["c"]);
    assert!(desk.jobs().await.contains(&"delete c".to_owned()));
    let last = desk.told_of("c").await.pop().unwrap();
    assert_eq!(last, ("recording_deleted".to_owned(), r#"{"reason":"retention"}"#.to_owned(), false));
    let content = desk.call("c").await.call.content;
    assert_eq!((content.recording, content.turns.len()), (None, 1));
    assert_eq!(content.recording_deleted_at, Some(Timestamp::from_millis(TEN + 90_000)));
    // There is nothing left to delete.
    assert_eq!(desk.delete("c", Keepsake::Recording, 95_000).await, NOTHING);
    assert_eq!(desk.reports("c").await.len(), 8);
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn a_recording_that_its_source_says_is_gone_goes_here_too() {
    let desk = Desk::new().await;
    desk.tell("c", &whole()).await;
    desk.tell("c", &json!([["8", "recording_deleted", 70_000]])).await;
    assert_eq!(desk.discarded(), ["c"]);
    // One that was told of by then is not taken to the store either.
    let desk = Desk::new().await;
    desk.tell("c", &json!([["8", "recording_deleted", 70_000]])).await;
    desk.tell("c", &whole()).await;
    assert!(!desk.jobs().await.contains(&"upload 1.c.mp3".to_owned()));
    assert_eq!(desk.discarded(), ["c"]);
}

#[tokio::test]
async fn what_was_said_goes_whenever_it_comes_and_what_is_counted_stays() {
    for late in [false, true] {
        let mut desk = Desk::new().await;
        let late_turn = json!(["9", "transcript_turn", 20, { "role": "agent", "content": "late secret" }]);
        desk.tell("c", &whole()).await;
        if late {
            desk = desk.restarted().await;
        } else {
            desk.tell("c", &json!([late_turn])).await;
        }
        assert_eq!(desk.delete("c", Keepsake::Transcript, 90_000).await, DONE);
        if late {
            assert_eq!(desk.tell("c", &json!([late_turn])).await, [Outcome::Accepted]);
        }
        assert_eq!(
            desk.tell("c", &json!([late_turn, whole()[2]])).await,
            [Outcome::Duplicate, Outcome::Duplicate]
        );
        let told = desk.told_of("c").await;
        let text = format!("{told:?}");
        assert!(!text.contains("secret") && !text.contains("digit"), "{text}");
        let filed = desk.call("c").await;
        let analysis = filed.call.content.analysis.clone().unwrap();
        assert_eq!((analysis.successful, analysis.summary), (Some(true), None));
        assert_eq!(analysis.sentiment.as_deref(), Some("good"));
        assert!(!filed.call.content.has_words() && filed.call.content.recording.is_some());
        assert!(desk.differences().await.is_empty());
        assert_eq!(desk.delete("c", Keepsake::Transcript, 95_000).await, NOTHING);
        // An opt-out leaves less, whichever comes first.
        desk.tell("c", &json!([["10", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }]]))
            .await;
        assert_eq!(desk.call("c").await.call.content.analysis, None);
        assert!(!format!("{:?}", desk.told_of("c").await).contains("call_successful"));
        assert!(desk.differences().await.is_empty());
        let desk = desk.restarted().await;
        assert!(desk.differences().await.is_empty());
    }
}

#[tokio::test]
async fn a_call_without_its_events_stays_as_it_was_and_takes_no_more() {
    let desk = Desk::new().await;
    desk.accept(vec![record("c", &["leg"], &whole())]).await;
    let before = desk.call("c").await;
    assert_eq!(desk.delete("c", Keepsake::Events, 90_000).await, DONE);
    assert_eq!(desk.delete("c", Keepsake::Events, 95_000).await, NOTHING);
    for restarted in [false, true] {
        let desk = if restarted { return check(desk.restarted().await, before).await } else { &desk };
        let kinds: Vec<_> = desk.told_of("c").await.into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(kinds, ["events_deleted"]);
    }
}

async fn check(desk: Desk, mut before: pegcount_store::Filed) {
    before.call.content.sealed_at = Some(Timestamp::from_millis(TEN + 90_000));
    assert_eq!(desk.call("c").await, before);
    for late in [
        named("c", &json!([["9", "cost_item", 70_000, { "product": "x", "cost": 1 }]])),
        record("other", &["leg"], &json!([["1", "call_answered", 0]])),
    ] {
        match &desk.accept(vec![late]).await[0][0] {
            Outcome::Rejected(rejection) => assert_eq!(rejection.code, Rejection::CALL_SEALED),
            other => panic!("{other:?}"),
        }
    }
    // Folded again it stays as it is, and another leg's call is not drawn into it.
    assert!(desk.differences().await.is_empty());
    desk.accept(vec![record("younger", &["second"], &json!([["1", "call_answered", 5]]))]).await;
    let joined = record("younger", &["leg", "second"], &json!([["2", "call_held", 6]]));
    assert_eq!(desk.accept(vec![joined]).await[0], [Outcome::Accepted]);
    assert_eq!(desk.call("c").await, before);
    assert_eq!(desk.reports("younger").await.len(), 2);

    // What is left of it can be deleted all the same.
    assert_eq!(desk.delete("c", Keepsake::Recording, 100_000).await, DONE);
    assert_eq!(desk.discarded(), ["c"]);
    assert_eq!(desk.delete("c", Keepsake::Transcript, 100_000).await, DONE);
    let desk = desk.restarted().await;
    let after = desk.call("c").await;
    assert!(!after.call.content.has_words() && after.call.content.recording.is_none());
    assert_eq!((after.call.status(), &after.bill), (before.call.status(), &before.bill));
    assert_eq!(desk.delete("c", Keepsake::Transcript, 105_000).await, NOTHING);
    assert!(desk.differences().await.is_empty());
    assert_eq!(desk.intake.erase(after.head).await.unwrap(), Erased::Gone);
}

#[tokio::test]
async fn calls_on_hold_in_progress_or_gone_keep_what_they_have() {
    let desk = Desk::new().await;
    desk.tell("held", &whole()).await;
    desk.tell("live", &json!([["1", "call_answered", 0], ["2", "recording_ready", 1, { "object": "x" }]]))
        .await;
    desk.tell("gone", &whole()).await;
    let heads = [desk.call("held").await.head, desk.call("live").await.head, desk.call("gone").await.head];
    let hold = Hold { reason: "case".to_owned(), since: Timestamp::from_millis(TEN) };
    desk.store.set_hold(heads[0].key, &hold).await.unwrap();
    desk.intake.erase(heads[2].clone()).await.unwrap();
    let now = Timestamp::from_millis(TEN + 90_000);
    for keepsake in [Keepsake::Recording, Keepsake::Transcript, Keepsake::Events] {
        let deleted = desk.intake.delete(heads.to_vec(), keepsake, now).await.unwrap();
        assert_eq!(deleted, Deleted { calls: 0, held: 1 });
    }
    assert_eq!(desk.reports("held").await.len(), 7);
    assert_eq!(desk.store.call(ORG, "gone").await.unwrap(), None);
}
