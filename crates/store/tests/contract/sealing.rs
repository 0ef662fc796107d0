//! A sealed store: what lies on the disk says nothing, what is asked for is as in any other.

use pegcount_calls::{Bill, CallQuery};
use pegcount_sealed::{KeyId, Keys};
use pegcount_store::{Basis, CallKey, Report, SealCount, Store, StoreError};
use uuid::Uuid;

use crate::{
    bench::{OURS, found, json, name, report, with_words},
    new_key,
};

const SAID: &str = "the zebra crossed at midnight";
const WORDS: [&str; 3] = ["zebra", "midnight", "hornbeam"];

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn open(&self, keys: Option<&Keys>) -> Result<Box<dyn Store>, StoreError> {
        pegcount_store::open_with(self.0.path().join("pegcount.db").to_str().unwrap(), keys)
    }

    /// Which of the words can be read in any file.
    fn leaked(&self) -> Vec<&'static str> {
        let files = std::fs::read_dir(self.0.path()).unwrap().map(|file| file.unwrap().path());
        let bytes: Vec<Vec<u8>> = files.map(|path| std::fs::read(path).unwrap()).collect();
        let lies_in =
            |word: &str, bytes: &[u8]| bytes.windows(word.len()).any(|part| part == word.as_bytes());
        WORDS.into_iter().filter(|word| bytes.iter().any(|bytes| lies_in(word, bytes))).collect()
    }
}

