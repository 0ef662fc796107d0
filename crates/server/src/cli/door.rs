//! The way to what an operator may order: through a running server, or, when none runs, by opening the store here.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use pegcount_store::Severity;
use serde_json::Value;

use crate::{
    address,
    app::{self, App, Presence},
    clock::Clock,
    config::Config,
    disk,
    operations::{Operator, Order, finding_value},
    operator_socket::Line,
};

use super::{Common, print};

/// A running server, or the opened store.
pub(super) enum Door {
    Running(Line),
    Stopped(Box<(App, Operator)>),
}

/// How long to wait for who uses the folder and does not answer: a server that starts or stops, another command. A
/// little longer than a server takes to stop.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOKS_EVERY: Duration = Duration::from_millis(20);

impl Door {
    /// Opens the way to the store. A folder without one gets one only if `--init` says so.
    ///
    /// # Errors
    /// A sentence that names the path and says what to do.
    pub(super) async fn open(common: &Common, config: &Config) -> Result<Self, String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let presence = app::presence(config);
            if let Presence::Unreachable(sentence) = presence {
                return Err(sentence);
            }
            if let Some(line) = Line::call(&config.data).await? {
                return Ok(Self::Running(line));
            }
            match open_here(config, presence, common.init).await {
                Ok(door) => return Ok(door),
                Err(error) if !app::is_in_use(&config.data) || tokio::time::Instant::now() > deadline => {
                    return Err(error);
                }
                Err(_) => tokio::time::sleep(LOOKS_EVERY).await,
            }
        }
    }

    fn is_running(&self) -> bool {
        matches!(self, Self::Running(_))
    }

    pub(super) async fn order(&mut self, order: Order) -> Result<Value, String> {
        match self {
            Self::Running(line) => line.order(&order).await,
            Self::Stopped(opened) => opened.1.carry_out(order).await,
        }
    }

    pub(super) async fn close(self) -> Result<(), String> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Stopped(opened) => {
                let (app, operator) = *opened;
                drop(operator);
                app.stop().await
            }
        }
    }
}

/// Opens the store in this process, as no server runs.
async fn open_here(config: &Config, presence: Presence, init: bool) -> Result<Door, String> {
    if let Presence::Missing(sentence) = presence
        && !init
    {
        return Err(sentence);
    }
    if let Some(sentence) = app::owned_by_another(config) {
        return Err(sentence);
    }
    let app = App::start(config, Clock::system()).await?;
    if app.first_key.is_some() {
        let data = config.data.display();
        print::to_stderr(&format!(
            "Made a new store in {data}; its first key, with every scope, is in {data}/first-key."
        ));
    }
    let operator = app.operator();
    Ok(Door::Stopped(Box::new((app, operator))))
}

/// Looks at everything. That something cannot be looked at is itself a finding.
///
/// # Errors
/// A sentence, where there is no store to look at.
pub(super) async fn look(common: &Common, config: &Config) -> Result<Value, String> {
    if let Presence::Missing(sentence) = app::presence(config)
        && !common.init
        && !app::is_in_use(&config.data)
    {
        return Err(sentence);
    }
    let damage = |sentence: &str| finding_value(Severity::Damage, "store", sentence);
    let mut findings = Vec::new();
    let mut running = false;
    match Door::open(common, config).await {
        Ok(mut door) => {
            running = door.is_running();
            match door.order(Order::Doctor).await {
                Ok(Value::Array(found)) => findings.extend(found),
                Ok(other) => findings.push(damage(&format!("the answer cannot be read: {other}"))),
                Err(sentence) => findings.push(damage(&sentence)),
            }
            if let Err(sentence) = door.close().await {
                findings.push(damage(&format!("it could not be closed: {sentence}")));
            }
        }
        Err(sentence) => findings.push(damage(&sentence)),
    }
    findings.extend(recordings(config).await);
    findings.extend(transcription(config));
    findings.push(encryption(config));
    findings.extend(machine_findings(config, running, &Clock::system()));
    Ok(Value::Array(findings))
}

/// Whether the object store of recordings, if there is one, takes something, gives it back and deletes it.
async fn recordings(config: &Config) -> Option<Value> {
    let bucket = match config.recordings.bucket() {
        Ok(bucket) => bucket?,
        Err(sentence) => return Some(finding_value(Severity::Damage, "recordings", &sentence)),
    };
    Some(match bucket.probe().await {
        Ok(()) => {
            let message = format!("{} takes, gives back and deletes recordings", bucket.name());
            finding_value(Severity::Fine, "recordings", &message)
        }
        // Nothing is lost by it: they wait in the data folder.
        Err(sentence) => finding_value(Severity::Warning, "recordings", &sentence),
    })
}

