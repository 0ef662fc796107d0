//! What is masked, what is left alone, and that masking twice is masking once.

use pegcount_calls::{EventId, Timestamp};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Config, Masks, digits, mask};
use crate::vocabulary::{self, Telling, Told, kinds, source_name};

fn masks(config: &str) -> Masks {
    let config: Config = toml::from_str(config).unwrap();
    config.masks().unwrap()
}

fn all() -> Masks {
    masks(
        "cards = true\nemails = true\nphone_numbers = true\n[patterns]\n\"[customer number]\" = \"KD-[0-9]{6}\"",
    )
}

fn masked(masks: &Masks, text: &str) -> String {
    masks.mask(text).unwrap_or_else(|| text.to_owned())
}

#[test]
fn cards_are_masked_however_they_are_written_or_said() {
    let cards = masks("cards = true");
    for (said, kept) in [
        ("It is 4111111111111111.", "It is [card]."),
        ("It is 4111 1111 1111 1111, thanks", "It is [card], thanks"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111, 1111, 1111, 1111", "[card]"),
        ("3782 822463 10005 is my Amex", "[card] is my Amex"),
        ("four one one one one one one one one one one one one one one one, okay?", "[card], okay?"),
        ("Four, one, one, one. One one one one, one one one one, one one one one", "[card]"),
        ("it's 4111 one one one one 1111 one one one one yes", "it's [card] yes"),
        ("four oh oh oh zero oh oh oh oh oh oh oh oh oh oh two", "[card]"),
        ("two cards: 4111111111111111; 5555555555554444!", "two cards: [card]; [card]!"),
        ("Überweisung €4111 1111 1111 1111€ 你好", "Überweisung €[card]€ 你好"),
        ("customer 12 4111 1111 1111 1111", "customer 12 [card]"),
    ] {
        assert_eq!(masked(&cards, said), kept, "{said}");
    }
}

#[test]
fn what_is_no_card_stays() {
    let cards = masks("cards = true");
    for said in [
        "It is 4111111111111112.",
        "call me at +49 151 23456789",
        "one two three",
        "someone phoned, everyone nine",
        "1767261600000",
        "41111111111111110000000000",
        "it cost 1,000,000,000,000,000",
        "",
        "a [card] was named",
    ] {
        assert_eq!(cards.mask(said), None, "{said}");
    }
}

#[test]
fn addresses_numbers_and_own_patterns_have_masks_of_their_own() {
    let all = all();
    for (said, kept) in [
        ("write to ann.o'neil+x@mail.example.co.uk.", "write to [email]."),
        ("jürgen@müller.de, please", "[email], please"),
        ("ring +49 (0)151 234 567-89 tomorrow", "ring [phone number] tomorrow"),
        ("five five five one two three four", "[phone number]"),
        ("KD-123456 and KD-12345", "[customer number] and KD-12345"),
        ("on 2026-01-31 at 10:30", "on 2026-01-31 at 10:30"),
        ("id 550e8400-e29b-41d4-a716-446655440000", "id 550e8400-e29b-41d4-a716-446655440000"),
        ("me@home", "me@home"),
    ] {
        assert_eq!(masked(&all, said), kept, "{said}");
    }
    let emails = masks("emails = true");
    assert_eq!(emails.mask("4111111111111111 KD-123456 +4915123456789"), None);
    assert!(masks("").is_off() && masks("phone_numbers = false").is_off() && !all.is_off());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_their_key() {
    for (config, words) in [
        ("[patterns]\n\"customer\" = \"KD\"", "patterns: \"customer\" is no mask"),
        ("[patterns]\n\"[a]b]\" = \"KD\"", "is no mask"),
        ("[patterns]\n\"[x]\" = \"KD(\"", "patterns.[x] cannot be read as a regular expression"),
        ("[patterns]\n\"[x]\" = \"a*\"", "patterns.[x] matches where there is nothing"),
        ("[patterns]\n\"[x]\" = '(?:\\w{1000}){1000}'", "patterns.[x] cannot be read"),
    ] {
        let config: Config = toml::from_str(config).unwrap();
        let error = config.masks().unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    assert!(toml::from_str::<Config>("card = true").is_err());
}

fn told(kind: &str, data: &Value) -> Told {
    vocabulary::tell(Telling {
        id: EventId::new("e1").unwrap(),
        at: Timestamp::from_millis(1_767_261_600_000),
        at_given: true,
        received_at: Timestamp::from_millis(1_767_261_600_000),
        source: source_name("native"),
        kind: kind.to_owned(),
        data: data.to_string(),
    })
    .unwrap()
}

/// The data of an event after masking. What it means must be what its words mean.
fn kept(masks: &Masks, kind: &str, data: &Value) -> Value {
    let mut told = told(kind, data);
    mask(masks, &mut told);
    assert_eq!(told.event, vocabulary::read_report(&told.report).unwrap());
    let once = told.report.data.as_json_text().to_owned();
    mask(masks, &mut told);
    assert_eq!(told.report.data.as_json_text(), once, "masking twice is masking once");
    serde_json::from_str(&once).unwrap()
}

#[test]
fn the_words_of_a_turn_are_masked_as_one_that_takes_their_time() {
    let said: Vec<&str> = "my card four one one one 1111 1111 1111, thanks".split(' ').collect();
    let words = said.iter().enumerate().map(
        |(place, word)| json!({"word": word, "start_ms": place * 100, "end_ms": place * 100 + 90, "sure": 0.5}),
    );
    let data = json!({
        "role": "caller", "content": said.join(" "), "start_ms": 0, "words": words.collect::<Vec<_>>(),
        "language": "en", "other": {"b": "4111111111111111", "a": [1.50, 4111111111111111_u64]},
    });
    let kept = kept(&all(), kinds::TRANSCRIPT_TURN, &data);
    assert_eq!(
        kept,
        json!({
            "role": "caller", "content": "my card [card], thanks", "start_ms": 0,
            "words": [
                {"word": "my", "start_ms": 0, "end_ms": 90, "sure": 0.5},
                {"word": "card", "start_ms": 100, "end_ms": 190, "sure": 0.5},
                {"word": "[card],", "start_ms": 200, "end_ms": 890, "sure": 0.5},
                {"word": "thanks", "start_ms": 900, "end_ms": 990, "sure": 0.5},
            ],
            "language": "en", "other": {"b": "[card]", "a": [1.50, "[card]"]}, "redacted": true,
        })
    );
}

#[test]
fn every_place_that_holds_words_is_masked_and_no_other() {
    let all = all();
    for (kind, data, masked) in [
        (
            kinds::TRANSCRIPT_READY,
            json!({"text": "[Caller]: 4111111111111111"}),
            json!({"text": "[Caller]: [card]"}),
        ),
        (
            kinds::TOOL_INVOKED,
            json!({"name": "pay", "tool_call_id": "4111111111111111", "arguments": {"card": 4111111111111111_u64, "to": ["a@b.example"]}}),
            json!({"name": "pay", "tool_call_id": "4111111111111111", "arguments": {"card": "[card]", "to": ["[email]"]}}),
        ),
        (
            kinds::TOOL_RESULT,
            json!({"result": "paid \"4111111111111111\""}),
            json!({"result": "paid \"[card]\""}),
        ),
        (
            kinds::ANALYSIS_READY,
            json!({"call_summary": "KD-123456 called", "custom": {"mail": "a@b.example"}}),
            json!({"call_summary": "[customer number] called", "custom": {"mail": "[email]"}}),
        ),
        (kinds::DTMF_RECEIVED, json!({"digits": "4111111111111111"}), json!({"digits": "[card]"})),
        (kinds::DTMF_RECEIVED, json!({"digit": "4111111111111111"}), json!({"digit": "[card]"})),
    ] {
        let mut masked = masked;
        masked["redacted"] = json!(true);
        assert_eq!(kept(&all, kind, &data), masked, "{kind}");
    }
    for (kind, data) in [
        (kinds::DTMF_RECEIVED, json!({"digits": "1234567"})),
        (
            kinds::CALL_INITIATED,
            json!({"from_number": "+4915123456789", "metadata": {"mail": "a@b.example"}}),
        ),
        (kinds::TRANSCRIPT_TURN, json!({"role": "agent", "content": "hello", "words": []})),
        ("x_note", json!({"text": "4111111111111111"})),
    ] {
        assert_eq!(kept(&all, kind, &data), data, "{kind}");
    }
}

#[test]
fn what_is_escaped_is_read_first() {
    let mut told = told(kinds::TRANSCRIPT_READY, &json!({"text": "x"}));
    told.report.data =
        pegcount_calls::Document::from_json_text(r#"{"text":"\u0034111 1111 1111 1111\n\"so\""}"#);
    mask(&all(), &mut told);
    assert_eq!(told.report.data.as_json_text(), r#"{"text":"[card]\n\"so\"","redacted":true}"#);
}

/// A card number of so many digits.
fn card(mut digits: Vec<u8>) -> Vec<u8> {
    digits.push(0);
    let last = (0..10).find(|last| {
        digits.pop();
        digits.push(*last);
        digits::luhn(&digits)
    });
    assert!(last.is_some(), "one of ten always fits");
    digits
}

proptest! {
    #[test]
    fn every_card_is_masked_whole_and_the_text_around_it_stays(
        digits in prop::collection::vec(0_u8..10, 13..18),
        before in "[a-zäß你 .!?]{0,20}",
        after in "[a-zäß你 .!?]{0,20}",
        gaps in prop::collection::vec(0_usize..4, 19),
    ) {
        let mut number = String::new();
        for (place, digit) in card(digits).into_iter().enumerate() {
            if place > 0 {
                number.push_str(["", " ", "-", " - "][gaps[place]]);
            }
            number.push(char::from(b'0' + digit));
        }
        let text = format!("{before}|{number}|{after}");
        prop_assert_eq!(masked(&masks("cards = true"), &text), format!("{before}|[card]|{after}"));
    }

    #[test]
    fn one_wrong_digit_is_no_card(digits in prop::collection::vec(0_u8..10, 13..18), at in 0_usize..14, by in 1_u8..10) {
        let mut card = card(digits);
        card[at] = (card[at] + by) % 10;
        prop_assert!(!digits::luhn(&card));
    }

    #[test]
    fn masking_what_is_masked_changes_nothing(text in "([0-9]{1,5}|[ -]|one |four |oh |[a-c@.]{1,4}|\\[card\\]|KD-|[+(),ß你\\[\\]]){0,60}") {
        let all = all();
        let once = masked(&all, &text);
        prop_assert_eq!(all.mask(&once), None);
    }

    #[test]
    fn any_text_survives(text in ".{0,200}") {
        let _ = all().mask(&text);
    }
}
