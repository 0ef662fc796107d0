//! The answers that the documents show.

use serde_json::{Value, json};

use crate::{
    forms::halves,
    server::{Answer, Home, Server, send},
};

/// Both documents that show no key find an open door.
pub(super) const OPEN: &str = "[tenant]\naccess = \"open\"\n[agent]\naccess = \"open\"\n";

/// The events of the v1 document, and what its call must have been told besides.
pub(super) fn v1_story() -> Value {
    let call = "call_abc123";
    let golden: Value = serde_json::from_str(V1_EVENTS).expect("JSON");
    let mut events = golden["events"].as_array().expect("events").clone();
    let besides =
        |at: &str, kind: &str, data: Value| json!({"created_at": at, "event_type": kind, "event_data": data});
    let setup = json!({
        "direction": "inbound", "from_number": "+14155551234", "to_number": "+2348012345678",
        "endpoint_id": "ep_xyz789", "phone_number_id": "pn_123",
    });
    let url = json!({"url": "https://storage.krosai.com/recordings/call_abc123.mp3"});
    let text = json!({"text": "Hello, how can I help you today?..."});
    events.push(besides("2025-01-10T10:00:00.001Z", "call_initiated", setup));
    events.push(besides(
        "2025-01-10T10:02:00Z",
        "media_quality",
        json!({"leg": "agent", "packet_loss": 0.01}),
    ));
    events.push(besides(
        "2025-01-10T10:03:09Z",
        "cost_item",
        json!({"product": "inbound_call", "cost": "0.12"}),
    ));
    events.push(besides("2025-01-10T10:03:20Z", "recording_ready", url));
    events.push(besides("2025-01-10T10:03:30Z", "transcript_ready", text));
    for event in &mut events {
        event["call_id"] = json!(call);
    }
    json!(events)
}

const V1_EVENTS: &str = include_str!("../../../src/dialects/v1/golden/events.json");

/// The answer must be the document's, to the order of the keys and the digits of the numbers, but for what `but` says.
fn assert_golden(answer: &Answer, golden: &str, but: &[(&str, Value)]) {
    let mut golden: Value = serde_json::from_str(golden).expect("JSON");
    let given = answer.expect(200);
    for (pointer, value) in but {
        let place = golden.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer}"));
        *place = if value.is_null() { given.pointer(pointer).expect(pointer).clone() } else { value.clone() };
    }
    let shown = |value: &Value| serde_json::to_string_pretty(value).expect("JSON");
    assert_eq!(shown(&given), shown(&golden));
    assert_eq!(answer.text, golden.to_string(), "the same values with other digits");
}

#[tokio::test]
async fn the_answers_of_the_v1_document_come_out_of_its_events() {
    let home = Home::new("");
    let server = home.start();
    let endpoint = json!({"id": "ep_xyz789", "name": "Support Agent", "provider": "elevenlabs"});
    server.post("/v1/endpoints", &endpoint).await.expect(201);
    let number = json!({"id": "pn_123", "number": "+2348012345678", "endpoint_id": "ep_xyz789"});
    server.post("/v1/phone-numbers", &number).await.expect(201);
    server.tell(&v1_story()).await;
    let list = server.get("/v1/calls?limit=10&status=completed").await;
    assert_golden(&list, include_str!("../../../src/dialects/v1/golden/list.json"), &[("/total", json!(1))]);
    let get = server.get("/v1/calls/call_abc123").await;
    assert_golden(
        &get,
        include_str!("../../../src/dialects/v1/golden/get.json"),
        &[("/transcript", Value::Null)],
    );
    let types = "types=sip_invite_sent,call_answered,sip_media_established,call_completed";
    let events = server.get(&format!("/v1/calls/call_abc123/events?{types}")).await.expect(200);
    let golden: Value = serde_json::from_str(V1_EVENTS).expect("JSON");
    assert_eq!(
        events["events"].as_array().map(Vec::as_slice),
        golden["events"].as_array().map(|events| &events[1..])
    );
}

