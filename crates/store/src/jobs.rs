//! The shapes of jobs: work that is done after what caused it is on disk, and again until it is done.

use pegcount_calls::{Document, Timestamp};

use crate::{CallKey, OrganizationNumber};

/// A job's number. It is never given to another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// Where a job stands. One that is done is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JobState {
    /// It is to be run when it is due.
    Waiting,
    /// Somebody runs it, under a lease.
    Running,
    /// It failed for good: it is not run again unless somebody says so.
    Dead,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Running, Self::Dead];

    /// What it is called wherever it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Dead => "dead",
        }
    }

    /// The state of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A job to be done. Of one organization, kind and subject there is one job at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// What work it is.
    pub kind: String,
    /// What it is about: the name of a call, of a file.
    pub subject: String,
    /// The call it is about: erased, it takes the job along.
    pub call: Option<CallKey>,
    /// What else is to be known to do it: a JSON value without secrets.
    pub data: Document,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it is to be run.
    pub due: Timestamp,
}

/// A job on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// What work it is.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// The call it is about.
    pub call: Option<CallKey>,
    /// What else is to be known to do it: a JSON value.
    pub data: Document,
    /// Where it stands.
    pub state: JobState,
    /// How often it was begun since it was asked for, or asked for again after it was dead.
    pub attempts: u32,
    /// When it is or was to be run.
    pub due: Timestamp,
    /// Until when whoever runs it may; `None` while nobody does.
    pub leased_until: Option<Timestamp>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// How it failed the last time.
    pub failure: Option<JobFailure>,
}

/// How a job failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFailure {
    /// When.
    pub at: Timestamp,
    /// Why, in a sentence without secrets.
    pub error: String,
}

/// What becomes of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is run again then.
    At(Timestamp),
    /// It is dead.
    Never,
}

/// Which jobs a list is of, newest first. Several conditions must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Of this organization only.
    pub organization: Option<OrganizationNumber>,
    /// In this state only.
    pub state: Option<JobState>,
    /// Of this kind only.
    pub kind: Option<String>,
    /// How many at most.
    pub limit: u32,
    /// Those older than this one only.
    pub after: Option<JobId>,
}

/// One part of a list of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<Job>,
    /// How many there are in all; `None` when continued, which does not count again.
    pub total: Option<u64>,
    /// After which one the next part begins; `None` at the end.
    pub next: Option<JobId>,
}

/// What came of an order about one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// It was carried out.
    Done,
    /// The job runs at the moment: it stays as it is.
    Running,
    /// There is no such job.
    Missing,
}

/// How many jobs of a kind are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// The state.
    pub state: JobState,
    /// How many there are.
    pub count: u64,
    /// When the first of them was asked for.
    pub oldest: Timestamp,
}
