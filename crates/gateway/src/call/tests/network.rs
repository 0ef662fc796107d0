//! Whole calls over the loopback, between phones that say what the test tells them to.

use super::{
    lab::{Lab, hang_up, talking},
    phone::{LIMIT, SDP},
};
use crate::{By, Cause, Dial, Ended, HangUp, Side, Target, What};

#[tokio::test]
async fn a_call_is_answered_and_the_caller_hangs_up() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, invite) = talking(&mut lab, &mut caller, &callee).await;
    assert!(invite.body().contains("5000"), "the callee is told our port: {}", invite.body());
    assert!(answer.body().contains("6000"), "the caller is told our port: {}", answer.body());
    assert_eq!(invite.header("Max-Forwards"), Some("69"));
    caller.as_caller("BYE", &answer, "Reason: Q.850;cause=16;text=\"bye\"\r\n", "").await;
    caller.expect("SIP/2.0 200").await;
    let bye = callee.expect("BYE").await;
    assert!(bye.header("Reason").is_some_and(|reason| reason.contains("cause=16")));
    callee.reply(&bye, "200 OK", "").await;
    let mut kinds = Vec::new();
    let ended = loop {
        match lab.report().await.what {
            What::Ended(ended) => break ended,
            What::Invited { .. } => kinds.push("invited"),
            What::InviteSent { .. } => kinds.push("sent"),
            What::Ringing => kinds.push("ringing"),
            What::Answered => kinds.push("answered"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(kinds, ["invited", "sent", "ringing", "answered"]);
    assert_eq!((ended.why.cause, ended.by), (Cause::NormalClearing, By::Caller));
    assert_eq!((ended.why.q850, ended.why.text.as_deref()), (Some(16), Some("bye")));
    assert!(ended.talked_ms.is_some());
    lab.nothing_left().await;
}

#[tokio::test]
async fn a_call_is_answered_and_the_callee_hangs_up() {
    let mut lab = Lab::new().await;
    let (mut caller, mut callee) = (lab.phone().await, lab.phone().await);
    let (_, invite) = talking(&mut lab, &mut caller, &callee).await;
    callee.as_callee("BYE", &invite, "", "").await;
    callee.expect("SIP/2.0 200").await;
    let bye = caller.expect("BYE").await;
    caller.reply(&bye, "200 OK", "").await;
    assert_eq!(lab.end().await.by, By::Callee);
}

#[tokio::test]
async fn a_busy_callee_is_told_the_caller() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("busy").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    callee.expect("ACK").await;
    let refused = caller.expect("SIP/2.0 486").await;
    assert!(refused.header("Reason").is_some_and(|reason| reason.starts_with("Q.850;cause=17")));
    let ended = lab.end().await;
    assert_eq!((ended.why.cause, ended.why.status, ended.talked_ms), (Cause::Busy, Some(486), None));
}

#[tokio::test]
async fn a_call_is_cancelled_while_it_rings() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    let ours = caller.invite("cancel").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    caller.cancel(&ours).await;
    caller.expect("SIP/2.0 487").await;
    let cancel = callee.expect("CANCEL").await;
    callee.reply(&cancel, "200 OK", "").await;
    callee.reply(&invite, "487 Request Terminated", "").await;
    callee.expect("ACK").await;
    let ended = lab.end().await;
    assert_eq!((ended.why.cause, ended.by), (Cause::Cancelled, By::Caller));
}

#[tokio::test]
async fn an_answer_that_races_the_cancel_is_acknowledged_and_hung_up() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    let ours = caller.invite("race").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    caller.cancel(&ours).await;
    caller.expect("SIP/2.0 487").await;
    let cancel = callee.expect("CANCEL").await;
    callee.reply(&invite, "200 OK", SDP).await;
    callee.reply(&cancel, "200 OK", "").await;
    callee.expect("ACK").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    assert_eq!(lab.end().await.talked_ms, None);
}

