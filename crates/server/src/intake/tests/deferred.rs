//! Calls whose document is deferred: every read gives the same as if it had been written with each event.

use pegcount_calls::{CallQuery, MetadataFilter, Timestamp};
use pegcount_store::{Filed, Keepsake, Severity, StatsQuery};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Desk, ORG, TEN, Thresholds, record, tariffs};
use crate::organizations::PerOrganization;

/// What happens to two ledgers alike.
#[derive(Clone, Debug)]
enum Step {
    /// Tells an event of a call.
    Tell(u8, u8),
    /// Tells of two calls that they are one.
    Merge(u8, u8),
    Delete(u8, Keepsake),
    Erase(u8),
    Rates(u8),
    Refold,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let keepsake = prop_oneof![Just(Keepsake::Recording), Just(Keepsake::Transcript), Just(Keepsake::Events)];
    prop_oneof![
        24 => (0_u8..3, 0_u8..24).prop_map(|(call, event)| Step::Tell(call, event)),
        1 => (0_u8..3, 0_u8..3).prop_map(|(one, other)| Step::Merge(one, other)),
        1 => (0_u8..3, keepsake).prop_map(|(call, keepsake)| Step::Delete(call, keepsake)),
        1 => (0_u8..3).prop_map(Step::Erase),
        1 => (1_u8..4).prop_map(Step::Rates),
        1 => Just(Step::Refold),
        1 => Just(Step::Restart),
    ]
}

/// The event with this number of a call. Most come in the order of their time, some late.
fn event(call: u8, event: u8) -> Value {
    let at = i64::from(event) * 1_000;
    let (kind, at, data) = match event {
        0 => {
            ("call_initiated", at, json!({ "to_number": "+15550000", "metadata": { "k": "first", "l": 1 } }))
        }
        1 => ("call_answered", at, json!({})),
        2 | 9 => ("cost_item", at, json!({ "product": "sms", "quantity": event })),
        3 => ("metadata_set", at, json!({ "metadata": { "k": "second" } })),
        4 => ("metadata_set", at, json!({ "metadata": { "k": null, "m": "x".repeat(300) } })),
        5 => ("metadata_set", -1_000, json!({ "metadata": { "k": "late", "l": 2 } })),
        6 => ("call_completed", at, json!({})),
        7 => ("analysis_ready", at, json!({ "call_summary": "well", "user_sentiment": "good" })),
        8 => ("stage_latency", at, json!({ "stage": "llm", "latency_ms": 300 })),
        10 => ("recording_ready", at, json!({ "object": format!("1.call_{call}.mp3") })),
        11 => ("cost_item", 500, json!({ "product": "late", "cost": 0.25 })),
        12 => ("call_completed", 90_000, json!({})),
        13 => (
            "transcript_turn",
            at,
            json!({ "role": "caller", "content": "secret", "opt_out_sensitive_data_storage": true }),
        ),
        14 => ("metadata_set", at, json!({ "metadata": { "m": "short" } })),
        _ => ("transcript_turn", at, json!({ "role": "agent", "content": format!("hello {event}") })),
    };
    json!([[format!("{call}-{event}"), kind, at, data]])
}

async fn take(desk: Desk, step: &Step) -> Desk {
    let leg = |call: u8| format!("leg_{call}");
    let name = |call: u8| format!("call_{call}");
    match *step {
        Step::Tell(call, number) => {
            desk.accept(vec![record(&name(call), &[&leg(call)], &event(call, number))]).await;
        }
        Step::Merge(one, other) => {
            let legs = [leg(one), leg(other)];
            let seen = json!([[format!("merge-{one}-{other}"), "x_seen", 40_000, {}]]);
            desk.accept(vec![record(&name(one), &[&legs[0], &legs[1]], &seen)]).await;
        }
        Step::Delete(call, keepsake) => {
            if let Some(head) = desk.store.head(ORG, &name(call)).await.unwrap() {
                let at = Timestamp::from_millis(TEN + 100_000);
                desk.intake.delete(vec![head], keepsake, at).await.unwrap();
            }
        }
        Step::Erase(call) => {
            if let Some(head) = desk.store.head(ORG, &name(call)).await.unwrap() {
                desk.intake.erase(head).await.unwrap();
            }
        }
        Step::Rates(price) => {
            let sms = pegcount_calls::parse_decimal(&format!("0.0{price}")).unwrap();
            let rates = tariffs(&format!("0.{price}")).map(|tariff| pegcount_calls::Tariff {
                products: [("sms".to_owned(), sms)].into(),
                ..tariff.clone()
            });
            desk.tariffs.replace(rates);
        }
        Step::Refold => assert_eq!(desk.refold(false).await.differing, vec![]),
        Step::Restart => {
            let rates = desk.tariffs.clone();
            let desk = desk.restarted().await;
            desk.tariffs.replace(PerOrganization::clone(&rates.now()));
            return desk;
        }
    }
    desk
}

