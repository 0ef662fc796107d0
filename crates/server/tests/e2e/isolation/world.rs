//! Two organizations with the same story, each in its own word.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::{
    forms::halves,
    jobs::{ask, store_of},
    server::{Answer, Client, Home, Server, send},
};

/// The word of everything that is B's alone.
pub const MARK: &str = "tell-nobody";

/// What a key may be allowed short of acting for everybody.
const SCOPES: [&str; 5] = ["calls:read", "calls:control", "events:write", "recordings:read", "admin"];

/// One of the two.
pub struct Organization {
    /// Its number.
    pub number: i64,
    /// What all its data says.
    pub word: &'static str,
    /// A key with every scope but `server`.
    pub key: String,
    /// The number of its endpoint `ep_same`.
    pub agent: i64,
    /// The UUID of its call `call_same`.
    pub uuid: String,
    /// The path of a link to the log of that call.
    pub log: String,
    /// The path of a signed link to its recording.
    pub recording: String,
    /// The number of a job of its own.
    pub job: i64,
    /// The id of an erasure of its own, of a number that nobody has.
    pub erasure: String,
}

/// Both of them.
pub struct World {
    /// Asks.
    pub client: Client,
    /// The one that asks.
    pub a: Organization,
    /// The one that must not be seen.
    pub b: Organization,
    /// Keys of A, each without one scope.
    pub lacking: HashMap<&'static str, String>,
}

impl World {
    /// Makes organizations, keys and calls.
    pub async fn make(home: &Home, server: &Server<'_>) -> Self {
        let client = server.client();
        let a = Organization::make(home, server, &client, "org-a", "ours").await;
        let b = Organization::make(home, server, &client, "org-b", MARK).await;
        let mut lacking = HashMap::new();
        for scope in SCOPES {
            let scopes: Vec<&str> = SCOPES.into_iter().filter(|other| *other != scope).collect();
            lacking.insert(scope, make_key(server, &client, "org-a", scope, &scopes).await);
        }
        let world = Self { client, a, b, lacking };
        for (one, sign) in [(&world.a, "a"), (&world.b, "b")] {
            one.tell(&world, &story(one.word, sign)).await;
        }
        let b = &world.b;
        let apart = json!({"id": "pn_apart", "number": format!("{MARK}-either")});
        b.send(&world, "POST", "/v1/phone-numbers", &apart).await.expect(201);
        let control = json!({"url": format!("https://{MARK}.example/")});
        b.send(&world, "PUT", "/v1/control-url", &control).await.expect(200);
        world
    }

    /// Everything that B sees of itself.
    pub async fn sight_of_b(&self) -> Vec<Value> {
        let mut seen = Vec::new();
        for path in [
            "/v1/calls",
            "/v1/calls/call_b1",
            "/v1/calls/call_b1/events",
            "/v1/calls/call_apart/events",
            "/v1/calls/stats",
            "/v1/live",
            "/v1/endpoints",
            "/v1/phone-numbers",
            "/v1/keys",
            "/v1/jobs",
            "/v1/control-url",
        ] {
            let mut shown = self.b.get(self, path).await.expect(200);
            without_time(&mut shown);
            seen.push(shown);
        }
        seen
    }
}

/// Links as they are whenever they are made: each minute they have another end and so another signature.
fn without_time(shown: &mut Value) {
    match shown {
        Value::Array(all) => all.iter_mut().for_each(without_time),
        Value::Object(fields) => {
            for (name, value) in fields {
                let link = value.as_str().filter(|_| name == "recording_url");
                match link.and_then(|link| link.split_once("?expires=")) {
                    Some((place, _)) => *value = json!(place),
                    None => without_time(value),
                }
            }
        }
        _ => {}
    }
}

