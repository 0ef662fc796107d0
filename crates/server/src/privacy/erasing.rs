//! The work that erases every call from and to a number.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{Document, Timestamp};
use pegcount_store::{CallKey, Erasure, ErasureProgress, Job, NewJob, Store};
use uuid::Uuid;

use super::scrubbing::{empty_log, scrub_words};
use crate::{
    clock::Clock,
    intake::{Erased, Intake},
    jobs::{Setback, Work},
};

/// The word for this work. Its subject is the id of the order, which alone holds the number.
const ERASING: &str = "erasure";
/// How long one run may take; the next goes on where it was cut off.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How many calls are looked for at a time.
const AT_A_TIME: u32 = 500;
/// When to look again for the end of calls that were not over.
const AGAIN_AFTER_MILLIS: i64 = 60_000;
/// How long to wait for it. A call that has not ended after that is left to its source.
const LONGEST_WAIT_MILLIS: i64 = 7 * 24 * 3_600_000;

/// Erases the calls of numbers.
pub struct Erasing {
    store: Arc<dyn Store>,
    intake: Intake,
    clock: Clock,
}

impl Erasing {
    /// In this store, by way of the one that writes calls.
    pub fn new(store: Arc<dyn Store>, intake: Intake, clock: Clock) -> Self {
        Self { store, intake, clock }
    }

    /// Erases what calls of the number there are; how far it has come.
    async fn erase(&self, erasure: &mut Erasure, digits: &str) -> Result<(), Setback> {
        let mut after = CallKey(i64::MIN);
        erasure.progress = ErasureProgress { erased: erasure.progress.erased, held: 0, live: 0 };
        loop {
            let found = self.store.calls_of_number(erasure.organization, digits, after, AT_A_TIME).await;
            let found = found?;
            let Some(last) = found.last() else { return Ok(()) };
            after = last.key;
            for head in found {
                let erased =
                    self.intake.erase(head).await.map_err(|error| Setback::later(error.to_string()))?;
                match erased {
                    Erased::Gone => erasure.progress.erased += 1,
                    Erased::Held(_) => erasure.progress.held += 1,
                    Erased::NotOver => erasure.progress.live += 1,
                    Erased::Unknown => {}
                }
            }
            self.keep(erasure).await?;
        }
    }

    async fn keep(&self, erasure: &Erasure) -> Result<(), Setback> {
        Ok(self.store.update_erasure(erasure).await?)
    }

    async fn come_again(&self, erasure: &Erasure, now: Timestamp) -> Result<(), Setback> {
        let again = NewJob { due: now.plus_millis(AGAIN_AFTER_MILLIS), ..erasing_of(erasure, now) };
        let asked = async {
            let mut transaction = self.store.begin().await?;
            transaction.enqueue(&again).await?;
            transaction.commit().await
        };
        Ok(asked.await?)
    }
}

/// The job of carrying out an order.
pub fn erasing_of(erasure: &Erasure, now: Timestamp) -> NewJob {
    NewJob {
        organization: erasure.organization,
        kind: ERASING.to_owned(),
        subject: erasure.id.to_string(),
        call: None,
        data: Document::from_json_text("{}"),
        created_at: now,
        due: now,
    }
}

#[async_trait]
impl Work for Erasing {
    fn kind(&self) -> &'static str {
        ERASING
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let missing = || Setback::never("there is no such order");
        let id = Uuid::parse_str(&job.subject).map_err(|_| missing())?;
        let found = self.store.erasure(job.organization, id).await?;
        let mut erasure = found.ok_or_else(missing)?;
        let now = self.clock.now();
        // Without the number its calls are gone, and what is left to do is the rest.
        if let Some(digits) = erasure.digits.clone() {
            self.erase(&mut erasure, &digits).await?;
            let may_wait = now < erasure.created_at.plus_millis(LONGEST_WAIT_MILLIS);
            if erasure.progress.live > 0 && may_wait {
                self.keep(&erasure).await?;
                return self.come_again(&erasure, now).await;
            }
            erasure.digits = None;
            self.keep(&erasure).await?;
        }
        scrub_words(self.store.as_ref()).await?;
        empty_log(self.store.as_ref()).await?;
        erasure.finished_at = Some(self.clock.now());
        self.keep(&erasure).await
    }
}
