//! The ledger takes nothing while calls go on.

use serde_json::Value;

use super::lab::{Place, Scene, id};
use crate::full_disk::{Mounted, Told};

/// Calls while it takes nothing.
const CALLS: usize = 5;

#[tokio::test]
async fn calls_go_on_while_the_disk_is_full_and_all_of_them_are_told_when_there_is_room() {
    // The disk is smaller than the room that readiness asks for by default.
    let place = Place::with("[readiness]\nmin_free_disk_bytes = 0\n");
    let data = place.home.data();
    let Some(_disk) = Mounted::at(&data, 28) else { return };
    let filler = data.join("filler");
    std::fs::write(&filler, vec![1; 12 << 20]).expect("the filler is written");
    let Scene { lab, carrier, agent } = place.start().await;
    let mut others = Told::default();
    others.fill(&lab.server).await;

    for _ in 0..CALLS {
        let (mut caller, callee) = carrier.talk_to(&agent).await;
        carrier.burst(caller.heard.expect("media"), 10).await;
        caller.hang_up().await;
        callee.hung_up().await;
    }
    lab.wait("reports that wait", async || {
        let waiting = lab.figure("pegcount_sip_waiting_reports").await;
        let retries = lab.figure("pegcount_sip_report_retries_total").await;
        (waiting >= CALLS as f64 && retries > 0.0).then_some(())
    })
    .await;
    let readiness = lab.server.get("/readyz").await.expect(503);
    let message = readiness["sip"]["message"].as_str().expect("a sentence");
    assert!(message.contains("reports wait for the ledger"), "{message}");

    std::fs::remove_file(&filler).expect("there is room");
    lab.wait("all calls", async || (lab.total("completed").await == CALLS as u64).then_some(())).await;
    lab.nothing_is_live().await;
    for figure in ["pegcount_sip_lost_reports_total", "pegcount_sip_refused_events_total"] {
        assert_eq!(lab.figure(figure).await, 0.0, "{figure}");
    }
    let list = lab.server.get("/v1/calls?status=completed").await.expect(200);
    for call in list["calls"].as_array().expect("calls") {
        let timeline = lab.timeline(call).await;
        let told: Vec<&str> = timeline.iter().map(String::as_str).collect();
        assert_eq!(
            told[..5],
            ["call_initiated", "sip_invite_sent", "call_ringing", "call_answered", "call_completed"],
            "{}",
            id(call)
        );
        let end = lab.event(call, "call_completed").await;
        assert_eq!(end.get("reports_dropped"), None::<&Value>, "{end}");
    }
    lab.wait("readiness", async || (lab.server.get("/readyz").await.status.as_u16() == 200).then_some(()))
        .await;
}
