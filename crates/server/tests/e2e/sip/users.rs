//! Phones that register, and prove who they are.

use data_encoding::HEXLOWER;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    lab::{CALLER, NUMBER, Place, Scene},
    message::Message,
    peer::Peer,
};
use crate::server::signal;

pub const USERS: &str = "[[sip.users]]\nname = \"alice\"\norganization = \"org_default\"\npassword = \"wonderland\"\n\
                     endpoint = \"ep_agent\"\n";

fn hash(parts: &[&str]) -> String {
    HEXLOWER.encode(&Sha256::digest(parts.join(":").as_bytes()))
}

/// The value of a header that answers a challenge (RFC 7616, SHA-256).
fn proof(challenge: &Message, name: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let offered = challenge.headers(name);
    let offer = offered.iter().find(|offer| offer.contains("algorithm=SHA-256")).expect("SHA-256");
    let field = |key: &str| {
        let (_, rest) = offer.split_once(&format!("{key}=\"")).expect("the field");
        rest.split('"').next().unwrap_or_default()
    };
    let (realm, nonce) = (field("realm"), field("nonce"));
    let response =
        hash(&[&hash(&[user, realm, password]), nonce, "00000001", "abc", "auth", &hash(&[method, uri])]);
    format!(
        "Digest username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",algorithm=SHA-256,qop=auth,\
         nc=00000001,cnonce=\"abc\",response=\"{response}\""
    )
}

pub async fn register(phone: &Peer, password: &str) -> Message {
    register_as(phone, "alice", password).await
}

/// The answer to a phone that registers as this user.
pub async fn register_as(phone: &Peer, user: &str, password: &str) -> Message {
    register_for(phone, user, password, 120).await
}

/// The answer to a phone that is not to be called any more.
pub async fn leave(phone: &Peer, user: &str, password: &str) -> Message {
    register_for(phone, user, password, 0).await
}

async fn register_for(phone: &Peer, user: &str, password: &str, seconds: u32) -> Message {
    let uri = format!("sip:{}", phone.gateway());
    let call = phone.unique();
    let send = |cseq: u32, extra: String| {
        let text = format!(
            "REGISTER {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK-{call}-{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{user}@pegcount>;tag=r\r\nTo: <sip:{user}@pegcount>\r\n\
             Call-ID: register-{call}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{address}>\r\nExpires: {seconds}\r\n\
             {extra}Content-Length: 0\r\n\r\n",
            address = phone.address,
        );
        async move { phone.send(&text).await }
    };
    send(1, String::new()).await;
    let challenge = phone.expect("401").await;
    let proof = proof(&challenge, "WWW-Authenticate", user, password, "REGISTER", &uri);
    send(2, format!("Authorization: {proof}\r\n")).await;
    phone.next_within(std::time::Duration::from_secs(10)).await.expect("an answer")
}

#[tokio::test]
async fn a_phone_that_registers_is_the_endpoint_of_its_number() {
    let place = Place::with(USERS);
    let lab = place.start_alone();
    lab.agent(None, json!({})).await;
    let (carrier, phone) = (lab.peer(&place.network.ip(2)).await, lab.peer(&place.network.ip(7)).await);
    // Until it has registered nobody is there.
    carrier.invite(CALLER, NUMBER).await.refused("480").await;
    lab.call("no_answer").await;
    assert_eq!(register(&phone, "wrong").await.kind(), "401");
    let answer = register(&phone, "wonderland").await;
    assert_eq!(answer.kind(), "200", "{}", answer.text);
    let metrics = lab.server.get("/metrics").await.text;
    assert!(metrics.contains("pegcount_sip_registered 1"), "{metrics}");
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    let callee = phone.take_call().await;
    caller.connected().await;
    caller.hang_up().await;
    callee.hung_up().await;
    lab.wait("the second call", async || {
        let list = lab.server.get("/v1/calls?status=completed").await.expect(200);
        (list["total"] == 1).then_some(())
    })
    .await;
    assert!(!lab.server.log().contains("wonderland"));
}

#[tokio::test]
async fn a_user_calls_out_over_the_trunk_from_its_own_number_and_only_with_its_password() {
    let place = Place::configured(|network| network.config(Some(network.at(2)), USERS));
    let lab = place.start_alone();
    let (carrier, phone) = (lab.peer_at(place.network.at(2)).await, lab.peer(&place.network.ip(7)).await);
    lab.agent(None, json!({})).await;
    for (password, is_let_in) in [("wrong", false), ("wonderland", true)] {
        let mut first = phone.invite("alice", CALLER).await;
        let challenge = first.refused("407").await;
        let uri = format!("sip:{CALLER}@{}", lab.gateway());
        let proof = proof(&challenge, "Proxy-Authenticate", "alice", password, "INVITE", &uri);
        let extra = format!("Proxy-Authorization: {proof}\r\n");
        let mut dialog = phone.invite_with("alice", CALLER, &extra).await;
        if !is_let_in {
            dialog.refused("407").await;
            continue;
        }
        let invite = carrier.expect("INVITE").await;
        assert_eq!(invite.uri(), carrier.uri(CALLER));
        assert!(invite.header("From").contains(NUMBER), "{}", invite.text);
        let callee = carrier.accept(&invite).await;
        dialog.connected().await;
        dialog.hang_up().await;
        callee.hung_up().await;
    }
    let call = lab.call("completed").await;
    assert_eq!(call["direction"], "outbound");
    assert_eq!((&call["from_number"], &call["to_number"]), (&json!(NUMBER), &json!(CALLER)));
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("agent_hangup"), &json!("caller")));
}

#[tokio::test]
async fn an_agent_has_the_caller_transferred_to_a_colleague_and_the_call_goes_on() {
    let place = Place::with(&USERS.replace("endpoint = \"ep_agent\"\n", ""));
    let Scene { lab, carrier, agent } = place.start().await;
    let phone = lab.peer(&place.network.ip(7)).await;
    assert_eq!(register(&phone, "wonderland").await.kind(), "200");
    let (mut caller, mut callee) = carrier.talk_to(&agent).await;
    callee.request("REFER", "Refer-To: <sip:alice@pegcount>\r\n", "").await;
    agent.expect("202").await;
    let colleague = phone.take_call().await;
    // The caller hears the colleague from now on.
    let offer = carrier.expect("INVITE").await;
    carrier.answer(&offer, 200, "OK", "", &carrier.sdp("sendrecv")).await;
    callee.hung_up().await;
    caller.hang_up().await;
    colleague.hung_up().await;
    let call = lab.call("completed").await;
    let transferred = lab.event(&call, "call_transferred").await;
    assert_eq!(transferred, json!({ "leg": "agent", "to": "sip:alice@pegcount" }));
}

#[tokio::test]
async fn a_trunk_that_is_added_is_let_in_when_the_configuration_is_read_again() {
    let place = Place::usual();
    let Scene { lab, agent, .. } = place.start().await;
    let more = place.network.config(None, &place.network.trunk("second", "org_default", 8));
    std::fs::write(place.home.path("config.toml"), more).expect("it is written");
    signal(lab.server.pid(), "HUP");
    lab.wait("the configuration", async || lab.server.log().contains("was read again").then_some(())).await;
    let second = lab.peer(&place.network.ip(8)).await;
    let (mut caller, callee) = second.talk_to(&agent).await;
    caller.hang_up().await;
    callee.hung_up().await;
    lab.call("completed").await;
}
