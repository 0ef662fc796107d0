//! What is said in calls is found, and shown where it stands.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    forms::Dialect,
    server::{Home, Server, send},
};

/// A call with these turns and this summary.
fn call(id: &str, day: u32, more: &Value, turns: &[(&str, &str)], summary: Option<&str>) -> Vec<Value> {
    let at = |second: usize| format!("2025-01-{day:02}T10:00:{second:02}Z");
    let event = |kind: &str, second: usize, data: Value| json!({"id": format!("{id}-{kind}-{second}"), "call_id": id, "event_type": kind, "created_at": at(second), "event_data": data});
    let mut events = vec![
        event("call_initiated", 0, more.clone()),
        event("call_answered", 1, json!({})),
        event("call_completed", 50, json!({})),
    ];
    for (place, (role, content)) in turns.iter().enumerate() {
        let turn = json!({"role": role, "content": content, "start_ms": place * 1_500});
        events.push(event("transcript_turn", 2 + place, turn));
    }
    if let Some(summary) = summary {
        events.push(event("analysis_ready", 55, json!({"call_summary": summary})));
    }
    events
}

async fn list(server: &Server<'_>, q: &str, more: &str) -> Value {
    let query: String = form_urlencoded::byte_serialize(q.as_bytes()).collect();
    server.get(&format!("/v1/calls?q={query}{more}")).await.expect(200)
}

fn ids(list: &Value) -> Vec<&str> {
    let calls = list["calls"].as_array().expect("calls");
    calls.iter().map(|call| call["id"].as_str().expect("an id")).collect()
}

async fn filled(server: &Server<'_>) {
    let plain = json!({});
    let calls = [
        call(
            "old",
            1,
            &plain,
            &[("agent", "How can I help?"), ("caller", "I want my money back, s'il vous plaît <now>.")],
            Some("Asked for a refund."),
        ),
        call("new", 2, &plain, &[("caller", "Money? I\u{2019}ll be back. A refund?")], None),
        call(
            "private",
            3,
            &json!({"opt_out_sensitive_data_storage": true}),
            &[("caller", "refund my money")],
            None,
        ),
        call("gone", 4, &plain, &[("caller", "refund my money")], None),
    ];
    server.tell(&json!(calls.concat())).await;
    let erase = server.request(Method::DELETE, "/v1/calls/gone").header("x-api-key", &server.key);
    assert_eq!(send(erase).await.status.as_u16(), 204);
}

#[tokio::test]
async fn calls_are_found_by_words_phrases_and_beginnings_and_shown_where_they_stand() {
    let home = Home::new("");
    let server = home.start();
    filled(&server).await;
    for (q, expected) in [
        ("money", vec!["new", "old"]),
        ("REFUND money", vec!["new", "old"]),
        ("\"money back\"", vec!["old"]),
        ("plait", vec!["old"]),
        ("i'll", vec!["new"]),
        ("refun*", vec!["new", "old"]),
        ("refun", vec![]),
        ("!?", vec![]),
    ] {
        let found = list(&server, q, "").await;
        assert_eq!(ids(&found), expected, "{q}");
        assert_eq!(found["total"], expected.len(), "{q}");
        let request = server.request(Method::POST, "/api/calls");
        let request = Dialect::Organization.with_key(request, &server.key);
        let searched = send(request.json(&json!({"filter_criteria": {"transcript_search": q}}))).await;
        assert_eq!(
            searched.json()["data"]["pagination"]["total_count"],
            expected.len(),
            "{q}: {}",
            searched.text
        );
    }
    let found = list(&server, "\"money back\" refund plait", "").await;
    assert_eq!(
        found["calls"][0]["matches"],
        json!([
            {"field": "summary", "role": null, "start_ms": null, "snippet": "Asked for a <mark>refund</mark>."},
            {"field": "transcript", "role": "caller", "start_ms": 1_500, "snippet":
                "I want my <mark>money back</mark>, s&#39;il vous <mark>plaît</mark> &lt;now&gt;."},
        ])
    );
    // What is said in the summary counts more.
    assert_eq!(ids(&list(&server, "refund", "&sort=relevance").await), ["old", "new"]);
    // Who asks for nothing gets what the document shows.
    let plain = server.get("/v1/calls").await.expect(200);
    assert!(
        plain["calls"].as_array().expect("calls").iter().all(|call| call.get("matches").is_none()),
        "{plain}"
    );
}

#[tokio::test]
async fn every_text_is_a_search() {
    let home = Home::new("");
    let server = home.start();
    filled(&server).await;
    let long = "a\" OR \"b* ".repeat(400);
    for q in [
        "\"",
        "\"\"\"",
        "*",
        "^money",
        "money AND",
        "NOT",
        "NEAR(money back, 3)",
        "transcript : money",
        "{summary}:x",
        "-money",
        "money - back",
        "(money",
        "'; DROP TABLE calls; --",
        "\0",
        "\u{301}",
        "退款",
        "Ⓐ",
        "a.b.c",
        "+1 (415)",
        "\u{202e}money",
        "%",
        "_",
        "\\",
        "\n",
        "\u{10ffff}",
        &long,
    ] {
        for more in ["", "&sort=relevance", "&sort=completed_at", "&status=completed&limit=1"] {
            let found = list(&server, q, more).await;
            assert!(found["calls"].is_array(), "{q:?}: {found}");
        }
    }
}
