//! What is said in calls, as a search finds it: the full-text index, and what is looked for in it.
//!
//! Every word stands in the index with the number of its organization in front. So a search walks the entries of its own
//! organization alone, however much the others have said, and how well a call matches depends on no other's words.
//!
//! A call is in the index once it has ended: a live one would be taken out and put in whole with each turn.

use pegcount_calls::{Content, Passage, Search, Term, spoken, words};
use rusqlite::{Connection, params};

use super::{
    documents,
    fault::Result,
    rows::{one, run},
};
use crate::{CallKey, OrganizationNumber, Scrub, StoreError};

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

/// After how many calls the index is merged while it is filled, so that it is not left in pieces.
const CALLS_A_MERGE: u32 = 100;

/// Merges parts of the index, for so many calls whose words came in since the last time.
pub(super) fn merge(connection: &Connection, calls: u32) -> Result<()> {
    if calls > 0 {
        let pages = (i64::from(calls) * PAGES_A_CALL).min(MOST_PAGES);
        run(connection, "INSERT INTO transcripts (transcripts, rank) VALUES ('merge', ?1)", [pages])?;
    }
    Ok(())
}

/// The first place in the index that tells of deleted calls, whose words lie where they lay until their part is merged.
const FIRST_DELETED: i64 = 1 << 53;
/// How many pages are merged at once to have such words go.
const PAGES_A_STEP: i64 = 250;

/// Merges parts of the index while words of deleted calls lie in it, a little at a time. The first of many calls has
/// `begin`: it takes all parts there are.
pub(super) fn scrub(connection: &Connection, begin: bool) -> Result<Scrub> {
    let deleted = "SELECT 1 FROM transcripts_data WHERE id >= ?1 LIMIT 1";
    if one(connection, deleted, [FIRST_DELETED], |_| Ok(()))?.is_none() {
        return Ok(Scrub::Clean);
    }
    // FTS5 takes a negative number for all parts, whatever their sizes.
    let pages = if begin { -PAGES_A_STEP } else { PAGES_A_STEP };
    let before = connection.total_changes();
    run(connection, "INSERT INTO transcripts (transcripts, rank) VALUES ('merge', ?1)", [pages])?;
    // The statement itself is one.
    let changes = connection.total_changes() - before;
    Ok(if changes < 2 { Scrub::Idle } else { Scrub::Moved })
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
    let mut since_merge = 0;
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
        since_merge += 1;
        if since_merge == CALLS_A_MERGE {
            merge(connection, std::mem::take(&mut since_merge))?;
        }
    }
    merge(connection, since_merge)
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

#[cfg(test)]
mod tests {
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
