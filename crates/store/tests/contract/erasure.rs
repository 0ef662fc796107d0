//! Erased calls: gone for who looks for them, and known for what they counted.

use pegcount_calls::{Call, CallQuery, Cause, LegId, MetadataFilter, SourceName, Stats};
use pegcount_store::{LegSpan, Severity, StatsQuery};

use crate::{
    bench::{OURS, THEIRS, at, call, end, found, keep, name, save_again, with_metadata, with_words},
    engines,
};

fn leg(id: &str, from: i64, to: i64) -> LegSpan {
    LegSpan { id: LegId::new(id).unwrap(), from: at(from), to: at(to) }
}

#[tokio::test]
async fn an_erased_call_is_gone_but_counts_and_its_names_and_legs_are_known() {
    for home in engines() {
        let store = home.open().unwrap();
        let source = SourceName::new("switch").unwrap();
        let over = Call { state: end(60_000, Some(1_000), Cause::UserHangup), ..call(0) };
        let said = Call { state: over.state.clone(), ..with_words(0, "quiche", Some("pastry")) };
        let head = keep(&*store, "older", &said).await;
        let tagged = Call { state: over.state.clone(), ..with_metadata(0, &[("tag", "1")]) };
        let younger = keep(&*store, "younger", &tagged).await;
        let other = keep(&*store, "other", &over).await;
        let mut transaction = store.begin().await.unwrap();
        transaction.merge(younger.key, head.key, &[]).await.unwrap();
        transaction.link_leg(head.key, &source, &leg("leg", 0, 100)).await.unwrap();
        transaction.commit().await.unwrap();
        let mut both = said.clone();
        both.content.metadata = tagged.content.metadata.clone();
        save_again(&*store, &head, &both).await;
        let before = store.stats(OURS, &StatsQuery::default()).await.unwrap();

        let mut transaction = store.begin().await.unwrap();
        assert!(!transaction.is_erased(OURS, &name("older")).await.unwrap());
        transaction.erase(head.key).await.unwrap();
        transaction.commit().await.unwrap();

        for id in ["older", "younger", &head.uuid.to_string(), &younger.uuid.to_string()] {
            assert_eq!(store.call(OURS, id).await.unwrap(), None, "{id}");
            assert_eq!(store.head(OURS, id).await.unwrap(), None, "{id}");
        }
        assert_eq!(store.head(OURS, "other").await.unwrap(), Some(other.clone()));
        assert_eq!(store.reports(&[head.key]).await.unwrap(), [vec![]]);
        for word in ["quiche", "pastry"] {
            let query = CallQuery { transcript: Some(word.to_owned()), ..CallQuery::default() };
            assert_eq!(found(&*store, query).await, "", "{word}");
        }
        let filter = MetadataFilter { key: "tag".to_owned(), values: vec!["1".to_owned()] };
        let query = CallQuery { metadata: vec![filter], ..CallQuery::default() };
        assert_eq!(found(&*store, query).await, "");
        let page = store.calls(OURS, &CallQuery::default()).await.unwrap();
        assert_eq!((page.total, page.calls.len()), (Some(1), 1));
        assert_eq!(store.stats(OURS, &StatsQuery::default()).await.unwrap(), before);
        assert_eq!(before, Stats::of([(&over, None), (&over, None)]));

        let mut transaction = store.begin().await.unwrap();
        for gone in ["older", "younger"] {
            assert!(transaction.is_erased(OURS, &name(gone)).await.unwrap(), "{gone}");
            assert!(!transaction.is_erased(THEIRS, &name(gone)).await.unwrap(), "{gone}");
        }
        assert!(!transaction.is_erased(OURS, &name("other")).await.unwrap());
        for (span, erased) in [((100, 200), true), ((101, 200), false), ((-5, 0), true), ((-5, -1), false)] {
            let leg = leg("leg", span.0, span.1);
            assert_eq!(transaction.is_erased_leg(OURS, &source, &leg).await.unwrap(), erased, "{span:?}");
        }
        let elsewhere = SourceName::new("elsewhere").unwrap();
        assert!(!transaction.is_erased_leg(OURS, &elsewhere, &leg("leg", 0, 100)).await.unwrap());
        drop(transaction);
        let findings = store.check().await.unwrap();
        let bad: Vec<_> = findings.iter().filter(|finding| finding.severity == Severity::Damage).collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}