#[tokio::test]
async fn the_statistics_of_the_v1_document_come_out_of_1250_calls() {
    let home = Home::new("");
    let server = home.start();
    let mut events = Vec::new();
    for number in 0..1250_u32 {
        // 1,180 completed ones talk 45,000 seconds: 160 of them 39, the others 38.
        let seconds = if number < 160 { 39 } else { 38 };
        let direction = if number % 25 < 16 { "inbound" } else { "outbound" };
        let (kind, mut data) = match number {
            0..1180 => ("call_completed", json!({"duration": seconds})),
            _ => ("call_failed", json!({})),
        };
        data["direction"] = json!(direction);
        let at = format!("2025-01-{:02}T10:00:00Z", number % 28 + 1);
        let call = format!("call_{number}");
        let cost = json!({"product": "call", "cost": "0.0288"});
        events.push(json!({"call_id": call, "event_type": kind, "created_at": at, "event_data": data}));
        events
            .push(json!({"call_id": call, "event_type": "cost_item", "created_at": at, "event_data": cost}));
    }
    server.tell(&json!(events)).await;
    let golden = include_str!("../../../src/dialects/v1/golden/stats.json");
    assert_golden(&server.get("/v1/calls/stats?from_date=2025-01-01").await, golden, &[]);
    let trends = server.get("/v1/calls/trends?from_date=2025-01-01&to_date=2025-01-28").await.expect(200);
    let days = trends["trends"].as_array().expect("days");
    let total: u64 = days.iter().filter_map(|day| day["total_calls"].as_u64()).sum();
    assert_eq!((days.len(), total, &trends["interval"]), (28, 1250, &json!("day")));
    assert_eq!(
        (&days[0]["start"], &days[0]["end"]),
        (&json!("2025-01-01T00:00:00Z"), &json!("2025-01-02T00:00:00Z"))
    );
    let hours = server
        .get("/v1/calls/trends?interval=hour&from_date=2025-01-01&to_date=2025-01-01")
        .await
        .expect(200);
    let hours = hours["trends"].as_array().expect("hours").clone();
    assert_eq!((hours.len(), &hours[10]["total_calls"]), (24, &days[0]["total_calls"]));
}

const BEGIN: i64 = 1_703_097_600_000;

fn at(call: &str, millis: i64, kind: &str, data: &Value) -> Value {
    json!({"call_id": call, "created_at": BEGIN + millis, "event_type": kind, "event_data": data})
}

fn setup(direction: &str, from: &str, to: &str, metadata: &Value) -> Value {
    json!({
        "direction": direction, "from_number": from, "to_number": to, "call_type": "phone_call",
        "endpoint_id": "agent-123", "metadata": metadata,
        "telephony": {
            "call_sid": "CA1234567890abcdef1234567890abcdef", "conference_sid": "CF1234567890abcdef1234567890abcdef",
        },
    })
}

/// The events of the call in the document of one call: it is ongoing.
fn ongoing() -> Value {
    let call = "call-456";
    let metadata = json!({"customer_id": "cust-001", "priority": "high", "campaign": "summer-2024"});
    let turn = json!({
        "role": "agent", "content": "Hello, thank you for calling. How can I help you today?", "start_ms": 5000,
        "words": [{"word": "Hello", "start_ms": 5000, "end_ms": 5500}],
    });
    let e2e = json!({
        "stage": "e2e", "min": 120.1, "max": 450.2, "num": 15, "p50": 250.5, "p90": 380.8, "p95": 420.3, "p99": 445.1,
        "values": [120.1, 180.3, 250.5, 380.8, 450.2],
    });
    let llm = json!({
        "stage": "llm", "min": 80.2, "max": 180.5, "num": 8, "p50": 125.3, "p90": 160.1, "p95": 170.8, "p99": 178.2,
        "values": [80.2, 90.1, 125.3, 160.1, 180.5],
    });
    let minutes = json!({"product": "inbound_call", "unit": "minute", "unit_price": "0.020", "quantity": 5});
    json!([
        at(call, 0, "call_initiated", &setup("inbound", "+1234567890", "+0987654321", &metadata)),
        at(call, 30_000, "call_answered", &json!({})),
        at(call, 35_000, "transcript_turn", &turn),
        at(call, 40_000, "latency_summary", &e2e),
        at(call, 40_000, "latency_summary", &llm),
        at(call, 41_000, "cost_item", &minutes),
        at(call, 42_000, "cost_item", &json!({"product": "llm_usage", "unit_price": 0.001, "quantity": 50})),
        at(
            call,
            43_000,
            "recording_ready",
            &json!({"url": "https://storage.azure.com/recordings/call-456.mp4"})
        ),
    ])
}

/// The events of the call in the document of the list: it is over.
fn over() -> Value {
    let call = "call-456";
    let metadata = json!({
        "customer_id": "cust-001", "priority": "high", "campaign": "summer-2024", "batch_call_id": "batch-001",
    });
    let text = "[Agent]: Hello, I'm calling about my recent order.\n[Caller]: Thank you for your help!";
    let e2e = json!({
        "stage": "e2e", "min": 120.5, "max": 350.1, "num": 12, "p50": 150.5, "p90": 280.2, "p95": 320.8, "p99": 345.3,
        "values": [120.5, 135.2, 150.5, 280.2, 350.1],
    });
    let analysis = json!({
        "call_successful": true, "call_summary": "Customer inquiry about order status - resolved successfully",
        "user_sentiment": "positive", "in_voicemail": false,
    });
    json!([
        at(call, 0, "call_initiated", &setup("outbound", "+0987654321", "+1234567890", &metadata)),
        at(call, 5_000, "call_answered", &json!({})),
        at(call, 600_000, "call_completed", &json!({"hangup_cause": "user_hangup"})),
        at(call, 601_000, "transcript_ready", &json!({"text": text})),
        at(call, 601_000, "latency_summary", &e2e),
        at(call, 602_000, "analysis_ready", &analysis),
        at(call, 602_000, "cost_item", &json!({"product": "outbound_call", "cost": "0.250"})),
        at(
            call,
            603_000,
            "recording_ready",
            &json!({"url": "https://storage.azure.com/recordings/call-456.mp4"})
        ),
    ])
}

