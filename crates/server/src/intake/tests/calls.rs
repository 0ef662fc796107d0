//! What becomes of calls: told twice, told of by legs, opted out, known by number.

use pegcount_calls::{CallName, EndpointName, EventId, LegId, PhoneNumberName, Status};
use pegcount_store::{LegSpan, PhoneNumber};
use serde_json::{Value, json};

use super::{Desk, ORG, TEN, minute, named, record};
use crate::{
    intake::{CallReference, Incoming, Outcome, Ties, history::id_in_merged},
    vocabulary::Rejection,
};

fn rejected(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Rejected(rejection) => rejection.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_event_without_a_time_is_known_again_though_the_clock_went_on() {
    let desk = Desk::new().await;
    let event = json!([["1", "call_answered", null, { "x": 1 }]]);
    assert_eq!(desk.tell("c", &event).await, [Outcome::Accepted]);
    assert_eq!(desk.tell("c", &event).await, [Outcome::Duplicate]);
    let at = desk.reports("c").await[0].at.millis() - TEN;
    let desk = desk.restarted().await;
    assert_eq!(desk.tell("c", &event).await, [Outcome::Duplicate]);
    // Read back and sent again it names the time that it got.
    let read_back = |at: i64| json!([["1", "call_answered", at, { "x": 1 }]]);
    assert_eq!(desk.tell("c", &read_back(at)).await, [Outcome::Duplicate]);
    assert_eq!(rejected(&desk.tell("c", &read_back(at + 1)).await[0]), Rejection::EVENT_ID_REUSED);
    assert_eq!(desk.reports("c").await.len(), 1);
}

#[tokio::test]
async fn the_same_id_with_other_words_is_refused_and_the_first_stays() {
    let desk = Desk::new().await;
    desk.tell("c", &json!([["1", "call_answered", 5, { "x": 1 }], ["2", "call_held", null]])).await;
    for last in [Outcome::Accepted, Outcome::Duplicate] {
        let others = json!([
            ["1", "call_ringing", 5, { "x": 1 }],
            ["1", "call_answered", 6, { "x": 1 }],
            ["1", "call_answered", null, { "x": 1 }],
            ["1", "call_answered", 5, { "x": 2 }],
            ["2", "call_held", 9],
            ["3", "call_resumed", 10],
        ]);
        let outcomes = desk.tell("c", &others).await;
        for outcome in &outcomes[..5] {
            assert_eq!(rejected(outcome), Rejection::EVENT_ID_REUSED);
        }
        assert_eq!(outcomes[5], last);
        let kinds: Vec<_> = desk.reports("c").await.into_iter().map(|report| report.kind).collect();
        assert_eq!(kinds, ["call_answered", "call_resumed", "call_held"]);
    }
    // Another call is another world.
    assert_eq!(desk.tell("d", &json!([["1", "call_ringing", 5]])).await, [Outcome::Accepted]);
}

#[tokio::test]
async fn an_event_that_comes_twice_in_one_request_is_one_event() {
    let desk = Desk::new().await;
    let outcomes = desk
        .accept(vec![
            named("c", &json!([["1", "call_answered", 0], ["1", "call_answered", 0]])),
            named("c", &json!([["1", "call_answered", 0], ["1", "call_held", 0]])),
        ])
        .await;
    assert_eq!(outcomes[0], [Outcome::Accepted, Outcome::Duplicate]);
    assert_eq!(outcomes[1][0], Outcome::Duplicate);
    assert_eq!(rejected(&outcomes[1][1]), Rejection::EVENT_ID_REUSED);
}

#[tokio::test]
async fn legs_that_turn_out_to_be_one_call_make_one_call_with_both_names() {
    let desk = Desk::new().await;
    desk.accept(vec![record("first", &["a1"], &json!([["1", "call_initiated", 0, { "leg_id": "a" }]]))])
        .await;
    desk.accept(vec![record("second", &["b1"], &json!([["2", "call_ringing", 9, { "leg_id": "b1" }]]))])
        .await;
    assert_eq!(desk.live.count(ORG), 2);

    desk.accept(vec![record(
        "third",
        &["b1", "a1"],
        &json!([["3", "call_answered", 20, { "leg_id": "b1" }]]),
    )])
    .await;
    assert_eq!(desk.live.count(ORG), 1);
    let (first, second) = (desk.call("first").await, desk.call("second").await);
    assert_eq!((first.head.name.as_str(), &first.head.uuid), ("first", &second.head.uuid));
    assert_eq!(desk.reports("second").await.len(), 3);

    // Told by the name that it had, from memory and from disk.
    let ends = json!([["4", "call_completed", 30]]);
    assert_eq!(desk.tell("second", &ends).await, [Outcome::Accepted]);
    assert_eq!(desk.status("first").await, Status::Completed);
    let desk = desk.restarted().await;
    assert_eq!(desk.tell("second", &ends).await, [Outcome::Duplicate]);
    assert_eq!(
        desk.tell("first", &json!([["1", "call_initiated", 0, { "leg_id": "a" }]])).await,
        [Outcome::Duplicate]
    );
    assert_eq!(desk.live.count(ORG), 0);
    assert!(desk.differences().await.is_empty());
}

/// Two calls, of which each has events with the ids 1 and 2 and its own leg, which turn out to be one.
async fn merged_with_shared_ids(younger: &Value) -> Desk {
    let desk = Desk::new().await;
    desk.tell("older", &json!([["1", "call_initiated", 0], ["2", "call_answered", 10]])).await;
    desk.tell("younger", younger).await;
    for (name, leg) in [("older", "a"), ("younger", "b")] {
        desk.accept(vec![record(name, &[leg], &json!([[name, "x_record", 20]]))]).await;
    }
    desk.accept(vec![record("either", &["a", "b"], &json!([["both", "x_record", 30]]))]).await;
    assert_eq!(desk.call("younger").await.head.name.as_str(), "older");
    desk
}

#[tokio::test]
async fn an_opt_out_is_not_lost_with_a_shared_event_id() {
    let younger = json!([
        ["1", "call_initiated", 5, { "opt_out_sensitive_data_storage": true }],
        ["2", "transcript_turn", 6, { "role": "caller", "content": "secret" }],
    ]);
    let desk = merged_with_shared_ids(&younger).await;
    assert!(desk.call("older").await.call.opt_out);
    let turn = json!([["3", "transcript_turn", 40, { "role": "agent", "content": "secret" }]]);
    desk.tell("older", &turn).await;
    let desk = desk.restarted().await;
    assert!(desk.call("older").await.call.opt_out);
    for report in desk.reports("older").await {
        assert!(!report.data.as_json_text().contains("secret"), "{report:?}");
    }
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn events_of_merged_calls_that_share_ids_all_count() {
    let younger = json!([["1", "dtmf_received", 12, { "digit": "7" }], ["2", "call_completed", 60_000]]);
    for restarts in [false, true] {
        let desk = merged_with_shared_ids(&younger).await;
        let desk = if restarts { desk.restarted().await } else { desk };
        let call = desk.call("older").await.call;
        assert_eq!((call.status(), call.content.keys_pressed), (Status::Completed, true));
        assert_eq!(call.talk_time().unwrap().as_millis(), 59_990);
        // What either tells again is known, under whichever name.
        assert_eq!(desk.tell("younger", &younger).await, [Outcome::Duplicate, Outcome::Duplicate]);
        assert_eq!(desk.tell("older", &younger).await, [Outcome::Duplicate, Outcome::Duplicate]);
        let older = json!([["1", "call_initiated", 0], ["2", "call_answered", 10]]);
        assert_eq!(desk.tell("younger", &older).await, [Outcome::Duplicate, Outcome::Duplicate]);
        assert_eq!(desk.reports("older").await.len(), 7);

        // Both count on by themselves.
        let note = |by: &str| json!([["3", "x_note", 70_000, { "by": by }]]);
        for by in ["older", "younger"] {
            assert_eq!(desk.tell(by, &note(by)).await, [Outcome::Accepted], "{by}");
            assert_eq!(desk.tell(by, &note(by)).await, [Outcome::Duplicate], "{by}");
        }
        let other = desk.tell("younger", &note("nobody")).await;
        assert_eq!(rejected(&other[0]), Rejection::EVENT_ID_REUSED);
        assert_eq!(desk.reports("older").await.len(), 9);
        assert!(desk.differences().await.is_empty());
    }
}

#[tokio::test]
async fn calls_that_are_merged_in_the_batch_that_opened_them_keep_each_event_once() {
    let shared = |data: u32| json!(["shared", "x_seen", 5, { "by": data }]);
    let opening = [
        record("first", &["a1"], &json!([["1", "call_initiated", 0], shared(1)])),
        record("second", &["b1"], &json!([["2", "call_ringing", 9], shared(2)])),
    ];
    let joining = record("third", &["b1", "a1"], &json!([["3", "call_answered", 20], shared(1)]));
    // Each way of having them on disk, in memory, or in the same batch.
    for on_disk in 0..4 {
        let desk = Desk::new().await;
        let (known, new): (Vec<_>, Vec<_>) =
            opening.iter().cloned().enumerate().partition(|(place, _)| on_disk & (1 << place) != 0);
        for (_, record) in known {
            desk.accept(vec![record]).await;
        }
        let desk = if on_disk == 3 { desk.restarted().await } else { desk };
        let batch: Vec<_> = new.into_iter().map(|(_, record)| record).chain([joining.clone()]).collect();
        let outcomes = desk.accept(batch).await;
        let last = outcomes.last().unwrap();
        assert_eq!(last[0], Outcome::Accepted);
        assert_eq!(last[1], Outcome::Duplicate, "{on_disk:b}");
        let reports = desk.reports("first").await;
        // The older call's keeps its id: when the second came first, it is the older.
        let [stays, moves] = if on_disk == 2 { [2, 1] } else { [1, 2] };
        let younger = CallName::new(if on_disk == 2 { "first" } else { "second" }).unwrap();
        let moved = id_in_merged(&EventId::new("shared").unwrap(), &younger, 0);
        let mut ids: Vec<_> = reports.iter().map(|report| report.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, ["1", "2", "3", moved.as_str(), "shared"], "{on_disk:b}");
        for (id, by) in [("shared", stays), (moved.as_str(), moves)] {
            let report = reports.iter().find(|report| report.id.as_str() == id).unwrap();
            assert!(report.data.as_json_text().contains(&by.to_string()), "{on_disk:b}");
        }
        assert_eq!((desk.status("second").await, desk.live.count(ORG)), (Status::InProgress, 1));
        // What is remembered is what is on disk.
        for by in [stays, moves] {
            let again = record("third", &["a1"], &json!([["shared", "x_seen", 5, { "by": by }]]));
            assert_eq!(desk.accept(vec![again]).await[0], [Outcome::Duplicate], "{on_disk:b}");
        }
        assert!(desk.differences().await.is_empty(), "{on_disk:b}");
    }
}

#[tokio::test]
async fn a_call_that_opts_out_keeps_nothing_that_was_said_whenever_it_says_so() {
    let said = json!(["turn", "transcript_turn", 10, { "role": "caller", "content": "my secret" }]);
    let pressed = json!(["digit", "dtmf_received", 11, { "digit": "7" }]);
    let opts_out = json!(["out", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }]);
    let orders = [
        vec![json!([said, pressed, opts_out])],
        vec![json!([said]), json!([pressed, opts_out])],
        vec![json!([opts_out]), json!([said]), json!([pressed])],
        vec![json!([said]), json!([pressed]), json!([opts_out])],
    ];
    for (number, requests) in orders.iter().enumerate() {
        let mut desk = Desk::new().await;
        for request in requests {
            desk.tell("c", request).await;
            if number == 3 {
                desk = desk.restarted().await;
            }
        }
        let reports = desk.reports("c").await;
        let data: Vec<_> = reports.iter().map(|report| report.data.as_json_text()).collect();
        let left = r#"{"role":"caller"}"#;
        assert_eq!(data, [opts_out[3].to_string().as_str(), left, "{}"], "order {number}");
        assert!(reports[1..].iter().all(|report| report.blanked));
        assert!(desk.call("c").await.call.content.turns.is_empty());
        // A repetition is known, and brings nothing back.
        let again = desk.tell("c", &json!([said, pressed, opts_out])).await;
        assert_eq!(again, [Outcome::Duplicate, Outcome::Duplicate, Outcome::Duplicate]);
        let desk = desk.restarted().await;
        assert_eq!(desk.tell("c", &json!([said])).await, [Outcome::Duplicate]);
        assert_eq!(desk.reports("c").await[1].data.as_json_text(), left);
        assert!(desk.differences().await.is_empty(), "order {number}");
    }
}

#[tokio::test]
async fn an_opt_out_counts_in_every_event() {
    let said = json!(["turn", "transcript_turn", 10, { "role": "caller", "content": "my secret" }]);
    for (kind, data) in [
        ("call_answered", json!({})),
        ("call_completed", json!({})),
        ("transcript_turn", json!({ "role": "agent", "content": "your secret" })),
        ("transcript_turn", json!({ "role": "agent", "content": "a secret", "inferred": true })),
        ("transcript_ready", json!({ "text": "the secret" })),
        ("tool_result", json!({ "result": "secret" })),
        ("dtmf_received", json!({ "digit": "7" })),
        ("analysis_ready", json!({ "call_successful": true, "call_summary": "secret" })),
        ("recording_ready", json!({ "url": "https://secret.example" })),
        ("metadata_set", json!({ "metadata": {} })),
        ("x_note", json!({})),
    ] {
        let mut data = data;
        data["opt_out_sensitive_data_storage"] = json!(true);
        let out = json!(["out", kind, 11, data]);
        for requests in [[&said, &out], [&out, &said]] {
            let desk = Desk::new().await;
            for request in requests {
                assert_eq!(desk.tell("c", &json!([request])).await, [Outcome::Accepted], "{kind}");
            }
            let text = format!("{:?}", desk.reports("c").await);
            assert!(!text.contains("secret") && !text.contains("digit"), "{kind}: {text}");
            // The event that says so may be one of those that are emptied.
            let desk = desk.restarted().await;
            assert!(desk.call("c").await.call.opt_out, "{kind}");
            assert!(desk.differences().await.is_empty(), "{kind}");
            assert_eq!(desk.tell("c", &json!([said, out])).await, [Outcome::Duplicate, Outcome::Duplicate]);
            let more = json!(["more", "transcript_turn", 12, { "role": "caller", "content": "more secret" }]);
            desk.tell("c", &json!([more])).await;
            assert!(desk.call("c").await.call.content.turns.is_empty(), "{kind}");
            assert!(desk.differences().await.is_empty(), "{kind}");
        }
    }
}

#[tokio::test]
async fn the_recording_of_a_call_that_opted_out_or_was_erased_is_deleted_whichever_comes_first() {
    let recorded = json!(["rec", "recording_ready", 20, { "object": "1.c.mp3" }]);
    let opts_out = json!(["out", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }]);
    let ended = json!(["end", "call_completed", 10]);
    let discarded = |desk: &Desk| std::mem::take(&mut *desk.discarded.lock().unwrap());
    for requests in [[&opts_out, &recorded], [&recorded, &opts_out]] {
        let desk = Desk::new().await;
        desk.tell("c", &json!([ended])).await;
        desk.tell("c", &json!([requests[0]])).await;
        assert!(discarded(&desk).is_empty() || requests[0] == &recorded);
        desk.tell("c", &json!([requests[1]])).await;
        assert_eq!(discarded(&desk), ["c"]);
        // Told once more, it is deleted once more: the first time may have been cut off.
        assert_eq!(desk.tell("c", &json!([recorded])).await, [Outcome::Duplicate]);
        assert_eq!(discarded(&desk), ["c"]);
    }
    let desk = Desk::new().await;
    desk.tell("kept", &json!([ended, recorded])).await;
    desk.tell("kept", &json!([recorded])).await;
    desk.tell("erased", &json!([ended])).await;
    assert!(discarded(&desk).is_empty());
    let head = desk.call("erased").await.head;
    desk.intake.erase(head).await.unwrap();
    assert_eq!(discarded(&desk), ["erased"]);
    assert!(matches!(desk.tell("erased", &json!([recorded])).await[..], [Outcome::Rejected(_)]));
    assert_eq!(discarded(&desk), ["erased"]);
}

