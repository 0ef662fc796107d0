//! Whatever is sent: never a 5xx, never a hang, always a refusal in the dialect's form, and nothing good is lost.

mod bodies;
mod events;
mod fields;
mod parameters;

use serde_json::{Value, json};

use crate::{
    forms::{Dialect, assert_form},
    server::{Answer, Client, Server, send},
};

/// A server, one client, and a call that stays whole whatever happens around it.
struct Target<'a> {
    server: &'a Server<'a>,
    client: Client,
    agent: i64,
    uuid: String,
}

impl<'a> Target<'a> {
    async fn make(server: &'a Server<'a>) -> Self {
        let call = "call_good";
        let setup = json!({
            "endpoint_id": "ep_1", "phone_number_id": "pn_1", "from_number": "+1", "to_number": "+2",
            "metadata": {"batch_call_id": "batch"},
        });
        let turn = json!({"role": "caller", "content": "Hello there", "start_ms": 100});
        server
            .tell(&json!([
                {"call_id": call, "event_type": "call_initiated", "event_data": setup, "created_at": "2025-01-10T10:00:00Z"},
                {"call_id": call, "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z"},
                {"call_id": call, "event_type": "transcript_turn", "event_data": turn},
                {"call_id": call, "event_type": "call_completed", "created_at": "2025-01-10T10:03:05Z"},
            ]))
            .await;
        let endpoint = server.get("/v1/endpoints/ep_1").await.expect(200);
        let mut target = Self {
            server,
            client: server.client(),
            agent: endpoint["number"].as_i64().expect("a number"),
            uuid: String::new(),
        };
        let found = target.get("/api/calls/call_good").await.expect(200);
        target.uuid = found["data"]["id"].as_str().expect("a UUID").to_owned();
        target
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        Dialect::of(path).with_key(self.client.to(method, path), &self.server.key)
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        send(self.request("POST", path).header("content-type", content_type).body(body)).await
    }

    /// Posts events; the receipt, whatever the status.
    async fn events(&self, events: &Value) -> Value {
        let answer = self.post("/v1/events", "application/json", events.to_string()).await;
        assert!([200, 422].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text);
        answer.json()
    }

    /// Every way to read one call answers.
    async fn assert_readable(&self, call: &str) {
        for path in [
            format!("/v1/calls/{call}"),
            format!("/v1/calls/{call}/events"),
            format!("/v1/calls/{call}/explain"),
            format!("/api/calls/{call}"),
        ] {
            let answer = self.get(&path).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
        }
    }

    /// Every list and sum answers, and the good call is as it was.
    async fn assert_whole(&self) {
        for path in [
            "/v1/calls?limit=100",
            "/v1/calls/stats",
            "/v1/live",
            "/v1/endpoints",
            "/v1/phone-numbers",
            "/v1/jobs",
            "/v1/audit",
            "/api/calls?limit=100",
            "/api/calls?limit=100&sort_by=call_duration",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            let answer = self.get(path).await;
            assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
        }
        let calls = self.get(&format!("/api/agents/{}/call_stats", self.agent)).await.expect(200);
        assert!(calls.as_array().is_some_and(|calls| !calls.is_empty()), "{calls}");
        let call = self.get("/v1/calls/call_good").await.expect(200);
        assert_eq!((&call["status"], &call["duration"]), (&json!("completed"), &json!(180)), "{call}");
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }
}

/// No 5xx, and a refusal in the form of its dialect.
fn assert_borne(what: &str, path: &str, answer: &Answer) {
    assert!(!answer.status.is_server_error(), "{what:.300}: {} {}", answer.status, answer.text);
    assert_form(what, path, answer);
}
