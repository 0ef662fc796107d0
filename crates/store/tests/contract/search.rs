//! What is said is found just where a reader is shown it.

use pegcount_calls::{Call, CallQuery, Content, Search};
use pegcount_store::{Store, StoreError};
use proptest::{prelude::*, test_runner::TestRunner};

use crate::{
    bench::{OURS, found, keep, names, with_words},
    engines,
};

fn saying(text: &str) -> CallQuery {
    CallQuery { transcript: Some(text.to_owned()), ..CallQuery::default() }
}

/// Calls as people speak and as they type, the oldest first.
const SAID: [(&str, Option<&str>); 8] = [
    ("Your résumé, please. It's order 555-1234 of re-order 7!", None),
    ("YOUR RESUME PLEASE", Some("naïve café owner")),
    ("Straße und Łódź, smørrebrød", Some("")),
    ("你好，我要退款。", Some("refund of 3½ %")),
    ("हिन्दी में बात", None),
    ("don\u{2019}t re\u{301}sume\u{301} refunding the refunded refunds", None),
    ("Ⓐ ① ½ ﬁne ４２ ﷺ o1xplease", Some("summary : alpha AND beta")),
    ("", None),
];

async fn filled(store: &dyn Store) -> Vec<Content> {
    let mut contents = Vec::new();
    for (number, (transcript, summary)) in SAID.into_iter().enumerate() {
        let call: Call = with_words(i64::try_from(number).unwrap(), transcript, summary);
        keep(store, &format!("c{number}"), &call).await;
        contents.push(call.content);
    }
    contents
}

#[tokio::test]
async fn words_are_found_however_they_are_written() {
    for home in engines() {
        let store = home.open().unwrap();
        let store = &*store;
        filled(store).await;
        for (text, expected) in [
            ("resume", "c5 c1 c0"),
            ("RÉSUMÉ", "c5 c1 c0"),
            ("re\u{301}sume\u{301}", "c5 c1 c0"),
            ("cafe", "c1"),
            ("strasse lodz SMORREBROD", "c2"),
            ("don't", "c5"),
            ("don\u{2019}t", "c5"),
            ("\u{201c}don t\u{201d}", "c5"),
            ("555-1234", "c0"),
            ("555 1234", "c0"),
            ("1234-555", ""),
            ("re-order", "c0"),
            ("reorder", ""),
            ("退款", "c3"),
            ("款退", ""),
            ("हिन्दी", "c4"),
            ("हन्दी", ""),
            ("refund", "c3"),
            ("refund*", "c5 c3"),
            ("REFUNDÉ*", "c5"),
            ("refund* \"the refunded\"", "c5"),
            ("fine 42", "c6"),
        ] {
            if text.contains('*') && !home.finds_beginnings() {
                let refused = store.calls(OURS, &saying(text)).await;
                assert!(matches!(refused, Err(StoreError::WholeWords)), "{text}");
                continue;
            }
            assert_eq!(found(store, saying(text)).await, expected, "{text}");
        }
    }
}

#[test]
fn whatever_is_typed_is_a_search_and_finds_the_calls_in_which_it_can_be_shown() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for home in engines() {
        let store = home.open().unwrap();
        let contents = runtime.block_on(filled(&*store));
        let piece = prop_oneof![
            any::<String>(),
            "\\PC{0,8}",
            "[a-zA-Z0-9\"*'():^{}+,. -]{0,12}",
            prop::sample::select(SAID.map(|(text, summary)| [text, summary.unwrap_or_default()]).concat())
                .prop_map(str::to_owned),
            prop::sample::select(vec![
                " ", "\"", "*", "re", "fund", "resume", "NOT", "AND", "NEAR", "é", "款", "\0"
            ])
            .prop_map(str::to_owned),
        ];
        let texts = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
        let mut runner = TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
        let ran = runner.run(&texts, |text| {
            let asks_for_beginnings = Search::of(&text).terms().iter().any(|term| term.is_open);
            prop_assume!(home.finds_beginnings() || !asks_for_beginnings);
            let page = runtime.block_on(store.calls(OURS, &saying(&text)));
            let page = page.map_err(|error| TestCaseError::fail(format!("{text:?}: {error}")))?;
            let search = Search::of(&text);
            let shown = |content: &Content| {
                let places = search.places(content, usize::MAX);
                let terms = places.iter().flat_map(|found| &found.places).map(|(_, term)| *term);
                let terms: std::collections::HashSet<usize> = terms.collect();
                !search.terms().is_empty() && terms.len() == search.terms().len()
            };
            // Of more terms not all are shown.
            prop_assume!(search.terms().len() <= 32);
            let mut expected: Vec<String> = contents
                .iter()
                .enumerate()
                .filter(|(_, content)| shown(content))
                .map(|(number, _)| format!("c{number}"))
                .collect();
            expected.reverse();
            prop_assert_eq!(names(&page), expected, "{:?}", text);
            Ok(())
        });
        ran.unwrap();
    }
}
