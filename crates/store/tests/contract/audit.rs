//! The audit log: what was added comes back, newest first, and every entry fits the one before it.

use pegcount_calls::Range;
use pegcount_store::{AuditPage, AuditQuery, Deed, OrganizationNumber, Severity, Store};

use crate::{
    bench::{OURS, THEIRS, at, json},
    engines,
};

fn deed(millis: i64, action: &str, subject: Option<&str>) -> Deed {
    Deed {
        at: at(millis),
        organization: Some(OURS),
        actor: "key_1".to_owned(),
        action: action.to_owned(),
        subject: subject.map(str::to_owned),
        details: json(r#"{"calls":2}"#),
    }
}

fn all() -> AuditQuery {
    AuditQuery {
        organization: OURS,
        action: None,
        actor: None,
        subject: None,
        at: Range::default(),
        limit: 100,
        after: None,
    }
}

async fn numbers(store: &dyn Store, query: &AuditQuery) -> Vec<i64> {
    store.audit(query).await.unwrap().entries.iter().map(|entry| entry.number).collect()
}

#[tokio::test]
async fn entries_come_back_newest_first_and_are_found_by_what_they_say() {
    for home in engines() {
        let store = home.open().unwrap();
        assert_eq!(store.audit(&all()).await.unwrap(), AuditPage { entries: vec![], next: None });
        let deeds = [
            deed(10, "call_read", Some("a")),
            Deed { organization: Some(THEIRS), ..deed(20, "call_read", Some("a")) },
            deed(30, "calls_listed", None),
            Deed { actor: "link".to_owned(), ..deed(30, "call_read", Some("b")) },
            Deed { organization: None, ..deed(40, "job_retried", None) },
        ];
        store.append_audit(&deeds).await.unwrap();
        // The clock went back.
        store.append_audit(&[deed(25, "call_erased", Some("a"))]).await.unwrap();
        store.append_audit(&[]).await.unwrap();
        store.close().await.unwrap();
        drop(store);

        let store = home.open().unwrap();
        assert_eq!(numbers(&*store, &all()).await, [4, 3, 6, 1]);
        let page = store.audit(&all()).await.unwrap();
        assert_eq!(page.entries[0].deed, deeds[3]);
        assert_eq!(page.next, None);
        let theirs = AuditQuery { organization: THEIRS, ..all() };
        assert_eq!(numbers(&*store, &theirs).await, [2]);
        let nobodys = AuditQuery { organization: OrganizationNumber(99), ..all() };
        assert_eq!(numbers(&*store, &nobodys).await, Vec::<i64>::new());
        let word = |word: &str| Some(word.to_owned());
        for (query, found) in [
            (AuditQuery { action: word("call_read"), ..all() }, vec![4, 1]),
            (AuditQuery { actor: word("link"), ..all() }, vec![4]),
            (AuditQuery { subject: word("a"), ..all() }, vec![6, 1]),
            (AuditQuery { at: Range { from: Some(25), to: Some(30) }, ..all() }, vec![4, 3, 6]),
            (AuditQuery { at: Range { from: None, to: Some(24) }, ..all() }, vec![1]),
            (
                AuditQuery { action: word("call_read"), subject: word("b"), actor: word("key_1"), ..all() },
                vec![],
            ),
        ] {
            assert_eq!(numbers(&*store, &query).await, found, "{query:?}");
        }
        let verdict = store.verify_audit().await.unwrap();
        assert_eq!((verdict.entries, verdict.last, verdict.fault), (6, 6, None));
    }
}

#[tokio::test]
async fn a_list_goes_on_behind_its_cursor_also_where_times_are_the_same() {
    for home in engines() {
        let store = home.open().unwrap();
        let deeds: Vec<Deed> = (0..10).map(|place| deed(place / 4, "call_read", None)).collect();
        store.append_audit(&deeds).await.unwrap();
        let mut query = AuditQuery { limit: 3, ..all() };
        let mut seen = Vec::new();
        loop {
            let page = store.audit(&query).await.unwrap();
            seen.extend(page.entries.iter().map(|entry| entry.number));
            // What comes in meanwhile is newer.
            store.append_audit(&[deed(99, "call_read", None)]).await.unwrap();
            let Some(next) = page.next else { break };
            query.after = Some(next);
        }
        assert_eq!(seen, [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
    }
}

#[tokio::test]
async fn what_is_old_is_cut_off_at_the_beginning_alone_and_the_rest_still_fits() {
    for home in engines() {
        let store = home.open().unwrap();
        let times = [10, 20, 30, 15, 40];
        let deeds: Vec<Deed> = times.into_iter().map(|millis| deed(millis, "call_read", None)).collect();
        store.append_audit(&deeds).await.unwrap();
        assert_eq!(store.cut_audit(at(10), 100).await.unwrap(), 0);
        assert_eq!(store.cut_audit(at(25), 1).await.unwrap(), 1);
        // The one at 15 stands behind one that stays.
        assert_eq!(store.cut_audit(at(25), 100).await.unwrap(), 1);
        assert_eq!(store.cut_audit(at(25), 100).await.unwrap(), 0);
        assert_eq!(numbers(&*store, &all()).await, [5, 3, 4]);
        let verdict = store.verify_audit().await.unwrap();
        assert_eq!((verdict.entries, verdict.last, verdict.fault), (3, 5, None));

        assert_eq!(store.cut_audit(at(1_000), 100).await.unwrap(), 3);
        assert_eq!(store.verify_audit().await.unwrap().fault, None);
        store.append_audit(&[deed(50, "call_read", None)]).await.unwrap();
        let verdict = store.verify_audit().await.unwrap();
        assert_eq!((verdict.entries, verdict.last, verdict.fault), (1, 6, None));
        let findings = store.check().await.unwrap();
        let of_log: Vec<_> = findings.iter().filter(|one| one.subject == "audit").collect();
        assert_eq!((of_log.len(), of_log[0].severity), (1, Severity::Fine), "{findings:?}");
    }
}
