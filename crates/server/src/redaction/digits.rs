//! Digits in what was said: in figures, in English words, and both in turn.

use std::ops::Range;

/// How recognisers write digits that they heard.
const SPOKEN: [(&str, u8); 11] = [
    ("zero", 0),
    ("oh", 0),
    ("one", 1),
    ("two", 2),
    ("three", 3),
    ("four", 4),
    ("five", 5),
    ("six", 6),
    ("seven", 7),
    ("eight", 8),
    ("nine", 9),
];
/// How many digits a card number has (ISO/IEC 7812).
const OF_A_CARD: Range<usize> = 13..20;
/// How many digits a telephone number has, with or without its country (E.164), local ones of a few digits not counted.
const OF_A_PHONE_NUMBER: Range<usize> = 7..16;
/// How many characters may stand between two digits of one number: ` - `.
const WIDEST_GAP: usize = 3;

/// Figures without anything between them, or one word.
struct Group {
    place: Range<usize>,
    digits: Vec<u8>,
    spoken: bool,
}

/// Where the digits of one number may be parted.
#[derive(Clone, Copy, PartialEq)]
enum Parting {
    /// By white space and dashes, a comma with white space after it.
    Cards,
    /// By brackets and slashes as well.
    PhoneNumbers,
}

impl Parting {
    fn parts(self, gap: &str, spoken: bool) -> bool {
        let mut commas = 0;
        let fits = |character: char| match character {
            '-' | '\u{2010}'..='\u{2014}' => true,
            ',' => {
                commas += 1;
                commas == 1
            }
            '.' => spoken,
            '(' | ')' | '/' => self == Self::PhoneNumbers,
            other => other.is_whitespace(),
        };
        // 1,000 is an amount; 4111, 1111 is heard digit by digit.
        gap.chars().count() <= WIDEST_GAP
            && gap.chars().all(fits)
            && (spoken || !gap.contains(',') || gap.ends_with(char::is_whitespace))
    }
}

/// Whether the last digit is the one that the others ask for (ISO/IEC 7812-1, annex B).
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether so many digits are those of a card. Thirteen that begin with 1 are milliseconds since 1970, and no card's.
pub(super) fn is_card(digits: &[u8]) -> bool {
    let is_time = digits.len() == 13 && digits.first() == Some(&1);
    OF_A_CARD.contains(&digits.len()) && !is_time && luhn(digits)
}

/// Where card numbers stand. What could be read in two ways is taken as wide as it may be.
pub(super) fn cards(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for run in runs(text, Parting::Cards) {
        for first in 0..run.len() {
            let mut digits: Vec<u8> = Vec::with_capacity(OF_A_CARD.end);
            for group in &run[first..] {
                digits.extend(&group.digits);
                if digits.len() >= OF_A_CARD.end {
                    break;
                }
                if is_card(&digits) {
                    found.push(run[first].place.start..group.place.end);
                }
            }
        }
    }
    found
}

/// Where telephone numbers stand. A date is none, and digits within a longer name are none.
pub(super) fn phone_numbers(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for run in runs(text, Parting::PhoneNumbers) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let count: usize = run.iter().map(|group| group.digits.len()).sum();
        let (before, after) = (&text[..first.place.start], &text[last.place.end..]);
        let is_part = before.ends_with(|end: char| end.is_alphanumeric() || "-_.:".contains(end))
            || after.starts_with(|begin: char| begin.is_alphanumeric() || "_:".contains(begin));
        if OF_A_PHONE_NUMBER.contains(&count) && !is_part && !is_date(&run) {
            let sign = usize::from(before.ends_with('+'));
            found.push(first.place.start - sign..last.place.end);
        }
    }
    found
}

/// Whether it begins as a date does: 2026-01-31.
fn is_date(run: &[Group]) -> bool {
    let lengths: Vec<usize> = run.iter().take(3).map(|group| group.digits.len()).collect();
    lengths == [4, 2, 2] && (run[0].digits.starts_with(&[1, 9]) || run[0].digits.starts_with(&[2, 0]))
}

/// The digits of a text, those together that may be of one number.
fn runs(text: &str, parting: Parting) -> Vec<Vec<Group>> {
    let mut runs: Vec<Vec<Group>> = Vec::new();
    for group in groups(text) {
        match runs.last_mut() {
            Some(run)
                if run.last().is_some_and(|before| {
                    let gap = &text[before.place.end..group.place.start];
                    parting.parts(gap, before.spoken || group.spoken)
                }) =>
            {
                run.push(group);
            }
            _ => runs.push(vec![group]),
        }
    }
    runs
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let figures = first.is_ascii_digit();
        if !figures && !first.is_alphabetic() {
            continue;
        }
        let mut end = start + first.len_utf8();
        let alike = |next: char| if figures { next.is_ascii_digit() } else { next.is_alphabetic() };
        while let Some((place, next)) = rest.next_if(|(_, next)| alike(*next)) {
            end = place + next.len_utf8();
        }
        let word = &text[start..end];
        let digits = match figures {
            true => word.bytes().map(|figure| figure - b'0').collect(),
            false => match SPOKEN.iter().find(|(spoken, _)| word.eq_ignore_ascii_case(spoken)) {
                Some((_, digit)) => vec![*digit],
                None => continue,
            },
        };
        groups.push(Group { place: start..end, digits, spoken: !figures });
    }
    groups
}