/// Keeps a call that says something, and an event that does.
async fn tell(store: &dyn Store, number: i64) {
    let call = with_words(number, SAID, None);
    let told = Report { data: json(r#"{"content":"hornbeam"}"#), ..report(&format!("e{number}"), number) };
    let mut transaction = store.begin().await.unwrap();
    let head = transaction.open_call(OURS, &name(&format!("c{number}")), Uuid::now_v7()).await.unwrap();
    transaction.append(head.key, &[told]).await.unwrap();
    transaction.save(head.key, &call, &Bill::default(), &Basis::default()).await.unwrap();
    transaction.commit().await.unwrap();
}

async fn assert_whole(store: &dyn Store, calls: i64) {
    for number in 0..calls {
        let filed = store.call(OURS, &format!("c{number}")).await.unwrap().unwrap();
        assert_eq!(filed.call.content.transcript_text.as_deref(), Some(SAID));
        let reports = store.reports(&[filed.head.key]).await.unwrap().remove(0);
        assert_eq!(reports[0].data.as_json_text(), r#"{"content":"hornbeam"}"#);
    }
    let names: Vec<String> = (0..calls).rev().map(|number| format!("c{number}")).collect();
    let saying = |text: &str| CallQuery { transcript: Some(text.to_owned()), ..CallQuery::default() };
    // An index under another key is made anew, and says so meanwhile.
    while matches!(store.calls(OURS, &saying("zebra")).await, Err(StoreError::Indexing)) {}
    assert_eq!(found(store, saying("\"zebra crossed\" midnight")).await, names.join(" "));
    assert_eq!(found(store, saying("\"crossed zebra\"")).await, "");
}

async fn reseal_all(store: &dyn Store) -> (u64, u64) {
    let (mut after, mut documents, mut events) = (CallKey(0), 0, 0);
    loop {
        let step = store.reseal(after, 2).await.unwrap();
        documents += step.documents;
        events += step.events;
        match step.last {
            Some(last) => after = last,
            None => return (documents, events),
        }
    }
}

fn count(key: Option<KeyId>, count: u64) -> SealCount {
    SealCount { key, documents: count, events: count }
}

#[tokio::test]
async fn nothing_that_was_said_can_be_read_in_the_files_of_a_sealed_store() {
    let (home, key) = (Home::new(), new_key());
    let store = home.open(Some(&key)).unwrap();
    for number in 0..5 {
        tell(&*store, number).await;
    }
    assert_whole(&*store, 5).await;
    assert!(home.leaked().is_empty(), "{:?}", home.leaked());
    store.close().await.unwrap();
    assert!(home.leaked().is_empty(), "{:?}", home.leaked());
    assert!(
        store.check().await.unwrap().iter().all(|finding| finding.severity == pegcount_store::Severity::Fine)
    );
    // In the clear, so that the test itself is true.
    let other = Home::new();
    let store = other.open(None).unwrap();
    tell(&*store, 0).await;
    assert_whole(&*store, 1).await;
    store.close().await.unwrap();
    assert_eq!(other.leaked(), WORDS);
}

#[tokio::test]
async fn what_was_in_the_clear_is_read_on_and_sealed_when_that_is_asked_for() {
    let (home, key) = (Home::new(), new_key());
    let store = home.open(None).unwrap();
    for number in 0..5 {
        tell(&*store, number).await;
    }
    assert_eq!(store.reseal(CallKey(0), 9).await.unwrap().last, None);
    store.close().await.unwrap();
    drop(store);
    let store = home.open(Some(&key)).unwrap();
    tell(&*store, 5).await;
    assert_whole(&*store, 6).await;
    let id = Some(key.sealing());
    assert_eq!(store.sealed_with().await.unwrap(), [count(None, 5), count(id, 1)]);
    assert_eq!(reseal_all(&*store).await, (5, 5));
    assert_eq!(reseal_all(&*store).await, (0, 0));
    assert_eq!(store.sealed_with().await.unwrap(), [count(id, 6)]);
    assert_whole(&*store, 6).await;
    store.close().await.unwrap();
    assert!(home.leaked().is_empty(), "{:?}", home.leaked());
}

#[tokio::test]
async fn a_key_is_changed_for_another_and_the_old_one_is_needed_until_nothing_is_sealed_with_it() {
    let home = Home::new();
    let lines = [Keys::generate().unwrap(), Keys::generate().unwrap()];
    let old = Keys::parse(&lines[0]).unwrap();
    let both = Keys::parse(&format!("{}\n{}", lines[1], lines[0])).unwrap();
    let new = Keys::parse(&lines[1]).unwrap();
    let store = home.open(Some(&old)).unwrap();
    tell(&*store, 0).await;
    drop(store);
    let missing = |keys: Option<&Keys>| match home.open(keys) {
        Err(StoreError::MissingKey { key }) => Some(key),
        _ => None,
    };
    assert_eq!((missing(None), missing(Some(&new))), (Some(old.sealing()), Some(old.sealing())));
    let store = home.open(Some(&both)).unwrap();
    tell(&*store, 1).await;
    assert_whole(&*store, 2).await;
    store.forget_sealing_key(old.sealing()).await.unwrap_err();
    store.forget_sealing_key(new.sealing()).await.unwrap_err();
    assert_eq!(reseal_all(&*store).await, (1, 1));
    let mut expected = vec![count(Some(new.sealing()), 2), count(Some(old.sealing()), 0)];
    assert_eq!(store.sealed_with().await.unwrap(), expected);
    store.forget_sealing_key(old.sealing()).await.unwrap();
    expected.pop();
    assert_eq!(store.sealed_with().await.unwrap(), expected);
    drop(store);
    assert_whole(&*home.open(Some(&new)).unwrap(), 2).await;
}

#[tokio::test]
async fn what_was_changed_or_moved_in_a_sealed_store_is_damage_and_not_an_answer() {
    let (home, key) = (Home::new(), new_key());
    let store = home.open(Some(&key)).unwrap();
    tell(&*store, 0).await;
    tell(&*store, 1).await;
    store.close().await.unwrap();
    drop(store);
    let connection = pegcount_pages::open(home.0.path().join("pegcount.db"), Default::default()).unwrap();
    let swap = "UPDATE call_documents SET body = (SELECT body FROM call_documents ORDER BY pk DESC LIMIT 1);
                UPDATE events SET id = 'e9' WHERE place = (SELECT min(place) FROM events)";
    connection.execute_batch(swap).unwrap();
    drop(connection);
    let store = home.open(Some(&key)).unwrap();
    let error = store.call(OURS, "c0").await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { .. }), "{error}");
    assert!(store.call(OURS, "c1").await.unwrap().is_some());
    let head = store.head(OURS, name("c0").as_str()).await.unwrap().unwrap();
    let error = store.reports(&[head.key]).await.unwrap_err();
    assert!(matches!(&error, StoreError::Unreadable { .. }), "{error}");
    // Nor is it lost when all is sealed anew.
    assert_eq!(reseal_all(&*store).await, (0, 0));
}
