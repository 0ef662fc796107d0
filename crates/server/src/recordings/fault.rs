//! What went wrong with an object store, in a sentence that may be shown.

use std::error::Error;

/// Why an object store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Fault {
    sentence: String,
    is_denial: bool,
}

/// How much of what a client says is repeated.
const MOST_SAID: usize = 200;

impl Fault {
    /// Of this sentence.
    pub(super) fn of(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), is_denial: false }
    }

    /// Of this sentence: the store has answered, and would not.
    pub(super) fn denial(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), is_denial: true }
    }

    /// Whether the store has answered, and would not.
    pub(super) fn is_denial(&self) -> bool {
        self.is_denial
    }
}

impl From<&object_store::Error> for Fault {
    /// What stores answer repeats keys and what was signed, and URLs may hold a token: none of that is taken over, only
    /// the code of the answer, or what is at the bottom of the failure.
    fn from(error: &object_store::Error) -> Self {
        use object_store::Error as Is;
        let what = match error {
            Is::NotFound { .. } => "the store has no such bucket or object",
            Is::PermissionDenied { .. } => {
                "the store does not allow it: look at the credentials and what they may do"
            }
            Is::Unauthenticated { .. } => "the store does not take the credentials",
            _ => "the store failed",
        };
        let text = causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
        let sentence = match (code(&text), error) {
            (Some(code), _) => format!("{what} ({code})"),
            (None, Is::NotFound { .. } | Is::PermissionDenied { .. } | Is::Unauthenticated { .. }) => {
                what.to_owned()
            }
            (None, _) => format!("{what}: {}", bottom(error)),
        };
        let is_denial = matches!(error, Is::PermissionDenied { .. } | Is::Unauthenticated { .. });
        Self { sentence, is_denial }
    }
}

/// An error and its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// The code that an answer in XML holds.
fn code(text: &str) -> Option<&str> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_word = (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then_some(code)
}

/// What lies at the bottom of a failure, in one line, without anything that could be an answer's text or a URL's query.
fn bottom(error: &(dyn Error + 'static)) -> String {
    let last = causes(error).last();
    let text = last.map(ToString::to_string).unwrap_or_default();
    let text = text.split(['<', '?', '\n', '\r']).next().unwrap_or_default();
    text.chars().take(MOST_SAID).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: text.into() }
    }

    #[test]
    fn a_sentence_holds_the_code_of_an_answer_and_nothing_else_of_it() {
        let text = "status 403: <Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIA</AWSAccessKeyId></Error>";
        let denied = object_store::Error::PermissionDenied { path: "a".into(), source: text.into() };
        let sentence = Fault::from(&denied).to_string();
        assert!(sentence.ends_with("(SignatureDoesNotMatch)"), "{sentence}");
        assert!(!sentence.contains("AKIA"));
    }

    #[test]
    fn a_failure_without_an_answer_is_told_by_its_last_cause_without_a_query() {
        let fault = |text: &str| Fault::from(&generic(text)).to_string();
        assert_eq!(
            fault("Connection refused (os error 111)"),
            "the store failed: Connection refused (os error 111)"
        );
        assert_eq!(fault("GET http://h/a?sig=secret"), "the store failed: GET http://h/a");
        assert_eq!(fault("<html>secret</html>"), "the store failed: ");
        assert!(fault(&"x".repeat(10_000)).len() < 300);
        assert!(!fault("<Code>a b</Code>secret").contains("secret"));
    }
}
