//! Recordings on their way to an object store that lies in memory and can be made to fail or to wait.

mod sealed;

use std::{
    fmt, fs,
    ops::Range,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, memory::InMemory,
    path::Path,
};
use pegcount_calls::{CallName, EventId, OrganizationName, Timestamp};
use pegcount_sealed::Keys;
use pegcount_store::{Job, JobQuery, JobState, Next, OrganizationNumber, Store};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{Bucket, Busy, Deletion, Desk, Keeping, Object, Shelf, Upload, sweep};
use crate::{
    clock::Clock,
    intake::{CallReference, Incoming, Intake, IntakeParts, TariffsHandle},
    jobs::{Jobs, Nudge, Setback, Work},
    live::Live,
    metrics::Metrics,
    organizations::{Names, PerOrganization},
    vocabulary::{self, Telling, source_name},
};

const ORG: OrganizationNumber = OrganizationNumber(1);
/// 2026-01-01T10:00:00Z.
const TEN: i64 = 1_767_261_600_000;

/// A store in memory, behind a gate that a test opens and closes.
#[derive(Debug)]
struct Gated {
    memory: InMemory,
    /// Every write takes one to begin.
    writes: Semaphore,
    /// Writes that have begun.
    begun: Semaphore,
    is_down: AtomicBool,
    keeps_half: AtomicBool,
}

impl Gated {
    fn check(&self) -> Result<()> {
        match self.is_down.load(Ordering::SeqCst) {
            true => Err(object_store::Error::Generic { store: "test", source: "nobody answers".into() }),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gated")
    }
}

#[async_trait]
impl ObjectStore for Gated {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check()?;
        self.begun.add_permits(1);
        self.writes.acquire().await.unwrap().forget();
        let payload = match self.keeps_half.load(Ordering::SeqCst) {
            true => PutPayload::from_static(b"half"),
            false => payload,
        };
        self.memory.put_opts(key, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        key: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.check()?;
        self.memory.put_multipart_opts(key, options).await
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        self.check()?;
        self.memory.get_opts(key, options).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.check() {
            Ok(()) => self.memory.delete_stream(keys),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.memory.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.memory.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.memory.copy_opts(from, to, options).await
    }
}

/// A ledger that recordings are told to, a folder with them, and the store that they go to.
struct Lab {
    folder: tempfile::TempDir,
    millis: Arc<AtomicI64>,
    gated: Arc<Gated>,
    shelf: Shelf,
    store: Arc<dyn Store>,
    jobs: Arc<Jobs>,
    intake: Intake,
    upload: Upload,
    deletion: Deletion,
}

impl Lab {
    async fn new() -> Self {
        Self::sealed_with(None).await
    }

