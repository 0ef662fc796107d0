//! What is noted, and what happens when it cannot be.

use pegcount_calls::{Range, Timestamp};
use pegcount_store::{AuditEntry, AuditQuery};

use super::*;

const ONE: OrganizationNumber = OrganizationNumber(1);
const DAY: i64 = 86_400_000;

struct Lab {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("calls.db").to_str().unwrap()).unwrap();
        Self { _folder: folder, store: store.into() }
    }

    fn audit(&self, config: &Config, patience: Duration) -> Audit {
        let clock = Clock::of(|| Timestamp::from_millis(100 * DAY));
        Audit::start_with(Arc::clone(&self.store), clock, config, patience)
    }

    async fn entries(&self) -> Vec<AuditEntry> {
        let query = AuditQuery {
            organization: ONE,
            action: None,
            actor: None,
            subject: None,
            at: Range::default(),
            limit: 100_000,
            after: None,
        };
        self.store.audit(&query).await.unwrap().entries
    }
}

fn entry(subject: &str) -> Entry {
    Entry {
        organization: Some(ONE),
        actor: actor::LINK.to_owned(),
        subject: Some(subject.to_owned()),
        details: Document::from_json_text("{}"),
    }
}

#[tokio::test]
async fn what_waits_is_written_at_the_end_and_nothing_is_taken_after_it() {
    let lab = Lab::new();
    let audit = lab.audit(&Config::default(), PATIENCE);
    for place in 0..600 {
        audit.read(Action::CallRead, || entry(&place.to_string())).await.unwrap();
    }
    audit.close().await;
    let entries = lab.entries().await;
    assert_eq!(entries.len(), 600);
    let last = &entries[0].deed;
    assert_eq!((last.action.as_str(), last.actor.as_str()), ("call_read", "link"));
    assert_eq!((last.subject.as_deref(), last.at.millis()), (Some("599"), 100 * DAY));
    assert_eq!(audit.read(Action::CallRead, || entry("late")).await, Err(Unnoted));
    assert_eq!(lab.store.verify_audit().await.unwrap().fault, None);
}

#[tokio::test]
async fn what_changed_something_is_on_disk_when_it_is_answered() {
    let lab = Lab::new();
    let audit = lab.audit(&Config { reads: false, ..Config::default() }, PATIENCE);
    audit.read(Action::CallRead, || unreachable!("reads are not noted")).await.unwrap();
    let room = audit.room(Action::CallErased).await.unwrap().unwrap();
    room.done(entry("a")).await;
    let entries = lab.entries().await;
    assert_eq!((entries.len(), entries[0].deed.action.as_str()), (1, "call_erased"));
}

#[tokio::test]
async fn while_the_log_cannot_be_written_the_queue_fills_and_then_who_asks_is_refused() {
    let lab = Lab::new();
    let audit = lab.audit(&Config::default(), Duration::from_millis(1));
    let blocking = lab.store.begin().await.unwrap();
    let mut noted = 0;
    while audit.read(Action::CallRead, || entry("a")).await.is_ok() {
        noted += 1;
        assert!(noted < 3 * MOST_WAITING, "the queue has no end");
    }
    assert!(noted >= MOST_WAITING, "{noted}");
    assert!(matches!(audit.room(Action::CallErased).await, Err(Unnoted)));
    drop(blocking);
    while audit.read(Action::CallRead, || entry("b")).await.is_err() {}
    audit.close().await;
    assert_eq!(lab.entries().await.len(), noted + 1, "nothing that was noted is lost");
}

#[tokio::test]
async fn what_is_older_than_it_is_to_be_kept_goes_and_that_is_noted() {
    let lab = Lab::new();
    let old = |day: i64| Deed {
        at: Timestamp::from_millis(day * DAY),
        organization: Some(ONE),
        actor: actor::LINK.to_owned(),
        action: Action::CallRead.name().to_owned(),
        subject: None,
        details: Document::from_json_text("{}"),
    };
    lab.store.append_audit(&[old(10), old(69), old(71)]).await.unwrap();
    let audit = lab.audit(&Config { keep_days: 30, ..Config::default() }, PATIENCE);
    while lab.entries().await.len() > 1 {
        tokio::task::yield_now().await;
    }
    audit.close().await;
    assert_eq!(lab.entries().await[0].deed, old(71));
    let verdict = lab.store.verify_audit().await.unwrap();
    // The third, and that two were taken away.
    assert_eq!((verdict.entries, verdict.last, verdict.fault), (2, 4, None));
}
