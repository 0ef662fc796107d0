//! Calls one by one: kept, found, changed, undone, found again after a restart.

use std::collections::BTreeMap;

use pegcount_calls::{
    Amount, Analysis, Bill, BillItem, BillUnit, BilledProduct, Call, CallQuery, CallType, CallerIdentity,
    Cause, Content, CostItem, Decimal, Direction, Diversion, Ending, Party, Price, Quality, QualityLeg,
    Recording, Role, Stage, State, Status, Summary, Telephony, ToolEntry, Turn, TurnReport, Word,
};
use pegcount_store::{Basis, CallKey, Endpoint, EndpointNumber, NewEndpoint, PhoneNumber, Store, StoreError};
use uuid::Uuid;

use crate::{
    bench::{
        OURS, THEIRS, at, call, end, endpoint, json, keep, keep_with, name, names, native, phone_number,
        report, save_again, with_metadata,
    },
    engines,
};

/// A call of which everything is known.
fn full_call() -> Call {
    let cost = CostItem {
        product: "llm".to_owned(),
        per_minute: false,
        price: Price::Each { unit_price: Decimal::new(15, 4), quantity: Decimal::from(3) },
    };
    let said = TurnReport {
        role: Role::Agent,
        content: "Grüezi, \"Müller\" 👋 ".repeat(100),
        start_millis: Some(0),
        end_millis: Some(900),
        words: vec![Word { word: "Grüezi".to_owned(), start_millis: 0, end_millis: 300 }],
        language: Some("de-CH".to_owned()),
        inferred: true,
    };
    let tool = ToolEntry::Invocation {
        at: at(2_000),
        tool_call: Some("t1".to_owned()),
        name: Some("book".to_owned()),
        arguments: Some(json(r#"{"b":1,"a":[1.10,"x"]}"#)),
    };
    let quality =
        Quality { jitter_millis: Some(0.1 + 0.2), codec: Some("opus".to_owned()), ..Quality::default() };
    Call {
        created_at: at(-5),
        ringing_at: Some(at(100)),
        state: State::Ended(Ending {
            answered_at: Some(at(1_000)),
            ended_at: at(61_000),
            cause: Cause::Timeout,
            by: Some(Party::System),
            transfer: true,
            failed: true,
            inferred: true,
        }),
        direction: Direction::Outbound,
        call_type: CallType::Web,
        from_number: Some("+41440000000".to_owned()),
        to_number: Some("sip:x@example.com".to_owned()),
        endpoint: Some(endpoint("ep_a")),
        phone_number: Some(phone_number("pn_1")),
        opt_out: true,
        content: Content {
            stated_talk_millis: Some(59_500),
            task: Some(i64::MIN),
            telephony: Telephony { call_sid: Some("CA1".to_owned()), ..Telephony::default() },
            caller: CallerIdentity {
                asserted_number: Some("+41440000001".to_owned()),
                diversion: Some(vec![Diversion { number: "+41440000002".to_owned(), reason: None }]),
                headers: Some([("X-Ref".to_owned(), "r".to_owned())].into()),
                ..CallerIdentity::default()
            },
            metadata: [("k".to_owned(), json(r#""v""#))].into(),
            context: Some(json("{}")),
            recording: Some(Recording {
                announced_by: None,
                url: None,
                object: Some("o".to_owned()),
                duration_seconds: Some(59.999),
                format: Some("mp3".to_owned()),
                size_bytes: Some(u64::MAX),
            }),
            analysis: Some(Analysis { successful: Some(true), ..Analysis::default() }),
            turns: vec![Turn { at: at(1_000), said }],
            tools: vec![tool],
            transcript_text: Some("text".to_owned()),
            latencies: BTreeMap::from([(Stage::EndToEnd, vec![0.1, 123.456_789_012_345_67, 1e-300])]),
            latency_summaries: BTreeMap::from([(
                Stage::Llm,
                Summary { p50: Some(1.0 / 3.0), ..Summary::default() },
            )]),
            quality: BTreeMap::from([(QualityLeg::Caller, quality.clone())]),
            worst_packet_loss: Some(0.017),
            media: quality,
            audio: pegcount_calls::AudioConfig { codec: None, sample_rate_hz: Some(48_000) },
            costs: vec![cost],
            keys_pressed: true,
            recording_expected: true,
            recording_deleted_at: Some(at(6)),
            transcript_deleted_at: Some(at(7)),
            sealed_at: Some(at(8)),
        },
    }
}

fn full_bill() -> Bill {
    let item = |product, unit| BillItem {
        product,
        unit,
        cost: Amount::from_nanos(-1),
        unit_price: Some(Decimal::new(1, 12)),
        quantity: None,
    };
    Bill {
        billed_seconds: Some(66),
        items: vec![
            item(BilledProduct::TalkTime(Direction::Outbound), BillUnit::Minute),
            item(BilledProduct::ConnectionFee, BillUnit::Item),
            item(BilledProduct::Named("llm".to_owned()), BillUnit::Item),
        ],
        total: Some(Amount::from_nanos(-3)),
    }
}

#[tokio::test]
async fn a_call_is_read_back_exactly_as_it_was_saved_by_name_and_by_uuid() {
    for home in engines() {
        let store = home.open().unwrap();
        let (call, bill) = (full_call(), full_bill());
        let head = keep_with(&*store, OURS, "full", &call, &bill, call.phone_number.as_ref()).await;

        let filed = store.call(OURS, "full").await.unwrap().unwrap();
        assert_eq!((&filed.head, &filed.call, &filed.bill), (&head, &call, &bill));
        assert_eq!(store.call(OURS, &head.uuid.to_string()).await.unwrap().as_ref(), Some(&filed));
        assert_eq!(store.calls(OURS, &CallQuery::default()).await.unwrap().calls, [filed]);
    }
}

#[tokio::test]
async fn a_large_call_is_read_like_any_other() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut call = full_call();
        call.content.transcript_text = Some("many words ".repeat(20_000));
        let head = keep(&*store, "large", &call).await;
        for id in ["large", &head.uuid.to_string()] {
            assert_eq!(store.call(OURS, id).await.unwrap().unwrap().call, call);
        }
    }
}

#[tokio::test]
async fn every_state_is_read_back() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut states =
            vec![State::Queued, State::Initiated, State::Ringing, State::Answered { answered_at: at(3) }];
        let causes = [
            Cause::NormalClearing,
            Cause::UserHangup,
            Cause::AgentHangup,
            Cause::NoAnswer,
            Cause::Busy,
            Cause::Rejected,
            Cause::NetworkError,
            Cause::Timeout,
        ];
        states.extend(causes.iter().flat_map(|cause| [end(9, None, *cause), end(9, Some(4), *cause)]));

        for (number, state) in states.into_iter().enumerate() {
            let call = Call { state, ..call(1) };
            keep(&*store, &format!("c{number}"), &call).await;
            let filed = store.call(OURS, &format!("c{number}")).await.unwrap().unwrap();
            assert_eq!(filed.call, call);
        }
    }
}

#[tokio::test]
async fn organizations_share_names_but_never_see_each_other() {
    for home in engines() {
        let store = home.open().unwrap();
        let ours = keep(&*store, "same", &with_metadata(1, &[("k", "1")])).await;
        let theirs = keep_with(&*store, THEIRS, "same", &call(2), &Bill::default(), None).await;
        keep_with(&*store, THEIRS, "other", &call(3), &Bill::default(), None).await;

        assert_eq!(store.call(OURS, "same").await.unwrap().unwrap().head, ours);
        assert_eq!(store.call(THEIRS, "same").await.unwrap().unwrap().head, theirs);
        assert!(store.call(OURS, "other").await.unwrap().is_none());
        assert!(store.call(OURS, &theirs.uuid.to_string()).await.unwrap().is_none());
        assert_eq!(names(&store.calls(OURS, &CallQuery::default()).await.unwrap()), ["same"]);
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.find_call(OURS, &name("other")).await.unwrap(), None);
        assert_eq!(transaction.find_call(THEIRS, &name("same")).await.unwrap(), Some(theirs));
    }
}

