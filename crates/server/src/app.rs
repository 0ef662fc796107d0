//! The only file that knows every room: builds them, wires them, stops them.

mod key_files;
mod presence;

use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use pegcount_calls::SourceName;
use pegcount_lame::Lame;
use pegcount_sealed::Keys;
use pegcount_store::{Losses, Opening, Store, StoreError};
use tokio_util::sync::CancellationToken;

use key_files::{first_key, link_key, private, remove_dead_first_key};

use crate::{
    access::{Ledger, LedgerParts},
    analysis::{self, Analysis},
    audit::Audit,
    auth::Keyring,
    clock::Clock,
    config::Config,
    connections::Descriptors,
    control::{Control, Hangup, Switchboard},
    intake::{Intake, IntakeParts, Outside, TariffsHandle},
    jobs::{Jobs, Nudge, Work},
    links::Links,
    live::Live,
    metrics::Metrics,
    operations::{Operator, chain},
    organizations::{Names, PerOrganization},
    privacy::{self, Erasing, Retention, Scrubbing, Sweeping, SweepingParts},
    reconcile::{self, Conclusion, EnqueueConclusion},
    recordings::{
        self, Busy, Deletion, Desk, Fetch, FetchParts, Fetching, Keeping, LostRecordings, Patience, Shelf,
        Upload,
    },
    sources::{asterisk, freeswitch, native, sip, sip::Sip},
    transcription::{self, Transcription},
    vocabulary::{self, source_name},
};

pub use key_files::{FIRST_KEY_FILE, kept_first_key};
pub use presence::{Presence, owned_by_another, presence};

/// The program without its sockets.
pub struct App {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The way in.
    pub intake: Intake,
    /// The door.
    pub ledger: Arc<Ledger>,
    /// The calls in progress.
    pub live: Arc<Live>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What organizations pay.
    pub tariffs: TariffsHandle,
    /// The SIP gateway; it runs once [`App::start_sip`] was called.
    pub sip: Arc<Sip>,
    /// Where recordings lie.
    pub shelf: Shelf,
    /// What makes transcripts of recordings.
    pub transcription: Arc<transcription::Desk>,
    /// Work that comes after calls; it runs once [`App::start_jobs`] was called.
    pub jobs: Arc<Jobs>,
    /// With what recordings in an object store are worked on, if there is one.
    pub desk: Option<Arc<Desk>>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// How long recordings may take to come.
    pub patience: Patience,
    /// Recordings that calls name and that are gone.
    pub lost: LostRecordings,
    /// How long what is kept of calls.
    pub retention: Arc<PerOrganization<Retention>>,
    /// The time.
    pub clock: Clock,
    /// The key that was made, if this is the first start.
    pub first_key: Option<String>,
    writer: std::thread::JoinHandle<()>,
    _locks: Vec<fs::File>,
}

/// What events come through.
const SOURCES: [&str; 8] = [
    native::NAME,
    sip::NAME,
    freeswitch::SOURCE,
    asterisk::SOURCE,
    recordings::SOURCE,
    transcription::NAME,
    analysis::ANALYSIS,
    reconcile::SOURCE,
];
/// The file whose lock says that somebody writes this data folder.
const LOCK_FILE: &str = "lock";

impl App {
    /// Opens the data folder and starts what works without sockets.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do.
    pub async fn start(config: &Config, clock: Clock) -> Result<Self, String> {
        Self::start_accepting(config, clock, Losses::Refused).await
    }

