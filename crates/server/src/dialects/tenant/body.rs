//! Where a question may carry its parameters: a form, which is what the document shows, and what else panels of this
//! family take.

use axum::{
    body::Body,
    http::{HeaderMap, request::Parts},
};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;

use super::failure::Failure;
use crate::web::{
    body::{self, media_type},
    credentials::header_text,
    json::integer,
    query::Params,
};

/// Largest body in bytes.
const LARGEST: usize = 64 * 1024;
/// Most fields of a multipart form that are looked at.
const MOST_FIELDS: usize = 256;

/// The parameters of the query and of the body; where both have one, the body's counts.
pub(super) async fn params(parts: &Parts, body: Body) -> Result<Params, Failure> {
    let (query, headers) = (parts.uri.query().unwrap_or_default(), &parts.headers);
    let body = body::read(&parts.extensions, body, LARGEST).await?;
    let mut pairs = owned(&Params::parse(query));
    if !body.is_empty() {
        // Without a type it is taken for what the document shows.
        let said = match media_type(headers).as_deref() {
            None | Some("application/x-www-form-urlencoded") => {
                owned(&Params::parse(&String::from_utf8_lossy(&body)))
            }
            Some("application/json" | "text/json") => json_pairs(&body)?,
            Some("multipart/form-data") => multipart_pairs(headers, Bytes::copy_from_slice(&body)).await?,
            Some(_) => return Err(Failure::unsupported_media_type()),
        };
        pairs.extend(said);
    }
    Ok(Params::of(pairs))
}

fn owned(params: &Params) -> Vec<(String, String)> {
    params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The parameters that are known here; everything else is ignored, so it may be of any shape.
const KNOWN: [&str; 4] = ["tenant_id", "from_date", "to_date", "tz"];

fn json_pairs(body: &[u8]) -> Result<Vec<(String, String)>, Failure> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::bad_request(format!("the body is not valid JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(Failure::bad_request("the body must be a JSON object"));
    };
    let mut pairs = Vec::new();
    for name in KNOWN {
        let text = match fields.remove(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) if name == "tenant_id" => match integer(&number) {
                Some(integer) => integer.to_string(),
                // Too large for any tenant, so an unknown one.
                None if number.as_f64().is_some_and(|number| number.fract() == 0.0) => number.to_string(),
                None => return Err(Failure::bad_request("tenant_id must be a string or an integer")),
            },
            Some(_) if name == "tenant_id" => {
                return Err(Failure::bad_request("tenant_id must be a string or an integer"));
            }
            Some(_) => return Err(Failure::bad_request(format!("{name} must be a string"))),
        };
        pairs.push((name.to_owned(), text));
    }
    Ok(pairs)
}

async fn multipart_pairs(headers: &HeaderMap, body: Bytes) -> Result<Vec<(String, String)>, Failure> {
    let broken = |error: multer::Error| {
        Failure::bad_request(format!("the body is not a valid multipart form: {error}"))
    };
    let boundary =
        multer::parse_boundary(header_text(headers, "content-type").unwrap_or_default()).map_err(broken)?;
    let whole = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = multer::Multipart::new(whole, boundary);
    let mut pairs = Vec::new();
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let Some(name) = field.name().filter(|name| KNOWN.contains(name)).map(str::to_owned) else {
            continue;
        };
        pairs.push((name, field.text().await.map_err(broken)?));
        if pairs.len() >= MOST_FIELDS {
            break;
        }
    }
    Ok(pairs)
}
