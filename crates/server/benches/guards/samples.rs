//! Calls to run the hot paths on: a short one and a long one, made of the same kinds of events.

use serde_json::{Value, json};

/// Events of the short call.
pub const FEW: u32 = 12;
/// Events of the long call: a voice agent's half hour.
pub const MANY: u32 = 400;

/// 2026-01-01T10:00:00Z.
pub const BEGIN: i64 = 1_767_261_600_000;
const ENDPOINT: &str = "ep_guard";

/// A call of so many events in the form of `POST /v1/events`; `whole`: it has ended.
pub fn call(name: &str, events: u32, whole: bool) -> Vec<Value> {
    let mut told = vec![
        event(
            name,
            0,
            "call_initiated",
            json!({
                "direction": "inbound", "from_number": "+14155551234", "to_number": "+2348012345678",
                "endpoint_id": ENDPOINT, "metadata": {"customer_id": "cust-001", "campaign": "summer-2026"},
            }),
        ),
        event(name, 1_000, "call_ringing", json!({})),
        event(name, 3_000, "call_answered", json!({})),
    ];
    let ends = u32::from(whole);
    let talk = events.saturating_sub(3 + ends);
    told.extend((0..talk).map(|number| of_the_talk(name, number)));
    if whole {
        let end = 4_000 + i64::from(talk) * 1_000;
        told.push(event(
            name,
            end,
            "call_completed",
            json!({"hangup_cause": "user_hangup", "hangup_source": "caller"}),
        ));
    }
    told
}

/// One event of the conversation; every eighth is of the same kind.
pub fn of_the_talk(name: &str, number: u32) -> Value {
    let start = i64::from(number) * 1_000;
    let tool = format!("tool_{}", number / 8);
    let (kind, data) = match number % 8 {
        0 => (
            "transcript_turn",
            json!({"role": "agent", "content": "Hello, how can I help you today?", "start_ms": start}),
        ),
        1 => (
            "transcript_turn",
            json!({"role": "caller", "content": "I would like to move my appointment.", "start_ms": start}),
        ),
        2 => ("stage_latency", json!({"stage": "llm", "latency_ms": 300 + number, "model": "large"})),
        3 => ("stage_latency", json!({"stage": "tts", "latency_ms": 90 + number, "characters": 64})),
        4 => ("tool_invoked", json!({"tool_call_id": tool, "name": "find", "arguments": {"day": number}})),
        5 => ("tool_result", json!({"tool_call_id": tool, "result": "found", "duration_ms": 40})),
        6 => ("media_quality", json!({"leg": "agent", "jitter_ms": 3.5, "packet_loss": 0.001, "mos": 4.3})),
        _ => ("cost_item", json!({"product": "llm_usage", "unit_price": "0.001", "quantity": number})),
    };
    event(name, 3_500 + start, kind, data)
}

fn event(name: &str, after: i64, kind: &str, data: Value) -> Value {
    let mut event = json!({"call_id": name, "event_type": kind, "created_at": rfc3339(BEGIN + after)});
    event["event_data"] = data;
    event
}

fn rfc3339(millis: i64) -> String {
    pegcount::vocabulary::time::format_rfc3339(pegcount_calls::Timestamp::from_millis(millis))
}
