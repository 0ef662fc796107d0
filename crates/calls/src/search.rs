//! What a search finds: the words of a text, what is looked for, and where it stands in a call.
//!
//! The words are made here for an index and for a search alike, so that a reader can be shown just what an index found.

use std::{
    borrow::Cow,
    collections::{HashMap, VecDeque},
    ops::Range,
};

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use crate::{Content, Turn};

/// The fewest letters of a word's beginning that is looked for as one (`ref*`): shorter ones begin too many words.
const FEWEST_LETTERS: usize = 3;
/// So many things that are looked for are shown in a call at most.
const MOST_SHOWN: usize = 32;

/// What is looked for: every term must occur, in the transcript or in the summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    terms: Vec<Term>,
}

/// Words that must follow upon each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The words, folded; never none.
    pub words: Vec<String>,
    /// Whether the last word is only the beginning of one.
    pub is_open: bool,
}

impl Search {
    /// Reads what a user typed. Words between double quotes are one term, in whichever quotes a keyboard has; so are the
    /// parts of what is written without a space (`don't`, `555-1234`). A star ends the beginning of a word, of three
    /// letters or more. There is no text that is not a search; one without a word finds nothing.
    pub fn of(text: &str) -> Self {
        let mut terms: Vec<Term> = Vec::new();
        let mut add = |text: &str, may_be_open: bool| {
            let words: Vec<String> = words(text).map(|(_, word)| word.into_owned()).collect();
            let Some(last) = words.last() else { return };
            let is_open = may_be_open && text.ends_with('*') && last.chars().count() >= FEWEST_LETTERS;
            let term = Term { is_open, words };
            if !terms.contains(&term) {
                terms.push(term);
            }
        };
        let mut parts = text.split(['"', '\u{201c}', '\u{201d}', '\u{201e}']).enumerate().peekable();
        while let Some((place, part)) = parts.next() {
            // Every second part lies within quotes, unless the closing one is missing.
            if place % 2 == 1 && parts.peek().is_some() {
                add(part, false);
            } else {
                part.split(|char: char| char.is_whitespace() || char.is_control())
                    .for_each(|one| add(one, true));
            }
        }
        Self { terms }
    }

    /// What must occur, each once; none when there is nothing to look for.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Where the terms stand in a call: the passages that hold any, the summary first and then by time, each with the
    /// places (bytes of its text, which ascend) and the terms of [`Self::terms`] that stand there. A phrase that runs
    /// over two turns stands in both, in part. At most `most_bytes` are read, and of many terms the first 32.
    pub fn places<'a>(&self, content: &'a Content, most_bytes: usize) -> Vec<Places<'a>> {
        let mut eye = Eye::of(self);
        let mut found: Vec<Places<'a>> = Vec::new();
        let mut left = most_bytes;
        let mut is_summary = false;
        for passage in spoken(content) {
            let text = beginning(passage.text(), left);
            left -= text.len();
            // No phrase leads from the summary into the transcript.
            if std::mem::replace(&mut is_summary, matches!(passage, Passage::Summary(_))) {
                eye.blink();
            }
            let number = found.len();
            found.push(Places { passage, places: Vec::new() });
            for (range, word) in words(text) {
                for (term, seen) in eye.see(Seen { passage: number, range, word }) {
                    if let Some(found) = found.get_mut(seen.passage) {
                        found.places.push((seen.range, term));
                    }
                }
            }
            if text.len() < passage.text().len() {
                break;
            }
        }
        found.retain(|found| !found.places.is_empty());
        for found in &mut found {
            found.places.sort_by_key(|(range, term)| (range.start, range.end, *term));
        }
        found
    }
}

/// A passage, and where in it which term stands.
#[derive(Debug, PartialEq)]
pub struct Places<'a> {
    /// The passage.
    pub passage: Passage<'a>,
    /// The bytes of its text, and the place of the term in [`Search::terms`].
    pub places: Vec<(Range<usize>, usize)>,
}

/// A text of a call in which is searched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Passage<'a> {
    /// What an analysis says that the call was about.
    Summary(&'a str),
    /// A turn of the conversation.
    Turn(&'a Turn),
    /// The transcript as one text, where there are no turns.
    Transcript(&'a str),
}

impl<'a> Passage<'a> {
    /// What it says.
    pub fn text(self) -> &'a str {
        match self {
            Self::Summary(text) | Self::Transcript(text) => text,
            Self::Turn(turn) => &turn.said.content,
        }
    }
}

/// The texts of a call in which is searched: its summary, then what was said.
pub fn spoken(content: &Content) -> impl Iterator<Item = Passage<'_>> {
    let summary = content.analysis.as_ref().and_then(|analysis| analysis.summary.as_deref());
    let transcript = content.transcript_text.as_deref().filter(|_| content.turns.is_empty());
    let turns = content.turns.iter().map(Passage::Turn);
    summary.map(Passage::Summary).into_iter().chain(turns).chain(transcript.map(Passage::Transcript))
}

/// A word where it stands.
#[derive(Clone)]
struct Seen<'a> {
    passage: usize,
    range: Range<usize>,
    word: Cow<'a, str>,
}

