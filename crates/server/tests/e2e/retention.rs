//! What is old goes by itself, as long after its call's end as the configuration says; holds keep it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    erasure_of_numbers::found,
    server::{Home, Server, ago, send},
};

const CONFIG: &str = "
[retention.default]
transcript_days = 30
event_days = 60
call_days = 100
";

/// A call that ended some days ago and has everything that can be deleted of it.
fn events(call: &str, days_ago: i64) -> Value {
    let at = |seconds: i64| ago(24 * 3600 * days_ago - seconds);
    json!([
        {"id": "1", "call_id": call, "event_type": "call_initiated", "created_at": at(0),
         "event_data": {"from_number": "+15551234567"}},
        {"id": "2", "call_id": call, "event_type": "call_answered", "created_at": at(5)},
        {"id": "3", "call_id": call, "event_type": "transcript_turn", "created_at": at(6),
         "event_data": {"role": "caller", "content": "quiche"}},
        {"id": "4", "call_id": call, "event_type": "call_completed", "created_at": at(65)},
        {"id": "5", "call_id": call, "event_type": "recording_ready", "created_at": at(70),
         "event_data": {"object": format!("1.{call}.mp3")}},
    ])
}

async fn kinds(server: &Server<'_>, call: &str) -> Vec<String> {
    let events = server.get(&format!("/v1/calls/{call}/events")).await.expect(200);
    let kinds = events["events"].as_array().expect("a list").iter();
    kinds.map(|event| event["event_type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test]
async fn what_is_old_goes_at_the_next_round_and_what_is_on_hold_stays() {
    let home = Home::new(CONFIG);
    let server = home.start();
    let calls = [("young", 10), ("month", 40), ("sealed", 70), ("silent", 95), ("gone", 110), ("held", 110)];
    for (call, days_ago) in calls {
        server.tell(&events(call, days_ago)).await;
        let folder = home.data().join("recordings");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join(format!("1.{call}.mp3")), "sound").expect("a file");
    }
    // What somebody else keeps is theirs to delete.
    let url = "https://recordings.example/linked.mp3";
    let mut linked = events("linked", 95);
    linked[4]["event_data"] = json!({ "url": url });
    linked.as_array_mut().expect("a list").retain(|event| event["id"] != "3");
    server.tell(&linked).await;
    let hold = server.request(Method::PUT, "/v1/calls/held/hold").header("x-api-key", &server.key);
    assert_eq!(send(hold.json(&json!({"reason": "case"}))).await.status.as_u16(), 200);
    let stats = server.get("/v1/calls/stats").await.expect(200);
    server.terminate();

    // A start is the first round.
    let server = home.start();
    // Recordings come last.
    let last = "pegcount_retention_deleted_total{kind=\"recording\"} 1";
    let metrics =
        server.until("/metrics", |metrics| metrics.text.contains(last).then(|| metrics.text.clone())).await;
    assert_eq!(server.get("/v1/calls/gone").await.status.as_u16(), 404);
    assert_eq!(server.get("/v1/calls/stats").await.expect(200), stats);
    assert_eq!(kinds(&server, "young").await.len(), 5);
    assert_eq!(server.get("/v1/calls/linked").await.expect(200)["recording_url"], url);
    let month = kinds(&server, "month").await;
    assert_eq!(month.iter().filter(|kind| *kind == "transcript_deleted").count(), 1, "{month:?}");
    let mut sealed = kinds(&server, "sealed").await;
    sealed.sort();
    assert_eq!(sealed, ["events_deleted", "transcript_deleted"]);
    assert_eq!(kinds(&server, "held").await.len(), 5);
    let found = server.get("/v1/calls?q=quiche").await.expect(200);
    assert_eq!(found["total"], 2, "{found}");

    let files = ["young", "month", "sealed", "silent", "gone", "held"]
        .map(|call| home.data().join(format!("recordings/1.{call}.mp3")).exists());
    assert_eq!(files, [true, true, true, false, false, true]);

    let explained = server.get("/v1/calls/sealed/explain").await.expect(200);
    assert!(explained["sealed_at"].is_string(), "{explained}");
    assert_eq!(server.get("/v1/calls/held/explain").await.expect(200)["hold"]["reason"], "case");
    let late = json!([{"id": "9", "call_id": "sealed", "event_type": "call_held"}]);
    let receipt = server.post("/v1/events", &late).await.json();
    assert_eq!(receipt["rejected"][0]["code"], "CALL_SEALED", "{receipt}");
    for line in [
        "pegcount_retention_deleted_total{kind=\"call\"} 1",
        "pegcount_retention_deleted_total{kind=\"events\"} 3",
        "pegcount_retention_deleted_total{kind=\"transcript\"} 3",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    let audit = server.get("/v1/audit?action=calls_expired").await.expect(200);
    assert_eq!(audit["entries"][0]["details"]["calls"].as_array().map(Vec::len), Some(1), "{audit}");
    server.terminate();
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert!(home.run(&["refold", "--check"]).status.success());
}

#[tokio::test]
async fn a_sweep_that_is_killed_again_and_again_is_gone_on_with_and_leaves_no_word() {
    const CALLS: usize = 400;
    let home = Home::new(CONFIG);
    let server = home.start();
    for part in 0..CALLS / 100 {
        let mut all = Vec::new();
        for number in 0..100 {
            let call = events(&format!("c{part}_{number}"), 40);
            all.extend(call.as_array().expect("a list").iter().filter(|event| event["id"] != "5").cloned());
        }
        server.tell(&json!(all)).await;
    }
    server
        .tell(&json!([{"id": "1", "call_id": "young", "event_type": "call_answered", "created_at": ago(60)},
        {"id": "2", "call_id": "young", "event_type": "transcript_turn", "created_at": ago(50),
         "event_data": {"role": "caller", "content": "souffle"}},
        {"id": "3", "call_id": "young", "event_type": "call_completed", "created_at": ago(40)}]))
        .await;
    server.terminate();
    assert!(!found(&home.data(), &["quiche"]).is_empty());

    // At each start some go: then it is killed.
    for _ in 0..3 {
        let server = home.start();
        let some = "pegcount_retention_deleted_total{kind=\"transcript\"}";
        server.until("/metrics", |metrics| metrics.text.contains(some).then_some(())).await;
        server.kill();
    }

    let server = home.start();
    let gone = |answer: &crate::server::Answer| (answer.json()["total"] == 0).then_some(());
    server.until("/v1/calls?q=quiche&limit=1", gone).await;
    // Its words lie in the index and in the logs until they are cleaned, which is not done at once.
    let due = |answer: &crate::server::Answer| answer.json()["jobs"][0]["id"].as_u64();
    let job = server.until("/v1/jobs?kind=scrub", due).await;
    let retried = server.post(&format!("/v1/jobs/{job}/retry"), &json!({})).await;
    assert!(matches!(retried.status.as_u16(), 204 | 409), "{}", retried.text);
    let clean = |_: &crate::server::Answer| found(&home.data(), &["quiche"]).is_empty().then_some(());
    server.until("/v1/jobs?kind=scrub", clean).await;
    assert_eq!(server.get("/v1/calls?limit=1").await.expect(200)["total"], CALLS + 1);
    assert_eq!(server.get("/v1/calls?q=souffle").await.expect(200)["total"], 1);
    server.terminate();
    assert_eq!(found(&home.data(), &["quiche"]), Vec::<String>::new(), "after its end");
    let doctor = home.run(&["doctor"]);
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
    assert!(home.run(&["refold", "--check"]).status.success());
}
