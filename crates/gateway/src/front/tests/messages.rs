//! Messages as carriers and phones write them: what becomes of each.

use super::*;
use crate::{
    By, CallerIdentity, Disclosure, Diversion, Side,
    call::tests::phone::{Message, SDP},
};

/// An offer of these payload types.
fn offer(types: &str) -> String {
    format!("{}a=rtpmap:101 telephone-event/8000\r\n", SDP.replace("AVP 0", &format!("AVP {types}")))
}

/// A call whose caller offered PCMU and PCMA: the caller's 200 and the callee's INVITE.
async fn talking(lab: &Lab, caller: &mut Phone, callee: &Phone) -> (Message, Message) {
    lab.lead_to(Target::at(callee.uri()));
    caller.invite_with("talk", &offer("0 8 101")).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", &offer("0 101")).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    (answer, invite)
}

async fn hang_up(lab: &mut Lab, caller: &mut Phone, answer: &Message, callee: &Phone) {
    caller.as_caller("BYE", answer, "", "").await;
    caller.expect("SIP/2.0 200").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    lab.until(is_ended).await;
    lab.nothing_left().await;
}

/// A body of SDP and another part.
fn multipart(headers: &str, sdp: &str) -> String {
    format!(
        "--part\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--part\r\n{headers}\r\n\u{1}\u{2}\r\n--part--\r\n"
    )
}

const ISUP: &str = "Content-Type: application/ISUP;version=itu-t92+\r\n";
const MIXED: &str = "Content-Type: multipart/mixed;boundary=part\r\n";

