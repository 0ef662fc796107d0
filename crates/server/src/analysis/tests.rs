//! Schemas, answers and prompts; requests are tested with a real endpoint beside the program.

use serde_json::{Value, json};

use super::{answer, schema::Schema};

fn schema() -> Schema {
    Schema::of(json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 5},
            "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "maxItems": 2},
            "inner": {"type": "object", "properties": {"sure": {"type": "boolean"}}, "required": ["sure"], "additionalProperties": false},
        },
        "required": ["name"],
        "additionalProperties": false,
    }))
    .unwrap()
}

#[test]
fn values_that_fit_are_taken_and_others_named_by_their_place() {
    let schema = schema();
    for fits in [
        json!({"name": "Ann"}),
        json!({"name": "", "count": null, "tags": ["a", "b"], "inner": {"sure": true}}),
        json!({"name": "Ännßö", "count": 9.0}),
    ] {
        assert_eq!(schema.check(&fits), Ok(()), "{fits}");
    }
    for (value, words) in [
        (json!([]), "custom must be of type object"),
        (json!({}), "custom.name is missing"),
        (json!({"name": "secret"}), "custom.name is too short or too long"),
        (json!({"name": "a", "count": 1.5}), "custom.count must be of type integer or null"),
        (json!({"name": "a", "count": 10}), "custom.count is too small or too large"),
        (json!({"name": "a", "tags": ["secret"]}), "custom.tags[] is none of"),
        (json!({"name": "a", "tags": ["a", "a", "a"]}), "custom.tags has too few or too many items"),
        (json!({"name": "a", "inner": {}}), "custom.inner.sure is missing"),
        (json!({"name": "a", "secret": 1}), "a field that was not asked for"),
    ] {
        let error = schema.check(&value).unwrap_err();
        assert!(error.contains(words) && !error.contains("secret"), "{value}: {error}");
    }
}

#[test]
fn a_schema_that_says_what_is_not_checked_is_refused() {
    for (schema, words) in [
        (json!({"type": "array"}), "must be a JSON schema of type"),
        (json!({"type": "object", "$ref": "#"}), "\"$ref\", which is not checked here"),
        (
            json!({"type": "object", "properties": {"a": {"pattern": "x", "type": "string"}}}),
            "the schema.a says \"pattern\"",
        ),
        (json!({"type": "object", "properties": {"a": {}}}), "the schema.a needs a type"),
        (json!({"type": "object", "properties": {"a": {"type": "text"}}}), "the schema.a needs a type"),
        (json!({"type": "object", "required": ["a"]}), "required names \"a\""),
        (json!({"type": "object", "minLength": -1}), "minLength must be a whole number"),
        (json!({"type": "object", "enum": []}), "enum must be a list"),
        (json!({"type": "object", "additionalProperties": {}}), "additionalProperties must be"),
    ] {
        let error = Schema::of(schema).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let mut deep = json!({"type": "string"});
    for _ in 0..10 {
        deep = json!({"type": "object", "properties": {"a": deep}});
    }
    assert!(Schema::of(deep).unwrap_err().contains("nests deeper"));
    assert!(!schema().is_strict());
    let strict = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
    assert!(Schema::of(strict).unwrap().is_strict());
}

fn read(content: &str, fields: Option<&Schema>) -> Result<Value, String> {
    let body = json!({"choices": [{"message": {"content": content}}]}).to_string();
    answer::read(body.as_bytes(), fields)
}

#[test]
fn an_answer_is_found_plain_fenced_and_between_words() {
    let plain = r#"{"summary":"So {it} went","sentiment":"unknown","successful":false,"in_voicemail":true}"#;
    let expected = json!({"call_successful": false, "call_summary": "So {it} went", "user_sentiment": "unknown", "in_voicemail": true});
    for content in [
        plain.to_owned(),
        format!("```\n{plain}```"),
        format!("```json\n{plain}\n```"),
        format!("Sure: {plain} Bye."),
    ] {
        assert_eq!(read(&content, None).as_ref(), Ok(&expected), "{content}");
    }
}

#[test]
fn an_answer_that_was_not_asked_for_is_refused_without_being_repeated() {
    let fine =
        json!({"summary": "secret", "sentiment": "neutral", "successful": true, "in_voicemail": false});
    let with = |key: &str, value: Value| {
        let mut changed = fine.clone();
        changed[key] = value;
        changed.to_string()
    };
    let schema = schema();
    for (content, fields, words) in [
        (with("sentiment", json!("secret")), None, "sentiment of the answer"),
        (with("successful", json!("secret")), None, "successful of the answer"),
        (with("summary", json!(" ")), None, "summary of the answer is empty"),
        (with("summary", json!("x".repeat(9000))), None, "more than 8000 characters"),
        ("[1]".to_owned(), None, "no JSON object"),
        (fine.to_string(), Some(&schema), "custom of the answer is missing"),
        (with("custom", json!({"name": "secret"})), Some(&schema), "custom.name is too short or too long"),
    ] {
        let error = read(&content, fields).unwrap_err();
        assert!(error.contains(words) && !error.contains("secret"), "{error}");
    }
    assert!(answer::read(b"{\"choices\":[]}", None).unwrap_err().contains("no content"));
}