#[tokio::test]
async fn a_call_that_was_never_saved_is_seen_by_no_reader_but_found_by_the_writer() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let head = transaction.open_call(OURS, &name("bare"), Uuid::now_v7()).await.unwrap();
        assert_eq!(transaction.saved(head.key).await.unwrap(), None);
        transaction.commit().await.unwrap();

        assert_eq!(store.call(OURS, "bare").await.unwrap(), None);
        assert_eq!(store.call(OURS, &head.uuid.to_string()).await.unwrap(), None);
        let page = store.calls(OURS, &CallQuery::default()).await.unwrap();
        assert_eq!((page.calls.len(), page.total), (0, Some(0)));
        assert_eq!(store.open_calls().await.unwrap(), []);
        assert_eq!(store.calls_after(None, CallKey(0), 9).await.unwrap(), []);
        assert_eq!(store.stats(OURS, &Default::default()).await.unwrap().sum(|_, _| true).calls, 0);
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.find_call(OURS, &name("bare")).await.unwrap(), Some(head));
    }
}

#[tokio::test]
async fn a_transaction_sees_its_own_work_and_nobody_else_does_until_it_commits() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let head = transaction.open_call(OURS, &name("c"), Uuid::now_v7()).await.unwrap();
        transaction.save(head.key, &call(1), &Bill::default(), &Basis::default()).await.unwrap();

        assert_eq!(transaction.saved(head.key).await.unwrap().unwrap().call, call(1));
        assert!(store.call(OURS, "c").await.unwrap().is_none());
        transaction.commit().await.unwrap();
        assert!(store.call(OURS, "c").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_transaction_dropped_without_commit_leaves_no_trace() {
    for home in engines() {
        let store = home.open().unwrap();
        let kept = keep(&*store, "kept", &call(1)).await;
        let mut transaction = store.begin().await.unwrap();
        let head = transaction.open_call(OURS, &name("gone"), Uuid::now_v7()).await.unwrap();
        transaction.append(head.key, &[report("e", 1)]).await.unwrap();
        transaction.save(head.key, &call(1), &Bill::default(), &Basis::default()).await.unwrap();
        transaction.note_endpoint(OURS, &endpoint("ep_gone")).await.unwrap();
        transaction.merge(kept.key, head.key, &[]).await.unwrap();
        drop(transaction);

        assert!(store.call(OURS, "gone").await.unwrap().is_none());
        assert_eq!(store.call(OURS, "kept").await.unwrap().unwrap().head, kept);
        assert!(store.endpoint(OURS, &endpoint("ep_gone")).await.unwrap().is_none());
        assert_eq!(store.reports(&[kept.key]).await.unwrap()[0].len(), 1);
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.find_call(OURS, &name("gone")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_transaction_of_which_a_part_failed_cannot_be_committed() {
    for home in engines() {
        let store = home.open().unwrap();
        keep(&*store, "taken", &call(1)).await;
        let mut transaction = store.begin().await.unwrap();
        let head = transaction.open_call(OURS, &name("new"), Uuid::now_v7()).await.unwrap();
        transaction.save(head.key, &call(1), &Bill::default(), &Basis::default()).await.unwrap();
        assert!(transaction.open_call(OURS, &name("taken"), Uuid::now_v7()).await.is_err());

        assert!(matches!(transaction.commit().await, Err(StoreError::Unavailable(_))));
        assert!(store.call(OURS, "new").await.unwrap().is_none());
        keep(&*store, "new", &call(1)).await;
    }
}

#[tokio::test]
async fn what_was_committed_is_there_when_the_store_is_opened_again() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "durable", &full_call()).await;
        // Neither closed nor told in any way: as after a crash.
        drop(store);
        let store = home.open().unwrap();
        let filed = store.call(OURS, "durable").await.unwrap().unwrap();
        assert_eq!((filed.head, filed.call), (head.clone(), full_call()));
        assert_eq!(store.reports(&[head.key]).await.unwrap()[0], [report("e1", -5)]);
        store.close().await.unwrap();
        drop(store);
        assert!(home.open().unwrap().call(OURS, "durable").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_call_saved_again_is_replaced_whole() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "c", &full_call()).await;
        for call in [call(50), full_call(), call(51)] {
            save_again(&*store, &head, &call).await;
            let filed = store.call(OURS, "c").await.unwrap().unwrap();
            assert_eq!((&filed.call, &filed.bill), (&call, &Bill::default()));
            assert_eq!(filed.phone_number_id, call.phone_number);
        }
    }
}

#[tokio::test]
async fn a_call_comes_with_what_the_directory_knows_now() {
    for home in engines() {
        let store = home.open().unwrap();
        let call = Call { endpoint: Some(endpoint("ep_a")), ..call(1) };
        let found = phone_number("pn_1");
        keep_with(&*store, OURS, "c", &call, &Bill::default(), Some(&found)).await;
        let filed = store.call(OURS, "c").await.unwrap().unwrap();
        assert_eq!((filed.endpoint, filed.phone_number), (None, None));
        assert_eq!((filed.phone_number_id.as_ref(), filed.call.phone_number), (Some(&found), None));

        let known = know(&*store).await;
        let filed = store.call(OURS, "c").await.unwrap().unwrap();
        assert_eq!((filed.endpoint, filed.phone_number), (Some(known.0), Some(known.1)));

        store.delete_endpoint(OURS, &endpoint("ep_a")).await.unwrap();
        store.delete_phone_number(OURS, &found).await.unwrap();
        let filed = store.call(OURS, "c").await.unwrap().unwrap();
        assert_eq!((filed.endpoint, filed.phone_number), (None, None));
        assert_eq!((filed.call.endpoint, filed.phone_number_id), (Some(endpoint("ep_a")), Some(found)));
    }
}

/// Makes the endpoint and the phone number known, to us with details, to them under the same ids.
async fn know(store: &dyn Store) -> (Endpoint, PhoneNumber) {
    let new = NewEndpoint {
        id: endpoint("ep_a"),
        number: Some(EndpointNumber(5)),
        name: Some("A".to_owned()),
        provider: Some("p".to_owned()),
        sip_uri: Some("sip:a".to_owned()),
        metadata: json(r#"{"x":[]}"#),
    };
    store.create_endpoint(THEIRS, &NewEndpoint { number: None, ..new.clone() }).await.unwrap();
    let number = PhoneNumber {
        organization: OURS,
        id: phone_number("pn_1"),
        number: Some("+1".to_owned()),
        endpoint: Some(endpoint("ep_z")),
    };
    store.create_phone_number(&PhoneNumber { organization: THEIRS, ..number.clone() }).await.unwrap();
    store.create_phone_number(&number).await.unwrap();
    (store.create_endpoint(OURS, &new).await.unwrap(), number)
}

#[tokio::test]
async fn the_open_calls_are_the_live_ones_of_every_organization() {
    for home in engines() {
        let store = home.open().unwrap();
        let states = [
            State::Queued,
            State::Initiated,
            State::Ringing,
            State::Answered { answered_at: at(2) },
            end(3, None, Cause::Busy),
        ];
        for (number, state) in states.into_iter().enumerate() {
            let organization = if number % 2 == 0 { OURS } else { THEIRS };
            let call = Call { state, ..call(1) };
            keep_with(&*store, organization, &format!("c{number}"), &call, &Bill::default(), None).await;
        }

        let mut open = store.open_calls().await.unwrap();
        open.sort_by_key(|open| open.key);
        let open: Vec<_> = open.iter().map(|open| (open.organization, open.status)).collect();
        assert_eq!(
            open,
            [(THEIRS, Status::Initiated), (OURS, Status::Ringing), (THEIRS, Status::InProgress)]
        );
    }
}

#[tokio::test]
async fn a_walk_over_the_store_meets_every_call_once_in_the_order_of_arrival() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut heads = Vec::new();
        for number in 0..7_i64 {
            let organization = if number % 2 == 0 { OURS } else { THEIRS };
            let call = call(100 - number);
            heads.push(
                keep_with(&*store, organization, &format!("c{number}"), &call, &Bill::default(), None).await,
            );
        }

        for organization in [None, Some(OURS), Some(THEIRS)] {
            let mut met = Vec::new();
            let mut last = CallKey(0);
            loop {
                let part = store.calls_after(organization, last, 2).await.unwrap();
                let Some(newest) = part.last() else { break };
                last = newest.key;
                met.extend(part);
            }
            let expected: Vec<_> = heads
                .iter()
                .filter(|head| organization.is_none_or(|wanted| wanted == head.organization))
                .collect();
            assert_eq!(met.iter().collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn writers_take_turns() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let mut first = store.begin().await.unwrap();
        let head = first.open_call(OURS, &name("c"), Uuid::now_v7()).await.unwrap();
        let second = async {
            let mut second = store.begin().await.unwrap();
            second.find_call(OURS, &name("c")).await.unwrap()
        };
        let first = async {
            first.link_leg(head.key, &native(), &crate::events::leg("a", 0, 1)).await.unwrap();
            first.commit().await.unwrap();
        };
        let (found, ()) = tokio::join!(second, first);
        assert_eq!(found, Some(head.clone()));
    }
}
