//! The extended statistics of the running program.

use serde_json::{Value, json};

use crate::server::Home;

/// A call of so many seconds, answered after ten of ringing, with two latencies.
fn answered(call: &str, begin: &str, seconds: i64, of: &Value) -> Vec<Value> {
    let begin: jiff::Timestamp = begin.parse().expect("a time");
    let at = |after: i64| (begin + jiff::SignedDuration::from_secs(after)).to_string();
    let event = |after, kind, data: &Value| json!({"call_id": call, "event_type": kind, "created_at": at(after), "event_data": data});
    let latency = |millis| json!({"stage": "e2e", "latency_ms": millis});
    vec![
        event(0, "call_initiated", of),
        event(0, "call_ringing", &json!({})),
        event(10, "call_answered", &json!({})),
        event(11, "stage_latency", &latency(500)),
        event(12, "stage_latency", &latency(1_000)),
        event(10 + seconds, "call_completed", &json!({"hangup_cause": "user_hangup"})),
        event(10 + seconds, "cost_item", &json!({"product": "call", "cost": "0.05"})),
    ]
}

#[tokio::test]
async fn statistics_show_what_telephony_asks_for_by_the_days_of_a_time_zone() {
    let home = Home::new("");
    let server = home.start();
    let ours = json!({"direction": "inbound", "endpoint_id": "ep_1"});
    let mut events = Vec::new();
    // In Berlin the 30th of March 2025 has 23 hours, from 23:00Z on until 22:00Z: the first call is of the day before.
    for (call, begin, seconds) in [
        ("before", "2025-03-29T22:30:00Z", 60),
        ("first", "2025-03-29T23:00:00Z", 60),
        ("second", "2025-03-29T23:00:30Z", 120),
        ("last", "2025-03-30T21:59:59Z", 30),
        ("after", "2025-03-30T22:00:00Z", 60),
    ] {
        events.extend(answered(call, begin, seconds, &ours));
    }
    let busy = json!({"direction": "outbound", "endpoint_id": "ep_2", "hangup_cause": "busy"});
    events.push(json!({
        "call_id": "busy", "event_type": "call_failed", "created_at": "2025-03-30T12:00:00Z", "event_data": busy,
    }));
    server.tell(&json!(events)).await;

    let asked = "/v1/stats?tz=Europe/Berlin&from_date=2025-03-29&to_date=2025-03-31";
    let body = server.get(&format!("{asked}&interval=day")).await.expect(200);
    assert_eq!((&body["timezone"], &body["interval"]), (&json!("Europe/Berlin"), &json!("day")));
    assert_eq!((&body["total"]["total_calls"], &body["total"]["answered_calls"]), (&json!(6), &json!(5)));
    let days = body["buckets"].as_array().expect("buckets");
    let counts: Vec<&Value> = days.iter().map(|day| &day["total_calls"]).collect();
    assert_eq!(counts, [&json!(1), &json!(4), &json!(1)]);
    let day = &days[1];
    assert_eq!(
        (&day["start"], &day["end"]),
        (&json!("2025-03-29T23:00:00Z"), &json!("2025-03-30T22:00:00Z"))
    );
    assert_eq!(day["by_status"]["completed"], 3);
    assert_eq!(day["by_status"]["busy"], 1);
    assert_eq!(day["by_direction"], json!({"inbound": 3, "outbound": 1}));
    assert_eq!(day["answer_seizure_ratio"], 0.75);
    assert_eq!(
        (&day["total_duration_seconds"], &day["average_call_duration_seconds"]),
        (&json!(210), &json!(70))
    );
    assert_eq!(day["total_cost_cents"], 15);
    let near = |found: &Value, exact: f64| {
        let found = found.as_f64().expect("a number");
        assert!((found - exact).abs() <= exact * 0.01, "{found} is not {exact}");
    };
    let percentiles = &day["percentiles"];
    assert_eq!((&percentiles["ring_ms"]["count"], &percentiles["talk_ms"]["count"]), (&json!(3), &json!(3)));
    near(&percentiles["ring_ms"]["p99"], 10_000.0);
    near(&percentiles["talk_ms"]["p50"], 60_000.0);
    let latency = &percentiles["latency_ms"]["e2e"];
    assert_eq!(latency["count"], 6);
    near(&latency["p50"], 500.0);
    near(&latency["p95"], 1_000.0);
    assert_eq!(
        percentiles["latency_ms"]["llm"],
        json!({"count": 0, "p50": null, "p90": null, "p95": null, "p99": null})
    );
    // Two calls at once half a minute after midnight; 240 seconds of calls in the 23 hours, cut where the day ends.
    let concurrency = &day["concurrency"];
    assert_eq!((&concurrency["peak"], &concurrency["peak_at"]), (&json!(2), &json!("2025-03-29T23:00:30Z")));
    assert_eq!(concurrency["average"], json!(0.002));

    let outbound = server.get(&format!("{asked}&direction=outbound&with=none")).await.expect(200);
    assert_eq!((&outbound["total"]["total_calls"], &outbound["buckets"]), (&json!(1), &json!([])));
    assert_eq!((outbound["total"].get("percentiles"), outbound["total"].get("concurrency")), (None, None));
    let completed = server.get(&format!("{asked}&status=completed&endpoint_id=ep_1")).await.expect(200);
    assert_eq!(completed["total"]["total_calls"], 5);
    assert_eq!(completed["total"]["percentiles"]["latency_ms"]["e2e"]["count"], 10);
}
