use proptest::prelude::*;

use super::*;
use crate::{Analysis, Role, Timestamp, TurnReport};

fn terms(text: &str) -> Vec<String> {
    let shown = |term: &Term| format!("{}{}", term.words.join(" "), if term.is_open { "*" } else { "" });
    Search::of(text).terms().iter().map(shown).collect()
}

fn turn(content: &str) -> Turn {
    let said = TurnReport {
        role: Role::Agent,
        content: content.to_owned(),
        start_millis: None,
        end_millis: None,
        words: Vec::new(),
        language: None,
        inferred: false,
    };
    Turn { at: Timestamp::from_millis(0), said }
}

fn content(summary: Option<&str>, turns: &[&str]) -> Content {
    Content {
        analysis: summary.map(|text| Analysis { summary: Some(text.to_owned()), ..Analysis::default() }),
        turns: turns.iter().map(|text| turn(text)).collect(),
        ..Content::default()
    }
}

/// What stands in each passage.
fn found(search: &str, content: &Content) -> Vec<Vec<String>> {
    let cut = |found: Places<'_>| {
        found.places.iter().map(|(range, _)| found.passage.text()[range.clone()].to_owned()).collect()
    };
    Search::of(search).places(content, usize::MAX).into_iter().map(cut).collect()
}

#[test]
fn words_and_phrases_are_terms_and_nothing_is_an_operator() {
    assert_eq!(terms("Refund  NOT:x*"), ["refund", "not x"]);
    assert_eq!(terms(r#"a "New Line" b"#), ["a", "new line", "b"]);
    assert_eq!(terms("\u{201c}money back\u{201d} now"), ["money back", "now"]);
    assert_eq!(terms(r#"open "quote OR"#), ["open", "quote", "or"]);
    assert_eq!(terms("don't don\u{2019}t 555-1234"), ["don t", "555 1234"]);
    assert_eq!(terms("nul\0byte"), ["nul", "byte"]);
    for nothing in ["", " \"\" -- * \u{301} ", "\"", "Ⓐ ① !?"] {
        assert!(terms(nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn a_star_ends_the_beginning_of_a_word_that_has_three_letters() {
    assert_eq!(terms("ref* re* * \"refu*\" non-ref* ré́f*"), ["ref*", "re", "refu", "non ref*"]);
}

#[test]
fn a_word_is_the_same_however_it_is_written() {
    for (one, other) in [
        ("résumé", "RESUME"),
        ("re\u{301}sume\u{301}", "résumé"),
        ("Straße", "STRASSE"),
        ("ŁÓDŹ", "lodz"),
        ("smørrebrød", "smorrebrod"),
        ("ﬁnance", "finance"),
        ("４２", "42"),
        ("ΛΌΓΟΣ", "λογος"),
        ("co\u{ad}operate", "cooperate"),
        ("İstanbul", "istanbul"),
        ("हिन्दी", "हिन्दी"),
    ] {
        assert_eq!(terms(one), terms(other));
        assert_eq!(terms(one).len(), 1, "{one}");
        assert!(!terms(one)[0].contains(' '), "{one}");
    }
    // Another letter, and signs that are words of their own.
    assert_ne!(terms("हिन्दी"), terms("हन्दी"));
    assert_eq!(terms("退款 ok"), ["退 款", "ok"]);
    assert_eq!(terms("3½"), ["3½"]);
}

#[test]
fn what_stands_in_a_call_is_found_in_its_summary_and_by_time() {
    let call = content(Some("Refund asked."), &["My REFUND, my refund!", "No.", "refunding is fun"]);
    assert_eq!(found("refund", &call), [vec!["Refund"], vec!["REFUND", "refund"]]);
    assert_eq!(
        found("refund* fun", &call),
        [vec!["Refund"], vec!["REFUND", "refund"], vec!["refunding", "fun"]]
    );
    assert_eq!(found("\"my refund\" my", &call), [vec!["My", "My REFUND", "my", "my refund"]]);
    assert_eq!(found("nothing", &call), Vec::<Vec<String>>::new());
}

#[test]
fn a_phrase_runs_on_into_the_next_turn_but_not_out_of_the_summary() {
    let call = content(Some("about money"), &["back to", "", "back money", "back, then"]);
    assert_eq!(found("\"money back\"", &call), [["money"], ["back"]]);
    assert_eq!(found("\"to back\"", &call), [["to"], ["back"]]);
    assert_eq!(found("\"back back\"", &call), Vec::<Vec<String>>::new());
}

#[test]
fn no_more_is_read_than_was_allowed() {
    let call = content(None, &["one é", "one"]);
    let places = |most| Search::of("one").places(&call, most).len();
    assert_eq!([2, 3, 6, 7, 8, 9, 10].map(places), [0, 1, 1, 1, 1, 2, 2]);
}

proptest! {
    #[test]
    fn every_text_is_a_search_and_finds_itself(text in "\\PC{0,40}", other in any::<String>()) {
        for text in [&text, &other] {
            let search = Search::of(text);
            for term in search.terms() {
                prop_assert!(!term.words.is_empty());
                // An index that parts words at whatever in ASCII is neither letter nor digit has the same ones.
                let is_safe = |char: char| !char.is_ascii() || char.is_ascii_lowercase() || char.is_ascii_digit();
                prop_assert!(term.words.iter().all(|word| !word.is_empty() && word.chars().all(is_safe)), "{term:?}");
            }
            let call = content(None, &[text.as_str()]);
            let found = search.places(&call, usize::MAX);
            let mut seen: Vec<usize> = found.iter().flat_map(|found| &found.places).map(|(_, term)| *term).collect();
            seen.sort_unstable();
            seen.dedup();
            prop_assert_eq!(seen.len(), search.terms().len().min(MOST_SHOWN));
            for found in &found {
                for (range, term) in &found.places {
                    let stands: Vec<_> = words(&text[range.clone()]).map(|(_, word)| word.into_owned()).collect();
                    let term = &search.terms()[*term];
                    prop_assert_eq!(stands.len(), term.words.len());
                    let last = stands.len() - 1;
                    prop_assert_eq!(&stands[..last], &term.words[..last]);
                    prop_assert!(stands[last].starts_with(&term.words[last]));
                }
            }
        }
    }
}
