//! The runner, with made-up work and a clock that is set by hand.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use pegcount_calls::{Document, Timestamp};
use pegcount_store::{Job, JobQuery, JobState, NewJob, OrganizationNumber, Store};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use super::{MOST_ATTEMPTS, Setback, Work, runner::Runner};
use crate::{
    clock::Clock,
    metrics::{JobKind, Metrics},
};

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
/// When every test begins.
const BEGIN: i64 = 1_000_000;
const HOUR: i64 = 3_600_000;

type Run = Box<dyn Fn(Job) -> BoxFuture<'static, Result<(), Setback>> + Send + Sync>;

/// Work of a test's own.
struct Made {
    kind: &'static str,
    limit: Duration,
    at_once: usize,
    run: Run,
}

#[async_trait]
impl Work for Made {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn limit(&self) -> Duration {
        self.limit
    }

    fn at_once(&self) -> usize {
        self.at_once
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        (self.run)(job.clone()).await
    }
}

fn work<F>(kind: &'static str, run: impl Fn(Job) -> F + Send + Sync + 'static) -> Made
where
    F: Future<Output = Result<(), Setback>> + Send + 'static,
{
    Made { kind, limit: PATIENCE, at_once: 2, run: Box::new(move |job| Box::pin(run(job))) }
}

fn later(reason: &str) -> Result<(), Setback> {
    Err(Setback::Later { reason: reason.to_owned(), after: None })
}

/// A store, a clock, and a runner that is stopped with it.
struct Lab {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
    millis: Arc<AtomicI64>,
    metrics: Arc<Metrics>,
    nudged: Arc<Notify>,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = pegcount_store::open(folder.path().join("calls.db").to_str().unwrap()).unwrap();
        Self {
            _folder: folder,
            store: store.into(),
            millis: Arc::new(AtomicI64::new(BEGIN)),
            metrics: Arc::default(),
            nudged: Arc::default(),
        }
    }

    fn now(&self) -> i64 {
        self.millis.load(Ordering::SeqCst)
    }

    fn runner(&self, works: impl IntoIterator<Item = Made>) -> Runner {
        let works: Vec<Arc<dyn Work>> =
            works.into_iter().map(|work| Arc::new(work) as Arc<dyn Work>).collect();
        let millis = Arc::clone(&self.millis);
        let clock = Clock::of(move || Timestamp::from_millis(millis.load(Ordering::SeqCst)));
        let nudged = Arc::clone(&self.nudged);
        Runner::new(Arc::clone(&self.store), clock, Arc::clone(&self.metrics), &works, nudged)
    }

    /// Runs these kinds of work until the token is dropped or told.
    fn start(&self, works: impl IntoIterator<Item = Made>) -> tokio_util::sync::DropGuard {
        let stop = CancellationToken::new();
        tokio::spawn(self.runner(works).run(stop.clone()));
        stop.drop_guard()
    }

    /// Asks for a job that is due now.
    async fn ask(&self, kind: &str, subject: &str) {
        let now = Timestamp::from_millis(self.now());
        let job = NewJob {
            organization: OrganizationNumber(1),
            kind: kind.to_owned(),
            subject: subject.to_owned(),
            call: None,
            data: Document::from_json_text("{}"),
            created_at: now,
            due: now,
        };
        let mut transaction = self.store.begin().await.unwrap();
        transaction.enqueue(&job).await.unwrap();
        transaction.commit().await.unwrap();
        self.nudged.notify_one();
    }

    fn pass(&self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::SeqCst);
        self.nudged.notify_one();
    }

    async fn jobs(&self) -> Vec<Job> {
        self.store.jobs(&JobQuery { limit: 1_000, ..JobQuery::default() }).await.unwrap().jobs
    }

    /// The job about this, once it stands so after so many attempts.
    async fn stands(&self, subject: &str, state: JobState, attempts: u32) -> Job {
        let found = Mutex::new(None);
        until(subject, async || {
            let jobs = self.jobs().await;
            let job = jobs.into_iter().find(|job| job.subject == subject);
            let is_so = job.as_ref().is_some_and(|job| (job.state, job.attempts) == (state, attempts));
            *found.lock().unwrap() = job;
            is_so
        })
        .await;
        found.into_inner().unwrap().unwrap()
    }

    async fn is_done(&self, subject: &str) {
        until(subject, async || self.jobs().await.iter().all(|job| job.subject != subject)).await;
    }

    fn counted(&self, kind: &str) -> (u64, u64) {
        let kind = JobKind::of(kind);
        let jobs = &self.metrics.jobs;
        (jobs.done.get_or_create(&kind).get(), jobs.failed.get_or_create(&kind).get())
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn work_that_fails_twice_is_done_the_third_time_each_time_when_it_is_due() {
    let lab = Lab::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let _running = lab.start([work("upload", move |job| {
        let third = job.subject == "other" || counted.fetch_add(1, Ordering::SeqCst) == 2;
        async move { if third { Ok(()) } else { later("the other side is asleep") } }
    })]);
    lab.ask("upload", "c").await;
    let failed = lab.stands("c", JobState::Waiting, 1).await;
    let wait = failed.due.millis() - BEGIN;
    assert!((8_000..=12_000).contains(&wait), "{wait}");
    let failure = failed.failure.unwrap();
    assert_eq!((failure.at.millis(), failure.error.as_str()), (BEGIN, "the other side is asleep"));

    // Somebody else's nudge is no reason to hurry.
    lab.ask("upload", "other").await;
    lab.is_done("other").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);

    lab.pass(12_000);
    let failed = lab.stands("c", JobState::Waiting, 2).await;
    let wait = failed.due.millis() - lab.now();
    assert!((48_000..=72_000).contains(&wait), "{wait}");
    lab.pass(72_000);
    lab.is_done("c").await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    until("the counts", async || lab.counted("upload") == (2, 2)).await;
}

