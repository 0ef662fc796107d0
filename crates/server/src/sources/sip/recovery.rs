//! After a crash: calls that nobody ended are ended, recordings that nobody finished are made, and those that nobody told
//! of are told.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use pegcount_calls::{CallName, Cause, Party, Timestamp};
use pegcount_gateway::{Clock, Finished, Gateway, LeftOver};
use pegcount_store::{CallHead, CallKey, OrganizationNumber, Report, Store, StoreError};
use serde_json::Value;
use tokio::sync::mpsc;

use super::{
    NAME,
    map::{Mapped, Mapper},
    outbox::{Outbox, deliver, gathered, now},
};
use crate::{
    intake::Intake,
    sources::mapped::{Data, Teller, event_id},
    vocabulary::kinds,
};

/// Calls whose events are read at once.
const AT_ONCE: usize = 200;

/// What is needed to clear up behind an earlier run.
pub(super) struct Recovery {
    pub(super) store: Arc<dyn Store>,
    pub(super) intake: Intake,
    pub(super) outbox: Arc<Outbox>,
    pub(super) clock: Clock,
    pub(super) gateway: Arc<Gateway>,
}

/// The calls that are live at this moment. Asked before the gateway has any, those of this source are an earlier run's.
pub(super) async fn left_live(store: &dyn Store) -> Result<Vec<CallKey>, StoreError> {
    Ok(store.open_calls().await?.into_iter().map(|open| open.key).collect())
}

impl Recovery {
    /// Ends the calls of this source among those that were left live, at the last that is known of each, and has the
    /// recordings made that were left.
    pub(super) async fn run(self, left: Vec<CallKey>) {
        let recordings = self.gateway.left_over();
        let seen: HashMap<(String, String), Timestamp> = recordings
            .iter()
            .map(|left| {
                let name = (left.account.to_string(), left.call.as_str().to_owned());
                (name, timestamp(left.last_seen_at))
            })
            .collect();
        let mut ended = 0;
        for keys in left.chunks(AT_ONCE) {
            match self.end(keys, &seen).await {
                Ok(more) => ended += more,
                Err(error) => {
                    tracing::error!(%error, "SIP calls of the run before cannot be ended; the next start tries again");
                }
            }
        }
        if ended > 0 {
            tracing::warn!(calls = ended, "SIP calls of the run before had no end and were ended as failed");
        }
        self.finish(recordings).await;
        self.tell_of_finished().await;
    }

    async fn end(
        &self,
        keys: &[CallKey],
        seen: &HashMap<(String, String), Timestamp>,
    ) -> Result<usize, StoreError> {
        let mut ends = Vec::new();
        for (key, reports) in keys.iter().zip(self.store.reports(keys).await?) {
            if reports.first().is_none_or(|first| first.source.as_str() != NAME) {
                continue;
            }
            let Some(head) = self.head(*key).await? else { continue };
            let name = (head.organization.0.to_string(), head.name.as_str().to_owned());
            let last = reports.iter().map(|report| report.at).chain(seen.get(&name).copied()).max();
            let now = now(&self.clock);
            // What was seen at a time to come was seen by a clock that was wrong.
            let at = last.unwrap_or(now);
            ends.push(cut_off(head.organization, head.name, at, now));
        }
        let count = ends.len();
        let incoming = gathered(ends.into_iter(), &self.outbox);
        if count > 0 && !deliver(&self.intake, incoming, &self.outbox, || 0).await {
            return Ok(0);
        }
        Ok(count)
    }

    /// The call with this key.
    async fn head(&self, key: CallKey) -> Result<Option<CallHead>, StoreError> {
        let mut found = self.store.calls_after(None, CallKey(key.0.saturating_sub(1)), 1).await?;
        Ok(found.pop().filter(|head| head.key == key))
    }

    /// Has recordings made. What is made of each is told as of any call.
    async fn finish(&self, recordings: Vec<LeftOver>) {
        if recordings.is_empty() {
            return;
        }
        tracing::info!(recordings = recordings.len(), "recordings of the run before are finished");
        let gateway = Arc::clone(&self.gateway);
        let finished = tokio::task::spawn_blocking(move || {
            for left in recordings {
                if let Err(error) = gateway.end_left_over(&left) {
                    tracing::error!(call = %left.call, %error, "a recording cannot be finished; the next start tries again");
                }
            }
        });
        let _ = finished.await;
    }
}

