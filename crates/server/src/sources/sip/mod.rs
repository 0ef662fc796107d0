//! IN: the program's own SIP gateway. Its reports become native events; its calls are hung up and placed by orders.
//!
//! The gateway is a crate of its own and knows nothing of organizations, endpoints or the ledger. Here it is told who may
//! call where (`routing`), from memory, and what it reports is put into words (`map`) and told to the intake
//! (`outbox`).

mod address;
mod config;
mod denial;
mod directory;
mod ending;
mod hangup;
mod headers;
mod map;
mod note;
mod outbox;
mod overlap;
mod recovery;
mod registrations;
mod routes;
mod routing;
mod settings;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, RwLock, atomic::Ordering},
    time::Duration,
};

use pegcount_calls::OrganizationName;
use pegcount_gateway::{Clock, Counts, Gateway, StartError, recording::Format};
use pegcount_store::{OrganizationNumber, Store, StoreError};
use tokio::task::JoinHandle;

pub use config::Config;
pub use settings::{Settings, recordings_folder};

use crate::intake::Intake;
use directory::Listing;
use outbox::Outbox;
use routes::Decisions;

/// The name of this source.
pub const NAME: &str = "sip";

/// How often the directory is read again, in case that nobody told of a change.
const READ_AGAIN: Duration = Duration::from_secs(30);
/// How long calls may take to end when the gateway stops.
const GRACE: Duration = Duration::from_secs(5);
/// How long the ledger may take to be told of it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The gateway, and what stands between it and the rest of the program.
pub struct Sip {
    store: Arc<dyn Store>,
    clock: Clock,
    decisions: Arc<Decisions>,
    outbox: Arc<Outbox>,
    /// The organizations that have trunks or users, by number.
    organizations: RwLock<HashMap<OrganizationNumber, OrganizationName>>,
    /// Those that are named in the configuration and do not exist.
    unknown: RwLock<Vec<OrganizationName>>,
    gateway: RwLock<Option<Arc<Gateway>>>,
    tasks: Mutex<Tasks>,
}

