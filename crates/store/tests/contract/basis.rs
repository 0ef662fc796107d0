//! What calls are folded with beside their events, and is kept with them.

use pegcount_calls::{Bill, Direction, Rate, Tariff};
use pegcount_store::{Basis, KeptBasis, TariffId};
use uuid::Uuid;

use crate::{
    bench::{OURS, call, end, name, phone_number},
    engines,
};

fn tariff(per_minute: &str) -> Tariff {
    let price = |text| pegcount_calls::parse_decimal(text).unwrap();
    let rate = Rate {
        prefix: "+1".to_owned(),
        direction: Some(Direction::Outbound),
        per_minute: price(per_minute),
        connection_fee: price("0.05"),
        increments: pegcount_calls::Increments { initial_seconds: 60, following_seconds: 6 },
    };
    Tariff { rates: vec![rate], products: [("sms".to_owned(), price("0.075"))].into() }
}

#[tokio::test]
async fn a_tariff_is_kept_once_and_read_back() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let first = transaction.file_tariff(&tariff("0.10")).await.unwrap();
        let second = transaction.file_tariff(&tariff("0.25")).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(transaction.file_tariff(&tariff("0.10")).await.unwrap(), first);
        transaction.commit().await.unwrap();
        drop(store);
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.file_tariff(&tariff("0.25")).await.unwrap(), second);
        assert_eq!(transaction.tariff(first).await.unwrap(), Some(tariff("0.10")));
        assert_eq!(transaction.tariff(TariffId(99)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_call_keeps_what_it_was_folded_with() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let tariff = transaction.file_tariff(&tariff("0.10")).await.unwrap();
        let head = transaction.open_call(OURS, &name("c"), Uuid::now_v7()).await.unwrap();
        assert_eq!(transaction.basis(head.key).await.unwrap(), None);
        let basis = Basis {
            tariff: Some(tariff),
            phone_number: Some(phone_number("pn_1")),
            folded_by: Some(1_002_003),
        };
        let numbered = pegcount_calls::Call { to_number: Some("+15550001".to_owned()), ..call(1) };
        transaction.save(head.key, &numbered, &Bill::default(), &basis).await.unwrap();
        let kept = KeptBasis::of(&numbered, basis.clone());
        assert_eq!((kept.looked_up.as_deref(), kept.is_over), (Some("+15550001"), false));
        assert_eq!(transaction.basis(head.key).await.unwrap(), Some(kept));
        transaction.commit().await.unwrap();
        assert_eq!(store.call(OURS, "c").await.unwrap().unwrap().basis(), basis);

        // An event names the number, and the call is over.
        let mut transaction = store.begin().await.unwrap();
        let named = pegcount_calls::Call { phone_number: Some(phone_number("pn_1")), ..numbered };
        let state = end(5, None, pegcount_calls::Cause::NormalClearing);
        let over = pegcount_calls::Call { state, ..named };
        transaction.save(head.key, &over, &Bill::default(), &basis).await.unwrap();
        let kept = transaction.basis(head.key).await.unwrap().unwrap();
        assert_eq!((kept.looked_up, kept.is_over), (None, true));
    }
}

#[tokio::test]
async fn a_merge_keeps_what_the_older_call_was_folded_with() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let mut heads = Vec::new();
        for (call_name, price) in [("older", "0.10"), ("younger", "0.25")] {
            let tariff = Some(transaction.file_tariff(&tariff(price)).await.unwrap());
            let head = transaction.open_call(OURS, &name(call_name), Uuid::now_v7()).await.unwrap();
            let basis = Basis { tariff, ..Basis::default() };
            transaction.save(head.key, &call(1), &Bill::default(), &basis).await.unwrap();
            heads.push((head.key, basis));
        }
        transaction.merge(heads[1].0, heads[0].0, &[]).await.unwrap();
        assert_eq!(transaction.basis(heads[0].0).await.unwrap().unwrap().basis, heads[0].1);
        assert_eq!(transaction.basis(heads[1].0).await.unwrap(), None);
    }
}
