//! Calls that a trunk brings to an endpoint, and how they end.

use serde_json::{Value, json};

use super::lab::{CALLER, Lab, NUMBER, Place, Scene, id};

/// How a call ended, by its terminal event.
async fn end(lab: &Lab<'_>, call: &Value) -> (Value, Value) {
    let events = lab.events(call).await;
    let last = events
        .iter()
        .find(|event| event["event_type"] == "call_completed" || event["event_type"] == "call_failed");
    let data = &last.expect("an end")["event_data"];
    (data["hangup_cause"].clone(), data["hangup_source"].clone())
}

#[tokio::test]
async fn an_answered_call_has_its_timeline_its_measures_and_its_recording() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;

    let mut caller = carrier.invite(CALLER, "002348012345678").await;
    let invite = agent.expect("INVITE").await;
    assert!(invite.header("From").contains(CALLER), "{}", invite.text);
    lab.call("initiated").await;
    agent.answer(&invite, 180, "Ringing", "", "").await;
    carrier.expect("180").await;
    lab.call("ringing").await;
    let callee = agent.accept(&invite).await;
    caller.connected().await;
    let call = lab.call("in_progress").await;
    let live = lab.server.get("/v1/live").await.expect(200);
    assert_eq!(live["live_calls"], 1);
    let spoken = (carrier.speak(caller.heard.unwrap()), agent.speak(callee.heard.unwrap()));
    let established = lab.event(&call, "sip_media_established").await;
    assert_eq!(established["codec"], "PCMU");
    assert!(established["latency_ms"].as_u64().is_some_and(|latency| latency < 30_000), "{established}");
    carrier.press(caller.heard.unwrap(), 11).await;
    assert_eq!(lab.event(&call, "dtmf_received").await, json!({ "leg": "caller", "digit": "#" }));
    caller.hang_up().await;
    callee.hung_up().await;
    drop(spoken);

    let call = lab.call("completed").await;
    let recording = lab.event(&call, "recording_ready").await;
    assert_eq!(
        lab.timeline(&call).await,
        [
            "call_initiated",
            "sip_invite_sent",
            "call_ringing",
            "call_answered",
            "sip_media_established",
            "dtmf_received",
            "call_completed",
            "recording_ready",
        ]
    );
    let setup = lab.event(&call, "call_initiated").await;
    assert_eq!(setup["from_number"], CALLER);
    assert_eq!(setup["to_number"], NUMBER);
    assert_eq!(setup["telephony"]["sip_call_id"], json!(caller.call_id));
    assert_eq!(lab.event(&call, "sip_invite_sent").await["sip_uri"], json!(agent.uri("agent")));
    assert_eq!(end(&lab, &call).await, (json!("user_hangup"), json!("caller")));
    let details = lab.details(&call).await;
    assert_eq!(details["direction"], "inbound");
    assert_eq!(details["endpoint"]["id"], "ep_agent");
    assert_eq!(details["phone_number"], json!({ "id": "pn_1", "number": NUMBER }));
    assert_eq!(details["quality_metrics"]["audio_codec"], "PCMU");
    let legs: Vec<Value> = lab
        .events(&call)
        .await
        .iter()
        .filter(|event| event["event_type"] == "media_quality")
        .map(|event| event["event_data"]["leg"].clone())
        .collect();
    assert!(legs.contains(&json!("caller")) && legs.contains(&json!("agent")), "{legs:?}");
    assert_eq!(recording["format"], "mp3");
    let object = recording["object"].as_str().expect("an object");
    let file = std::fs::read(place.home.data().join("recordings").join(object)).expect("the recording");
    assert_eq!(json!(file.len()), recording["size_bytes"]);
}

#[tokio::test]
async fn who_is_called_ends_an_answered_call_as_the_agent() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (caller, mut callee) = carrier.talk_to(&agent).await;
    callee.hang_up().await;
    caller.hung_up().await;
    let call = lab.call("completed").await;
    assert_eq!(end(&lab, &call).await, (json!("agent_hangup"), json!("callee")));
}

