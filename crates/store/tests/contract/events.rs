//! The events of calls, and their legs.

use pegcount_calls::{EventId, LegId, SourceName};
use pegcount_store::{CallKey, LegSpan, Report};
use uuid::Uuid;

use crate::{
    bench::{OURS, THEIRS, call, json, keep, name, native, report},
    engines,
};

pub(crate) fn leg(id: &str, from: i64, to: i64) -> LegSpan {
    LegSpan { id: LegId::new(id).unwrap(), from: crate::bench::at(from), to: crate::bench::at(to) }
}

#[tokio::test]
async fn events_come_back_as_reported_oldest_first_ties_by_id() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "c", &call(5)).await;
        let other = keep(&*store, "other", &call(5)).await;
        let late = Report { at_given: false, kind: "x_späť".to_owned(), blanked: true, ..report("a", 9) };
        let mut transaction = store.begin().await.unwrap();
        transaction.append(head.key, &[late.clone(), report("B", 5), report("a0", 5)]).await.unwrap();
        let within = transaction.reports(head.key).await.unwrap();
        transaction.commit().await.unwrap();

        let reports = store.reports(&[other.key, CallKey(999), head.key]).await.unwrap();
        assert_eq!(reports[0], [report("e1", 5)]);
        assert_eq!(reports[1], []);
        // Ids compare as bytes: capitals go before small letters.
        assert_eq!(reports[2], [report("B", 5), report("a0", 5), report("e1", 5), late]);
        assert_eq!(reports[2], within);
    }
}

#[tokio::test]
async fn blanked_events_keep_their_place_and_what_is_left_of_their_data() {
    for home in engines() {
        let store = home.open().unwrap();
        let head = keep(&*store, "c", &call(5)).await;
        let other = keep(&*store, "other", &call(5)).await;
        let mut transaction = store.begin().await.unwrap();
        transaction.append(head.key, &[report("e2", 6)]).await.unwrap();
        let left = |id: &str| (EventId::new(id).unwrap(), json(r#"{"left":1}"#));
        transaction.blank(head.key, &[left("e1"), left("unknown")]).await.unwrap();
        transaction.commit().await.unwrap();

        let reports = store.reports(&[head.key, other.key]).await.unwrap();
        assert_eq!(
            reports[0],
            [Report { data: json(r#"{"left":1}"#), blanked: true, ..report("e1", 5) }, report("e2", 6)]
        );
        assert_eq!(reports[1], [report("e1", 5)]);
    }
}

#[tokio::test]
async fn a_leg_is_found_where_the_spans_overlap_bounds_included() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let early = transaction.open_call(OURS, &name("early"), Uuid::now_v7()).await.unwrap();
        let late = transaction.open_call(OURS, &name("late"), Uuid::now_v7()).await.unwrap();
        transaction.link_leg(late.key, &native(), &leg("ch", 200, 300)).await.unwrap();
        transaction.link_leg(early.key, &native(), &leg("ch", 0, 100)).await.unwrap();
        let other = SourceName::new("other").unwrap();

        let cases = [
            (leg("ch", 100, 100), vec![&early]),
            (leg("ch", 101, 199), vec![]),
            (leg("ch", -9, 0), vec![&early]),
            (leg("ch", 50, 200), vec![&early, &late]),
            (leg("other", 0, 300), vec![]),
            (LegSpan::unique(LegId::new("ch").unwrap()), vec![&early, &late]),
        ];
        for (span, expected) in cases {
            let found = transaction.find_leg(OURS, &native(), &span).await.unwrap();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{span:?}");
        }
        assert_eq!(transaction.find_leg(OURS, &other, &leg("ch", 0, 300)).await.unwrap(), []);
        assert_eq!(transaction.find_leg(THEIRS, &native(), &leg("ch", 0, 300)).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_leg_linked_again_is_known_in_the_joined_span() {
    for home in engines() {
        let store = home.open().unwrap();
        let mut transaction = store.begin().await.unwrap();
        let head = transaction.open_call(OURS, &name("c"), Uuid::now_v7()).await.unwrap();
        for span in [leg("a", 100, 200), leg("a", 150, 250), leg("a", 50, 60)] {
            transaction.link_leg(head.key, &native(), &span).await.unwrap();
        }
        for (at, found) in [(49, 0), (50, 1), (80, 1), (250, 1), (251, 0)] {
            let calls = transaction.find_leg(OURS, &native(), &leg("a", at, at)).await.unwrap();
            assert_eq!(calls.len(), found, "at {at}");
        }
    }
}