impl Organization {
    async fn make(
        home: &Home,
        server: &Server<'_>,
        client: &Client,
        id: &'static str,
        word: &'static str,
    ) -> Self {
        let made = home.run_json(&["organizations", "create", "--id", id]);
        let key = make_key(server, client, id, word, &SCOPES).await;
        let post = |path: &str, body: &Value| client.to("POST", path).header("x-api-key", &key).json(body);
        let endpoint = json!({"id": "ep_same", "name": word, "metadata": {"word": word}});
        let endpoint = send(post("/v1/endpoints", &endpoint)).await.expect(201);
        let number = json!({"id": "pn_same", "number": word, "endpoint_id": "ep_same"});
        send(post("/v1/phone-numbers", &number)).await.expect(201);
        let object = format!("{}.call_same.mp3", made["number"]);
        let recordings = home.data().join("recordings");
        std::fs::create_dir_all(&recordings).expect("a folder");
        std::fs::write(recordings.join(&object), word).expect("a recording");
        let setup = json!({"from_number": word, "endpoint_id": "ep_same", "phone_number_id": "pn_same"});
        let told = json!([
            {"call_id": "call_same", "event_type": "call_initiated", "event_data": setup},
            {"call_id": "call_same", "event_type": "call_answered"},
            {"call_id": "call_same", "event_type": "transcript_turn", "event_data": {"role": "caller", "content": word}},
            {"call_id": "call_same", "event_type": "call_completed"},
            {"call_id": "call_same", "event_type": "recording_ready", "event_data": {"object": object}},
        ]);
        send(post("/v1/events", &told)).await.expect(200);
        let recording = client.to("GET", "/v1/calls/call_same/recording").header("x-api-key", &key);
        let recording = send(recording).await.expect(200);
        let recording = recording["recording_url"].as_str().expect("a link");
        let number = made["number"].as_i64().expect("a number");
        let job = ask(&*store_of(home), number, word, 0).await.0;
        let erasure = json!({"phone_number": "+15550009999"});
        let mut erasure = send(post("/v1/erasures", &erasure)).await.expect(202);
        // Until it is done: its job must not be among what B sees.
        while erasure["state"] != "done" {
            let path = format!("/v1/erasures/{}", erasure["id"].as_str().expect("an id"));
            erasure = send(client.to("GET", &path).header("x-api-key", &key)).await.expect(200);
        }
        let (key_id, secret) = halves(&key);
        let call = client.to("GET", "/api/calls/call_same");
        let call = send(call.header("X-API-KEY", key_id).header("X-API-SECRET", secret)).await.expect(200);
        let log = call["data"]["public_log_url"].as_str().expect("a link");
        Self {
            number,
            job,
            erasure: erasure["id"].as_str().expect("an id").to_owned(),
            word,
            agent: endpoint["number"].as_i64().expect("a number"),
            uuid: call["data"]["id"].as_str().expect("a UUID").to_owned(),
            recording: recording[recording.find("/recordings/").expect("a path")..].to_owned(),
            log: log[log.find("/logs/").expect("a path")..].to_owned(),
            key,
        }
    }

    /// `GET` with its key.
    pub async fn get(&self, world: &World, path: &str) -> Answer {
        send(world.client.to("GET", path).header("x-api-key", &self.key)).await
    }

    /// Sends JSON with its key.
    pub async fn send(&self, world: &World, method: &str, path: &str, body: &Value) -> Answer {
        send(world.client.to(method, path).header("x-api-key", &self.key).json(body)).await
    }

    /// Tells events, which must all be taken.
    pub async fn tell(&self, world: &World, events: &Value) {
        let receipt = self.send(world, "POST", "/v1/events", events).await.expect(200);
        assert_eq!(receipt["rejected"], json!([]), "{receipt}");
    }
}

async fn make_key(
    server: &Server<'_>,
    client: &Client,
    organization: &str,
    name: &str,
    scopes: &[&str],
) -> String {
    let request = client.to("POST", "/v1/keys").header("x-api-key", &server.key);
    let request = request.header("x-organization-id", organization);
    let made = send(request.json(&json!({"name": name, "scopes": scopes}))).await.expect(201);
    assert_eq!(made["organization"], organization);
    made["key"].as_str().expect("a key").to_owned()
}

/// A call that is over, one that lives, and one more that is the other's name for nothing.
fn story(word: &str, sign: &str) -> Value {
    let setup = json!({
        "from_number": word, "endpoint_id": format!("ep_{sign}1"), "phone_number_id": format!("pn_{sign}1"),
        "metadata": {"word": word, "batch_call_id": word},
    });
    let recording = json!({"url": format!("https://{word}.example/call.mp3")});
    let apart = if sign == "b" { "call_apart" } else { "call_a2" };
    let over = format!("call_{sign}1");
    json!([
        {"call_id": over, "event_type": "call_initiated", "event_data": setup, "created_at": "2025-01-10T10:00:00Z"},
        {"call_id": over, "event_type": "call_answered", "created_at": "2025-01-10T10:00:05Z"},
        {"call_id": over, "event_type": "call_completed", "created_at": "2025-01-10T10:03:05Z"},
        {"call_id": over, "event_type": "recording_ready", "event_data": recording},
        {"call_id": format!("call_{sign}2"), "event_type": "call_ringing", "event_data": {"from_number": word}},
        {"call_id": apart, "event_type": "x_note", "event_data": {"note": word}},
        {"call_id": format!("call_{sign}3"), "event_type": "call_failed", "event_data": {"from_number": word}},
    ])
}
