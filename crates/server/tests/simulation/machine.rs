//! The program between two crashes.

use std::{
    fs,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
};

use pegcount::{
    clock::Clock,
    intake::{Intake, IntakeParts, TariffsHandle, Thresholds},
    jobs::{Jobs, Nudge, Work},
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    reconcile::{Conclusion, EnqueueConclusion},
    vocabulary::fold_reports,
};
use pegcount_calls::{OrganizationName, Timestamp};
use pegcount_faults::{Contents, Dice, Disk};
use pegcount_store::{Chores, OrganizationNumber, Store, StoreError};
use tokio::{runtime::Runtime, task::yield_now};
use tokio_util::sync::CancellationToken;

use crate::errands::{Asking, Errand, Peer};

const FILE: &str = "pegcount.db";
/// Where the count of commits is noted: the one file that does not go by way of SQLite.
pub const NOTE: &str = "pegcount.db-commits";

/// What outlives the program.
pub struct Surroundings {
    pub millis: Arc<AtomicI64>,
    pub peer: Arc<Peer>,
}

impl Surroundings {
    pub fn clock(&self) -> Clock {
        let millis = Arc::clone(&self.millis);
        Clock::of(move || Timestamp::from_millis(millis.load(Ordering::Relaxed)))
    }
}

/// The program, from its start to a crash. What is first here goes first.
pub struct Machine {
    pub runtime: Runtime,
    pub chores: Chores,
    pub intake: Intake,
    pub jobs: Jobs,
    pub live: Arc<Live>,
    pub store: Arc<dyn Store>,
    pub disk: Arc<Disk>,
    folder: tempfile::TempDir,
}

/// A disk with these files in a folder of its own.
pub fn mount(contents: &Contents) -> (tempfile::TempDir, Arc<Disk>) {
    pegcount_faults::install().expect("SQLite takes the layer");
    let folder = tempfile::tempdir().expect("a folder");
    let disk = Disk::mount(folder.path(), contents).expect("the files can be written");
    (folder, disk)
}

fn open(folder: &tempfile::TempDir, log_pages: u32) -> Result<(Arc<dyn Store>, Chores), StoreError> {
    let path = folder.path().join(FILE);
    let (store, chores) =
        pegcount_store::open_by_hand(path.to_str().expect("a path"), log_pages, fold_reports)?;
    Ok((Arc::from(store), chores))
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime")
}

/// A store with two organizations and no call.
pub fn empty_store() -> &'static Contents {
    static EMPTY: OnceLock<Contents> = OnceLock::new();
    EMPTY.get_or_init(|| {
        let (folder, disk) = mount(&Contents::new());
        let (store, chores) = open(&folder, 1_000).expect("an empty store");
        runtime().block_on(async {
            for number in 1..=2 {
                let id = OrganizationName::new(format!("org_{number}")).expect("a name");
                store
                    .create_organization(&id, Some(OrganizationNumber(number)), None)
                    .await
                    .expect("it is new");
            }
            store.close().await.expect("it can be closed");
        });
        drop((chores, store));
        let mut contents = disk.left(pegcount_faults::Loss::Nothing, &mut Dice::of(0));
        contents.insert(NOTE.to_owned(), fs::read(folder.path().join(NOTE)).expect("a note"));
        contents
    })
}

impl Machine {
    /// Starts the program on this disk.
    ///
    /// # Errors
    /// What keeps it from starting.
    pub fn start(
        (folder, disk): (tempfile::TempDir, Arc<Disk>),
        around: &Surroundings,
        dice: &mut Dice,
    ) -> Result<Self, (StoreError, Arc<Disk>, tempfile::TempDir)> {
        let log_pages = *dice.pick(&[4, 16, 64]);
        let runtime = runtime();
        let opened = open(&folder, log_pages).and_then(|(store, chores)| {
            let open_calls = runtime.block_on(store.open_calls())?;
            Ok((store, chores, open_calls))
        });
        let (store, chores, open_calls) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err((error, disk, folder)),
        };
        let live = Arc::new(Live::of(open_calls));
        let (metrics, clock) = (Arc::new(Metrics::default()), around.clock());
        let nudge = Nudge::default();
        let parts = IntakeParts {
            store: Arc::clone(&store),
            live: Arc::clone(&live),
            names: Names::new(Arc::clone(&store)),
            tariffs: TariffsHandle::default(),
            masks: PerOrganization::default(),
            metrics: Arc::clone(&metrics),
            outside: vec![Box::new(EnqueueConclusion::new(clock.clone())), Box::new(Asking(clock.clone()))],
        };
        // As if every call were a long one, or as it is: simulated calls are short.
        let thresholds = if dice.percent(50) { Thresholds::for_all(true) } else { Thresholds::default() };
        let (intake, writer) = Intake::with_writer(parts, thresholds);
        let errand = Errand { peer: Arc::clone(&around.peer), dice: Mutex::new(Dice::of(dice.throw())) };
        let conclusion = Conclusion::new(Arc::clone(&store), intake.clone(), clock.clone());
        let works: Vec<Arc<dyn Work>> = vec![Arc::new(errand), Arc::new(conclusion)];
        let jobs = Jobs::new(Arc::clone(&store), clock, metrics, works).nudged_by(nudge);
        runtime.block_on(async {
            tokio::spawn(writer);
            jobs.start(CancellationToken::new());
        });
        Ok(Self { runtime, chores, intake, jobs, live, store, disk, folder })
    }

    /// Lets everything that is under way go on for a while.
    pub fn turn(&self, turns: u64) {
        self.runtime.block_on(async {
            for _ in 0..turns {
                yield_now().await;
            }
        });
    }

    /// Lets everything that is under way end.
    pub fn settle(&self) {
        loop {
            let before = self.disk.operations();
            self.turn(24);
            if before == self.disk.operations() {
                break;
            }
        }
    }

    /// What is noted of commits.
    pub fn note(&self) -> Vec<u8> {
        note_in(&self.folder)
    }

    /// Stops at once; the disk is all that is left.
    pub fn kill(self) -> (Arc<Disk>, tempfile::TempDir) {
        self.disk.cut_power();
        let Self { runtime, chores, intake, jobs, live, store, disk, folder } = self;
        drop((runtime, chores, intake, jobs, live, store));
        (disk, folder)
    }
}

pub fn note_in(folder: &tempfile::TempDir) -> Vec<u8> {
    fs::read(folder.path().join(NOTE)).unwrap_or_default()
}
