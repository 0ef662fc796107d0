//! Who may call, and where users are.

use data_encoding::HEXLOWER;
use md5::{Digest as _, Md5};

use super::*;
use crate::{
    UserPeer, Who,
    call::tests::phone::{Message, SDP},
    registrar::{Algorithm, Ha1},
};

const SECRET: &str = "wonderland";

fn users() -> Peers {
    let secrets = vec![Ha1::of(Algorithm::Md5, "alice", "pegcount", SECRET)];
    Peers { trunks: Vec::new(), users: vec![UserPeer { name: "alice".into(), secrets, nat: true }] }
}

/// The value of an Authorization that answers a challenge.
fn proof(challenge: &Message, header: &str, method: &str, uri: &str) -> String {
    let lines = challenge.0.lines().filter_map(|line| line.strip_prefix(header)?.strip_prefix(": "));
    let offered = lines.into_iter().find(|offered| offered.contains("algorithm=MD5")).expect("MD5");
    let nonce = offered.split("nonce=\"").nth(1).unwrap().split('"').next().unwrap();
    let hash = |text: String| HEXLOWER.encode(&Md5::digest(text.as_bytes()));
    let (first, second) = (hash(format!("alice:pegcount:{SECRET}")), hash(format!("{method}:{uri}")));
    let response = hash(format!("{first}:{nonce}:00000001:c:auth:{second}"));
    format!(
        "Digest username=\"alice\",realm=\"pegcount\",nonce=\"{nonce}\",uri=\"{uri}\",algorithm=MD5,\
         qop=auth,nc=00000001,cnonce=\"c\",response=\"{response}\""
    )
}

fn register(phone: &Phone, peer: SocketAddr, sequence: u32, proof: &str) -> String {
    format!(
        "REGISTER sip:{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKr{sequence};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@{peer}>;tag=r\r\nTo: <sip:alice@{peer}>\r\nCall-ID: register\r\n\
         CSeq: {sequence} REGISTER\r\nContact: <sip:alice@192.0.2.9:5060>\r\n{proof}Content-Length: 0\r\n\r\n",
        at = phone.addr,
    )
}

/// The phone registers as alice.
async fn registered(lab: &Lab, alice: &Phone) {
    alice.say(&register(alice, lab.udp(), 1, "")).await;
    let challenge = alice.expect("SIP/2.0 401").await;
    let proof = proof(&challenge, "WWW-Authenticate", "REGISTER", &format!("sip:{}", lab.udp()));
    alice.say(&register(alice, lab.udp(), 2, &format!("Authorization: {proof}\r\n"))).await;
    alice.expect("SIP/2.0 200").await;
}

/// A trunk at `network`, and alice, who is not behind address translation.
fn trunk_and_alice(network: &str) -> Peers {
    let (mut peers, mut alice) = (trunk(), users().users);
    peers.trunks[0].networks = vec![network.parse().unwrap()];
    alice[0].nat = false;
    Peers { users: alice, ..peers }
}

#[tokio::test]
async fn a_phone_that_sends_media_from_its_other_address_is_heard() {
    let mut lab = Lab::with(trunk_and_alice("127.0.0.9"), false).await;
    let (mut caller, alice) = (Phone::at("127.0.0.9", lab.udp()).await, lab.phone().await);
    registered(&lab, &alice).await;
    lab.lead_to(Target::user("alice"));
    super::calls::spoken_where_it_leads(&mut caller, &alice).await;
    assert_eq!(lab.gateway.counts().rtp.refused, 0);
    lab.until(|what| matches!(what, What::MediaEstablished { .. })).await;
}

/// The callee is called and is busy.
async fn is_busy(caller: &Phone, callee: &Phone) {
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
}

