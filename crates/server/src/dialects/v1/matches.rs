//! Where the words of a search stand in a call, as pieces of text that can be shown.

use std::{collections::HashSet, ops::Range};

use pegcount_calls::{Passage, Places, Role, Search};
use pegcount_store::Filed;

use super::wire::{MatchBody, MatchField, MatchRole};

/// So many places are shown of a call.
const MOST_MATCHES: usize = 3;
/// So many characters of the text a snippet has, without what is escaped and marked.
const SNIPPET: usize = 160;
/// So many of them stand before the first word that was searched for.
const BEFORE: usize = 48;
/// So much of a call is looked through: hours of talk.
const MOST_READ: usize = 256 * 1024;
/// So much of all calls of a page.
const MOST_READ_OF_A_PAGE: usize = 4 * 1024 * 1024;

/// Looks for the words of a search in calls that it found.
pub(super) struct Seeker {
    search: Search,
    /// So many bytes may still be looked through.
    left: usize,
}

/// A piece of a passage.
struct Piece<'a> {
    passage: Passage<'a>,
    /// The bytes of it that are shown.
    shown: Range<usize>,
    /// The bytes that are marked; they ascend and do not touch.
    marked: Vec<Range<usize>>,
    /// The terms that stand there.
    terms: Vec<usize>,
}

impl Seeker {
    /// One for a page of a list.
    pub(super) fn of(text: &str) -> Self {
        Self { search: Search::of(text), left: MOST_READ_OF_A_PAGE }
    }

    /// The places to show of a call: each term once before any is shown again.
    pub(super) fn matches(&mut self, filed: &Filed) -> Vec<MatchBody> {
        let content = &filed.call.content;
        let most = self.left.min(MOST_READ);
        let length: usize = pegcount_calls::spoken(content).map(|passage| passage.text().len()).sum();
        self.left -= length.min(most);
        let mut pieces: Vec<Piece<'_>> =
            self.search.places(content, most).iter().flat_map(Piece::of_passage).collect();
        let mut seen = HashSet::new();
        let new: Vec<bool> = pieces
            .iter()
            .map(|piece| piece.terms.iter().filter(|term| seen.insert(**term)).count() > 0)
            .collect();
        let firsts = new.iter().filter(|new| **new).count().min(MOST_MATCHES);
        let (mut firsts, mut others) = (firsts, MOST_MATCHES - firsts);
        let mut new = new.into_iter();
        pieces.retain(|_| {
            let left = if new.next() == Some(true) { &mut firsts } else { &mut others };
            let stays = *left > 0;
            *left = left.saturating_sub(1);
            stays
        });
        pieces.iter().map(Piece::body).collect()
    }
}

impl<'a> Piece<'a> {
    /// The pieces of a passage, one after the other, that hold all of its places.
    fn of_passage(found: &Places<'a>) -> Vec<Self> {
        let text = found.passage.text();
        let mut pieces: Vec<Self> = Vec::new();
        for (place, term) in &found.places {
            if pieces.last().is_none_or(|last| place.start >= last.shown.end) {
                let from = pieces.last().map_or(0, |last| last.shown.end);
                let shown = shown(text, from, place.start);
                pieces.push(Self { passage: found.passage, shown, marked: Vec::new(), terms: Vec::new() });
            }
            if let Some(last) = pieces.last_mut() {
                // What is cut at the end is marked as far as it is shown.
                last.mark(place.start..place.end.min(last.shown.end));
                last.terms.push(*term);
            }
        }
        pieces
    }

    fn mark(&mut self, place: Range<usize>) {
        match self.marked.last_mut().filter(|last| place.start <= last.end) {
            Some(last) => last.end = last.end.max(place.end),
            None => self.marked.push(place),
        }
    }

    fn body(&self) -> MatchBody {
        let (field, role, start_ms) = match self.passage {
            Passage::Summary(_) => (MatchField::Summary, None, None),
            Passage::Transcript(_) => (MatchField::Transcript, None, None),
            Passage::Turn(turn) => {
                let role = match turn.said.role {
                    Role::Agent => MatchRole::Agent,
                    Role::User => MatchRole::Caller,
                };
                (MatchField::Transcript, Some(role), turn.said.start_millis)
            }
        };
        MatchBody { field, role, start_ms, snippet: self.snippet() }
    }

    fn snippet(&self) -> String {
        let text = self.passage.text();
        let mut snippet = String::with_capacity(SNIPPET * 2);
        let mut at = self.shown.start;
        if text.get(..at).is_some_and(|before| !before.trim().is_empty()) {
            snippet.push('…');
        }
        for marked in &self.marked {
            push_escaped(&mut snippet, text.get(at..marked.start).unwrap_or_default());
            snippet.push_str("<mark>");
            push_escaped(&mut snippet, text.get(marked.clone()).unwrap_or_default());
            snippet.push_str("</mark>");
            at = marked.end;
        }
        push_escaped(&mut snippet, text.get(at..self.shown.end).unwrap_or_default());
        if text.get(self.shown.end..).is_some_and(|behind| !behind.trim().is_empty()) {
            snippet.push('…');
        }
        snippet
    }
}

/// The bytes to show around what begins at `place`, none before `from`; whole words where there are any.
fn shown(text: &str, from: usize, place: usize) -> Range<usize> {
    let before = text.get(from..place).unwrap_or_default();
    let start = before.char_indices().rev().take(BEFORE).last().map_or(place, |(start, _)| from + start);
    let start = if start == from { from } else { next_word(text, start, place) };
    let rest = text.get(start..).unwrap_or_default();
    let Some((length, _)) = rest.char_indices().nth(SNIPPET) else { return start..text.len() };
    let cut = start + length;
    // The word that was searched for stands there, whole or not.
    let last_blank = text.get(place..cut).and_then(|tail| tail.rfind(char::is_whitespace));
    start..last_blank.map_or(cut, |blank| place + blank)
}

