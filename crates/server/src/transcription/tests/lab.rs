//! A ledger that recordings are told to, and a folder with their sound.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use pegcount_calls::{Call, CallName, EventId, OrganizationName, Timestamp};
use pegcount_store::{Job, OrganizationNumber, Report, Store};
use serde_json::{Value, json};

use crate::{
    clock::Clock,
    intake::{CallReference, Incoming, Intake, IntakeParts, TariffsHandle},
    jobs::{Nudge, Setback, Work},
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    recordings::{Fetching, Keeping, Shelf},
    transcription::{Asking, Config, Desk, NAME, Transcription},
    vocabulary::{self, Telling, source_name},
};

const ORG: OrganizationNumber = OrganizationNumber(1);
/// 2026-01-01T10:00:00Z: every call is answered then; its recording begins half a second later.
pub(super) const TEN: i64 = 1_767_261_600_000;

pub(super) struct Lab {
    folder: tempfile::TempDir,
    millis: Arc<AtomicI64>,
    clock: Clock,
    shelf: Shelf,
    store: Arc<dyn Store>,
    intake: Intake,
    pub(super) desk: Arc<Desk>,
}

impl Lab {
    /// A ledger whose organizations all want transcripts when a recording is told, whoever hears them later.
    pub(super) async fn new() -> Self {
        Self::wanted_by("default").await
    }

