//! Lists of calls: each filter, each order, each way through the pages.

use pegcount_calls::{
    Analysis, Bill, Call, CallQuery, CallType, Cause, Direction, Disconnection, MetadataFilter, Paging,
    Range, Role, Sort, SortKey, State, Status, Turn, TurnReport,
};
use pegcount_store::{OrganizationNumber, Severity, Store, StoreError};

use crate::{
    bench::{
        OURS, THEIRS, at, call, end, endpoint, found, keep, keep_with, names, phone_number, save_again,
        with_metadata, with_words,
    },
    engines,
};

fn all() -> CallQuery {
    CallQuery::default()
}

fn analysed(created_millis: i64, analysis: Analysis) -> Call {
    let mut call = call(created_millis);
    call.content.analysis = Some(analysis);
    call
}

#[tokio::test]
async fn calls_are_found_by_how_they_stand() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        keep(store, "queued", &Call { state: State::Queued, ..call(1) }).await;
        keep(store, "web", &Call { call_type: CallType::Web, ..call(2) }).await;
        keep(store, "busy", &Call { state: end(9, None, Cause::Busy), ..call(3) }).await;
        let out =
            Call { direction: Direction::Outbound, state: end(9, Some(3), Cause::AgentHangup), ..call(4) };
        keep(store, "out", &out).await;

        let statuses = |statuses: &[Status]| CallQuery { statuses: statuses.to_vec(), ..all() };
        assert_eq!(found(store, statuses(&[Status::Busy])).await, "busy");
        assert_eq!(found(store, statuses(&[Status::Queued, Status::Completed])).await, "out queued");
        assert_eq!(found(store, statuses(&[Status::Failed])).await, "");
        assert_eq!(found(store, CallQuery { directions: vec![Direction::Outbound], ..all() }).await, "out");
        assert_eq!(found(store, CallQuery { call_types: vec![CallType::Web], ..all() }).await, "web");
        let reasons = vec![Disconnection::AgentHangup, Disconnection::DialBusy];
        assert_eq!(found(store, CallQuery { disconnections: reasons, ..all() }).await, "out busy");
        assert_eq!(
            found(store, CallQuery { directions: vec![Direction::Outbound], ..statuses(&[Status::Busy]) })
                .await,
            ""
        );
    }
}

#[tokio::test]
async fn calls_are_found_by_who_took_part() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let parties = |created, of: &str| Call {
            from_number: Some(format!("+1{of}")),
            to_number: Some(format!("+2{of}")),
            endpoint: Some(endpoint(&format!("ep_{of}"))),
            phone_number: Some(phone_number(&format!("pn_{of}"))),
            ..call(created)
        };
        keep(store, "a", &parties(1, "a")).await;
        keep(store, "b", &parties(2, "b")).await;
        keep(store, "none", &call(3)).await;

        assert_eq!(found(store, CallQuery { endpoints: vec![endpoint("ep_a")], ..all() }).await, "a");
        let both = vec![endpoint("ep_a"), endpoint("ep_b"), endpoint("unknown")];
        assert_eq!(found(store, CallQuery { endpoints: both, ..all() }).await, "b a");
        assert_eq!(found(store, CallQuery { endpoints: vec![endpoint("unknown")], ..all() }).await, "");
        assert_eq!(found(store, CallQuery { phone_numbers: vec![phone_number("pn_b")], ..all() }).await, "b");
        assert_eq!(found(store, CallQuery { from_numbers: vec!["+1a".to_owned()], ..all() }).await, "a");
        assert_eq!(found(store, CallQuery { to_numbers: vec!["+2b".to_owned()], ..all() }).await, "b");
        assert_eq!(found(store, CallQuery { to_numbers: vec!["+1b".to_owned()], ..all() }).await, "");
    }
}