/// An INVITE of the caller with this body.
fn invitation(caller: &Phone, call_id: &str, headers: &str, body: &str) -> String {
    let text = caller.invitation(call_id, "");
    let head = text.strip_suffix("Content-Length: 0\r\n\r\n").unwrap();
    format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_number_is_reached_however_its_uri_is_written() {
    let lab = Lab::with(trunk(), false).await;
    let (caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    for (place, user) in [
        "+15550100;npdi;rn=+15551999",
        "+15550100;cic=0001",
        "+15550100;phone-context=+1",
        "%2B15550100",
        "+1-555-0100",
    ]
    .into_iter()
    .enumerate()
    {
        let text = caller.invitation(&format!("number{place}"), SDP);
        let to = format!("INVITE sip:{user}@127.0.0.1;user=phone SIP/2.0\r\n");
        let from = "From: <sip:+15559999;verstat=TN-Validation-Passed;cpc=ordinary;isup-oli=62@127.0.0.1>;tag=caller\r\n";
        let lines = text.split_inclusive("\r\n").map(|line| match line.split(':').next() {
            Some("From") => from,
            Some(start) if start.starts_with("INVITE") => &to,
            _ => line,
        });
        caller.say(&lines.collect::<String>()).await;
        let invite = callee.expect("INVITE").await;
        let shown = format!("<sip:+15559999@{}>", lab.udp());
        assert!(invite.header("From").unwrap().starts_with(&shown), "{}", invite.0);
        let asked = lab.routes.asked.lock().unwrap().pop().expect("a call");
        assert_eq!((asked.from.as_str(), asked.to.as_str()), ("+15559999", "+15550100"), "{user}");
    }
}

#[tokio::test]
async fn a_caller_without_a_user_has_a_valid_from() {
    let lab = Lab::with(trunk(), false).await;
    let (caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    let text = caller.invitation("no-user", SDP).replace("<sip:4930123@", "<sip:");
    caller.say(&text).await;
    let invite = callee.expect("INVITE").await;
    let shown = format!("<sip:{}>", lab.udp());
    assert!(invite.header("From").unwrap().starts_with(&shown), "{}", invite.0);
}

#[tokio::test]
async fn requests_without_max_forwards_are_taken() {
    let mut lab = Lab::with(trunk(), false).await;
    let (caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    let request = |method: &str, number: u32, tag: &str| {
        let text = caller.invitation("bare", if method == "INVITE" { SDP } else { "" });
        let text = text.replacen("INVITE", method, 1).replace("1 INVITE", &format!("{number} {method}"));
        let branch = if matches!(method, "BYE" | "OPTIONS") { method } else { "" };
        let text =
            text.replace("Max-Forwards: 70\r\n", "").replace("z9hG4bKbare", &format!("z9hG4bKbare{branch}"));
        if tag.is_empty() {
            text
        } else {
            text.replacen(">\r\nCall-ID", &format!(">;tag={tag}\r\nCall-ID"), 1)
        }
    };
    caller.say(&request("OPTIONS", 1, "")).await;
    let able = caller.expect("SIP/2.0 200").await;
    assert!(able.header("Accept").unwrap().contains("multipart/mixed"), "{}", able.0);
    caller.say(&request("INVITE", 1, "")).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    caller.say(&request("CANCEL", 1, "")).await;
    caller.expect("SIP/2.0 487").await;
    callee.expect("CANCEL").await;
    callee.reply(&invite, "487 Request Terminated", "").await;
    lab.until(is_ended).await;
    // A call that would go on has to have hops left.
    let spent = caller.invitation("spent", SDP).replace("Max-Forwards: 70", "Max-Forwards: 0");
    caller.say(&spent).await;
    caller.expect("SIP/2.0 483").await;
    let again = |text: String| text.replace("bare", "bare2");
    caller.say(&again(request("INVITE", 1, ""))).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", SDP).await;
    let answer = caller.expect("SIP/2.0 200").await;
    let tag = answer.header("To").unwrap().split("tag=").nth(1).unwrap();
    caller.say(&again(request("ACK", 1, tag))).await;
    caller.say(&again(request("BYE", 2, tag))).await;
    caller.expect("SIP/2.0 200").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    let told = lab.until(is_ended).await;
    let What::Ended(ended) = &told[told.len() - 1].what else { panic!("{told:?}") };
    assert_eq!(ended.by, By::Caller);
}

#[tokio::test]
async fn a_session_is_found_among_other_parts() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    for (place, other) in [
        format!("{ISUP}Content-Disposition: signal;handling=optional\r\n"),
        "Content-Type: application/pidf+xml\r\nContent-ID: <a@b>\r\n".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        caller.say(&invitation(&caller, &format!("parts{place}"), MIXED, &multipart(other, SDP))).await;
        let invite = callee.expect("INVITE").await;
        assert_eq!(invite.header("Content-Type"), Some("application/sdp"));
        assert!(invite.body().contains("m=audio"), "{}", invite.0);
        let body = multipart(other, SDP);
        // The type of the phone's own is not wanted here.
        let text = format!("{MIXED}Content-Length: {}\r\n\r\n{body}", body.len());
        callee.reply_with(&invite, "200 OK", &text, "").await;
        callee.expect("ACK").await;
        let answer = caller.expect("SIP/2.0 200").await;
        assert!(answer.body().contains("m=audio"), "{}", answer.0);
        caller.ack(&answer).await;
        hang_up(&mut lab, &mut caller, &answer, &callee).await;
    }
}

#[tokio::test]
async fn an_unknown_required_part_is_refused() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let required = format!("{ISUP}Content-Disposition: signal;handling=required\r\n");
    caller.say(&invitation(&caller, "required", MIXED, &multipart(&required, SDP))).await;
    let refused = caller.expect("SIP/2.0 415").await;
    assert!(refused.header("Accept").unwrap().starts_with("application/sdp"), "{}", refused.0);
    let (answer, _) = talking(&lab, &mut caller, &callee).await;
    let body = multipart(&required, SDP);
    let text = format!("{MIXED}Content-Length: {}\r\n\r\n{body}", body.len());
    caller.as_caller("INVITE", &answer, &text, "").await;
    caller.expect("SIP/2.0 415").await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn an_answer_without_an_offered_codec_ends_no_talk() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, _) = talking(&lab, &mut caller, &callee).await;
    caller.as_caller("INVITE", &answer, "", &offer("8 101")).await;
    let asked = callee.expect("INVITE").await;
    assert!(asked.body().contains("AVP 8 101"), "{}", asked.body());
    callee.reply(&asked, "200 OK", &offer("0 101")).await;
    callee.expect("ACK").await;
    caller.expect("SIP/2.0 488").await;
    // Who took the offer is offered again what stood.
    let again = callee.expect("INVITE").await;
    assert!(again.body().contains("AVP 0 8 101"), "{}", again.body());
    callee.reply(&again, "200 OK", &offer("0 101")).await;
    callee.expect("ACK").await;
    // An offer that can be answered still is.
    caller.as_caller("INVITE", &answer, "", &offer("0 101")).await;
    let asked = callee.expect("INVITE").await;
    callee.reply(&asked, "200 OK", &offer("0 101")).await;
    callee.expect("ACK").await;
    let taken = caller.expect("SIP/2.0 200").await;
    assert!(taken.body().contains("AVP 0 101"), "{}", taken.body());
    caller.as_caller_acks(&taken).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
}

#[tokio::test]
async fn a_target_with_an_unusable_answer_is_passed_over() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, odd, callee) = (lab.phone().await, lab.phone().await, lab.phone().await);
    *lab.routes.targets.lock().unwrap() = vec![Target::at(odd.uri()), Target::at(callee.uri())];
    caller.invite_with("odd", &offer("0 8 101")).await;
    let invite = odd.expect("INVITE").await;
    odd.reply(&invite, "200 OK", &offer("9 101")).await;
    odd.expect("ACK").await;
    let bye = odd.expect("BYE").await;
    odd.reply(&bye, "200 OK", "").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", &offer("8 101")).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    hang_up(&mut lab, &mut caller, &answer, &callee).await;
    lab.lead_to(Target::at(odd.uri()));
    caller.invite_with("only", &offer("0 8 101")).await;
    let invite = odd.expect("INVITE").await;
    odd.reply(&invite, "200 OK", &offer("9 101")).await;
    let bye = odd.expect("BYE").await;
    odd.reply(&bye, "200 OK", "").await;
    caller.expect("SIP/2.0 488").await;
    let told = lab.until(is_ended).await;
    assert!(!told.iter().any(|report| report.what == What::Answered), "{told:?}");
}