#[tokio::test]
async fn recordings_go_under_every_name_that_their_call_had() {
    let discarded = |desk: &Desk| std::mem::take(&mut *desk.discarded.lock().unwrap());
    for opts_out in [false, true] {
        let desk = Desk::new().await;
        let recorded = json!([["rec", "recording_ready", 20, { "object": "1.younger.mp3" }]]);
        desk.accept(vec![record("older", &["a"], &json!([["1", "call_completed", 0]]))]).await;
        desk.accept(vec![record("younger", &["b"], &recorded)]).await;
        desk.accept(vec![record("either", &["a", "b"], &json!([["2", "x_note", 30]]))]).await;
        assert!(discarded(&desk).is_empty());
        if opts_out {
            let out = json!([["out", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }]]);
            desk.tell("older", &out).await;
        } else {
            desk.intake.erase(desk.call("older").await.head).await.unwrap();
        }
        assert_eq!(discarded(&desk), ["older", "younger"], "{opts_out}");
    }
}

#[tokio::test]
async fn work_on_a_recording_is_asked_for_with_the_event_and_that_of_deleting_it_with_what_forbids_it() {
    let recorded = |object: &str| json!(["rec", "recording_ready", 20, { "object": object }]);
    let opts_out = json!(["out", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }]);
    let turn = json!(["turn", "transcript_turn", 5, { "role": "caller", "content": "Hi" }]);
    let ended = json!(["end", "call_completed", 10]);
    let desk = Desk::new().await;
    // Nothing was recorded, or it was not to be: there is nothing to take anywhere, nor to delete there.
    desk.tell("a", &json!([ended, turn, opts_out])).await;
    desk.tell("b", &json!([opts_out])).await;
    let elsewhere = json!(["url", "recording_ready", 20, { "url": "https://elsewhere.example/c" }]);
    desk.tell("b", &json!([elsewhere])).await;
    assert_eq!(desk.jobs().await, [""; 0]);
    desk.tell("c", &json!([ended, elsewhere])).await;
    desk.tell("c", &json!([elsewhere])).await;
    assert_eq!(desk.jobs().await, ["fetch c of org_1"]);
    desk.tell("d", &json!([ended, recorded("1.d.mp3")])).await;
    desk.tell("d", &json!([recorded("1.d.mp3")])).await;
    desk.tell("e", &json!([ended, recorded("1.e.mp3")])).await;
    assert_eq!(desk.jobs().await, ["fetch c of org_1", "upload 1.d.mp3", "upload 1.e.mp3"]);
    desk.tell("d", &json!([opts_out])).await;
    desk.intake.erase(desk.call("e").await.head).await.unwrap();
    assert_eq!(desk.jobs().await, ["delete d", "delete e", "fetch c of org_1", "upload 1.d.mp3"]);
}