#[tokio::test]
async fn a_call_that_is_refused_says_so_to_the_caller_and_in_the_ledger() {
    for (status, phrase, reason, stands, cause, source) in [
        (486, "Busy Here", "Reason: Q.850;cause=17;text=\"User busy\"\r\n", "busy", "busy", "callee"),
        (603, "Decline", "", "failed", "rejected", "callee"),
        (480, "Temporarily Unavailable", "", "no_answer", "no_answer", "system"),
        (503, "Service Unavailable", "", "failed", "network_error", "system"),
    ] {
        let place = Place::usual();
        let Scene { lab, carrier, agent } = place.start().await;
        let mut caller = carrier.invite(CALLER, NUMBER).await;
        let invite = agent.expect("INVITE").await;
        agent.answer(&invite, 180, "Ringing", "", "").await;
        agent.answer(&invite, status, phrase, reason, "").await;
        agent.expect("ACK").await;
        caller.refused(&status.to_string()).await;
        let call = lab.call(stands).await;
        assert_eq!(end(&lab, &call).await, (json!(cause), json!(source)), "{status}");
        let last = lab.timeline(&call).await.pop().expect("an event");
        let data = lab.event(&call, &last).await;
        assert_eq!(data["sip_status"], status);
        assert_eq!(data.get("q850_cause"), (status == 486).then_some(&json!(17)), "{data}");
        assert_eq!(data["duration"], 0);
    }
}

#[tokio::test]
async fn a_call_that_nobody_answers_rings_out() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    let invite = agent.expect("INVITE").await;
    agent.answer(&invite, 180, "Ringing", "", "").await;
    let cancel = agent.expect("CANCEL").await;
    agent.answer(&cancel, 200, "OK", "", "").await;
    agent.answer(&invite, 487, "Request Terminated", "", "").await;
    caller.refused("480").await;
    let call = lab.call("no_answer").await;
    assert_eq!(end(&lab, &call).await, (json!("no_answer"), json!("system")));
    assert_eq!(
        lab.timeline(&call).await,
        ["call_initiated", "sip_invite_sent", "call_ringing", "call_completed"]
    );
}

#[tokio::test]
async fn a_caller_who_gives_up_cancels_the_call() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    let invite = agent.expect("INVITE").await;
    agent.answer(&invite, 180, "Ringing", "", "").await;
    carrier.expect("180").await;
    caller.cancel().await;
    let cancel = agent.expect("CANCEL").await;
    agent.answer(&cancel, 200, "OK", "", "").await;
    agent.answer(&invite, 487, "Request Terminated", "", "").await;
    caller.refused("487").await;
    let call = lab.call("no_answer").await;
    assert_eq!(end(&lab, &call).await, (json!("user_hangup"), json!("caller")));
}

#[tokio::test]
async fn an_endpoint_that_is_silent_is_passed_over_for_its_second_address() {
    let place = Place::usual();
    let lab = place.start_alone();
    let (carrier, agent) = (lab.peer(&place.network.ip(2)).await, lab.peer(&place.network.ip(3)).await);
    let silent = lab.peer(&place.network.ip(4)).await;
    lab.agent(Some(&silent.uri("agent")), json!({ "sip_uri_fallback": agent.uri("second") })).await;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    caller.hang_up().await;
    callee.hung_up().await;
    let call = lab.call("completed").await;
    let timeline = lab.timeline(&call).await;
    assert_eq!(timeline.iter().filter(|kind| *kind == "sip_invite_sent").count(), 2, "{timeline:?}");
}

#[tokio::test]
async fn a_call_to_an_endpoint_that_cannot_be_reached_fails_by_the_network() {
    let place = Place::usual();
    let lab = place.start_alone();
    let carrier = lab.peer(&place.network.ip(2)).await;
    let silent = lab.peer(&place.network.ip(4)).await;
    lab.agent(Some(&silent.uri("agent")), json!({})).await;
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    caller.refused("503").await;
    let call = lab.call("failed").await;
    assert_eq!(end(&lab, &call).await, (json!("network_error"), json!("system")));
    assert_eq!(lab.timeline(&call).await, ["call_initiated", "sip_invite_sent", "call_failed"]);
}

