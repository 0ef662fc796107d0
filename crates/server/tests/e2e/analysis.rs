//! Analyses: what an endpoint is sent, and what becomes of whatever it answers.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::server::{Home, Server, send};

/// What the endpoint does with one request.
enum Reaction {
    Answer(u16, String),
    /// With a `Retry-After` of a second.
    Again(u16),
    /// Once it is told to.
    WhenTold(String),
    Never,
}

#[derive(Default)]
struct Script {
    reactions: Mutex<VecDeque<Reaction>>,
    heard: Mutex<Vec<(HeaderMap, Value)>>,
    asked: Notify,
    go_on: Notify,
}

/// An endpoint that answers as it is told to, and then fine.
struct Endpoint {
    script: Arc<Script>,
    url: String,
}

const SUMMARY: &str = "The caller asked about the xylophone and got it.";

fn found() -> Value {
    json!({"summary": SUMMARY, "sentiment": "positive", "successful": true, "in_voicemail": false})
}

fn completion(content: &str) -> String {
    json!({"id": "c", "choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]})
        .to_string()
}

async fn react(State(script): State<Arc<Script>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = serde_json::from_slice(&body).expect("JSON");
    script.heard.lock().expect("the list").push((headers, asked));
    script.asked.notify_one();
    let reaction = script.reactions.lock().expect("the script").pop_front();
    let fine = completion(&found().to_string());
    let status = |code| StatusCode::from_u16(code).expect("a status");
    match reaction.unwrap_or(Reaction::Answer(200, fine)) {
        Reaction::Answer(code, text) => (status(code), text).into_response(),
        Reaction::Again(code) => (status(code), [("retry-after", "1")], "{}").into_response(),
        Reaction::WhenTold(text) => {
            script.go_on.notified().await;
            text.into_response()
        }
        Reaction::Never => std::future::pending().await,
    }
}

impl Endpoint {
    async fn new(reactions: Vec<Reaction>) -> Self {
        let script = Arc::new(Script { reactions: Mutex::new(reactions.into()), ..Script::default() });
        let router = Router::new().route("/v1/chat/completions", post(react)).with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/v1/chat/completions", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { script, url }
    }

    fn config(&self, more: &str) -> String {
        format!(
            "[analysis.default]\nurl = \"{}\"\nmodel = \"some-model\"\napi_key = \"sk-hush-hush\"\npause_seconds = 0\n{more}",
            self.url
        )
    }

    fn heard(&self) -> Vec<(HeaderMap, Value)> {
        self.script.heard.lock().expect("the list").clone()
    }
}

/// A call that was answered and talked for a minute.
fn call(id: &str, more: &Value) -> Vec<Value> {
    let event = |kind: &str, at: &str, data: &Value| json!({"call_id": id, "event_type": kind, "created_at": at, "event_data": data});
    vec![
        event("call_initiated", "2026-01-01T10:00:00Z", more),
        event("call_answered", "2026-01-01T10:00:01Z", &json!({})),
        event(
            "transcript_turn",
            "2026-01-01T10:00:02Z",
            &json!({"role": "agent", "content": "What can I do for you?"}),
        ),
        event(
            "transcript_turn",
            "2026-01-01T10:00:04Z",
            &json!({"role": "caller", "content": "I want a xylophone."}),
        ),
        event("call_completed", "2026-01-01T10:01:01Z", &json!({})),
    ]
}

/// The events of a call once it has an analysis.
async fn analysed(server: &Server<'_>, id: &str) -> Value {
    let path = format!("/v1/calls/{id}/events");
    let events =
        server.until(&path, |events| events.text.contains("analysis_ready").then(|| events.json())).await;
    let events = events["events"].as_array().or(events.as_array()).expect("events").clone();
    events.into_iter().find(|event| event["event_type"] == "analysis_ready").expect("the analysis")
}

/// Of this kind: what an erasure leaves to be cleaned waits for half a minute.
async fn no_jobs(server: &Server<'_>) {
    server.until("/v1/jobs?kind=analysis", |jobs| (jobs.json()["total"] == 0).then_some(())).await;
}

async fn failed(server: &Server<'_>, state: &str) -> String {
    let path = format!("/v1/jobs?state={state}");
    let jobs = server
        .until(&path, |jobs| Some(jobs.json()).filter(|jobs| jobs["jobs"][0]["error"].is_string()))
        .await;
    assert_eq!(jobs["jobs"][0]["kind"], "analysis");
    jobs["jobs"][0]["error"].as_str().expect("an error").to_owned()
}

const FIELDS: &str = r#"
instructions = "We sell instruments."
[analysis.default.fields.agent-7]
type = "object"
properties = { instrument = { type = "string", enum = ["xylophone", "other"] } }
required = ["instrument"]
additionalProperties = false
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_analysed_once_it_is_over_and_found_by_its_summary() {
    let mut answer = found();
    answer["custom"] = json!({"instrument": "xylophone"});
    let endpoint = Endpoint::new(vec![Reaction::Answer(200, completion(&answer.to_string()))]).await;
    let home = Home::new(&endpoint.config(FIELDS));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({"endpoint_id": "agent-7"})))).await;
    let event = analysed(&server, "call_1").await;
    assert_eq!(
        event["event_data"],
        json!({
            "call_successful": true, "call_summary": SUMMARY, "user_sentiment": "positive", "in_voicemail": false,
            "custom": {"instrument": "xylophone"},
        })
    );
    let heard = endpoint.heard();
    let [(headers, asked)] = heard.as_slice() else { panic!("asked {} times", heard.len()) };
    assert_eq!(headers["authorization"], "Bearer sk-hush-hush");
    assert_eq!(asked["model"], "some-model");
    let format = &asked["response_format"]["json_schema"];
    assert_eq!((&asked["response_format"]["type"], &format["strict"]), (&json!("json_schema"), &json!(true)));
    assert_eq!(format["schema"]["properties"]["custom"]["required"], json!(["instrument"]));
    let said = |place: usize| asked["messages"][place]["content"].as_str().expect("a text");
    assert!(said(0).ends_with("We sell instruments.") && asked["messages"][0]["role"] == "system");
    let lines: Vec<&str> = said(1).lines().collect();
    assert_eq!(lines[1..3], ["[Agent]: What can I do for you?", "[Caller]: I want a xylophone."]);
    assert!(lines.len() == 4 && lines[0] == lines[3] && lines[0].starts_with("===="));

    let list = server.get("/v1/calls?q=xylophone").await.expect(200);
    assert_eq!(list["calls"][0]["id"], "call_1");
    let (id, secret) = server.key.split_at(20);
    let organization = server.request(Method::GET, "/api/calls/call_1").header("x-api-key", id);
    let organization = send(organization.header("x-api-secret", &secret[1..])).await;
    assert!(organization.text.contains(SUMMARY), "{}", organization.text);
    // Told again it is nothing new, and is not asked about again.
    no_jobs(&server).await;
    server.tell(&json!(call("call_1", &json!({"endpoint_id": "agent-7"})))).await;
    server.tell(&json!([{"call_id": "call_1", "event_type": "transcript_turn", "created_at": "2026-01-01T10:00:05Z", "event_data": {"role": "agent", "content": "Late"}}])).await;
    no_jobs(&server).await;
    assert_eq!(endpoint.heard().len(), 1);
    assert!(!server.log().contains("hush") && !server.log().contains("xylophone"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_not_or_need_not_be_sent_is_not_sent() {
    let endpoint = Endpoint::new(Vec::new()).await;
    let home = Home::new(&endpoint.config("minimum_seconds = 30"));
    let server = home.start();
    server.tell(&json!(call("call_opted_out", &json!({"opt_out_sensitive_data_storage": true})))).await;
    let mut own = call("call_own", &json!({}));
    own.push(json!({"call_id": "call_own", "event_type": "analysis_ready", "created_at": "2026-01-01T10:01:02Z", "event_data": {"call_summary": "Its own."}}));
    server.tell(&json!(own)).await;
    let mut short = call("call_short", &json!({}));
    short[4]["created_at"] = json!("2026-01-01T10:00:21Z");
    server.tell(&json!(short)).await;
    let mut unanswered = call("call_unanswered", &json!({}));
    // A caller who spoke was reached, answer or not: only the agent speaks here.
    unanswered
        .retain(|event| event["event_type"] != "call_answered" && event["event_data"]["role"] != "caller");
    server.tell(&json!(unanswered)).await;
    let silent: Vec<Value> = call("call_silent", &json!({}))
        .into_iter()
        .filter(|event| event["event_type"] != "transcript_turn")
        .collect();
    server.tell(&json!(silent)).await;
    server.tell(&json!(call("call_live", &json!({}))[..4])).await;
    no_jobs(&server).await;
    assert_eq!(endpoint.heard().len(), 0);
    // A transcript that comes after the end makes it one to analyse.
    server.tell(&json!([{"call_id": "call_silent", "event_type": "transcript_ready", "created_at": "2026-01-01T10:02:00Z", "event_data": {"text": "[Caller]: Hello"}}])).await;
    analysed(&server, "call_silent").await;
    assert_eq!(endpoint.heard().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_of_an_organization_that_did_not_want_it() {
    let endpoint = Endpoint::new(Vec::new()).await;
    let config = endpoint.config("").replace("analysis.default", "analysis.org-2");
    let server_home = Home::new(&config);
    let server = server_home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    no_jobs(&server).await;
    assert_eq!(endpoint.heard().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_analysis_waits_while_it_is_off() {
    let endpoint = Endpoint::new(vec![Reaction::Never]).await;
    let mut home = Home::new(&endpoint.config(""));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    endpoint.script.asked.notified().await;
    server.kill();
    let config = std::mem::take(&mut home.config);
    let server = home.start();
    let off = json!("analysis is off: switch it on, or forget the job");
    let put_off = |jobs: Value| (jobs["jobs"][0]["error"] == off).then(|| jobs["jobs"][0]["id"].clone());
    let job = server.until("/v1/jobs?state=waiting", |jobs| put_off(jobs.json())).await;
    server.kill();
    home.config = config;
    let server = home.start();
    server.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await;
    assert_eq!(analysed(&server, "call_1").await["event_data"]["call_summary"], SUMMARY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_knows_no_response_format_is_asked_without_and_may_fence_its_answer() {
    let endpoint = Endpoint::new(vec![
        Reaction::Answer(400, r#"{"error":{"message":"response_format is not supported"}}"#.into()),
        Reaction::Answer(
            200,
            completion(&format!("Here you are:\n```json\n{}\n```\nAnything else?", found())),
        ),
    ])
    .await;
    let home = Home::new(&endpoint.config(""));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    assert_eq!(analysed(&server, "call_1").await["event_data"]["call_summary"], SUMMARY);
    let heard = endpoint.heard();
    let formats: Vec<bool> = heard.iter().map(|(_, asked)| asked["response_format"].is_object()).collect();
    assert_eq!(formats, [true, false]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_busy_is_asked_again_when_it_says() {
    let endpoint = Endpoint::new(vec![Reaction::Again(429), Reaction::Again(503)]).await;
    let home = Home::new(&endpoint.config(""));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    analysed(&server, "call_1").await;
    assert_eq!(endpoint.heard().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_answer_is_told_and_tried_again() {
    for (reaction, error) in [
        (Reaction::Answer(500, "no".into()), "the endpoint answers 500"),
        (Reaction::Answer(200, "no".into()), "the answer is no chat completion"),
        (Reaction::Answer(200, completion("I would rather not.")), "holds no JSON object"),
        (Reaction::Answer(200, completion(r#"{"summary": 5}"#)), "summary of the answer"),
        (Reaction::Never, "did not answer in time"),
    ] {
        let endpoint = Endpoint::new(vec![reaction]).await;
        let home = Home::new(&endpoint.config("timeout_seconds = 1"));
        let server = home.start();
        server.tell(&json!(call("call_1", &json!({})))).await;
        let told = failed(&server, "waiting").await;
        assert!(told.contains(error), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_refused_ends_it_with_the_endpoint_s_words_and_without_the_key() {
    let words = format!("Incorrect key sk-hush-hush. {}", "x".repeat(1000));
    let refusal = json!({"error": {"message": words}}).to_string();
    let endpoint = Endpoint::new(vec![Reaction::Answer(401, refusal)]).await;
    let home = Home::new(&endpoint.config(""));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    let told = failed(&server, "dead").await;
    assert!(told.contains("answers 401") && told.contains("Incorrect key (hidden)."), "{told}");
    assert!(told.len() < 300 && !told.contains("hush"), "{told}");
    assert!(!server.log().contains("hush"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_call_that_is_erased_while_the_model_thinks_nothing_is_kept() {
    let endpoint = Endpoint::new(vec![Reaction::WhenTold(completion(&found().to_string()))]).await;
    let home = Home::new(&endpoint.config(""));
    let server = home.start();
    server.tell(&json!(call("call_1", &json!({})))).await;
    endpoint.script.asked.notified().await;
    let erase = server.request(Method::DELETE, "/v1/calls/call_1").header("x-api-key", &server.key);
    assert!(send(erase).await.status.is_success());
    endpoint.script.go_on.notify_one();
    // The next call is analysed after it, in the same way.
    server.tell(&json!(call("call_2", &json!({})))).await;
    analysed(&server, "call_2").await;
    no_jobs(&server).await;
    assert_eq!(server.get("/v1/calls/call_1").await.status.as_u16(), 404);
    let list = server.get("/v1/calls?q=xylophone").await.expect(200);
    assert_eq!(list["calls"].as_array().map(Vec::len), Some(1), "{list}");
}

#[test]
fn a_setting_that_makes_no_sense_is_refused_by_its_name_and_without_its_value() {
    let whole = "url = \"https://api.example.com/v1/chat/completions\"\nmodel = \"m\"\n";
    for (config, words) in [
        ("model = \"m\"".to_owned(), "analysis.default.url"),
        ("url = \"hush\"\nmodel = \"m\"".to_owned(), "analysis.default.url"),
        ("url = \"https://me:hush@api.example.com/\"\nmodel = \"m\"".to_owned(), "api_key"),
        ("url = \"https://api.example.com/\"".to_owned(), "analysis.default.model"),
        (format!("{whole}api_key = \"hush hush\""), "analysis.default.api_key"),
        (format!("{whole}timeout_seconds = 0"), "analysis.default.timeout_seconds"),
        (
            format!("{whole}[analysis.default.fields.default]\ntype = \"string\""),
            "analysis.default.fields.default",
        ),
        (
            format!(
                "{whole}[analysis.default.fields.a]\ntype = \"object\"\n\"$ref\" = \"https://example.com/\""
            ),
            "$ref",
        ),
        (
            format!("{whole}[analysis.default.fields]\na = \"file:/nowhere.json\""),
            "/nowhere.json cannot be read",
        ),
    ] {
        let output = Home::new(&format!("[analysis.default]\n{config}")).run(&["doctor"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{config}: {errors}");
        assert!(!errors.contains("hush"), "{errors}");
    }
}
