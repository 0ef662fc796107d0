//! What is said in calls, as a search finds it: the full-text index, and what is looked for in it.
//!
//! Every word stands in the index with the number of its organization in front. So a search walks the entries of its own
//! organization alone, however much the others have said, and how well a call matches depends on no other's words.
//!
//! A call is in the index once it has ended: a live one would be taken out and put in whole with each turn.

use pegcount_calls::Content;
use rusqlite::{Connection, params};

use super::{
    documents,
    fault::Result,
    rows::{one, run},
};
use crate::{CallKey, OrganizationNumber, StoreError};

/// The words of a call in the places where a search looks: the transcript and the summary.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Words([String; 2]);

impl Words {
    /// The words of a call with this content, if it has ended.
    pub(super) fn of(content: &Content, has_ended: bool) -> Self {
        if !has_ended {
            return Self::default();
        }
        let transcript = if content.turns.is_empty() {
            content.transcript_text.clone().unwrap_or_default()
        } else {
            let turns: Vec<&str> = content.turns.iter().map(|turn| turn.said.content.as_str()).collect();
            turns.join("\n")
        };
        let summary = content.analysis.as_ref().and_then(|analysis| analysis.summary.clone());
        Self([transcript, summary.unwrap_or_default()])
    }

    /// Whether there are none to be found.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|text| words(text).next().is_none())
    }

    /// Puts these words of a call in the place of its old ones; whether that changed the index.
    pub(super) fn replace(
        &self,
        old: &Self,
        connection: &Connection,
        organization: OrganizationNumber,
        key: CallKey,
    ) -> Result<bool> {
        if self == old {
            return Ok(false);
        }
        if !old.is_empty() {
            run(connection, "DELETE FROM transcripts WHERE rowid = ?1", [key.0])?;
        }
        self.add(connection, organization, key)?;
        Ok(true)
    }

    fn add(&self, connection: &Connection, organization: OrganizationNumber, key: CallKey) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let [transcript, summary] = self.0.each_ref().map(|text| marked(organization, text));
        let sql = "INSERT INTO transcripts (rowid, transcript, summary) VALUES (?1, ?2, ?3)";
        run(connection, sql, params![key.0, transcript, summary])?;
        Ok(())
    }
}

/// How many pages of the index are merged for each call whose words came in: as many as it brings, once for each level.
/// The index would do so by itself, but not before there is much to do, and then within one commit: measured, that held
/// up one event of a hundred for 35 ms.
const PAGES_A_CALL: i64 = 12;
/// Most pages that one commit merges.
const MOST_PAGES: i64 = 1_200;

/// Merges parts of the index, for so many calls whose words came in since the last time.
pub(super) fn merge(connection: &Connection, calls: u32) -> Result<()> {
    if calls > 0 {
        let pages = (i64::from(calls) * PAGES_A_CALL).min(MOST_PAGES);
        run(connection, "INSERT INTO transcripts (transcripts, rank) VALUES ('merge', ?1)", [pages])?;
    }
    Ok(())
}

/// Whether a call is in the index.
pub(super) fn has_entry(connection: &Connection, key: CallKey) -> Result<bool> {
    Ok(one(connection, "SELECT 1 FROM transcripts WHERE rowid = ?1", [key.0], |_| Ok(()))?.is_some())
}

/// Fills the empty index, one call at a time.
pub(super) fn fill(connection: &Connection) -> Result<()> {
    let sql = "SELECT c.pk, c.org, d.body FROM calls c JOIN call_documents d ON d.pk = c.pk
               WHERE c.ended_ms IS NOT NULL ORDER BY c.pk";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let key = CallKey(row.get(0)?);
        let body: Vec<u8> = row.get(2)?;
        let content = match documents::unpack(&body).map_err(StoreError::from) {
            Ok(body) => body.content,
            // A look at the store names it. The rest must be found even so.
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::error!(%error, call = key.0, "what is said in a damaged call cannot be searched for");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        Words::of(&content, true).add(connection, OrganizationNumber(row.get(1)?), key)?;
    }
    Ok(())
}

/// The full-text expression for a text: each word, and each phrase within double quotes, must occur. Everything is
/// quoted, so no text is ever read as an operator. `None` when there is nothing to look for.
pub(super) fn match_of(organization: OrganizationNumber, text: &str) -> Option<String> {
    let mut terms: Vec<&str> = Vec::new();
    let mut parts = text.split('"').enumerate().peekable();
    while let Some((place, part)) = parts.next() {
        // Every second part lies within quotes, unless the closing one is missing.
        if place % 2 == 1 && parts.peek().is_some() {
            terms.push(part);
        } else {
            terms.extend(part.split(|char: char| char.is_whitespace() || char.is_control()));
        }
    }
    let terms = terms.into_iter().map(|term| marked(organization, term)).filter(|term| !term.is_empty());
    let quoted: Vec<String> = terms.map(|term| format!("\"{}\"", term.trim_start())).collect();
    (!quoted.is_empty()).then(|| quoted.join(" "))
}

/// The words of a text with their organization in front of each.
fn marked(organization: OrganizationNumber, text: &str) -> String {
    // The letter behind the number ends it: 1 is not the beginning of 12.
    let mark = format!(" o{}x", organization.0);
    let mut marked = String::with_capacity(text.len() * 2);
    for word in words(text) {
        marked.push_str(&mark);
        marked.push_str(word);
    }
    marked
}

/// The words of a text. The tokenizer of the index finds no letter or digit between them, and folds what it is given.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_in_a_word = |char| is_letter(char) || is_private(char) || is_combining(char);
    let words = text.split(move |char: char| !is_in_a_word(char));
    words.filter(|word| word.chars().any(|char| !is_combining(char)))
}

/// Letters in circles and squares are signs to the tokenizer.
fn is_letter(char: char) -> bool {
    char.is_alphanumeric() && !matches!(char, '\u{24b6}'..='\u{24e9}' | '\u{1f130}'..='\u{1f189}')
}

fn is_private(char: char) -> bool {
    matches!(char, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}')
}

/// An accent that stands behind its letter: both spellings of a letter are one word.
fn is_combining(char: char) -> bool {
    matches!(char, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: OrganizationNumber = OrganizationNumber(7);

    #[test]
    fn words_and_phrases_are_quoted_and_nothing_else_gets_through() {
        let expression = |text| match_of(OURS, text);
        assert_eq!(expression("refund  NOT:x*").as_deref(), Some(r#""o7xrefund" "o7xNOT o7xx""#));
        assert_eq!(expression(r#"a "new line" b"#).as_deref(), Some(r#""o7xa" "o7xnew o7xline" "o7xb""#));
        assert_eq!(expression(r#"open "quote OR"#).as_deref(), Some(r#""o7xopen" "o7xquote" "o7xOR""#));
        assert_eq!(expression("nul\0byte").as_deref(), Some(r#""o7xnul" "o7xbyte""#));
        assert_eq!(expression(r#" "" -- * \u{301} "#), Some(r#""o7xu o7x301""#.to_owned()));
        assert_eq!(expression("\"\" -- * \u{301} "), None);
    }

    #[test]
    fn a_word_holds_its_accents_in_either_spelling() {
        let found: Vec<&str> = words("se\u{f1}or sen\u{303}or, don't").collect();
        assert_eq!(found, ["se\u{f1}or", "sen\u{303}or", "don", "t"]);
    }
}
