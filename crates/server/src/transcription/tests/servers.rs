//! A server that takes sound: what it is sent, and what becomes of what it says.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};

use super::{lab::loud, wav};
use crate::{
    jobs::Setback,
    transcription::{
        Config,
        provider::{Piece, Scratch},
        wire::Heard,
    },
};

/// What a server was sent: its fields in order, and the headers.
#[derive(Default)]
struct Sent {
    fields: Vec<(String, String, Vec<u8>)>,
    headers: HeaderMap,
}

type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

/// A server that gives this answer; where it is, and what it was sent.
async fn server(answer: impl Fn() -> Response + Send + Sync + 'static) -> (String, Arc<Mutex<Sent>>) {
    let sent = Arc::<Mutex<Sent>>::default();
    let (kept, answer) = (Arc::clone(&sent), Arc::new(answer) as Answer);
    let take = move |request: Request| {
        let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
        async move {
            let headers = request.headers().clone();
            let boundary = multer::parse_boundary(headers[header::CONTENT_TYPE].to_str().unwrap()).unwrap();
            let mut form = multer::Multipart::new(request.into_body().into_data_stream(), boundary);
            let mut fields = Vec::new();
            while let Some(field) = form.next_field().await.unwrap() {
                let (name, file) =
                    (field.name().unwrap().to_owned(), field.file_name().unwrap_or_default().to_owned());
                fields.push((name, file, field.bytes().await.unwrap().to_vec()));
            }
            *kept.lock().unwrap() = Sent { fields, headers };
            answer()
        }
    };
    let router =
        Router::new().route("/v1/audio/transcriptions", post(take)).layer(DefaultBodyLimit::disable());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/audio/transcriptions", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, sent)
}

async fn heard(url: &str, more: &str) -> Result<Heard, Setback> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = format!("provider = \"http\"\nurl = \"{url}\"\napi_key = \"sk-hush-hush\"\n{more}");
    let settings = toml::from_str::<Config>(&text).unwrap().settings().unwrap().unwrap();
    let piece = Piece { wav: wav(1, &loud(16_000)), length: 1_000 };
    let scratch = Scratch { folder: "/nowhere".into(), is_in_memory: false };
    settings.provider.hear(piece, settings.language.as_deref(), &scratch).await
}

fn json(status: u16, text: &str) -> Response {
    let head = [(header::CONTENT_TYPE, "application/json")];
    (StatusCode::from_u16(status).unwrap(), head, text.to_owned()).into_response()
}

