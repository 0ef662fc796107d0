//! The first minute with the program.

use serde_json::json;

use crate::server::Home;

#[tokio::test]
async fn the_first_start_makes_a_key_and_a_call_told_is_a_call_found() {
    let home = Home::new("");
    let server = home.start();
    server
        .tell(&json!([
            { "call_id": "call_1", "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z" },
            { "call_id": "call_1", "event_type": "call_completed", "created_at": "2025-01-10T10:00:15Z" },
        ]))
        .await;
    let call = server.get("/v1/calls/call_1").await.expect(200);
    assert_eq!((&call["status"], &call["duration"]), (&json!("completed"), &json!(10)));
    assert!(server.terminate().success());
}