#[tokio::test]
async fn work_that_can_never_be_done_is_dead_at_once_and_runs_when_somebody_says_so() {
    let lab = Lab::new();
    let is_mended = Arc::new(AtomicUsize::new(0));
    let mended = Arc::clone(&is_mended);
    let _running =
        lab.start([work("upload", move |_| {
            let mended = mended.load(Ordering::SeqCst) > 0;
            async move {
                if mended { Ok(()) } else { Err(Setback::Never { reason: "there is no such file".into() }) }
            }
        })]);
    lab.ask("upload", "c").await;
    let dead = lab.stands("c", JobState::Dead, 1).await;
    assert_eq!(dead.failure.unwrap().error, "there is no such file");
    is_mended.store(1, Ordering::SeqCst);
    lab.pass(1_000 * HOUR);
    lab.ask("upload", "other").await;
    lab.is_done("other").await;
    lab.stands("c", JobState::Dead, 1).await;

    lab.store.rerun_job(None, dead.id, Timestamp::from_millis(lab.now())).await.unwrap();
    lab.nudged.notify_one();
    lab.is_done("c").await;
}

#[tokio::test]
async fn nothing_is_tried_for_ever() {
    let lab = Lab::new();
    let _running = lab.start([work("upload", |_| async { later("no") })]);
    lab.ask("upload", "c").await;
    for attempt in 1..MOST_ATTEMPTS {
        lab.stands("c", JobState::Waiting, attempt).await;
        lab.pass(15 * HOUR);
    }
    let dead = lab.stands("c", JobState::Dead, MOST_ATTEMPTS).await;
    assert_eq!(dead.failure.unwrap().error, "no");
    until("the count", async || lab.counted("upload") == (0, u64::from(MOST_ATTEMPTS))).await;
}

#[tokio::test]
async fn who_says_when_to_come_again_is_believed() {
    let lab = Lab::new();
    let _running = lab.start([work("upload", |_| async {
        Err(Setback::Later { reason: "busy".into(), after: Some(Duration::from_secs(120)) })
    })]);
    lab.ask("upload", "c").await;
    let failed = lab.stands("c", JobState::Waiting, 1).await;
    assert_eq!(failed.due.millis(), BEGIN + 120_000);
}

