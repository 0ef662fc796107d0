//! Calls in which something is late, lost, missing or crossed.

use std::{collections::HashMap, time::Duration};

use super::{
    lab::{Kind, Lab, hang_up, talking},
    phone::{LIMIT, Message, Phone, SDP},
};
use crate::{By, Cause, Credential, Limits, Target, What};

/// A lab whose transactions end soon.
async fn hasty() -> Lab {
    Lab::of(Kind { t1: Duration::from_millis(15), reports: 16_384, most_calls: 2_000, ..Kind::default() })
        .await
}

#[tokio::test]
async fn an_answer_that_the_network_doubles_hangs_nobody_up() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("doubled").await;
    let invite = callee.expect("INVITE").await;
    // All of them wait at the door before the call hears of the first.
    for _ in 0..5 {
        callee.reply(&invite, "200 OK", SDP).await;
    }
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    caller.as_caller("INFO", &answer, "", "").await;
    loop {
        let message = callee.next().await;
        if message.0.starts_with("INFO") {
            callee.reply(&message, "200 OK", "").await;
            break;
        }
        assert!(message.0.starts_with("ACK"), "{}", message.0);
    }
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_phone_whose_address_translation_gives_it_another_port_is_followed_there() {
    let mut lab = Lab::of(Kind { nat: true, ..Kind::default() }).await;
    let (mut caller, mut callee) = (lab.phone().await, lab.phone().await);
    let (answer, invite) = talking(&mut lab, &mut caller, &callee).await;
    let mut moved = lab.phone().await;
    moved.as_caller("UPDATE", &answer, "", "").await;
    moved.expect("SIP/2.0 200").await;
    callee.as_callee("BYE", &invite, "", "").await;
    let bye = moved.expect("BYE").await;
    assert!(bye.0.starts_with(&format!("BYE sip:x@{} ", moved.addr)), "{}", bye.0);
    moved.reply(&bye, "200 OK", "").await;
    lab.end().await;
}

#[tokio::test]
async fn a_challenge_is_answered_with_the_targets_credential() {
    for (status, challenge, answer) in [
        ("401 Unauthorized", "WWW-Authenticate", "Authorization"),
        ("407 Proxy Authentication Required", "Proxy-Authenticate", "Proxy-Authorization"),
    ] {
        let mut lab = Lab::new().await;
        let (mut caller, callee) = (lab.phone().await, lab.phone().await);
        let credential = Credential { user: "us".into(), password: "secret".into(), realm: None };
        let target = Target { credential: Some(credential.into()), ..Target::at(callee.uri()) };
        lab.lead_to_targets(vec![target]);
        caller.invite("challenge").await;
        let invite = callee.expect("INVITE").await;
        let header = format!("{challenge}: Digest realm=\"r\",nonce=\"n\",algorithm=MD5,qop=\"auth\"\r\n");
        callee.reply_with(&invite, status, &header, "").await;
        let again = callee.expect("INVITE").await;
        let proof = again.header(answer).expect("a proof");
        assert!(
            proof.contains("username=\"us\"") && proof.contains("response=") && !proof.contains("secret")
        );
        callee.reply(&again, "200 OK", SDP).await;
        let accepted = caller.expect("SIP/2.0 200").await;
        caller.ack(&accepted).await;
        // Within the dialog too.
        caller.as_caller("BYE", &accepted, "", "").await;
        let bye = callee.expect("BYE").await;
        assert_eq!(bye.header("CSeq"), Some("3 BYE"));
        callee.reply_with(&bye, status, &header, "").await;
        let again = callee.expect("BYE").await;
        assert_eq!((again.header("CSeq"), again.header(answer).is_some()), (Some("4 BYE"), true));
        callee.reply(&again, "200 OK", "").await;
        lab.end().await;
    }
}

