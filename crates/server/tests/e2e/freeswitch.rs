//! What mod_json_cdr posts, in every way that it does.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::server::{Answer, Client, Home, Server, fixtures, send};

const PATH: &str = "/sources/freeswitch/cdr";

fn recorded(name: &str) -> String {
    std::fs::read_to_string(fixtures().join(format!("freeswitch/json_cdr/{name}.json"))).expect("a record")
}

/// Every recorded body, by name.
fn names() -> Vec<String> {
    let folder = fixtures().join("freeswitch/json_cdr");
    let files = std::fs::read_dir(folder).expect("the records");
    let names = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let mut names: Vec<String> = names.map(|name| name.trim_end_matches(".json").to_owned()).collect();
    names.sort();
    names
}

/// As `switch_url_encode` does it: everything unsafe as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

/// The record with each variable's value escaped, as `encode-values` has it.
fn with_escaped_values(json: &str) -> String {
    let mut record: Value = serde_json::from_str(json).expect("a record");
    for (_, value) in record["variables"].as_object_mut().expect("variables") {
        *value = escaped(value.as_str().expect("a text")).into();
    }
    record.to_string()
}

/// How mod_json_cdr writes a body, and what it says of it.
type Form = (&'static str, fn(&str) -> String);

const FORM: &str = "application/x-www-form-urlencoded";
const FORMS: [Form; 7] = [
    ("application/json", str::to_owned),
    // `disable-100-continue` loses the label that the module had set.
    (FORM, str::to_owned),
    (FORM, |json| format!("cdr={}", escaped(json))),
    (FORM, |json| format!("cdr={json}")),
    (FORM, |json| format!("cdr={}", escaped(&with_escaped_values(json)))),
    ("application/json", with_escaped_values),
    ("application/x-www-form-base64-encoded", |json| format!("cdr={}", BASE64.encode(json.as_bytes()))),
];

/// Who posts and asks, and the first key.
struct Peer {
    client: Client,
    key: String,
}

impl Peer {
    fn of(server: &Server<'_>) -> Self {
        Self { client: server.client(), key: server.key.clone() }
    }
}

/// Posts a body as mod_json_cdr does, with the key as its `cred`, or with the whole key in a header.
async fn post(peer: &Peer, basic: Option<(&str, &str)>, name: &str, (label, form): Form) -> Answer {
    let json = recorded(name);
    let record: Value = serde_json::from_str(&json).expect("a record");
    let uuid = record["variables"]["uuid"].as_str().expect("a uuid");
    let request = peer.client.to("POST", &format!("{PATH}?uuid=a_{uuid}")).header("content-type", label);
    let request = match basic {
        Some((id, secret)) => request.basic_auth(id, Some(secret)),
        None => request.header("x-api-key", &peer.key),
    };
    send(request.body(form(&json))).await
}

/// Every call of a key's organization, whole, without what differs by who came first: its name and place.
async fn calls(peer: &Peer, key: &str) -> Vec<Value> {
    let get =
        async |path: String| send(peer.client.to("GET", &path).header("x-api-key", key)).await.expect(200);
    let list = get("/v1/calls?limit=100".to_owned()).await;
    let mut calls = Vec::new();
    for call in list["calls"].as_array().expect("calls") {
        let mut call = get(format!("/v1/calls/{}", call["id"].as_str().expect("an id"))).await;
        call["id"].take();
        calls.push(call);
    }
    calls.sort_by_key(|call| call["created_at"].to_string());
    calls
}

/// A key that may read and send.
fn key_of(home: &Home, organization: &str) -> Value {
    home.run_json(&["organizations", "create", "--id", organization]);
    let scopes = "calls:read,events:write";
    home.run_json(&["keys", "create", "--organization", organization, "--scopes", scopes])
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().expect(name)
}

#[tokio::test]
async fn every_body_in_every_encoding_and_order_makes_the_same_calls() {
    let home = Home::new("");
    let server = home.start();
    let peer = Peer::of(&server);
    let names = names();
    let mut expected = None;
    for (number, form) in FORMS.into_iter().enumerate() {
        let key = key_of(&home, &format!("org-{number}"));
        let basic = Some((text(&key, "key_id"), text(&key, "secret")));
        let mut arriving: Vec<&String> = names.iter().collect();
        if number % 2 == 1 {
            arriving.reverse();
        }
        arriving.rotate_left(number);
        // Twice, since the module sends again what it got no answer for.
        for round in 0..2 {
            for name in &arriving {
                let answer = post(&peer, basic, name, form).await;
                assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "{}"), "{name}");
            }
            let calls = calls(&peer, text(&key, "key")).await;
            assert_eq!(calls.len(), 11, "form {number}");
            let expected = expected.get_or_insert_with(|| calls.clone());
            assert_eq!(&calls, expected, "form {number}, round {round}");
        }
    }
}