    /// A ledger of which one organization wants transcripts.
    pub(super) async fn wanted_by(organization: &str) -> Self {
        let wants = [(organization.to_owned(), true)].into();
        let wants = PerOrganization::read("transcription", &wants, |wants| Ok(*wants)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("calls.db").to_str().unwrap()).unwrap();
        let store: Arc<dyn Store> = store.into();
        for number in [1, 2] {
            let name = OrganizationName::new(format!("org_{number}")).unwrap();
            store.create_organization(&name, Some(OrganizationNumber(number)), None).await.unwrap();
        }
        let millis = Arc::new(AtomicI64::new(TEN + 60_000));
        let clock = {
            let millis = Arc::clone(&millis);
            Clock::of(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)))
        };
        let shelf = Shelf::at(folder.path().join("recordings"));
        fs::create_dir_all(folder.path().join("recordings/speech")).unwrap();
        let metrics = Arc::<Metrics>::default();
        let keeping = Keeping::new(
            shelf.clone(),
            Nudge::default(),
            clock.clone(),
            Arc::new(PerOrganization::same(Fetching::default())),
        );
        let asking = Asking::new(shelf.clone(), wants, clock.clone());
        let (intake, _) = Intake::start(IntakeParts {
            store: Arc::clone(&store),
            live: Arc::new(Live::of(vec![])),
            names: Names::new(Arc::clone(&store)),
            tariffs: TariffsHandle::default(),
            masks: PerOrganization::default(),
            metrics,
            outside: vec![Box::new(keeping), Box::new(asking)],
        })
        .unwrap();
        let none = PerOrganization::same(None);
        let desk = Arc::new(Desk::new(
            shelf.clone(),
            Arc::clone(&store),
            intake.clone(),
            none,
            Names::new(Arc::clone(&store)),
            clock.clone(),
        ));
        Self { folder, millis, clock, shelf, store, intake, desk }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn sound(&self, call: &str) -> PathBuf {
        self.path(&format!("recordings/speech/1.{call}.wav"))
    }

    /// From now on the calls of one organization are heard by this command, and those of no other.
    pub(super) async fn hears(&mut self, organization: &str, command: &[String]) {
        let config: Config = toml::from_str(&format!(
            "provider = \"command\"\nformat = \"pocketsphinx\"\ncommand = {}",
            serde_json::to_string(command).unwrap()
        ))
        .unwrap();
        let configs = [(organization.to_owned(), config)].into();
        let settings = PerOrganization::read("transcription", &configs, Config::settings).unwrap();
        let (store, intake) = (Arc::clone(&self.store), self.intake.clone());
        let names = Names::new(Arc::clone(&store));
        let desk = Desk::new(self.shelf.clone(), store, intake, settings, names, self.clock.clone());
        self.desk = Arc::new(desk);
    }

    pub(super) async fn tell(&self, call: &str, kind: &str, after: i64, data: Value) {
        let telling = Telling {
            id: EventId::new(format!("{kind}.{}", self.millis.fetch_add(1, Ordering::SeqCst))).unwrap(),
            at: Timestamp::from_millis(TEN + after),
            at_given: true,
            received_at: self.clock.now(),
            source: source_name("native"),
            kind: kind.to_owned(),
            data: data.to_string(),
        };
        let incoming = Incoming {
            organization: ORG,
            source: source_name("native"),
            call: CallReference::Named(CallName::new(call).unwrap()),
            told: vec![vocabulary::tell(telling).unwrap()],
        };
        self.intake.accept(vec![incoming]).await.unwrap();
    }

    /// A call that is over and was recorded, with this sound.
    pub(super) async fn recorded(&self, call: &str, sound: &[u8]) {
        self.tell(call, "call_answered", 0, json!({})).await;
        self.tell(call, "call_completed", 30_000, json!({})).await;
        fs::write(self.sound(call), sound).unwrap();
        self.recorded_again(call).await;
    }

    pub(super) async fn recorded_again(&self, call: &str) {
        let data = json!({ "object": format!("1.{call}.mp3"), "begins_at": TEN + 500 });
        self.tell(call, "recording_ready", 31_000, data).await;
    }

    pub(super) async fn erase(&self, call: &str) {
        let head = self.store.head(ORG, call).await.unwrap().unwrap();
        self.intake.erase(head).await.unwrap();
    }

    /// The job that is due after ten seconds, and no sooner.
    pub(super) async fn lease(&self) -> Job {
        let lease = async |now: Timestamp| {
            self.store.lease_jobs(&["transcription"], now, now.plus_millis(3_600_000), 1).await.unwrap()
        };
        assert!(lease(self.clock.now().plus_millis(-100)).await.is_empty(), "it waits a while");
        self.millis.fetch_add(10_000, Ordering::SeqCst);
        let leased = lease(self.clock.now()).await;
        leased.into_iter().next().unwrap_or_else(|| unreachable!("no job is due"))
    }

    pub(super) async fn run_job(&self, job: &Job) -> Result<(), Setback> {
        Transcription::new(Arc::clone(&self.desk)).run(job).await
    }

    /// Runs the one job there is; then it is gone.
    pub(super) async fn run(&self) -> Result<(), Setback> {
        let job = self.lease().await;
        let done = self.run_job(&job).await;
        assert!(self.store.job_done(job.id, job.attempts).await.unwrap());
        done
    }

    pub(super) async fn call(&self, call: &str) -> Call {
        self.store.call(ORG, call).await.unwrap().unwrap().call
    }

    /// What transcription told of a call.
    pub(super) async fn told(&self, call: &str) -> Vec<Report> {
        let head = self.store.head(ORG, call).await.unwrap().unwrap();
        let reports = self.store.reports(&[head.key]).await.unwrap().remove(0);
        reports.into_iter().filter(|report| report.source.as_str() == NAME).collect()
    }

    pub(super) async fn turns(&self, call: &str) -> Vec<Value> {
        let told = self.told(call).await;
        let turns = told.iter().filter(|report| report.kind == "transcript_turn");
        turns.map(|report| serde_json::from_str(report.data.as_json_text()).unwrap()).collect()
    }
}

/// Samples of speech, as far as loudness goes.
pub(super) fn loud(count: usize) -> Vec<i16> {
    (0..count).map(|at| if at % 40 < 20 { 3_000 } else { -3_000 }).collect()
}

/// Samples of a line that is not quite silent.
pub(super) fn quiet(count: usize) -> Vec<i16> {
    (0..count).map(|at| if at % 40 < 20 { 60 } else { -60 }).collect()
}

/// A command that is a shell script; the sound is its `$1`.
pub(super) fn script(lab: &Lab, text: &str) -> Vec<String> {
    fs::write(lab.path("hear.sh"), text).unwrap();
    vec!["sh".into(), lab.path("hear.sh").display().to_string(), "{wav}".into()]
}

/// What the script noted.
pub(super) fn wrote(lab: &Lab) -> String {
    fs::read_to_string(lab.path("notes")).unwrap_or_default()
}
