//! The work that deletes what is old, as long as each organization wants it kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use pegcount_calls::{Document, Timestamp};
use pegcount_store::{
    CallHead, EndPlace, Job, Keepsake, NewJob, OldCalls, OrganizationNumber, Store, StoreError,
};
use serde_json::json;

use super::retention::{Limit, Retention, word};
use crate::{
    audit::{Action, Audit, Entry, actor},
    clock::Clock,
    intake::{Deleted, Erased, Intake},
    jobs::{Jobs, Setback, Work},
    metrics::{KeepsakeLabels, Metrics},
    organizations::{Names, PerOrganization},
};

/// The word for this work. Its subject is always the same: there is one for each organization.
const SWEEPING: &str = "retention";
/// How long one run may take; what it has deleted stays so.
const LIMIT: Duration = Duration::from_secs(6 * 3600);
/// How often it is done.
const PERIOD: Duration = Duration::from_secs(3600);
/// How many old calls are looked at at once.
const LOOKED_AT: u32 = 1_000;
/// Of how many something is deleted at once: others who write wait as long.
const AT_ONCE: usize = 50;
/// How long to leave the writer to others after that.
const REST: Duration = Duration::from_millis(20);
/// How long old calls that were looked at are left alone. Those that came in late, or were on hold, are found after that.
const LOOK_AGAIN_AFTER_MILLIS: i64 = 24 * 3_600_000;

/// What the work is made of.
pub struct SweepingParts {
    /// Where calls are kept.
    pub store: Arc<dyn Store>,
    /// The way in.
    pub intake: Intake,
    /// How long what is kept.
    pub retention: Arc<PerOrganization<Retention>>,
    /// What organizations are called.
    pub names: Names,
    /// Where it is noted which calls are gone.
    pub audit: Arc<Audit>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The time.
    pub clock: Clock,
}

/// Deletes what is old.
pub struct Sweeping {
    parts: SweepingParts,
    seen: Mutex<HashMap<(OrganizationNumber, Keepsake), Seen>>,
}

/// How far old calls were looked at.
#[derive(Clone, Copy)]
struct Seen {
    /// When that began.
    since: Timestamp,
    place: EndPlace,
}

impl Sweeping {
    /// Of these.
    pub fn new(parts: SweepingParts) -> Self {
        for keepsake in Keepsake::ALL {
            // Shown as 0 before the first one.
            drop(parts.metrics.deleted.get_or_create(&KeepsakeLabels { kind: word(keepsake) }));
        }
        Self { parts, seen: Mutex::default() }
    }

    async fn sweep(
        &self,
        organization: OrganizationNumber,
        limit: Limit,
        now: Timestamp,
    ) -> Result<(), Setback> {
        let id = (organization, limit.keepsake);
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied();
        let known = known.filter(|seen| now < seen.since.plus_millis(LOOK_AGAIN_AFTER_MILLIS));
        let after = known.map(|seen| seen.place);
        let mut query = OldCalls { after, ..first_look(organization, limit, now) };
        loop {
            let page = self.parts.store.old_calls(&query).await?;
            for heads in page.calls.chunks(AT_ONCE) {
                self.delete(organization, heads, limit.keepsake, now).await?;
                tokio::time::sleep(REST).await;
            }
            let Some(next) = page.next else { return Ok(()) };
            query.after = Some(next);
            let seen = Seen { since: known.map_or(now, |known| known.since), place: next };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id, seen);
        }
    }

    async fn delete(
        &self,
        organization: OrganizationNumber,
        heads: &[CallHead],
        keepsake: Keepsake,
        now: Timestamp,
    ) -> Result<(), Setback> {
        let Deleted { calls, .. } = match keepsake {
            Keepsake::Call => self.erase(organization, heads).await?,
            other => {
                let deleted = self.parts.intake.delete(heads.to_vec(), other, now).await;
                deleted.map_err(later)?
            }
        };
        let labels = KeepsakeLabels { kind: word(keepsake) };
        self.parts.metrics.deleted.get_or_create(&labels).inc_by(calls.into());
        Ok(())
    }

    /// Erases calls. Since nothing is left of them that could tell, it is noted which.
    async fn erase(&self, organization: OrganizationNumber, heads: &[CallHead]) -> Result<Deleted, Setback> {
        let room = self.parts.audit.room(Action::CallsExpired).await.map_err(later)?;
        let (mut deleted, mut gone) = (Deleted::default(), Vec::new());
        let mut failed = None;
        for head in heads {
            match self.parts.intake.erase(head.clone()).await {
                Ok(Erased::Gone) => {
                    deleted.calls += 1;
                    gone.push(head.uuid.to_string());
                }
                Ok(Erased::Held(_)) => deleted.held += 1,
                Ok(Erased::NotOver | Erased::Unknown) => {}
                Err(error) => {
                    failed = Some(later(error));
                    break;
                }
            }
        }
        if let Some(room) = room.filter(|_| !gone.is_empty()) {
            let entry = Entry {
                organization: Some(organization),
                actor: actor::SERVER.to_owned(),
                subject: None,
                details: Document::from_json_text(json!({ "calls": gone }).to_string()),
            };
            room.done(entry).await;
        }
        failed.map_or(Ok(deleted), Err)
    }
}

