//! Ends calls that no source will end: every leg that is known has ended, and the originating one is not known.
//!
//! Where a record shows that its leg talked, the fold ends such a call by itself. An unanswered try does not say whether
//! another leg rings or talks by now, nor does a leg that its source reports live. So their end waits until nothing more
//! has come for a while, in a job that survives a restart. It is inferred: later events correct it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use pegcount_calls::{Document, History, OpenEnd, Timestamp, open_end};
use pegcount_store::{CallHead, Job, NewJob, Store};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    clock::Clock,
    intake::{Intake, Outcome, Outside},
    jobs::{Setback, Work},
    vocabulary::{self, Rejection, Telling, cause_word, kinds, party_word, source_name},
};

/// The word for this work.
const KIND: &str = "conclusion";
/// The source of its events.
pub const SOURCE: &str = "reconciliation";
/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How long to wait for the other legs of a call.
const QUIET_MILLIS: i64 = 60_000;
/// How long to wait for the leg that took the call, where that is known to be another one: longer than calls last.
const ELSEWHERE_MILLIS: i64 = 24 * 3_600_000;
/// Legs that ended earlier come from files, all at once: nothing is waited for.
const LONG_AGO_MILLIS: i64 = 3_600_000;

/// What a job is about.
#[derive(Deserialize, Serialize)]
struct Subject {
    /// The call's name.
    call: String,
    /// When the last of its legs ended.
    at: Timestamp,
}

/// Asks for the end of calls that are left open.
pub struct EnqueueConclusion {
    clock: Clock,
}

impl EnqueueConclusion {
    /// By this clock.
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

impl Outside for EnqueueConclusion {
    fn left_open(&self, head: &CallHead, open: &OpenEnd) -> Option<NewJob> {
        let now = self.clock.now();
        let due = if open.goes_on_elsewhere {
            open.at.plus_millis(ELSEWHERE_MILLIS).max(now)
        } else if open.at < now.plus_millis(-LONG_AGO_MILLIS) {
            now
        } else {
            now.plus_millis(QUIET_MILLIS)
        };
        let subject = Subject { call: head.name.to_string(), at: open.at };
        Some(NewJob {
            organization: head.organization,
            kind: KIND.to_owned(),
            // Each end has a job of its own: one that waits keeps its time.
            subject: format!("{} {}", head.uuid, open.at.millis()),
            call: Some(head.key),
            data: Document::from_json_text(json!(subject).to_string()),
            created_at: now,
            due,
        })
    }
}

/// Ends calls that are still left open.
pub struct Conclusion {
    store: Arc<dyn Store>,
    intake: Intake,
    clock: Clock,
}

impl Conclusion {
    /// Of this store, by way of the one that writes calls.
    pub fn new(store: Arc<dyn Store>, intake: Intake, clock: Clock) -> Self {
        Self { store, intake, clock }
    }
}

#[async_trait]
impl Work for Conclusion {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limit(&self) -> Duration {
        LIMIT
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let unreadable = |error| Setback::never(format!("the job cannot be read: {error}"));
        let subject: Subject = serde_json::from_str(job.data.as_json_text()).map_err(unreadable)?;
        let Some(filed) = self.store.call(job.organization, &subject.call).await? else { return Ok(()) };
        if filed.call.status().is_ended() || filed.call.content.sealed_at.is_some() {
            return Ok(());
        }
        let reports = self.store.reports(&[filed.head.key]).await?;
        let events = reports.iter().flatten().filter_map(|report| vocabulary::read_report(report).ok());
        let open = History::of(events).as_ref().and_then(open_end);
        // Another leg has ended since: the job of that end is the one that counts.
        let Some(open) = open.filter(|open| open.at == subject.at) else { return Ok(()) };
        match self.intake.tell(&filed.head, self.end(&filed.head, &open)).await {
            Ok(Outcome::Accepted | Outcome::Duplicate) => Ok(()),
            Ok(Outcome::Rejected(Rejection { message, .. })) => Err(Setback::never(message)),
            Err(error) => Err(Setback::later(error.to_string())),
        }
    }
}

impl Conclusion {
    fn end(&self, head: &CallHead, open: &OpenEnd) -> Telling {
        let data = json!({
            "inferred": true,
            "hangup_cause": cause_word(open.cause),
            "hangup_source": open.by.map(party_word),
        });
        let kind = if open.failed { kinds::CALL_FAILED } else { kinds::CALL_COMPLETED };
        Telling {
            id: vocabulary::event_id_of(&format!("concluded {} {}", head.uuid, open.at.millis())),
            at: open.at,
            at_given: true,
            received_at: self.clock.now(),
            source: source_name(SOURCE),
            kind: kind.to_owned(),
            data: data.to_string(),
        }
    }
}