#[tokio::test]
async fn a_challenge_that_crosses_our_cancel_is_not_answered() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let credential = Credential { user: "us".into(), password: "secret".into(), realm: None };
    lab.lead_to_targets(vec![Target { credential: Some(credential.into()), ..Target::at(callee.uri()) }]);
    let ours = caller.invite("crossed").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    caller.cancel(&ours).await;
    let cancel = callee.expect("CANCEL").await;
    callee.reply(&cancel, "200 OK", "").await;
    let header = "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n";
    callee.reply_with(&invite, "401 Unauthorized", header, "").await;
    callee.expect("ACK").await;
    assert_eq!(lab.end().await.why.cause, Cause::Cancelled);
}

#[tokio::test]
async fn a_challenge_that_nobody_can_answer_is_a_refusal() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("challenge").await;
    let invite = callee.expect("INVITE").await;
    let header = "WWW-Authenticate: Digest realm=\"r\",nonce=\"n\"\r\n";
    callee.reply_with(&invite, "401 Unauthorized", header, "").await;
    caller.expect("SIP/2.0 403").await;
    assert_eq!(lab.end().await.why.cause, Cause::NotAllowed);
}

#[tokio::test]
async fn a_redirection_is_not_followed_but_left_for_the_next_target() {
    let mut lab = Lab::new().await;
    let (mut caller, moved, elsewhere, callee) =
        (lab.phone().await, lab.phone().await, lab.phone().await, lab.phone().await);
    lab.lead_to(&[&moved, &callee]);
    caller.invite("moved").await;
    let invite = moved.expect("INVITE").await;
    let contact = format!("Contact: <{}>\r\n", elsewhere.uri());
    moved.reply_with(&invite, "302 Moved Temporarily", &contact, "").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn an_answer_without_a_contact_is_gone_on_with_where_it_came_from() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("bare").await;
    let invite = callee.expect("INVITE").await;
    callee.reply_bare(&invite, "200 OK", SDP).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_peer_behind_address_translation_is_spoken_to_where_it_is() {
    let mut lab = Lab::of(Kind { nat: true, ..Kind::default() }).await;
    let (caller, mut callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to_targets(vec![Target { nat: true, ..Target::at(callee.uri()) }]);
    let inside = "Contact: <sip:caller@192.0.2.77:5060>";
    let invite =
        caller.invitation("inside", SDP).replace(&format!("Contact: <sip:caller@{}>", caller.addr), inside);
    caller.say(&invite).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    while lab.report().await.what != What::Answered {}
    callee.as_callee("BYE", &invite, "", "").await;
    let bye = caller.expect("BYE").await;
    caller.reply(&bye, "200 OK", "").await;
    lab.end().await;
}

#[tokio::test]
async fn a_caller_without_an_offer_answers_with_its_ack() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite_with("late", "").await;
    let invite = callee.expect("INVITE").await;
    assert!(invite.body().contains("7000"), "our own offer: {}", invite.body());
    callee.reply(&invite, "200 OK", SDP).await;
    let offer = caller.expect("SIP/2.0 200").await;
    assert!(offer.body().contains("6000"), "the callee's, by us: {}", offer.body());
    caller.ack_with(&offer, SDP).await;
    while lab.report().await.what != What::Answered {}
    hang_up(&mut lab, &mut caller, &offer, &callee).await;
}

#[tokio::test]
async fn a_caller_that_never_acknowledges_is_hung_up_with_the_other_side() {
    let mut lab = hasty().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("mute").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    caller.expect("SIP/2.0 200").await;
    callee.expect("ACK").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(33)).await;
    tokio::time::resume();
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    let bye = caller.expect("BYE").await;
    caller.reply(&bye, "200 OK", "").await;
    assert_eq!(lab.end().await.why.cause, Cause::Timeout);
}