#[tokio::test]
async fn keys_of_every_kind_of_info_are_reported_once() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let (answer, _) = talking(&lab, &mut caller, &callee).await;
    for (kind, body) in [
        ("audio/telephone-event", "\u{5}\u{a}\u{1}@"),
        ("application/vnd.nortelnetworks.digits", "p=Digit-Collection\r\ny=Digits\r\nd=Digits=7\r\n"),
        ("application/dtmf-relay", "Signal=#\r\n"),
    ] {
        let text = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        caller.as_caller("INFO", &answer, &text, "").await;
        caller.expect("SIP/2.0 200").await;
        let info = callee.expect("INFO").await;
        assert_eq!((info.header("Content-Type"), info.body()), (Some(kind), body));
        callee.reply(&info, "200 OK", "").await;
    }
    caller.as_caller("BYE", &answer, "", "").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    let told = lab.until(is_ended).await;
    let keys = told.iter().filter_map(|report| match report.what {
        What::Dtmf { side: Side::Caller, digit } => Some(digit),
        _ => None,
    });
    assert_eq!(keys.collect::<String>(), "57#");
}

#[tokio::test]
async fn a_carrier_learns_of_a_private_caller_what_it_may() {
    let lab = Lab::with(trunk(), false).await;
    let (caller, carrier) = (lab.phone().await, lab.phone().await);
    for (place, disclosure) in [Disclosure::Nothing, Disclosure::Everything].into_iter().enumerate() {
        let ours = Some("sip:+15550100@carrier.example.com".to_owned());
        lab.lead_to(Target { caller: ours, hides_caller: true, disclosure, ..Target::at(carrier.uri()) });
        caller.say(&caller.invitation(&format!("out{place}"), SDP)).await;
        let invite = carrier.expect("INVITE").await;
        assert!(
            invite
                .header("From")
                .unwrap()
                .starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=")
        );
        assert_eq!(invite.header("Privacy"), Some("id"));
        let asserted =
            (disclosure == Disclosure::Everything).then_some("<sip:+15550100@carrier.example.com>");
        assert_eq!(invite.header("P-Asserted-Identity"), asserted);
        carrier.reply(&invite, "486 Busy Here", "").await;
        caller.expect("SIP/2.0 486").await;
    }
}

#[tokio::test]
async fn a_private_caller_is_shown_to_the_trust_domain_only() {
    let folder = TempDir::new().unwrap();
    let routes = Everywhere { headers: vec!["X-Ref".into(), "Diversion".into()], ..Everywhere::default() };
    let mut lab = Lab::routed(config(&folder, trunk()), folder, routes).await;
    let (caller, callee) = (lab.phone().await, lab.phone().await);
    for (place, disclosure) in
        [Disclosure::Nothing, Disclosure::Public, Disclosure::Everything].into_iter().enumerate()
    {
        lab.lead_to(Target { disclosure, ..Target::at(callee.uri()) });
        let about_caller = "Privacy: id\r\nP-Asserted-Identity: <tel:+15559999>\r\nX-Ref: r1\r\n\
                    Diversion: <sip:+15550188@127.0.0.1>;reason=user-busy\r\nContact:";
        let text = caller.invitation(&format!("private{place}"), SDP).replace("Contact:", about_caller);
        caller.say(&text.replace("<sip:4930123@", "\"Anonymous\" <sip:anonymous@")).await;
        let invite = callee.expect("INVITE").await;
        let is_shown = invite.0.contains("15559999") || invite.0.contains("15550188");
        assert_eq!(is_shown, disclosure == Disclosure::Everything, "{}", invite.0);
        assert_eq!(invite.header("X-Ref").is_some(), disclosure != Disclosure::Nothing, "{}", invite.0);
        let hidden = "\"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=";
        assert_eq!(invite.header("From").unwrap().starts_with(hidden), !is_shown, "{}", invite.0);
        let report = lab.until(|what| matches!(what, What::Invited { .. })).await.pop().unwrap();
        let What::Invited { from, identity, .. } = report.what else { panic!("no call") };
        let headers = [("X-Ref", "r1"), ("Diversion", "<sip:+15550188@127.0.0.1>;reason=user-busy")];
        let diversion = Diversion { number: "+15550188".into(), reason: Some("user-busy".into()) };
        let expected = CallerIdentity {
            name: Some("Anonymous".into()),
            asserted_number: Some("+15559999".into()),
            is_private: true,
            hides_forwarding: false,
            diversions: vec![diversion],
            attestation: None,
            headers: headers.map(|(name, value)| (name.into(), value.into())).to_vec(),
        };
        assert_eq!((from.as_str(), &*identity), ("anonymous", &expected));
    }
}
