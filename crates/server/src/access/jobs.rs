//! The jobs of an organization: work that comes after its calls.

use pegcount_store::{Job, JobId, JobOrder, JobPage, JobQuery};

use super::{Access, Answer, Refusal, Thing};
use crate::{audit::Action, auth::Scope};

impl Access {
    /// One part of the list of jobs, newest first; whatever organization the query names, it is of this one.
    ///
    /// # Errors
    /// [`Refusal`], as everywhere in this file.
    pub async fn jobs(&self, query: JobQuery) -> Answer<JobPage> {
        self.need(Scope::Admin)?;
        let query = JobQuery { organization: Some(self.organization.number), ..query };
        self.ledger.read(self.ledger.store.jobs(&query).await)
    }

    /// The job with this number.
    pub async fn job(&self, id: JobId) -> Answer<Job> {
        self.need(Scope::Admin)?;
        let job = self.ledger.read(self.ledger.store.job(id).await)?;
        job.filter(|job| job.organization == self.organization.number).ok_or(Refusal::NotFound(Thing::Job))
    }

    /// Has a job that waits or is dead run now.
    ///
    /// # Errors
    /// [`Refusal::JobRunning`].
    pub async fn retry_job(&self, id: JobId) -> Answer<()> {
        self.need(Scope::Admin)?;
        let room = self.room(Action::JobRetried).await?;
        let rerun = self.ledger.store.rerun_job(Some(self.organization.number), id, self.now()).await;
        carried_out(self.ledger.read(rerun)?)?;
        self.ledger.jobs.nudge();
        self.note_done(room, id.0.to_string(), "{}".to_owned()).await;
        Ok(())
    }

    /// Takes a job away that does not run: its work will not be done.
    ///
    /// # Errors
    /// [`Refusal::JobRunning`].
    pub async fn forget_job(&self, id: JobId) -> Answer<()> {
        self.need(Scope::Admin)?;
        let room = self.room(Action::JobForgotten).await?;
        let forgotten = self.ledger.store.forget_job(Some(self.organization.number), id).await;
        carried_out(self.ledger.read(forgotten)?)?;
        self.note_done(room, id.0.to_string(), "{}".to_owned()).await;
        Ok(())
    }
}

fn carried_out(order: JobOrder) -> Answer<()> {
    match order {
        JobOrder::Done => Ok(()),
        JobOrder::Running => Err(Refusal::JobRunning),
        JobOrder::Missing => Err(Refusal::NotFound(Thing::Job)),
    }
}
