//! What documents the API: the frame of the OpenAPI document, and the Markdown reference made of it.

use std::fmt::Write;

use serde_json::{Map, Value};
use utoipa::{
    OpenApi as _,
    openapi::{
        OpenApi,
        security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Pegcount",
        description = "The open ledger of calls for phone systems and voice agents.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "calls", description = "Call history, timelines, statistics, live calls, hang-up (dialect v1)"),
        (name = "events", description = "Where calls come from"),
        (name = "directory", description = "Endpoints and phone numbers"),
        (name = "jobs", description = "Work that comes after calls"),
        (name = "privacy", description = "Holds, and the erasure of a person's calls"),
        (name = "settings", description = "Keys and the control URL"),
        (name = "organization", description = "The organization dialect"),
        (name = "agent", description = "The agent dialect"),
        (name = "tenant", description = "The tenant dialect"),
        (name = "status", description = "How the program is"),
    )
)]
struct Frame;

/// The document without paths: title, tags, and how one shows a key.
pub fn frame() -> OpenApi {
    let mut api = Frame::openapi();
    let mut components = api.components.take().unwrap_or_default();
    let key = |name: &str| SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new(name)));
    components.add_security_scheme("api_key", key("x-api-key"));
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme("api_secret", key("x-api-secret"));
    api.components = Some(components);
    api.security = Some(vec![
        SecurityRequirement::new("api_key", Vec::<String>::new()),
        SecurityRequirement::new("bearer", Vec::<String>::new()),
    ]);
    api
}

/// The API reference as Markdown, made of the OpenAPI document (`docs/api.md`).
pub fn markdown(api: &Value) -> String {
    let mut text = String::from(
        "# API reference\n\nMade from the code by `make reference`; a test compares the two. A running server shows it \
         at `/docs/`, and as OpenAPI 3.1 at `/openapi.json`.\n\nA key goes into `x-api-key` or `Authorization: Bearer`; \
         the organization dialect takes `X-API-KEY` and `X-API-SECRET`.\n",
    );
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
    for (status, response) in entries(&operation["responses"]) {
        let schema = entries(&response["content"]).next().map(|(_, content)| schema_name(&content["schema"]));
        let described = [word(&response["description"]).to_owned(), schema.unwrap_or_default()];
        let described: Vec<String> = described.into_iter().filter(|part| !part.is_empty()).collect();
        let _ = writeln!(text, "| {status} | {} |", described.join(": "));
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
