//! Where a request may carry a key.

use axum::http::{HeaderMap, header};
use data_encoding::BASE64;

use crate::auth::Credentials;

/// A header's text.
pub fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

/// A whole key in `x-api-key`, or as a Bearer token.
pub fn whole_key(headers: &HeaderMap) -> Option<Credentials> {
    let bearer = || {
        let (scheme, token) = header_text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    let key = header_text(headers, "x-api-key").or_else(bearer)?;
    Some(Credentials::Whole(key.to_owned()))
}

/// A key's id and secret as HTTP Basic (RFC 7617).
pub fn basic(headers: &HeaderMap) -> Option<Credentials> {
    let (scheme, encoded) = header_text(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some(Credentials::Pair { id: id.to_owned(), secret: secret.to_owned() })
}

/// The organization that a `server` key wants to act for.
pub fn named_organization(headers: &HeaderMap) -> Option<&str> {
    // What is no text names nobody: it must not be taken for silence, which means the key's own organization.
    let name = headers.get("x-organization-id")?.to_str().unwrap_or("?").trim();
    (!name.is_empty()).then_some(name)
}
