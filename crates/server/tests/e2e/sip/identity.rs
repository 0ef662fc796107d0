//! Who calls, as carriers say it: on the call, to the endpoint, and as little as may be where that is private.

use serde_json::{Value, json};

use super::lab::{NUMBER, Place, Scene};

const SAYS: &str = "Privacy: id\r\nP-Asserted-Identity: \"Ann\" <sip:+15559999@carrier.example.com>\r\n\
    Diversion: <sip:+15550188@carrier.example.com>;reason=user-busy;counter=1\r\n\
    X-Call-Ref: ref-1\r\nUser-to-User: 56a390;encoding=hex\r\nX-Other: unnamed\r\n";

const HEADERS: &str = "headers = [\"X-Call-Ref\", \"User-to-User\"]\n";

#[tokio::test]
async fn a_private_caller_is_hidden_from_the_endpoint() {
    let place = Place::with(HEADERS);
    let Scene { lab, carrier, agent } = place.start().await;
    let mut caller = carrier.invite_with("anonymous", NUMBER, SAYS).await;
    let invite = agent.expect("INVITE").await;
    assert!(
        invite.header("From").starts_with("\"Anonymous\" <sip:anonymous@anonymous.invalid>"),
        "{}",
        invite.text
    );
    assert!(!invite.text.contains("15559999") && !invite.text.contains("15550188"), "{}", invite.text);
    assert_eq!(invite.header("X-Call-Ref"), "ref-1");
    assert_eq!(invite.header("User-to-User"), "56a390;encoding=hex");
    assert!(!invite.text.contains("unnamed"), "{}", invite.text);
    let mut callee = agent.accept(&invite).await;
    caller.connected().await;
    callee.hang_up().await;
    caller.hung_up().await;
    let call = lab.call("completed").await;
    let setup = lab.event(&call, "call_initiated").await;
    let headers = json!({ "X-Call-Ref": "ref-1", "User-to-User": "56a390;encoding=hex" });
    let diversion = json!([{ "number": "+15550188", "reason": "user-busy" }]);
    for (field, value) in [
        ("from_number", json!("anonymous")),
        ("asserted_number", json!("+15559999")),
        ("privacy", json!(true)),
        ("diversion", diversion.clone()),
        ("headers", headers.clone()),
        ("metadata", headers.clone()),
    ] {
        assert_eq!(setup[field], value, "{field}");
    }
    let details = lab.details(&call).await;
    let expected = json!({
        "name": null, "asserted_number": "+15559999", "privacy": true, "diversion": diversion, "attestation": null,
        "headers": headers,
    });
    assert_eq!(details["caller"], expected);
    // Who hid the number is found by it all the same when it is to be erased.
    let order = lab.server.post("/v1/erasures", &json!({ "phone_number": "+15559999" })).await.expect(202);
    let order = format!("/v1/erasures/{}", order["id"].as_str().expect("an id"));
    lab.wait("the erasure", async || {
        let order: Value = lab.server.get(&order).await.expect(200);
        (order["erased"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_trusted_endpoint_is_shown_a_private_number() {
    let place = Place::with(HEADERS);
    let Scene { lab, carrier, agent } = place.start_with(json!({ "trusted": true })).await;
    let mut caller = carrier.invite_with("anonymous", NUMBER, SAYS).await;
    let invite = agent.expect("INVITE").await;
    assert!(invite.header("From").starts_with("<sip:anonymous@"), "{}", invite.text);
    assert!(invite.header("P-Asserted-Identity").starts_with("<sip:+15559999@"), "{}", invite.text);
    assert_eq!(invite.header("Privacy"), "id");
    let mut callee = agent.accept(&invite).await;
    caller.connected().await;
    callee.hang_up().await;
    caller.hung_up().await;
    lab.call("completed").await;
}

#[tokio::test]
async fn numbers_are_bare_whatever_stands_beside_them() {
    let place = Place::usual();
    let Scene { lab, carrier, agent } = place.start().await;
    let from = "+15559999;verstat=TN-Validation-Passed;cpc=ordinary;isup-oli=62";
    let to = "%2B2348012345678;npdi;rn=+15551999";
    let mut caller = carrier.invite_with(from, to, "Attestation-Info: A\r\n").await;
    let invite = agent.expect("INVITE").await;
    assert!(invite.header("From").starts_with("<sip:+15559999@"), "{}", invite.text);
    let mut callee = agent.accept(&invite).await;
    caller.connected().await;
    callee.hang_up().await;
    caller.hung_up().await;
    let call = lab.call("completed").await;
    assert_eq!((&call["from_number"], &call["to_number"]), (&json!("+15559999"), &json!(NUMBER)));
    let attestation = json!({ "level": "A", "passed": true, "reason": "TN-Validation-Passed" });
    assert_eq!(lab.details(&call).await["caller"]["attestation"], attestation);
}