/// Where the first word begins behind `start`, but before `place`.
fn next_word(text: &str, start: usize, place: usize) -> usize {
    let between = text.get(start..place).unwrap_or_default();
    between
        .char_indices()
        .skip_while(|(_, char)| !char.is_whitespace())
        .find(|(_, char)| !char.is_whitespace())
        .map_or(start, |(offset, _)| start + offset)
}

/// Text as it can stand in a page. Blanks and what steers a screen become one blank.
fn push_escaped(html: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            char if char.is_whitespace() || char.is_control() => {
                if !html.ends_with(' ') {
                    html.push(' ');
                }
            }
            char => html.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{Analysis, Content, Turn, TurnReport};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::samples::filed;

    fn call(turns: &[(Role, &str)], summary: Option<&str>) -> Filed {
        let mut filed =
            filed("call_1", &json!([{"created_at": "2025-01-10T10:00:00Z", "event_type": "call_initiated"}]))
                .0;
        let turn = |(number, (role, content)): (usize, &(Role, &str))| Turn {
            at: filed.call.created_at,
            said: TurnReport {
                role: *role,
                content: (*content).to_owned(),
                start_millis: i64::try_from(number).ok().map(|number| number * 1_000),
                end_millis: None,
                words: Vec::new(),
                language: None,
                inferred: false,
            },
        };
        let turns = turns.iter().enumerate().map(turn).collect();
        let analysis = summary.map(|text| Analysis { summary: Some(text.to_owned()), ..Analysis::default() });
        filed.call.content = Content { turns, analysis, ..Content::default() };
        filed
    }

    fn snippets(search: &str, filed: &Filed) -> Vec<String> {
        Seeker::of(search).matches(filed).into_iter().map(|found| found.snippet).collect()
    }

    #[test]
    fn a_match_says_where_who_and_when() {
        let filed = call(
            &[(Role::Agent, "How can I help?"), (Role::User, "I want my money\nback, s'il vous plaît.")],
            Some("Asked for the money & got it"),
        );
        let found = serde_json::to_value(Seeker::of("\"MONEY back\" plait asked").matches(&filed)).unwrap();
        assert_eq!(
            found,
            json!([
                {"field": "summary", "role": null, "start_ms": null,
                    "snippet": "<mark>Asked</mark> for the money &amp; got it"},
                {"field": "transcript", "role": "caller", "start_ms": 1000,
                    "snippet": "I want my <mark>money back</mark>, s&#39;il vous <mark>plaît</mark>."},
            ])
        );
    }

    #[test]
    fn a_snippet_is_cut_at_words_and_says_so() {
        let text = format!("{}needle {}", "hay and straw ".repeat(20), "more hay ".repeat(40));
        let found = snippets("needle", &call(&[(Role::Agent, &text)], None));
        let [found] = found.as_slice() else { panic!("{found:?}") };
        assert!(
            found.starts_with("…and straw hay")
                || found.starts_with("…straw hay")
                || found.starts_with("…hay")
        );
        assert!(found.contains(" straw <mark>needle</mark> more hay ") && found.ends_with("hay…"), "{found}");
        let plain = found.replace("<mark>", "").replace("</mark>", "").chars().count();
        assert!((130..=SNIPPET + 2).contains(&plain), "{plain}: {found}");
        let long = "x".repeat(1_000);
        let found = snippets(&long, &call(&[(Role::Agent, &long)], None));
        assert_eq!(found, [format!("<mark>{}</mark>…", "x".repeat(SNIPPET))]);
    }

    #[test]
    fn three_places_are_shown_and_each_word_before_any_is_shown_again() {
        let turns: Vec<(Role, String)> = (0..9).map(|number| (Role::User, format!("yes {number}"))).collect();
        let mut turns: Vec<(Role, &str)> = turns.iter().map(|(role, text)| (*role, text.as_str())).collect();
        turns.push((Role::Agent, "no"));
        let found = snippets("yes no", &call(&turns, None));
        assert_eq!(found, ["<mark>yes</mark> 0", "<mark>yes</mark> 1", "<mark>no</mark>"]);
    }

    #[test]
    fn a_page_is_looked_through_no_further_than_so_far() {
        let filed = call(&[(Role::User, &format!("{} needle", "hay ".repeat(MOST_READ / 4 - 10)))], None);
        let mut seeker = Seeker::of("needle");
        let full = MOST_READ_OF_A_PAGE / MOST_READ;
        let found: Vec<usize> = (0..full + 2).map(|_| seeker.matches(&filed).len()).collect();
        assert_eq!(found.iter().sum::<usize>(), full, "{found:?}");
    }

    proptest! {
        #[test]
        fn whatever_was_said_a_snippet_has_no_tag_but_the_marks(
            text in "(\\PC{0,20}|<b>|&|\"|'| |\n|word|wo\u{301}rd|<mark>){0,40}",
            search in "(\\PC{0,5}|word|b| |mark|wor\\*|\"){0,6}",
        ) {
            let filed = call(&[(Role::User, &text)], Some(&text));
            for found in Seeker::of(&search).matches(&filed) {
                let plain = found.snippet.replace("<mark>", "").replace("</mark>", "");
                prop_assert!(!plain.contains(['<', '>', '"', '\'', '\n']), "{}", found.snippet);
                let (open, close) = ("<mark>", "</mark>");
                prop_assert_eq!(found.snippet.matches(open).count(), found.snippet.matches(close).count());
                prop_assert!(found.snippet.contains(open));
                let raw = plain.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
                prop_assert!(raw.replace("&amp;", "&").chars().count() <= SNIPPET + 2);
            }
        }
    }
}
