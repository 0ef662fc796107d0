//! What is said in calls, as a search finds it: the full-text index, and what is looked for in it.
//!
//! Every word stands in the index with the number of its organization in front. So a search walks the entries of its own
//! organization alone, however much the others have said, and how well a call matches depends on no other's words.
//!
//! A call is in the index once it has ended: a live one would be taken out and put in whole with each turn.
//!
//! The index lies in a file of its own ([`index`]), and a thread of its own writes it ([`indexer`]): to put one call's words
//! in costs as much as all that is written of the call besides, and nobody who tells of a call has to wait for it. The
//! transaction that changes a call's words only notes that ([`due`]); a search waits for what was noted before it. All
//! that is in the index follows from the calls, so it may be lost: then it is made anew.

mod check;
mod due;
mod index;
mod indexer;
#[cfg(test)]
mod tests;

pub(super) use check::Snapshot;
pub(super) use due::note;
pub(super) use index::{attach, path_beside, whole};
pub(super) use indexer::{Indexer, LOG_DUE, Notes, Worker};

use pegcount_calls::{Content, Passage, Search, Term, spoken, words};

use crate::OrganizationNumber;

/// The words of a call in the places where a search looks: the transcript and the summary.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Words([String; 2]);

impl Words {
    /// The words of a call with this content, if it has ended.
    pub(super) fn of(content: &Content, has_ended: bool) -> Self {
        if !has_ended {
            return Self::default();
        }
        let mut all = Self::default();
        for passage in spoken(content) {
            let [transcript, summary] = &mut all.0;
            let text = if matches!(passage, Passage::Summary(_)) { summary } else { transcript };
            text.push_str(passage.text());
            text.push('\n');
        }
        all
    }

    /// Whether there are none to be found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|text| words(text).next().is_none())
    }

    /// The transcript and the summary as they are put into the index; `None` when there is nothing to be found.
    fn marked(&self, organization: OrganizationNumber) -> Option<[String; 2]> {
        (!self.is_empty()).then(|| self.0.each_ref().map(|text| marked(organization, text)))
    }
}

/// The full-text expression for these terms: each must occur. Everything is quoted, so no text is ever read as an
/// operator. `None` when there is nothing to look for.
pub(super) fn match_of<'a>(
    organization: OrganizationNumber,
    terms: impl IntoIterator<Item = &'a Term>,
) -> Option<String> {
    let mark = mark(organization);
    let quoted = |term: &Term| {
        let words: Vec<String> = term.words.iter().map(|word| format!("{mark}{word}")).collect();
        format!("\"{}\"{}", words.join(" "), if term.is_open { " *" } else { "" })
    };
    let quoted: Vec<String> = terms.into_iter().map(quoted).collect();
    (!quoted.is_empty()).then(|| quoted.join(" "))
}

/// Whether a text asks for words by how they begin.
pub(super) fn looks_for_beginnings(text: &str) -> bool {
    Search::of(text).terms().iter().any(|term| term.is_open)
}

/// The full-text expression for what a text asks for.
pub(super) fn match_of_text(organization: OrganizationNumber, text: &str) -> Option<String> {
    match_of(organization, Search::of(text).terms())
}

/// The words of a text with their organization in front of each. The tokenizer of the index finds the same words: it
/// parts them at what is neither letter nor digit in ASCII, and that is in none.
fn marked(organization: OrganizationNumber, text: &str) -> String {
    let mark = mark(organization);
    let mut marked = String::with_capacity(text.len() * 2);
    for (_, word) in words(text) {
        marked.push(' ');
        marked.push_str(&mark);
        marked.push_str(&word);
    }
    marked
}

/// What stands in front of an organization's words. The letter behind the number ends it: 1 is not the beginning of 12.
fn mark(organization: OrganizationNumber) -> String {
    format!("o{}x", organization.0)
}

/// A connection that writes the index beside this store.
#[cfg(test)]
pub(super) fn open_index(store: &std::path::Path) -> rusqlite::Connection {
    super::connect::open_existing(&path_beside(store)).unwrap()
}

#[cfg(test)]
mod expression_tests {
    use super::*;

    const OURS: OrganizationNumber = OrganizationNumber(7);

    #[test]
    fn words_and_phrases_are_quoted_and_nothing_else_gets_through() {
        let expression = |text| match_of_text(OURS, text);
        assert_eq!(expression("refund  NOT:x").as_deref(), Some(r#""o7xrefund" "o7xnot o7xx""#));
        assert_eq!(expression(r#"a "new line" b*"#).as_deref(), Some(r#""o7xa" "o7xnew o7xline" "o7xb""#));
        assert_eq!(expression("refund* \"").as_deref(), Some(r#""o7xrefund" *"#));
        assert_eq!(expression("\"\" -- * \u{301} "), None);
    }
}
