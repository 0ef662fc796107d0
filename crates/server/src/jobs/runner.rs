//! The one task that leases jobs, has each run in a task of its own, and tells the store how it went.
//!
//! What cannot be told to the store is kept here and told later; until then nothing is leased, which would fail as well.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use pegcount_calls::Timestamp;
use pegcount_store::{Job, JobFailure, JobId, Next, Store, StoreError};
use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    MOST_ATTEMPTS, Setback, Work,
    pace::{wait_after, wait_as_told},
};
use crate::{
    clock::Clock,
    metrics::{JobKind, Metrics},
};

/// How long the runner sleeps at most: the machine's clock may have been set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long it waits before it asks a store again that could not be used.
const STORE_PATIENCE: Duration = Duration::from_secs(1);
/// How much longer a lease lasts than the run may take.
const SLACK: Duration = Duration::from_secs(60);
/// How long runs under way may go on after the order to stop (contract, cli.md: what requests may).
const GRACE: Duration = Duration::from_secs(10);
/// Longest reason of a failure that is kept, in bytes.
const LONGEST_REASON: usize = 1000;

/// How a run ended.
type Ended = Result<(), Setback>;

/// A kind of work, and how much of it is under way.
struct Kind {
    work: Arc<dyn Work>,
    under_way: usize,
}

impl Kind {
    fn free(&self) -> usize {
        self.work.at_once().saturating_sub(self.under_way)
    }
}

/// A job that was leased and whose end the store does not know yet.
struct UnderWay {
    /// The place of its kind.
    kind: usize,
    attempt: u32,
}

/// The state of the one task.
pub(super) struct Runner {
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<Metrics>,
    kinds: Vec<Kind>,
    nudged: Arc<Notify>,
    under_way: HashMap<JobId, UnderWay>,
    runs: JoinSet<(JobId, Ended)>,
    /// What the store is still to be told, in the order in which it happened.
    untold: VecDeque<(JobId, Timestamp, Ended)>,
    /// Whether the leases of the process before were ended.
    has_begun: bool,
    /// Whether the store could not be used the last time.
    is_held_up: bool,
    /// How long runs under way may go on after the order to stop.
    pub(super) grace: Duration,
}

