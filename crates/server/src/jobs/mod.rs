//! Work that comes after a call: kept in the store until it is done, run when it is due, and again after a while when it
//! fails, but not for ever.
//!
//! A job is asked for in the transaction of what causes it ([`pegcount_store::Transaction::enqueue`]), so no kill loses
//! one; after the commit [`Jobs::nudge`] has it run at once. A kill in the middle of a run has it run again: work that was
//! done once must be harmless to do twice.

mod pace;
mod runner;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pegcount_store::{Job, Store, StoreError};
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{clock::Clock, metrics::Metrics};

pub use pace::MOST_ATTEMPTS;
use runner::Runner;
pub use wait::told_wait;

/// One kind of work.
#[async_trait]
pub trait Work: Send + Sync {
    /// The word for it, which stands in jobs: `recording_upload`.
    fn kind(&self) -> &'static str;
    /// How long one run may take. Then it is dropped where it waits, and counts as a failure; what it does on a thread of
    /// its own goes on, and must not take longer either.
    fn limit(&self) -> Duration;
    /// How many may run at once.
    fn at_once(&self) -> usize {
        1
    }
    /// Does it. Having been done before, wholly or by halves, must not keep it from being done.
    ///
    /// # Errors
    /// [`Setback`], whose reason is kept and shown: without secrets, and nothing of what was said in a call.
    async fn run(&self, job: &Job) -> Result<(), Setback>;
}

/// Why work was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setback {
    /// It may be done another time.
    Later {
        /// Why it was not.
        reason: String,
        /// When to try again, if somebody said so; at most 24 hours. Otherwise it depends on how often it failed.
        after: Option<Duration>,
    },
    /// It can never be done as it was asked for.
    Never {
        /// Why not.
        reason: String,
    },
}

impl Setback {
    /// It may be done another time, which depends on how often it failed.
    pub fn later(reason: impl Into<String>) -> Self {
        Self::Later { reason: reason.into(), after: None }
    }

    /// It can never be done.
    pub fn never(reason: impl Into<String>) -> Self {
        Self::Never { reason: reason.into() }
    }
}

/// What is wrong with a store is told where it is looked after.
impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Self::later(format!("the ledger cannot be used: {error}"))
    }
}

/// Says to who runs jobs that there may be something due. Whoever holds one holds neither the jobs nor their work.
#[derive(Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// Says so. It is looked at again by itself when the next job is due, and every 30 s.
    pub fn now(&self) {
        self.0.notify_one();
    }
}

/// Runs jobs. Nothing is run before [`Jobs::start`]: a command that has opened the store to look into it runs nothing.
pub struct Jobs {
    store: Arc<dyn Store>,
    clock: Clock,
    metrics: Arc<Metrics>,
    works: Vec<Arc<dyn Work>>,
    nudged: Nudge,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Jobs {
    /// For these kinds of work. Jobs of other kinds wait for a program that knows them.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Clock,
        metrics: Arc<Metrics>,
        works: Vec<Arc<dyn Work>>,
    ) -> Self {
        Self { store, clock, metrics, works, nudged: Nudge::default(), task: Mutex::default() }
    }

    /// The same, nudged by this.
    #[must_use]
    pub fn nudged_by(self, nudged: Nudge) -> Self {
        Self { nudged, ..self }
    }

    /// The kinds of work that this program does, as it is configured.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.works.iter().map(|work| work.kind())
    }

    /// Runs jobs until told to stop. Whoever calls this is the only one on this store: leases that are there were left
    /// over by a process that is gone.
    pub fn start(&self, stop: CancellationToken) {
        let runner = Runner::new(
            Arc::clone(&self.store),
            self.clock.clone(),
            Arc::clone(&self.metrics),
            &self.works,
            Arc::clone(&self.nudged.0),
        );
        let task = tokio::spawn(runner.run(stop));
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Says that there may be something due: [`Nudge::now`].
    pub fn nudge(&self) {
        self.nudged.now();
    }

    /// Ends the leases that are left over, unless jobs are run here: then nobody runs any, since whoever has opened the store
    /// is the only one on it. Without this a job that brings the server down could not be forgotten while that is down.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle(&self) -> Result<(), StoreError> {
        let runs = self.task.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if !runs {
            runner::end_leases(self.store.as_ref(), &self.clock).await?;
        }
        Ok(())
    }

    /// Waits until everything under way has ended, some 10 s after the order to stop at the latest.
    pub async fn ended(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the runner of jobs failed");
        }
    }
}
