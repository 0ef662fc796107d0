//! A line break after JSON that a person reads in a terminal, so that the prompt stands on a line of its own.
//!
//! Only for programs that print what they get. Everybody else gets the documented body to the byte, and so do these
//! programs where `Accept` asks for JSON.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, Method, Response, header},
    middleware::Next,
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::credentials::header_text;

/// What the `User-Agent` of a program that prints answers begins with.
const PRINTERS: [&str; 3] = ["curl/", "Wget/", "HTTPie/"];

/// Ends answers in JSON with a line break where a terminal shows them.
pub async fn end_line(request: Request, next: Next) -> Response<Body> {
    let (is_shown, is_head) = (is_shown(request.headers()), request.method() == Method::HEAD);
    let mut response = next.run(request).await;
    if !is_shown || !is_json(response.headers()) {
        return response;
    }
    if is_head {
        // The length of what GET would answer (RFC 9110, 8.6).
        let length = header_text(response.headers(), header::CONTENT_LENGTH.as_str());
        if let Some(length) = length.and_then(|length| length.parse::<u64>().ok()) {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.saturating_add(1).into());
        }
        return response;
    }
    if response.body().is_end_stream() {
        return response;
    }
    // Counted again from the longer body.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.map(|inner| Body::new(Line { inner, is_over: false }))
}

fn is_shown(headers: &HeaderMap) -> bool {
    let agent = header_text(headers, header::USER_AGENT.as_str()).unwrap_or_default();
    let accepted = header_text(headers, header::ACCEPT.as_str()).unwrap_or_default();
    PRINTERS.iter().any(|printer| agent.starts_with(printer)) && !accepted.contains("json")
}

fn is_json(headers: &HeaderMap) -> bool {
    super::body::media_type(headers).is_some_and(|kind| kind == "application/json")
}

/// A body, and a line break after it.
struct Line {
    inner: Body,
    is_over: bool,
}

impl http_body::Body for Line {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        // A body that breaks off is not made to look whole.
        self.is_over = !matches!(frame, Some(Ok(_)));
        Poll::Ready(frame.or_else(|| Some(Ok(Frame::data(Bytes::from_static(b"\n"))))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_over
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.inner.size_hint();
        let more = u64::from(!self.is_over);
        let mut hint = SizeHint::new();
        hint.set_lower(inner.lower().saturating_add(more));
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(more));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use axum::{Json, Router, middleware::from_fn, routing::get};
    use http_body_util::BodyExt as _;
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;

    async fn answer(method: &str, path: &str, headers: &[(&str, &str)]) -> (String, Option<u64>) {
        let router = Router::new()
            .route("/json", get(|| async { Json(json!({})) }))
            .route("/text", get(|| async { "text" }))
            .route("/empty", get(|| async { ([(header::CONTENT_TYPE, "application/json")], "") }))
            .layer(from_fn(end_line));
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().into_body();
        let length = body.size_hint().exact();
        let bytes = body.collect().await.unwrap().to_bytes();
        (String::from_utf8(bytes.to_vec()).unwrap(), length)
    }

    #[tokio::test]
    async fn json_in_a_terminal_ends_its_line() {
        let curl = ("user-agent", "curl/8.14.1");
        assert_eq!(answer("GET", "/json", &[curl, ("accept", "*/*")]).await, ("{}\n".into(), Some(3)));
        assert_eq!(answer("GET", "/text", &[curl]).await.0, "text");
        assert_eq!(answer("GET", "/empty", &[curl]).await.0, "");
        assert_eq!(answer("HEAD", "/json", &[curl]).await.0, "");
    }

    #[tokio::test]
    async fn a_program_gets_the_documented_body() {
        for headers in [
            vec![],
            vec![("user-agent", "python-requests/2.32")],
            vec![("user-agent", "curl/8.14.1"), ("accept", "application/json")],
        ] {
            assert_eq!(answer("GET", "/json", &headers).await, ("{}".into(), Some(2)), "{headers:?}");
        }
    }
}
