//! Orders about jobs: of every organization, since who gives them has the data folder.

use std::collections::BTreeSet;

use pegcount_calls::Timestamp;
use pegcount_store::{Job, JobId, JobOrder, JobQuery, JobState, Organization, OrganizationNumber};
use serde_json::{Value, json};

use super::{Done, Operator, sentence};
use crate::{
    audit::Action,
    recordings::{DELETION, UPLOAD},
    vocabulary::time::format_rfc3339,
};

impl Operator {
    /// The newest jobs that are meant, and how many there are.
    pub(super) async fn list_jobs(&self, state: Option<&str>, kind: Option<String>, limit: u32) -> Done {
        let state = state.map(|name| JobState::named(name).ok_or_else(|| no_state(name))).transpose()?;
        self.check_kind(kind.as_deref()).await?;
        let query = JobQuery { state, kind, limit, ..JobQuery::default() };
        self.settle_jobs().await?;
        let page = self.store.jobs(&query).await.map_err(|error| sentence(&error))?;
        let organizations = self.store.organizations().await.map_err(|error| sentence(&error))?;
        let jobs: Vec<Value> = page.jobs.iter().map(|job| job_value(job, &organizations)).collect();
        Ok(json!({ "jobs": jobs, "total": page.total }))
    }

    async fn settle_jobs(&self) -> Result<(), String> {
        self.jobs.settle().await.map_err(|error| sentence(&error))
    }

    /// Refuses a kind that neither this program nor any job knows: nothing would be found, and nothing said.
    async fn check_kind(&self, kind: Option<&str>) -> Result<(), String> {
        let Some(kind) = kind else { return Ok(()) };
        let counts = self.store.job_counts().await.map_err(|error| sentence(&error))?;
        let mut known: BTreeSet<String> = counts.into_iter().map(|count| count.kind).collect();
        // Those of an object store are known without one, too.
        known.extend(self.jobs.kinds().chain([UPLOAD, DELETION]).map(str::to_owned));
        if known.contains(kind) {
            return Ok(());
        }
        let known: Vec<String> = known.into_iter().collect();
        Err(format!("there is no kind of job {kind:?}: use one of {}", known.join(", ")))
    }

    /// Whose job this is.
    async fn organization_of(&self, id: i64) -> Result<Option<OrganizationNumber>, String> {
        let job = self.store.job(JobId(id)).await.map_err(|error| sentence(&error))?;
        Ok(job.map(|job| job.organization))
    }

    pub(super) async fn retry_job(&self, id: i64) -> Done {
        self.settle_jobs().await?;
        let (organization, room) = (self.organization_of(id).await?, self.room(Action::JobRetried).await?);
        let rerun = self.store.rerun_job(None, JobId(id), self.clock.now()).await;
        carried_out(id, rerun.map_err(|error| sentence(&error))?)?;
        self.jobs.nudge();
        self.note(room, organization, Some(id.to_string()), &json!({})).await;
        Ok(json!({ "retried": 1 }))
    }

    pub(super) async fn retry_dead_jobs(&self, kind: Option<&str>) -> Done {
        self.check_kind(kind).await?;
        self.settle_jobs().await?;
        let room = self.room(Action::JobRetried).await?;
        let rerun = self.store.rerun_dead_jobs(kind, self.clock.now()).await;
        let retried = rerun.map_err(|error| sentence(&error))?;
        self.jobs.nudge();
        self.note(room, None, None, &json!({ "jobs": retried, "kind": kind })).await;
        Ok(json!({ "retried": retried }))
    }

    pub(super) async fn forget_job(&self, id: i64) -> Done {
        self.settle_jobs().await?;
        let (organization, room) = (self.organization_of(id).await?, self.room(Action::JobForgotten).await?);
        let forgotten = self.store.forget_job(None, JobId(id)).await;
        carried_out(id, forgotten.map_err(|error| sentence(&error))?)?;
        self.note(room, organization, Some(id.to_string()), &json!({})).await;
        Ok(json!({ "forgotten": id }))
    }
}

fn no_state(name: &str) -> String {
    let names = JobState::ALL.map(JobState::name);
    format!("there is no state {name:?}: use one of {}", names.join(", "))
}

fn carried_out(id: i64, order: JobOrder) -> Result<(), String> {
    match order {
        JobOrder::Done => Ok(()),
        JobOrder::Running => Err(format!("job {id} runs at the moment: wait until it has ended")),
        JobOrder::Missing => Err(format!("there is no job {id}")),
    }
}

fn job_value(job: &Job, organizations: &[Organization]) -> Value {
    let organization = organizations.iter().find(|one| one.number == job.organization);
    let time = |at: Option<Timestamp>| at.map(format_rfc3339);
    json!({
        "id": job.id.0,
        "organization": organization.map(|one| one.id.as_str()),
        "kind": job.kind,
        "subject": job.subject,
        "state": job.state.name(),
        "attempts": job.attempts,
        "due_at": format_rfc3339(job.due),
        "running_until": time(job.leased_until),
        "created_at": format_rfc3339(job.created_at),
        "failed_at": time(job.failure.as_ref().map(|failure| failure.at)),
        "error": job.failure.as_ref().map(|failure| &failure.error),
        "data": serde_json::from_str::<Value>(job.data.as_json_text()).unwrap_or_default(),
    })
}