#[tokio::test]
async fn calls_are_found_by_what_an_analysis_found() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let good = Analysis {
            successful: Some(true),
            sentiment: Some("ZUFRIEDEN Ä".to_owned()),
            ..Analysis::default()
        };
        let bad = Analysis { successful: Some(false), in_voicemail: Some(true), ..Analysis::default() };
        keep(store, "good", &analysed(1, good)).await;
        keep(store, "bad", &analysed(2, bad)).await;
        keep(store, "none", &call(3)).await;

        assert_eq!(found(store, CallQuery { successful: vec![true], ..all() }).await, "good");
        assert_eq!(found(store, CallQuery { successful: vec![true, false], ..all() }).await, "bad good");
        assert_eq!(found(store, CallQuery { in_voicemail: vec![true], ..all() }).await, "bad");
        assert_eq!(found(store, CallQuery { in_voicemail: vec![false], ..all() }).await, "");
        let sentiments = vec!["Zufrieden ä".to_owned(), "x".to_owned()];
        assert_eq!(found(store, CallQuery { sentiments, ..all() }).await, "good");
    }
}

#[tokio::test]
async fn calls_are_found_by_metadata_every_filter_any_value() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        keep(store, "a", &with_metadata(1, &[("team", r#""north""#), ("tier", "2")])).await;
        let b = keep(store, "b", &with_metadata(2, &[("team", r#""south""#), ("tier", r#""2""#)])).await;
        let filter = |pairs: &[(&str, &[&str])]| {
            let filter = |(key, values): &(&str, &[&str])| MetadataFilter {
                key: (*key).to_owned(),
                values: values.iter().map(|value| (*value).to_owned()).collect(),
            };
            CallQuery { metadata: pairs.iter().map(filter).collect(), ..all() }
        };

        assert_eq!(found(store, filter(&[("team", &["north"])])).await, "a");
        assert_eq!(found(store, filter(&[("team", &["north", "south"])])).await, "b a");
        assert_eq!(found(store, filter(&[("tier", &["2"])])).await, "b a");
        assert_eq!(found(store, filter(&[("tier", &["2"]), ("team", &["south"])])).await, "b");
        assert_eq!(found(store, filter(&[("tier", &["3"]), ("team", &["south"])])).await, "");
        assert_eq!(found(store, filter(&[("other", &["north"])])).await, "");

        // The call moves in time, loses one key and has another value for the other.
        save_again(store, &b, &with_metadata(0, &[("team", r#""north""#)])).await;
        assert_eq!(found(store, filter(&[("team", &["north"])])).await, "a b");
        assert_eq!(found(store, filter(&[("team", &["south"])])).await, "");
        assert_eq!(found(store, filter(&[("tier", &["2"])])).await, "a");
    }
}

#[tokio::test]
async fn ranges_include_both_bounds_and_leave_out_what_is_unknown() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        keep(store, "live", &call(100)).await;
        keep(store, "short", &Call { state: end(205, None, Cause::Busy), ..call(200) }).await;
        keep(store, "long", &Call { state: end(400, None, Cause::Busy), ..call(300) }).await;
        let within = |from: i64, to: i64| Range { from: Some(from), to: Some(to) };

        assert_eq!(found(store, CallQuery { created: within(100, 200), ..all() }).await, "short live");
        assert_eq!(found(store, CallQuery { created: within(101, 199), ..all() }).await, "");
        assert_eq!(
            found(store, CallQuery { created: Range { from: Some(200), to: None }, ..all() }).await,
            "long short"
        );
        assert_eq!(found(store, CallQuery { ended: within(205, 400), ..all() }).await, "long short");
        assert_eq!(
            found(store, CallQuery { ended: Range { from: None, to: Some(399) }, ..all() }).await,
            "short"
        );
        assert_eq!(found(store, CallQuery { total_millis: within(5, 5), ..all() }).await, "short");
        assert_eq!(
            found(store, CallQuery { total_millis: Range { from: None, to: Some(100) }, ..all() }).await,
            "long short"
        );
    }
}

#[tokio::test]
async fn calls_are_found_by_what_was_said_in_turns_text_or_summary() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let said = |content: &str| Turn {
            at: at(1),
            said: TurnReport {
                role: Role::User,
                content: content.to_owned(),
                start_millis: None,
                end_millis: None,
                words: Vec::new(),
                language: None,
                inferred: false,
            },
        };
        let mut turns = with_words(1, "not looked at where there are turns", None);
        turns.content.turns = vec![said("I want my MONEY back"), said("don't you?")];
        keep(store, "turns", &turns).await;
        let text =
            keep(store, "text", &with_words(2, "back comes the money, señor", Some("asked for a refund")))
                .await;
        let saying = |text: &str| CallQuery { transcript: Some(text.to_owned()), ..all() };

        for (words, expected) in [
            ("money", "text turns"),
            ("back money", "text turns"),
            (r#""money back""#, "turns"),
            (r#"want "my money""#, "turns"),
            ("refund", "text"),
            ("refund money", "text"),
            ("refund want", ""),
            ("looked", ""),
            ("don't", "turns"),
            ("senor", "text"),
            ("", ""),
            ("!? -", ""),
            (r#""""#, ""),
        ] {
            assert_eq!(found(store, saying(words)).await, expected, "{words}");
        }

        save_again(store, &text, &with_words(2, "nothing of the kind", None)).await;
        assert_eq!(found(store, saying("refund")).await, "");
        assert_eq!(found(store, saying("kind")).await, "text");
        save_again(store, &text, &call(2)).await;
        assert_eq!(found(store, saying("kind")).await, "");
    }
}

#[tokio::test]
async fn what_is_said_is_found_once_the_call_has_ended_and_with_every_later_change() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let saying = |text: &str| CallQuery { transcript: Some(text.to_owned()), ..all() };
        let ended = with_words(1, "alpha", None);
        let live = Call { state: State::Initiated, ..ended.clone() };
        let head = keep(store, "c", &live).await;
        assert_eq!(found(store, saying("alpha")).await, "");
        // Only the state changes.
        save_again(store, &head, &ended).await;
        assert_eq!(found(store, saying("alpha")).await, "c");
        save_again(store, &head, &with_words(1, "alpha", Some("beta"))).await;
        assert_eq!(found(store, saying("beta")).await, "c");
        // An event that proves it alive after all.
        save_again(store, &head, &live).await;
        assert_eq!(found(store, saying("alpha")).await, "");
        save_again(store, &head, &ended).await;
        assert_eq!(found(store, saying("alpha")).await, "c");
        assert!(store.check().await.unwrap().iter().all(|finding| finding.severity == Severity::Fine));
    }
}

#[tokio::test]
async fn a_search_finds_nothing_that_another_organization_said() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let bill = Bill::default();
        keep(store, "ours", &with_words(1, "alpha o2xbeta", None)).await;
        keep_with(store, THEIRS, "theirs", &with_words(1, "beta", None), &bill, None).await;
        let twelve = OrganizationNumber(12);
        keep_with(store, twelve, "twelve", &with_words(1, "alpha", None), &bill, None).await;
        for (organization, text, expected) in [
            (OURS, "alpha", "ours"),
            (OURS, "beta", ""),
            (OURS, "o1xalpha", ""),
            (OURS, "o2xbeta", "ours"),
            (OURS, "2xalpha", ""),
            (THEIRS, "beta", "theirs"),
            (THEIRS, "alpha", ""),
            (twelve, "alpha", "twelve"),
        ] {
            for key in [SortKey::CreatedAt, SortKey::Relevance] {
                let sort = Sort { key, ascending: false };
                let query = CallQuery { transcript: Some(text.to_owned()), sort, ..all() };
                let page = store.calls(organization, &query).await.unwrap();
                assert_eq!(names(&page).join(" "), expected, "{organization:?} {text}");
                assert_eq!(page.total, Some(page.calls.len() as u64));
            }
        }
    }
}

#[tokio::test]
async fn by_relevance_the_summary_counts_more_than_the_transcript_and_ties_are_newest_first() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let filler = "one two three four five six seven eight nine ten";
        let passing = format!("refund {filler}");
        keep(store, "often", &with_words(1, &format!("refund refund refund {filler}"), None)).await;
        keep(store, "about", &with_words(2, filler, Some("refund"))).await;
        keep(store, "old", &with_words(9, &passing, None)).await;
        keep(store, "new", &Call { direction: Direction::Outbound, ..with_words(3, &passing, None) }).await;
        keep(store, "other", &with_words(5, filler, None)).await;
        let query = |offset, limit| CallQuery {
            transcript: Some("refund".to_owned()),
            sort: Sort { key: SortKey::Relevance, ascending: false },
            paging: Paging { limit, offset, after: None },
            ..all()
        };
        assert_eq!(found(store, query(0, 50)).await, "about often new old");
        let page = store.calls(OURS, &query(1, 2)).await.unwrap();
        assert_eq!((names(&page).join(" "), page.total, page.next), ("often new".to_owned(), Some(4), None));
        let outbound = CallQuery { directions: vec![Direction::Outbound], ..query(0, 50) };
        assert_eq!(found(store, outbound).await, "new");
        // Without a search there is nothing to match: newest first.
        assert_eq!(found(store, sorted(SortKey::Relevance, true)).await, "old other new about often");
    }
}

#[tokio::test]
async fn no_search_text_is_ever_read_as_an_expression() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        keep(store, "c", &with_words(1, "alpha beta or near", None)).await;
        let long: String = (0..3_000).map(|number| format!("{number} \"alpha beta\" ")).collect();
        for (text, expected) in [
            ("alpha OR gamma", ""),
            ("alpha or beta", "c"),
            ("NOT gamma", ""),
            ("alp*", if home.finds_beginnings() { "c" } else { "whole words only" }),
            ("al* alpha", ""),
            ("\"alp*\"", ""),
            ("*", ""),
            ("transcript:alpha", ""),
            ("NEAR(alpha beta)", ""),
            ("^alpha", "c"),
            ("{summary}:alpha", ""),
            ("alpha\" OR \"gamma", ""),
            ("alpha\0beta", "c"),
            ("'); DROP TABLE calls; --", ""),
            ("alpha AND", ""),
            ("(alpha", "c"),
            ("Ⓐ alpha", "c"),
            (long.as_str(), ""),
        ] {
            let query = CallQuery { transcript: Some(text.to_owned()), ..all() };
            let found = match store.calls(OURS, &query).await {
                Err(StoreError::WholeWords) => "whole words only".to_owned(),
                page => names(&page.unwrap()).join(" "),
            };
            assert_eq!(found, expected, "{text:.40}");
        }
    }
}

/// Nine calls, three of each start; every third one still lives.
async fn nine(store: &dyn Store) {
    for number in 0..9_i64 {
        let mut call = call(100 + number / 3);
        if number % 3 != 0 {
            call.state = end(500 - number / 3, None, Cause::Busy);
        }
        keep(store, &number.to_string(), &call).await;
    }
}

fn sorted(key: SortKey, ascending: bool) -> CallQuery {
    CallQuery { sort: Sort { key, ascending }, ..all() }
}

#[tokio::test]
async fn each_order_has_ties_by_newest_arrival_and_unknown_values_last() {
    for home in engines() {
        let store = home.open().unwrap();
        nine(&*store).await;
        for (key, ascending, expected) in [
            (SortKey::CreatedAt, false, "8 7 6 5 4 3 2 1 0"),
            (SortKey::CreatedAt, true, "2 1 0 5 4 3 8 7 6"),
            (SortKey::EndedAt, false, "2 1 5 4 8 7 6 3 0"),
            (SortKey::EndedAt, true, "8 7 5 4 2 1 6 3 0"),
            (SortKey::TotalTime, false, "2 1 5 4 8 7 6 3 0"),
            (SortKey::TotalTime, true, "8 7 5 4 2 1 6 3 0"),
        ] {
            assert_eq!(found(&*store, sorted(key, ascending)).await, expected, "{key:?} {ascending}");
        }
    }
}

#[tokio::test]
async fn pages_by_offset_cover_the_list_with_the_same_total_on_each() {
    for home in engines() {
        let store = home.open().unwrap();
        nine(&*store).await;
        for key in [SortKey::CreatedAt, SortKey::EndedAt, SortKey::TotalTime] {
            for ascending in [false, true] {
                let whole = found(&*store, sorted(key, ascending)).await;
                let mut parts = Vec::new();
                for offset in [0, 2, 4, 6, 8, 10] {
                    let paging = Paging { limit: 2, offset, after: None };
                    let page =
                        store.calls(OURS, &CallQuery { paging, ..sorted(key, ascending) }).await.unwrap();
                    assert_eq!(page.total, Some(9));
                    assert_eq!(page.next.is_some(), offset < 8);
                    parts.extend(names(&page).into_iter().map(str::to_owned));
                }
                assert_eq!(parts.join(" "), whole);
            }
        }
    }
}

const ORDERS: [SortKey; 3] = [SortKey::CreatedAt, SortKey::EndedAt, SortKey::TotalTime];

#[tokio::test]
async fn pages_by_cursor_cover_the_list_even_within_ties_and_unknown_values() {
    for home in engines() {
        let store = home.open().unwrap();
        nine(&*store).await;
        let filters = [
            all(),
            CallQuery { statuses: vec![Status::Initiated, Status::Busy], ..all() },
            CallQuery { statuses: vec![Status::Initiated], ..all() },
            CallQuery { ended: Range { from: Some(499), to: None }, ..all() },
        ];
        for (filter, key, ascending) in filters.iter().flat_map(|filter| {
            ORDERS.iter().flat_map(move |key| [false, true].map(move |ascending| (filter, *key, ascending)))
        }) {
            let filter = CallQuery { sort: Sort { key, ascending }, ..filter.clone() };
            let whole = found(&*store, filter.clone()).await;
            for limit in 1..=4 {
                let mut parts = Vec::new();
                let mut after = None;
                loop {
                    // An offset beside a cursor means nothing.
                    let paging = Paging { limit, offset: after.map_or(0, |_| 5), after };
                    let page = store.calls(OURS, &CallQuery { paging, ..filter.clone() }).await.unwrap();
                    assert_eq!(page.total.is_some(), after.is_none());
                    parts.extend(names(&page).into_iter().map(str::to_owned));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(parts.join(" "), whole, "{key:?} {ascending} {limit}");
            }
        }
    }
}

#[tokio::test]
async fn a_walk_by_cursor_meets_each_call_once_while_others_are_kept_and_end() {
    for home in engines() {
        for (key, ascending) in ORDERS.iter().flat_map(|key| [(*key, false), (*key, true)]) {
            let store = home.open().unwrap();
            let store = &*store;
            let before = format!("{key:?}{ascending}");
            for number in 0..6_i64 {
                let mut call = call(100 + number / 2);
                if number % 3 != 0 {
                    call.state = end(500 - number / 2, None, Cause::Busy);
                }
                keep(store, &format!("{before}_{number}"), &call).await;
            }
            let mut met = Vec::new();
            let mut after = None;
            for round in 0.. {
                let paging = Paging { limit: 2, offset: 0, after };
                let page = store.calls(OURS, &CallQuery { paging, ..sorted(key, ascending) }).await.unwrap();
                met.extend(names(&page).into_iter().map(str::to_owned));
                after = page.next;
                if after.is_none() {
                    break;
                }
                // Among those that were met, among those to come, and among those of which nothing is known.
                for (place, state) in [
                    (99, end(501, None, Cause::Busy)),
                    (103, end(490, None, Cause::Busy)),
                    (101, State::Queued),
                ] {
                    let name = format!("late_{before}_{round}_{place}");
                    if round < 3 {
                        keep(store, &name, &Call { state, ..call(place) }).await;
                    }
                }
            }
            let ours: Vec<_> = met.iter().filter(|name| name.starts_with(&before)).collect();
            let mut once = ours.clone();
            once.sort();
            once.dedup();
            assert_eq!((ours.len(), once.len()), (6, 6), "{before}: {met:?}");
        }
    }
}

#[tokio::test]
async fn no_calls_and_all_calls_are_pages_too() {
    for home in engines() {
        let store = home.open().unwrap();
        nine(&*store).await;
        let none = Paging { limit: 0, offset: u64::MAX, after: None };
        let page = store.calls(OURS, &CallQuery { paging: none, ..all() }).await.unwrap();
        assert_eq!((page.calls.len(), page.total, page.next), (0, Some(9), None));
        let largest = Paging { limit: u32::MAX, offset: 0, after: None };
        let page = store.calls(OURS, &CallQuery { paging: largest, ..all() }).await.unwrap();
        assert_eq!((page.calls.len(), page.next), (9, None));
    }
}

#[tokio::test]
async fn a_call_whose_start_moves_changes_its_place() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        let late = keep(store, "late", &call(300)).await;
        keep(store, "early", &call(200)).await;
        assert_eq!(found(store, all()).await, "late early");
        save_again(store, &late, &call(100)).await;
        assert_eq!(found(store, all()).await, "early late");
        let created = Range { from: Some(250), to: None };
        assert_eq!(found(store, CallQuery { created, ..all() }).await, "");
    }
}