    /// The same, with a store that may have lost something.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_accepting(config: &Config, clock: Clock, losses: Losses) -> Result<Self, String> {
        let keys = config.encryption.keys()?;
        let (store, locks) = open(config, keys.as_ref(), losses)?;
        let live = Arc::new(Live::of(store.open_calls().await.map_err(|error| cannot_start(&error))?));
        let metrics = Arc::new(Metrics::of_sources(SOURCES));
        let tariffs = TariffsHandle::of(config.tariffs()?);
        let shelf = shelf(config, keys)?;
        let fetching = Arc::new(config.recordings.fetching()?);
        let (nudge, analysing) = (Nudge::default(), Arc::new(config.analysis()?));
        let hearing = config.transcription()?;
        let heard = hearing.map(Option::is_some);
        let names = Names::new(Arc::clone(&store));
        let (intake, writer) = Intake::start(IntakeParts {
            store: Arc::clone(&store),
            live: Arc::clone(&live),
            names: names.clone(),
            tariffs: tariffs.clone(),
            masks: config.masks()?,
            metrics: Arc::clone(&metrics),
            outside: outside(&shelf, nudge.clone(), &clock, &fetching, &analysing, &heard),
        })
        .map_err(|error| format!("the writer cannot be started: {error}"))?;
        let fetch = FetchParts {
            shelf: shelf.clone(),
            store: Arc::clone(&store),
            intake: intake.clone(),
            busy: Busy::default(),
            lame: lame(config, &fetching),
            fetching,
            heard,
            names,
            clock: clock.clone(),
        };
        let transcription = hearing_desk(&fetch, hearing);
        let audit = Audit::start(Arc::clone(&store), clock.clone(), &config.audit);
        let retention = Arc::new(config.retention()?);
        let counted = (Arc::clone(&audit), Arc::clone(&metrics));
        let desk = fetch.desk();
        let works = works(fetch, desk.clone(), &transcription, analysing, Arc::clone(&retention), counted);
        let jobs = Jobs::new(Arc::clone(&store), clock.clone(), Arc::clone(&metrics), works).nudged_by(nudge);
        let jobs = Arc::new(jobs);
        let sip = Arc::new(Sip::new(Arc::clone(&store), millis(&clock)));
        let control = Control::new(controllers(config, &store, &sip), clock.clone());
        let (link_key, is_new_link_key) = link_key(&config.data)?;
        let ledger = Arc::new(Ledger::new(LedgerParts {
            store: Arc::clone(&store),
            intake: intake.clone(),
            live: Arc::clone(&live),
            control: Arc::new(control.with_switchboard(Arc::clone(&sip) as Arc<dyn Switchboard>)),
            keyring: Arc::new(Keyring::default()),
            links: Links::new(link_key),
            shelf: shelf.clone(),
            patience: config.recordings.patience(),
            jobs: Arc::clone(&jobs),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            rate_limit: config.rate_limit(),
        }));
        let first_key = load_keys(&ledger, store.as_ref(), config, &clock, is_new_link_key).await?;
        Ok(Self {
            store,
            intake,
            ledger,
            live,
            metrics,
            tariffs,
            sip,
            shelf,
            transcription,
            jobs,
            desk,
            audit,
            patience: config.recordings.patience(),
            lost: LostRecordings::default(),
            retention,
            clock,
            first_key,
            writer,
            _locks: locks,
        })
    }

    /// Starts the SIP gateway within its part of the descriptors, unless the configuration says `off`, and says where it
    /// listens.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do.
    pub async fn start_sip(
        &self,
        config: &Config,
        descriptors: Descriptors,
    ) -> Result<Option<SocketAddr>, String> {
        match config.sip.settings(&config.data)? {
            Some(mut settings) => {
                // Of whose calls it is the gateway cannot know; what nobody wants goes with the first job.
                settings.gateway.recordings.speech = config.transcription()?.each().any(Option::is_some);
                settings.gateway.recordings.keys = self.shelf.keys().cloned();
                settings.gateway.most_calls = descriptors.sip_calls;
                settings.gateway.guard.bound_connections(descriptors.sip_connections);
                self.sip.start(settings, self.intake.clone()).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Runs the work that comes after calls until told to stop.
    pub fn start_jobs(&self, stop: CancellationToken) {
        recordings::clear(&self.shelf);
        self.shelf.tidy();
        self.transcription.tidy();
        self.jobs.start(stop.clone());
        let old = transcription::sweep(Arc::clone(&self.transcription));
        tokio::spawn(stop.clone().run_until_cancelled_owned(old));
        let (store, retention) = (Arc::clone(&self.store), Arc::clone(&self.retention));
        let rounds = privacy::make_rounds(store, retention, Arc::clone(&self.jobs), self.clock.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(rounds));
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        let counting = recordings::count_missing(store, metrics, self.patience, self.clock.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(counting));
        let (store, metrics) = (Arc::clone(&self.store), Arc::clone(&self.metrics));
        let watching = self.lost.clone().watch(store, self.shelf.clone(), metrics);
        tokio::spawn(stop.clone().run_until_cancelled_owned(watching));
        let keys = Arc::clone(&self.ledger).look_after_keys();
        tokio::spawn(stop.clone().run_until_cancelled_owned(keys));
        let Some(bucket) = self.shelf.bucket() else { return };
        let (shelf, store) = (self.shelf.clone(), Arc::clone(&self.store));
        let sweeping = recordings::sweep(shelf, store, Arc::clone(&self.jobs), self.clock.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(sweeping));
        tokio::spawn(stop.run_until_cancelled_owned(Arc::clone(bucket).watch()));
    }

    /// Carries out what an operator orders.
    pub fn operator(&self) -> Operator {
        Operator {
            store: Arc::clone(&self.store),
            intake: self.intake.clone(),
            ledger: Arc::clone(&self.ledger),
            jobs: Arc::clone(&self.jobs),
            audit: Arc::clone(&self.audit),
            shelf: self.shelf.clone(),
            desk: self.desk.clone(),
            patience: self.patience,
            retention: Arc::clone(&self.retention),
            clock: self.clock.clone(),
            listening: None,
        }
    }

    /// Lets the writer finish what was handed to it, and closes the store.
    ///
    /// # Errors
    /// A sentence; what was acknowledged is on disk all the same.
    pub async fn stop(self) -> Result<(), String> {
        let Self { store, intake, ledger, live, writer, sip, jobs, transcription, audit, .. } = self;
        sip.stop().await;
        jobs.ended().await;
        audit.close().await;
        if let Err(error) = ledger.keep_key_uses().await {
            tracing::warn!(%error, "the last uses of keys since the last five minutes are lost");
        }
        drop((intake, ledger, live, sip, jobs, transcription));
        // The thread ends when nobody holds a handle any more; a connection that is still open may.
        let ended = tokio::task::spawn_blocking(move || writer.join());
        let patience = std::time::Duration::from_secs(5);
        if tokio::time::timeout(patience, ended).await.is_err() {
            tracing::warn!("a connection is still open; the store is closed all the same");
        }
        store.close().await.map_err(|error| chain(&error))
    }
}

/// Reads who may ask. Makes and returns the first key at the first start; removes the file of one that works no longer.
/// Warns of a link key that was made now although there are organizations.
async fn load_keys(
    ledger: &Ledger,
    store: &dyn Store,
    config: &Config,
    clock: &Clock,
    is_new_link_key: bool,
) -> Result<Option<String>, String> {
    let first_key = first_key(store, config, clock).await?;
    if is_new_link_key && first_key.is_none() {
        key_files::warn_of_new_link_key(&config.data);
    }
    ledger.reload().await.map_err(|error| cannot_start(&error))?;
    let keys = ledger.current_keys().await.map_err(|error| cannot_start(&error))?;
    // It may be of the folder's own store while another one is open.
    if config.store_elsewhere().is_none() {
        remove_dead_first_key(&config.data, &keys);
    }
    Ok(first_key)
}

/// Why the store keeps the program from starting.
fn cannot_start(error: &StoreError) -> String {
    let sentence = chain(error);
    match error {
        StoreError::Unreadable { .. } | StoreError::Damaged { .. } => {
            format!("{sentence}; restore a backup: `pegcount doctor` names what is damaged")
        }
        StoreError::Lost(_) => format!("{sentence}. {GO_ON_WITHOUT}"),
        _ => sentence,
    }
}

/// How to go on without what was lost.
const GO_ON_WITHOUT: &str = "To go on without what is lost: `pegcount serve --accept-loss`";

/// Opens the store, and locks it and the data folder.
fn open(
    config: &Config,
    keys: Option<&Keys>,
    losses: Losses,
) -> Result<(Arc<dyn Store>, Vec<fs::File>), String> {
    let mut locks = vec![lock(&config.data)?];
    if let Some(lost) = presence::lost(config) {
        match losses {
            Losses::Refused => return Err(format!("{lost}. {GO_ON_WITHOUT}")),
            Losses::Accepted => tracing::warn!("going on without what was lost, as ordered: {lost}"),
        }
    }
    if let Some(store) = config.store_elsewhere() {
        locks.push(lock_store(&store)?);
    }
    let opening = Opening { keys, losses, fold: Some(vocabulary::fold_reports) };
    let store = pegcount_store::open_as(&config.store_url(), opening);
    Ok((Arc::from(store.map_err(|error| cannot_start(&error))?), locks))
}

/// Where recordings lie.
fn shelf(config: &Config, keys: Option<Keys>) -> Result<Shelf, String> {
    let bucket = config.recordings.bucket()?.map(Arc::new);
    let folder = sip::recordings_folder(&config.data);
    // One that was copied back from elsewhere may let others in.
    if let Ok(found) = fs::metadata(&folder)
        && found.permissions().mode() & 0o077 != 0
        && let Err(error) = fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
    {
        tracing::warn!(%error, "others may look into {}: chmod go= it", folder.display());
    }
    Ok(Shelf::at(folder).with_bucket(bucket).sealed_with(keys))
}

/// Who else wants to know of calls.
fn outside(
    shelf: &Shelf,
    nudge: Nudge,
    clock: &Clock,
    fetching: &Arc<PerOrganization<Fetching>>,
    analysing: &Arc<PerOrganization<Option<analysis::Settings>>>,
    heard: &PerOrganization<bool>,
) -> Vec<Box<dyn Outside>> {
    vec![
        Box::new(Keeping::new(shelf.clone(), nudge, clock.clone(), Arc::clone(fetching))),
        Box::new(transcription::Asking::new(shelf.clone(), heard.clone(), clock.clone())),
        Box::new(analysis::Asking::new(Arc::clone(analysing), clock.clone())),
        Box::new(privacy::Asking::new(clock.clone())),
        Box::new(EnqueueConclusion::new(clock.clone())),
    ]
}

/// Every kind of work that comes after calls.
fn works(
    fetch: FetchParts,
    desk: Option<Arc<Desk>>,
    transcription: &Arc<transcription::Desk>,
    analysing: Arc<PerOrganization<Option<analysis::Settings>>>,
    retention: Arc<PerOrganization<Retention>>,
    (audit, metrics): (Arc<Audit>, Arc<Metrics>),
) -> Vec<Arc<dyn Work>> {
    let FetchParts { store, intake, names, clock, .. } = &fetch;
    let analysis =
        analysis::Desk::new(Arc::clone(store), intake.clone(), analysing, names.clone(), clock.clone());
    let sweeping = SweepingParts {
        store: Arc::clone(store),
        intake: intake.clone(),
        retention,
        names: names.clone(),
        audit,
        metrics,
        clock: clock.clone(),
    };
    let mut works: Vec<Arc<dyn Work>> = vec![
        Arc::new(Sweeping::new(sweeping)),
        Arc::new(Analysis::new(Arc::new(analysis))),
        Arc::new(Scrubbing::new(Arc::clone(store))),
        Arc::new(Erasing::new(Arc::clone(store), intake.clone(), clock.clone())),
        Arc::new(Conclusion::new(Arc::clone(store), intake.clone(), clock.clone())),
    ];
    if let Some(desk) = desk {
        works.push(Arc::new(Upload::new(Arc::clone(&desk))));
        works.push(Arc::new(Deletion::new(desk)));
    }
    works.push(Arc::new(Fetch::new(fetch)));
    works.push(Arc::new(Transcription::new(Arc::clone(transcription))));
    works
}

/// What makes transcripts of recordings.
fn hearing_desk(
    fetch: &FetchParts,
    hearing: PerOrganization<Option<transcription::Settings>>,
) -> Arc<transcription::Desk> {
    let FetchParts { shelf, store, intake, names, clock, .. } = fetch;
    let (store, intake) = (Arc::clone(store), intake.clone());
    Arc::new(transcription::Desk::new(shelf.clone(), store, intake, hearing, names.clone(), clock.clone()))
}

/// What makes MP3 of recordings that are fetched, where any are.
fn lame(config: &Config, fetching: &PerOrganization<Fetching>) -> Option<Lame> {
    let is_needed = fetching.each().any(|one| one.is_enabled);
    let path = &config.sip.recording.lame;
    let path = (!path.as_os_str().is_empty()).then_some(path.as_path());
    match is_needed.then(|| Lame::load(path))? {
        Ok(lame) => Some(lame),
        Err(error) => {
            tracing::warn!(%error, "recordings that are fetched are kept as WAV, twelve times as large as MP3");
            None
        }
    }
}

/// Every source that can hang up.
fn controllers(
    config: &Config,
    store: &Arc<dyn Store>,
    gateway: &Arc<Sip>,
) -> HashMap<SourceName, Arc<dyn Hangup>> {
    let reach = config.control_url_reach();
    let native: Arc<dyn Hangup> = Arc::new(native::hangup::NativeHangup::new(Arc::clone(store), reach));
    let gateway: Arc<dyn Hangup> = Arc::clone(gateway) as Arc<dyn Hangup>;
    HashMap::from([(source_name(native::NAME), native), (source_name(sip::NAME), gateway)])
}

/// The clock as the gateway reads it.
fn millis(clock: &Clock) -> pegcount_gateway::Clock {
    let clock = clock.clone();
    Arc::new(move || u64::try_from(clock.now().millis()).unwrap_or_default())
}

/// Takes the lock of a data folder, which is made if it is missing.
fn lock(data: &Path) -> Result<fs::File, String> {
    let cannot = |error: std::io::Error| {
        format!("the data folder {} cannot be used: {error}{}", data.display(), presence::hint(data, &error))
    };
    // Calls are personal data: nobody but the owner looks into a folder that is made here.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(cannot)?;
    let file =
        private().create(true).truncate(false).write(true).open(data.join(LOCK_FILE)).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(format!(
            "another pegcount uses the data folder {}: stop it, or take another folder with --data",
            data.display()
        )),
        Err(fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Takes the lock of a store that lies outside the data folder: another folder's server may use it.
fn lock_store(store: &Path) -> Result<fs::File, String> {
    let cannot = |error: std::io::Error| format!("the store {} cannot be used: {error}", store.display());
    let mut beside = store.as_os_str().to_owned();
    beside.push(".lock");
    let file = private().create(true).truncate(false).write(true).open(beside).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(format!(
            "another pegcount uses the store {}: stop it, name its folder with --data, or take another store with \
             --store",
            store.display()
        )),
        Err(fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}

/// Whether somebody writes this data folder right now.
pub fn is_in_use(data: &Path) -> bool {
    let locked = fs::File::open(data.join(LOCK_FILE)).map(|file| file.try_lock());
    matches!(locked, Ok(Err(fs::TryLockError::WouldBlock)))
}
