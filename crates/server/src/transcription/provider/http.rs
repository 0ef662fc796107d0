//! A server that takes sound as OpenAI's does: `POST` of a form with a file.

use std::time::Duration;

use reqwest::{
    StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde_json::Value;
use url::Url;

use super::{LARGEST_ANSWER, Piece, shortened};
use crate::{
    jobs::{Setback, told_wait},
    secrets::Hidden,
    transcription::wire::{Form, Heard},
};

/// The most that is read of an answer that is no transcript, in bytes.
const LARGEST_REFUSAL: usize = 64 * 1024;

/// A server, and how it is asked.
#[derive(Clone, Debug)]
pub(in crate::transcription) struct Http {
    /// Where.
    pub url: Url,
    /// Which model; empty: the only one.
    pub model: String,
    /// What it is shown; empty: nothing.
    pub api_key: Hidden,
    /// Whether it is asked for times.
    pub verbose: bool,
    /// How long one request may take.
    pub timeout: Duration,
}

impl Http {
    pub(super) fn told(&self) -> String {
        let place = self.url.origin().ascii_serialization();
        if self.model.is_empty() { place } else { format!("{place} with the model {}", self.model) }
    }

    pub(super) async fn hear(&self, piece: Piece, language: Option<&str>) -> Result<Heard, Setback> {
        let boundary = format!("pegcount-{}", uuid::Uuid::now_v7().simple());
        // No redirect: the sound goes to who was named, and to nobody else.
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(self.timeout)
            .user_agent(concat!("pegcount/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Setback::later(format!("no request can be made: {error}")))?;
        let mut request = client
            .post(self.url.clone())
            .header(CONTENT_TYPE, format!("multipart/form-data; boundary={boundary}"))
            .body(self.form(&boundary, &piece.wav, language));
        if !self.api_key.reveal().is_empty() {
            request = request.header(AUTHORIZATION, format!("Bearer {}", self.api_key.reveal()));
        }
        let answer = request.send().await.map_err(|error| self.unreached(&error))?;
        let status = answer.status();
        if status.is_success() {
            let body = self.read(answer, LARGEST_ANSWER).await?;
            if body.len() > LARGEST_ANSWER {
                return Err(Setback::later(format!(
                    "the server answered with more than {LARGEST_ANSWER} bytes"
                )));
            }
            return Ok(Form::OpenAi.read(&body, piece.length)?);
        }
        let after = told_wait(answer.headers());
        // What it says is only for people: that it cannot be read changes nothing.
        let body = self.read(answer, LARGEST_REFUSAL).await.unwrap_or_default();
        Err(self.refused(status, after, &body))
    }

    /// The fields of a form, each in a part of its own (RFC 7578).
    fn form(&self, boundary: &str, wav: &[u8], language: Option<&str>) -> Vec<u8> {
        let mut fields = Vec::new();
        if !self.model.is_empty() {
            fields.push(("model", self.model.as_str()));
        }
        if self.verbose {
            fields.push(("response_format", "verbose_json"));
            fields.push(("timestamp_granularities[]", "word"));
            fields.push(("timestamp_granularities[]", "segment"));
        } else {
            fields.push(("response_format", "json"));
        }
        fields.extend(language.map(|language| ("language", language)));
        let mut body = Vec::with_capacity(wav.len() + 1024);
        for (name, value) in fields {
            let part =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        let head = "Content-Disposition: form-data; name=\"file\"; filename=\"speech.wav\"\r\nContent-Type: audio/wav";
        body.extend(format!("--{boundary}\r\n{head}\r\n\r\n").into_bytes());
        body.extend_from_slice(wav);
        body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        body
    }

    /// What it said, and at most one byte more than wanted.
    async fn read(&self, mut answer: reqwest::Response, most: usize) -> Result<Vec<u8>, Setback> {
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(|error| self.unreached(&error))? {
            let room = (most + 1).saturating_sub(body.len());
            body.extend_from_slice(&part[..part.len().min(room)]);
            if body.len() > most {
                break;
            }
        }
        Ok(body)
    }

    fn unreached(&self, error: &reqwest::Error) -> Setback {
        let place = self.url.origin().ascii_serialization();
        Setback::later(if error.is_timeout() {
            format!("{place} did not answer within {} s", self.timeout.as_secs())
        } else if error.is_connect() {
            format!("{place} cannot be reached")
        } else {
            format!("{place} broke off")
        })
    }

    fn refused(&self, status: StatusCode, after: Option<Duration>, body: &[u8]) -> Setback {
        let place = self.url.origin().ascii_serialization();
        let mut reason = format!("{place} answered {}", status.as_u16());
        if let Some(said) = said_of(body) {
            let key = self.api_key.reveal();
            let said = if key.is_empty() { said } else { said.replace(key, "(hidden)") };
            reason = format!("{reason}: {}", shortened(&said));
        }
        match status.as_u16() {
            400 | 401 | 403 | 404 | 413 | 415 => Setback::never(reason),
            _ => Setback::Later { reason, after },
        }
    }
}

/// The sentence of an error: `error.message`, or what others have in its place.
fn said_of(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let said = [&body["error"]["message"], &body["error"], &body["detail"], &body["message"]];
    said.into_iter().find_map(Value::as_str).map(str::to_owned)
}