#[tokio::test]
async fn a_target_that_is_not_there_is_left_for_the_next() {
    let mut lab = Lab::new().await;
    let (mut caller, mute, callee) = (lab.phone().await, lab.phone().await, lab.phone().await);
    lab.lead_to(&[&mute, &callee]);
    caller.invite("failover").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    caller.as_caller("BYE", &answer, "", "").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    let mut attempts = Vec::new();
    loop {
        match lab.report().await.what {
            What::InviteSent { uri, attempt } => attempts.push((uri, attempt)),
            What::Ended(ended) => {
                assert!(ended.talked_ms.is_some());
                break;
            }
            _ => {}
        }
    }
    assert_eq!(attempts, [(mute.uri(), 1), (callee.uri(), 2)]);
    lab.nothing_left().await;
    let late = mute.expect("INVITE").await;
    mute.reply(&late, "180 Ringing", "").await;
    mute.expect("CANCEL").await;
}

#[tokio::test]
async fn a_target_that_was_left_and_answers_late_is_hung_up() {
    let mut lab = Lab::new().await;
    let (mut caller, slow) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&slow]);
    caller.invite("late").await;
    let invite = slow.expect("INVITE").await;
    caller.expect("SIP/2.0 503").await;
    assert_eq!(lab.end().await.why.cause, Cause::Unreachable);
    slow.reply(&invite, "200 OK", SDP).await;
    slow.expect("ACK").await;
    slow.expect("BYE").await;
}

#[tokio::test]
async fn an_order_hangs_up_a_call_that_rings() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("hang").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    let call = lab.report().await.call;
    let order = lab.switch.hang_up(&call, Some("enough".into()), LIMIT);
    let phones = async {
        let cancel = callee.expect("CANCEL").await;
        callee.reply(&cancel, "200 OK", "").await;
        callee.reply(&invite, "487 Request Terminated", "").await;
        caller.expect("SIP/2.0 480").await;
    };
    let (hung_up, ()) = tokio::join!(order, phones);
    assert_eq!(hung_up, HangUp::Ended);
    assert_eq!(lab.switch.hang_up(&call, None, LIMIT).await, HangUp::NoSuchCall);
    let ended = lab.end().await;
    assert_eq!((ended.by, ended.why.text.as_deref()), (By::Api, Some("enough")));
}

#[tokio::test]
async fn an_order_hangs_up_a_call_whose_sides_talk() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    talking(&mut lab, &mut caller, &callee).await;
    let call = lab.report().await.call;
    let twice = async {
        tokio::join!(lab.switch.hang_up(&call, None, LIMIT), lab.switch.hang_up(&call, None, LIMIT),)
    };
    let phones = async {
        for phone in [&caller, &callee] {
            let bye = phone.expect("BYE").await;
            phone.reply(&bye, "200 OK", "").await;
        }
    };
    let (hung_up, ()) = tokio::join!(twice, phones);
    assert_eq!(hung_up, (HangUp::Ended, HangUp::Ended));
    assert_eq!(lab.end().await.by, By::Api);
}

#[tokio::test]
async fn a_hold_goes_through_and_back() {
    let mut lab = Lab::new().await;
    let (mut caller, mut callee) = (lab.phone().await, lab.phone().await);
    let (answer, invite) = talking(&mut lab, &mut caller, &callee).await;
    callee.as_callee("INVITE", &invite, "", &format!("{SDP}a=sendonly\r\n")).await;
    let hold = caller.expect("INVITE").await;
    assert!(hold.body().contains("a=sendonly") && hold.body().contains("6000"));
    caller.reply(&hold, "200 OK", SDP).await;
    caller.expect("ACK").await;
    let held = callee.expect("SIP/2.0 200").await;
    assert!(held.body().contains("5000"));
    callee.as_callee("ACK", &invite, "", "").await;
    while lab.report().await.what != (What::Held { by: Side::Callee }) {}
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_key_told_by_info_is_reported_and_passed_on() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, _) = talking(&mut lab, &mut caller, &callee).await;
    let key = "Content-Type: application/dtmf-relay\r\nContent-Length: 10\r\n\r\nSignal=7\r\n";
    caller.as_caller("INFO", &answer, key, "").await;
    caller.expect("SIP/2.0 200").await;
    let info = callee.expect("INFO").await;
    assert!(info.body().starts_with("Signal=7"));
    callee.reply(&info, "200 OK", "").await;
    while lab.report().await.what != (What::Dtmf { side: Side::Caller, digit: '7' }) {}
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_transfer_replaces_the_callee() {
    let mut lab = Lab::new().await;
    let (mut caller, mut callee, desk) = (lab.phone().await, lab.phone().await, lab.phone().await);
    let (answer, invite) = talking(&mut lab, &mut caller, &callee).await;
    callee.as_callee("REFER", &invite, &format!("Refer-To: <{}>\r\n", desk.uri()), "").await;
    callee.expect("SIP/2.0 202").await;
    let trying = callee.expect("NOTIFY").await;
    callee.reply(&trying, "200 OK", "").await;
    let asked = desk.expect("INVITE").await;
    desk.reply(&asked, "200 OK", SDP).await;
    desk.expect("ACK").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    let anew = caller.expect("INVITE").await;
    caller.reply(&anew, "200 OK", SDP).await;
    caller.expect("ACK").await;
    caller.as_caller("BYE", &answer, "", "").await;
    let bye = desk.expect("BYE").await;
    desk.reply(&bye, "200 OK", "").await;
    lab.end().await;
}

