//! The way to what an operator may order: through a running server, or, when none runs, by opening the store here.

use std::{
    net::{SocketAddr, TcpStream},
    os::unix::fs::PermissionsExt,
    time::Duration,
};

use pegcount_store::{Finding, Severity};
use serde_json::Value;

use crate::{
    address,
    app::{self, App, Presence},
    clock::Clock,
    config::{Config, Listener, Transport},
    disk,
    operations::{Operator, Order, Ready, chain, finding_value},
    operator_socket::Line,
    preflight,
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
    let mut found = Found::default();
    match Door::open(common, config).await {
        Ok(mut door) => {
            found = Found { is_open: true, is_running: door.is_running(), listening: None };
            match door.order(Order::Doctor).await {
                Ok(Value::Array(found)) => findings.extend(found),
                Ok(other) => findings.push(damage(&format!("the answer cannot be read: {other}"))),
                Err(sentence) => findings.push(damage(&sentence)),
            }
            // A server of an earlier version does not know this order.
            let listening = door.order(Order::Addresses).await;
            found.listening = listening.ok().and_then(|told| serde_json::from_value(told).ok());
            if let Err(sentence) = door.close().await {
                findings.push(damage(&format!("it could not be closed: {sentence}")));
            }
        }
        Err(sentence) => {
            findings.push(damage(&sentence));
            findings.extend(file(config).await);
        }
    }
    findings.extend(recordings(config).await);
    findings.extend(transcription(config));
    findings.push(encryption(config, found.is_open));
    findings.extend(machine_findings(config, &found, &Clock::system()));
    Ok(Value::Array(findings))
}

/// What is known of the store and of its server.
#[derive(Default)]
struct Found {
    is_open: bool,
    is_running: bool,
    /// Where the server listens, if it says so.
    listening: Option<Ready>,
}

/// What is damaged in the file of a store that cannot be opened.
async fn file(config: &Config) -> Vec<Value> {
    if app::is_in_use(&config.data) {
        return Vec::new();
    }
    let url = config.store_url();
    let Ok(looked) = tokio::task::spawn_blocking(move || pegcount_store::check_file(&url)).await else {
        return Vec::new();
    };
    match looked {
        Ok(found) => {
            let value = |found: &Finding| finding_value(found.severity, &found.subject, &found.message);
            found.iter().map(value).collect()
        }
        Err(error) => {
            let message = format!("{}: restore a backup, or name another store", chain(&error));
            vec![finding_value(Severity::Damage, "file", &message)]
        }
    }
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
fn encryption(config: &Config, is_open: bool) -> Value {
    let (severity, message) = match config.encryption.keys() {
        Err(sentence) => (Severity::Damage, sentence),
        Ok(None) if !is_open => (
            Severity::Warning,
            "unknown, since the store could not be opened: the configuration names no keys".to_owned(),
        ),
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
fn machine_findings(config: &Config, found: &Found, clock: &Clock) -> Vec<Value> {
    let mut findings = vec![room(config), privacy(config), time(clock)];
    match &found.listening {
        Some(ready) => {
            let sip = ready.sip.map(|address| ("sip.listen", address));
            let listening = [("listen", ready.http), ("live_listen", ready.live)].into_iter().chain(sip);
            findings.extend(listening.map(|(key, address)| answers(config, key, address)));
        }
        None if found.is_running => {
            let listeners = config.listeners().into_iter().filter(|one| one.transport == Transport::Tcp);
            findings.extend(listeners.map(|one| answers(config, &one.key, one.address)));
        }
        None => findings.extend(config.listeners().iter().map(is_free)),
    }
    findings
}

/// Whether the server could listen there.
fn is_free(listener: &Listener) -> Value {
    let Listener { key, address, transport } = listener;
    let subject = format!("port {}", address.port());
    let (severity, message) = match preflight::try_listening(listener) {
        _ if address.port() == 0 => (Severity::Fine, format!("{key} takes a free port")),
        Ok(()) => (Severity::Fine, format!("{key} {address} is free for {transport}")),
        Err(error) => {
            let why = preflight::why_not_listen(&error);
            (
                Severity::Warning,
                format!("{key} {address} cannot be listened on for {transport}: {error}{why}"),
            )
        }
    };
    finding_value(severity, &subject, &message)
}

/// Whether the running server answers where it listens.
fn answers(config: &Config, key: &str, address: SocketAddr) -> Value {
    let configured = config.listeners().into_iter().find(|one| one.key == key).map(|one| one.address);
    let other = match configured.filter(|one| one.port() != 0 && *one != address) {
        Some(configured) => format!(" (the configuration read here says {configured})"),
        None => String::new(),
    };
    // The port that the system chose is that of UDP; TCP has another.
    if key == "sip.listen" && configured.is_some_and(|one| one.port() == 0) {
        let message = format!("{key} takes SIP over UDP at {address}");
        return finding_value(Severity::Fine, &format!("port {}", address.port()), &message);
    }
    let (severity, message) = match TcpStream::connect_timeout(&address::reachable(address), ANSWERS_WITHIN) {
        Ok(_) => (Severity::Fine, format!("{key} {address} answers{other}")),
        Err(error) => (Severity::Warning, format!("nothing answers at {key} {address}: {error}{other}")),
    };
    finding_value(severity, &format!("port {}", address.port()), &message)
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