#[tokio::test]
async fn holding_and_resuming_are_told_with_who_did_it() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    for (direction, answer) in [("sendonly", "recvonly"), ("sendrecv", "sendrecv")] {
        caller.request("INVITE", "", &carrier.sdp(direction)).await;
        let again = agent.expect("INVITE").await;
        assert!(again.body().contains(&format!("a={direction}")), "{}", again.text);
        agent.answer(&again, 200, "OK", "", &agent.sdp(answer)).await;
        agent.expect("ACK").await;
        caller.connected().await;
    }
    let call = lab.call("in_progress").await;
    assert_eq!(lab.event(&call, "call_resumed").await, json!({ "leg": "caller" }));
    assert_eq!(lab.event(&call, "call_held").await, json!({ "leg": "caller" }));
    caller.hang_up().await;
    callee.hung_up().await;
    lab.call("completed").await;
}

#[tokio::test]
async fn nobody_reaches_what_is_not_theirs() {
    let place = Place::configured(|network| network.config(None, &network.trunk("theirs", "org_other", 5)));
    place.home.run_json(&["organizations", "create", "--id", "org_other", "--init"]);
    let lab = place.start_alone();
    let agent = lab.peer(&place.network.ip(3)).await;
    lab.agent(Some(&agent.uri("agent")), json!({})).await;
    let carrier = lab.peer(&place.network.ip(2)).await;
    carrier.invite(CALLER, "+15550000").await.refused("404").await;
    let theirs = lab.peer(&place.network.ip(5)).await;
    theirs.invite(CALLER, NUMBER).await.refused("404").await;
    // A stranger is asked who it is, and gets no further.
    let stranger = lab.peer(&place.network.ip(6)).await;
    stranger.invite(CALLER, NUMBER).await;
    let answer = stranger.next_within(std::time::Duration::from_millis(500)).await;
    assert!(answer.is_none_or(|answer| ["401", "403", "407"].contains(&answer.kind())));
    assert!(agent.next_within(std::time::Duration::from_millis(200)).await.is_none());
    // Only the attempt of the organization's own trunk is on record, as a failed call.
    let refused = lab.call("failed").await;
    assert_eq!(refused["to_number"], "+15550000");
    assert_eq!(lab.server.get("/v1/calls").await.expect(200)["total"], 1);
    // What was unknown a moment ago is known as soon as the answer says so.
    let number = json!({ "id": "pn_2", "number": "+15550000", "endpoint_id": "ep_agent" });
    lab.server.post("/v1/phone-numbers", &number).await.expect(201);
    let mut caller = carrier.invite(CALLER, "+15550000").await;
    let callee = agent.take_call().await;
    caller.connected().await;
    caller.hang_up().await;
    callee.hung_up().await;
}

#[tokio::test]
async fn a_call_that_opted_out_is_not_recorded_and_an_endpoint_may_say_no_more_than_that() {
    for metadata in [json!({ "opt_out_sensitive_data_storage": true }), json!({ "recording": false })] {
        let place = Place::usual();
        let Scene { lab, carrier, agent } = place.start_with(metadata.clone()).await;
        let (mut caller, callee) = carrier.talk_to(&agent).await;
        let _spoken = (carrier.speak(caller.heard.unwrap()), agent.speak(callee.heard.unwrap()));
        let call = lab.call("in_progress").await;
        lab.event(&call, "sip_media_established").await;
        caller.hang_up().await;
        callee.hung_up().await;
        let call = lab.call("completed").await;
        let setup = lab.event(&call, "call_initiated").await;
        let opted_out = metadata.get("opt_out_sensitive_data_storage");
        assert_eq!(setup.get("opt_out_sensitive_data_storage"), opted_out, "{}", id(&call));
        assert!(lab.server.terminate().success());
        let kept = std::fs::read_dir(place.home.data().join("recordings")).expect("the folder");
        assert_eq!(kept.filter(|entry| entry.as_ref().is_ok_and(|entry| entry.path().is_file())).count(), 0);
    }
}
