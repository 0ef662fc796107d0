//! From what was heard on two legs to the turns of a conversation.

use pegcount_calls::Word;

/// A pause of more than so many milliseconds ends a turn.
const PAUSE: i64 = 800;
/// Pieces of one turn at most, so that it fits into an event with the times of its words.
const MOST_PIECES: usize = 300;
/// Bytes of one turn at most.
const MOST_BYTES: usize = 12 * 1024;

/// A piece of what was heard: a word with its times, or a longer one whose words have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Milliseconds from the begin of the sound.
    pub start: i64,
    /// The same of its end.
    pub end: i64,
    /// What was said, without space around it.
    pub text: String,
    /// There is no space before it.
    pub glued: bool,
    /// It is one word.
    pub is_word: bool,
}

/// What one side said without a pause, and without the other in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Which leg: the place in what [`turns`] was given.
    pub leg: usize,
    /// Milliseconds from the begin of the sound.
    pub start: i64,
    /// The same of its end.
    pub end: i64,
    /// What was said.
    pub text: String,
    /// Its words, where they have times.
    pub words: Vec<Word>,
}

/// The turns of what was heard on each leg, in the order of time. No word is lost, and none is there twice.
pub(super) fn turns(legs: [Vec<Said>; 2]) -> Vec<Turn> {
    let [left, right] = legs.map(in_order);
    let mut all = of_leg(0, &left, &right);
    all.extend(of_leg(1, &right, &left));
    // Stable: of one leg they stay as they are.
    all.sort_by_key(|turn| turn.start);
    all
}

/// All that was heard, as one text.
pub(super) fn text_of(said: Vec<Said>) -> String {
    let mut text = String::new();
    for one in in_order(said) {
        join(&mut text, &one);
    }
    text
}

/// In the order of time, each ending after it begins, and none too long for an event.
fn in_order(mut said: Vec<Said>) -> Vec<Said> {
    said.sort_by_key(|one| one.start);
    said.into_iter().flat_map(in_parts).filter(|one| !one.text.is_empty()).collect()
}

/// What is too long, in parts; the time goes along with the bytes.
fn in_parts(said: Said) -> Vec<Said> {
    let said = Said { end: said.end.max(said.start), ..said };
    if said.text.len() <= MOST_BYTES {
        return vec![said];
    }
    let (whole, length) = (said.text.len() as i64, said.end - said.start);
    let mut parts: Vec<Said> = Vec::new();
    let (mut rest, mut at) = (said.text.as_str(), 0_i64);
    let mut glued = said.glued;
    while !rest.is_empty() {
        let cut = cut_of(rest);
        let (part, after) = rest.split_at(cut);
        let until = at + cut as i64;
        let time = |byte: i64| said.start + length * byte / whole;
        let text = part.trim().to_owned();
        parts.push(Said { start: time(at), end: time(until), text, glued, is_word: false });
        glued = !part.ends_with(char::is_whitespace) && !after.starts_with(char::is_whitespace);
        (rest, at) = (after, until);
    }
    parts
}

/// Where a text is cut: after a space if there is one, and never within a character.
fn cut_of(text: &str) -> usize {
    if text.len() <= MOST_BYTES {
        return text.len();
    }
    let most = text.floor_char_boundary(MOST_BYTES);
    let space = text[..most].char_indices().rev().find(|(_, character)| character.is_whitespace());
    space.map(|(at, character)| at + character.len_utf8()).unwrap_or(most)
}

fn join(text: &mut String, said: &Said) {
    if !text.is_empty() && !said.glued {
        text.push(' ');
    }
    text.push_str(&said.text);
}