/// Everything that two ledgers of the same calls must agree on; ids are made up by each.
async fn read(desk: &Desk) -> String {
    let same = |mut filed: Filed| {
        filed.head.uuid = uuid::Uuid::nil();
        filed
    };
    let mut read = Vec::new();
    for call in 0..3 {
        let filed = desk.store.call(ORG, &format!("call_{call}")).await.unwrap();
        read.push(format!("{:?}", filed.map(same)));
    }
    for (key, values) in [("k", vec!["first", "second", "late"]), ("l", vec!["1", "2"]), ("m", vec!["short"])]
    {
        for value in values {
            let filter = MetadataFilter { key: key.to_owned(), values: vec![value.to_owned()] };
            let query = CallQuery { metadata: vec![filter], ..CallQuery::default() };
            let page = desk.store.calls(ORG, &query).await.unwrap();
            let calls: Vec<Filed> = page.calls.into_iter().map(same).collect();
            read.push(format!("{key}={value}: {:?} {calls:?}", page.total));
        }
    }
    read.push(format!("{:?}", desk.store.stats(ORG, &StatsQuery::default()).await.unwrap()));
    let findings = desk.store.check().await.unwrap();
    read.extend(
        findings
            .into_iter()
            .filter(|finding| finding.severity == Severity::Damage)
            .map(|finding| format!("{finding:?}")),
    );
    read.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_deferred_document_shows_in_no_read(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (whole, deferred) = runtime.block_on(async {
            let mut desks = [
                Desk::with(Thresholds::for_all(false)).await,
                Desk::with(Thresholds::for_all(true)).await,
            ];
            let (mut whole, mut deferred) = (Vec::new(), Vec::new());
            for step in &steps {
                let [one, other] = desks;
                desks = [take(one, step).await, take(other, step).await];
                whole.push(read(&desks[0]).await);
                deferred.push(read(&desks[1]).await);
            }
            assert_eq!(desks[1].refold(true).await.differing, vec![]);
            (whole, deferred)
        });
        prop_assert_eq!(whole, deferred);
    }
}

#[tokio::test]
async fn words_of_a_long_call_are_found_once_it_is_over_and_quiet() {
    let desk = Desk::with(Thresholds::for_all(true)).await;
    let found = async |desk: &Desk, text: &str| {
        let query = CallQuery { transcript: Some(text.to_owned()), ..CallQuery::default() };
        desk.store.calls(ORG, &query).await.unwrap().calls.len()
    };
    for number in [0, 1, 20, 6] {
        desk.accept(vec![record("call_0", &["leg"], &event(0, number))]).await;
    }
    assert_eq!(desk.store.unindexed().await.unwrap().changes, 1);
    // It may have been written by now; if it was not, the next process does it.
    let desk = desk.restarted().await;
    let indexed = async |desk: &Desk| {
        while desk.store.unindexed().await.unwrap().changes > 0 {
            tokio::task::yield_now().await;
        }
    };
    indexed(&desk).await;
    assert_eq!(found(&desk, "hello").await, 1);

    desk.accept(vec![record("call_0", &["leg"], &event(0, 21))]).await;
    indexed(&desk).await;
    assert_eq!(found(&desk, "21").await, 1);
    // What opts out goes at once.
    desk.accept(vec![record("call_0", &["leg"], &event(0, 13))]).await;
    assert_eq!(found(&desk, "hello").await, 0);
}