#[tokio::test]
async fn a_phone_in_a_trunks_network_is_no_trunk() {
    let lab = Lab::with(trunk_and_alice("127.0.0.0/8"), false).await;
    let (alice, switch, callee) = (lab.phone().await, lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    let from = |text: &str, host: &str| {
        text.replace("From: <sip:4930123@127.0.0.1", &format!("From: <sip:alice@{host}"))
    };
    // Whoever has not registered is asked for a proof under the name of a user of ours only.
    alice.say(&from(&alice.invitation("early", SDP), "127.0.0.1")).await;
    alice.expect("SIP/2.0 407").await;
    alice.say(&from(&alice.invitation("elsewhere", SDP), "carrier.example.com")).await;
    is_busy(&alice, &callee).await;
    registered(&lab, &alice).await;
    // From where it registered it is the phone, whoever it says it is.
    let invite = alice.invitation("user", SDP);
    alice.say(&invite).await;
    let challenge = alice.expect("SIP/2.0 407").await;
    let uri = format!("sip:5551234@{}", lab.udp());
    let proof = proof(&challenge, "Proxy-Authenticate", "INVITE", &uri);
    let proved = invite.replace("z9hG4bKuser", "z9hG4bKproved").replace("CSeq: 1 ", "CSeq: 2 ");
    alice.say(&proved.replace("Contact:", &format!("Proxy-Authorization: {proof}\r\nContact:"))).await;
    is_busy(&alice, &callee).await;
    // The trunk still calls from the same host, and passes calls on from where others register by it.
    switch.say(&switch.invitation("trunk", SDP)).await;
    is_busy(&switch, &callee).await;
    let other = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother\r\nMax-Forwards:";
    alice.say(&alice.invitation("passed", SDP).replace("Max-Forwards:", other)).await;
    is_busy(&alice, &callee).await;
    let asked: Vec<Who> = lab.routes.asked.lock().unwrap().iter().map(|ask| ask.who.clone()).collect();
    let carrier = || Who::Trunk("carrier".into());
    assert_eq!(asked, [carrier(), Who::User("alice".into()), carrier(), carrier()]);
}

#[tokio::test]
async fn a_user_registers_and_is_called_where_it_registered_from() {
    let mut lab = Lab::with(users(), false).await;
    let alice = lab.phone().await;
    registered(&lab, &alice).await;
    assert_eq!(lab.gateway.counts().sip.registered, 1);
    let bob = lab.phone().await;
    lab.lead_to(Target::user("alice"));
    let first = vec![Target::at(bob.uri())];
    let ask = Ask {
        who: Who::User("b".into()),
        from: String::new(),
        to: String::new(),
        to_context: None,
        is_private: false,
        uri: String::new(),
    };
    let plan = lab.routes.route(&ask).unwrap();
    lab.gateway.dial(crate::Dial { from: "b".into(), to: "alice".into(), first, plan }).await.unwrap();
    let invite = bob.expect("INVITE").await;
    bob.reply(&invite, "200 OK", SDP).await;
    let invite = alice.expect("INVITE sip:alice@192.0.2.9:5060").await;
    alice.reply(&invite, "486 Busy Here", "").await;
    lab.until(is_ended).await;
}

#[tokio::test]
async fn a_user_calls_when_it_proves_who_it_is_and_nobody_else_does() {
    let lab = Lab::with(users(), false).await;
    let (mut alice, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    let invite = alice.invite("user").await;
    let challenge = alice.expect("SIP/2.0 407").await;
    alice.ack_refusal(&invite, &challenge).await;
    assert!(lab.routes.asked.lock().unwrap().is_empty(), "nobody is led anywhere who is not known");
    let uri = format!("sip:5551234@{}", lab.udp());
    let wrong = proof(&challenge, "Proxy-Authenticate", "BYE", &uri);
    let again = |proof: &str, branch: &str| {
        let text = alice.invitation("user", SDP).replace("CSeq: 1 ", "CSeq: 2 ");
        text.replace("z9hG4bKuser", branch)
            .replace("Contact:", &format!("Proxy-Authorization: {proof}\r\nContact:"))
    };
    alice.say(&again(&wrong, "z9hG4bKwrong")).await;
    let challenge = alice.expect("SIP/2.0 407").await;
    assert!(lab.routes.asked.lock().unwrap().is_empty());
    let right = proof(&challenge, "Proxy-Authenticate", "INVITE", &uri);
    alice.say(&again(&right, "z9hG4bKright")).await;
    let invite = callee.expect("INVITE").await;
    assert!(invite.header("Proxy-Authorization").is_none(), "it is ours alone to know");
    assert_eq!(lab.routes.asked.lock().unwrap()[0].who, Who::User("alice".into()));
    callee.reply(&invite, "486 Busy Here", "").await;
    alice.expect("SIP/2.0 486").await;
}

#[tokio::test]
async fn nobody_is_heard_until_the_program_names_peers() {
    let lab = Lab::with(Peers::default(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite("deaf").await;
    let dropped = async {
        while lab.gateway.counts().guard.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, dropped).await.expect("the guard drops it");
    lab.gateway.set_peers(&trunk()).unwrap();
    caller.invite("heard").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
    assert_eq!(lab.routes.asked.lock().unwrap()[0].who, Who::Trunk("carrier".into()));
}

#[tokio::test]
async fn an_answer_is_heard_from_who_is_called_although_nobody_knows_it() {
    let mut peers = trunk();
    peers.trunks[0].networks = vec!["127.0.0.9".parse().unwrap()];
    let lab = Lab::with(peers, false).await;
    let (caller, callee) =
        (Phone::at("127.0.0.9", lab.udp()).await, Phone::at("127.0.0.10", lab.udp()).await);
    lab.lead_to(Target::at(callee.uri()));
    caller.say(&caller.invitation("stranger", SDP)).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
}

#[tokio::test]
async fn a_user_is_registered_with_the_next_run_too() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::of(config(&folder, users()), folder, false).await;
    let alice = lab.phone().await;
    let registrations = lab.gateway.registrations();
    assert!(registrations.all().is_empty());
    registered(&lab, &alice).await;
    assert_eq!(registrations.changed().await, ["alice".to_owned()].into());
    assert!(registrations.take_changed().is_empty(), "each change is told once");
    let kept = registrations.all();
    let [crate::Registered { user, contacts }] = &kept[..] else { panic!("{kept:?}") };
    assert_eq!((user.as_str(), contacts[0].source, contacts[0].cseq), ("alice", alice.addr, 2));
    assert_eq!(lab.gateway.stop(LIMIT).await, 0);

    let folder = TempDir::new().unwrap();
    let mut next = config(&folder, users());
    let expired = crate::Contact { expires_at: now() - 1, ..contacts[0].clone() };
    next.registered = vec![
        crate::Registered { user: "alice".into(), contacts: [contacts.clone(), vec![expired]].concat() },
        crate::Registered { user: "nobody".into(), contacts: contacts.clone() },
    ];
    let lab = Lab::of(next, folder, false).await;
    assert_eq!(lab.gateway.counts().sip.registered, 1);
    let again = lab.gateway.registrations().all();
    assert_eq!(again[0].contacts.len(), 1, "{again:?}");
    assert!(again[0].contacts[0].expires_at.abs_diff(contacts[0].expires_at) < 1_000);
    assert!(lab.gateway.registrations().take_changed().is_empty(), "what was kept is no news");
}
