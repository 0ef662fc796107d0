//! Texts as people speak them, as far as storage can tell: words by Zipf's law, sentences of varying length. No template
//! is repeated, since repeated text compresses far better than what is really said.

use std::collections::HashSet;

use super::random::{Random, Zipf};

const WORDS: usize = 20_000;
const BEGINS: [&str; 24] = [
    "b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl",
    "sh", "ch", "br", "",
];
const MIDDLES: [&str; 12] = ["a", "e", "i", "o", "u", "ea", "ou", "ai", "ie", "oo", "e", "a"];
const ENDS: [&str; 14] = ["", "", "", "n", "r", "s", "t", "l", "m", "nd", "ng", "st", "ck", "y"];

/// Made-up words, the most frequent first. Frequent words are short.
pub struct Vocabulary {
    words: Vec<String>,
    ranks: Zipf,
}

impl Vocabulary {
    /// The same words each time.
    pub fn new() -> Self {
        let mut random = Random::of(0x0077_6f72_6473);
        let mut known = HashSet::new();
        let mut words = Vec::with_capacity(WORDS);
        let mut tries = 0_usize;
        while words.len() < WORDS {
            tries += 1;
            // After many tries syllables run out: longer words always exist.
            let syllables = match words.len() {
                0..200 => 1,
                200..4_000 => 2,
                _ => 2 + random.below(2),
            } + usize::from(tries > 10 * WORDS);
            let word = made_up(&mut random, syllables);
            if word.len() > 1 && known.insert(word.clone()) {
                words.push(word);
            }
        }
        Self { words, ranks: Zipf::of(WORDS, 1.0) }
    }

    /// The word of a rank: 0 is the most frequent.
    pub fn word(&self, rank: usize) -> &str {
        self.words.get(rank).map_or("", String::as_str)
    }

    /// Sentences of about so many bytes, without anything that JSON would escape.
    pub fn text(&self, random: &mut Random, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes + 80);
        while text.len() < bytes {
            let words = 3 + random.below(9) + random.below(9);
            for place in 0..words {
                if place > 0 {
                    text.push_str(if random.chance(0.06) { ", " } else { " " });
                }
                let begin = text.len();
                text.push_str(self.word(self.ranks.pick(random)));
                if place == 0
                    && let Some(first) = text.get_mut(begin..=begin)
                {
                    first.make_ascii_uppercase();
                }
            }
            text.push_str(if random.chance(0.25) { "? " } else { ". " });
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn made_up(random: &mut Random, syllables: usize) -> String {
    let mut word = String::new();
    for _ in 0..syllables {
        for part in [&BEGINS[..], &MIDDLES, &ENDS] {
            word.push_str(part.get(random.below(part.len())).copied().unwrap_or_default());
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_compresses_to_about_half_as_spoken_words_do() {
        let vocabulary = Vocabulary::new();
        let mut random = Random::of(5);
        let texts: Vec<String> = (0..50).map(|_| vocabulary.text(&mut random, 4_000)).collect();
        let whole: usize = texts.iter().map(String::len).sum();
        let packed: usize =
            texts.iter().map(|text| zstd::bulk::compress(text.as_bytes(), 1).unwrap().len()).sum();
        let ratio = whole as f64 / packed as f64;
        assert!((1.7..2.4).contains(&ratio), "{ratio}");
    }

    #[test]
    fn words_are_unique_and_need_no_escaping() {
        let vocabulary = Vocabulary::new();
        let unique: HashSet<&String> = vocabulary.words.iter().collect();
        assert_eq!(unique.len(), WORDS);
        let text = vocabulary.text(&mut Random::of(1), 2_000);
        assert!(text.chars().all(|char| char.is_ascii_alphabetic() || " ,.?".contains(char)), "{text}");
    }
}
