//! The API reference as Markdown.

use std::fmt::Write;

use serde_json::{Map, Value};

use crate::web::document::USUAL;

/// The API reference as Markdown, made of the OpenAPI document (`docs/api.md`).
pub fn markdown(api: &Value) -> String {
    let mut text = format!(
        "# API reference\n\nMade from the code by `make reference`; a test compares the two. A running server shows it \
         at `/docs/`, and as OpenAPI 3.1 at `/openapi.json`.\n\n{}\n\n## Keys\n\n| scheme | where | what |\n| --- | --- | --- \
         |\n",
        word(&api["info"]["description"])
    );
    for (name, scheme) in entries(&api["components"]["securitySchemes"]) {
        let place = match word(&scheme["type"]) {
            "apiKey" => format!("header `{}`", word(&scheme["name"])),
            _ => format!("`Authorization`, {}", word(&scheme["scheme"])),
        };
        let _ = writeln!(text, "| {name} | {place} | {} |", word(&scheme["description"]));
    }
    text.push_str("\n## Refusals\n\n| status | what |\n| --- | --- |\n");
    for (status, meaning) in USUAL.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
        let _ = writeln!(text, "| {status} | {meaning} |");
    }
    for tag in items(&api["tags"]) {
        let name = word(&tag["name"]);
        let _ = write!(text, "\n## {name}\n\n{}\n", word(&tag["description"]));
        for (path, methods) in entries(&api["paths"]) {
            for (method, operation) in entries(methods) {
                if items(&operation["tags"]).iter().any(|tag| word(tag) == name) {
                    operation_text(&mut text, path, method, operation);
                }
            }
        }
    }
    text
}

fn operation_text(text: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(text, "\n### `{} {path}`\n\n{}\n", method.to_uppercase(), word(&operation["summary"]));
    if !word(&operation["description"]).is_empty() {
        let _ = write!(text, "\n{}\n", word(&operation["description"]));
    }
    let _ = write!(text, "\nKey: {}.\n", keys(&operation["security"]));
    let parameters = items(&operation["parameters"]);
    if !parameters.is_empty() {
        text.push_str("\n| parameter | in | what |\n| --- | --- | --- |\n");
    }
    for parameter in parameters {
        let (name, place) = (word(&parameter["name"]), word(&parameter["in"]));
        let _ = writeln!(text, "| `{name}` | {place} | {} |", word(&parameter["description"]));
    }
    let body = &operation["requestBody"];
    if body.is_object() {
        let schema = entries(&body["content"]).next().map(|(_, content)| schema_name(&content["schema"]));
        let described = [schema.unwrap_or_default(), word(&body["description"]).to_owned()];
        let described: Vec<String> = described.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = write!(text, "\nBody: {}\n", described.join(". "));
    }
    text.push_str("\n| status | what |\n| --- | --- |\n");
    let mut usual = Vec::new();
    for (status, response) in entries(&operation["responses"]) {
        let description = word(&response["description"]);
        if status.starts_with(['4', '5']) && USUAL.contains(&(status, description)) {
            usual.push(status);
            continue;
        }
        let schema = entries(&response["content"]).next().map(|(_, content)| schema_name(&content["schema"]));
        let described = [description.to_owned(), schema.unwrap_or_default()];
        let described: Vec<String> = described.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "| {status} | {} |", described.join(": "));
    }
    if !usual.is_empty() {
        let _ = writeln!(text, "| {} | as [usual](#refusals) |", usual.join(", "));
    }
}

/// The ways to show a key, of which one is needed.
fn keys(security: &Value) -> String {
    let ways =
        items(security).iter().map(|way| match entries(way).map(|(name, _)| name).collect::<Vec<_>>() {
            schemes if schemes.is_empty() => "none".to_owned(),
            schemes => schemes.join(" with "),
        });
    match ways.collect::<Vec<_>>() {
        ways if ways.is_empty() => "none".to_owned(),
        ways => ways.join(", or "),
    }
}

fn schema_name(schema: &Value) -> String {
    let of = |schema: &Value| word(&schema["$ref"]).rsplit('/').next().unwrap_or_default().to_owned();
    let name = match word(&schema["type"]) {
        "array" => format!("{}[]", of(&schema["items"])),
        _ => of(schema),
    };
    if name.trim_end_matches("[]").is_empty() { String::new() } else { format!("`{name}`") }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&NOTHING).iter().map(|(key, value)| (key.as_str(), value))
}
