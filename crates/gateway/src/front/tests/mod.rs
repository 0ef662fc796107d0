//! A whole gateway over the loopback, with phones that say what the test tells them to.

mod calls;
mod messages;
mod names;
mod people;
mod refusals;
mod streams;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;
use tokio::sync::mpsc;

use super::{Config, Gateway, Peers, TrunkPeer};
use crate::{
    Ask, Denial, Direction, Limits, Plan, Report, Routes, Target, TransferAsk, What,
    call::tests::phone::{LIMIT, Phone},
};

/// Whoever is asked about is led to the same targets.
#[derive(Default)]
pub struct Everywhere {
    pub targets: Mutex<Vec<Target>>,
    pub asked: Mutex<Vec<Ask>>,
    pub record: bool,
    /// Headers that are reported of calls.
    pub headers: Vec<String>,
}

impl Routes for Everywhere {
    fn route(&self, ask: &Ask) -> Result<Plan, Denial> {
        self.asked.lock().unwrap().push(ask.clone());
        Ok(Plan {
            account: "7".into(),
            note: "".into(),
            direction: Direction::Inbound,
            trunk: None,
            headers: self.headers.clone(),
            targets: self.targets.lock().unwrap().clone(),
            record: self.record,
            limits: Limits::default(),
        })
    }

    fn transfer(&self, _: &TransferAsk<'_>) -> Option<Target> {
        None
    }
}

/// A gateway, whom it asks and what it reports.
pub struct Lab {
    pub gateway: Gateway,
    pub routes: Arc<Everywhere>,
    pub reports: mpsc::Receiver<Report>,
    pub folder: TempDir,
}

#[expect(clippy::disallowed_methods, reason = "a recording's time is compared with the files'")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// The whole loopback is a trunk.
pub fn trunk() -> Peers {
    let trunk = TrunkPeer {
        name: "carrier".into(),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
        digest: None,
        nat: true,
    };
    Peers { trunks: vec![trunk], users: Vec::new() }
}

pub fn config(folder: &TempDir, peers: Peers) -> Config {
    let mut config = Config::new(vec!["127.0.0.1:0".parse().unwrap()], folder.path());
    config.peers = peers;
    config.media.ports = 42_000..=43_999;
    config
}

impl Lab {
    pub async fn of(config: Config, folder: TempDir, record: bool) -> Self {
        Self::routed(config, folder, Everywhere { record, ..Everywhere::default() }).await
    }

    pub async fn routed(config: Config, folder: TempDir, routes: Everywhere) -> Self {
        let routes = Arc::new(routes);
        let (gateway, reports) = Gateway::start(config, routes.clone(), Arc::new(now)).await.unwrap();
        Self { gateway, routes, reports, folder }
    }

    pub async fn with(peers: Peers, record: bool) -> Self {
        let folder = TempDir::new().unwrap();
        Self::of(config(&folder, peers), folder, record).await
    }

    pub fn udp(&self) -> SocketAddr {
        self.gateway.addresses().udp[0]
    }

    pub async fn phone(&self) -> Phone {
        Phone::new(self.udp()).await
    }

    pub fn lead_to(&self, target: Target) {
        *self.routes.targets.lock().unwrap() = vec![target];
    }

    pub async fn report(&mut self) -> Report {
        tokio::time::timeout(LIMIT, self.reports.recv()).await.expect("a report").unwrap()
    }

    /// Reports up to the first that is wanted.
    pub async fn until(&mut self, wanted: impl Fn(&What) -> bool) -> Vec<Report> {
        let mut all = Vec::new();
        while !all.last().is_some_and(|report: &Report| wanted(&report.what)) {
            all.push(self.report().await);
        }
        all
    }

    pub async fn nothing_left(&self) {
        let gone = async {
            loop {
                let counts = self.gateway.counts();
                if counts.admitted + counts.sip.dialogs + counts.rtp.pairs_in_use == 0 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(LIMIT, gone).await.is_ok(), "{:?}", self.gateway.counts());
    }
}

pub const fn is_ended(what: &What) -> bool {
    matches!(what, What::Ended(_))
}