/// What the ledger knows of a finished recording.
enum Known {
    /// It was told of it, and keeps it.
    Told,
    /// It was not told of it, or may not keep it: told now, it takes it or has it deleted.
    Untold,
    /// It has no such call.
    Stranger,
}

impl Recovery {
    /// Tells the ledger of finished recordings that it was not told of: the program was killed in between.
    async fn tell_of_finished(&self) {
        let listing = match self.gateway.finished() {
            Ok(listing) => listing,
            Err(error) => return tracing::error!(%error, "the folder of recordings cannot be read"),
        };
        // The disk is waited for elsewhere, and no faster than the ledger is asked.
        let (found, mut finished) = mpsc::channel(AT_ONCE);
        let list = move || {
            for one in listing {
                if found.blocking_send(one).is_err() {
                    return;
                }
            }
        };
        let listing = tokio::task::spawn_blocking(list);
        let (mut told, mut strangers) = (0_u64, 0_u64);
        while let Some(one) = finished.recv().await {
            match self.known(&one).await {
                Ok(Known::Told) => {}
                Ok(Known::Untold) => told += u64::from(self.tell_of(one).await),
                Ok(Known::Stranger) => strangers += 1,
                Err(error) => {
                    tracing::error!(%error, "recordings cannot be compared with the ledger; the next start tries again");
                    return;
                }
            }
        }
        let _ = listing.await;
        if told > 0 {
            tracing::warn!(recordings = told, "recordings of the run before were told of only now");
        }
        if strangers > 0 {
            tracing::warn!(
                recordings = strangers,
                "recordings are of no call in the ledger: restore the store that has their calls, or delete their files"
            );
        }
    }

    async fn known(&self, one: &Finished) -> Result<Known, StoreError> {
        let (Ok(number), Ok(name)) = (one.account.parse(), CallName::new(one.call.as_str())) else {
            return Ok(Known::Stranger);
        };
        let organization = OrganizationNumber(number);
        let Some(filed) = self.store.call(organization, name.as_str()).await? else {
            let erased = self.store.begin().await?.is_erased(organization, &name).await?;
            return Ok(if erased { Known::Untold } else { Known::Stranger });
        };
        let file = one.file.file_name().and_then(|name| name.to_str());
        let kept = filed.call.content.recording.as_ref().and_then(|recording| recording.object.as_deref());
        if filed.call.opt_out || kept == file {
            return Ok(if filed.call.opt_out { Known::Untold } else { Known::Told });
        }
        // A later report of another recording may hide it.
        let reports = self.store.reports(&[filed.head.key]).await?;
        let names = |report: &Report| {
            let data: Option<Value> = serde_json::from_str(report.data.as_json_text()).ok();
            report.kind == kinds::RECORDING_READY && data.is_some_and(|data| data["object"].as_str() == file)
        };
        Ok(if reports.iter().flatten().any(names) { Known::Told } else { Known::Untold })
    }

    /// Whether the ledger was told.
    async fn tell_of(&self, one: Finished) -> bool {
        let call = one.call.clone();
        let report = match tokio::task::spawn_blocking(move || one.report()).await {
            Ok(Ok(Some(report))) => report,
            Ok(Ok(None)) => {
                tracing::warn!(%call, "a file in the folder of recordings is no recording");
                return false;
            }
            Ok(Err(error)) => {
                tracing::error!(%call, %error, "a recording cannot be read; the next start tries again");
                return false;
            }
            Err(_) => return false,
        };
        let mapped = Mapper::new(Duration::ZERO).map(&report, now(&self.clock));
        let incoming = gathered(mapped.into_iter(), &self.outbox);
        deliver(&self.intake, incoming, &self.outbox, || 0).await
    }
}

/// The end of a call that was cut off: concluded, so that it gives way to what proves the call alive.
fn cut_off(
    organization: OrganizationNumber,
    call: CallName,
    at: Timestamp,
    received_at: Timestamp,
) -> Mapped {
    let data = Data::default()
        .with_ending(Some(Cause::NetworkError), Some(Party::System))
        .with("inferred", Some(true));
    let teller = Teller { source: NAME, received_at };
    let telling = teller.tell(event_id("evt_recovered_end"), at, kinds::CALL_FAILED, data);
    Mapped { organization, call, telling }
}

fn timestamp(at: SystemTime) -> Timestamp {
    let millis = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
