//! What can be said of analyses.

use std::{collections::BTreeMap, fmt, fs, time::Duration};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use url::Url;

use super::schema::Schema;

/// The key under which stand the fields of every endpoint that is not named.
const EVERY_OTHER: &str = "default";
/// What a file is named with.
const FILE: &str = "file:";
/// Largest schema file in bytes.
const LARGEST_FILE: u64 = 64 * 1024;
/// Longest pause, in seconds.
const LONGEST_PAUSE: u32 = 3600;
/// Longest time that an answer may take, in seconds.
const LONGEST_TIMEOUT: u64 = 900;

/// Who analyses calls, and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The endpoint of chat completions; empty: calls are not analysed.
    pub url: String,
    /// The model's name.
    pub model: String,
    /// The key of the endpoint; empty: none is sent.
    pub api_key: Secret,
    /// What the model is told besides.
    pub instructions: String,
    /// How long an answer may take.
    pub timeout_seconds: u64,
    /// How long the call must have been quiet: turns that come a little late are taken along.
    pub pause_seconds: u32,
    /// Calls that talked shorter are not analysed.
    pub minimum_seconds: u64,
    /// Fields of its own, by the endpoint (agent) of the call; `default` is for every other.
    pub fields: BTreeMap<String, Fields>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            url: String::new(),
            model: String::new(),
            api_key: Secret::default(),
            instructions: String::new(),
            timeout_seconds: 120,
            pause_seconds: 15,
            minimum_seconds: 5,
            fields: BTreeMap::new(),
        }
    }
}

/// A JSON schema, or `file:` and the path of one.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Fields {
    /// `file:/etc/pegcount/fields.json`.
    File(String),
    /// The schema itself.
    Schema(serde_json::Map<String, Value>),
}

/// A text that is not shown.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.shown())
    }
}

impl Secret {
    fn shown(&self) -> &'static str {
        if self.0.is_empty() { "" } else { "hidden" }
    }
}

/// How the calls of one organization are analysed.
#[derive(Clone)]
pub struct Settings {
    pub(super) url: Url,
    pub(super) model: String,
    pub(super) api_key: String,
    pub(super) instructions: String,
    pub(super) timeout: Duration,
    pub(super) pause_millis: i64,
    pub(super) minimum: Duration,
    fields: BTreeMap<String, Schema>,
}

impl Settings {
    /// The fields of its own that an endpoint has.
    pub(super) fn fields(&self, endpoint: Option<&str>) -> Option<&Schema> {
        endpoint.and_then(|endpoint| self.fields.get(endpoint)).or_else(|| self.fields.get(EVERY_OTHER))
    }
}

impl Config {
    /// What is meant; `None`: calls are not analysed.
    ///
    /// # Errors
    /// The end of a sentence that begins with the section.
    pub fn settings(&self) -> Result<Option<Settings>, String> {
        if self.url.is_empty() {
            let told = !self.model.is_empty() || !self.api_key.0.is_empty() || !self.fields.is_empty();
            return if told { Err("url: is missing: name the endpoint to ask".into()) } else { Ok(None) };
        }
        // What cannot be read is not repeated: somebody may have put a key into it.
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.filter(Url::has_host).ok_or("url: must be an https:// or http:// URL")?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("url: credentials belong into api_key".into());
        }
        if self.model.is_empty() {
            return Err("model: is missing: name the model to ask".into());
        }
        if !self.api_key.0.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("api_key: must be of visible ASCII characters".into());
        }
        if !(1..=LONGEST_TIMEOUT).contains(&self.timeout_seconds) {
            return Err(format!("timeout_seconds: must lie between 1 and {LONGEST_TIMEOUT}"));
        }
        let schemas = self.fields.iter().map(|(endpoint, fields)| {
            let schema = fields.schema().map_err(|why| format!("fields.{endpoint}: {why}"))?;
            Ok((endpoint.clone(), schema))
        });
        Ok(Some(Settings {
            url,
            model: self.model.clone(),
            api_key: self.api_key.0.clone(),
            instructions: self.instructions.clone(),
            timeout: Duration::from_secs(self.timeout_seconds),
            pause_millis: i64::from(self.pause_seconds.min(LONGEST_PAUSE)) * 1000,
            minimum: Duration::from_secs(self.minimum_seconds),
            fields: schemas.collect::<Result<_, String>>()?,
        }))
    }
}

impl Fields {
    fn schema(&self) -> Result<Schema, String> {
        match self {
            Self::Schema(schema) => Schema::of(Value::Object(schema.clone())),
            Self::File(named) => {
                let path = named.strip_prefix(FILE).ok_or("must be a table, or \"file:\" and a path")?;
                let size =
                    fs::metadata(path).map_err(|error| format!("{path} cannot be read: {error}"))?.len();
                if size > LARGEST_FILE {
                    return Err(format!("{path} has {size} bytes, at most {LARGEST_FILE} are taken"));
                }
                let text =
                    fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"))?;
                let value =
                    serde_json::from_str(&text).map_err(|error| format!("{path} is no JSON: {error}"))?;
                Schema::of(value).map_err(|why| format!("{path}: {why}"))
            }
        }
    }
}
