//! `/v1/jobs`: work that comes after calls, for whoever looks after it.

use axum::{Json, extract::RawQuery, http::StatusCode};
use data_encoding::BASE64URL_NOPAD;
use pegcount_store::{Job, JobId, JobQuery, JobState};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{handlers::params, query::limit, wire::raw};
use crate::{
    access::{Refusal, Thing},
    vocabulary::time::format_rfc3339,
    web::{
        caller::Caller,
        failure::Failure,
        path::Path,
        query::Params,
        schemas::{one_of, schema},
    },
};

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobBody {
    /// Its number.
    pub id: i64,
    /// What work it is.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// `waiting`, `running` or `dead`.
    #[schema(example = "dead")]
    pub state: &'static str,
    /// How often it was begun.
    pub attempts: u32,
    /// When it is or was to be run.
    #[schema(format = DateTime)]
    pub due_at: String,
    /// Until when it may run; null while it does not.
    #[schema(format = DateTime)]
    pub running_until: Option<String>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it failed the last time.
    #[schema(format = DateTime)]
    pub failed_at: Option<String>,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// What else is to be known to do it.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

impl From<&Job> for JobBody {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id.0,
            kind: job.kind.clone(),
            subject: job.subject.clone(),
            state: job.state.name(),
            attempts: job.attempts,
            due_at: format_rfc3339(job.due),
            running_until: job.leased_until.map(format_rfc3339),
            created_at: format_rfc3339(job.created_at),
            failed_at: job.failure.as_ref().map(|failure| format_rfc3339(failure.at)),
            error: job.failure.as_ref().map(|failure| failure.error.clone()),
            data: raw(job.data.as_json_text()),
        }
    }
}

/// The jobs.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// Newest first.
    pub jobs: Vec<JobBody>,
    /// How many there are; absent when continued from a cursor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    pub total: Option<u64>,
    /// How many were asked for.
    pub limit: u32,
    /// Where the next part begins; null at the end.
    pub next_cursor: Option<String>,
}

fn job_query(params: &Params) -> Result<JobQuery, Refusal> {
    let state = params.get("state").map(|name| JobState::named(name).ok_or_else(no_state)).transpose()?;
    let after = params.get("cursor").map(|text| read_cursor(text).ok_or_else(no_cursor)).transpose()?;
    let limit = limit(params)?;
    Ok(JobQuery { organization: None, state, kind: params.get("kind").map(str::to_owned), limit, after })
}

fn no_state() -> Refusal {
    let names = JobState::ALL.map(JobState::name);
    Refusal::invalid("state", format!("must be one of {}", names.join(", ")))
}

fn no_cursor() -> Refusal {
    Refusal::invalid("cursor", "must be the next_cursor of an answer")
}

fn write_cursor(after: JobId) -> String {
    BASE64URL_NOPAD.encode(format!("job,{}", after.0).as_bytes())
}

fn read_cursor(text: &str) -> Option<JobId> {
    let decoded = String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
    decoded.strip_prefix("job,")?.parse().ok().map(JobId)
}

/// What is no number is the number of no job.
fn job_id(text: &str) -> Result<JobId, Refusal> {
    text.parse().map(JobId).map_err(|_| Refusal::NotFound(Thing::Job))
}

schema! {
    /// The name of a state.
    JobStateName = one_of(JobState::ALL.map(JobState::name))
}

/// List the organization's jobs, newest first.
///
/// Work that comes after calls and is not done yet: a job that is done is no more.
#[utoipa::path(
    get, path = "/v1/jobs", tag = "jobs",
    params(
        ("state" = inline(Option<JobStateName>), Query, description = "waiting, running or dead"),
        ("kind" = Option<String>, Query, description = "Only jobs of this kind"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "1 to 100, default 50"),
        ("cursor" = Option<String>, Query, description = "The next_cursor of an answer: continues there"),
    ),
    responses((status = 200, body = JobList))
)]
pub(super) async fn list_jobs(caller: Caller, RawQuery(query): RawQuery) -> Result<Json<JobList>, Failure> {
    let query = job_query(&params(query.as_deref()))?;
    let limit = query.limit;
    let page = caller.access.jobs(query).await?;
    Ok(Json(JobList {
        jobs: page.jobs.iter().map(JobBody::from).collect(),
        total: page.total,
        limit,
        next_cursor: page.next.map(write_cursor),
    }))
}

/// Show a job.
#[utoipa::path(
    get, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses((status = 200, body = JobBody))
)]
pub(super) async fn get_job(caller: Caller, Path(id): Path<String>) -> Result<Json<JobBody>, Failure> {
    Ok(Json(JobBody::from(&caller.access.job(job_id(&id)?).await?)))
}

/// Run a job that waits or is dead now.
///
/// It has all its attempts before it again. Answers at once; how it went shows at the job, which is gone when it is done.
#[utoipa::path(
    post, path = "/v1/jobs/{id}/retry", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 204),
        (status = 409, description = "JOB_RUNNING: it runs at the moment"),
    )
)]
pub(super) async fn retry_job(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.retry_job(job_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget a job that does not run. Its work will not be done.
#[utoipa::path(
    delete, path = "/v1/jobs/{id}", tag = "jobs",
    params(("id" = i64, Path, description = "The job's number")),
    responses(
        (status = 204),
        (status = 409, description = "JOB_RUNNING: it runs at the moment"),
    )
)]
pub(super) async fn forget_job(caller: Caller, Path(id): Path<String>) -> Result<StatusCode, Failure> {
    caller.access.forget_job(job_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        let text = write_cursor(JobId(17));
        assert_eq!(read_cursor(&text), Some(JobId(17)));
        for other in ["", "17", "nonsense", "am9iLA", "am9iLHg"] {
            assert_eq!(read_cursor(other), None, "{other}");
        }
    }
}
