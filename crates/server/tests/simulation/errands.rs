//! A kind of work, and the other side that it is done at, which outlives the program.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use pegcount::{
    clock::Clock,
    intake::Outside,
    jobs::{Setback, Work},
};
use pegcount_calls::{Call, Document, OrganizationName};
use pegcount_faults::Dice;
use pegcount_store::{CallHead, Job, NewJob};

const KIND: &str = "errand";

/// The other side.
#[derive(Default)]
pub struct Peer {
    /// What was done here: for each call once, whoever asks again.
    pub done: Mutex<BTreeSet<String>>,
    /// How many times of a hundred it does not answer.
    pub deaf: Mutex<u64>,
}

/// Has something done once a call is over.
pub struct Asking(pub Clock);

impl Outside for Asking {
    fn spoken(&self, head: &CallHead, _: Option<&OrganizationName>, _: &Call) -> Option<NewJob> {
        let now = self.0.now();
        Some(NewJob {
            organization: head.organization,
            kind: KIND.to_owned(),
            subject: head.name.to_string(),
            call: Some(head.key),
            data: Document::from_json_text("{}"),
            created_at: now,
            due: now,
        })
    }
}

/// Does it.
pub struct Errand {
    pub peer: Arc<Peer>,
    pub dice: Mutex<Dice>,
}

#[async_trait]
impl Work for Errand {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(60)
    }

    async fn run(&self, job: &Job) -> Result<(), Setback> {
        let deaf = *self.peer.deaf.lock().unwrap();
        let (before, after, fails, answers) = {
            let mut dice = self.dice.lock().unwrap();
            (dice.below(3), dice.below(3), dice.percent(deaf), dice.percent(70))
        };
        for _ in 0..before {
            tokio::task::yield_now().await;
        }
        // What failed may have been done all the same.
        if !fails || answers {
            let subject = format!("{} {}", job.organization.0, job.subject);
            self.peer.done.lock().unwrap().insert(subject);
        }
        for _ in 0..after {
            tokio::task::yield_now().await;
        }
        if fails { Err(Setback::later("nobody answers")) } else { Ok(()) }
    }
}