#[tokio::test]
async fn a_call_that_opted_out_is_kept_as_a_refold_finds_it() {
    let desk = Desk::new().await;
    let events = json!([
        ["1", "call_initiated", 0, { "opt_out_sensitive_data_storage": true }],
        ["2", "call_answered", 1],
        ["3", "call_completed", 10, { "inferred": true }],
        ["4", "transcript_turn", 20, { "role": "agent", "content": "still here" }],
    ]);
    desk.tell("c", &events).await;
    assert!(desk.differences().await.is_empty());
    let before = desk.status("c").await;
    desk.tell("c", &json!([["5", "cost_item", 30, { "product": "sms", "cost": "0.1" }]])).await;
    assert_eq!(desk.status("c").await, before);
}

#[tokio::test]
async fn a_call_belongs_to_the_phone_number_on_its_own_side_and_none_is_made_for_it() {
    let desk = Desk::new().await;
    let number = PhoneNumber {
        organization: ORG,
        id: PhoneNumberName::new("pn_1").unwrap(),
        number: Some("+15550002".into()),
        endpoint: None,
    };
    desk.tell("before", &minute()).await;
    desk.store.create_phone_number(&number).await.unwrap();
    let opening = |direction: &str, from: &str, to: &str| {
        let data = json!({ "direction": direction, "from_number": from, "to_number": to });
        json!([["1", "call_initiated", 0, data]])
    };
    desk.tell("in", &opening("inbound", "+1777", "+15550002")).await;
    desk.tell("out", &opening("outbound", "+15550002", "+1777")).await;
    desk.tell("other", &opening("outbound", "+1777", "+15550002")).await;
    let phone_number =
        async |desk: &Desk, id: &str| desk.call(id).await.phone_number_id.map(|id| id.to_string());
    for (call, expected) in [("before", None), ("in", Some("pn_1")), ("out", Some("pn_1")), ("other", None)] {
        assert_eq!(phone_number(&desk, call).await.as_deref(), expected, "{call}");
    }
    assert_eq!(desk.store.phone_numbers(ORG, 10, 0).await.unwrap().1, 1);
}

