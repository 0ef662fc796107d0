use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use pegcount_calls::{Disconnection, History, Status, Timestamp, fold};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    DemoOptions, Progress,
    outcome::Outcome,
    run_reporting,
    script::{Script, script},
    sender::{Sender, event},
};
use crate::{clock::Clock, samples, vocabulary};

const START: Timestamp = Timestamp::from_millis(1_736_503_200_000);

fn told(script: &Script) -> Value {
    let events = script.events.iter().enumerate().map(|(place, scripted)| {
        let at = START.plus_millis(scripted.offset_ms);
        event("call_demo", place, at, scripted.kind, &scripted.data)
    });
    events.collect()
}

/// What the contract's tables make of each ending.
fn expected(outcome: Outcome, outbound: bool) -> (Status, Disconnection) {
    match outcome {
        Outcome::UserHungUp | Outcome::BrokenOff => (Status::Completed, Disconnection::UserHangup),
        Outcome::AgentHungUp | Outcome::Voicemail => (Status::Completed, Disconnection::AgentHangup),
        Outcome::Transferred => (Status::Completed, Disconnection::CallTransfer),
        Outcome::Stopped => (Status::Completed, Disconnection::ManualStopped),
        Outcome::TooLong => (Status::Completed, Disconnection::MaxDurationReached),
        Outcome::Dropped => (Status::Failed, Disconnection::ErrorNetwork),
        Outcome::Busy => (Status::Busy, Disconnection::DialBusy),
        Outcome::NoAnswer => (Status::NoAnswer, Disconnection::DialNoAnswer),
        Outcome::Canceled if outbound => (Status::Canceled, Disconnection::AgentHangup),
        Outcome::Canceled => (Status::Canceled, Disconnection::UserHangup),
        Outcome::Rejected => (Status::Failed, Disconnection::DialFailed),
        Outcome::Unreachable => (Status::Failed, Disconnection::ErrorNetwork),
        Outcome::TimedOut => (Status::Failed, Disconnection::ErrorTimeout),
    }
}

#[test]
fn every_call_folds_to_what_it_was_meant_to_be_and_all_kinds_occur() {
    let mut outcomes = BTreeSet::new();
    let mut kinds = BTreeSet::new();
    let mut talk_seconds = Vec::new();
    for seed in 0..500 {
        let script = script(seed);
        let reports = samples::reports(&told(&script));
        kinds.extend(reports.iter().map(|report| report.kind.clone()));
        let history =
            History::of(reports.iter().map(|report| vocabulary::read_report(report).unwrap())).unwrap();
        let call = fold(&history);
        let outbound = call.direction == pegcount_calls::Direction::Outbound;
        let shown = (call.status(), call.disconnection().expect("an end"));
        assert_eq!(shown, expected(script.outcome, outbound), "seed {seed}: {:?}", script.outcome);
        assert_eq!(call.created_at, START, "seed {seed}");
        let end = START.plus_millis(script.events[script.end].offset_ms);
        assert_eq!(call.ended_at(), Some(end), "seed {seed}");
        assert!(call.endpoint.is_some() && call.own_number().is_some(), "seed {seed}");
        if script.outcome.is_answered() && !call.opt_out {
            talk_seconds.push(call.talk_time().unwrap().as_secs());
            assert!(!call.content.turns.is_empty() && call.content.analysis.is_some(), "seed {seed}");
            assert!(call.content.turns.is_sorted_by_key(|turn| turn.at), "seed {seed}");
            assert!(call.content.quality.len() == 2 && !call.content.costs.is_empty(), "seed {seed}");
        }
        outcomes.insert(script.outcome);
    }
    assert_eq!(outcomes.len(), 14, "{outcomes:?}");
    assert!(kinds.len() >= 19, "{kinds:?}");
    talk_seconds.sort_unstable();
    let share = |share: f64| talk_seconds[(talk_seconds.len() as f64 * share) as usize];
    assert!(share(0.1) >= 5 && share(0.9) <= 90, "{} to {}", share(0.1), share(0.9));
}

#[test]
fn what_is_said_leaves_no_slot_empty_and_no_tool_without_arguments() {
    for seed in 0..500 {
        for scripted in script(seed).events {
            let text = scripted.data.to_string();
            let slot = text.match_indices('{').any(|(place, _)| {
                text[place + 1..].split_once('}').is_some_and(|(name, _)| {
                    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
                })
            });
            assert!(!slot, "{text}");
            assert!(!scripted.data.get("arguments").is_some_and(Value::is_null), "{text}");
            assert!(!scripted.data.get("result").is_some_and(Value::is_null), "{text}");
            assert!(!scripted.data.get("custom").is_some_and(Value::is_null), "{text}");
        }
    }
}

