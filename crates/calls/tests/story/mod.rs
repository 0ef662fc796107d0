//! A small language for stories: events in, the call out.
//!
//! ```text
//! # A call is answered and hung up by the user.
//! 10:00:00 initiated direction=outbound to=+49302
//! 10:00:05 answered | 10:03:05 completed cause=user_hangup
//! => status=completed talk=180
//! ```
//!
//! A line that begins with `#` gives the stories under it their title. Events stand one a line, or parted by ` | `:
//! a time, what happened, then fields as `name=value`; a value with spaces is put in double quotes. What stands after
//! `=>` is what must be true of the call; a story ends where events follow it. An event without `id=` is named `e01`,
//! `e02`... by its place. `leg=` is the leg it speaks of. `rate ...` and `product NAME=PRICE` make up the tariff.
//! Lines that begin with `//` are for the reader.

mod answers;
mod events;
mod words;

use std::fmt::Write as _;

use pegcount_calls::{Event, History, Tariff, explain, notes};
use words::{Words, at, split_words};

/// A story.
#[derive(Clone, Default)]
pub struct Story {
    pub title: String,
    pub place: String,
    pub events: Vec<Event>,
    tariff: Tariff,
    expected: Vec<(String, String)>,
}

impl Story {
    /// What this history gets wrong of the story; empty if nothing.
    pub fn faults(&self, history: &History) -> String {
        let (call, explanations) = explain(history);
        let notes = notes(history, &call);
        let asked =
            answers::Asked { call: &call, explanations: &explanations, notes: &notes, tariff: &self.tariff };
        let mut faults = String::new();
        for (name, expected) in &self.expected {
            let found = asked.answer(name);
            if found != *expected {
                let (title, place) = (&self.title, &self.place);
                writeln!(faults, "{place}: {title}\n  {name} is {found:?}, not {expected:?}").unwrap();
            }
        }
        faults
    }
}

/// Every story of `tests/stories`.
pub fn all() -> Vec<Story> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        stories(&name, &std::fs::read_to_string(path).unwrap())
    };
    paths.iter().flat_map(read).collect()
}

/// The stories of a text.
pub fn stories(file: &str, text: &str) -> Vec<Story> {
    let mut told: Vec<Story> = Vec::new();
    let mut title = String::new();
    let mut open = Story::default();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = format!("{file}:{}", number + 1);
        if let Some(words) = line.strip_prefix('#') {
            close(&mut open, &mut told);
            title = words.trim().to_owned();
            continue;
        }
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        let (events, expected) = match line.split_once("=>") {
            Some((events, expected)) => (events.trim(), Some(expected)),
            None => (line, None),
        };
        if !events.is_empty() && !open.expected.is_empty() {
            close(&mut open, &mut told);
        }
        if open.place.is_empty() {
            (open.place, open.title) = (place.clone(), title.clone());
        }
        for event in events.split(" | ").filter(|event| !event.is_empty()) {
            tell(&mut open, &place, event.trim());
        }
        if let Some(expected) = expected {
            open.expected.extend(split_words(expected).into_iter().map(|word| words::pair(&word, &place)));
        }
    }
    close(&mut open, &mut told);
    told
}

fn close(open: &mut Story, told: &mut Vec<Story>) {
    let story = std::mem::take(open);
    if story.place.is_empty() {
        return;
    }
    assert!(!story.title.is_empty(), "{}: a story without a title", story.place);
    assert!(!story.events.is_empty(), "{}: a story without events", story.place);
    assert!(!story.expected.is_empty(), "{}: a story that expects nothing", story.place);
    told.push(story);
}

fn tell(story: &mut Story, place: &str, text: &str) {
    let mut words = Words::of(text, place);
    match words.next().as_str() {
        "rate" => story.tariff.rates.push(events::rate(&mut words)),
        "product" => story.tariff.products.extend(events::products(&mut words)),
        time => {
            let event = events::event(at(time), story.events.len() + 1, &mut words);
            story.events.push(event);
        }
    }
    words.finish();
}
