//! Orders: calls that are hung up, and calls that are placed.

use std::time::{Duration, Instant};

use serde_json::json;

use super::lab::{CALLER, NUMBER, Place, Scene, id};
use crate::server::Home;

/// How long both legs may take to be told of their end.
const SOON: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_hang_up_ends_both_legs_of_a_call_that_talks_and_a_second_one_sends_nothing() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (caller, callee) = carrier.talk_to(&agent).await;
    let call = lab.call("in_progress").await;

    let begun = Instant::now();
    let order = async {
        let answer = lab.hang_up(&call).await.expect(200);
        assert_eq!(answer, json!({ "success": true, "message": "Call hangup initiated" }));
    };
    let ((), _, _) = tokio::join!(order, caller.hung_up(), callee.hung_up());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let again = lab.hang_up(&call).await;
    assert!([200, 409].contains(&again.status.as_u16()), "{}", again.text);
    let call = lab.call("completed").await;
    assert!(agent.next_within(Duration::from_millis(200)).await.is_none());
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("normal_clearing"), &json!("api")));
    let over = lab.hang_up(&call).await.expect(409);
    assert_eq!(over["code"], "CALL_NOT_ACTIVE");
}

#[tokio::test]
async fn a_hang_up_ends_a_call_that_rings() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    let invite = agent.expect("INVITE").await;
    agent.answer(&invite, 180, "Ringing", "", "").await;
    let call = lab.call("ringing").await;
    let called = async {
        let cancel = agent.expect("CANCEL").await;
        agent.answer(&cancel, 200, "OK", "", "").await;
        agent.answer(&invite, 487, "Request Terminated", "", "").await;
    };
    let begun = Instant::now();
    let (answer, (), _) = tokio::join!(lab.hang_up(&call), called, caller.refused("480"));
    answer.expect(200);
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    let call = lab.call("no_answer").await;
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("normal_clearing"), &json!("api")));
}

#[tokio::test]
async fn an_ordered_call_rings_the_number_over_the_trunk_and_then_the_endpoint() {
    let place = Place::configured(|network| network.config(Some(network.at(2)), ""));
    let lab = place.start_alone();
    let (carrier, agent) = (lab.peer_at(place.network.at(2)).await, lab.peer(&place.network.ip(3)).await);
    lab.agent(Some(&agent.uri("agent")), json!({})).await;

    let order = json!({
        "from_number": NUMBER, "to_number": CALLER, "endpoint_id": "ep_agent", "metadata": { "batch_call_id": "b1" },
    });
    let placed = lab.server.post("/v1/outbound-calls", &order).await.expect(201);
    assert_eq!((&placed["direction"], &placed["status"]), (&json!("outbound"), &json!("initiated")));
    assert_eq!((&placed["from_number"], &placed["to_number"]), (&json!(NUMBER), &json!(CALLER)));
    assert_eq!(placed["endpoint"]["id"], "ep_agent");
    let invite = carrier.expect("INVITE").await;
    assert_eq!(invite.uri(), carrier.uri(CALLER));
    assert!(invite.header("From").contains(NUMBER), "{}", invite.text);
    carrier.answer(&invite, 180, "Ringing", "", "").await;
    lab.call("ringing").await;
    // The endpoint is called only when the number has answered; then each hears the other.
    let user = async {
        carrier.answer(&invite, 200, "OK", "", &carrier.sdp("sendrecv")).await;
        carrier.expect("ACK").await;
    };
    let ((), mut endpoint) = tokio::join!(user, agent.take_call());
    let call = lab.call("in_progress").await;
    assert_eq!(id(&call), id(&placed));
    endpoint.hang_up().await;
    let bye = carrier.expect("BYE").await;
    carrier.answer(&bye, 200, "OK", "", "").await;
    let call = lab.call("completed").await;
    assert_eq!(
        lab.timeline(&call).await[..5],
        ["call_initiated", "sip_invite_sent", "call_ringing", "sip_invite_sent", "call_answered"]
    );
    let end = lab.event(&call, "call_completed").await;
    // The endpoint is the calling side of an outbound call.
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("agent_hangup"), &json!("caller")));
    let found = lab.server.get("/v1/calls?metadata.batch_call_id=b1").await.expect(200);
    assert_eq!(found["total"], 1);
}

#[tokio::test]
async fn an_order_that_cannot_be_carried_out_says_what_is_missing() {
    let place = Place::configured(|network| network.config(Some(network.at(9)), ""));
    let lab = place.start_alone();
    lab.agent(None, json!({})).await;
    let order = |from: &str, to: &str, endpoint: &str| json!({ "from_number": from, "to_number": to, "endpoint_id": endpoint });
    for (body, parameter) in [
        (order("+15559999", CALLER, "ep_agent"), "from_number"),
        (order(NUMBER, "alice", "ep_agent"), "to_number"),
        (order(NUMBER, CALLER, "ep_unknown"), "endpoint_id"),
        // It has no address, and nobody registers for it.
        (order(NUMBER, CALLER, "ep_agent"), "endpoint_id"),
    ] {
        let refused = lab.server.post("/v1/outbound-calls", &body).await.expect(400);
        assert_eq!(refused["details"]["parameter"], parameter, "{refused}");
    }
    assert_eq!(lab.server.get("/v1/calls").await.expect(200)["total"], 0);

    let place = Place::usual();
    let lab = place.start_alone();
    lab.agent(Some("sip:agent@127.0.0.1:9"), json!({})).await;
    let refused = lab.server.post("/v1/outbound-calls", &order(NUMBER, CALLER, "ep_agent")).await.expect(409);
    assert_eq!(refused["code"], "NO_TRUNK");
    let off = Home::new("");
    let server = off.start();
    let refused = server.post("/v1/outbound-calls", &order(NUMBER, CALLER, "ep_agent")).await.expect(503);
    assert_eq!(refused["code"], "SOURCE_UNREACHABLE");
}

#[tokio::test]
async fn the_messages_of_a_call_can_be_read_with_numbers_masked_and_figures_show_it() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    let call = lab.call("in_progress").await;
    let metrics = lab.server.get("/metrics").await.text;
    assert!(metrics.contains("pegcount_sip_calls 1"), "{metrics}");
    caller.hang_up().await;
    callee.hung_up().await;
    lab.call("completed").await;
    let trace = lab.server.get(&format!("/v1/calls/{}/sip-trace", id(&call))).await.expect(200);
    let messages = trace["messages"].as_array().expect("messages");
    let kinds: Vec<&str> =
        messages.iter().filter_map(|message| message["message"].as_str()?.split(' ').next()).collect();
    assert!(kinds.contains(&"INVITE") && kinds.contains(&"BYE") && kinds.contains(&"SIP/2.0"), "{kinds:?}");
    let text = trace.to_string();
    assert!(!text.contains(CALLER) && !text.contains(NUMBER), "{text}");
    let unknown = lab.server.get("/v1/calls/call_unknown/sip-trace").await.expect(404);
    assert_eq!(unknown["code"], "CALL_NOT_FOUND");
    lab.server.tell(&json!({ "call_id": "call_native", "event_type": "call_initiated" })).await;
    let foreign = lab.server.get("/v1/calls/call_native/sip-trace").await.expect(404);
    assert_eq!(foreign["code"], "SIP_TRACE_NOT_FOUND");
    let readiness = lab.server.get("/readyz").await.expect(200);
    assert_eq!(readiness["sip"]["ok"], true);
    // Nobody's number is in the log.
    assert!(!lab.server.log().contains(CALLER.trim_start_matches('+')));
}
