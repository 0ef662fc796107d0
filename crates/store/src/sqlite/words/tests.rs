use std::path::PathBuf;

use pegcount_calls::{Bill, Call, CallName, CallQuery, Content, Paging};
use rusqlite::Connection;
use uuid::Uuid;

use super::*;
use crate::{
    Basis, CallHead, Losses, Opening, Severity, Store, StoreError,
    sqlite::{Sqlite, connect, samples::ended_call},
};

const OURS: OrganizationNumber = OrganizationNumber(1);

fn saying(text: &str) -> Call {
    ended_call(Content { transcript_text: Some(text.to_owned()), ..Content::default() })
}

struct Home {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { path: folder.path().join("calls.db"), _folder: folder }
    }

    fn open(&self) -> Sqlite {
        Sqlite::open(&self.path, None).unwrap()
    }

    fn index(&self) -> PathBuf {
        path_beside(&self.path)
    }

    /// Does this to the file of the store.
    fn alter(&self, sql: &str) {
        connect::open_existing(&self.path).unwrap().execute_batch(sql).unwrap();
    }
}

/// Keeps a call of this name that says this.
async fn say(store: &Sqlite, name: &str, text: &str) -> CallHead {
    let mut transaction = store.begin().await.unwrap();
    let name = CallName::new(name).unwrap();
    let head = match transaction.find_call(OURS, &name).await.unwrap() {
        Some(head) => head,
        None => transaction.open_call(OURS, &name, Uuid::now_v7()).await.unwrap(),
    };
    transaction.save(head.key, &saying(text), &Bill::default(), &Basis::default()).await.unwrap();
    transaction.commit().await.unwrap();
    head
}

async fn erase(store: &Sqlite, head: &CallHead) {
    let mut transaction = store.begin().await.unwrap();
    transaction.erase(head.key).await.unwrap();
    transaction.commit().await.unwrap();
}

/// The names of the calls in which this is said.
async fn found(store: &Sqlite, text: &str) -> Vec<String> {
    let paging = Paging { limit: 1_000, ..Paging::default() };
    let query = CallQuery { transcript: Some(text.to_owned()), paging, ..CallQuery::default() };
    let page = store.calls(OURS, &query).await.unwrap();
    assert_eq!(page.total, Some(page.calls.len() as u64), "{text}");
    let mut names: Vec<String> = page.calls.iter().map(|filed| filed.head.name.as_str().to_owned()).collect();
    names.sort_unstable();
    names
}

async fn is_sound(store: &Sqlite) -> bool {
    // The calls of these tests have no events.
    let about_words = |subject: &str| matches!(subject, "index of words" | "file" | "calls");
    let findings = store.check().await.unwrap();
    let bad = findings.iter().filter(|finding| finding.severity != Severity::Fine);
    !bad.filter(|finding| about_words(&finding.subject)).any(|finding| !finding.message.contains("damaged"))
}

