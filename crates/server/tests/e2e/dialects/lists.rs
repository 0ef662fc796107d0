//! Lists from their first call to beyond their last.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    forms::Dialect,
    server::{Answer, Client, Home, Server, send},
};

/// How many calls begin at the same moment.
const CALLS: usize = 250;

struct Reader<'a> {
    server: &'a Server<'a>,
    client: Client,
}

impl Reader<'_> {
    async fn answer(&self, path: &str) -> Answer {
        send(Dialect::of(path).with_key(self.client.to("GET", path), &self.server.key)).await
    }

    async fn get(&self, path: &str) -> Value {
        self.answer(path).await.expect(200)
    }

    async fn search(&self, body: &Value) -> Answer {
        let request = self.client.to("POST", "/api/calls").json(body);
        send(Dialect::Organization.with_key(request, &self.server.key)).await
    }

    /// The ids of every part of a list, one after the other.
    async fn walk(
        &self,
        path: &str,
        place: &str,
        id: &str,
        step: impl Fn(usize, &Value) -> Option<String>,
    ) -> Vec<String> {
        let mut found = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let part = self.get(&path).await;
            let calls = part.pointer(place).and_then(Value::as_array).expect("calls");
            found.extend(calls.iter().map(|call| call[id].as_str().expect("an id").to_owned()));
            next = if calls.is_empty() { None } else { step(found.len(), &part) };
        }
        found
    }
}

#[tokio::test]
async fn every_way_through_a_list_of_calls_that_begin_together_meets_each_once_in_one_order() {
    let home = Home::new("");
    let server = home.start();
    let reader = Reader { server: &server, client: server.client() };
    let begin = |number: usize| {
        let data = json!({"endpoint_id": "ep_1", "duration": number % 5});
        json!({
            "call_id": format!("call_{number}"), "event_type": "call_completed", "created_at": "2025-01-10T10:00:09Z",
            "event_data": {"started_at": "2025-01-10T10:00:00Z", "endpoint_id": data["endpoint_id"], "duration": data["duration"]},
        })
    };
    server.tell(&(0..CALLS).map(begin).collect()).await;
    // Ties: newest arrival first, and the calls of one request arrive in its order.
    let expected: Vec<String> = (0..CALLS).rev().map(|number| format!("call_{number}")).collect();
    let by_offset = |found: usize, _: &Value| Some(format!("/v1/calls?limit=37&offset={found}"));
    assert_eq!(reader.walk("/v1/calls?limit=37", "/calls", "id", by_offset).await, expected);
    let by_page = |found: usize, _: &Value| Some(format!("/v1/calls?limit=50&page={}", found / 50 + 1));
    assert_eq!(reader.walk("/v1/calls?limit=50&page=1", "/calls", "id", by_page).await, expected);
    let by_cursor = |_: usize, part: &Value| {
        part["next_cursor"].as_str().map(|cursor| format!("/v1/calls?limit=37&cursor={cursor}"))
    };
    assert_eq!(reader.walk("/v1/calls?limit=37", "/calls", "id", by_cursor).await, expected);
    let pages = |found: usize, part: &Value| {
        let next = part["data"]["pagination"]["has_next_page"].as_bool().expect("a word");
        next.then(|| format!("/api/calls?limit=50&page={}", found / 50))
    };
    assert_eq!(reader.walk("/api/calls?limit=50", "/data/calls", "call_id", pages).await, expected);
    let mut backwards = expected.clone();
    backwards.reverse();
    let ascending = |_: usize, part: &Value| {
        part["next_cursor"]
            .as_str()
            .map(|cursor| format!("/v1/calls?sort=created_at&limit=99&cursor={cursor}"))
    };
    let up = reader.walk("/v1/calls?sort=created_at&limit=99", "/calls", "id", ascending).await;
    let all: BTreeSet<&String> = backwards.iter().collect();
    assert_eq!((up.len(), up.iter().collect::<BTreeSet<_>>()), (CALLS, all));
    for sort in ["completed_at", "-completed_at"] {
        let path = format!("/v1/calls?sort={sort}&limit=37");
        let on = |_: usize, part: &Value| {
            part["next_cursor"].as_str().map(|cursor| format!("{path}&cursor={cursor}"))
        };
        let by_end = reader.walk(&path, "/calls", "id", on).await;
        let whole = |found: usize, _: &Value| Some(format!("{path}&offset={found}"));
        assert_eq!(by_end, reader.walk(&path, "/calls", "id", whole).await, "{sort}");
        assert_eq!(by_end.len(), CALLS);
    }
    let agent = reader.get("/api/agents/1/call_stats").await;
    let parts = [
        reader.get("/api/agents/1/call_stats?limit=120").await,
        reader.get("/api/agents/1/call_stats?limit=200&offset=120").await,
    ];
    let joined: Vec<Value> =
        parts.iter().flat_map(|part| part.as_array().expect("an array").clone()).collect();
    assert_eq!(agent, json!(joined));
    assert_eq!(joined.len(), CALLS);
    beyond(&reader).await;
    sorted(&reader).await;
}

