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
        let (found, known) = match home.open() {
            Err(StoreError::NewerSchema { found, known }) => (found, known),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("was opened"),
        };
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
async fn a_backup_made_while_others_write_holds_everything_up_to_one_moment() {
    for home in engines() {
        let store: Arc<dyn Store> = home.open().unwrap().into();
        for number in 0..50 {
            keep(
                &*store,
                &format!("before_{number}"),
                &with_words(number, "words ".repeat(500).trim(), None),
            )
            .await;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup");
        let backing_up = tokio::spawn({
            let (store, path) = (Arc::clone(&store), path.clone());
            async move { store.backup(&path).await }
        });
        let mut during = 0;
        while !backing_up.is_finished() {
            keep(&*store, &format!("during_{during}"), &call(during)).await;
            during += 1;
        }
        let beside = backing_up.await.unwrap().unwrap();
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        left.sort();
        assert_eq!(left, [Some(path.clone()), beside].into_iter().flatten().collect::<Vec<_>>());
        assert!(matches!(store.backup(&path).await, Err(StoreError::Exists { .. })));

        let restored = home.open_copy(&path).unwrap();
        for number in 0..50 {
            let id = format!("before_{number}");
            let (there, here) =
                (restored.call(OURS, &id).await.unwrap(), store.call(OURS, &id).await.unwrap());
            assert_eq!(there.unwrap().call, here.unwrap().call);
        }
        // Of those written meanwhile the first ones are there, without a gap.
        let mut gone = 0;
        for number in 0..during {
            gone += usize::from(restored.call(OURS, &format!("during_{number}")).await.unwrap().is_none());
            let is_there = restored.call(OURS, &format!("during_{number}")).await.unwrap().is_some();
            assert!(!(is_there && gone > 0), "{number} is there, one before it is not");
        }
        assert!(restored.check().await.unwrap().iter().all(|finding| finding.severity == Severity::Fine));
        keep(&*restored, "after", &call(9)).await;
        assert!(store.call(OURS, "after").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_backup_that_cannot_be_made_leaves_nothing() {
    for home in engines() {
        let store = home.open().unwrap();
        keep(&*store, "c", &call(1)).await;
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        std::fs::write(&taken, "theirs").unwrap();
        assert!(matches!(store.backup(&taken).await, Err(StoreError::Exists { .. })));
        assert_eq!(std::fs::read_to_string(&taken).unwrap(), "theirs");
        assert!(matches!(store.backup(&taken.join("backup")).await, Err(StoreError::Unavailable(_))));
        let error = store.backup(&folder.path().join("missing/backup")).await.unwrap_err();
        assert!(error.to_string().contains("missing/backup cannot be written"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
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
