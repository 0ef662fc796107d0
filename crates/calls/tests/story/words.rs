//! Words, fields and times of the story language.

use std::{collections::VecDeque, str::FromStr};

use pegcount_calls::{Decimal, Document, Timestamp, parse_decimal};

/// Midnight of the day on which every story happens: 2025-01-10.
const MIDNIGHT: i64 = 1_736_467_200_000;

/// Words parted by spaces; double quotes keep spaces together.
pub(super) fn split_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `name=value`.
pub(super) fn pair(word: &str, place: &str) -> (String, String) {
    let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("{place}: {word:?} is no name=value"));
    (name.to_owned(), value.to_owned())
}

/// The time of day as hours, minutes, seconds and perhaps milliseconds.
pub(super) fn at(text: &str) -> Timestamp {
    let (clock, millis) = text.split_once('.').unwrap_or((text, "0"));
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().expect(text)).collect();
    let [hours, minutes, seconds] = parts[..] else { panic!("{text:?} is no time") };
    let millis: i64 = millis.parse().expect(text);
    Timestamp::from_millis(MIDNIGHT + ((hours * 60 + minutes) * 60 + seconds) * 1000 + millis)
}

/// The same, written.
pub(super) fn clock(at: Timestamp) -> String {
    let millis = at.millis() - MIDNIGHT;
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    let text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { text } else { format!("{text}.{rest:03}") }
}

/// The words of one event.
pub(super) struct Words {
    place: String,
    words: VecDeque<String>,
}

impl Words {
    pub(super) fn of(text: &str, place: &str) -> Self {
        Self { place: place.to_owned(), words: split_words(text).into() }
    }

    /// The next word, which is no field.
    pub(super) fn next(&mut self) -> String {
        self.words.pop_front().unwrap_or_else(|| panic!("{}: a word is missing", self.place))
    }

    /// The value of a field, taken out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let is_named = |word: &String| word.split_once('=').is_some_and(|(key, _)| key == name);
        let index = self.words.iter().position(is_named)?;
        Some(pair(&self.words.remove(index)?, &self.place).1)
    }

    pub(super) fn number<T: FromStr>(&mut self, name: &str) -> Option<T> {
        let value = self.take(name)?;
        Some(value.parse().unwrap_or_else(|_| panic!("{}: {name}={value} is no number", self.place)))
    }

    pub(super) fn time(&mut self, name: &str) -> Option<Timestamp> {
        self.take(name).map(|text| at(&text))
    }

    pub(super) fn decimal(&mut self, name: &str) -> Option<Decimal> {
        self.take(name).map(|text| parse_decimal(&text).expect(&text))
    }

    pub(super) fn document(&mut self, name: &str) -> Option<Document> {
        self.take(name).map(Document::from_json_text)
    }

    pub(super) fn yes(&mut self, name: &str) -> Option<bool> {
        self.take(name).map(|text| match text.as_str() {
            "yes" => true,
            "no" => false,
            other => panic!("{}: {name}={other} is neither yes nor no", self.place),
        })
    }

    /// One of the words that stand for a value.
    pub(super) fn one_of<T: Copy>(&mut self, name: &str, meanings: &[(&str, T)]) -> Option<T> {
        let value = self.take(name)?;
        let found = meanings.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning);
        Some(found.unwrap_or_else(|| panic!("{}: {name}={value} means nothing", self.place)))
    }

    /// Every field that is left.
    pub(super) fn rest(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.words).iter().map(|word| pair(word, &self.place)).collect()
    }

    /// Nothing may be left unread.
    pub(super) fn finish(self) {
        assert!(self.words.is_empty(), "{}: not understood: {:?}", self.place, self.words);
    }

    pub(super) fn unknown(&self, word: &str) -> ! {
        panic!("{}: {word:?} is unknown", self.place)
    }
}
