//! Attempts that are refused: what is reported of them, and how much of a flood.

use super::*;
use crate::{Attempt, Denial, call::tests::phone::SDP, guard::RECORDED};

/// A directory that routes no call.
struct Nowhere;

impl Routes for Nowhere {
    fn route(&self, _: &Ask) -> Result<Plan, Denial> {
        let attempt = Attempt {
            account: "7".into(),
            note: "noted".into(),
            direction: Direction::Inbound,
            headers: vec!["X-Ref".into()],
        };
        let (cause, reason) = (crate::Cause::InvalidNumber, "unknown_number");
        Err(Denial { cause, reason, text: "there is no such number".into(), attempt: Some(attempt) })
    }

    fn transfer(&self, _: &TransferAsk<'_>) -> Option<Target> {
        None
    }
}

async fn nowhere() -> Lab {
    let folder = TempDir::new().unwrap();
    let config = config(&folder, trunk());
    let (gateway, reports) = Gateway::start(config, Arc::new(Nowhere), Arc::new(now)).await.unwrap();
    Lab { gateway, routes: Arc::default(), reports, folder }
}

#[tokio::test]
async fn a_refused_call_of_a_trunk_is_reported_once() {
    let mut lab = nowhere().await;
    let caller = lab.phone().await;
    let invite = caller.invitation("refused", SDP).replace("Contact:", "X-Ref: 1\r\nX-Other: 2\r\nContact:");
    for _ in 0..3 {
        caller.say(&invite).await;
        caller.expect("SIP/2.0 404").await;
    }
    let report = lab.report().await;
    let What::Denied(denied) = &report.what else { panic!("{report:?}") };
    assert_eq!((&*report.account, &*denied.note, denied.trunk.as_deref()), ("7", "noted", Some("carrier")));
    assert_eq!((denied.from.as_str(), denied.to.as_str()), ("4930123", "5551234"));
    assert_eq!(denied.identity.headers, [("X-Ref".to_owned(), "1".to_owned())]);
    assert_eq!((denied.why.status, denied.why.text.as_deref()), (Some(404), Some("there is no such number")));
    assert!(lab.reports.try_recv().is_err(), "the same INVITE is the same attempt");
    assert_eq!(lab.gateway.counts().refused.by_reason["unknown_number"], 1);
    lab.nothing_left().await;
}

/// The attempt that is reported next.
async fn denied(lab: &mut Lab) -> crate::Denied {
    let report = lab.report().await;
    match report.what {
        What::Denied(denied) => denied,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_invite_that_the_guard_answers_is_reported_once() {
    let mut lab = Lab::with(trunk(), false).await;
    lab.lead_to(Target::at("sip:agent@127.0.0.1:9"));
    let caller = lab.phone().await;
    let padding = format!("X-Padding: {}\r\nContact:", "x".repeat(9_000));
    for (status, old, new, reason, text) in [
        (420, "Max-Forwards:", "Require: gruu\r\nMax-Forwards:", "unknown_extension", "extension"),
        (416, "INVITE sip:5551234@", "INVITE http://5551234@", "unknown_scheme", "URI"),
        (400, "CSeq: 1 INVITE", "CSeq: 1 BYE", "cseq", "CSeq"),
        (400, "<sip:caller@", "<caller>, <sip:caller@", "malformed", "Malformed Contact"),
        (513, "Contact:", &padding, "too_large", "largest_message_bytes"),
        (505, " SIP/2.0\r\nVia", " SIP/3.0\r\nVia", "version", "version"),
        (400, "From: <sip:4930123@", "From: <mailto:4930123@", "bad_request", "From"),
    ] {
        let invite = caller.invitation(&format!("{reason}{status}"), SDP).replace(old, new);
        for _ in 0..2 {
            caller.say(&invite).await;
            caller.expect(&format!("SIP/2.0 {status}")).await;
        }
        let denied = denied(&mut lab).await;
        assert_eq!((denied.why.status, denied.trunk.as_deref()), (Some(status), Some("carrier")), "{reason}");
        assert_eq!(denied.sip_call_id, format!("{reason}{status}"));
        let called = if status == 416 { denied.to.contains("5551234") } else { denied.to == "5551234" };
        assert!(called && denied.why.text.as_deref().is_some_and(|said| said.contains(text)), "{denied:?}");
        assert_eq!(lab.gateway.counts().refused.by_reason[reason], 1);
    }
    // Within a dialog it is no attempt to call.
    let within = caller.invitation("within", SDP).replace("Max-Forwards:", "Require: gruu\r\nMax-Forwards:");
    caller
        .say(&within.replace("To: <sip:5551234@127.0.0.1", "To: <sip:x@127.0.0.1>;tag=1\r\nX-To: <sip:x@"))
        .await;
    caller.expect("SIP/2.0 420").await;
    caller.say(&caller.invitation("next", SDP).replace("Max-Forwards: 70", "Max-Forwards: 0")).await;
    caller.expect("SIP/2.0 483").await;
    assert_eq!(denied(&mut lab).await.sip_call_id, "next");
}

#[tokio::test]
async fn a_flood_of_refused_calls_is_reported_within_a_bound() {
    let mut lab = nowhere().await;
    let caller = lab.phone().await;
    let flood = RECORDED.burst + 100;
    for number in 0..flood {
        caller.say(&caller.invitation(&format!("flood{number}"), SDP)).await;
        caller.expect("SIP/2.0 404").await;
    }
    let counts = lab.gateway.counts().refused;
    assert_eq!(counts.by_reason["unknown_number"], u64::from(flood));
    let mut reported = 0;
    while lab.reports.try_recv().is_ok() {
        reported += 1;
    }
    assert_eq!(reported + counts.unrecorded, u64::from(flood));
    assert!(reported >= u64::from(RECORDED.burst) && counts.unrecorded > 0, "{reported} were reported");
}

#[tokio::test]
async fn an_answer_without_an_offered_codec_says_so() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    for (call_id, answer, text) in [
        ("codec", SDP.replace("RTP/AVP 0", "RTP/AVP 9"), "the answer has no codec of the offer"),
        ("none", String::new(), "without a session description"),
    ] {
        lab.lead_to(Target::at(callee.uri()));
        caller.invite(call_id).await;
        let invite = callee.expect("INVITE").await;
        callee.reply(&invite, "200 OK", &answer).await;
        callee.expect("ACK").await;
        let bye = callee.expect("BYE").await;
        callee.reply(&bye, "200 OK", "").await;
        assert!(bye.header("Reason").unwrap().contains(text), "{}", bye.0);
        caller.expect("SIP/2.0 488").await;
        let told = lab.until(is_ended).await;
        let What::Ended(ended) = &told[told.len() - 1].what else { panic!("{told:?}") };
        assert_eq!(ended.why.status, Some(488));
        assert!(ended.why.text.as_deref().is_some_and(|said| said.contains(text)), "{ended:?}");
    }
}

#[tokio::test]
async fn an_offer_without_a_common_codec_says_so() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite_with("codec", &SDP.replace("RTP/AVP", "RTP/SAVP")).await;
    caller.expect("SIP/2.0 488").await;
    let told = lab.until(is_ended).await;
    let What::Ended(ended) = &told[told.len() - 1].what else { panic!("{told:?}") };
    assert_eq!(ended.why.status, Some(488));
    assert!(ended.why.text.as_deref().is_some_and(|text| !text.is_empty()), "{ended:?}");
    assert_eq!(lab.gateway.counts().refused.by_reason["codec"], 1);
}
