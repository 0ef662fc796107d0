//! Two calls that turn out to be one.

use pegcount_calls::{Bill, CallName, CallQuery, Cause, EventId, MetadataFilter};
use pegcount_store::{Basis, CallHead, Report, Severity, Store};

use crate::{
    bench::{OURS, call, end, found, json, keep, name, native, report, with_metadata},
    engines,
    events::leg,
};

async fn merge(store: &dyn Store, younger: &CallHead, older: &CallHead) {
    let mut transaction = store.begin().await.unwrap();
    transaction.merge(younger.key, older.key, &[]).await.unwrap();
    transaction.save(older.key, &call(1), &Bill::default(), &Basis::default()).await.unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_merged_call_is_found_by_every_name_either_had_and_the_younger_is_gone() {
    for home in engines() {
        let store = home.open().unwrap();
        let first = keep(&*store, "first", &call(1)).await;
        let second = keep(&*store, "second", &call(2)).await;
        let third = keep(&*store, "third", &call(3)).await;
        // In a chain, so that names move twice.
        merge(&*store, &third, &second).await;
        merge(&*store, &second, &first).await;

        let ids = ["first", "second", "third"].map(str::to_owned).into_iter();
        for id in ids.chain([&first, &second, &third].map(|head| head.uuid.to_string())) {
            let filed = store.call(OURS, &id).await.unwrap().unwrap();
            assert_eq!(filed.head, first, "{id}");
            let mut names: Vec<_> = filed.names().map(CallName::as_str).collect();
            names[1..].sort_unstable();
            assert_eq!(names, ["first", "second", "third"]);
        }
        assert_eq!(found(&*store, CallQuery::default()).await, "first");
        let mut transaction = store.begin().await.unwrap();
        assert_eq!(transaction.find_call(OURS, &name("third")).await.unwrap(), Some(first));
        assert_eq!(transaction.saved(third.key).await.unwrap(), None);
        drop(transaction);
        let findings = store.check().await.unwrap();
        assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:?}");
    }
}

#[tokio::test]
async fn the_events_of_the_younger_move_and_of_doubled_ids_the_olders_stays() {
    for home in engines() {
        let store = home.open().unwrap();
        let older = keep(&*store, "older", &call(10)).await;
        let younger = keep(&*store, "younger", &call(1)).await;
        let mut transaction = store.begin().await.unwrap();
        let same_time = Report { data: json(r#"{"of":"younger"}"#), ..report("tie", 20) };
        transaction.append(older.key, &[report("tie", 20)]).await.unwrap();
        transaction.append(younger.key, &[same_time, report("e2", 5)]).await.unwrap();
        transaction.commit().await.unwrap();
        merge(&*store, &younger, &older).await;

        let reports = store.reports(&[older.key, younger.key]).await.unwrap();
        // Both have an e1, at different times.
        assert_eq!(reports[0], [report("e2", 5), report("e1", 10), report("tie", 20)]);
        assert_eq!(reports[1], []);
    }
}

#[tokio::test]
async fn a_renamed_event_of_the_younger_stays_beside_the_olders() {
    for home in engines() {
        let store = home.open().unwrap();
        let older = keep(&*store, "older", &call(10)).await;
        let younger = keep(&*store, "younger", &call(1)).await;
        let mut transaction = store.begin().await.unwrap();
        let others = Report { data: json(r#"{"of":"younger"}"#), ..report("tie", 20) };
        transaction.append(older.key, &[report("tie", 20)]).await.unwrap();
        transaction.append(younger.key, std::slice::from_ref(&others)).await.unwrap();
        let ids = [("tie", "tie-2"), ("e1", "e1-2")];
        let renamed = ids.map(|(from, to)| (EventId::new(from).unwrap(), EventId::new(to).unwrap()));
        transaction.merge(younger.key, older.key, &renamed).await.unwrap();
        transaction.save(older.key, &call(1), &Bill::default(), &Basis::default()).await.unwrap();
        transaction.commit().await.unwrap();

        let reports = store.reports(&[older.key]).await.unwrap().remove(0);
        let others = Report { id: renamed[0].1.clone(), ..others };
        assert_eq!(reports, [report("e1-2", 1), report("e1", 10), report("tie", 20), others]);
    }
}

#[tokio::test]
async fn the_legs_of_the_younger_lead_to_the_older() {
    for home in engines() {
        let store = home.open().unwrap();
        let older = keep(&*store, "older", &call(1)).await;
        let younger = keep(&*store, "younger", &call(2)).await;
        let mut transaction = store.begin().await.unwrap();
        transaction.link_leg(older.key, &native(), &leg("shared", 10, 20)).await.unwrap();
        transaction.link_leg(younger.key, &native(), &leg("shared", 15, 30)).await.unwrap();
        transaction.link_leg(younger.key, &native(), &leg("own", 15, 30)).await.unwrap();
        transaction.commit().await.unwrap();
        merge(&*store, &younger, &older).await;

        let mut transaction = store.begin().await.unwrap();
        for span in [leg("shared", 10, 10), leg("shared", 30, 30), leg("own", 20, 20)] {
            let found = transaction.find_leg(OURS, &native(), &span).await.unwrap();
            assert_eq!(found, std::slice::from_ref(&older), "{span:?}");
        }
    }
}

#[tokio::test]
async fn nothing_finds_a_call_by_what_only_the_removed_one_said() {
    for home in engines() {
        let store = home.open().unwrap();
        let older = keep(&*store, "older", &call(1)).await;
        let mut talkative = with_metadata(2, &[("k", r#""v""#)]);
        talkative.state = end(9, None, Cause::Busy);
        talkative.content.transcript_text = Some("refund".to_owned());
        let younger = keep(&*store, "younger", &talkative).await;
        let by_word = CallQuery { transcript: Some("refund".to_owned()), ..CallQuery::default() };
        let filter = MetadataFilter { key: "k".to_owned(), values: vec!["v".to_owned()] };
        let by_key = CallQuery { metadata: vec![filter], ..CallQuery::default() };
        assert_eq!(found(&*store, by_word.clone()).await, "younger");
        assert_eq!(found(&*store, by_key.clone()).await, "younger");

        merge(&*store, &younger, &older).await;
        assert_eq!(found(&*store, by_word).await, "");
        assert_eq!(found(&*store, by_key).await, "");
        // The place of the removed call is not given away again.
        assert!(keep(&*store, "next", &call(3)).await.key > younger.key);
    }
}