#[tokio::test]
async fn a_caller_that_has_to_be_sure_acknowledges_the_ring_before_it_hears_of_the_answer() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    let invite = caller.invitation("sure", SDP).replace("Contact:", "Require: 100rel\r\nContact:");
    caller.say(&invite).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    let ringing = caller.expect("SIP/2.0 180").await;
    assert_eq!((ringing.header("Require"), ringing.header("RSeq")), (Some("100rel"), Some("1")));
    callee.reply(&invite, "200 OK", SDP).await;
    callee.expect("ACK").await;
    assert_eq!(
        caller.expect("SIP/2.0").await.header("RSeq"),
        Some("1"),
        "it is sent again, and nothing else is"
    );
    caller.as_caller("PRACK", &ringing, "RAck: 1 1 INVITE\r\n", "").await;
    let heard = caller.expect("SIP/2.0 200").await;
    assert_eq!(heard.header("CSeq"), Some("1 PRACK"));
    let answer = caller.expect("SIP/2.0 200").await;
    assert_eq!(answer.header("CSeq"), Some("1 INVITE"));
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn what_a_caller_asks_for_before_the_answer_has_to_wait_and_ends_nothing() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("early").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    let ringing = caller.expect("SIP/2.0 180").await;
    caller.as_caller("UPDATE", &ringing, "", SDP).await;
    let later = caller.expect("SIP/2.0 500").await;
    assert_eq!(later.header("Retry-After"), Some("1"));
    callee.reply(&invite, "200 OK", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn an_offer_that_meets_another_is_sent_again() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, _) = talking(&mut lab, &mut caller, &callee).await;
    while lab.report().await.what != What::Answered {}
    let offer = SDP.replace("m=audio 4000", "m=audio 4002");
    caller.as_caller("INVITE", &answer, "", &offer).await;
    let first = callee.expect("INVITE").await;
    callee.reply(&first, "491 Request Pending", "").await;
    callee.expect("ACK").await;
    let second = callee.expect("INVITE").await;
    assert_eq!(first.body(), second.body());
    callee.reply(&second, "200 OK", SDP).await;
    caller.expect("SIP/2.0 200").await;
    caller.as_caller_acks(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_session_is_refreshed_and_one_that_a_peer_forgets_is_over() {
    let mut lab = Lab::new().await;
    *lab.routes.limits.lock().unwrap() = Limits { session: Duration::from_secs(90), ..Limits::default() };
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    let timed = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nContact:";
    let invite = caller.invitation("timed", SDP).replace("Contact:", timed);
    caller.say(&invite).await;
    let invite = callee.expect("INVITE").await;
    assert_eq!(invite.header("Session-Expires"), Some("90"));
    callee.reply_with(&invite, "200 OK", "Session-Expires: 90;refresher=uac\r\nAllow: UPDATE\r\n", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    assert_eq!(answer.header("Session-Expires"), Some("90;refresher=uac"));
    caller.ack(&answer).await;
    while lab.report().await.what != What::Answered {}
    // What comes behind the ACK is answered when that is through.
    caller.as_caller("OPTIONS", &answer, "", "").await;
    caller.expect("SIP/2.0 200").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(45)).await;
    tokio::time::resume();
    let refresh = callee.expect("UPDATE").await;
    assert_eq!(refresh.header("Session-Expires"), Some("90;refresher=uac"));
    callee.reply_with(&refresh, "200 OK", "Session-Expires: 90;refresher=uac\r\n", "").await;
    // The caller, whose turn it was, says nothing.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(15)).await;
    tokio::time::resume();
    for phone in [&caller, &callee] {
        let bye = phone.expect("BYE").await;
        phone.reply(&bye, "200 OK", "").await;
    }
    let ended = lab.end().await;
    assert_eq!((ended.why.cause, ended.by), (Cause::Timeout, By::System));
}

#[tokio::test]
async fn the_next_place_of_a_user_is_tried_when_one_gives_no_sign_of_life() {
    let mut lab = Lab::new().await;
    let (mut caller, mute, callee) = (lab.phone().await, lab.phone().await, lab.phone().await);
    *lab.routes.places.lock().unwrap() = [&mute, &callee].map(|phone| Target::at(phone.uri())).to_vec();
    lab.lead_to_targets(vec![Target::user("alice")]);
    caller.invite("places").await;
    mute.expect("INVITE").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
    lab.routes.places.lock().unwrap().clear();
    caller.invite("nowhere").await;
    caller.expect("SIP/2.0 480").await;
    lab.end().await;
}

#[tokio::test]
async fn the_messages_of_a_call_are_remembered_on_both_sides() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, _) = talking(&mut lab, &mut caller, &callee).await;
    let call = lab.report().await.call;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
    let trace = lab.traces.read(&call).expect("a trace");
    let starts: Vec<(u32, bool, &str)> =
        trace.iter().map(|m| (m.leg, m.sent, m.text.split_once(' ').unwrap().0)).collect();
    for seen in
        [(0, false, "INVITE"), (0, true, "SIP/2.0"), (0, false, "BYE"), (1, true, "INVITE"), (1, true, "BYE")]
    {
        assert!(starts.contains(&seen), "{seen:?} in {starts:?}");
    }
}

