//! What the program shows of itself: `/metrics` and `/readyz`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use reqwest::{Method, header};
use serde_json::json;

use crate::server::{Answer, Home, Server, send};

async fn metrics(server: &Server<'_>, accept: &str) -> Answer {
    send(server.request(Method::GET, "/metrics").header(header::ACCEPT, accept)).await
}

/// The value of a series.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{series} in {text}"))
}

/// What promtool says of this text; it must not fail.
fn promtool(arguments: &[&str], text: &str) -> String {
    let mut check = Command::new("promtool");
    let check = check.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut check = check.spawn().expect("promtool is installed: scripts/tools");
    check.stdin.take().expect("stdin").write_all(text.as_bytes()).expect("promtool reads");
    let checked = check.wait_with_output().expect("an end");
    let said = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(checked.status.success(), "{said}");
    said
}

#[test]
fn promtool_takes_the_alerts() {
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/monitoring/pegcount.rules.yml");
    let said = promtool(&["check", "rules", rules], "");
    assert!(said.contains("SUCCESS"), "{said}");
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics() {
    let home =
        Home::new("[sip]\nlisten = \"127.0.0.1:0\"\n[sip.media]\nfirst_port = 42000\nlast_port = 42100\n");
    let server = home.start();
    server.tell(&json!({ "call_id": "a", "event_type": "call_answered" })).await;
    let answer = metrics(&server, "*/*").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let said = promtool(&["check", "metrics"], &answer.text);
    assert!(said.is_empty(), "{said}");
    assert_eq!(value(&answer.text, "pegcount_live_calls"), 1.0);
    for name in ["pegcount_disk_free_bytes", "pegcount_store_bytes", "pegcount_store_log_bytes"] {
        assert!(value(&answer.text, name) > 0.0, "{name}");
    }
    assert_eq!(value(&answer.text, "pegcount_jobs_oldest_seconds"), 0.0);
}

/// The rows of the table of metrics: the name, and what it says.
fn documented() -> Vec<(String, String)> {
    let page = include_str!("../../../../docs/operations.md");
    let (_, below) = page.split_once("\n## Metrics\n").expect("the section");
    let section = below.split("\n## ").next().expect("a section");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
}

#[tokio::test]
async fn every_documented_metric_is_there_from_the_start() {
    let home = Home::new("");
    let server = home.start();
    let text = metrics(&server, "").await.text;
    let rows = documented();
    assert!(rows.len() > 50, "{rows:?}");
    for (name, meaning) in rows {
        let series: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix(name.as_str()))
            .filter(|rest| rest.starts_with([' ', '{']) || rest.starts_with("_bucket{"))
            .collect();
        assert!(!series.is_empty(), "{name} has no series in {text}");
        // Values of one label that are listed whole.
        for label in ["reason", "outcome", "kind", "state"] {
            let Some((_, values)) = meaning.split_once(&format!("`{label}` (")) else { continue };
            let (values, _) = values.split_once(')').expect("an end of the list");
            for value in values.split('`').skip(1).step_by(2) {
                let shown = format!("{label}=\"{value}\"");
                assert!(series.iter().any(|series| series.contains(&shown)), "{name} has no {shown}");
            }
        }
    }
    for (name, reason) in [("refused", "too_many_hops"), ("refused", "scanner"), ("guard", "too_fast")] {
        assert!(text.contains(&format!("pegcount_sip_{name}_total{{reason=\"{reason}\"")), "{reason}");
    }
    let rejected = "pegcount_events_total{source=\"asterisk\",outcome=\"rejected\"}";
    assert_eq!(value(&text, rejected), 0.0);
    let failed = "pegcount_requests_total{route=\"/v1/events\",method=\"POST\",status=\"503\"}";
    assert_eq!(value(&text, failed), 0.0);
}

#[tokio::test]
async fn a_collector_that_prefers_openmetrics_gets_it() {
    let home = Home::new("");
    let server = home.start();
    let answer = metrics(&server, "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3").await;
    assert_eq!(answer.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(answer.headers["vary"], "accept");
    assert!(answer.text.ends_with("# EOF\n"), "{}", answer.text);
}

#[tokio::test]
async fn a_made_up_method_makes_no_series_of_its_own() {
    let home = Home::new("");
    let server = home.start();
    for method in ["BREW", "WHEN"] {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        send(server.request(method, "/v1/calls")).await;
    }
    let text = metrics(&server, "").await.text;
    assert!(!text.contains("BREW") && !text.contains("WHEN"), "{text}");
    let series = "pegcount_requests_total{route=\"/v1/calls\",method=\"other\",status=\"405\"}";
    assert_eq!(value(&text, series), 2.0);
}

#[tokio::test]
async fn a_disk_without_room_makes_the_server_unready() {
    let mut home = Home::new("");
    let server = home.start();
    let ready = server.get("/readyz").await.expect(200);
    assert_eq!(ready["disk"]["ok"], true);
    for figure in [&ready["disk"]["free_bytes"], &ready["store"]["bytes"], &ready["store"]["log_bytes"]] {
        assert!(figure.as_u64() > Some(0), "{ready}");
    }
    assert_eq!(ready["jobs"], json!({ "ok": true, "unfinished": 0, "oldest_seconds": null }));
    assert!(server.terminate().success());
    home.config = "[readiness]\nmin_free_disk_bytes = 1000000000000000\n".to_owned();
    let server = home.start();
    let ready = server.get("/readyz").await.expect(503);
    assert_eq!((&ready["ready"], &ready["disk"]["ok"]), (&json!(false), &json!(false)));
    let message = ready["disk"]["message"].as_str().expect("a sentence");
    assert!(message.contains("readiness.min_free_disk_bytes") && message.contains("make room"), "{message}");
    // It goes on taking events in.
    server.tell(&json!({ "call_id": "a", "event_type": "call_answered" })).await;
}
