//! The bytes of a recording, answered as those of a file.

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::{
    access::{Object, Readable},
    web::range::{Part, part},
};

/// What somebody asked for.
pub(super) struct Asked {
    head_only: bool,
    headers: HeaderMap,
}

impl Asked {
    pub(super) fn of(request: &Request) -> Self {
        Self { head_only: request.method() == Method::HEAD, headers: request.headers().clone() }
    }

    fn text(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The answer.
pub(super) fn answer(asked: &Asked, object: &Object, recording: &Readable) -> Response {
    let written = http_date(recording.written_at().millis());
    let size = recording.length();
    // Whoever asks has the date from us, so it is this one or another one.
    if asked.text(header::IF_MODIFIED_SINCE).is_some_and(|since| since == written) {
        return (StatusCode::NOT_MODIFIED, [(header::LAST_MODIFIED, written)]).into_response();
    }
    let may_be_part = asked.text(header::IF_RANGE).is_none_or(|date| date == written);
    let part = match asked.text(header::RANGE).filter(|_| may_be_part) {
        Some(range) => part(range, size),
        None => Part::Whole,
    };
    let (status, range) = match part {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Beyond => {
            let all = format!("bytes */{size}");
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, all)]).into_response();
        }
    };
    let length = range.end - range.start;
    let shown = format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1));
    let body = match asked.head_only {
        true => Body::empty(),
        false => Body::from_stream(recording.read(range)),
    };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(object.media_type()));
    headers.insert(header::CONTENT_LENGTH, length.into());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if let Ok(written) = HeaderValue::from_str(&written) {
        headers.insert(header::LAST_MODIFIED, written);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(shown) = HeaderValue::from_str(&shown)
    {
        headers.insert(header::CONTENT_RANGE, shown);
    }
    response
}

/// A time as HTTP writes it (RFC 9110, 5.6.7), in whole seconds.
fn http_date(millis: i64) -> String {
    let at = jiff::Timestamp::from_second(millis.div_euclid(1000)).unwrap_or_default();
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_http_writes_it() {
        assert_eq!(http_date(1_767_261_630_999), "Thu, 01 Jan 2026 10:00:30 GMT");
    }
}