#[derive(Default)]
struct Tasks {
    telling: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

/// How the gateway is.
#[derive(Clone, Debug)]
pub enum Standing {
    /// It does not run.
    Off,
    /// It runs.
    Running(Box<Running>),
}

/// How a gateway that runs is.
#[derive(Clone, Debug)]
pub struct Running {
    /// What it counts.
    pub counts: Counts,
    /// Whether LAME is missing, so that recordings are WAV files.
    pub lacks_lame: bool,
    /// Reports that the ledger has not taken yet.
    pub waiting_reports: usize,
    /// Times that the ledger was told again.
    pub retries: u64,
    /// Events that the ledger turned away.
    pub refused: u64,
    /// Whether the ledger takes nothing at the moment.
    pub is_behind: bool,
    /// Organizations that are named in the configuration and do not exist.
    pub unknown_organizations: Vec<OrganizationName>,
}

impl Sip {
    /// What is there before the gateway is, and after.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        Self {
            store,
            clock,
            decisions: Arc::default(),
            outbox: Arc::default(),
            organizations: RwLock::default(),
            unknown: RwLock::default(),
            gateway: RwLock::default(),
            tasks: Mutex::default(),
        }
    }

    /// Starts the gateway, and says where it listens for UDP. Calls that an earlier run left without an end are ended.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do.
    pub async fn start(self: &Arc<Self>, settings: Settings, intake: Intake) -> Result<SocketAddr, String> {
        let Settings { mut gateway, rules } = settings;
        self.decisions.set_rules(rules);
        self.read_directory().await.map_err(|error| format!("sip: the store cannot be read: {error}"))?;
        // Before there are calls of this run.
        let left = recovery::left_live(self.store.as_ref())
            .await
            .map_err(|error| format!("sip: the store cannot be read: {error}"))?;
        let organizations = self.organizations.read().unwrap_or_else(PoisonError::into_inner).clone();
        gateway.registered = registrations::left_registered(
            self.store.as_ref(),
            &self.decisions.rules(),
            &organizations,
            outbox::now(&self.clock),
        )
        .await
        .map_err(|error| format!("sip: the store cannot be read: {error}"))?;
        let routes = Arc::clone(&self.decisions);
        let listen = gateway.udp.first().copied();
        let (gateway, reports) = Gateway::start(gateway, routes, Arc::clone(&self.clock))
            .await
            .map_err(|error| cannot_start(&error, listen))?;
        if gateway.recording_format() == Format::Wav {
            tracing::warn!(
                "LAME is missing, so recordings of SIP calls are WAV files, twelve times as large as MP3: install \
                 libmp3lame0, or name its file with sip.recording.lame"
            );
        }
        let address = gateway.addresses().udp.first().copied();
        let address = address.ok_or("sip: the gateway has no address of its own")?;
        let registrations = gateway.registrations();
        let gateway = Arc::new(gateway);
        *self.gateway.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&gateway));
        let telling = tokio::spawn(outbox::tell_all(
            reports,
            Arc::clone(&self.decisions),
            intake.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.outbox),
        ));
        let recovery = recovery::Recovery {
            store: Arc::clone(&self.store),
            intake,
            outbox: Arc::clone(&self.outbox),
            clock: Arc::clone(&self.clock),
            gateway,
        };
        let others = vec![
            tokio::spawn(recovery.run(left)),
            tokio::spawn(Arc::clone(self).keep_reading()),
            tokio::spawn(Arc::clone(self).keep_registrations(registrations)),
        ];
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Tasks { telling: Some(telling), others };
        Ok(address)
    }

    /// Takes over trunks, users, limits and what is recorded. Calls that go on are not touched.
    ///
    /// # Errors
    /// A sentence; then all stays as it was.
    pub async fn reconfigure(&self, config: &Config) -> Result<(), String> {
        let (rules, peers) = config.rules()?;
        if let Some(gateway) = self.gateway() {
            gateway.set_peers(&peers).map_err(|error| format!("sip: {error}"))?;
        }
        self.decisions.set_rules(rules);
        self.read_directory().await.map_err(|error| format!("sip: the store cannot be read: {error}"))
    }

    /// Ends all calls, and stays until the ledger was told of it.
    pub async fn stop(&self) {
        let gateway = self.gateway.write().unwrap_or_else(PoisonError::into_inner).take();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in &tasks.others {
            task.abort();
        }
        for task in tasks.others {
            let _ = task.await;
        }
        let Some(gateway) = alone(gateway).await else { return };
        let registrations = gateway.registrations();
        let left = gateway.stop(GRACE).await;
        // All of them: what was gathered went with its task.
        let users = registrations.users().into_iter().collect();
        if let Err(error) = self.save_registrations(&registrations, &users).await {
            tracing::warn!(%error, "SIP registrations cannot be kept; phones have to register again");
        }
        if left > 0 {
            tracing::warn!(left, "SIP calls were not over when the gateway stopped");
        }
        if let Some(telling) = tasks.telling
            && tokio::time::timeout(LAST_WORDS, telling).await.is_err()
        {
            tracing::error!("the ledger was not told the end of all SIP calls; the next start ends them");
        }
    }

    /// How it is.
    pub fn standing(&self) -> Standing {
        let Some(gateway) = self.gateway() else { return Standing::Off };
        let outbox = &self.outbox;
        Standing::Running(Box::new(Running {
            counts: gateway.counts(),
            lacks_lame: gateway.recording_format() == Format::Wav,
            waiting_reports: outbox.waiting.load(Ordering::Relaxed),
            retries: outbox.retries.load(Ordering::Relaxed),
            refused: outbox.refused.load(Ordering::Relaxed),
            is_behind: outbox.is_behind.load(Ordering::Relaxed),
            unknown_organizations: self.unknown.read().unwrap_or_else(PoisonError::into_inner).clone(),
        }))
    }

    fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn organization(&self, number: OrganizationNumber) -> Option<OrganizationName> {
        self.organizations.read().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()
    }

    /// Reads what the organizations have that the configuration names.
    async fn read_directory(&self) -> Result<(), StoreError> {
        let rules = self.decisions.rules();
        let trunks = rules.trunks.iter().map(|trunk| &trunk.organization);
        let mut wanted: Vec<&OrganizationName> =
            trunks.chain(rules.users.values().map(|user| &user.organization)).collect();
        wanted.sort();
        wanted.dedup();
        let known = self.store.organizations().await?;
        let mut numbers = HashMap::new();
        let mut unknown = Vec::new();
        for name in wanted {
            match known.iter().find(|one| one.id == *name) {
                Some(one) => {
                    let listing = Listing::read(self.store.as_ref(), one.number).await?;
                    self.decisions.directory.put(name.clone(), listing);
                    numbers.insert(one.number, name.clone());
                }
                None => unknown.push(name.clone()),
            }
        }
        self.decisions.directory.retain(|name| numbers.values().any(|known| known == name));
        *self.organizations.write().unwrap_or_else(PoisonError::into_inner) = numbers;
        let mut before = self.unknown.write().unwrap_or_else(PoisonError::into_inner);
        for name in unknown.iter().filter(|name| !before.contains(name)) {
            tracing::warn!(
                "the configuration gives SIP trunks or users to the organization {name}, which does not exist: make it \
                 with `pegcount organizations create --id {name}`"
            );
        }
        *before = unknown;
        Ok(())
    }

    /// Reads one organization anew.
    async fn read_listing(&self, number: OrganizationNumber) -> Result<(), StoreError> {
        let Some(name) = self.organization(number) else { return Ok(()) };
        let listing = Listing::read(self.store.as_ref(), number).await?;
        self.decisions.directory.put(name, listing);
        Ok(())
    }

    async fn keep_reading(self: Arc<Self>) {
        loop {
            tokio::time::sleep(READ_AGAIN).await;
            if let Err(error) = self.read_directory().await {
                tracing::warn!(%error, "phone numbers and endpoints cannot be read; SIP calls go by what was read before");
            }
        }
    }
}

/// What keeps the gateway from starting, and which setting helps.
fn cannot_start(error: &StartError, listen: Option<SocketAddr>) -> String {
    match error {
        StartError::Listen { transport: "TLS", .. } => {
            format!("sip.tls.listen: {error}; choose another address")
        }
        StartError::Listen { address, .. } if Some(*address) == listen => format!(
            "sip.listen: {error}; choose another address with --sip ADDR, or start without SIP with --sip off"
        ),
        StartError::Listen { .. } => format!("sip.also_listen: {error}; choose another address"),
        _ => format!("sip: {error}"),
    }
}

/// The gateway, once nobody else holds it: an order to hang up may, for a second.
async fn alone(gateway: Option<Arc<Gateway>>) -> Option<Gateway> {
    let mut gateway = gateway?;
    loop {
        match Arc::try_unwrap(gateway) {
            Ok(gateway) => return Some(gateway),
            Err(shared) => gateway = shared,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
