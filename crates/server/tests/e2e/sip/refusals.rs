//! Calls and registrations that are refused, and where that can be read.

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use super::{
    lab::{CALLER, Lab, NUMBER, Place},
    users::{self, USERS},
};

/// The calls that there are, once there are so many.
async fn calls(lab: &Lab<'_>, count: u64) -> Vec<Value> {
    lab.wait("the refused calls", async || {
        let list = lab.server.get("/v1/calls?limit=100").await.expect(200);
        (list["total"] == count).then(|| list["calls"].as_array().expect("calls").clone())
    })
    .await
}

#[tokio::test]
async fn a_refused_call_of_a_trunk_is_a_failed_call_that_says_why() {
    let place = Place::usual();
    let lab = place.start_alone();
    lab.agent(None, json!({})).await;
    let unassigned = json!({ "id": "pn_2", "number": "+4930222", "endpoint_id": null });
    lab.server.post("/v1/phone-numbers", &unassigned).await.expect(201);
    let carrier = lab.peer(&place.network.ip(2)).await;
    let attempts = [
        ("+4930111", "404", "unknown_number", "failed", "rejected"),
        ("+4930222", "480", "unassigned_number", "no_answer", "no_answer"),
    ];
    for (to, status, ..) in attempts {
        carrier.invite(CALLER, to).await.refused(status).await;
    }
    for call in calls(&lab, 2).await {
        let to = call["to_number"].as_str().expect("a number");
        let wanted = attempts.iter().find(|attempt| attempt.0 == to).expect("it was called");
        let (_, status, reason, stands, cause) = *wanted;
        assert_eq!((&call["status"], &call["from_number"]), (&json!(stands), &json!(CALLER)), "{call}");
        assert_eq!(call["direction"], "inbound");
        let end = lab.event(&call, "call_failed").await;
        assert_eq!(end["sip_status"], json!(status.parse::<u16>().expect("a status")));
        assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!(cause), &json!("system")));
        assert!(end["reason"].as_str().is_some_and(|text| text.contains("number")), "{end}");
        assert_eq!(lab.timeline(&call).await, ["call_failed"]);
        assert_eq!(lab.figure(&format!("pegcount_sip_refused_total{{reason=\"{reason}\"}}")).await, 1.0);
    }
    let stats = lab.server.get("/v1/calls/stats").await.expect(200);
    assert_eq!((&stats["total_calls"], &stats["failed_calls"]), (&json!(2), &json!(2)));
    lab.nothing_is_live().await;
}

#[tokio::test]
async fn an_offer_that_cannot_be_relayed_is_a_failed_call() {
    let place = Place::usual();
    let lab = place.start_alone();
    let (carrier, agent) = (lab.peer(&place.network.ip(2)).await, lab.peer(&place.network.ip(3)).await);
    lab.agent(Some(&agent.uri("agent")), json!({})).await;
    let mut caller =
        carrier.invite_offering(CALLER, NUMBER, &carrier.sdp("sendrecv").replace("AVP", "SAVP")).await;
    caller.refused("488").await;
    let call = lab.call("failed").await;
    let end = lab.event(&call, "call_failed").await;
    assert_eq!((&end["sip_status"], &end["hangup_source"]), (&json!(488), &json!("system")));
    assert!(end["reason"].as_str().is_some_and(|text| !text.is_empty()), "{end}");
}

#[tokio::test]
async fn an_invite_that_the_guard_answers_is_a_failed_call() {
    let place = Place::with("headers = [\"X-Call-Ref\"]\n");
    let lab = place.start_alone();
    let carrier = lab.peer(&place.network.ip(2)).await;
    let mut caller = carrier.invite_with(CALLER, NUMBER, "Require: gruu\r\nX-Call-Ref: r1\r\n").await;
    caller.refused("420").await;
    let call = lab.call("failed").await;
    let end = lab.event(&call, "call_failed").await;
    assert_eq!((&end["sip_status"], &end["hangup_source"]), (&json!(420), &json!("system")));
    assert_eq!(end["reason"], "the INVITE requires an extension that is not supported");
    assert_eq!((&end["from_number"], &end["metadata"]), (&json!(CALLER), &json!({ "X-Call-Ref": "r1" })));
    assert_eq!(lab.figure("pegcount_sip_refused_total{reason=\"unknown_extension\"}").await, 1.0);
}

/// The lines of a log in which the filter for fail2ban finds an address, and the addresses.
fn banned(log: &str) -> Vec<String> {
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/fail2ban/pegcount.conf");
    let script = "import configparser, re, sys\n\
                  filter = configparser.ConfigParser()\n\
                  filter.read(sys.argv[1])\n\
                  lines = filter['Definition']['failregex'].strip().splitlines()\n\
                  found = [re.compile(line.strip().replace('<HOST>', '(?P<host>[0-9a-f.:]+)')) for line in lines]\n\
                  for line in sys.argv[2].splitlines():\n\
                  \x20   for one in found:\n\
                  \x20       match = one.search(line)\n\
                  \x20       if match: print(match['host'])\n";
    let output =
        Command::new("python3").args(["-c", script]).arg(filter).arg(log).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a text").lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn strangers_leave_lines_that_fail2ban_reads_and_no_calls() {
    for json in [false, true] {
        let place = Place::with(&format!("{USERS}[log]\njson = {json}\n"));
        let lab = place.start_alone();
        let (stranger, scanner) = (place.network.ip(66), place.network.ip(67));
        let (phone, robot) = (lab.peer(&stranger).await, lab.peer(&scanner).await);
        assert_eq!(users::register(&phone, "wrong").await.kind(), "401");
        robot.invite_with("100", CALLER, "User-Agent: friendly-scanner\r\n").await;
        let found = lab
            .wait("the lines", async || {
                let found = banned(&lab.server.log());
                (found.len() >= 2).then_some(found)
            })
            .await;
        assert_eq!(found, [stranger, scanner], "{}", lab.server.log());
        assert!(lab.server.log().contains("wrong_password") && lab.server.log().contains("alice"));
        assert_eq!(lab.figure("pegcount_sip_refused_total{reason=\"wrong_password\"}").await, 1.0);
        assert_eq!(lab.server.get("/v1/calls").await.expect(200)["total"], 0);
    }
}
