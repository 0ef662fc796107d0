//! The request to the endpoint, and what its refusals come to.

use std::time::Duration;

use reqwest::{Response, StatusCode};

use super::{Settings, answer, prompt, schema::Schema};
use crate::jobs::{Setback, told_wait};

/// Largest answer in bytes.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// How much of an endpoint's own words is kept, in characters.
const LONGEST_MESSAGE: usize = 200;

/// Asks the endpoint, a second time in other words if it does not know how an answer is given a schema. The body of a
/// success.
pub(super) async fn ask(
    settings: &Settings,
    fields: Option<&Schema>,
    transcript: &str,
) -> Result<Vec<u8>, Setback> {
    // What was said cannot know it, and so cannot pretend that the transcript is over.
    let fence = format!("==== {} ====", uuid::Uuid::now_v7().simple());
    let client = client()?;
    for formatted in [true, false] {
        let request = prompt::request(settings, fields, transcript, &fence, formatted);
        let mut post = client.post(settings.url.clone()).timeout(settings.timeout).json(&request);
        if !settings.api_key.is_empty() {
            post = post.bearer_auth(&settings.api_key);
        }
        let response = post.send().await.map_err(|error| Setback::later(unreached(&error)))?;
        let status = response.status();
        let after = told_wait(response.headers());
        let body = read_body(response).await?;
        if status.is_success() {
            return Ok(body);
        }
        if !(formatted && is_about_format(status, &body)) {
            return Err(refused(settings, status, after, &body));
        }
    }
    Err(Setback::never("the endpoint takes no request of ours"))
}

fn client() -> Result<reqwest::Client, Setback> {
    // No client is made without one. Whoever was first has decided; that is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("pegcount/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|_| Setback::later("no client can be made"))
}

async fn read_body(mut response: Response) -> Result<Vec<u8>, Setback> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| Setback::later(unreached(&error)))? {
        if body.len() + part.len() > LARGEST_ANSWER {
            return Err(Setback::never(format!(
                "the endpoint answers with more than {LARGEST_ANSWER} bytes"
            )));
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// Whether it does not know how an answer is given a schema.
fn is_about_format(status: StatusCode, body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    [StatusCode::BAD_REQUEST, StatusCode::UNPROCESSABLE_ENTITY].contains(&status)
        && ["response_format", "json_schema"].iter().any(|word| text.contains(word))
}

/// What an answer that is no success comes to.
fn refused(settings: &Settings, status: StatusCode, after: Option<Duration>, body: &[u8]) -> Setback {
    let code = status.as_u16();
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            let mut said = answer::error_message(body).unwrap_or_default();
            if !settings.api_key.is_empty() {
                said = said.replace(&settings.api_key, "(hidden)");
            }
            let said: String = said.chars().take(LONGEST_MESSAGE).collect();
            Setback::never(
                format!("the endpoint answers {code}: check url, model and api_key. {said}").trim_end(),
            )
        }
        StatusCode::REQUEST_TIMEOUT
        | StatusCode::CONFLICT
        | StatusCode::TOO_EARLY
        | StatusCode::TOO_MANY_REQUESTS => {
            Setback::Later { reason: format!("the endpoint answers {code}"), after }
        }
        status if status.is_server_error() => {
            Setback::Later { reason: format!("the endpoint answers {code}"), after }
        }
        // Its words may repeat what it was sent.
        _ => Setback::never(format!("the endpoint answers {code}: it does not take what it is asked")),
    }
}

/// Why there is no answer, without the URL.
fn unreached(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() { "the endpoint did not answer in time" } else { "the endpoint does not answer" }
}
