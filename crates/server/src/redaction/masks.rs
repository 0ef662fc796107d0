//! What is masked in a text.

use std::ops::Range;

use regex::{Regex, RegexSet};

use super::digits;

/// What stands where a card number was.
pub(super) const CARD: &str = "[card]";
/// What stands where an e-mail address was.
pub(super) const EMAIL: &str = "[email]";
/// What stands where a telephone number was.
pub(super) const PHONE_NUMBER: &str = "[phone number]";
/// How often a text is gone through: a pattern may match again beside what it masked.
const MOST_ROUNDS: usize = 8;
/// A text with fewer bytes holds no card number.
const SHORTEST_CARD: usize = 13;

/// What is masked, of one organization. As it comes: nothing.
#[derive(Clone, Debug, Default)]
pub struct Masks {
    pub(super) cards: bool,
    pub(super) emails: Option<Regex>,
    pub(super) phone_numbers: bool,
    pub(super) patterns: Vec<(String, Regex)>,
    /// Which of the patterns match at all: one pass for all of them.
    pub(super) any: Option<RegexSet>,
}

/// A place in a text, and what is to stand there.
type Masked<'a> = (Range<usize>, &'a str);

impl Masks {
    /// Whether nothing is masked.
    pub fn is_off(&self) -> bool {
        !self.cards && self.emails.is_none() && !self.phone_numbers && self.patterns.is_empty()
    }

    /// The same, as far as keys of a telephone go: cards alone.
    pub(super) fn of_keys(&self) -> Self {
        Self { cards: self.cards, ..Self::default() }
    }

    /// The text with what is masked; `None` where there is nothing to mask. Masks themselves are left alone, so a masked
    /// text stays as it is.
    pub fn mask(&self, text: &str) -> Option<String> {
        let mut masked: Option<String> = None;
        for _ in 0..MOST_ROUNDS {
            let said = masked.as_deref().unwrap_or(text);
            let places = self.places(said);
            if places.is_empty() {
                break;
            }
            masked = Some(replaced(said, &places));
        }
        masked
    }

    /// Where something is to be masked: in order, and apart from each other.
    pub(super) fn places(&self, text: &str) -> Vec<Masked<'_>> {
        let mut found = Vec::new();
        for part in self.unmasked(text) {
            let said = &text[part.clone()];
            let shifted = |place: Range<usize>| place.start + part.start..place.end + part.start;
            if self.cards && said.len() >= SHORTEST_CARD {
                found.extend(digits::cards(said).into_iter().map(|place| (shifted(place), CARD)));
            }
            if let Some(emails) = self.emails.as_ref().filter(|_| said.contains('@')) {
                found.extend(emails.find_iter(said).map(|found| (shifted(found.range()), EMAIL)));
            }
            if self.phone_numbers {
                let numbers = digits::phone_numbers(said).into_iter();
                found.extend(numbers.map(|place| (shifted(place), PHONE_NUMBER)));
            }
            let matching = self.any.as_ref().map(|any| any.matches(said));
            for pattern in matching.iter().flatten() {
                let (mask, pattern) = &self.patterns[pattern];
                let places = pattern.find_iter(said).map(|found| found.range());
                let places = places.filter(|place| !place.is_empty());
                found.extend(places.map(|place| (shifted(place), mask.as_str())));
            }
        }
        joined(found)
    }

    /// The parts of a text between the masks that are in it.
    fn unmasked(&self, text: &str) -> Vec<Range<usize>> {
        if !text.contains('[') {
            return std::iter::once(0..text.len()).collect();
        }
        let own = self.patterns.iter().map(|(mask, _)| mask.as_str());
        let masks: Vec<&str> = [CARD, EMAIL, PHONE_NUMBER].into_iter().chain(own).collect();
        let mut parts = Vec::new();
        let mut begin = 0;
        for (place, _) in text.match_indices('[') {
            if let Some(mask) = masks.iter().find(|mask| text[place..].starts_with(**mask)) {
                parts.push(begin..place);
                begin = place + mask.len();
            }
        }
        parts.push(begin..text.len());
        parts.retain(|part| !part.is_empty());
        parts
    }
}

/// What overlaps is one, under the mask of what was found first.
fn joined(mut found: Vec<Masked<'_>>) -> Vec<Masked<'_>> {
    let mut ranked: Vec<(usize, Masked<'_>)> = found.drain(..).enumerate().collect();
    ranked.sort_by_key(|(_, (place, _))| place.start);
    let mut joined: Vec<(usize, Masked<'_>)> = Vec::new();
    for (rank, (place, mask)) in ranked {
        match joined.last_mut() {
            Some((first, (before, kept))) if place.start < before.end => {
                before.end = before.end.max(place.end);
                if rank < *first {
                    (*first, *kept) = (rank, mask);
                }
            }
            _ => joined.push((rank, (place, mask))),
        }
    }
    joined.into_iter().map(|(_, masked)| masked).collect()
}

fn replaced(text: &str, places: &[Masked<'_>]) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut begin = 0;
    for (place, mask) in places {
        replaced.push_str(&text[begin..place.start]);
        replaced.push_str(mask);
        begin = place.end;
    }
    replaced.push_str(&text[begin..]);
    replaced
}