/// Goes along a text, and knows the words it last saw.
struct Eye<'s, 'a> {
    terms: &'s [Term],
    /// The terms that end with a word, by that word.
    ending: HashMap<&'s str, Vec<usize>>,
    /// Those that end with the beginning of one.
    open: Vec<(&'s str, usize)>,
    last: VecDeque<Seen<'a>>,
    longest: usize,
}

impl<'s, 'a> Eye<'s, 'a> {
    fn of(search: &'s Search) -> Self {
        let terms = search.terms.get(..MOST_SHOWN).unwrap_or(&search.terms);
        let mut eye = Self {
            terms,
            ending: HashMap::new(),
            open: Vec::new(),
            last: VecDeque::new(),
            longest: terms.iter().map(|term| term.words.len()).max().unwrap_or(0),
        };
        for (place, term) in terms.iter().enumerate() {
            match term.words.last() {
                Some(last) if term.is_open => eye.open.push((last, place)),
                Some(last) => eye.ending.entry(last).or_default().push(place),
                None => {}
            }
        }
        eye
    }

    fn blink(&mut self) {
        self.last.clear();
    }

    /// The places of the terms that end with this word.
    fn see(&mut self, seen: Seen<'a>) -> Vec<(usize, Seen<'a>)> {
        if self.last.len() >= self.longest {
            self.last.pop_front();
        }
        let whole = self.ending.get(&*seen.word).into_iter().flatten().copied();
        let begun = self.open.iter().filter(|(begin, _)| seen.word.starts_with(begin)).map(|(_, term)| *term);
        let ending: Vec<usize> = whole.chain(begun).collect();
        self.last.push_back(seen);
        let mut places = Vec::new();
        for place in ending {
            let Some(term) = self.terms.get(place) else { continue };
            let Some(skipped) = self.last.len().checked_sub(term.words.len()) else { continue };
            let Some((_, before)) = term.words.split_last() else { continue };
            if self.last.iter().skip(skipped).zip(before).all(|(seen, word)| seen.word == *word) {
                places.extend(joined(self.last.iter().skip(skipped)).map(|seen| (place, seen)));
            }
        }
        places
    }
}

/// Words that follow upon each other in one passage, as one place.
fn joined<'i, 'a: 'i>(seen: impl Iterator<Item = &'i Seen<'a>>) -> impl Iterator<Item = Seen<'a>> {
    let mut joined: Vec<Seen<'a>> = Vec::new();
    for seen in seen {
        match joined.last_mut().filter(|last| last.passage == seen.passage) {
            Some(last) => last.range.end = seen.range.end,
            None => joined.push(seen.clone()),
        }
    }
    joined.into_iter()
}

/// So many bytes of a text at most.
fn beginning(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

/// The words of a text, in the form in which they are compared, and the bytes where they stand. A word is of letters,
/// digits and what stands on them; what is written without spaces between words (Chinese, Japanese, Thai) is of signs
/// that are words of their own.
pub fn words(text: &str) -> impl Iterator<Item = (Range<usize>, Cow<'_, str>)> {
    let mut rest = 0;
    std::iter::from_fn(move || {
        loop {
            let left = text.get(rest..)?;
            let begin = rest + left.find(is_letter)?;
            let word = text.get(begin..)?;
            let first = word.chars().next()?;
            let alone = stands_alone(first);
            let within = |char: char| {
                if alone { is_mark(char) } else { (is_letter(char) && !stands_alone(char)) || is_mark(char) }
            };
            let behind = word.get(first.len_utf8()..)?;
            let length = first.len_utf8() + behind.find(|char| !within(char)).unwrap_or(behind.len());
            rest = begin + length;
            let folded = folded(word.get(..length)?);
            // Never empty but for a letter of which nothing is left.
            if !folded.is_empty() {
                return Some((begin..rest, folded));
            }
        }
    })
}

/// Letters in circles and squares are signs.
fn is_letter(char: char) -> bool {
    match char {
        '\0'..='\u{7f}' => char.is_ascii_alphanumeric(),
        '\u{2460}'..='\u{24ff}' | '\u{1f100}'..='\u{1f1ff}' => false,
        _ => char.is_alphanumeric() && !is_combining_mark(char),
    }
}

/// What stands on a letter or joins two, and is no word by itself.
fn is_mark(char: char) -> bool {
    !char.is_ascii() && (is_combining_mark(char) || matches!(char, '\u{ad}' | '\u{200c}' | '\u{200d}'))
}

fn stands_alone(char: char) -> bool {
    matches!(char,
        '\u{e00}'..='\u{eff}' | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// A word in the form in which words are compared: in small letters, without accents, however it was written.
fn folded(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()) {
        return Cow::Borrowed(word);
    }
    if word.is_ascii() {
        return Cow::Owned(word.to_ascii_lowercase());
    }
    let mut folded = String::with_capacity(word.len());
    for char in word.chars() {
        let mut parts = String::new();
        decompose_compatible(char, |part| parts.push(part));
        // Of a fraction or a measure it would make several words.
        let is_one = parts.chars().all(|part| is_letter(part) || is_mark(part));
        let plain = |char: char| char.to_lowercase().for_each(|char| push_plain(&mut folded, char));
        if is_one {
            parts.chars().for_each(plain);
        } else {
            folded.extend(char.to_lowercase());
        }
    }
    Cow::Owned(folded)
}

/// Letters that are no base with an accent to Unicode, but to whoever has no key for them.
fn push_plain(folded: &mut String, char: char) {
    match char {
        '\u{300}'..='\u{36f}' | '\u{ad}' | '\u{200c}' | '\u{200d}' => {}
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'þ' => folded.push_str("th"),
        'ø' => folded.push('o'),
        'ł' => folded.push('l'),
        'đ' | 'ð' => folded.push('d'),
        'ı' => folded.push('i'),
        'ς' => folded.push('σ'),
        other => folded.push(other),
    }
}

#[cfg(test)]
mod tests;
