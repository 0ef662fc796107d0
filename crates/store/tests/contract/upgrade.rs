//! A store that an earlier version wrote is opened by this one, with all that is in it.

use pegcount_calls::{CallQuery, EndpointName, Status};
use pegcount_store::{Severity, StatsQuery, Store};

use crate::{
    bench::{OURS, call, found, keep},
    jobs::{all, ask, job},
};

/// The first schema, and rows as the program of that time wrote them. Neither is ever changed.
const FIRST: [&str; 2] =
    [include_str!("../../src/sqlite/migrations/0001_start.sql"), include_str!("schema_1.sql")];
/// "Pegc".
const APPLICATION: i32 = 0x5065_6763;

#[tokio::test]
async fn a_store_of_the_first_schema_is_opened_with_all_that_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pegcount.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(&FIRST.concat()).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.pragma_update(None, "application_id", APPLICATION).unwrap();
    drop(old);
    assert!(!pegcount_pages::has_checksums(&path).unwrap());
    // Twice: what the first opening has made of it is opened as well.
    for round in 0..2 {
        let store = pegcount_store::open(path.to_str().unwrap()).unwrap();
        look(&*store, round).await;
        let kept = format!("new_{round}");
        keep(&*store, &kept, &call(1_000)).await;
        assert_eq!(store.call(OURS, &kept).await.unwrap().unwrap().call, call(1_000));
        ask(&*store, &job("upload", &kept)).await;
        store.close().await.unwrap();
        assert!(pegcount_pages::has_checksums(&path).unwrap());
    }
}

/// Everything of the first schema is there, and as many new calls.
async fn look(store: &dyn Store, new: u64) {
    let findings = store.check().await.unwrap();
    assert!(findings.iter().all(|finding| finding.severity == Severity::Fine), "{findings:?}");
    for (id, status, events) in
        [("ended", Status::Completed, 4), ("live", Status::InProgress, 1), ("missed", Status::NoAnswer, 2)]
    {
        let filed = store.call(OURS, id).await.unwrap().unwrap();
        assert_eq!(filed.call.status(), status, "{id}");
        assert_eq!(store.reports(&[filed.head.key]).await.unwrap()[0].len(), events, "{id}");
    }
    let ended = store.call(OURS, "ended").await.unwrap().unwrap();
    assert_eq!(ended.call.content.turns.len(), 1);
    assert_eq!(ended.endpoint.unwrap().number.0, 123);
    assert_eq!(ended.phone_number.unwrap().number.as_deref(), Some("+15550000"));
    let said = CallQuery { transcript: Some("egg".to_owned()), ..CallQuery::default() };
    assert_eq!(found(store, said).await, "ended");
    let page = store.calls(OURS, &CallQuery::default()).await.unwrap();
    assert_eq!(page.total, Some(3 + new));

    let stats = store.stats(OURS, &StatsQuery::default()).await.unwrap();
    assert_eq!(stats.sum(|_, _| true).calls, 3 + new);
    let of_desk = StatsQuery { endpoint: Some(EndpointName::new("ep_1").unwrap()), ..StatsQuery::default() };
    let desk = store.stats(OURS, &of_desk).await.unwrap().sum(|_, _| true);
    assert_eq!((desk.calls, desk.answered, desk.talk_seconds), (1, 1, 60));
    assert_eq!(store.jobs(&all()).await.unwrap().total, Some(new));
    assert_eq!(store.organizations().await.unwrap().len(), 1);
    assert_eq!(store.keys().await.unwrap().len(), 1);
    assert_eq!(store.endpoints(OURS, 10, 0).await.unwrap().1, 1);
}
