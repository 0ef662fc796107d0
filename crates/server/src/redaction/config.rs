//! What can be said of masking.

use indexmap::IndexMap;
use regex::{Regex, RegexBuilder, RegexSetBuilder};
use serde::{Deserialize, Serialize};

use super::Masks;

/// How many patterns of its own an organization may have.
const MOST_PATTERNS: usize = 32;
/// Longest pattern in bytes.
const LONGEST_PATTERN: usize = 1000;
/// Longest mask in bytes.
const LONGEST_MASK: usize = 32;
/// How large a pattern may become, in bytes.
const LARGEST_COMPILED: usize = 1024 * 1024;
/// An address as people say and write it, not every one that RFC 5322 allows.
const EMAILS: &str = r"[\p{L}\p{N}._%+'-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}[\p{L}\p{N}-]+";

/// What is masked before it is stored.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Card numbers, in figures and in English words.
    pub cards: bool,
    /// E-mail addresses.
    pub emails: bool,
    /// Telephone numbers that are said. Those that the call is from and to stay.
    pub phone_numbers: bool,
    /// Patterns of its own, each under the mask that it leaves behind: `"[customer number]" = "KD-[0-9]{6}"`.
    pub patterns: IndexMap<String, String>,
}

impl Config {
    /// What is meant.
    ///
    /// # Errors
    /// The end of a sentence that begins with the section.
    pub fn masks(&self) -> Result<Masks, String> {
        if self.patterns.len() > MOST_PATTERNS {
            return Err(format!("patterns: there are {}, at most {MOST_PATTERNS}", self.patterns.len()));
        }
        let mut patterns = Vec::with_capacity(self.patterns.len());
        for (mask, pattern) in &self.patterns {
            let inner = mask.strip_prefix('[').and_then(|mask| mask.strip_suffix(']')).unwrap_or_default();
            let plain =
                !inner.is_empty() && !inner.contains(|one: char| one.is_control() || "[]".contains(one));
            if !plain || mask.len() > LONGEST_MASK {
                return Err(format!(
                    "patterns: {mask:?} is no mask: it must be a word in square brackets, of at most \
                     {LONGEST_MASK} bytes, as \"[customer number]\""
                ));
            }
            patterns.push((mask.clone(), compiled(pattern).map_err(|why| format!("patterns.{mask} {why}"))?));
        }
        let emails = self.emails.then(|| compiled(EMAILS)).transpose()?;
        let any = match patterns.is_empty() {
            true => None,
            false => {
                let texts = patterns.iter().map(|(_, pattern)| pattern.as_str());
                let set = RegexSetBuilder::new(texts).size_limit(LARGEST_COMPILED * MOST_PATTERNS).build();
                Some(set.map_err(|error| format!("patterns: {error}"))?)
            }
        };
        Ok(Masks { cards: self.cards, emails, phone_numbers: self.phone_numbers, patterns, any })
    }
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(format!("has {} bytes, at most {LONGEST_PATTERN} are taken", pattern.len()));
    }
    let built = RegexBuilder::new(pattern).size_limit(LARGEST_COMPILED).build();
    let regex = built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("cannot be read as a regular expression: {last}")
    })?;
    if regex.is_match("") {
        return Err("matches where there is nothing: have it match at least one character".into());
    }
    Ok(regex)
}