    async fn sealed_with(keys: Option<Keys>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("calls.db").to_str().unwrap()).unwrap();
        let store: Arc<dyn Store> = store.into();
        store.create_organization(&OrganizationName::new("org_1").unwrap(), Some(ORG), None).await.unwrap();
        let millis = Arc::new(AtomicI64::new(TEN));
        let clock = {
            let millis = Arc::clone(&millis);
            Clock::of(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)))
        };
        let gated = Arc::new(Gated {
            memory: InMemory::new(),
            writes: Semaphore::new(1000),
            begun: Semaphore::new(0),
            is_down: AtomicBool::new(false),
            keeps_half: AtomicBool::new(false),
        });
        let client = Arc::clone(&gated) as Arc<dyn ObjectStore>;
        let bucket = Arc::new(Bucket::new("test://calls".into(), client, None, Path::from("a/b")));
        let shelf = Shelf::at(folder.path().join("recordings")).with_bucket(Some(Arc::clone(&bucket)));
        let shelf = shelf.sealed_with(keys);
        fs::create_dir(folder.path().join("recordings")).unwrap();
        let metrics = Arc::<Metrics>::default();
        let nudge = Nudge::default();
        let jobs = Jobs::new(Arc::clone(&store), clock.clone(), Arc::clone(&metrics), vec![]);
        let jobs = Arc::new(jobs.nudged_by(nudge.clone()));
        let (intake, _) = Intake::start(IntakeParts {
            store: Arc::clone(&store),
            live: Arc::new(Live::of(vec![])),
            names: Names::new(Arc::clone(&store)),
            tariffs: TariffsHandle::default(),
            masks: PerOrganization::default(),
            metrics,
            outside: vec![Box::new(Keeping::new(shelf.clone(), nudge, clock.clone(), Arc::default()))],
        })
        .unwrap();
        let desk = Arc::new(Desk::new(shelf.clone(), bucket, Arc::clone(&store), clock, Busy::default()));
        let (upload, deletion) = (Upload::new(Arc::clone(&desk)), Deletion::new(desk));
        Self { folder, millis, gated, shelf, store, jobs, intake, upload, deletion }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("recordings").join(name)
    }

    async fn tell(&self, call: &str, kind: &str, data: serde_json::Value) {
        let telling = Telling {
            id: EventId::new(format!("{kind}.{}", self.millis.fetch_add(1, Ordering::SeqCst))).unwrap(),
            at: Timestamp::from_millis(TEN),
            at_given: true,
            received_at: Timestamp::from_millis(TEN),
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

    /// A call that is over and was recorded, with these bytes.
    async fn recorded(&self, call: &str, bytes: &[u8]) {
        self.tell(call, "call_completed", json!({})).await;
        let name = format!("1.{call}.mp3");
        fs::write(self.file(&name), bytes).unwrap();
        self.tell(call, "recording_ready", json!({ "object": name })).await;
    }

    async fn opts_out(&self, call: &str) {
        self.tell(call, "call_initiated", json!({ "opt_out_sensitive_data_storage": true })).await;
    }

    async fn erase(&self, call: &str) {
        let head = self.store.head(ORG, call).await.unwrap().unwrap();
        self.intake.erase(head).await.unwrap();
    }

    /// What waits, in words.
    async fn waiting(&self) -> Vec<String> {
        let query = JobQuery { limit: 100, state: Some(JobState::Waiting), ..JobQuery::default() };
        let jobs = self.store.jobs(&query).await.unwrap().jobs;
        let mut words: Vec<String> = jobs.iter().map(|job| format!("{} {}", job.kind, job.subject)).collect();
        words.sort();
        words
    }

    async fn lease(&self, kind: &str) -> Job {
        let now = Timestamp::from_millis(self.millis.load(Ordering::SeqCst));
        let leased = self.store.lease_jobs(&[kind], now, now.plus_millis(3_600_000), 1).await.unwrap();
        leased.into_iter().next().unwrap_or_else(|| unreachable!("no {kind} is due"))
    }

    /// Runs the one job of a kind that is due, as the runner would.
    async fn run(&self, kind: &str) -> std::result::Result<(), Setback> {
        let job = self.lease(kind).await;
        let work: &dyn Work = if kind == self.upload.kind() { &self.upload } else { &self.deletion };
        let done = work.run(&job).await;
        match &done {
            Ok(()) => {
                self.store.job_done(job.id, job.attempts).await.unwrap();
            }
            Err(setback) => {
                let (Setback::Later { reason, .. } | Setback::Never { reason }) = setback;
                let at = Timestamp::from_millis(self.millis.load(Ordering::SeqCst));
                let failure = pegcount_store::JobFailure { at, error: reason.clone() };
                self.store.job_failed(job.id, job.attempts, &failure, Next::At(at)).await.unwrap();
            }
        }
        done
    }

    /// What who listens hears of a recording.
    async fn heard(&self, object: &Object, range: Range<u64>) -> Vec<u8> {
        let recording = self.shelf.find(object).await.unwrap().unwrap();
        let read: Vec<_> = recording.read(range).try_collect().await.unwrap();
        read.concat()
    }

    /// The objects in the store, by name.
    async fn objects(&self) -> Vec<String> {
        let found: Vec<ObjectMeta> = self.gated.memory.list(None).try_collect().await.unwrap();
        let mut names: Vec<String> = found.into_iter().map(|one| one.location.to_string()).collect();
        names.sort();
        names
    }
}

#[tokio::test]
async fn a_recording_goes_to_the_store_and_is_deleted_here_and_doing_it_twice_does_no_harm() {
    let lab = Lab::new().await;
    lab.recorded("c", b"sound").await;
    assert_eq!(lab.waiting().await, ["recording_upload 1.c.mp3"]);
    let object = Object::parse("1.c.mp3").unwrap();
    assert_eq!(lab.heard(&object, 1..4).await, b"oun");
    let job = lab.lease("recording_upload").await;
    for _ in 0..2 {
        lab.upload.run(&job).await.unwrap();
        assert_eq!(lab.objects().await, ["a/b/1.c.mp3"]);
        assert!(!lab.file("1.c.mp3").exists());
    }
    let got = lab.gated.memory.get(&Path::from("a/b/1.c.mp3")).await.unwrap();
    assert_eq!(got.attributes.get(&Attribute::ContentType).unwrap().as_ref(), "audio/mpeg");
    let shown = got.attributes.get(&Attribute::ContentDisposition).unwrap().as_ref();
    assert_eq!(shown, "inline; filename=\"1.c.mp3\"");
    assert_eq!(got.bytes().await.unwrap(), "sound");
    assert_eq!(lab.heard(&object, 1..4).await, b"oun");
}

#[tokio::test]
async fn a_large_recording_goes_up_in_parts_and_comes_back_in_pieces() {
    let lab = Lab::new().await;
    let bytes: Vec<u8> = (0..20_000_003_u32).map(|number| (number % 251) as u8).collect();
    lab.recorded("c", &bytes).await;
    // Not by one write: of those there is none.
    lab.gated.writes.forget_permits(1000);
    lab.run("recording_upload").await.unwrap();
    let object = Object::parse("1.c.mp3").unwrap();
    let recording = lab.shelf.find(&object).await.unwrap().unwrap();
    assert_eq!(recording.length(), bytes.len() as u64);
    let read: Vec<_> = recording.read(0..u64::MAX).try_collect().await.unwrap();
    assert!(read.len() > 10 && read.concat() == bytes);
}

#[tokio::test]
async fn a_recording_stays_here_until_the_store_has_all_of_it() {
    let lab = Lab::new().await;
    lab.recorded("c", b"a whole sound").await;
    lab.gated.is_down.store(true, Ordering::SeqCst);
    let failed = lab.run("recording_upload").await;
    let down = "the store failed: nobody answers";
    assert_eq!(failed, Err(Setback::Later { reason: down.into(), after: None }));
    assert_eq!(lab.shelf.bucket().unwrap().trouble().unwrap().to_string(), down);
    assert!(lab.file("1.c.mp3").exists());
    lab.gated.is_down.store(false, Ordering::SeqCst);
    lab.gated.keeps_half.store(true, Ordering::SeqCst);
    let Err(Setback::Later { reason, .. }) = lab.run("recording_upload").await else { unreachable!() };
    assert_eq!(reason, "the store has 4 bytes of 13");
    assert!(lab.file("1.c.mp3").exists());
    assert_eq!(lab.shelf.bucket().unwrap().trouble(), None);
    lab.gated.keeps_half.store(false, Ordering::SeqCst);
    lab.run("recording_upload").await.unwrap();
    assert!(!lab.file("1.c.mp3").exists());
}

#[tokio::test]
async fn what_is_neither_here_nor_there_is_given_up_and_what_was_never_here_is_not_asked_for() {
    let lab = Lab::new().await;
    lab.recorded("c", b"sound").await;
    fs::remove_file(lab.file("1.c.mp3")).unwrap();
    assert!(matches!(lab.run("recording_upload").await, Err(Setback::Never { .. })));
    fs::write(lab.file("1.other.mp3"), "another's").unwrap();
    for object in ["1.d.mp3", "1.other.mp3", "2.d.mp3", "../calls.db"] {
        lab.tell("d", "recording_ready", json!({ "object": object })).await;
    }
    assert_eq!(lab.waiting().await, ["recording_upload 1.c.mp3"]);
}

#[tokio::test]
async fn what_must_not_be_kept_is_deleted_in_the_store_and_looked_for_once_more() {
    for erased in [true, false] {
        let lab = Lab::new().await;
        lab.recorded("c", b"sound").await;
        lab.recorded("other", b"sound").await;
        lab.run("recording_upload").await.unwrap();
        lab.run("recording_upload").await.unwrap();
        match erased {
            true => lab.erase("c").await,
            false => lab.opts_out("c").await,
        }
        assert_eq!(lab.waiting().await, ["recording_delete c"]);
        lab.gated.is_down.store(true, Ordering::SeqCst);
        assert!(matches!(lab.run("recording_delete").await, Err(Setback::Later { .. })));
        lab.gated.is_down.store(false, Ordering::SeqCst);
        lab.run("recording_delete").await.unwrap();
        assert_eq!(lab.objects().await, ["a/b/1.other.mp3"]);

        // A write that was broken off may come late.
        assert_eq!(lab.waiting().await, ["recording_delete c"]);
        let late = PutPayload::from_static(b"late");
        lab.gated.memory.put(&Path::from("a/b/1.c.wav"), late).await.unwrap();
        lab.millis.fetch_add(600_001, Ordering::SeqCst);
        lab.run("recording_delete").await.unwrap();
        assert_eq!(lab.objects().await, ["a/b/1.other.mp3"]);
        assert!(lab.waiting().await.is_empty());
    }
}

#[tokio::test]
async fn a_recording_that_has_not_gone_yet_is_not_sent_when_it_must_not_be_kept() {
    let lab = Lab::new().await;
    lab.recorded("out", b"sound").await;
    let job = lab.lease("recording_upload").await;
    lab.opts_out("out").await;
    // As if it could not have been deleted.
    fs::write(lab.file("1.out.mp3"), "sound").unwrap();
    lab.upload.run(&job).await.unwrap();
    assert!(lab.objects().await.is_empty() && !lab.file("1.out.mp3").exists());
    assert!(matches!(lab.deletion.run(&Job { subject: "never_was".into(), ..job.clone() }).await, Ok(())));

    lab.recorded("erased", b"sound").await;
    lab.erase("erased").await;
    let left = ["recording_delete erased", "recording_delete never_was", "recording_delete out"];
    assert_eq!(lab.waiting().await, left, "the upload went with the call");
}

#[tokio::test]
async fn an_upload_under_way_never_brings_back_what_was_deleted_meanwhile() {
    for is_dropped in [false, true] {
        let lab = Lab::new().await;
        lab.recorded("c", b"sound").await;
        lab.gated.writes.forget_permits(1000);
        let upload = lab.lease("recording_upload").await;
        let mut under_way = Box::pin(lab.upload.run(&upload));
        assert!(under_way.as_mut().now_or_never().is_none());
        lab.gated.begun.acquire().await.unwrap().forget();
        lab.erase("c").await;
        assert!(!lab.file("1.c.mp3").exists());
        let deletion = lab.lease("recording_delete").await;
        let mut deleting = Box::pin(lab.deletion.run(&deletion));
        assert!(deleting.as_mut().now_or_never().is_none(), "it waits for the upload");
        if is_dropped {
            // It took longer than it may. What it has sent may still be carried out.
            drop(under_way);
            assert!(deleting.as_mut().now_or_never().is_none(), "it still waits");
            lab.gated.writes.add_permits(1);
        } else {
            lab.gated.writes.add_permits(1);
            under_way.await.unwrap();
        }
        tokio::time::timeout(Duration::from_secs(30), deleting).await.unwrap().unwrap();
        assert!(lab.objects().await.is_empty());
    }
}

#[tokio::test]
async fn recordings_from_before_there_was_a_store_go_there_too_but_not_those_that_nobody_was_told_of() {
    let lab = Lab::new().await;
    for call in ["old", "untold"] {
        lab.tell(call, "call_completed", json!({})).await;
    }
    lab.tell("old", "recording_ready", json!({ "object": "1.old.mp3" })).await;
    for name in ["1.old.mp3", "1.untold.mp3", "1.stranger.mp3", "2.old.mp3", "notes.txt"] {
        fs::write(lab.file(name), name).unwrap();
    }
    assert_eq!(lab.waiting().await, [""; 0]);
    let clock = Clock::of(|| Timestamp::from_millis(TEN));
    sweep(lab.shelf.clone(), Arc::clone(&lab.store), Arc::clone(&lab.jobs), clock).await;
    assert_eq!(lab.waiting().await, ["recording_upload 1.old.mp3"]);
}

#[tokio::test]
async fn what_must_be_deleted_is_tried_again_at_the_next_start_when_it_was_given_up() {
    let lab = Lab::new().await;
    lab.recorded("c", b"sound").await;
    lab.erase("c").await;
    let job = lab.lease("recording_delete").await;
    let failure = pegcount_store::JobFailure { at: Timestamp::from_millis(TEN), error: "no".into() };
    lab.store.job_failed(job.id, job.attempts, &failure, Next::Never).await.unwrap();
    assert!(lab.waiting().await.is_empty());
    let clock = Clock::of(|| Timestamp::from_millis(TEN));
    sweep(lab.shelf.clone(), Arc::clone(&lab.store), Arc::clone(&lab.jobs), clock).await;
    assert_eq!(lab.waiting().await, ["recording_delete c"]);
}

fn bucket(config: &str) -> Bucket {
    let config: super::Config = toml::from_str(config).unwrap();
    config.bucket().unwrap().unwrap()
}

#[tokio::test]
async fn a_link_is_signed_without_the_network_and_good_for_an_hour_at_least() {
    let object = Object::parse("1.a:b@host.mp3").unwrap();
    for (config, begin) in [
        (
            "store = \"s3://calls/here\"\n[options]\nregion = \"eu-central-1\"\naccess_key_id = \"key\"\n\
             secret_access_key = \"secret\"",
            "https://s3.eu-central-1.amazonaws.com/calls/here/1.a",
        ),
        (
            "store = \"az://calls/here\"\n[options]\naccount_name = \"acme\"\naccess_key = \"c2VjcmV0\"",
            "https://acme.blob.core.windows.net/calls/here/1.a",
        ),
    ] {
        let bucket = bucket(config);
        let now = Timestamp::from_millis(TEN + 59_999);
        let (url, expires_at) = bucket.link(&object, now).unwrap();
        assert!(url.starts_with(begin) && !url.contains("secret"), "{url}");
        assert_eq!(expires_at.millis(), TEN + 3_660_000);
        assert_eq!(bucket.link(&object, Timestamp::from_millis(TEN)), Some((url, expires_at)));
    }
}

#[tokio::test]
async fn where_nothing_can_be_signed_at_once_or_nothing_is_to_be_there_is_no_link() {
    let object = Object::parse("1.a.mp3").unwrap();
    for config in [
        "store = \"gs://calls\"\n[options]\nskip_signature = true",
        "store = \"az://calls\"\n[options]\naccount_name = \"acme\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
         tenant_id = \"c\"",
        "store = \"s3://calls\"\nlinks = \"own\"\n[options]\naccess_key_id = \"key\"\nsecret_access_key = \"secret\"",
    ] {
        assert_eq!(bucket(config).link(&object, Timestamp::from_millis(TEN)), None, "{config}");
    }
}

#[tokio::test]
async fn a_probe_writes_reads_and_deletes_and_says_what_it_cannot() {
    let lab = Lab::new().await;
    let bucket = lab.shelf.bucket().unwrap();
    bucket.probe().await.unwrap();
    assert!(lab.objects().await.is_empty());
    lab.gated.keeps_half.store(true, Ordering::SeqCst);
    assert!(bucket.probe().await.unwrap_err().contains("other bytes"));
    assert!(lab.objects().await.is_empty());
    lab.gated.is_down.store(true, Ordering::SeqCst);
    let sentence = bucket.probe().await.unwrap_err();
    assert_eq!(sentence, "test://calls cannot be written to: the store failed: nobody answers");
}