#[tokio::test]
async fn a_request_that_comes_twice_by_different_ways_is_one_call() {
    let mut lab = Lab::new().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    caller.invite("twice").await;
    let invite = callee.expect("INVITE").await;
    caller.say(&caller.invitation("twice", SDP).replace("branch=z9hG4bK", "branch=z9hG4bKother")).await;
    caller.expect("SIP/2.0 482").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
    lab.end().await;
}

/// Answers for many calls at once: in every second the CANCEL races the 200, in the others both hang up.
async fn crowd_of_callers(caller: &Phone, invites: &HashMap<String, Message>) {
    let mut over = 0;
    while over < invites.len() {
        let message = caller.next().await;
        let call = message.header("Call-ID").unwrap().to_owned();
        let races = call.ends_with('0');
        let status = message.0.get(8..11).unwrap_or_default().to_owned();
        let of_invite = message.header("CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
        match status.as_str() {
            _ if message.0.starts_with("BYE") => caller.reply(&message, "200 OK", "").await,
            "180" if races => caller.cancel(&invites[&call]).await,
            "200" if of_invite => {
                caller.ack(&message).await;
                caller.bye_once(&message).await;
                over += usize::from(caller.is_first(&call));
            }
            "487" | "503" if of_invite => {
                caller.ack_refusal(&invites[&call], &message).await;
                over += usize::from(caller.is_first(&call));
            }
            _ => {}
        }
    }
}

async fn crowd_of_callees(callee: &Phone) {
    let mut invites: HashMap<String, Message> = HashMap::new();
    loop {
        let message = callee.next().await;
        let call = message.header("Call-ID").unwrap().to_owned();
        match message.0.split(' ').next().unwrap() {
            "INVITE" => {
                callee.reply(&message, "180 Ringing", "").await;
                callee.reply(&message, "200 OK", SDP).await;
                invites.insert(call, message);
            }
            "ACK" => callee.bye_as_callee(&invites[&call]).await,
            "CANCEL" | "BYE" => callee.reply(&message, "200 OK", "").await,
            _ => {}
        }
    }
}

#[tokio::test]
async fn of_a_thousand_calls_whose_ends_cross_nothing_is_left() {
    let mut lab = hasty().await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(&[&callee]);
    *lab.routes.limits.lock().unwrap() = Limits::default();
    let everything = async {
        for batch in 0..40 {
            let mut invites = HashMap::new();
            for number in 0..25 {
                let call = format!("race{batch}x{number}x{}", number % 2);
                invites.insert(call.clone(), caller.invite(&call).await);
            }
            crowd_of_callers(&caller, &invites).await;
        }
        let mut ended = 0;
        while ended < 1_000 {
            ended += usize::from(matches!(lab.report().await.what, What::Ended(_)));
        }
        // What still comes is answered until nothing does.
        let answering = async {
            loop {
                let message = caller.next().await;
                if message.0.starts_with("BYE") {
                    caller.reply(&message, "200 OK", "").await;
                }
            }
        };
        let nothing_left = async {
            lab.nothing_left().await;
            while lab.switch.transactions() > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = answering => {}
            () = nothing_left => {}
        }
    };
    tokio::select! {
        () = crowd_of_callees(&callee) => {}
        done = tokio::time::timeout(2 * LIMIT, everything) => {
            let left = (lab.switch.dialogs(), lab.switch.admitted(), lab.switch.transactions());
            assert!(done.is_ok(), "(dialogs, calls, transactions) left: {left:?}");
        }
    }
}