#[tokio::test]
async fn an_order_connects_two_parties() {
    let mut lab = Lab::new().await;
    let (agent, outside) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&outside]);
    let plan = lab.routes.plan();
    let first = vec![Target::at(agent.uri())];
    let call = lab.switch.dial(Dial { from: "agent".into(), to: "5551234".into(), first, plan }).unwrap();
    let invite = agent.expect("INVITE").await;
    assert!(invite.body().contains("7000"), "our own offer");
    agent.reply(&invite, "200 OK", SDP).await;
    agent.expect("ACK").await;
    let invite = outside.expect("INVITE").await;
    outside.reply(&invite, "200 OK", SDP).await;
    outside.expect("ACK").await;
    while lab.report().await.what != What::Answered {}
    let phones = async {
        for phone in [&agent, &outside] {
            let bye = phone.expect("BYE").await;
            phone.reply(&bye, "200 OK", "").await;
        }
    };
    let (hung_up, ()) = tokio::join!(lab.switch.hang_up(&call, None, LIMIT), phones);
    assert_eq!(hung_up, HangUp::Ended);
    lab.end().await;
}

#[tokio::test]
async fn a_gateway_that_stops_hangs_up_first() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    talking(&mut lab, &mut caller, &callee).await;
    let Lab { switch, mut reports, .. } = lab;
    let phones = async {
        for phone in [&caller, &callee] {
            let bye = phone.expect("BYE").await;
            phone.reply(&bye, "200 OK", "").await;
        }
    };
    let (left, ()) = tokio::join!(switch.stop(LIMIT), phones);
    assert_eq!(left, 0);
    let mut last = None;
    while let Some(report) = reports.recv().await {
        last = Some(report.what);
    }
    assert!(matches!(last, Some(What::Ended(Ended { by: By::System, .. }))));
}

#[tokio::test]
async fn strangers_and_calls_too_many_are_refused() {
    let lab = Lab::with(true, 10).await;
    let mut caller = lab.phone().await;
    caller.invite("stranger").await;
    caller.expect("SIP/2.0 403").await;
    let full = Lab::with(false, 0).await;
    let mut caller = full.phone().await;
    caller.invite("full").await;
    let refused = caller.expect("SIP/2.0 503").await;
    assert_eq!(refused.header("Retry-After"), Some("5"));
}

#[tokio::test]
async fn an_offer_that_cannot_be_relayed_is_refused() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite_with("video", &SDP.replace("m=audio", "m=video")).await;
    caller.expect("SIP/2.0 488").await;
    assert_eq!(lab.end().await.why.cause, Cause::MediaFailure);
}

#[tokio::test]
async fn a_caller_that_hangs_up_before_the_answer_gets_both_its_responses() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("early").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    let ringing = caller.expect("SIP/2.0 180").await;
    caller.as_caller("BYE", &ringing, "", "").await;
    caller.expect("SIP/2.0 487").await;
    caller.expect("SIP/2.0 200").await;
    let cancel = callee.expect("CANCEL").await;
    callee.reply(&cancel, "200 OK", "").await;
    callee.reply(&invite, "487 Request Terminated", "").await;
    assert_eq!(lab.end().await.by, By::Caller);
}