async fn beyond(reader: &Reader<'_>) {
    for offset in ["250", "1000000", "9223372036854775807"] {
        let list = reader.get(&format!("/v1/calls?offset={offset}")).await;
        assert_eq!((&list["calls"], &list["total"]), (&json!([]), &json!(CALLS)), "{offset}");
        assert_eq!(reader.get(&format!("/api/agents/1/call_stats?offset={offset}")).await, json!([]));
    }
    for page in ["13", "1000000", "9223372036854775807"] {
        let data = reader.get(&format!("/api/calls?page={page}")).await["data"].clone();
        assert_eq!((&data["calls"], &data["returned_count"]), (&json!([]), &json!(0)));
        let page: u64 = page.parse().expect("a number");
        let pages = json!({
            "page": page, "limit": 20, "total_count": CALLS, "total_pages": 13, "has_next_page": false, "has_previous_page": true,
        });
        assert_eq!(data["pagination"], pages);
    }
}

async fn sorted(reader: &Reader<'_>) {
    reader.server.tell(&json!({"call_id": "call_open", "event_type": "call_answered"})).await;
    for (order, first) in [("descending", json!(9000)), ("ascending", json!(9000))] {
        let path = format!("/api/calls?sort_by=call_duration&sort_order={order}&limit=100&page=2");
        let list = reader.get(&path).await["data"].clone();
        assert_eq!((&list["sort_by"], &list["sort_order"]), (&json!("call_duration"), &json!(order)));
        let calls = list["calls"].as_array().expect("calls");
        assert_eq!((calls.len(), &calls[0]["call_duration"]), (51, &first));
        let last = calls.last().expect("a call");
        assert_eq!(
            (&last["call_id"], &last["call_duration"]),
            (&json!("call_open"), &Value::Null),
            "nulls come last"
        );
    }
}

