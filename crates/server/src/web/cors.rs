//! Which pages of other origins may read answers (CORS, Fetch standard, "HTTP extensions").

use std::time::Duration;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::Response,
};
use serde::{Deserialize, Serialize};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowOrigin, CorsLayer, Vary};

use super::route_table::RouteTable;

/// Which pages of other origins may read answers.
///
/// Keys travel in headers that a page sets itself, so no answer allows credentials (cookies) of the browser.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Origins such as `https://app.example.com`; `*` alone means every origin; empty means none.
    pub origins: Vec<String>,
}

/// How long a browser may keep the answer to a preflight. Chromium takes no more than two hours.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

static METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Headers that a page may send, besides those that need no permission.
static REQUEST_HEADERS: [HeaderName; 10] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::IF_MODIFIED_SINCE,
    header::IF_RANGE,
    header::RANGE,
    HeaderName::from_static("prefer"),
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-api-secret"),
    HeaderName::from_static("x-organization-id"),
    HeaderName::from_static("x-request-id"),
];

/// Headers that a page may read, besides those that need no permission.
static RESPONSE_HEADERS: [HeaderName; 10] = [
    header::ACCEPT_RANGES,
    header::ALLOW,
    header::CONTENT_DISPOSITION,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("x-ignored-parameters"),
    HeaderName::from_static("x-request-id"),
];

impl Config {
    /// The layer that answers preflights and adds the headers; `None` when no origin is allowed.
    ///
    /// # Errors
    /// A sentence for each entry that is no origin, in lines: it names the key and the entry.
    pub fn layer(&self) -> Result<Option<CorsLayer>, String> {
        let (origins, vary) = match self.origins.as_slice() {
            [] => return Ok(None),
            [every] if every == "*" => (AllowOrigin::any(), Vary::list([])),
            origins => {
                let (mut values, mut problems) = (Vec::new(), Vec::new());
                for origin in origins {
                    match header_value(origin) {
                        Ok(value) => values.push(value),
                        Err(problem) => problems.push(problem),
                    }
                }
                if !problems.is_empty() {
                    return Err(problems.join("\n"));
                }
                (AllowOrigin::list(values), Vary::list([header::ORIGIN]))
            }
        };
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(METHODS.clone())
            .allow_headers(REQUEST_HEADERS.clone())
            .expose_headers(RESPONSE_HEADERS.clone())
            .max_age(PREFLIGHT_MAX_AGE)
            .vary(vary);
        Ok(Some(layer))
    }
}

/// An origin as a browser writes it in `Origin`: nothing else would ever match.
fn header_value(origin: &str) -> Result<HeaderValue, String> {
    if origin == "*" {
        return Err("cors.origins: \"*\" allows every origin: leave the others out".into());
    }
    let written = url::Url::parse(origin)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && !origin.contains('*'))
        .map(|url| url.origin().ascii_serialization());
    match written {
        Some(written) if written == origin => {
            HeaderValue::from_str(origin).map_err(|error| format!("cors.origins: {origin:?}: {error}"))
        }
        Some(written) => Err(format!("cors.origins: {origin:?} is no origin: write {written:?}")),
        None => Err(format!(
            "cors.origins: {origin:?} is no origin: write scheme, host and, if needed, port, such as \
             \"https://app.example.com\""
        )),
    }
}

/// Answers a preflight, and adds to every other answer what lets a page of an allowed origin read it.
pub(super) async fn apply(
    cors: Option<CorsLayer>,
    table: &RouteTable,
    request: Request,
    next: Next,
) -> Response {
    let is_options = request.method() == Method::OPTIONS;
    let is_preflight = is_options && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    match cors {
        // The layer takes every OPTIONS for a preflight.
        Some(cors) if is_preflight || !is_options => {
            let options = is_preflight.then(|| table.options_of(&request)).flatten();
            let Ok(mut response) = cors.layer(next).oneshot(request).await;
            // The answer to a preflight is one to `OPTIONS`, too.
            if let Some((status, allow)) = options {
                *response.status_mut() = status;
                response.headers_mut().extend([allow]);
            }
            response
        }
        _ => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(origins: &[&str]) -> Config {
        Config { origins: origins.iter().map(|&origin| origin.to_owned()).collect() }
    }

    #[test]
    fn an_origin_is_taken_as_browsers_write_it() {
        for good in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "*"] {
            assert!(config(&[good]).layer().is_ok_and(|layer| layer.is_some()), "{good}");
        }
        assert!(config(&[]).layer().is_ok_and(|layer| layer.is_none()));
        for (bad, written) in [
            ("https://App.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com/page?x=1", "http://app.example.com"),
        ] {
            let refused = config(&[bad]).layer().unwrap_err();
            assert!(
                refused.contains("cors.origins") && refused.contains(&format!("{written:?}")),
                "{refused}"
            );
        }
        for bad in ["app.example.com", "null", "", "file:///page.html", "https://*.example.com"] {
            assert!(config(&[bad]).layer().is_err(), "{bad}");
        }
        assert!(config(&["https://app.example.com", "*"]).layer().is_err());
        let two = config(&["one", "https://app.example.com", "two"]).layer().unwrap_err();
        assert_eq!(two.lines().count(), 2, "{two}");
    }
}