#[tokio::test]
async fn work_that_panics_has_failed_and_takes_nothing_along() {
    let lab = Lab::new();
    let _running = lab.start([work("upload", |job| async move {
        if job.subject == "bad" { panic!("not of this world") } else { Ok(()) }
    })]);
    lab.ask("upload", "bad").await;
    let failed = lab.stands("bad", JobState::Waiting, 1).await;
    let error = failed.failure.unwrap().error;
    assert!(error.contains("a mistake in the program") && !error.contains("world"), "{error}");
    for subject in ["a", "b", "c"] {
        lab.ask("upload", subject).await;
        lab.is_done(subject).await;
    }
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn work_that_takes_longer_than_it_may_is_dropped_and_has_failed() {
    let lab = Lab::new();
    let dropped = Arc::new(AtomicUsize::new(0));
    let held = Arc::clone(&dropped);
    let slow = work("upload", move |_| {
        let held = Dropped(Arc::clone(&held));
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    let _running = lab.start([Made { limit: Duration::from_millis(5), ..slow }]);
    lab.ask("upload", "c").await;
    let failed = lab.stands("c", JobState::Waiting, 1).await;
    assert_eq!(failed.failure.unwrap().error, "it took longer than it may (5ms)");
    until("the drop", async || dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_slow_kind_keeps_to_its_bound_and_no_other_kind_waiting() {
    let lab = Lab::new();
    let gate = Arc::new(Semaphore::new(0));
    let [now, most] = [0, 0].map(|count| Arc::new(AtomicUsize::new(count)));
    let counts = (Arc::clone(&gate), Arc::clone(&now), Arc::clone(&most));
    let slow = work("slow", move |_| {
        let (gate, now, most) = counts.clone();
        async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.acquire().await.unwrap().forget();
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(())
        }
    });
    for number in 0..7 {
        lab.ask("slow", &format!("slow_{number}")).await;
    }
    let _running = lab.start([slow, work("quick", |_| async { Ok(()) })]);
    until("two slow ones", async || now.load(Ordering::SeqCst) == 2).await;
    for number in 0..20 {
        lab.ask("quick", &format!("quick_{number}")).await;
    }
    until("the quick ones", async || lab.counted("quick").0 == 20).await;
    let running = lab.jobs().await.iter().filter(|job| job.state == JobState::Running).count();
    assert_eq!((running, now.load(Ordering::SeqCst)), (2, 2), "no more are leased than may run");
    gate.add_permits(7);
    until("the slow ones", async || lab.counted("slow").0 == 7).await;
    assert_eq!(most.load(Ordering::SeqCst), 2);
    assert!(lab.jobs().await.is_empty());
}

#[tokio::test]
async fn a_clock_that_is_set_far_ahead_has_nothing_run_twice_at_a_time() {
    let lab = Lab::new();
    let gate = Arc::new(Semaphore::new(0));
    let runs = Arc::new(AtomicUsize::new(0));
    let counts = (Arc::clone(&gate), Arc::clone(&runs));
    let _running = lab.start([work("upload", move |job| {
        let (gate, runs) = counts.clone();
        async move {
            if job.subject == "c" {
                runs.fetch_add(1, Ordering::SeqCst);
                gate.acquire().await.unwrap().forget();
            }
            Ok(())
        }
    })]);
    lab.ask("upload", "c").await;
    lab.stands("c", JobState::Running, 1).await;
    lab.pass(100 * HOUR);
    lab.stands("c", JobState::Running, 2).await;
    lab.ask("upload", "other").await;
    lab.is_done("other").await;
    gate.add_permits(1);
    lab.is_done("c").await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_stop_takes_no_more_waits_for_what_is_under_way_and_gives_the_rest_back() {
    let lab = Lab::new();
    let gate = Arc::new(Semaphore::new(0));
    let passed = Arc::clone(&gate);
    let upload = work("upload", move |job| {
        let gate = Arc::clone(&passed);
        async move {
            match job.subject.as_str() {
                "stuck" => std::future::pending().await,
                _ => {
                    gate.acquire().await.unwrap().forget();
                    Ok(())
                }
            }
        }
    });
    for subject in ["ends", "stuck", "waits"] {
        lab.ask("upload", subject).await;
    }
    let before = lab.jobs().await;
    let stop = CancellationToken::new();
    let mut runner = lab.runner([upload]);
    runner.grace = Duration::from_millis(200);
    let task = tokio::spawn(runner.run(stop.clone()));
    lab.stands("ends", JobState::Running, 1).await;
    lab.stands("stuck", JobState::Running, 1).await;
    stop.cancel();
    lab.nudged.notify_one();
    gate.add_permits(10);
    tokio::time::timeout(PATIENCE, task).await.unwrap().unwrap();
    // As if they had never been begun.
    let left: Vec<Job> = before.into_iter().filter(|job| job.subject != "ends").collect();
    assert_eq!(lab.jobs().await, left);
    assert_eq!(lab.counted("upload"), (1, 0));
}

#[tokio::test]
async fn jobs_of_a_kind_that_nobody_knows_stay_as_they_are() {
    let lab = Lab::new();
    lab.ask("of_another_version", "c").await;
    let before = lab.jobs().await;
    let _running = lab.start([work("upload", |_| async { Ok(()) })]);
    lab.ask("upload", "known").await;
    lab.is_done("known").await;
    assert_eq!(lab.jobs().await, before);
}

#[tokio::test]
async fn a_runner_that_was_not_told_looks_by_itself_when_the_next_job_is_due() {
    let lab = Lab::new();
    let begun = Instant::now();
    let clock = Clock::of(move || Timestamp::from_millis(begun.elapsed().as_millis() as i64));
    let done: Arc<dyn Work> = Arc::new(work("upload", |_| async { Ok(()) }));
    lab.millis.store(300, Ordering::SeqCst);
    lab.ask("upload", "c").await;
    let runner =
        Runner::new(Arc::clone(&lab.store), clock, Arc::clone(&lab.metrics), &[done], Arc::default());
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(runner.run(stop));
    lab.is_done("c").await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
}
