//! Answers that are compressed on their way out (RFC 9110 sections 8.4 and 12.5.3).
//!
//! No secret is reflected beside what a stranger may choose (BREACH): browsers add no key to a request by themselves, and
//! an answer that holds a secret is marked `no-store` and sent as it is.

use std::{
    io,
    sync::{Arc, LazyLock},
};

use async_compression::{
    Level,
    brotli::EncoderParams,
    tokio::bufread::{BrotliEncoder, GzipEncoder},
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use http_body::Body as _;
use tokio::{io::AsyncRead, sync::Semaphore};
use tokio_util::io::{ReaderStream, StreamReader};

/// Smallest body in bytes that is compressed: below it, head and packets weigh more than what is saved.
const SMALLEST_BYTES: u64 = 1024;
/// Answers compressed at one time; one more is sent as it is. Each takes up to about 2 MiB.
const MOST_AT_ONCE: usize = 64;
/// How hard Brotli tries: what servers use for answers that are made on request.
const BROTLI_QUALITY: i32 = 4;
/// The window of Brotli as a power of two. The default of 4 MiB would cost several times the memory.
const BROTLI_WINDOW: i32 = 18;
/// Bytes that leave the encoder at one time.
const BLOCK_BYTES: usize = 16 * 1024;

static BUDGET: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(MOST_AT_ONCE)));

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
}

impl Coding {
    fn name(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        })
    }

    /// The coding that the client likes best; Brotli of two that it likes as well.
    fn preferred(headers: &HeaderMap) -> Option<Self> {
        let offers: Vec<(String, f32)> = headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(weighted)
            .collect();
        let weight = |names: &[&str]| {
            let named = offers.iter().find(|(name, _)| names.contains(&name.as_str()));
            named.map(|(_, weight)| *weight)
        };
        let any = weight(&["*"]).unwrap_or(0.0);
        let brotli = weight(&["br"]).unwrap_or(any);
        let gzip = weight(&["gzip", "x-gzip"]).unwrap_or(any);
        let unchanged = weight(&["identity"]).unwrap_or(0.0);
        let (best, coding) = if brotli >= gzip { (brotli, Self::Brotli) } else { (gzip, Self::Gzip) };
        (best > 0.0 && best >= unchanged).then_some(coding)
    }
}

/// One offer and its weight: 1 unless it says another; 0, which means "not this one", when that cannot be read.
fn weighted(offer: &str) -> (String, f32) {
    let mut parts = offer.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (name, weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
}

/// Compresses the answer if the client takes that, it is worth it, and there is room.
pub(super) async fn apply(request: Request, next: Next) -> Response {
    let wanted = Coding::preferred(request.headers());
    let mut response = next.run(request).await;
    if !is_compressible(&response) {
        return response;
    }
    // Also where it is sent as it is: another client gets other bytes.
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let Some(coding) = wanted else { return response };
    let Ok(share) = Arc::clone(&BUDGET).try_acquire_owned() else { return response };
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, coding.name());
    // The share is given back with the end of the body, or when the client leaves.
    let held = stream::unfold((encoded(coding, body), share), |(mut blocks, share)| async {
        let block = blocks.next().await?;
        Some((block, (blocks, share)))
    });
    Response::from_parts(parts, Body::from_stream(held))
}

/// Whether an answer is text, long enough, and whole. Media is compressed already; a part of a file is a part of the bytes
/// that the file has; a stream of events must arrive event by event.
fn is_compressible(response: &Response) -> bool {
    let headers = response.headers();
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = text(header::CONTENT_TYPE).split(';').next().unwrap_or_default().trim();
    let is_text = match media_type.split_once('/') {
        Some(("text", kind)) => kind != "event-stream",
        Some(("application", kind)) => {
            matches!(kind, "json" | "javascript" | "x-ndjson" | "openmetrics-text")
        }
        Some(("image", kind)) => kind == "svg+xml",
        _ => false,
    };
    is_text
        && !headers.contains_key(header::CONTENT_ENCODING)
        && !headers.contains_key(header::CONTENT_RANGE)
        && !text(header::CACHE_CONTROL).contains("no-store")
        && response.body().size_hint().exact().is_none_or(|size| size >= SMALLEST_BYTES)
}

type Blocks = std::pin::Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

fn encoded(coding: Coding, body: Body) -> Blocks {
    fn blocks(encoder: impl AsyncRead + Send + 'static) -> Blocks {
        Box::pin(ReaderStream::with_capacity(encoder, BLOCK_BYTES))
    }
    let plain = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    match coding {
        Coding::Brotli => {
            let params = EncoderParams::default();
            let params = params.quality(Level::Precise(BROTLI_QUALITY)).window_size(BROTLI_WINDOW);
            blocks(BrotliEncoder::with_params(plain, params))
        }
        Coding::Gzip => blocks(GzipEncoder::new(plain)),
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    fn preferred(accepted: &'static str) -> Option<Coding> {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
        Coding::preferred(&headers)
    }

    #[test]
    fn the_client_chooses_the_coding() {
        assert_eq!(Coding::preferred(&HeaderMap::new()), None);
        for (accepted, coding) in [
            ("gzip, deflate, br", Some(Coding::Brotli)),
            ("GZIP", Some(Coding::Gzip)),
            ("x-gzip", Some(Coding::Gzip)),
            ("br;q=0.5, gzip", Some(Coding::Gzip)),
            ("br;q=0, *", Some(Coding::Gzip)),
            ("*", Some(Coding::Brotli)),
            ("identity, gzip;q=0.5", None),
            ("identity;q=0", None),
            ("gzip;q=0", None),
            ("gzip;q=nonsense", None),
            ("zstd, deflate", None),
            ("", None),
        ] {
            assert_eq!(preferred(accepted), coding, "{accepted}");
        }
    }

    #[test]
    fn only_long_whole_text_without_secrets_is_compressed() {
        let answer = |media_type: &'static str, bytes: usize| {
            ([(header::CONTENT_TYPE, media_type)], "x".repeat(bytes)).into_response()
        };
        for text in
            ["application/json", "text/html; charset=utf-8", "application/openmetrics-text; version=1"]
        {
            assert!(is_compressible(&answer(text, 1024)), "{text}");
            assert!(!is_compressible(&answer(text, 1023)), "{text}");
        }
        for other in ["audio/mpeg", "text/event-stream", "image/png", "font/woff2", ""] {
            assert!(!is_compressible(&answer(other, 4096)), "{other}");
        }
        for (name, value) in
            [("content-range", "bytes 0-1/2"), ("content-encoding", "br"), ("cache-control", "no-store")]
        {
            let mut response = answer("application/json", 4096);
            response.headers_mut().insert(name, HeaderValue::from_static(value));
            assert!(!is_compressible(&response), "{name}");
        }
    }
}
