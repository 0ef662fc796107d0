//! The work that brings what was in erased calls, and in those that opted out, out of the files.
//!
//! The rows of such a call are overwritten when they are deleted. Its words lie on in parts of the index until those are
//! merged with others, and all of it in the write-ahead log until that begins anew.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{Document, Timestamp};
use pegcount_store::{Job, NewJob, OrganizationNumber, Scrub, Store};

use crate::{
    clock::Clock,
    intake::Outside,
    jobs::{Setback, Work},
};

/// The word for this work. Its subject is always the same: it is done for all that was deleted.
const SCRUBBING: &str = "scrub";
/// How long one run may take. The index of tens of millions of calls is merged anew in that time; what was merged stays so.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How long to wait with it: who erases one call mostly erases more.
const WAIT_MILLIS: i64 = 30_000;
/// How long to leave the writer to others after each step.
const REST: Duration = Duration::from_millis(20);
/// How often the log is tried to be emptied, and how long to wait in between: a read takes at most 20 s.
const TRIES: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(1);

/// Brings what was deleted out of the files.
pub struct Scrubbing {
    store: Arc<dyn Store>,
}

impl Scrubbing {
    /// Out of those of this store.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

/// Asks for that after every erasure, and whatever else leaves words behind.
pub struct Asking(Clock);

impl Asking {
    /// By this clock.
    pub fn new(clock: Clock) -> Self {
        Self(clock)
    }
}

impl Outside for Asking {
    fn gone(&self, organization: OrganizationNumber) -> Option<NewJob> {
        Some(scrubbing_of(organization, self.0.now()))
    }
}

/// The job of bringing what was deleted out of the files.
fn scrubbing_of(organization: OrganizationNumber, now: Timestamp) -> NewJob {
    NewJob {
        organization,
        kind: SCRUBBING.to_owned(),
        subject: "files".to_owned(),
        call: None,
        data: Document::from_json_text("{}"),
        created_at: now,
        due: now.plus_millis(WAIT_MILLIS),
    }
}

#[async_trait]
impl Work for Scrubbing {
    fn kind(&self) -> &'static str {
        SCRUBBING
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    async fn run(&self, _: &Job) -> Result<(), Setback> {
        scrub_words(self.store.as_ref()).await?;
        empty_log(self.store.as_ref()).await
    }
}

/// Merges the index until the words of no deleted call are in it.
pub(super) async fn scrub_words(store: &dyn Store) -> Result<(), Setback> {
    let mut begin = true;
    loop {
        match store.scrub(begin).await? {
            Scrub::Clean => return Ok(()),
            Scrub::Moved => begin = false,
            Scrub::Idle if begin => return Err(Setback::later("words of deleted calls stay in the index")),
            Scrub::Idle => begin = true,
        }
        tokio::time::sleep(REST).await;
    }
}

/// Empties the write-ahead log.
pub(super) async fn empty_log(store: &dyn Store) -> Result<(), Setback> {
    for _ in 0..TRIES {
        if store.empty_log().await? {
            return Ok(());
        }
        tokio::time::sleep(PATIENCE).await;
    }
    Err(Setback::later("long reads keep the write-ahead log from being emptied"))
}