#[tokio::test]
async fn a_server_is_sent_a_wav_file_and_asked_for_the_times_of_words() {
    let (url, sent) = server(|| json(200, r#"{"text":"Hi.","language":"en"}"#)).await;
    let heard = heard(&url, "model = \"whisper-1\"\nlanguage = \"en\"").await.unwrap();
    assert_eq!((heard.language.as_deref(), heard.said[0].text.as_str()), (Some("en"), "Hi."));
    let sent = std::mem::take(&mut *sent.lock().unwrap());
    assert_eq!(sent.headers["authorization"], "Bearer sk-hush-hush");
    let text = |(name, file, bytes): &(String, String, Vec<u8>)| {
        format!(
            "{name} {file} {}",
            if file.is_empty() { String::from_utf8_lossy(bytes) } else { "...".into() }
        )
    };
    assert_eq!(
        sent.fields.iter().map(text).collect::<Vec<_>>(),
        [
            "model  whisper-1",
            "response_format  verbose_json",
            "timestamp_granularities[]  word",
            "timestamp_granularities[]  segment",
            "language  en",
            "file speech.wav ...",
        ]
    );
    assert_eq!(sent.fields[5].2, wav(1, &loud(16_000)));
}

#[tokio::test]
async fn a_server_without_times_is_asked_for_none_and_no_field_is_empty() {
    let (url, sent) = server(|| json(200, r#"{"text":"Hi."}"#)).await;
    heard(&url, "response_format = \"json\"").await.unwrap();
    let names: Vec<String> = sent.lock().unwrap().fields.iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!(names, ["response_format", "file"]);
}

#[tokio::test]
async fn what_a_server_refuses_for_good_is_told_with_its_reason_and_without_the_key() {
    for (status, body, words) in [
        (400, r#"{"error":{"message":"Unsupported   file","type":"invalid"}}"#, ": Unsupported file"),
        (401, r#"{"error":{"message":"Incorrect API key provided: sk-hush-hush"}}"#, "provided: (hidden)"),
        (403, r#"{"error":"no"}"#, "answered 403: no"),
        (404, r#"{"detail":"no such model"}"#, ": no such model"),
        (413, "<html>too large</html>", "answered 413"),
        (415, "", "answered 415"),
    ] {
        let (url, _) = server(move || json(status, body)).await;
        let done = heard(&url, "").await;
        let Err(Setback::Never { reason }) = &done else { unreachable!("{status}: {done:?}") };
        assert!(reason.ends_with(words) && !reason.contains("hush"), "{reason}");
    }
    let long = format!(r#"{{"error":{{"message":"{}"}}}}"#, "word ".repeat(200));
    let (url, _) = server(move || json(400, &long)).await;
    let done = heard(&url, "").await;
    assert!(
        matches!(&done, Err(Setback::Never { reason }) if reason.len() < 300 && reason.ends_with('…')),
        "{done:?}"
    );
}

#[tokio::test]
async fn what_may_be_better_another_time_is_tried_again_and_no_sooner_than_the_server_says() {
    let busy = |status: u16, after: Option<&'static str>| {
        move || {
            let mut answer = json(status, "{}");
            if let Some(after) = after {
                answer.headers_mut().insert(header::RETRY_AFTER, after.parse().unwrap());
            }
            answer
        }
    };
    for (status, after, waits) in [
        (429, Some("120"), Some(120)),
        (503, Some("0.5"), Some(1)),
        (429, None, None),
        (500, None, None),
        (302, None, None),
    ] {
        let (url, _) = server(busy(status, after)).await;
        let done = heard(&url, "").await;
        let Err(Setback::Later { reason, after }) = &done else { unreachable!("{status}: {done:?}") };
        assert!(reason.contains(&format!("answered {status}")), "{reason}");
        assert_eq!(after.map(|after| after.as_secs()), waits);
    }
}

#[tokio::test]
async fn garbage_is_tried_again_and_none_of_it_is_told() {
    let huge = || Response::new(Body::from(vec![b' '; 50_000_100]));
    let cut = || {
        let parts = futures_util::stream::iter([Ok("{\"text\":\"my"), Err("the secret")]);
        Response::new(Body::from_stream(parts))
    };
    let answers: [(Answer, &str); 4] = [
        (Arc::new(|| json(200, "<html>my secret</html>")), "is no JSON"),
        (Arc::new(|| json(200, r#"{"secret":1}"#)), "neither a text nor segments"),
        (Arc::new(huge), "more than 50000000 bytes"),
        (Arc::new(cut), "broke off"),
    ];
    for (answer, words) in answers {
        let (url, _) = server(move || answer()).await;
        let done = heard(&url, "").await;
        let Err(Setback::Later { reason, after: None }) = &done else { unreachable!("{words}: {done:?}") };
        assert!(reason.contains(words) && !reason.contains("secret"), "{reason}");
    }
}

#[tokio::test]
async fn a_server_that_is_slow_or_not_there_is_tried_again() {
    // It accepts and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let slow = heard(&format!("http://{address}/"), "timeout_seconds = 1").await;
    assert!(matches!(&slow, Err(Setback::Later { reason, .. }) if reason.contains("within 1 s")), "{slow:?}");
    drop(silent);
    let gone = heard(&format!("http://{address}/"), "").await;
    assert!(
        matches!(&gone, Err(Setback::Later { reason, .. }) if reason.contains("cannot be reached")),
        "{gone:?}"
    );
}
