//! Kamailio in front, configured as docs/sip.md shows: it stays in the way of every request.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;

use super::{
    audio::Heard,
    lab::{CALLER, NUMBER, Network, Place, id},
    peer::Peer,
    program::{Program, is_bound},
};
use crate::server::{fixtures, wait_for};

/// Where Kamailio is, and the carrier behind it. Pegcount is on .1, as ever.
const KAMAILIO: u8 = 5;
const CARRIER: u8 = 9;

fn settings() -> PathBuf {
    fixtures().join("kamailio/kamailio.cfg")
}

/// Starts it with the addresses of this network in the place of those of the document.
fn kamailio(place: &Place) -> Program {
    let Place { network, home } = place;
    let text = std::fs::read_to_string(settings()).expect("the configuration");
    let text = text
        .replace("10.0.0.5", &network.ip(KAMAILIO))
        .replace("10.0.0.7", &network.ip(1))
        .replace("203.0.113.9", &network.ip(CARRIER));
    let folder = home.path("kamailio");
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("kamailio.cfg");
    std::fs::write(&file, text).expect("it is written");
    let mut command = Command::new("/usr/sbin/kamailio");
    // In the foreground, with little memory.
    command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]).arg(&file).arg("-Y").arg(&folder);
    command.arg("-P").arg(folder.join("pid")).current_dir(&folder);
    let started = Program::start(&mut command, &folder.join("log")).ended_by("TERM");
    wait_for("Kamailio", || is_bound(network.at(KAMAILIO)).then_some(()));
    started
}

/// A gateway that knows Kamailio as its trunk.
fn behind(network: &Network) -> String {
    let config = network.config(Some(network.at(KAMAILIO)), "");
    config.replace(&format!("{}:0", network.ip(1)), &network.at(1).to_string()).replace(
        &format!("networks = [\"{}\"]", network.ip(2)),
        &format!("networks = [\"{}\"]", network.ip(KAMAILIO)),
    )
}

#[test]
fn the_document_shows_the_routes_of_kamailio_that_are_tested() {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sip.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let text = std::fs::read_to_string(settings()).expect("the configuration");
    let (_, routes) = text.split_once("request_route").expect("routes");
    assert!(document.contains(&format!("request_route{routes}")), "docs/sip.md shows other routes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_come_in_and_go_out_through_kamailio_which_stays_in_their_way() {
    let place = Place::configured(behind);
    let network = &place.network;
    let _kamailio = kamailio(&place);
    let lab = place.start_alone();
    let agent = lab.peer(&network.ip(3)).await;
    lab.agent(Some(&agent.uri("agent")), json!({})).await;
    let carrier = Peer::at(network.at(CARRIER), network.at(KAMAILIO)).await;

    // In, with media beside the proxy; the caller hangs up.
    let (mut caller, callee) = carrier.talk_to(&agent).await;
    assert!(caller.passes_through(&network.ip(KAMAILIO)), "no Record-Route reached the caller");
    let mut tones = (
        carrier.sing(caller.heard.expect("media"), 440.0, 75),
        agent.sing(callee.heard.expect("media"), 1_000.0, 75),
    );
    tokio::join!(tones.0.ends(), tones.1.ends());
    caller.hang_up().await;
    callee.hung_up().await;
    let call = lab.call("completed").await;
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("user_hangup"), &json!("caller")));
    assert_eq!((&call["from_number"], &call["to_number"]), (&json!(CALLER), &json!(NUMBER)));
    lab.event(&call, "recording_ready").await;
    let heard = Heard::of_mp3(lab.recording(&call).await.1);
    assert!(heard.strength(0, 440.0) > 0.4 && heard.strength(0, 1_000.0) > 0.4);

    // In, and an order ends both sides: the caller's BYE comes by way of Kamailio.
    let (caller, callee) = carrier.talk_to(&agent).await;
    let call = lab
        .wait("the second call", async || {
            let live = lab.server.get("/v1/calls?status=in_progress").await.expect(200);
            live["calls"].as_array().and_then(|calls| calls.first().cloned())
        })
        .await;
    let (answer, bye, _) = tokio::join!(lab.hang_up(&call), caller.hung_up(), callee.hung_up());
    answer.expect(200);
    assert_eq!(bye.headers("Via").len(), 2, "{}", bye.text);
    let end = lab.event(&call, "call_completed").await;
    assert_eq!(end["hangup_source"], "api");

    // Out, to the carrier behind it, which hangs up.
    let order = json!({ "from_number": NUMBER, "to_number": CALLER, "endpoint_id": "ep_agent" });
    let placed = lab.server.post("/v1/outbound-calls", &order).await.expect(201);
    let invite = carrier.expect("INVITE").await;
    assert!(invite.uri().starts_with(&format!("sip:{CALLER}@")), "{}", invite.text);
    let (mut called, endpoint) = tokio::join!(carrier.accept(&invite), agent.take_call());
    called.hang_up().await;
    endpoint.hung_up().await;
    let end = lab.event(&placed, "call_completed").await;
    assert_eq!(
        (&end["hangup_cause"], &end["hangup_source"]),
        (&json!("user_hangup"), &json!("callee")),
        "{}",
        id(&placed)
    );
    lab.nothing_is_live().await;
}