#[test]
fn the_same_seed_is_the_same_call() {
    assert_eq!(script(7), script(7));
    assert_ne!(script(7), script(8));
    let calls: BTreeSet<String> = (0..200).map(|seed| told(&script(seed)).to_string()).collect();
    assert_eq!(calls.len(), 200);
}

/// A server that takes events as `POST /v1/events` does, after having been busy once.
#[derive(Clone, Default)]
struct Taken {
    calls: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    busy: Arc<Mutex<bool>>,
}

async fn take(State(taken): State<Taken>, headers: HeaderMap, Json(events): Json<Vec<Value>>) -> Response {
    if headers["x-api-key"] != "good" {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "no"}))).into_response();
    }
    if !std::mem::replace(&mut *taken.busy.lock().unwrap(), true) {
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")]).into_response();
    }
    let text = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
    let mut calls = taken.calls.lock().unwrap();
    for event in &events {
        calls.entry(text(event, "call_id")).or_default().push(text(event, "event_type"));
    }
    Json(json!({"accepted": events.len(), "duplicates": 0, "rejected": []})).into_response()
}

async fn server() -> (String, Taken) {
    let taken = Taken::default();
    let router = Router::new()
        .route("/v1/events", post(take))
        .route("/v1/endpoints", post(|| async { StatusCode::CONFLICT }))
        .route("/v1/phone-numbers", post(|| async { StatusCode::FORBIDDEN }))
        .with_state(taken.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

fn options(url: &str, key: &str) -> DemoOptions {
    DemoOptions {
        url: url.to_owned(),
        key: key.to_owned(),
        organization: None,
        certificates: Vec::new(),
        calls_per_second: 50.0,
        seed: Some(1),
        limit: None,
    }
}

#[tokio::test]
async fn a_run_leaves_no_call_in_progress() {
    let (url, taken) = server().await;
    let told = Mutex::new(Vec::new());
    let report = |progress| told.lock().unwrap().push(progress);
    let stop = async {
        while taken.calls.lock().unwrap().len() < 320 {
            tokio::task::yield_now().await;
        }
    };
    Sender::new(&options(&url, "good"), Clock::system(), &report).unwrap().run(stop).await.unwrap();
    let told = told.into_inner().unwrap();
    assert!(matches!(told.first(), Some(Progress::Begun { seed: 1 })), "{told:?}");
    assert!(
        told.iter().any(|progress| matches!(progress, Progress::Note(note) if note.contains("403"))),
        "{told:?}"
    );
    assert!(
        told.iter().any(|progress| matches!(progress, Progress::PastSent { calls: 300, .. })),
        "{told:?}"
    );
    let Some(Progress::Over(tally)) = told.last() else { panic!("{told:?}") };
    assert!(tally.calls >= 20 && tally.live == 0 && tally.rejected == 0, "{tally:?}");
    let ends = ["call_completed".to_owned(), "call_failed".to_owned()];
    for (call, kinds) in taken.calls.lock().unwrap().iter() {
        assert!(kinds.iter().any(|kind| ends.contains(kind)), "{call}: {kinds:?}");
    }
}

#[tokio::test]
async fn what_cannot_work_is_said_in_a_sentence() {
    let (url, _) = server().await;
    let refused = run_reporting(options(&url, "bad"), |_| {}).await.unwrap_err();
    assert!(refused.contains("does not know the key"), "{refused}");
    let gone = run_reporting(options("http://127.0.0.1:1", "good"), |_| {}).await.unwrap_err();
    assert!(gone.contains("is the server running"), "{gone}");
    let nowhere = run_reporting(options("localhost", "good"), |_| {}).await.unwrap_err();
    assert!(nowhere.contains("http://host:port"), "{nowhere}");
    let elsewhere = run_reporting(options(&format!("{url}/no"), "good"), |_| {}).await.unwrap_err();
    assert!(elsewhere.contains("is no Pegcount"), "{elsewhere}");
    let tls = run_reporting(options(&url.replace("http:", "https:"), "good"), |_| {}).await.unwrap_err();
    assert!(tls.contains("--url http://"), "{tls}");
    let still = DemoOptions { calls_per_second: 0.0, ..options(&url, "good") };
    assert!(run_reporting(still, |_| {}).await.unwrap_err().contains("rate"));
}
