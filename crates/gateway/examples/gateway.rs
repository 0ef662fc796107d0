//! A gateway that leads every call to one place, to be tried with other programs:
//! `cargo run --release -p pegcount-gateway --example gateway -- 127.0.0.15:5060 sip:agent@127.0.0.22:5060 [folder]`.
//!
//! Everybody on the loopback is a trunk behind address translation. With a folder calls are recorded there. Each second
//! it says what it counts; it stops, and waits for its calls, when its input ends.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pegcount_gateway::{
    Ask, Config, Denial, Direction, Gateway, Limits, Peers, Plan, Report, Routes, Target, TransferAsk,
    TrunkPeer, What, guard::Network,
};
use tokio::{io::AsyncReadExt, sync::mpsc, time::interval};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct OnePlace {
    target: String,
    record: bool,
}

impl Routes for OnePlace {
    fn route(&self, _ask: &Ask) -> Result<Plan, Denial> {
        Ok(Plan {
            account: "1".into(),
            note: "".into(),
            direction: Direction::Inbound,
            trunk: None,
            headers: Vec::new(),
            targets: vec![Target { nat: true, ..Target::at(&self.target) }],
            record: self.record,
            limits: Limits::default(),
        })
    }

    fn transfer(&self, ask: &TransferAsk<'_>) -> Option<Target> {
        Some(Target { nat: true, ..Target::at(ask.to) })
    }
}

/// Counts what is reported, by its kind.
async fn count(mut reports: mpsc::Receiver<Report>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    while let Some(report) = reports.recv().await {
        let kind = match &report.what {
            What::Ended(ended) => format!("Ended {:?}", ended.why.cause),
            What::NotRecorded { reason, .. } => format!("NotRecorded: {reason}"),
            What::MediaEstablished { codec, .. } => format!("MediaEstablished {codec}"),
            what => format!("{what:?}").split([' ', '(']).next().unwrap_or_default().to_owned(),
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, clippy::print_stdout, reason = "a program to be looked at")]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_env_filter("warn").init();
    let mut arguments = std::env::args().skip(1);
    let listen: SocketAddr = arguments.next().ok_or("where to listen?")?.parse()?;
    let target = arguments.next().ok_or("where do calls lead?")?;
    let folder = arguments.next();
    let routes = OnePlace { target, record: folder.is_some() };
    let mut config = Config::new(vec![listen], folder.unwrap_or_else(|| "target/recordings".to_owned()));
    config.tcp = vec![listen];
    config.media.ports = 30_000..=49_999;
    config.most_calls = 20_000;
    config.peers = Peers {
        trunks: vec![TrunkPeer {
            name: "loopback".to_owned(),
            networks: Network::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8).into_iter().collect(),
            digest: None,
            nat: true,
        }],
        users: Vec::new(),
    };
    let clock = Arc::new(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    });
    let (gateway, reports) = Gateway::start(config, Arc::new(routes), clock).await?;
    println!("listening at {:?}", gateway.addresses());
    let counting = tokio::spawn(count(reports));
    let mut seconds = interval(Duration::from_secs(1));
    let (mut input, mut buffer) = (tokio::io::stdin(), [0; 64]);
    loop {
        tokio::select! {
            read = input.read(&mut buffer) => if read? == 0 { break },
            _ = seconds.tick() => {
                let counts = gateway.counts();
                println!(
                    "calls {} admitted {} dialogs {} transactions {} passed {} ports {}",
                    counts.calls, counts.admitted, counts.sip.dialogs, counts.sip.transactions, counts.sip.passed,
                    counts.rtp.pairs_in_use,
                );
            }
        }
    }
    let counts = gateway.counts();
    println!("{counts:?}");
    println!("left: {}", gateway.stop(Duration::from_secs(5)).await);
    println!("{:#?}", counting.await?);
    Ok(())
}
