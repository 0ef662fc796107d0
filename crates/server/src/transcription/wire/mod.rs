//! What recognisers write, and what it means. Nothing of it is ever repeated in an error: it is what somebody said.

mod openai;
mod sphinx;
mod whisper;

use super::turns::Said;

/// Whose words they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An answer of OpenAI's, or of who speaks as it does.
    OpenAi,
    /// A file of whisper.cpp.
    WhisperCpp,
    /// The lines of pocketsphinx.
    PocketSphinx,
}

/// What was heard in a piece of sound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The language, as the recogniser names it.
    pub language: Option<String>,
    /// What was said, with times from the begin of the piece.
    pub said: Vec<Said>,
}

/// Why words could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Garbage(String);

impl Form {
    /// Reads what a recogniser wrote of a piece of so many milliseconds.
    ///
    /// # Errors
    /// What is wrong with it, without its words.
    pub fn read(self, bytes: &[u8], length: i64) -> Result<Heard, Garbage> {
        // Pieces of characters are what whisper.cpp writes for some languages.
        let text = String::from_utf8_lossy(bytes);
        let mut heard = match self {
            Self::OpenAi => openai::read(&text, length),
            Self::WhisperCpp => whisper::read(&text),
            Self::PocketSphinx => sphinx::read(&text),
        }?;
        for said in &mut heard.said {
            said.start = said.start.clamp(0, length);
            said.end = said.end.clamp(said.start, length);
        }
        Ok(heard)
    }
}

/// A message of serde_json may quote what it read; its kind and its place do not.
fn garbage(what: &str, error: &serde_json::Error) -> Garbage {
    use serde_json::error::Category;
    let why = match error.classify() {
        Category::Io | Category::Syntax => "is no JSON",
        Category::Eof => "ends too early",
        Category::Data => "has not the fields that it must have",
    };
    Garbage(format!("{what} {why} (line {}, column {})", error.line(), error.column()))
}

/// Seconds in whole milliseconds.
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each as `start-end text`; a `~` stands before what is glued, and one word is in brackets.
    fn shown(heard: &Heard) -> Vec<String> {
        let show = |said: &Said| {
            let text = if said.is_word { format!("[{}]", said.text) } else { said.text.clone() };
            format!("{}-{} {}{text}", said.start, said.end, if said.glued { "~" } else { "" })
        };
        heard.said.iter().map(show).collect()
    }

    fn read(form: Form, text: &str) -> (Option<String>, Vec<String>) {
        let heard = form.read(text.as_bytes(), 60_000).unwrap_or_else(|error| unreachable!("{error}"));
        (heard.language.clone(), shown(&heard))
    }

    #[test]
    fn the_words_of_openai_have_the_signs_of_its_text() {
        let (language, said) = read(Form::OpenAi, include_str!("samples/openai_verbose.json"));
        assert_eq!(language.as_deref(), Some("english"));
        assert_eq!(
            said,
            [
                "0-420 [Good]",
                "420-800 [morning,]",
                "1000-1180 [thank]",
                "1180-1300 [you]",
                "1300-1440 [for]",
                "1440-1900 [calling.]"
            ]
        );
    }

    #[test]
    fn words_within_segments_are_taken_as_they_are() {
        let (language, said) = read(Form::OpenAi, include_str!("samples/faster_whisper.json"));
        assert_eq!(language.as_deref(), Some("de"));
        assert_eq!(said, ["0-300 [Guten]", "300-620 [Tag,]", "620-700 ~[haha.]", "2100-2480 [Hallo?]"]);
    }

    #[test]
    fn an_answer_without_words_is_of_segments_and_one_without_those_a_text() {
        let segments = r#"{"task":"transcribe","language":"en","duration":4.0,"text":" Hi there. Bye.",
            "segments":[{"id":0,"start":0.5,"end":1.25,"text":" Hi there."},{"id":1,"start":90.0,"end":95.0,"text":" Bye."}]}"#;
        let (_, said) = read(Form::OpenAi, segments);
        assert_eq!(said, ["500-1250 Hi there.", "60000-60000 Bye."]);
        assert_eq!(
            read(Form::OpenAi, r#"{"text":"Hi there."}"#),
            (None, vec!["0-60000 Hi there.".to_owned()])
        );
        assert_eq!(read(Form::OpenAi, r#"{"text":"  "}"#), (None, vec![]));
        assert_eq!(read(Form::OpenAi, r#"{"text":"","segments":[],"words":null}"#), (None, vec![]));
    }

    #[test]
    fn chinese_has_no_spaces() {
        let text = r#"{"text":"你好","words":[{"word":"你","start":0,"end":0.1},{"word":"好","start":0.1,"end":0.2}]}"#;
        assert_eq!(read(Form::OpenAi, text).1, ["0-100 ~[你]", "100-200 ~[好]"]);
    }

    #[test]
    fn whisper_cpp_has_words_in_its_full_form_and_segments_in_the_other() {
        let (language, said) = read(Form::WhisperCpp, include_str!("samples/whisper_cpp_full.json"));
        assert_eq!(language.as_deref(), Some("en"));
        assert_eq!(said, ["320-520 [And]", "520-790 [so]", "790-1300 [my]", "1300-2600 [Americans,]"]);
        let (_, said) = read(Form::WhisperCpp, include_str!("samples/whisper_cpp.json"));
        assert_eq!(said, ["0-7960 And so, my fellow Americans,", "7960-10760 ask what you can do."]);
    }

    #[test]
    fn pocketsphinx_has_a_line_for_each_utterance_and_fillers_are_no_words() {
        let (language, said) = read(Form::PocketSphinx, include_str!("samples/pocketsphinx.jsonl"));
        assert_eq!(language, None);
        assert_eq!(said, ["260-520 [good]", "520-1000 [morning]", "3100-3480 [the]", "3480-3900 [invoice]"]);
        assert_eq!(read(Form::PocketSphinx, "\n"), (None, vec![]));
        let without = r#"{"b":1.0,"d":2.0,"p":1.0,"t":"good morning"}"#;
        assert_eq!(read(Form::PocketSphinx, without).1, ["1000-3000 good morning"]);
    }

    #[test]
    fn garbage_is_told_without_its_words() {
        for (form, text) in [
            (Form::OpenAi, "<html>my secret</html>"),
            (Form::OpenAi, ""),
            (Form::OpenAi, "[\"my secret\"]"),
            (Form::OpenAi, r#"{"error":"my secret"}"#),
            (Form::OpenAi, r#"{"text":"x","words":[{"word":"my secret"}]}"#),
            (Form::OpenAi, r#"{"text":"x","segments":"my secret"}"#),
            (Form::OpenAi, r#"{"text":"my sec"#),
            (Form::WhisperCpp, r#"{"result":{"language":"en"}}"#),
            (Form::WhisperCpp, r#"{"transcription":[{"text":"my secret"}]}"#),
            (Form::PocketSphinx, "my secret"),
            (Form::PocketSphinx, r#"{"t":"my secret"}"#),
        ] {
            let error = form.read(text.as_bytes(), 1).err().unwrap_or_else(|| unreachable!("{text} is read"));
            assert!(!error.to_string().contains("secret"), "{text}: {error}");
        }
    }
}