#[tokio::test]
async fn both_legs_in_either_order_are_one_call() {
    let home = Home::new("");
    let server = home.start();
    let peer = Peer::of(&server);
    for (number, legs) in [["answered.1", "answered.2"], ["answered.2", "answered.1"]].iter().enumerate() {
        let key = key_of(&home, &format!("org-{number}"));
        for (place, leg) in legs.iter().enumerate() {
            let basic = (text(&key, "key_id"), text(&key, "secret"));
            post(&peer, Some(basic), leg, FORMS[place]).await.expect(200);
            assert_eq!(calls(&peer, text(&key, "key")).await.len(), 1);
        }
        let calls = calls(&peer, text(&key, "key")).await;
        let call = &calls[0];
        assert_eq!(call["status"], "completed");
        assert_eq!(call["hangup_cause"], "user_hangup");
        assert_eq!((text(call, "from_number"), text(call, "to_number")), ("2001", "100"));
        assert_eq!(call["created_at"], "2026-11-20T14:38:42.864Z");
        assert_eq!(call["answered_at"], "2026-11-20T14:38:44.384Z");
        assert_eq!(call["completed_at"], "2026-11-20T14:38:50.424Z");
        assert_eq!(call["duration"], 6);
    }
}

#[tokio::test]
async fn what_is_no_record_is_refused_and_nothing_is_lost_by_it() {
    let home = Home::new("");
    let server = home.start();
    let peer = Peer::of(&server);
    post(&peer, None, "busy.1", FORMS[0]).await.expect(200);
    for (label, body) in [
        ("application/json", "{"),
        ("application/json", "[]"),
        ("application/json", "{}"),
        ("application/json", r#"{"variables":{"uuid":"a"}}"#),
        ("application/json", r#"{"variables":{"uuid":"a","start_uepoch":"1"}}"#),
        (FORM, ""),
        (FORM, "cdr="),
        (FORM, "cdr=%%%"),
        (FORM, "cdr=AAAA"),
        ("text/plain", "hello"),
    ] {
        let request = peer.client.to("POST", PATH).header("x-api-key", &peer.key);
        let failure = send(request.header("content-type", label).body(body)).await.expect(400);
        assert_eq!(failure["code"], "INVALID_CDR", "{body}");
        assert!(text(&failure, "error").len() > 10, "{failure}");
    }
    post(&peer, None, "busy.2", FORMS[2]).await.expect(200);
    let calls = calls(&peer, &peer.key).await;
    assert_eq!((calls.len(), text(&calls[0], "status")), (1, "busy"));
}

#[tokio::test]
async fn only_a_key_that_may_write_is_taken_in_a_header_or_as_basic() {
    let home = Home::new("");
    let server = home.start();
    let peer = Peer::of(&server);
    let readers =
        home.run_json(&["keys", "create", "--organization", "org_default", "--scopes", "calls:read"]);
    let (id, secret) = (text(&readers, "key_id"), text(&readers, "secret"));
    post(&peer, Some((id, secret)), "busy.1", FORMS[0]).await.expect(403);
    post(&peer, Some((id, "wrong")), "busy.1", FORMS[0]).await.expect(401);
    post(&peer, Some(("", "")), "busy.1", FORMS[0]).await.expect(401);
    let nobody = peer.client.to("POST", PATH).body(recorded("busy.1"));
    let refused = send(nobody).await;
    assert_eq!(refused.expect(401)["code"], "UNAUTHORIZED");
    assert_eq!(calls(&peer, &peer.key).await, Vec::<Value>::new());
    // The whole key as Basic's user works too, as it does elsewhere.
    let whole = text(&readers, "key").to_owned();
    post(&peer, Some((&whole, secret)), "busy.1", FORMS[0]).await.expect(403);
    assert_eq!(post(&peer, None, "busy.1", FORMS[0]).await.expect(200), json!({}));
}
