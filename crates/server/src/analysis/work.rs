//! The work that has a call analysed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{Call, EndpointName, SourceName, Timestamp};
use pegcount_store::{CallHead, Filed, Job};
use serde_json::Value;

use super::{
    Desk, Settings, answer, ask,
    desk::{ANALYSIS, analysis_of, is_of_interest},
    prompt,
};
use crate::{
    intake::{Intake, Outcome},
    jobs::{Setback, Work},
    vocabulary::{self, Rejection, Telling, kinds},
};

/// How long one may take: two requests, each as long as any may be told to wait.
const LIMIT: Duration = Duration::from_secs(1900);
/// How many are asked at once.
const AT_ONCE: usize = 4;
/// How often an answer may be other than what was asked for.
const MOST_INVALID: u32 = 3;
/// How long after its end a call is waited for that does not fall quiet, in milliseconds.
const LONGEST_WAIT_MILLIS: i64 = 3_600_000;

/// Has calls analysed.
pub struct Analysis(Arc<Desk>);

impl Analysis {
    /// With what lies on this desk.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self(desk)
    }
}

#[async_trait]
impl Work for Analysis {
    fn kind(&self) -> &'static str {
        ANALYSIS
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    fn at_once(&self) -> usize {
        AT_ONCE
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let Self(desk) = self;
        let Some(filed) = desk.of_interest(job).await? else { return Ok(()) };
        let settings = desk.settings(job.organization).await?;
        // A start with the wrong configuration must not give up what is waiting.
        let off = || Setback::later("analysis is off: switch it on, or forget the job");
        let settings = settings.as_ref().as_ref().ok_or_else(off)?;
        if filed.call.talk_time().unwrap_or_default() < settings.minimum {
            return Ok(());
        }
        if desk.is_put_off(&filed, settings).await? {
            return Ok(());
        }
        let Some(transcript) = prompt::transcript(&filed.call) else { return Ok(()) };
        let fields = settings.fields(filed.call.endpoint.as_ref().map(EndpointName::as_str));
        let body = ask::ask(settings, fields, &transcript).await?;
        let data = answer::read(&body, fields).map_err(|reason| invalid(job, reason))?;
        // It may have been erased, have opted out or been analysed by its source while the model thought.
        if desk.of_interest(job).await?.is_none() {
            return Ok(());
        }
        tell(&desk.intake, &filed.head, &filed.call, desk.now(), &data).await
    }
}

impl Desk {
    /// The call of a job, as long as it is one to analyse.
    async fn of_interest(&self, job: &Job) -> Result<Option<Filed>, Setback> {
        let found = self.store.call(job.organization, &job.subject).await?;
        Ok(found.filter(|filed| is_of_interest(&filed.call)))
    }

    /// Whether something was told of the call just now: then it is looked at once more a while after that.
    async fn is_put_off(&self, filed: &Filed, settings: &Settings) -> Result<bool, Setback> {
        let all = self.store.reports(&[filed.head.key]).await?;
        let spoken = |kind: &str| {
            matches!(
                kind,
                kinds::TRANSCRIPT_TURN | kinds::TRANSCRIPT_READY | kinds::CALL_COMPLETED | kinds::CALL_FAILED
            )
        };
        let told = all.iter().flatten().filter(|report| spoken(&report.kind));
        let Some(last) = told.map(|report| report.received_at).max() else { return Ok(false) };
        let (now, due) = (self.now(), last.plus_millis(settings.pause_millis));
        let ended_at = filed.call.ended_at().unwrap_or(now);
        if due <= now || ended_at.plus_millis(LONGEST_WAIT_MILLIS) < now {
            return Ok(false);
        }
        let again = analysis_of(&filed.head, now, due);
        let asked = async {
            let mut transaction = self.store.begin().await?;
            transaction.enqueue(&again).await?;
            transaction.commit().await
        };
        asked.await?;
        Ok(true)
    }
}

/// Tells what was found.
async fn tell(
    intake: &Intake,
    head: &CallHead,
    call: &Call,
    now: Timestamp,
    data: &Value,
) -> Result<(), Setback> {
    let telling = Telling {
        id: vocabulary::event_id_of(&format!("analysis {}", head.uuid)),
        // Of the call's end, so that what its source found later goes before it, whenever it comes.
        at: call.ended_at().unwrap_or(now),
        at_given: true,
        received_at: now,
        source: source(),
        kind: kinds::ANALYSIS_READY.to_owned(),
        data: data.to_string(),
    };
    match intake.tell(head, telling).await.map_err(|error| Setback::later(error.to_string()))? {
        // Erased meanwhile, or told before by a run that was cut off.
        Outcome::Rejected(rejection)
            if ![Rejection::CALL_ERASED, Rejection::EVENT_ID_REUSED].contains(&rejection.code) =>
        {
            Err(Setback::never(rejection.message))
        }
        _ => Ok(()),
    }
}

/// The source of what is found here.
fn source() -> SourceName {
    static NAME: std::sync::LazyLock<SourceName> =
        std::sync::LazyLock::new(|| vocabulary::source_name(ANALYSIS));
    NAME.clone()
}

/// The answer was not what was asked for: that may be a mood of the model, or may not.
fn invalid(job: &Job, reason: String) -> Setback {
    if job.attempts >= MOST_INVALID { Setback::never(reason) } else { Setback::later(reason) }
}
