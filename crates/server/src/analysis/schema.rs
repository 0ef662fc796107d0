//! A part of JSON Schema: what models are asked for, and what their answers are checked against.
//!
//! It refers to nothing outside itself. A word that is not checked here is refused, so nothing is promised in vain.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How deep a schema may nest.
const DEEPEST: usize = 8;
/// How many fields an object may have.
const MOST_FIELDS: usize = 100;
/// Words that say something to people and models, and are not checked.
const NOTES: [&str; 6] = ["description", "title", "$schema", "default", "examples", "$comment"];
/// Words that are checked.
const CHECKED: [&str; 12] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];
const TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// The schema of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schema(Value);

impl Schema {
    /// Checks a schema.
    ///
    /// # Errors
    /// A sentence that says where it is wrong, or what is not known.
    pub(super) fn of(schema: Value) -> Result<Self, String> {
        if schema.get("type") != Some(&Value::from("object")) {
            return Err("must be a JSON schema of type = \"object\"".into());
        }
        check_schema(&schema, "the schema", 0)?;
        Ok(Self(schema))
    }

    /// The schema itself.
    pub(super) fn value(&self) -> &Value {
        &self.0
    }

    /// Whether it says of every object which fields it has, all of them required: what endpoints call strict.
    pub(super) fn is_strict(&self) -> bool {
        is_strict(&self.0)
    }

    /// Checks a value.
    ///
    /// # Errors
    /// Where it is not what was asked for, without repeating it: it may hold what was said.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        check(&self.0, value, "custom")
    }
}

fn check_schema(schema: &Value, place: &str, depth: usize) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Err(format!("{place} must be an object")) };
    if depth > DEEPEST {
        return Err(format!("{place} nests deeper than {DEEPEST}"));
    }
    if let Some(unknown) =
        words.keys().find(|word| !NOTES.contains(&word.as_str()) && !CHECKED.contains(&word.as_str()))
    {
        return Err(format!("{place} says {unknown:?}, which is not checked here: leave it out"));
    }
    let types = types(words);
    if types.is_empty() || types.iter().any(|word| !TYPES.contains(word)) {
        return Err(format!("{place} needs a type: one of {}, or a list of them", TYPES.join(", ")));
    }
    for word in ["minLength", "maxLength", "minItems", "maxItems"] {
        if words.get(word).is_some_and(|bound| bound.as_u64().is_none()) {
            return Err(format!("{place}: {word} must be a whole number"));
        }
    }
    for word in ["minimum", "maximum"] {
        if words.get(word).is_some_and(|bound| bound.as_f64().is_none()) {
            return Err(format!("{place}: {word} must be a number"));
        }
    }
    if words.get("enum").is_some_and(|values| values.as_array().is_none_or(Vec::is_empty)) {
        return Err(format!("{place}: enum must be a list of values"));
    }
    if words.get("additionalProperties").is_some_and(|value| !value.is_boolean()) {
        return Err(format!("{place}: additionalProperties must be true or false"));
    }
    if let Some(items) = words.get("items") {
        check_schema(items, &format!("{place}.items"), depth + 1)?;
    }
    let none = Map::new();
    let fields = match words.get("properties") {
        Some(fields) => fields.as_object().ok_or_else(|| format!("{place}: properties must be a table"))?,
        None => &none,
    };
    if fields.len() > MOST_FIELDS {
        return Err(format!("{place} has more than {MOST_FIELDS} fields"));
    }
    for (name, field) in fields {
        check_schema(field, &format!("{place}.{name}"), depth + 1)?;
    }
    check_required(words, fields, place)
}

fn check_required(
    words: &Map<String, Value>,
    fields: &Map<String, Value>,
    place: &str,
) -> Result<(), String> {
    let Some(required) = words.get("required") else { return Ok(()) };
    let names = required.as_array().ok_or_else(|| format!("{place}: required must be a list of names"))?;
    match names.iter().find(|name| name.as_str().is_none_or(|name| !fields.contains_key(name))) {
        Some(unknown) => Err(format!("{place}: required names {unknown}, which properties does not have")),
        None => Ok(()),
    }
}

/// The types that a value may have.
fn types(words: &Map<String, Value>) -> Vec<&str> {
    match words.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => Vec::new(),
    }
}

fn is_strict(schema: &Value) -> bool {
    let Some(words) = schema.as_object() else { return false };
    let fields = words.get("properties").and_then(Value::as_object);
    let closed = !types(words).contains(&"object") || {
        let required: BTreeSet<&str> = words
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let known: BTreeSet<&str> =
            fields.into_iter().flat_map(|fields| fields.keys()).map(String::as_str).collect();
        words.get("additionalProperties") == Some(&Value::Bool(false)) && required == known
    };
    closed
        && fields.into_iter().flat_map(|fields| fields.values()).all(is_strict)
        && words.get("items").is_none_or(is_strict)
}

fn is_of_type(value: &Value, word: &str) -> bool {
    match word {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => {
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
        }
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    }
}

fn check(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let Some(words) = schema.as_object() else { return Ok(()) };
    let types = types(words);
    if !types.iter().any(|word| is_of_type(value, word)) {
        return Err(format!("{place} must be of type {}", types.join(" or ")));
    }
    let count = |word: &str| words.get(word).and_then(Value::as_u64);
    let within = |length: usize, least: &str, most: &str| {
        let length = length as u64;
        count(least).is_none_or(|least| length >= least) && count(most).is_none_or(|most| length <= most)
    };
    if let Some(allowed) = words.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        return Err(format!("{place} is none of the values that it may have"));
    }
    match value {
        Value::String(text) if !within(text.chars().count(), "minLength", "maxLength") => {
            Err(format!("{place} is too short or too long"))
        }
        Value::Number(number) => {
            let bound = |word: &str| words.get(word).and_then(Value::as_f64);
            let number = number.as_f64().unwrap_or_default();
            let fits = bound("minimum").is_none_or(|least| number >= least)
                && bound("maximum").is_none_or(|most| number <= most);
            if fits { Ok(()) } else { Err(format!("{place} is too small or too large")) }
        }
        Value::Array(items) if !within(items.len(), "minItems", "maxItems") => {
            Err(format!("{place} has too few or too many items"))
        }
        Value::Array(items) => match words.get("items") {
            Some(schema) => items.iter().try_for_each(|item| check(schema, item, &format!("{place}[]"))),
            None => Ok(()),
        },
        Value::Object(fields) => check_fields(words, fields, place),
        _ => Ok(()),
    }
}

fn check_fields(words: &Map<String, Value>, fields: &Map<String, Value>, place: &str) -> Result<(), String> {
    let known = words.get("properties").and_then(Value::as_object);
    let required = words.get("required").and_then(Value::as_array).into_iter().flatten();
    for name in required.filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            return Err(format!("{place}.{name} is missing"));
        }
    }
    let closed = words.get("additionalProperties") == Some(&Value::Bool(false));
    for (name, value) in fields {
        match known.and_then(|known| known.get(name)) {
            Some(schema) => check(schema, value, &format!("{place}.{name}"))?,
            None if closed => return Err(format!("{place} has a field that was not asked for")),
            None => {}
        }
    }
    Ok(())
}
