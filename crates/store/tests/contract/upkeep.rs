//! The store as a thing to be run: opened, asked how it is, closed.

use std::sync::Arc;

use pegcount_calls::CallQuery;
use pegcount_store::{Severity, Store, StoreError};

use crate::{
    bench::{OURS, call, keep, with_words},
    engines,
};

#[tokio::test]
async fn a_store_that_a_later_version_wrote_is_refused() {
    for home in engines() {
        drop(home.open().unwrap());
        let newer = home.pretend_to_be_newer();
        let Err(StoreError::NewerSchema { found, known }) = home.open() else { panic!("was opened") };
        assert_eq!(found, newer);
        assert!(known < newer);
    }
}

#[tokio::test]
async fn a_sound_store_takes_writes_and_has_nothing_but_fine_findings() {
    for home in engines() {
        let store = home.open().unwrap();
        keep(&*store, "c", &call(1)).await;
        keep(&*store, "d", &with_words(2, "words", Some("summary"))).await;
        store.writable().await.unwrap();
        let findings = store.check().await.unwrap();
        assert!(!findings.is_empty());
        assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:?}");
    }
}

#[tokio::test]
async fn asking_whether_it_can_be_written_does_not_wait_for_who_is_writing() {
    for home in engines() {
        let store = home.open().unwrap();
        let transaction = store.begin().await.unwrap();
        store.writable().await.unwrap();
        drop(transaction);
        store.writable().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_may_be_closed_and_used_again() {
    for home in engines() {
        let store = home.open().unwrap();
        keep(&*store, "before", &call(1)).await;
        store.close().await.unwrap();
        keep(&*store, "after", &call(2)).await;
        store.close().await.unwrap();
        assert!(store.call(OURS, "before").await.unwrap().is_some());
    }
}

#[tokio::test]
async fn many_readers_at_a_time_are_all_served() {
    for home in engines() {
        let store = home.open().unwrap();
        keep(&*store, "c", &call(1)).await;
        let store: Arc<dyn Store> = store.into();
        let mut readers = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let store = Arc::clone(&store);
            readers.spawn(async move {
                let one = store.call(OURS, "c").await.unwrap();
                let page = store.calls(OURS, &CallQuery::default()).await.unwrap();
                one.is_some() && page.total == Some(1)
            });
        }
        assert!(readers.join_all().await.into_iter().all(|served| served));
    }
}

#[test]
fn an_engine_nobody_knows_is_told_by_name() {
    let Err(error) = pegcount_store::open("mysql://host/db") else { panic!("was opened") };
    assert!(matches!(error, StoreError::UnknownEngine { scheme } if scheme == "mysql"));
}
