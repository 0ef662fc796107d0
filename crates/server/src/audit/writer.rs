//! From the queue into the store, and out of it what is too old.

use std::{sync::Arc, time::Duration};

use pegcount_calls::Document;
use pegcount_store::{Deed, Store};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Action, actor};
use crate::clock::Clock;

/// After the first entry has come, how long others may join it.
const GATHERS_FOR: Duration = Duration::from_millis(500);
/// So many are not kept waiting.
const ENOUGH: usize = 256;
/// So many are written at once.
const MOST_AT_ONCE: usize = 1024;
/// How long after a failure it is tried again.
const TRIES_EVERY: Duration = Duration::from_millis(500);
/// How often a write is tried once the server is to stop.
const LAST_TRIES: u32 = 3;
/// How often it is looked for what is too old.
const CUTS_EVERY: Duration = Duration::from_secs(3600);
/// So many are taken away in one transaction.
const MOST_CUT: u32 = 10_000;
const DAY_MILLIS: i64 = 86_400_000;

/// What is to be written, and who waits for it.
pub(super) struct Note {
    pub(super) deed: Deed,
    pub(super) written: Option<oneshot::Sender<()>>,
}

pub(super) struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    pub(super) keep_days: u32,
    pub(super) stop: CancellationToken,
}

impl Writer {
    pub(super) async fn run(self, mut waiting: mpsc::Receiver<Note>) {
        let mut cuts = tokio::time::interval(CUTS_EVERY);
        cuts.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut notes = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                taken = waiting.recv_many(&mut notes, MOST_AT_ONCE) => {
                    if taken == 0 {
                        return;
                    }
                    self.gather(&mut waiting, &mut notes).await;
                    self.write(&mut notes).await;
                }
                _ = cuts.tick(), if self.keep_days > 0 => self.cut().await,
            }
        }
        waiting.close();
        while waiting.recv_many(&mut notes, MOST_AT_ONCE).await > 0 {
            self.write(&mut notes).await;
        }
    }

    /// Takes what comes in the next moment, unless somebody waits for what is there.
    async fn gather(&self, waiting: &mut mpsc::Receiver<Note>, notes: &mut Vec<Note>) {
        let deadline = tokio::time::sleep(GATHERS_FOR);
        tokio::pin!(deadline);
        while notes.len() < ENOUGH && notes.iter().all(|note| note.written.is_none()) {
            let room = MOST_AT_ONCE - notes.len();
            tokio::select! {
                taken = waiting.recv_many(notes, room) => if taken == 0 { return },
                () = &mut deadline => return,
                () = self.stop.cancelled() => return,
            }
        }
    }

    /// Writes these in one transaction, however long it takes: meanwhile the queue fills, and who asks is refused.
    async fn write(&self, notes: &mut Vec<Note>) {
        let deeds: Vec<Deed> = notes.iter().map(|note| note.deed.clone()).collect();
        let mut failures = 0;
        while let Err(error) = self.store.append_audit(&deeds).await {
            failures += 1;
            if failures == 1 {
                tracing::error!(%error, "the audit log cannot be written: soon nothing can be read either");
            }
            if self.stop.is_cancelled() && failures >= LAST_TRIES {
                tracing::error!(%error, entries = deeds.len(), "entries of the audit log are lost");
                notes.clear();
                return;
            }
            tokio::time::sleep(TRIES_EVERY).await;
        }
        if failures > 0 {
            tracing::info!("the audit log is written again");
        }
        for note in notes.drain(..) {
            // Who waited may have gone.
            let _ = note.written.map(|written| written.send(()));
        }
    }

    /// Takes away what is too old, and notes that.
    async fn cut(&self) {
        let kept = i64::from(self.keep_days).saturating_mul(DAY_MILLIS);
        let before = self.clock.now().plus_millis(-kept);
        let mut gone = 0;
        while !self.stop.is_cancelled() {
            match self.store.cut_audit(before, MOST_CUT).await {
                Ok(0) => break,
                Ok(cut) => gone += cut,
                Err(error) => {
                    tracing::error!(%error, "old entries of the audit log could not be taken away");
                    break;
                }
            }
        }
        if gone == 0 {
            return;
        }
        let deed = Deed {
            at: self.clock.now(),
            organization: None,
            actor: actor::SERVER.to_owned(),
            action: Action::AuditCut.name().to_owned(),
            subject: None,
            details: Document::from_json_text(format!("{{\"entries\":{gone}}}")),
        };
        self.write(&mut vec![Note { deed, written: None }]).await;
    }
}
