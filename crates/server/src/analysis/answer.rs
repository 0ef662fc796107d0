//! What the model answered, as far as it is what was asked for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::schema::Schema;

/// Longest summary in characters.
const LONGEST_SUMMARY: usize = 8000;
/// Largest object of own fields, in bytes.
const LARGEST_CUSTOM: usize = 32 * 1024;

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Found {
    summary: String,
    sentiment: Sentiment,
    successful: bool,
    in_voicemail: bool,
    #[serde(default)]
    custom: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sentiment {
    Positive,
    Neutral,
    Negative,
    Unknown,
}

impl Sentiment {
    fn word(&self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Neutral => "neutral",
            Self::Negative => "negative",
            Self::Unknown => "unknown",
        }
    }
}

/// The data of the event that an answer becomes.
///
/// # Errors
/// What is wrong with it, without repeating anything of it.
pub(super) fn read(body: &[u8], fields: Option<&Schema>) -> Result<Value, String> {
    let completion: Completion =
        serde_json::from_slice(body).map_err(|_| "the answer is no chat completion".to_owned())?;
    let content = completion.choices.into_iter().next().and_then(|choice| choice.message.content);
    let content = content.ok_or("the answer has no content: the model may have refused")?;
    let value = object_in(&content).ok_or("the content of the answer holds no JSON object")?;
    let found: Found = serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        // Of an object as a whole only a field that is not there is told, by its name.
        if path == "." {
            format!("the answer has a {}", error.inner())
        } else {
            format!("{path} of the answer is not what was asked for")
        }
    })?;
    // The program's own words cannot hold a NUL.
    if found.summary.trim().is_empty() || found.summary.contains('\0') {
        return Err("summary of the answer is empty or not a text".into());
    }
    if found.summary.chars().count() > LONGEST_SUMMARY {
        return Err(format!("summary of the answer has more than {LONGEST_SUMMARY} characters"));
    }
    let mut data = json!({
        "call_successful": found.successful,
        "call_summary": found.summary,
        "user_sentiment": found.sentiment.word(),
        "in_voicemail": found.in_voicemail,
    });
    if let Some(fields) = fields {
        let custom = found.custom.ok_or("custom of the answer is missing")?;
        fields.check(&custom)?;
        let text = custom.to_string();
        if text.len() > LARGEST_CUSTOM || text.contains("\\u0000") {
            return Err(format!("custom of the answer has more than {LARGEST_CUSTOM} bytes, or a NUL"));
        }
        data["custom"] = custom;
    }
    Ok(data)
}

/// The object that a text is, or holds within a fence, or from its first brace to its last.
fn object_in(text: &str) -> Option<Value> {
    let text = text.trim();
    let fenced = text.split("```").nth(1).map(|block| block.strip_prefix("json").unwrap_or(block));
    let braced = text.find('{').zip(text.rfind('}')).and_then(|(begin, end)| text.get(begin..=end));
    [Some(text), fenced, braced]
        .into_iter()
        .flatten()
        .filter_map(|candidate| serde_json::from_str::<Value>(candidate.trim()).ok())
        .find(Value::is_object)
}

/// The sentence of an error that an endpoint answered.
pub(super) fn error_message(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let message = value.get("error")?;
    let message = message.get("message").unwrap_or(message).as_str()?;
    Some(message.chars().filter(|character| !character.is_control()).collect())
}