#[tokio::test]
async fn an_endpoint_or_phone_number_that_an_event_names_is_made_by_its_id_alone() {
    let desk = Desk::new().await;
    let opening = |endpoint: &str, number: &str| json!([["1", "call_initiated", 0, { "endpoint_id": endpoint, "phone_number_id": number }]]);
    desk.tell("c", &opening("ep_a", "pn_a")).await;
    desk.tell("d", &opening("ep_b", "pn_a")).await;
    desk.tell("e", &opening("ep_a", "pn_a")).await;
    let (endpoints, count) = desk.store.endpoints(ORG, 10, 0).await.unwrap();
    let known: Vec<_> = endpoints.iter().map(|one| (one.number.0, one.id.as_str())).collect();
    assert_eq!((known, count), (vec![(1, "ep_a"), (2, "ep_b")], 2));
    let filed = desk.call("c").await;
    assert_eq!(filed.endpoint.unwrap().id, EndpointName::new("ep_a").unwrap());
    assert_eq!(filed.phone_number.unwrap().number, None);
    assert_eq!(desk.store.phone_numbers(ORG, 10, 0).await.unwrap().1, 1);
}

#[tokio::test]
async fn a_call_whose_known_legs_have_ended_is_to_be_concluded() {
    let desk = Desk::new().await;
    let leg = |leg: &str| json!({ "leg_id": leg });
    let begin = |id: &str| json!([id, "call_initiated", 0, leg(id)]);
    let end = |id: &str, at: i64| json!([format!("{id}-end"), "call_failed", at, leg(id)]);
    desk.tell("c", &json!([begin("b"), begin("d"), end("b", 10)])).await;
    assert!(desk.jobs().await.is_empty());
    desk.tell("c", &json!([end("d", 20)])).await;
    assert_eq!(desk.jobs().await, ["conclude c 20"]);
    // A repetition asks for nothing, a refold for what an earlier program did not.
    desk.tell("c", &json!([end("d", 20)])).await;
    desk.refold(false).await;
    assert_eq!(desk.jobs().await, ["conclude c 20"]);
    assert_eq!(desk.call("c").await.call.status(), Status::Initiated);
    // The end of leg a, or of the call, leaves nothing open.
    desk.tell("e", &json!([begin("a"), begin("b"), end("b", 10), end("a", 11)])).await;
    desk.tell("f", &json!([begin("b"), end("b", 10), ["z", "call_completed", 12, {}]])).await;
    assert_eq!(desk.jobs().await.len(), 1);
}

