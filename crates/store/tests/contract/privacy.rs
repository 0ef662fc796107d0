//! What keeps calls from going, and what has them go.

use pegcount_calls::{Call, CallerIdentity, Cause, Content, Recording};
use pegcount_store::{CallHead, CallKey, Erasure, ErasureProgress, Hold, Keepsake, OldCalls, Scrub, Store};
use uuid::Uuid;

use crate::{
    bench::{OURS, THEIRS, at, call, end, keep, with_words},
    engines,
};

const FIRST: CallKey = CallKey(i64::MIN);

#[tokio::test]
async fn a_hold_goes_along_in_a_merge_and_ends_when_it_is_released() {
    for home in engines() {
        let store = home.open().unwrap();
        let older = keep(&*store, "older", &call(0)).await;
        let younger = keep(&*store, "younger", &call(0)).await;
        let hold = |reason: &str, since| Hold { reason: reason.to_owned(), since: at(since) };
        store.set_hold(younger.key, &hold("first", 1)).await.unwrap();
        store.set_hold(younger.key, &hold("second", 2)).await.unwrap();
        assert_eq!(store.hold(younger.key).await.unwrap(), Some(hold("second", 1)));
        let mut transaction = store.begin().await.unwrap();
        transaction.merge(younger.key, older.key, &[]).await.unwrap();
        assert_eq!(transaction.hold(older.key).await.unwrap(), Some(hold("second", 1)));
        let names = transaction.names(older.key).await.unwrap();
        assert_eq!(
            names.iter().map(pegcount_calls::CallName::as_str).collect::<Vec<_>>(),
            ["older", "younger"]
        );
        transaction.commit().await.unwrap();
        assert_eq!(store.hold(younger.key).await.unwrap(), None);
        assert!(store.release_hold(older.key).await.unwrap());
        assert!(!store.release_hold(older.key).await.unwrap());
        assert_eq!(store.hold(older.key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn the_calls_of_a_number_are_found_in_its_writings_and_no_others_are() {
    for home in engines() {
        let store = home.open().unwrap();
        let ours = [
            "+15551",
            "15551",
            "0015551",
            "sip:+15551@a.example",
            "+15551@a",
            "tel:15551",
            "sips:0015551;user=phone",
        ];
        let others = ["+155512", "5551", "+1 5551", "sip:+155512@a", "sip:a@15551", "x15551"];
        for (place, number) in ours.iter().chain(&others).enumerate() {
            let [from_number, to_number] = if place % 2 == 0 {
                [Some((*number).to_owned()), None]
            } else {
                [None, Some((*number).to_owned())]
            };
            keep(&*store, &format!("c{place}"), &Call { from_number, to_number, ..call(0) }).await;
        }
        let caller =
            CallerIdentity { asserted_number: Some("+15551".to_owned()), ..CallerIdentity::default() };
        let mut private = Call { from_number: Some("anonymous".to_owned()), ..call(0) };
        private.content.caller = caller;
        keep(&*store, "private", &private).await;
        let mut found = Vec::new();
        let mut after = FIRST;
        loop {
            let part = store.calls_of_number(OURS, "15551", after, 3).await.unwrap();
            let Some(last) = part.last() else { break };
            after = last.key;
            found.extend(part.iter().map(|head| head.name.to_string()));
        }
        assert_eq!(found, ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "private"]);
        assert_eq!(store.calls_of_number(THEIRS, "15551", FIRST, 3).await.unwrap(), []);
    }
}

#[tokio::test]
async fn an_order_to_erase_a_number_forgets_it_and_keeps_its_progress() {
    for home in engines() {
        let store = home.open().unwrap();
        let id = Uuid::now_v7();
        let progress = ErasureProgress::default();
        let digits = Some("15551".to_owned());
        let mut order =
            Erasure { id, organization: OURS, digits, created_at: at(1), finished_at: None, progress };
        let mut transaction = store.begin().await.unwrap();
        transaction.create_erasure(&order).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.erasure(OURS, id).await.unwrap(), Some(order.clone()));
        assert_eq!(store.erasure(THEIRS, id).await.unwrap(), None);
        order.digits = None;
        order.finished_at = Some(at(2));
        order.progress = ErasureProgress { erased: 3, held: 2, live: 1 };
        store.update_erasure(&order).await.unwrap();
        assert_eq!(store.erasure(OURS, id).await.unwrap(), Some(order));
    }
}

#[tokio::test]
async fn words_of_erased_calls_are_brought_out_of_the_index_and_the_log_is_emptied() {
    for home in engines() {
        let store = home.open().unwrap();
        let over = |words: &str| Call {
            state: end(60_000, Some(1_000), Cause::UserHangup),
            ..with_words(0, words, Some("summary"))
        };
        let mut heads = Vec::new();
        for place in 0..20 {
            heads.push(keep(&*store, &format!("c{place}"), &over(&format!("word{place} quiche"))).await);
        }
        assert_eq!(store.scrub(true).await.unwrap(), Scrub::Clean);
        for head in heads.iter().step_by(2) {
            let mut transaction = store.begin().await.unwrap();
            transaction.erase(head.key).await.unwrap();
            transaction.commit().await.unwrap();
        }
        let mut begin = true;
        loop {
            match store.scrub(begin).await.unwrap() {
                Scrub::Clean => break,
                Scrub::Moved => begin = false,
                Scrub::Idle => {
                    assert!(!begin);
                    begin = true;
                }
            }
        }
        assert!(store.empty_log().await.unwrap());
    }
}

fn ended(at_millis: i64, content: Content) -> Call {
    Call { state: end(at_millis, None, Cause::UserHangup), content, ..call(0) }
}

fn names_of(heads: &[CallHead]) -> Vec<&str> {
    heads.iter().map(|head| head.name.as_str()).collect()
}

#[tokio::test]
async fn old_calls_are_found_by_what_is_kept_of_them_in_the_order_of_their_end() {
    for home in engines() {
        let store = home.open().unwrap();
        let recording = Recording {
            announced_by: None,
            url: None,
            object: Some("1.c.mp3".to_owned()),
            duration_seconds: None,
            format: None,
            size_bytes: None,
        };
        let recorded = Content { recording: Some(recording.clone()), ..Content::default() };
        let elsewhere =
            Recording { url: Some("https://x/y.mp3".to_owned()), object: None, ..recording.clone() };
        let spoken = Content {
            // A link to somebody else's is no recording of ours.
            recording: Some(elsewhere),
            transcript_text: Some("quiche".to_owned()),
            ..Content::default()
        };
        let sealed = Content { sealed_at: Some(at(9_000)), ..recorded.clone() };
        keep(&*store, "late", &ended(3_000, recorded.clone())).await;
        keep(&*store, "spoken", &ended(2_000, spoken)).await;
        keep(&*store, "sealed", &ended(1_000, sealed)).await;
        keep(&*store, "new", &ended(5_000, recorded.clone())).await;
        keep(&*store, "live", &Call { content: recorded, ..call(0) }).await;
        let found = async |store: &dyn Store, keepsake, limit| {
            let mut query =
                OldCalls { organization: OURS, keepsake, ended_before: at(5_000), after: None, limit };
            let mut found = Vec::new();
            loop {
                let page = store.old_calls(&query).await.unwrap();
                found.extend(page.calls);
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => return found,
                }
            }
        };
        for limit in 1..4 {
            for (keepsake, expected) in [
                (Keepsake::Recording, &["sealed", "late"][..]),
                (Keepsake::Transcript, &["spoken"]),
                (Keepsake::Events, &["spoken", "late"]),
                (Keepsake::Call, &["sealed", "spoken", "late"]),
            ] {
                assert_eq!(
                    names_of(&found(&*store, keepsake, limit).await),
                    expected,
                    "{keepsake:?} by {limit}"
                );
            }
        }
        let theirs = OldCalls {
            organization: THEIRS,
            keepsake: Keepsake::Call,
            ended_before: at(5_000),
            after: None,
            limit: 9,
        };
        assert_eq!(store.old_calls(&theirs).await.unwrap().calls, []);
    }
}

#[tokio::test]
async fn a_call_whose_events_are_forgotten_stays() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "c", &ended(1_000, Content::default())).await;
        let mut transaction = store.begin().await.unwrap();
        transaction.forget_events(head.key).await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(store.reports(&[head.key]).await.unwrap()[0], []);
        assert_eq!(store.call(OURS, "c").await.unwrap().unwrap().head, head);
    }
}

#[tokio::test]
async fn calls_that_a_recording_should_have_come_of_are_found_by_their_end_newest_first() {
    for home in engines() {
        let store = home.open().unwrap();
        let expected = Content { recording_expected: true, ..Content::default() };
        let deleted = Content { recording_deleted_at: Some(at(9)), ..expected.clone() };
        for (name, ended_at, content) in [
            ("before", 999, &expected),
            ("first", 1_000, &expected),
            ("second", 1_999, &expected),
            ("deleted", 1_500, &deleted),
            ("unrecorded", 1_500, &Content::default()),
            ("after", 2_000, &expected),
        ] {
            keep(&*store, name, &ended(ended_at, content.clone())).await;
        }
        keep(&*store, "live", &Call { content: expected, ..call(0) }).await;
        let (heads, count) = store.lacking_recording([at(1_000), at(2_000)], 9).await.unwrap();
        assert_eq!((names_of(&heads).as_slice(), count), (&["second", "first"][..], 2));
        let (heads, count) = store.lacking_recording([at(1_000), at(2_000)], 1).await.unwrap();
        assert_eq!((names_of(&heads).as_slice(), count), (&["second"][..], 2));
    }
}
