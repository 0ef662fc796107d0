//! The work that deletes the recordings of a call from the object store.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{CallName, Document, Timestamp};
use pegcount_store::{Job, NewJob, OrganizationNumber};

use super::{
    Desk, Object,
    desk::{DELETION, Standing},
    object::FORMATS,
};
use crate::jobs::{Setback, Work};

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(300);
/// How many are deleted at once.
const AT_ONCE: usize = 2;
/// When it is looked at once more. A request that was broken off, by a kill say, may still be carried out by the store
/// a while after it was sent.
const AGAIN_AFTER_MILLIS: i64 = 600_000;
/// What a job holds that looks for the last time.
const LAST: &str = r#"{"look":"last"}"#;

/// Deletes the recordings of calls from the object store.
pub struct Deletion(Arc<Desk>);

impl Deletion {
    /// With what lies on this desk.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self(desk)
    }
}

/// The job of deleting the recordings of a call from the object store. It is of no call: it outlives it.
pub(super) fn deletion_of(organization: OrganizationNumber, call: &CallName, now: Timestamp) -> NewJob {
    NewJob {
        organization,
        kind: DELETION.to_owned(),
        subject: call.to_string(),
        call: None,
        data: Document::from_json_text(r#"{"look":"first"}"#),
        created_at: now,
        due: now,
    }
}

#[async_trait]
impl Work for Deletion {
    fn kind(&self) -> &'static str {
        DELETION
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let Self(desk) = self;
        let organization = job.organization;
        let Ok(call) = CallName::new(&job.subject) else {
            return Err(Setback::never("no call has such a name"));
        };
        let _alone = desk.busy.alone(organization, &call).await;
        if desk.standing(organization, &call).await? == Standing::Kept {
            return Err(Setback::never("the call is there and keeps its recording"));
        }
        for format in FORMATS {
            desk.bucket.delete(&Object::new(organization, call.clone(), format)).await?;
        }
        if job.data.as_json_text() != LAST {
            let now = desk.clock.now();
            let again = NewJob {
                data: Document::from_json_text(LAST),
                due: now.plus_millis(AGAIN_AFTER_MILLIS),
                ..deletion_of(organization, &call, now)
            };
            let asked = async {
                let mut transaction = desk.store.begin().await?;
                transaction.enqueue(&again).await?;
                transaction.commit().await
            };
            asked.await?;
        }
        Ok(())
    }
}
