//! Calls that are erased: gone, still counted, and not brought back by a late event.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Answer, Home, Server, send};

async fn erase(server: &Server<'_>, call: &str) -> Answer {
    send(server.request(Method::DELETE, &format!("/v1/calls/{call}")).header("x-api-key", &server.key)).await
}

fn events(call: &str) -> Value {
    json!([
        {"id": "1", "call_id": call, "event_type": "call_initiated", "created_at": "2025-01-10T10:00:00Z",
         "event_data": {"from_number": "+15551234567", "endpoint_id": "ep_1", "metadata": {"ticket": "t-1"}}},
        {"id": "2", "call_id": call, "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z"},
        {"id": "3", "call_id": call, "event_type": "transcript_turn", "created_at": "2025-01-10T10:00:06Z",
         "event_data": {"role": "caller", "content": "quiche"}},
    ])
}

#[tokio::test]
async fn an_erased_call_is_found_nowhere_and_counts_on_and_no_late_event_brings_it_back() {
    let home = Home::new("");
    let server = home.start();
    server.tell(&events("gone")).await;
    let refused = erase(&server, "gone").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (409, &json!("CALL_ACTIVE")));

    let over = json!({"id": "4", "call_id": "gone", "event_type": "call_completed", "created_at": "2025-01-10T10:01:05Z"});
    server.tell(&json!([over])).await;
    let stats = server.get("/v1/calls/stats").await.expect(200);
    assert_eq!(stats["total_calls"], 1);
    assert_eq!(erase(&server, "gone").await.status.as_u16(), 204);

    for path in ["/v1/calls/gone", "/v1/calls/gone/events", "/v1/calls/gone/explain"] {
        assert_eq!(server.get(path).await.status.as_u16(), 404, "{path}");
    }
    assert_eq!(erase(&server, "gone").await.status.as_u16(), 404);
    for query in ["", "?q=quiche", "?metadata.ticket=t-1", "?endpoint_id=ep_1", "?sort=-completed_at"] {
        let list = server.get(&format!("/v1/calls{query}")).await.expect(200);
        assert_eq!((&list["total"], &list["calls"]), (&json!(0), &json!([])), "{query}");
    }
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);

    let late = server.post("/v1/events", &json!([over, events("gone")[0]])).await;
    let receipt = late.json();
    assert_eq!(receipt["accepted"], 0, "{receipt}");
    let codes: Vec<&Value> =
        receipt["rejected"].as_array().expect("a list").iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["CALL_ERASED", "CALL_ERASED"], "{receipt}");
    server.terminate();

    // As before, after a start and a look at everything.
    let server = home.start();
    assert_eq!(server.get("/v1/calls/gone").await.status.as_u16(), 404);
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);
    server.terminate();
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[tokio::test]
async fn a_record_of_an_erased_call_is_answered_so_that_the_switch_does_not_send_it_for_ever() {
    let home = Home::new("");
    let server = home.start();
    let record = json!({
        "core-uuid": "c", "variables": {
            "uuid": "11111111-2222-3333-4444-555555555555", "direction": "inbound",
            "start_uepoch": "1736503200000000", "end_uepoch": "1736503260000000", "hangup_cause": "NORMAL_CLEARING",
        }, "callflow": [],
    });
    let answer = server.post("/sources/freeswitch/cdr", &record).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
    let list = server.get("/v1/calls").await.expect(200);
    let call = list["calls"][0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(erase(&server, &call).await.status.as_u16(), 204);
    let again = server.post("/sources/freeswitch/cdr", &record).await;
    assert_eq!(again.status.as_u16(), 200, "{}", again.text);
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 0);
}
