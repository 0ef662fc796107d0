//! What calls keep that they were folded with: other rates and another directory change no call that is there.

use pegcount_calls::{Bill, PhoneNumberName, Tariff};
use pegcount_store::{Basis, Filed, PhoneNumber};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Desk, ORG, minute, record, tariffs};
use crate::{
    intake::{Reason, Refold, Renewal},
    organizations::PerOrganization,
};

async fn cents(desk: &Desk, call: &str) -> Option<i64> {
    desk.call(call).await.bill.total.map(pegcount_calls::Amount::cents)
}

fn number(id: &str, number: &str) -> PhoneNumber {
    let id = PhoneNumberName::new(id).unwrap();
    PhoneNumber { organization: ORG, id, number: Some(number.to_owned()), endpoint: None }
}

async fn number_of(desk: &Desk, call: &str) -> Option<String> {
    desk.call(call).await.phone_number_id.map(|id| id.to_string())
}

fn opening(to: &str) -> Value {
    json!([["1", "call_initiated", 0, { "from_number": "+1777", "to_number": to }]])
}

const RENEW_RATES: Renewal = Renewal { rates: true, numbers: false };
const RENEW_NUMBERS: Renewal = Renewal { rates: false, numbers: true };

/// Keeps a call as a version did that kept no basis.
async fn make_old(desk: &Desk, name: &str, change: impl FnOnce(&mut Filed)) {
    let mut filed = desk.call(name).await;
    change(&mut filed);
    let mut transaction = desk.store.begin().await.unwrap();
    let basis = Basis { phone_number: filed.phone_number_id.clone(), ..Basis::default() };
    transaction.save(filed.head.key, &filed.call, &filed.bill, &basis).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn other_rates_hold_for_new_calls_and_for_old_ones_by_order() {
    let desk = Desk::new().await;
    desk.tariffs.replace(tariffs("0.10"));
    desk.tell("old", &minute()).await;
    desk.tariffs.replace(tariffs("0.25"));
    desk.tell("new", &minute()).await;
    assert_eq!((cents(&desk, "old").await, cents(&desk, "new").await), (Some(10), Some(25)));
    assert!(desk.differences().await.is_empty());
    assert!(desk.refold(false).await.differing.is_empty());
    assert_eq!(cents(&desk, "old").await, Some(10));

    let check = Refold { check_only: true, renewal: RENEW_RATES };
    let checked = desk.refold_as(check).await.differing;
    assert_eq!(checked.len(), 1);
    assert_eq!((checked[0].call.as_str(), &checked[0].fields), ("old", &vec!["bill"]));
    assert_eq!(checked[0].because, [Reason::Rates]);
    assert_eq!(cents(&desk, "old").await, Some(10));
    desk.refold_as(Refold { check_only: false, renewal: RENEW_RATES }).await;
    assert_eq!(cents(&desk, "old").await, Some(25));
    assert!(desk.differences().await.is_empty());
    // And it stays so: what the writer remembers is the same.
    desk.tariffs.replace(tariffs("0.50"));
    desk.tell("old", &json!([["9", "transcript_turn", 30_000, { "role": "agent", "content": "late" }]]))
        .await;
    assert_eq!(cents(&desk, "old").await, Some(25));
}

#[tokio::test]
async fn a_late_event_is_priced_by_the_rates_of_its_call() {
    let desk = Desk::new().await;
    desk.tariffs.replace(tariffs("0.10"));
    desk.tell("c", &json!([["1", "call_answered", 0]])).await;
    desk.tariffs.replace(tariffs("0.25"));
    desk.tell("c", &json!([["2", "call_completed", 60_000]])).await;
    assert_eq!(cents(&desk, "c").await, Some(10));
    let desk = desk.restarted().await;
    desk.tariffs.replace(tariffs("0.50"));
    desk.tell("c", &json!([["3", "call_answered", -60_000]])).await;
    assert_eq!(cents(&desk, "c").await, Some(20));
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn a_number_registered_later_is_found_by_order_only() {
    let desk = Desk::new().await;
    desk.tell("over", &minute()).await;
    desk.tell("live", &opening("+15550002")).await;
    desk.store.create_phone_number(&number("pn_1", "+15550002")).await.unwrap();
    assert!(desk.differences().await.is_empty());
    // A call that goes on finds it at its next event, one that is over does not.
    let turn = json!([["9", "transcript_turn", 30_000, { "role": "agent", "content": "late" }]]);
    desk.tell("over", &turn).await;
    desk.tell("live", &turn).await;
    assert_eq!((number_of(&desk, "over").await, number_of(&desk, "live").await), (None, Some("pn_1".into())));
    let refolded = desk.refold_as(Refold { check_only: false, renewal: RENEW_NUMBERS }).await;
    assert_eq!(refolded.because_of(Reason::Numbers), 1);
    assert_eq!(number_of(&desk, "over").await.as_deref(), Some("pn_1"));
}

#[tokio::test]
async fn a_call_keeps_its_number_after_that_is_deleted_or_given_away() {
    let desk = Desk::new().await;
    desk.store.create_phone_number(&number("pn_1", "+15550002")).await.unwrap();
    desk.tell("c", &minute()).await;
    desk.store.delete_phone_number(ORG, &PhoneNumberName::new("pn_1").unwrap()).await.unwrap();
    desk.store.create_phone_number(&number("pn_2", "+15550002")).await.unwrap();
    assert!(desk.differences().await.is_empty());
    desk.tell("c", &json!([["9", "transcript_turn", 30_000, { "role": "agent", "content": "late" }]])).await;
    desk.refold(false).await;
    assert_eq!(number_of(&desk, "c").await.as_deref(), Some("pn_1"));
    // Another number of its own is looked up.
    desk.tell("c", &json!([["10", "call_initiated", 1, { "to_number": "+15550003" }]])).await;
    assert_eq!(number_of(&desk, "c").await, None);
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn calls_that_are_merged_keep_the_rates_of_the_older() {
    let desk = Desk::new().await;
    desk.tariffs.replace(tariffs("0.10"));
    desk.accept(vec![record("older", &["a"], &json!([["1", "call_answered", 0]]))]).await;
    desk.tariffs.replace(tariffs("0.25"));
    desk.accept(vec![record("younger", &["b"], &json!([["2", "call_held", 10]]))]).await;
    desk.accept(vec![record("third", &["a", "b"], &json!([["3", "call_completed", 60_000]]))]).await;
    assert_eq!(cents(&desk, "younger").await, Some(10));
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn a_call_of_an_earlier_version_keeps_its_bill_until_it_changes() {
    let desk = Desk::new().await;
    desk.tariffs.replace(tariffs("0.10"));
    desk.tell("c", &minute()).await;
    make_old(&desk, "c", |_| {}).await;
    let desk = desk.restarted().await;
    desk.tariffs.replace(tariffs("0.25"));
    assert!(desk.differences().await.is_empty());
    desk.refold(false).await;
    desk.tell("c", &json!([["8", "transcript_turn", 30_000, { "role": "agent", "content": "late" }]])).await;
    assert_eq!(cents(&desk, "c").await, Some(10));
    // It talked longer: nobody knows the old rates.
    desk.tell("c", &json!([["9", "call_answered", -60_000]])).await;
    assert_eq!(cents(&desk, "c").await, Some(50));
    desk.tariffs.replace(tariffs("0.50"));
    desk.tell("c", &json!([["10", "call_answered", -120_000]])).await;
    assert_eq!(cents(&desk, "c").await, Some(75));
    assert!(desk.differences().await.is_empty());
}

#[tokio::test]
async fn what_another_version_folded_is_no_damage_and_a_wrong_bill_is() {
    let desk = Desk::new().await;
    desk.tariffs.replace(tariffs("0.10"));
    desk.tell("older", &minute()).await;
    make_old(&desk, "older", |filed| filed.call.from_number = Some("+1".to_owned())).await;
    desk.tell("damaged", &minute()).await;
    let filed = desk.call("damaged").await;
    let mut transaction = desk.store.begin().await.unwrap();
    transaction.save(filed.head.key, &filed.call, &Bill::default(), &filed.basis()).await.unwrap();
    transaction.commit().await.unwrap();

    let refolded = desk.refold(true).await;
    let found: Vec<_> =
        refolded.differing.iter().map(|one| (one.call.as_str(), &one.fields[..], &one.because[..])).collect();
    assert_eq!(
        found,
        [
            ("older", &["from_number"][..], &[Reason::OtherVersion][..]),
            ("damaged", &["bill"][..], &[Reason::Damage][..]),
        ]
    );
    desk.refold(false).await;
    assert!(desk.differences().await.is_empty());
    assert_eq!(cents(&desk, "damaged").await, Some(10));
}

#[tokio::test]
async fn a_refold_brings_no_deleted_endpoint_back() {
    let desk = Desk::new().await;
    let events = json!([["1", "call_initiated", 0, { "endpoint_id": "ep_1" }]]);
    desk.tell("c", &events).await;
    let endpoint = pegcount_calls::EndpointName::new("ep_1").unwrap();
    assert!(desk.store.delete_endpoint(ORG, &endpoint).await.unwrap());
    desk.refold_as(Refold { check_only: false, renewal: Renewal { rates: true, numbers: true } }).await;
    assert_eq!(desk.store.endpoint(ORG, &endpoint).await.unwrap(), None);
}

/// Something that happens between two looks.
#[derive(Clone, Debug)]
enum Step {
    Rates(u8),
    Register(u8, u8),
    Forget(u8),
    Tell(u8, u8),
    Merge(u8, u8),
    Refold,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => (0_u8..4).prop_map(Step::Rates),
        2 => (0_u8..3, 0_u8..3).prop_map(|(id, number)| Step::Register(id, number)),
        1 => (0_u8..3).prop_map(Step::Forget),
        8 => (0_u8..3, 0_u8..7).prop_map(|(call, event)| Step::Tell(call, event)),
        1 => (0_u8..3, 0_u8..3).prop_map(|(one, other)| Step::Merge(one, other)),
        1 => Just(Step::Refold),
        1 => Just(Step::Restart),
    ]
}

/// The event with this number of a call, by the call's own leg.
fn event(call: u8, event: u8) -> Value {
    let (kind, at, data) = match event {
        0 => ("call_initiated", 0, json!({ "from_number": "+1777", "to_number": "+15550000" })),
        1 => ("call_answered", 1_000, json!({})),
        2 => ("call_completed", 61_000, json!({})),
        3 => ("cost_item", 30_000, json!({ "product": "sms", "quantity": 2 })),
        4 => ("call_initiated", 5, json!({ "to_number": "+15550001" })),
        5 => ("call_completed", 200_000, json!({})),
        _ => ("transcript_turn", 20_000, json!({ "role": "agent", "content": "hello" })),
    };
    json!([[format!("{call}-{event}"), kind, at, data]])
}

async fn take(desk: Desk, step: Step) -> Desk {
    let leg = |call: u8| format!("leg_{call}");
    let name = |call: u8| format!("call_{call}");
    match step {
        Step::Rates(0) => desk.tariffs.replace(PerOrganization::default()),
        Step::Rates(price) => {
            let sms = pegcount_calls::parse_decimal(&format!("0.0{price}")).unwrap();
            let rates = tariffs(&format!("0.{price}"))
                .map(|tariff| Tariff { products: [("sms".to_owned(), sms)].into(), ..tariff.clone() });
            desk.tariffs.replace(rates);
        }
        // The number may be taken.
        Step::Register(id, to) => {
            let _ =
                desk.store.create_phone_number(&number(&format!("pn_{id}"), &format!("+1555000{to}"))).await;
        }
        Step::Forget(id) => {
            let id = PhoneNumberName::new(format!("pn_{id}")).unwrap();
            desk.store.delete_phone_number(ORG, &id).await.unwrap();
        }
        Step::Tell(call, number) => {
            desk.accept(vec![record(&name(call), &[&leg(call)], &event(call, number))]).await;
        }
        Step::Merge(one, other) => {
            let legs = [leg(one), leg(other)];
            let seen = json!([[format!("merge-{one}-{other}"), "x_seen", 40_000, {}]]);
            desk.accept(vec![record(&name(one), &[&legs[0], &legs[1]], &seen)]).await;
        }
        Step::Refold => {
            assert!(desk.refold(false).await.differing.is_empty());
        }
        Step::Restart => return desk.restarted().await,
    }
    desk
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_change_of_rates_or_directory_is_damage(steps in prop::collection::vec(step(), 1..24)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let differing = runtime.block_on(async {
            let mut desk = Desk::new().await;
            for step in steps {
                desk = take(desk, step).await;
            }
            desk.refold(true).await.differing
        });
        prop_assert_eq!(differing, vec![]);
    }
}