/// Whether what is kept is sealed, and who can read the keys.
fn encryption(config: &Config) -> Value {
    let (severity, message) = match config.encryption.keys() {
        Err(sentence) => (Severity::Damage, sentence),
        Ok(None) => {
            (Severity::Fine, "off: documents, events and recordings are kept in the clear".to_owned())
        }
        Ok(Some(keys)) if config.encryption.is_exposed() => (
            Severity::Warning,
            format!(
                "every user of this machine can read the keys ({}): chmod o-rwx the file",
                keys.sealing()
            ),
        ),
        Ok(Some(keys)) => {
            (Severity::Fine, format!("documents, events and recordings are sealed with {}", keys.sealing()))
        }
    };
    finding_value(severity, "encryption", &message)
}

/// Whose calls are transcribed, and by whom. Nobody is asked: that would cost money.
fn transcription(config: &Config) -> Vec<Value> {
    let told = config.transcription.iter().map(|(organization, config)| {
        let whose = if organization == "default" { "every other organization" } else { organization };
        let (severity, message) = match config.settings() {
            Ok(Some(settings)) => {
                (Severity::Fine, format!("recordings of {whose} are transcribed by {}", settings.told()))
            }
            Ok(None) => (Severity::Fine, format!("recordings of {whose} are not transcribed")),
            Err(sentence) => (Severity::Damage, format!("transcription.{organization}.{sentence}")),
        };
        finding_value(severity, "transcription", &message)
    });
    told.collect()
}

/// How long a port may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// Free space below which somebody should look, in bytes.
const LITTLE_SPACE: u64 = 1024 * 1024 * 1024;
/// 2025-01-01T00:00:00Z: a clock before it was never set.
const BUILT_AFTER_MILLIS: i64 = 1_735_689_600_000;

/// What is to be found outside the store: the disk, the clock, the ports.
fn machine_findings(config: &Config, running: bool, clock: &Clock) -> Vec<Value> {
    let mut findings = vec![room(config), privacy(config), time(clock)];
    let sip = address::listening(&config.sip.listen).ok().map(|address| ("sip.listen", address));
    for (name, address) in
        [("listen", config.listen), ("live_listen", config.live_listen)].into_iter().chain(sip)
    {
        let (severity, message) = port(name, address, running);
        findings.push(finding_value(severity, &format!("port {}", address.port()), &message));
    }
    findings
}

/// Whether the server could listen there or, while it runs, does.
fn port(name: &str, address: SocketAddr, running: bool) -> (Severity, String) {
    if address.port() == 0 {
        return (Severity::Fine, format!("{name} takes a free port"));
    }
    let (tried, fine) = if running {
        (TcpStream::connect_timeout(&address::reachable(address), ANSWERS_WITHIN).map(drop), "answers")
    } else {
        (TcpListener::bind(address).map(drop), "is free")
    };
    match tried {
        Ok(()) => (Severity::Fine, format!("{name} {address} {fine}")),
        Err(error) if running => {
            let message =
                format!("nothing answers at {name} {address} ({error}); was the server told otherwise?");
            (Severity::Warning, message)
        }
        Err(error) => (Severity::Warning, format!("{name} {address} cannot be listened on: {error}")),
    }
}

fn room(config: &Config) -> Value {
    match disk::free_bytes(&config.data) {
        Ok(free) => {
            let severity = if free < LITTLE_SPACE { Severity::Warning } else { Severity::Fine };
            let message = format!("{} free for {}", disk::in_words(free), config.data.display());
            finding_value(severity, "disk", &message)
        }
        Err(error) => {
            let message = format!("the free space of {} is unknown: {error}", config.data.display());
            finding_value(Severity::Warning, "disk", &message)
        }
    }
}

/// Whether others than the owner may look into the data folder.
fn privacy(config: &Config) -> Value {
    let data = config.data.display();
    let (severity, message) = match std::fs::metadata(&config.data) {
        Ok(folder) if folder.permissions().mode() & 0o077 == 0 => {
            (Severity::Fine, format!("only its owner may look into {data}"))
        }
        Ok(_) => (Severity::Warning, format!("others may look into {data}: chmod -R go= {data}")),
        Err(error) => (Severity::Warning, format!("{data} cannot be looked at: {error}")),
    };
    finding_value(severity, "data folder", &message)
}

fn time(clock: &Clock) -> Value {
    if clock.now().millis() < BUILT_AFTER_MILLIS {
        finding_value(Severity::Damage, "clock", "the machine's clock is not set: events would be refused")
    } else {
        finding_value(Severity::Fine, "clock", "plausible")
    }
}