#[tokio::test]
async fn a_mark_is_found_in_the_direction_in_which_it_was_left() {
    let desk = Desk::new().await;
    let span = |id: &str| vec![LegSpan::unique(LegId::new(id).unwrap())];
    let tied = |name: &str, left: &str, sought: &str| Incoming {
        call: CallReference::Legs {
            legs: span(name),
            ties: Ties { left: span(left), sought: span(sought) },
            name: CallName::new(name).unwrap(),
        },
        ..record(name, &[name], &json!([[name, "call_initiated", 0, {}]]))
    };
    let key = async |name: &str| desk.call(name).await.head.key;
    // Two that dialled a channel of the same name stay apart.
    for name in ["one", "two"] {
        desk.accept(vec![tied(name, "dialled:1", "channel:1")]).await;
    }
    assert_ne!(key("one").await, key("two").await);
    // The row that dialled and the row of what it dialled meet, whichever comes first.
    for (first, second, marks) in
        [("a", "b", ["dialled:2", "channel:2"]), ("c", "d", ["channel:3", "dialled:3"])]
    {
        desk.accept(vec![tied(first, marks[0], marks[1])]).await;
        desk.accept(vec![tied(second, marks[1], marks[0])]).await;
        assert_eq!(desk.reports(first).await.len(), 2);
    }
}