async fn organization(server: &Server<'_>, path: &str) -> Answer {
    let (id, secret) = halves(&server.key);
    let request = server.request(reqwest::Method::GET, path).header("x-api-key", id);
    send(request.header("x-api-secret", secret).header("x-organization-id", "org-789")).await
}

#[tokio::test]
async fn the_answers_of_the_organization_documents_come_out_of_events() {
    for (story, path, golden) in [
        (
            ongoing(),
            "/api/calls/call-456",
            include_str!("../../../src/dialects/organization/golden/get.json"),
        ),
        (over(), "/api/calls", include_str!("../../../src/dialects/organization/golden/list.json")),
    ] {
        let home = Home::new("");
        let server = home.start();
        home.run_json(&["organizations", "create", "--id", "org-789"]);
        let told = server.request(reqwest::Method::POST, "/v1/events").header("x-api-key", &server.key);
        let told = send(told.header("x-organization-id", "org-789").json(&story)).await.expect(200);
        assert_eq!(told["rejected"], json!([]), "{told}");
        let answer = organization(&server, path).await;
        let data = answer.expect(200)["data"].clone();
        let (place, call) =
            if path == "/api/calls" { ("/data/calls/0", &data["calls"][0]) } else { ("/data", &data) };
        let log = call["public_log_url"].as_str().expect("a link");
        let read =
            send(server.request(reqwest::Method::GET, &log[log.find("/logs/").expect("a path")..])).await;
        assert_eq!(read.expect(200)["events"].as_array().map(Vec::len), story.as_array().map(Vec::len));
        let (id, log) = (format!("{place}/id"), format!("{place}/public_log_url"));
        let pages = json!({
            "page": 0, "limit": 20, "total_count": 1, "total_pages": 1, "has_next_page": false, "has_previous_page": false,
        });
        let mut but = vec![(id.as_str(), Value::Null), (log.as_str(), Value::Null)];
        if path == "/api/calls" {
            but.push(("/data/pagination", pages));
        }
        assert_golden(&answer, golden, &but);
    }
}

#[tokio::test]
async fn the_answers_of_the_tenant_document_come_out_of_events_and_the_agent_document_holds_its_keys() {
    let home = Home::new(OPEN);
    let server = home.start();
    let told: Vec<Value> = (0..18)
        .map(|number| {
            let data = json!({"duration": 5, "endpoint_id": "ep_1"});
            json!({"call_id": format!("call_{number}"), "event_type": "call_completed", "event_data": data})
        })
        .collect();
    server.tell(&json!(told)).await;
    for (page, golden) in [
        ("get_cdr_stats", include_str!("../../../src/dialects/tenant/golden/cdr_stats.json")),
        ("get_live_calls", include_str!("../../../src/dialects/tenant/golden/live_calls.json")),
    ] {
        for (media_type, body) in [
            ("application/x-www-form-urlencoded", "tenant_id=1"),
            ("application/json", r#"{"tenant_id": "1"}"#),
            ("application/json", r#"{"tenant_id": 1}"#),
            (
                "multipart/form-data; boundary=b",
                "--b\r\ncontent-disposition: form-data; name=\"tenant_id\"\r\n\r\n1\r\n--b--\r\n",
            ),
        ] {
            let request = server.request(reqwest::Method::POST, &format!("/apis/{page}.php"));
            assert_golden(&send(request.header("content-type", media_type).body(body)).await, golden, &[]);
        }
        let request = server.request(reqwest::Method::POST, &format!("/apis/{page}.php?tenant_id=1"));
        assert_golden(&send(request).await, golden, &[]);
    }
    let agent = send(server.request(reqwest::Method::GET, "/api/agents/1/call_stats")).await.expect(200);
    let document: Value =
        serde_json::from_str(include_str!("../../../src/dialects/agent/golden/document.json")).expect("JSON");
    let keys = |call: &Value| call.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    let calls = agent.as_array().expect("an array");
    assert_eq!(calls.len(), 18);
    assert!(calls.iter().all(|call| keys(call) == keys(&document[0])), "{}", calls[0]);
}