fn due(home: &Home) -> i64 {
    let connection = Connection::open(&home.path).unwrap();
    connection.query_row("SELECT count(*) FROM words_due", [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn a_search_finds_what_was_said_before_it_and_nothing_that_is_gone() {
    let home = Home::new();
    let store = home.open();
    for number in 0..200 {
        let head = say(&store, &format!("c{number}"), "alpha").await;
        if number % 3 == 0 {
            say(&store, &format!("c{number}"), "beta").await;
        }
        if number % 5 == 0 {
            erase(&store, &head).await;
        }
        if number % 40 == 39 {
            let beta = (0..=number).filter(|number| number % 3 == 0 && number % 5 != 0).count();
            assert_eq!(found(&store, "beta").await.len(), beta);
        }
    }
    let alpha = (0..200).filter(|number| number % 3 != 0 && number % 5 != 0).count();
    assert_eq!(found(&store, "alpha").await.len(), alpha);
    assert!(is_sound(&store).await);
}

/// What is done to the files of a closed store.
type Damage = fn(&Home);

#[tokio::test]
async fn an_index_that_is_gone_damaged_or_of_another_store_is_made_anew() {
    let damages: [(&str, Damage); 5] = [
        ("gone", |home| std::fs::remove_file(home.index()).unwrap()),
        ("no database", |home| std::fs::write(home.index(), "just words. ".repeat(500)).unwrap()),
        ("cut short", |home| {
            let file = std::fs::OpenOptions::new().write(true).open(home.index()).unwrap();
            file.set_len(2 * 4_096).unwrap();
        }),
        ("of an older version", |home| {
            let index = open_index(&home.path);
            index.execute_batch("UPDATE words_taken SET taken = 99; PRAGMA user_version = 0").unwrap();
        }),
        ("of another store", |home| home.alter("UPDATE words_store SET id = randomblob(16)")),
    ];
    for (what, damage) in damages {
        let home = Home::new();
        let store = home.open();
        for number in 0..20 {
            say(&store, &format!("c{number}"), "alpha").await;
        }
        store.close().await.unwrap();
        drop(store);

        damage(&home);
        let store = home.open();

        assert_eq!(found(&store, "alpha").await.len(), 20, "{what}");
        assert!(is_sound(&store).await, "{what}");
    }
}

#[tokio::test]
async fn a_store_or_an_index_that_was_put_back_as_it_was_earlier_is_noticed() {
    for back in ["store", "index"] {
        let home = Home::new();
        let store = home.open();
        say(&store, "c1", "alpha").await;
        assert_eq!(found(&store, "alpha").await, ["c1"]);
        store.close().await.unwrap();
        drop(store);
        let file = if back == "store" { home.path.clone() } else { home.index() };
        let earlier = std::fs::read(&file).unwrap();
        let store = home.open();
        say(&store, "c1", "beta").await;
        say(&store, "c2", "alpha beta").await;
        assert_eq!(found(&store, "beta").await, ["c1", "c2"]);
        store.close().await.unwrap();
        drop(store);

        // As if it had been durable in the index.
        home.alter("DELETE FROM words_due WHERE number < (SELECT max(number) FROM words_due)");
        std::fs::write(&file, earlier).unwrap();
        let store =
            Sqlite::open_as(&home.path, Opening { losses: Losses::Accepted, ..Opening::default() }).unwrap();

        let expected: &[&str] = if back == "store" { &["c1"] } else { &["c2"] };
        assert_eq!(found(&store, "alpha").await, expected, "{back}");
        assert!(is_sound(&store).await, "{back}");
    }
}

#[tokio::test]
async fn what_was_due_when_a_store_was_left_is_taken_in_when_it_is_opened() {
    let home = Home::new();
    for round in 0..10 {
        let store = home.open();
        for number in 0..20 {
            say(&store, &format!("c{number}"), &format!("alpha round{round}")).await;
        }
        // Not closed: its thread takes in as much as it comes to.
        drop(store);
        let store = home.open();
        assert_eq!(found(&store, &format!("round{round}")).await.len(), 20);
        assert_eq!(found(&store, "alpha").await.len(), 20);
        assert!(is_sound(&store).await);
    }
}

#[tokio::test]
async fn what_is_due_is_forgotten_once_it_is_durable_in_the_index_but_for_the_last() {
    let home = Home::new();
    let store = home.open();
    let long: String = (0..2_000).map(|number| format!("word{number} ")).collect();
    let mut most = 0;
    for number in 0.. {
        say(&store, &format!("c{number}"), &long).await;
        if number % 50 == 0 {
            store.indexer.caught_up().await.unwrap();
        }
        let left = due(&home);
        assert!(left > 0);
        if left < most {
            break;
        }
        most = left;
        assert!(number < 20_000, "{left} are due");
    }
    assert!(is_sound(&store).await);
}

#[tokio::test]
async fn while_the_index_is_made_anew_a_search_says_so_and_everything_else_is_answered() {
    let home = Home::new();
    let store = home.open();
    say(&store, "c1", "alpha").await;
    store.close().await.unwrap();
    drop(store);
    std::fs::remove_file(home.index()).unwrap();
    // Nothing is taken in before it is started.
    let calls = Connection::open(&home.path).unwrap();
    let indexer = Indexer::open(&home.path, &calls, &Default::default()).unwrap();
    assert!(matches!(indexer.caught_up().await, Err(StoreError::Indexing)));
    assert_eq!(indexer.behind(), (0, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_in_which_a_search_or_a_new_call_finds_damage_is_made_anew_meanwhile() {
    for finds in ["search", "new call"] {
        let home = Home::new();
        let store = home.open();
        for number in 0..20 {
            say(&store, &format!("c{number}"), "alpha").await;
        }
        assert_eq!(found(&store, "alpha").await.len(), 20);
        let damage = "UPDATE transcripts_data SET block = X'FFFF' WHERE id > 10";
        open_index(&home.path).execute_batch(damage).unwrap();
        let mut expected = 20;
        if finds == "new call" {
            say(&store, "new", "alpha").await;
            expected += 1;
        }

        let query = CallQuery { transcript: Some("alpha".to_owned()), ..CallQuery::default() };
        loop {
            match store.calls(OURS, &query).await {
                Ok(page) if page.total == Some(expected) => break,
                // Nobody reads the old file any more once one was answered.
                Ok(page) => panic!("{finds}: {:?} were found", page.total),
                Err(StoreError::Unreadable { .. } | StoreError::Damaged { .. } | StoreError::Indexing) => {
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{finds}: {error}"),
            }
        }
        assert!(is_sound(&store).await, "{finds}");
    }
}

#[tokio::test]
async fn a_damaged_index_is_named_with_what_mends_it_and_hides_nothing_else() {
    let home = Home::new();
    let store = home.open();
    let long: String = (0..500).map(|number| format!("word{number} ")).collect();
    for number in 0..50 {
        say(&store, &format!("c{number}"), &long).await;
    }
    store.close().await.unwrap();
    drop(store);
    let pages = std::fs::metadata(home.index()).unwrap().len() / 4_096;
    for page in 1..pages {
        let mut bytes = std::fs::read(home.index()).unwrap();
        let at = usize::try_from(page * 4_096).unwrap();
        let whole = bytes.clone();
        bytes[at..at + 4_096].fill(0xA5);
        std::fs::write(home.index(), bytes).unwrap();
        let connection = crate::sqlite::connect::open_reader(&home.path, &Default::default()).unwrap();
        let mut snapshot = Snapshot::of(&connection).map_err(StoreError::from).unwrap();
        let finding = snapshot.finding(20);
        assert_eq!(finding.severity, Severity::Damage, "page {page}: {}", finding.message);
        assert!(finding.message.ends_with("it is made anew"), "{}", finding.message);
        drop(snapshot);
        let findings = crate::sqlite::check::check(&connection, crate::sqlite::deferred::no_fold)
            .map_err(StoreError::from)
            .unwrap();
        let about_words = findings.iter().filter(|finding| finding.message.contains("index of words"));
        assert_eq!(about_words.count(), 0, "page {page}: {findings:?}");
        assert_eq!(findings[0].severity, Severity::Fine, "page {page}: {findings:?}");
        std::fs::write(home.index(), whole).unwrap();
    }
}

#[tokio::test]
async fn whoever_cleans_the_index_beside_others_is_answered_too() {
    let home = Home::new();
    let store = home.open();
    let head = say(&store, "c1", "alpha").await;
    assert_eq!(found(&store, "alpha").await, ["c1"]);
    erase(&store, &head).await;
    let scrubbed = tokio::join!(store.scrub(true), store.scrub(true), store.scrub(true));
    assert!(matches!(scrubbed, (Ok(_), Ok(_), Ok(_))), "{scrubbed:?}");
}
