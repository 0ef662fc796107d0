//! The curl lines of the documents, copied from them.

use std::process::Command;

use serde_json::{Value, json};

use super::documents::{OPEN, v1_story};
use crate::{
    forms::halves,
    server::{Home, Server},
};

/// Runs a line of a document in a shell, and reads what it prints.
fn shell(line: &str) -> Value {
    let output =
        Command::new("sh").arg("-c").arg(format!("{line} --silent --show-error --max-time 30")).output();
    let output = output.expect("a shell runs curl");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{line}: {error}: {output:?}"))
}

/// A server with one call that is over and one that is live, both of `ep_xyz789`.
async fn with_calls(home: &Home) -> Server<'_> {
    let server = home.start();
    server.tell(&v1_story()).await;
    let live = json!([
        {"call_id": "call_live", "event_type": "call_initiated", "event_data": {"endpoint_id": "ep_xyz789"}},
        {"call_id": "call_live", "event_type": "call_answered"},
    ]);
    server.tell(&live).await;
    server
}

const V1_LIST: &str = r#"curl -X GET "https://api.krosai.com/v1/calls?limit=10&status=completed" \
  -H "x-api-key: kros_live_your_key""#;
const V1_GET: &str = r#"curl -X GET "https://api.krosai.com/v1/calls/call_abc123" \
  -H "x-api-key: kros_live_your_key""#;
const V1_STATS: &str = r#"curl -X GET "https://api.krosai.com/v1/calls/stats?from_date=2025-01-01" \
  -H "x-api-key: kros_live_your_key""#;
const V1_EVENTS: &str = r#"curl -X GET "https://api.krosai.com/v1/calls/call_abc123/events" \
  -H "x-api-key: kros_live_your_key""#;
const V1_HANGUP: &str = r#"curl -X POST "https://api.krosai.com/v1/calls/call_abc123/hangup" \
  -H "x-api-key: kros_live_your_key""#;

#[tokio::test]
async fn the_lines_of_the_v1_document_work() {
    let home = Home::new("");
    let server = with_calls(&home).await;
    let run = |line: &str| {
        let line = line.replace("https://api.krosai.com", &server.url(""));
        shell(&line.replace("kros_live_your_key", &server.key))
    };
    let list = run(V1_LIST);
    assert_eq!((&list["total"], &list["limit"], &list["offset"]), (&json!(1), &json!(10), &json!(0)));
    assert_eq!(run(V1_GET)["id"], "call_abc123");
    assert_eq!(run(V1_STATS)["total_calls"], 1);
    let events = run(V1_EVENTS);
    assert!(events["events"].as_array().is_some_and(|events| events.len() > 5), "{events}");
    assert_eq!(run(V1_HANGUP)["code"], "CALL_NOT_ACTIVE");
}

const ORGANIZATION_LIST: &str = r"curl --request GET \
--url http://localhost:8080/api/calls \
--header 'X-API-KEY: <api-key>' \
--header 'X-API-SECRET: <api-key>'";
const ORGANIZATION_GET: &str = r"curl --request GET \
--url http://localhost:8080/api/calls/{callId} \
--header 'X-API-KEY: <api-key>' \
--header 'X-API-SECRET: <api-key>'";

#[tokio::test]
async fn the_lines_of_the_organization_documents_work() {
    let home = Home::new("");
    let server = with_calls(&home).await;
    let (id, secret) = halves(&server.key);
    let run = |line: &str| {
        let line = line.replace("http://localhost:8080", &server.url(""));
        shell(&line.replacen("<api-key>", id, 1).replacen("<api-key>", secret, 1))
    };
    assert_eq!(run(ORGANIZATION_LIST)["message"], "Calls retrieved successfully");
    assert_eq!(run(&ORGANIZATION_GET.replace("{callId}", "call_live"))["data"]["call_status"], "ONGOING");
}

const AGENT: &str = r"curl --request GET \
  --url https://api.example.com/api/agents/{agent_id}/call_stats";

#[tokio::test]
async fn the_line_of_the_agent_document_works_without_a_key() {
    let home = Home::new(OPEN);
    let server = with_calls(&home).await;
    let number = server.get("/v1/endpoints/ep_xyz789").await.json()["number"].to_string();
    let line = AGENT.replace("https://api.example.com", &server.url("")).replace("{agent_id}", &number);
    assert_eq!(shell(&line).as_array().map(Vec::len), Some(2));
}

/// As the document prints them: each URL as a link with its target behind it, the second line broken by the page.
const TENANT_STATS: &str = r"curl --location '[https://tsagent.talentscan.ai/apis/get_cdr_stats.php] (https://scan.ai/apis/get_cdr_stats.php)' \
--header 'Content-Type: application/x-www-form-urlencoded' \
--data-urlencode 'tenant_id=1'";
const TENANT_LIVE: &str = r"curl --location
' [https://tsagent.talentscan.ai/apis/get_live_calls.php] (https://scan.ai/apis
/get_live_calls.php) ' \
--header 'Content-Type: application/x-www-form-urlencoded' \
--data-urlencode 'tenant_id=1'";

/// A line with the link taken back to its URL.
fn unlinked(line: &str) -> String {
    let (before, rest) = line.split_once('[').expect("a link");
    let (url, rest) = rest.split_once(']').expect("the end of its text");
    let (_, after) = rest.split_once(')').expect("the end of its target");
    let (before, after) = (before.trim_end_matches(['\'', ' ', '\n']), after.trim_start_matches([' ', '\'']));
    format!("{before} '{url}' {after}")
}

#[tokio::test]
async fn the_lines_of_the_tenant_document_work_without_a_key() {
    let home = Home::new(OPEN);
    let server = with_calls(&home).await;
    for (line, key, count) in [(TENANT_STATS, "total_calls", 1), (TENANT_LIVE, "live_calls", 1)] {
        let line = unlinked(line).replace("https://tsagent.talentscan.ai", &server.url(""));
        let counts = shell(&line);
        assert_eq!((&counts["tenant_id"], &counts[key]), (&json!("1"), &json!(count)), "{counts}");
    }
}