#[tokio::test]
async fn a_search_in_a_body_finds_what_the_query_finds_and_says_what_it_looked_for() {
    let home = Home::new("");
    let server = home.start();
    let reader = Reader { server: &server, client: server.client() };
    let end = |call: &str, cause: &str, endpoint: &str, seconds: u32| {
        let data = json!({
            "hangup_cause": cause, "endpoint_id": endpoint, "duration": seconds, "direction": "outbound", "from_number": "+49 30 1",
            "metadata": {"batch_call_id": call, "color": "red, blue"},
        });
        json!({"call_id": call, "event_type": "call_completed", "created_at": "2025-01-10T10:00:00Z", "event_data": data})
    };
    let text = json!({"text": "[Caller]: I need help with my order"});
    server
        .tell(&json!([
            end("call_1", "user_hangup", "agent-123", 60),
            end("call_2", "busy", "agent-123", 0),
            end("call_3", "no_answer", "agent-456", 0),
            {"call_id": "call_4", "event_type": "call_initiated", "event_data": {"endpoint_id": "agent-456"}},
            {"call_id": "call_4", "event_type": "call_answered"},
            {"call_id": "call_1", "event_type": "transcript_ready", "event_data": text},
        ]))
        .await;
    for (query, criteria, count) in [
        ("call_status=ended", json!({"call_status": ["ended"]}), 3),
        (
            "call_status=ENDED,ONGOING&agent_id=agent-456",
            json!({"call_status": ["ENDED", "ONGOING"], "agent_id": "agent-456"}),
            2,
        ),
        ("agent_id=agent-123&agent_id=agent-456", json!({"agent_id": ["agent-123", "agent-456"]}), 4),
        ("disconnection_reason=dial_busy", json!({"disconnection_reason": ["dial_busy"]}), 1),
        ("metadata.color=red%2C%20blue", json!({"metadata": {"color": "nothing"}}), 0),
        ("batch_call_id=call_2", json!({"batch_call_id": ["call_2"]}), 1),
        (
            "duration_ms_from=0&duration_ms_to=300000",
            json!({"duration_ms": {"lower_threshold": 0, "upper_threshold": 300_000}}),
            3,
        ),
        ("transcript_search=help", json!({"transcript_search": "help"}), 1),
        ("from_number=%2B49%2030%201", json!({"from_number": "+49 30 1"}), 3),
        ("from_number=+49%2030%201", json!({"from_number": ["+49 30 1"]}), 3),
        ("call_type=web_call", json!({"call_type": ["web_call"]}), 0),
    ] {
        let found = reader.get(&format!("/api/calls?{query}")).await["data"].clone();
        let searched =
            reader.search(&json!({"filter_criteria": criteria, "page": 0, "limit": 20})).await.expect(200);
        assert_eq!(searched["data"]["pagination"]["total_count"], count, "{criteria}: {searched}");
        if !query.starts_with("metadata.") {
            assert_eq!(found["calls"], searched["data"]["calls"], "{query}");
            assert_eq!(found["applied_filters"], searched["data"]["applied_filters"], "{query}");
        }
    }
    let words = reader
        .search(&json!({"sort_by": "end_timestamp", "sort_order": "ascending", "limit": 2}))
        .await
        .expect(200);
    assert_eq!(
        (&words["data"]["returned_count"], &words["data"]["applied_filters"]),
        (&json!(2), &json!({}))
    );
    statuses(&reader).await;
    performance(&reader).await;
}

async fn statuses(reader: &Reader<'_>) {
    let canceled = json!({"call_id": "call_5", "event_type": "call_completed", "event_data": {"hangup_cause": "user_hangup"}});
    reader.server.tell(&canceled).await;
    let found = reader.get("/v1/calls?status=no_answer").await;
    assert_eq!(found["total"], 2, "no_answer includes canceled: {found}");
    assert!(
        found["calls"].as_array().expect("calls").iter().all(|call| call["status"] == "no_answer"),
        "{found}"
    );
    assert_eq!(reader.get("/v1/calls?status=busy,completed&status=in_progress").await["total"], 3);
    let live = reader.get("/v1/calls/call_4").await;
    for key in [
        "duration",
        "cost_cents",
        "completed_at",
        "hangup_cause",
        "recording_url",
        "transcript",
        "quality_metrics",
        "phone_number",
    ] {
        assert_eq!(live.get(key), Some(&Value::Null), "{key} of a live call: {live}");
    }
    let live = reader.get("/api/calls/call_4").await;
    for key in ["end_timestamp", "call_duration", "disconnection_reason", "call_analysis"] {
        assert_eq!(live["data"].get(key), Some(&Value::Null), "{key} of a live call: {live}");
    }
    let agent = reader.get("/v1/endpoints/agent-456").await["number"].clone();
    let live = reader.get(&format!("/api/agents/{agent}/call_stats?limit=1")).await;
    for key in ["call_duration", "end_time", "hangup_cause_name", "hangup_source"] {
        assert_eq!(live[0].get(key), Some(&Value::Null), "{key} of a live call: {live}");
    }
}

async fn performance(reader: &Reader<'_>) {
    let answer = reader.get("/api/calls/agent-performance?agent_id=agent-123").await;
    let data = &answer["data"];
    assert_eq!((&data["agent_id"], &data["total_calls"]), (&json!("agent-123"), &json!(2)), "{answer}");
    assert_eq!((&data["completed_calls"], &data["active_calls"]), (&json!(1), &json!(0)), "{answer}");
    assert_eq!(data["status_distribution"]["ENDED"], 2, "{answer}");
    assert_eq!(data["direction_distribution"]["OUTBOUND"], 2, "{answer}");
    assert_eq!(data["disconnection_reasons"]["DIAL_BUSY"], 1, "{answer}");
    let unknown = reader.answer("/api/calls/agent-performance?agent_id=agent-000").await;
    assert_eq!(unknown.status.as_u16(), 404, "{}", unknown.text);
}
