//! How each dialect is asked and how it refuses.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::server::{Answer, Client};

/// A family of paths with one form of key and of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `/v1`, the sources, and whatever is nobody's.
    Native,
    /// `/api/calls`.
    Organization,
    /// `/api/agents`.
    Agent,
    /// `/apis`.
    Tenant,
}

impl Dialect {
    /// Whose path this is.
    pub fn of(path: &str) -> Self {
        match path {
            path if path.starts_with("/apis/") || path.starts_with("/ws/") => Self::Tenant,
            path if path.starts_with("/api/agents/") => Self::Agent,
            path if path.starts_with("/api/") => Self::Organization,
            _ => Self::Native,
        }
    }

    /// Shows a whole key in the headers of this dialect.
    pub fn with_key(self, request: RequestBuilder, key: &str) -> RequestBuilder {
        match self {
            Self::Organization => {
                let (id, secret) = halves(key);
                request.header("X-API-KEY", id).header("X-API-SECRET", secret)
            }
            Self::Native | Self::Agent | Self::Tenant => request.header("x-api-key", key),
        }
    }

    /// Whether a body is a refusal in this dialect's form, to the key.
    pub fn is_refusal(self, body: &Value) -> bool {
        let Value::Object(fields) = body else { return false };
        let keys: Vec<&str> = fields.keys().map(String::as_str).collect();
        let sentence = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
        match self {
            Self::Native => {
                let code = body["code"].as_str().unwrap_or_default();
                let more = keys.get(2..).unwrap_or_default();
                keys.get(..2) == Some(&["error", "code"])
                    && more.iter().all(|key| ["retry_after", "details"].contains(key))
                    && sentence("error")
                    && !code.is_empty()
                    && code.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
            }
            Self::Organization => {
                keys == ["message", "status", "error", "data"]
                    && sentence("message")
                    && sentence("error")
                    && body["status"] == json!("error")
                    && body["data"].is_null()
            }
            Self::Agent => {
                let mistakes = || body["detail"].as_array().is_some_and(|all| all.iter().all(is_mistake));
                keys == ["detail"] && (sentence("detail") || mistakes())
            }
            Self::Tenant => {
                keys == ["status", "message"] && body["status"] == json!("error") && sentence("message")
            }
        }
    }
}

fn is_mistake(mistake: &Value) -> bool {
    mistake["loc"].is_array() && mistake["msg"].is_string() && mistake["type"].is_string()
}

/// The id and the secret of a whole key.
pub fn halves(key: &str) -> (&str, &str) {
    (&key[..20], &key[21..])
}

/// The answer must have this status and, where that is an error, the form of the path's dialect.
pub fn assert_refused(what: &str, path: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text);
    assert_form(what, path, answer);
}

/// An error must have the form of the path's dialect, be no 5xx, and every answer an id.
pub fn assert_form(what: &str, path: &str, answer: &Answer) {
    assert!(answer.headers.contains_key("x-request-id"), "{what}: no x-request-id");
    if answer.status.as_u16() >= 400 {
        let body: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        // A client takes `..` out of a path before it sends it: then the path that is left decides.
        let sent = url::Url::parse(&format!("http://host{path}")).expect("a path");
        let nowhere = answer.status.as_u16() == 404 && Dialect::of(sent.path()).is_refusal(&body);
        // A receipt of events that were all turned away.
        let receipt = path == "/v1/events" && body["rejected"].is_array();
        let refusal = Dialect::of(path).is_refusal(&body) || nowhere || receipt;
        assert!(
            refusal,
            "{what:.300}: {} is no refusal of this dialect: {:.500}",
            answer.status, answer.text
        );
        let content_type = answer.headers.get("content-type").map(reqwest::header::HeaderValue::as_bytes);
        assert_eq!(content_type, Some(b"application/json".as_slice()), "{what}");
    }
}

/// Every documented operation, as `METHOD /path`, with its object.
pub async fn operations(client: &Client) -> Vec<(String, Value)> {
    let document = crate::server::send(client.to("GET", "/openapi.json")).await.expect(200);
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            found.push((format!("{} {path}", method.to_uppercase()), operation.clone()));
        }
    }
    assert!(found.len() > 30, "{found:?}");
    found
}