impl Runner {
    pub(super) fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
        works: &[Arc<dyn Work>],
        nudged: Arc<Notify>,
    ) -> Self {
        let kinds = works.iter().map(|work| Kind { work: Arc::clone(work), under_way: 0 }).collect();
        for work in works {
            metrics.jobs.show_kind(work.kind());
        }
        Self {
            store,
            clock,
            metrics,
            kinds,
            nudged,
            under_way: HashMap::new(),
            runs: JoinSet::new(),
            untold: VecDeque::new(),
            has_begun: false,
            is_held_up: false,
            grace: GRACE,
        }
    }

    /// Runs what is due until told to stop.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let sleep = self.look().await;
            tokio::select! {
                // In this order: nothing here is left to chance, and each is looked at in every round.
                biased;
                () = stop.cancelled() => {}
                Some(ended) = self.runs.join_next() => self.note(ended),
                () = self.nudged.notified() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
        self.end().await;
    }

    /// Does all there is to do now; for how long there is nothing more, unless something happens.
    async fn look(&mut self) -> Duration {
        match self.try_look().await {
            Ok(sleep) => {
                if std::mem::take(&mut self.is_held_up) {
                    tracing::info!("jobs go on");
                }
                sleep
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_held_up, true) {
                    tracing::warn!(%error, "jobs wait until the store can be used");
                }
                STORE_PATIENCE
            }
        }
    }

    async fn try_look(&mut self) -> Result<Duration, StoreError> {
        if !self.has_begun {
            self.begin().await?;
            self.has_begun = true;
        }
        self.tell().await?;
        let mut sleep = LONGEST_SLEEP;
        for place in 0..self.kinds.len() {
            if let Some(wait) = self.fill(place).await? {
                sleep = sleep.min(wait);
            }
        }
        Ok(sleep)
    }

    /// Takes over from the process before, which left its leases.
    async fn begin(&self) -> Result<(), StoreError> {
        end_leases(self.store.as_ref(), &self.clock).await?;
        for count in self.store.job_counts().await? {
            if self.kinds.iter().all(|kind| kind.work.kind() != count.kind) {
                let (kind, state) = (count.kind, count.state.name());
                tracing::warn!(
                    kind,
                    state,
                    jobs = count.count,
                    "nothing here runs jobs of this kind; they stay"
                );
            }
        }
        Ok(())
    }

    /// Has as much of a kind run as is due and may; how long until the next is due, if there is room for it.
    async fn fill(&mut self, place: usize) -> Result<Option<Duration>, StoreError> {
        loop {
            let Some(kind) = self.kinds.get(place) else { return Ok(None) };
            let (work, free) = (Arc::clone(&kind.work), kind.free());
            if free == 0 {
                // The end of one of them has it looked at again.
                return Ok(None);
            }
            // Asked first, since a lease takes the writer.
            let Some(due) = self.store.next_job_due(&[work.kind()]).await? else { return Ok(None) };
            let now = self.clock.now();
            if due > now {
                return Ok(Some(due.since(now)));
            }
            let until = plus(now, work.limit().saturating_add(SLACK));
            let limit = u32::try_from(free).unwrap_or(u32::MAX);
            for job in self.store.lease_jobs(&[work.kind()], now, until, limit).await? {
                self.set_out(place, job);
            }
        }
    }

    /// Has a leased job run.
    fn set_out(&mut self, place: usize, job: Job) {
        if let Some(known) = self.under_way.get_mut(&job.id) {
            // Its lease ran out under it, since somebody set the clock: the run that goes on is this attempt now.
            known.attempt = job.attempts;
            return;
        }
        let Some(kind) = self.kinds.get_mut(place) else { return };
        kind.under_way += 1;
        self.under_way.insert(job.id, UnderWay { kind: place, attempt: job.attempts });
        let work = Arc::clone(&kind.work);
        self.runs.spawn(async move { (job.id, run_once(work, job).await) });
    }

    /// Notes that a run ended.
    fn note(&mut self, ended: Result<(JobId, Ended), tokio::task::JoinError>) {
        // Only those that were dropped at the end give none.
        if let Ok((id, ended)) = ended {
            self.untold.push_back((id, self.clock.now(), ended));
        }
    }

    /// Tells the store what became of jobs.
    async fn tell(&mut self) -> Result<(), StoreError> {
        while let Some(ended) = self.runs.try_join_next() {
            self.note(ended);
        }
        while let Some((id, at, ended)) = self.untold.front().cloned() {
            if let Some(UnderWay { kind, attempt }) = self.under_way.get(&id) {
                let (place, attempt) = (*kind, *attempt);
                self.tell_one(id, attempt, at, ended, place).await?;
                if let Some(kind) = self.kinds.get_mut(place) {
                    kind.under_way -= 1;
                }
            }
            self.under_way.remove(&id);
            self.untold.pop_front();
        }
        Ok(())
    }

    async fn tell_one(
        &self,
        id: JobId,
        attempt: u32,
        at: Timestamp,
        ended: Ended,
        place: usize,
    ) -> Result<(), StoreError> {
        let kind = self.kinds.get(place).map_or("", |kind| kind.work.kind());
        let job = id.0;
        let Err(setback) = ended else {
            // Otherwise its call was erased meanwhile.
            if self.store.job_done(id, attempt).await? {
                self.metrics.jobs.done.get_or_create(&JobKind::of(kind)).inc();
            }
            return Ok(());
        };
        let (reason, next) = match setback {
            Setback::Never { reason } => (reason, Next::Never),
            Setback::Later { reason, .. } if attempt >= MOST_ATTEMPTS => (reason, Next::Never),
            Setback::Later { reason, after } => {
                let wait = after.map_or_else(|| wait_after(attempt, jitter_of(id, attempt)), wait_as_told);
                (reason, Next::At(plus(self.clock.now(), wait)))
            }
        };
        let failure = failure_of(&reason, at);
        if !self.store.job_failed(id, attempt, &failure, next).await? {
            return Ok(());
        }
        self.metrics.jobs.failed.get_or_create(&JobKind::of(kind)).inc();
        let reason = failure.error;
        match next {
            Next::At(_) => tracing::info!(kind, job, attempt, reason, "a job failed; it is run again"),
            Next::Never => tracing::warn!(
                kind,
                job,
                attempt,
                reason,
                "a job is dead; `pegcount jobs retry` has it run once more"
            ),
        }
        Ok(())
    }

    /// Lets what is under way end, for a while, and gives the leases of the rest back.
    async fn end(mut self) {
        let deadline = Instant::now() + self.grace;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.runs.join_next()).await {
            self.note(ended);
        }
        self.runs.shutdown().await;
        let mut told = self.tell().await;
        for (id, UnderWay { attempt, .. }) in std::mem::take(&mut self.under_way) {
            if self.untold.iter().all(|(untold, ..)| *untold != id) {
                told = told.and(self.store.give_job_back(id, attempt).await.map(drop));
            }
        }
        if let Err(error) = told {
            tracing::warn!(%error, "the ends of jobs could not be kept: the next start runs them again");
        }
    }
}

/// Ends the leases of a process that is gone.
pub(super) async fn end_leases(store: &dyn Store, clock: &Clock) -> Result<(), StoreError> {
    let failure = failure_of("the server ended while this ran", clock.now());
    let ended = store.end_leases(&failure, MOST_ATTEMPTS).await?;
    if ended > 0 {
        tracing::info!(jobs = ended, "jobs were under way when the server ended");
    }
    Ok(())
}

/// Runs a job once, within its limit.
async fn run_once(work: Arc<dyn Work>, job: Job) -> Ended {
    let limit = work.limit();
    // In a task of its own, so that a panic ends nothing else.
    let mut run = JoinSet::new();
    run.spawn(async move { work.run(&job).await });
    match tokio::time::timeout(limit, run.join_next()).await {
        Ok(Some(Ok(ended))) => ended,
        Ok(_) => {
            Err(Setback::later("it failed in a way that it should not: this is a mistake in the program"))
        }
        Err(_) => Err(Setback::later(format!("it took longer than it may ({limit:?})"))),
    }
}

/// A failure as it is kept.
fn failure_of(reason: &str, at: Timestamp) -> JobFailure {
    let end = (0..=reason.len().min(LONGEST_REASON)).rev().find(|end| reason.is_char_boundary(*end));
    JobFailure { at, error: reason[..end.unwrap_or_default()].to_owned() }
}

fn plus(at: Timestamp, wait: Duration) -> Timestamp {
    at.plus_millis(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

/// A number that spreads the attempts of jobs: evenly, and always the same for one attempt of a job.
fn jitter_of(id: JobId, attempt: u32) -> u32 {
    let mut hasher = DefaultHasher::new();
    (id.0, attempt).hash(&mut hasher);
    hasher.finish() as u32
}
