//! A server with a SIP gateway on loopback addresses of its own, and what the tests ask of it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::peer::Peer;
use crate::server::{Home, PATIENCE, Server};

/// The loopback network of one test: `127.a.b.x`.
pub struct Network(String);

impl Network {
    /// One that no other test of this run has.
    pub fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let process = 16 + std::process::id() % 200;
        Self(format!("127.{process}.{}", NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The gateway's address, the trunk's, and those of others.
    pub fn ip(&self, host: u8) -> String {
        format!("{}.{host}", self.0)
    }

    /// A configuration: the gateway on .1, a trunk on .2 whose proxy is at `outbound`, and more.
    pub fn config(&self, outbound: Option<SocketAddr>, more: &str) -> String {
        let outbound = outbound.map(|address| format!("outbound = \"sip:{address}\"\n")).unwrap_or_default();
        format!(
            "[sip]\nlisten = \"{}:0\"\ndigests = [\"sha-256\"]\n[sip.limits]\nsign_of_life_seconds = 1\nring_seconds = 2\n\
             [[sip.trunks]]\nname = \"carrier\"\norganization = \"org_default\"\nnetworks = [\"{}\"]\n{outbound}{more}",
            self.ip(1),
            self.ip(2),
        )
    }
}

/// The number that leads to the endpoint `ep_agent`.
pub const NUMBER: &str = "+2348012345678";
/// Who calls.
pub const CALLER: &str = "+14155551234";

/// What the tests ask of a server.
pub struct Lab<'a> {
    pub server: Server<'a>,
}

impl<'a> Lab<'a> {
    pub fn start(home: &'a Home) -> Self {
        Self { server: home.start() }
    }

    pub fn gateway(&self) -> SocketAddr {
        self.server.sip.expect("a gateway")
    }

    pub async fn peer(&self, ip: &str) -> Peer {
        Peer::at(ip, self.gateway()).await
    }

    /// Makes an endpoint, and the number that leads to it.
    pub async fn agent(&self, uri: Option<&str>, metadata: Value) {
        let endpoint = json!({ "id": "ep_agent", "name": "Agent", "sip_uri": uri, "metadata": metadata });
        self.server.post("/v1/endpoints", &endpoint).await.expect(201);
        let number = json!({ "id": "pn_1", "number": NUMBER, "endpoint_id": "ep_agent" });
        self.server.post("/v1/phone-numbers", &number).await.expect(201);
    }

    /// The one call that there is, once it stands so.
    pub async fn call(&self, status: &str) -> Value {
        self.wait(status, async || {
            let list = self.server.get("/v1/calls").await.expect(200);
            let call = list["calls"].as_array().filter(|calls| calls.len() == 1)?[0].clone();
            (call["status"] == status).then_some(call)
        })
        .await
    }

    /// Asks again until there is an answer.
    pub async fn wait<T>(&self, what: &str, answer: impl AsyncFn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = answer().await {
                return answer;
            }
            if begun.elapsed() > PATIENCE {
                let calls = self.server.get("/v1/calls").await.text;
                panic!("waited too long for {what}: {calls}\n{}", self.server.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub async fn details(&self, call: &Value) -> Value {
        self.server.get(&format!("/v1/calls/{}", id(call))).await.expect(200)
    }

    pub async fn events(&self, call: &Value) -> Vec<Value> {
        let events = self.server.get(&format!("/v1/calls/{}/events", id(call))).await.expect(200);
        events["events"].as_array().expect("events").clone()
    }

    /// The types of a call's events, in order, without measures.
    pub async fn timeline(&self, call: &Value) -> Vec<String> {
        let events = self.events(call).await;
        let kinds = events.iter().map(|event| event["event_type"].as_str().expect("a type").to_owned());
        kinds.filter(|kind| kind != "media_quality").collect()
    }

    /// The data of the one event of a type, once there is one.
    pub async fn event(&self, call: &Value, kind: &str) -> Value {
        self.wait(kind, async || {
            let events = self.events(call).await;
            events
                .into_iter()
                .find(|event| event["event_type"] == kind)
                .map(|event| event["event_data"].clone())
        })
        .await
    }

    pub async fn hang_up(&self, call: &Value) -> crate::server::Answer {
        self.server.post(&format!("/v1/calls/{}/hangup", id(call)), &json!({})).await
    }
}

pub fn id(call: &Value) -> &str {
    call["id"].as_str().expect("an id")
}
