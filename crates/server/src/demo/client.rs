//! The server as a source sees it.

use std::time::Duration;

use pegcount_calls::Timestamp;
use reqwest::{Method, StatusCode, header::HeaderValue};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::DemoOptions;
use crate::vocabulary::time::{format_rfc3339, parse_rfc3339};

/// How long a server that cannot be reached is tried again, once it was.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one request may take.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// Where an organization's control URL is.
const CONTROL_URL: &str = "/v1/control-url";

/// A connection to the server.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: HeaderValue,
    /// The organization to act for; the key's own where it is `None`.
    organization: Option<String>,
    /// Whether the server ever answered: before that it is not waited for.
    reached: bool,
}

/// What became of events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Receipt {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) rejected: Vec<Rejected>,
}

/// An event that was turned away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Rejected {
    pub(super) code: String,
    pub(super) message: String,
}

/// Why the server refused something, in its own sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

#[derive(Deserialize)]
struct ControlUrl {
    url: String,
}

#[derive(Deserialize)]
struct Calls {
    calls: Vec<Call>,
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Call {
    id: String,
}

#[derive(Deserialize)]
struct Events {
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    created_at: String,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
    #[serde(default)]
    code: String,
}

/// What became of something that was to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// It is there, now or already.
    There,
    /// The server does not let us, with this status.
    Refused(StatusCode),
}

struct Answer {
    status: StatusCode,
    body: Vec<u8>,
}