fn of_leg(leg: usize, own: &[Said], others: &[Said]) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut pieces = 0;
    for said in own {
        let goes_on = turns.last().is_some_and(|turn| {
            let pause = said.start - turn.end;
            // Who speaks at the same time interrupts nobody; who speaks in the pause does.
            let first = others.partition_point(|other| other.start < turn.end);
            let in_between = others.get(first).is_some_and(|other| other.start < said.start);
            pause <= PAUSE
                && !in_between
                && pieces < MOST_PIECES
                && turn.text.len() + said.text.len() < MOST_BYTES
        });
        if !goes_on {
            pieces = 0;
            let (start, end) = (said.start, said.end);
            turns.push(Turn { leg, start, end, text: String::new(), words: Vec::new() });
        }
        let Some(turn) = turns.last_mut() else { continue };
        pieces += 1;
        turn.end = turn.end.max(said.end);
        join(&mut turn.text, said);
        if said.is_word {
            let (start_millis, end_millis) = (said.start, said.end);
            turn.words.push(Word { word: said.text.clone(), start_millis, end_millis });
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(text: &str, start: i64, end: i64) -> Said {
        Said { start, end, text: text.to_owned(), glued: false, is_word: true }
    }

    fn shown(legs: [Vec<Said>; 2]) -> Vec<String> {
        let turns = turns(legs);
        turns.iter().map(|turn| format!("{} {}-{} {}", turn.leg, turn.start, turn.end, turn.text)).collect()
    }

    #[test]
    fn a_turn_ends_at_a_pause_or_when_the_other_speaks_in_it() {
        let left = vec![
            word("good", 0, 200),
            word("morning", 300, 700),
            word("are", 1_600, 1_700),
            word("you", 1_750, 1_900),
            word("there", 2_600, 2_900),
        ];
        let right = vec![word("yes", 2_000, 2_200), word("hello", 2_300, 2_500)];
        assert_eq!(
            shown([left, right]),
            ["0 0-700 good morning", "0 1600-1900 are you", "1 2000-2500 yes hello", "0 2600-2900 there"]
        );
    }

    #[test]
    fn who_speaks_while_another_speaks_interrupts_nobody() {
        let left = vec![word("one", 0, 500), word("two", 500, 1_000), word("three", 1_000, 1_500)];
        let right = vec![word("mhm", 600, 800)];
        assert_eq!(shown([left, right]), ["0 0-1500 one two three", "1 600-800 mhm"]);
    }

    #[test]
    fn what_is_written_without_spaces_stays_so() {
        let glued = |text, start| Said { glued: true, ..word(text, start, start + 100) };
        assert_eq!(shown([vec![], vec![glued("你", 0), glued("好", 100)]]), ["1 0-200 你好"]);
    }

    #[test]
    fn a_text_without_times_that_is_too_long_for_an_event_becomes_several_turns() {
        let words: Vec<String> = (0..6_000).map(|at| format!("wörd{at}")).collect();
        let said = Said { is_word: false, ..word(&words.join(" "), 0, 60_000) };
        let turns = turns([vec![said], vec![]]);
        assert!(turns.len() > 2 && turns.iter().all(|turn| turn.text.len() <= MOST_BYTES));
        let joined: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(joined.join(" "), words.join(" "));
    }

    fn leg() -> impl Strategy<Value = Vec<Said>> {
        let said = (0_i64..20_000, -50_i64..1_500, "[a-zé]{1,6}", any::<bool>(), any::<bool>());
        prop::collection::vec(said, 0..60).prop_map(|all| {
            let said = |(start, length, text, glued, is_word)| Said {
                start,
                end: start + length,
                text,
                glued,
                is_word,
            };
            all.into_iter().map(said).collect()
        })
    }

    fn letters(text: &str) -> String {
        text.chars().filter(|character| !character.is_whitespace()).collect()
    }

    proptest! {
        #[test]
        fn no_word_is_lost_or_doubled_and_the_turns_are_in_order(left in leg(), right in leg()) {
            let all = turns([left.clone(), right.clone()]);
            prop_assert!(all.is_sorted_by_key(|turn| turn.start));
            for (at, mut said) in [left, right].into_iter().enumerate() {
                said.sort_by_key(|one| one.start);
                let own = || all.iter().filter(|turn| turn.leg == at);
                let text: String = own().map(|turn| letters(&turn.text)).collect();
                prop_assert_eq!(text, said.iter().map(|one| one.text.as_str()).collect::<String>());
                let words: Vec<&str> = own().flat_map(|turn| &turn.words).map(|word| word.word.as_str()).collect();
                let had: Vec<&str> = said.iter().filter(|one| one.is_word).map(|one| one.text.as_str()).collect();
                prop_assert_eq!(words, had);
            }
            for turn in &all {
                prop_assert!(turn.start <= turn.end && !turn.text.is_empty());
                prop_assert!(turn.words.iter().all(|word| turn.start <= word.start_millis && word.end_millis <= turn.end));
            }
        }
    }
}
