//! A server with a SIP gateway on loopback addresses of its own, and what the tests ask of it.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU8, Ordering},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{message::Message, peer::Peer};
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

    /// The usual port of SIP there: nobody else has it on a network of one's own.
    pub fn at(&self, host: u8) -> SocketAddr {
        format!("{}:5060", self.ip(host)).parse().expect("an address")
    }

    /// One more trunk, that calls from this host.
    pub fn trunk(&self, name: &str, organization: &str, host: u8) -> String {
        let ip = self.ip(host);
        format!(
            "[[sip.trunks]]\nname = \"{name}\"\norganization = \"{organization}\"\nnetworks = [\"{ip}\"]\n"
        )
    }

    /// A configuration: the gateway on .1, a trunk on .2 whose proxy is at `outbound`, and more.
    pub fn config(&self, outbound: Option<SocketAddr>, more: &str) -> String {
        let outbound = outbound.map(|address| format!("outbound = \"sip:{address}\"\n")).unwrap_or_default();
        format!(
            "[sip]\nlisten = \"{}:0\"\ndigests = [\"sha-256\"]\n[sip.limits]\nsign_of_life_seconds = 1\nring_seconds = 2\n\
             {}{outbound}{more}",
            self.ip(1),
            self.trunk("carrier", "org_default", 2),
        )
    }
}

/// The number that leads to the endpoint `ep_agent`.
pub const NUMBER: &str = "+2348012345678";
/// Who calls.
pub const CALLER: &str = "+14155551234";

/// A network of its own, and the home of a program whose gateway and trunk are on it.
pub struct Place {
    pub network: Network,
    pub home: Home,
}

impl Place {
    /// With nothing but the trunk `carrier`.
    pub fn usual() -> Self {
        Self::with("")
    }

    /// With more of a configuration.
    pub fn with(more: &str) -> Self {
        Self::configured(|network| network.config(None, more))
    }

    /// With this configuration.
    pub fn configured(config: impl FnOnce(&Network) -> String) -> Self {
        let network = Network::new();
        let home = Home::new(&config(&network));
        Self { network, home }
    }

    /// From now on with this configuration.
    pub fn configure(&mut self, config: &str) {
        self.home.config = config.to_owned();
    }

    /// Starts the program, the trunk's peer, and the peer that [`NUMBER`] leads to.
    pub async fn start(&self) -> Scene<'_> {
        self.start_with(json!({})).await
    }

    /// The same with metadata of the endpoint.
    pub async fn start_with(&self, metadata: Value) -> Scene<'_> {
        let lab = self.start_alone();
        let (carrier, agent) = (lab.peer(&self.network.ip(2)).await, lab.peer(&self.network.ip(3)).await);
        lab.agent(Some(&agent.uri("agent")), metadata).await;
        Scene { lab, carrier, agent }
    }

    /// Starts the program, and nobody else; or starts it again.
    pub fn start_alone(&self) -> Lab<'_> {
        Lab::start(&self.home)
    }
}

/// A program that runs, and who stands around it.
pub struct Scene<'a> {
    pub lab: Lab<'a>,
    /// The trunk.
    pub carrier: Peer,
    /// The endpoint that [`NUMBER`] leads to.
    pub agent: Peer,
}

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
        self.peer_at(SocketAddr::new(ip.parse().expect("an address"), 0)).await
    }

    /// A peer at an address that the configuration names.
    pub async fn peer_at(&self, address: SocketAddr) -> Peer {
        Peer::at(address, self.gateway()).await
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
        self.wait_for(PATIENCE, what, answer).await
    }

    /// The same, for so long.
    pub async fn wait_for<T>(
        &self,
        patience: Duration,
        what: &str,
        answer: impl AsyncFn() -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(answer) = answer().await {
                return answer;
            }
            if begun.elapsed() > patience {
                let calls = self.server.get("/v1/calls").await.text;
                let metrics = self.server.get("/metrics").await.text;
                let left: Vec<&str> =
                    metrics.lines().filter(|line| line.starts_with("pegcount_sip_")).collect();
                panic!("waited too long for {what}: {calls}\n{left:#?}\n{}", self.server.log());
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

    /// The bytes of a call's recording, fetched as a listener does, and their media type.
    pub async fn recording(&self, call: &Value) -> (String, Vec<u8>) {
        let told = self.server.get(&format!("/v1/calls/{}/recording", id(call))).await.expect(200);
        let url = told["recording_url"].as_str().expect("a link");
        let path = url.strip_prefix(&self.server.url("")).expect("a link to this server");
        let answer = self.server.client().to("GET", path).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
        let kind = answer.headers()["content-type"].to_str().expect("a text").to_owned();
        (kind, answer.bytes().await.expect("bytes").to_vec())
    }

    /// The value of a figure in `/metrics`.
    pub async fn figure(&self, name: &str) -> f64 {
        let metrics = self.server.get("/metrics").await.text;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {metrics}"))
    }

    /// Waits until neither the gateway nor the ledger holds anything of a call.
    pub async fn nothing_is_live(&self) {
        self.nothing_is_live_after(Duration::ZERO).await;
    }

    /// The same, where something that nobody answers may first take so long.
    pub async fn nothing_is_live_after(&self, unanswered: Duration) {
        self.wait_for(PATIENCE + unanswered, "the end of everything", async || {
            for figure in ["sip_calls", "sip_dialogs", "rtp_port_pairs_in_use", "sip_waiting_reports"] {
                if self.figure(&format!("pegcount_{figure}")).await > 0.0 {
                    return None;
                }
            }
            let live = self.server.get("/v1/live").await.expect(200);
            (live["live_calls"] == 0).then_some(())
        })
        .await;
    }

    /// The messages of a call, each in a few words: who sent what.
    pub async fn messages(&self, call: &Value) -> Vec<String> {
        let trace = self.server.get(&format!("/v1/calls/{}/sip-trace", id(call))).await.expect(200);
        let messages = trace["messages"].as_array().expect("messages").iter().map(|message| {
            let text = message["message"].as_str().expect("a text").to_owned();
            format!("{} {} {}", message["direction"], message["side"], Message { text }.kind())
        });
        messages.collect()
    }

    /// How many calls there are that stand so.
    pub async fn total(&self, status: &str) -> u64 {
        let list = self.server.get(&format!("/v1/calls?limit=1&status={status}")).await.expect(200);
        list["total"].as_u64().expect("a number")
    }

    pub async fn hang_up(&self, call: &Value) -> crate::server::Answer {
        self.server.post(&format!("/v1/calls/{}/hangup", id(call)), &json!({})).await
    }
}

pub fn id(call: &Value) -> &str {
    call["id"].as_str().expect("an id")
}