impl Client {
    pub(super) fn new(options: &DemoOptions) -> Result<Self, String> {
        let DemoOptions { url, key, organization, certificates, .. } = options;
        let url = url.trim().trim_end_matches('/');
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("{url:?} is no server: give it as http://host:port"));
        }
        let mut key = HeaderValue::from_str(key.trim()).map_err(|_| {
            "the key holds characters that no key has: copy it whole, without quotes".to_owned()
        })?;
        key.set_sensitive(true);
        // Whoever came first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = reqwest::Certificate::from_pem_bundle(certificates).unwrap_or_default();
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .timeout(LONGEST_REQUEST)
            .tls_certs_merge(certificates)
            .build()
            .map_err(|error| format!("no HTTP client could be made: {error}"))?;
        let organization = organization.clone();
        Ok(Self { http, base: url.to_owned(), key, organization, reached: false })
    }

    /// Sends events; returns when the server has taken them.
    pub(super) async fn send(&mut self, events: &[Value]) -> Result<Receipt, String> {
        let answer = self.ask(Method::POST, "/v1/events", Some(&events)).await?;
        match answer.status {
            StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => self.parsed(&answer),
            StatusCode::FORBIDDEN => {
                Err("the key may not send events: use one with the scope events:write".to_owned())
            }
            StatusCode::NOT_FOUND => Err(format!("{} is no Pegcount: check --url", self.base)),
            status => Err(self.unexpected(status, &answer.body)),
        }
    }

    /// Makes an endpoint or a phone number.
    pub(super) async fn make(&mut self, path: &str, thing: &Value) -> Result<Made, String> {
        let answer = self.ask(Method::POST, path, Some(thing)).await?;
        match answer.status {
            status if status.is_success() => Ok(Made::There),
            StatusCode::CONFLICT => Ok(Made::There),
            status => Ok(Made::Refused(status)),
        }
    }

    /// The live calls of these endpoints, separated by commas, that were created before a time.
    pub(super) async fn live_calls(
        &mut self,
        endpoints: &str,
        before: Timestamp,
    ) -> Result<Result<Vec<String>, Refused>, String> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = url::form_urlencoded::Serializer::new("/v1/calls?".to_owned());
            query
                .append_pair("status", "initiated,ringing,in_progress")
                .append_pair("endpoint_id", endpoints)
                .append_pair("to_date", &format_rfc3339(before))
                .append_pair("limit", "100");
            if let Some(cursor) = &cursor {
                query.append_pair("cursor", cursor);
            }
            let answer = self.ask(Method::GET, &query.finish(), None::<&()>).await?;
            if answer.status != StatusCode::OK {
                return Ok(Err(refused(&answer)));
            }
            let page: Calls = self.parsed(&answer)?;
            found.extend(page.calls.into_iter().map(|call| call.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(Ok(found));
            }
        }
    }

    /// When the last event of a call happened; `None` if the call is gone.
    pub(super) async fn last_event(
        &mut self,
        call: &str,
    ) -> Result<Result<Option<Timestamp>, Refused>, String> {
        let answer = self.ask(Method::GET, &format!("/v1/calls/{call}/events"), None::<&()>).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Ok(None)),
            StatusCode::OK => {
                let list: Events = self.parsed(&answer)?;
                let times = list.events.iter().filter_map(|event| parse_rfc3339(&event.created_at));
                Ok(Ok(times.max()))
            }
            _ => Ok(Err(refused(&answer))),
        }
    }

    /// The control URL that the organization has.
    pub(super) async fn control_url(&mut self) -> Result<Result<Option<String>, Refused>, String> {
        let answer = self.ask(Method::GET, CONTROL_URL, None::<&()>).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Ok(None)),
            StatusCode::OK => Ok(Ok(Some(self.parsed::<ControlUrl>(&answer)?.url))),
            _ => Ok(Err(refused(&answer))),
        }
    }

    /// Registers a control URL with this secret.
    pub(super) async fn set_control_url(
        &mut self,
        url: &str,
        secret: &str,
    ) -> Result<Result<(), Refused>, String> {
        let control = json!({ "url": url, "secret": secret });
        let answer = self.ask(Method::PUT, CONTROL_URL, Some(&control)).await?;
        Ok(if answer.status.is_success() { Ok(()) } else { Err(refused(&answer)) })
    }

    /// Removes the control URL.
    pub(super) async fn delete_control_url(&mut self) -> Result<Result<(), Refused>, String> {
        let answer = self.ask(Method::DELETE, CONTROL_URL, None::<&()>).await?;
        Ok(if answer.status.is_success() { Ok(()) } else { Err(refused(&answer)) })
    }

    fn parsed<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, String> {
        serde_json::from_slice(&answer.body)
            .map_err(|error| format!("{} answered in a way that no Pegcount does: {error}", self.base))
    }

    /// Whether the server is on this machine, as far as its URL says so.
    pub(super) fn is_local(&self) -> bool {
        let host = url::Url::parse(&self.base).ok().and_then(|url| url.host().map(|host| host.to_owned()));
        match host {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    /// Asks until there is an answer that is not "later". What is sent twice counts once: every event has its id.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&(impl Serialize + ?Sized)>,
    ) -> Result<Answer, String> {
        let body = body.map(serde_json::to_vec).transpose().map_err(|error| error.to_string())?;
        let give_up = Instant::now() + PATIENCE;
        let mut wait = Duration::from_millis(250);
        loop {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base))
                .header("x-api-key", self.key.clone());
            if let Some(body) = body.clone() {
                request = request.header("content-type", "application/json").body(body);
            }
            if let Some(organization) = &self.organization {
                request = request.header("x-organization-id", organization);
            }
            match request.send().await {
                Ok(response) => {
                    self.reached = true;
                    let status = response.status();
                    match status {
                        StatusCode::UNAUTHORIZED => {
                            return Err(format!("{} does not know the key: check --key", self.base));
                        }
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                            sleep(retry_after(&response)).await;
                            continue;
                        }
                        _ => {}
                    }
                    if let Ok(body) = response.bytes().await {
                        let answer = Answer { status, body: body.to_vec() };
                        return self.lacks_organization(&answer).map_or(Ok(answer), Err);
                    }
                }
                Err(error) if !self.reached || Instant::now() > give_up => {
                    return Err(self.unreachable(&error));
                }
                Err(_) => {}
            }
            sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(5));
        }
    }

    /// Why nothing can be asked: there is no such organization. What else was not found is an answer.
    fn lacks_organization(&self, answer: &Answer) -> Option<String> {
        let organization = self.organization.as_deref()?;
        let failure = serde_json::from_slice::<Failure>(&answer.body).ok()?;
        (answer.status == StatusCode::NOT_FOUND && failure.code == "ORGANIZATION_NOT_FOUND").then(|| {
            format!(
                "{} has no organization {organization:?} that the key may act for: make it with `pegcount organizations \
                 create --id {organization}`, and use one of its keys or one with the scope server",
                self.base
            )
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> String {
        let cause = innermost(error);
        let advice = if cause.contains("certificate") {
            "give --url with a name that its certificate is for; this machine must trust the certificate"
        } else if self.base.starts_with("http://") && !error.is_connect() && !error.is_timeout() {
            "it may speak HTTPS only: give --url https://..."
        } else if self.base.starts_with("https://") && cause.contains("InvalidContentType") {
            "it speaks no HTTPS: give --url http://..."
        } else {
            "is the server running?"
        };
        format!("{} cannot be reached: {advice} ({cause})", self.base)
    }

    fn unexpected(&self, status: StatusCode, body: &[u8]) -> String {
        let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
        format!("{} answered {status}: {text}", self.base)
    }
}

fn refused(answer: &Answer) -> Refused {
    let sentence = serde_json::from_slice::<Failure>(&answer.body).map(|failure| failure.error);
    Refused(sentence.unwrap_or_else(|_| answer.status.to_string()))
}

fn retry_after(response: &reqwest::Response) -> Duration {
    let seconds =
        response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    Duration::from_secs(seconds.unwrap_or(1_u64).clamp(1, 60))
}

/// The cause at the bottom: "connection refused" rather than "error sending request".
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
