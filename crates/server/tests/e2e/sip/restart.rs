//! What is left of a call when the program is killed, and when it is stopped.

use serde_json::json;

use super::lab::{Place, Scene, id};

#[tokio::test]
async fn a_call_that_was_cut_off_by_kill_minus_nine_has_failed_and_keeps_its_recording() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (caller, callee) = carrier.talk_to(&agent).await;
    let _spoken = (carrier.speak(caller.heard.unwrap()), agent.speak(callee.heard.unwrap()));
    let call = lab.call("in_progress").await;
    lab.event(&call, "sip_media_established").await;
    lab.wait("some audio on the disk", async || {
        (lab.figure("pegcount_recording_journal_bytes_total").await > 8_000.0).then_some(())
    })
    .await;
    lab.server.kill();

    let lab = place.start_alone();
    let call = lab.call("failed").await;
    let end = lab.event(&call, "call_failed").await;
    assert_eq!(end, json!({ "hangup_cause": "network_error", "hangup_source": "system", "inferred": true }));
    assert_eq!(lab.server.get("/v1/live").await.expect(200)["live_calls"], 0);
    let recording = lab.event(&call, "recording_ready").await;
    assert_eq!(recording["incomplete"], true);
    assert!(recording["duration_seconds"].as_f64().is_some_and(|seconds| seconds > 0.2), "{recording}");
    let object = recording["object"].as_str().expect("an object");
    assert!(place.home.data().join("recordings").join(object).is_file());
    let over = lab.hang_up(&call).await.expect(409);
    assert_eq!(over["code"], "CALL_NOT_ACTIVE");
    let before = lab.timeline(&call).await;
    assert!(lab.server.terminate().success());

    // Once is enough.
    let lab = place.start_alone();
    let call = lab.call("failed").await;
    assert_eq!(lab.timeline(&call).await, before, "{}", id(&call));
}

#[tokio::test]
async fn a_call_is_ended_on_both_sides_and_in_the_ledger_when_the_program_stops() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let (caller, callee) = carrier.talk_to(&agent).await;
    lab.call("in_progress").await;
    let pid = lab.server.pid();
    crate::server::signal(pid, "TERM");
    tokio::join!(caller.hung_up(), callee.hung_up());
    assert!(lab.server.terminate().success());
    let lab = place.start_alone();
    let call = lab.call("completed").await;
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("normal_clearing"), &json!("system")));
}

/// How many calls go on when the program is killed.
const MANY: u64 = 200;

#[tokio::test]
async fn two_hundred_calls_that_were_cut_off_are_over_soon_after_the_next_start_with_what_was_recorded() {
    let place = Place::with("[sip.recording]\nthreads = 2\n");
    let Scene { lab, carrier, agent } = place.start().await;
    let mut dialogs = Vec::new();
    for _ in 0..MANY {
        dialogs.push(carrier.talk_to(&agent).await);
    }
    lab.wait("all calls", async || (lab.total("in_progress").await == MANY).then_some(())).await;
    for (caller, callee) in &dialogs {
        carrier.burst(caller.heard.expect("media"), 5).await;
        agent.burst(callee.heard.expect("media"), 5).await;
    }
    let recordings = place.home.data().join("recordings");
    let journals = || {
        let entries = std::fs::read_dir(recordings.join("journals")).expect("the folder");
        entries
            .map(|entry| entry.and_then(|entry| entry.metadata()).map_or(0, |file| file.len()))
            .collect::<Vec<_>>()
    };
    lab.wait("all that was heard on the disk", async || {
        let whole = journals().iter().filter(|bytes| **bytes > 2 * 5 * 160).count() as u64;
        (whole == MANY).then_some(())
    })
    .await;
    lab.server.kill();

    let begun = std::time::Instant::now();
    let lab = place.start_alone();
    lab.server.get("/readyz").await.expect(200);
    assert!(begun.elapsed().as_secs() < 5, "it took {:?} to be ready", begun.elapsed());
    lab.wait("all ends", async || (lab.total("failed").await == MANY).then_some(())).await;
    lab.nothing_is_live().await;
    lab.wait("all recordings", async || {
        (lab.figure("pegcount_recordings_total").await >= MANY as f64 && journals().is_empty()).then_some(())
    })
    .await;
    // A few for all: each question takes a while.
    let list = lab.server.get("/v1/calls?limit=10&status=failed").await.expect(200);
    for call in list["calls"].as_array().expect("calls") {
        let end = lab.event(call, "call_failed").await;
        assert_eq!((&end["hangup_cause"], &end["inferred"]), (&json!("network_error"), &json!(true)));
        assert_eq!(lab.event(call, "recording_ready").await["incomplete"], true);
    }
    let files =
        std::fs::read_dir(&recordings).expect("the folder").map(|entry| entry.expect("an entry").path());
    assert_eq!(files.filter(|file| file.extension().is_some_and(|kind| kind == "mp3")).count() as u64, MANY);
}

/// Two users of two organizations, and the gateway where it is again after a restart.
fn with_users(network: &super::lab::Network) -> String {
    let mallory = "[[sip.users]]\nname = \"mallory\"\norganization = \"org-b\"\npassword = \"wonderland\"\n";
    let listen = format!("{}:0", network.ip(1));
    network
        .config(None, &format!("{}{mallory}", super::users::USERS))
        .replace(&listen, &network.at(1).to_string())
}

#[tokio::test]
async fn a_phone_that_has_registered_is_called_after_kill_minus_nine() {
    let place = Place::configured(with_users);
    let made = place.home.run(&["organizations", "create", "--id", "org-b", "--number", "2", "--init"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let lab = place.start_alone();
    lab.agent(None, json!({})).await;
    let (phone, theirs) = (lab.peer(&place.network.ip(7)).await, lab.peer(&place.network.ip(8)).await);
    for (peer, user) in [(&phone, "alice"), (&theirs, "mallory")] {
        assert_eq!(super::users::register_as(peer, user, "wonderland").await.kind(), "200");
    }
    let listed = lab.server.get("/v1/registrations").await.expect(200);
    let own = &listed["registrations"][0];
    assert_eq!((&listed["total"], &own["user"]), (&json!(1), &json!("alice")), "{listed}");
    assert_eq!(
        (&own["endpoint_id"], &own["source"]),
        (&json!("ep_agent"), &json!(phone.address.to_string()))
    );
    lab.wait("both on the disk", async || {
        let read = |file: &str| std::fs::read(place.home.data().join(file)).unwrap_or_default();
        let kept = [read("pegcount.db"), read("pegcount.db-wal")].concat();
        let holds = |name: &str| kept.windows(name.len()).any(|part| part == name.as_bytes());
        (holds(&phone.address.to_string()) && holds(&theirs.address.to_string())).then_some(())
    })
    .await;
    lab.server.kill();

    let lab = place.start_alone();
    assert_eq!(lab.server.get("/v1/registrations").await.expect(200), listed);
    assert_eq!(lab.figure("pegcount_sip_registered").await, 2.0);
    let carrier = lab.peer(&place.network.ip(2)).await;
    let mut caller = carrier.invite(super::lab::CALLER, super::lab::NUMBER).await;
    let callee = phone.take_call().await;
    caller.connected().await;
    caller.hang_up().await;
    callee.hung_up().await;
    lab.call("completed").await;

    // One that leaves is not there after a restart.
    assert_eq!(super::users::leave(&phone, "alice", "wonderland").await.kind(), "200");
    assert!(lab.server.terminate().success());
    let lab = place.start_alone();
    assert_eq!(lab.server.get("/v1/registrations").await.expect(200)["total"], 0);
}