/// Whoever is busy now may have room another time.
fn later(error: impl std::error::Error) -> Setback {
    Setback::later(error.to_string())
}

#[async_trait]
impl Work for Sweeping {
    fn kind(&self) -> &'static str {
        SWEEPING
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let retention = self.parts.names.pick(&self.parts.retention, job.organization).await?;
        let now = self.parts.clock.now();
        for limit in &retention.limits {
            self.sweep(job.organization, *limit, now).await?;
        }
        Ok(())
    }
}

/// The first look at the calls of an organization that are old now.
fn first_look(organization: OrganizationNumber, limit: Limit, now: Timestamp) -> OldCalls {
    OldCalls {
        organization,
        keepsake: limit.keepsake,
        ended_before: now.plus_millis(-limit.millis),
        after: None,
        limit: LOOKED_AT,
    }
}

/// Asks for the work for each organization that has old calls, now and then.
pub async fn make_rounds(
    store: Arc<dyn Store>,
    retention: Arc<PerOrganization<Retention>>,
    jobs: Arc<Jobs>,
    clock: Clock,
) {
    if retention.each().all(|one| one.limits.is_empty()) {
        return;
    }
    let mut rounds = tokio::time::interval(PERIOD);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        rounds.tick().await;
        match ask(store.as_ref(), &retention, clock.now()).await {
            Ok(()) => jobs.nudge(),
            Err(error) => tracing::error!(%error, "what is old is not deleted; it is tried again in an hour"),
        }
    }
}

async fn ask(
    store: &dyn Store,
    retention: &PerOrganization<Retention>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut wanted = Vec::new();
    for organization in store.organizations().await? {
        for limit in &retention.of(Some(&organization.id)).limits {
            let page = store.old_calls(&first_look(organization.number, *limit, now)).await?;
            if !page.calls.is_empty() || page.next.is_some() {
                wanted.push(organization.number);
                break;
            }
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let mut transaction = store.begin().await?;
    for organization in wanted {
        let job = NewJob {
            organization,
            kind: SWEEPING.to_owned(),
            subject: "calls".to_owned(),
            call: None,
            data: Document::from_json_text("{}"),
            created_at: now,
            due: now,
        };
        transaction.enqueue(&job).await?;
    }
    transaction.commit().await
}

/// How many calls keep something far longer than they should, as far as one look goes: for each kind of which there are any,
/// with the word for it.
///
/// # Errors
/// [`StoreError`].
pub async fn overdue(
    store: &dyn Store,
    retention: &PerOrganization<Retention>,
    now: Timestamp,
) -> Result<Vec<(&'static str, usize)>, StoreError> {
    let mut found = HashMap::<&'static str, usize>::new();
    for organization in store.organizations().await? {
        for limit in &retention.of(Some(&organization.id)).limits {
            let due = now.plus_millis(-2 * LOOK_AGAIN_AFTER_MILLIS);
            let query = first_look(organization.number, *limit, due);
            for call in store.old_calls(&query).await?.calls {
                if store.hold(call.key).await?.is_none() {
                    *found.entry(word(limit.keepsake)).or_default() += 1;
                }
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_unstable();
    Ok(found)
}
