//! When an analysis is asked for: in the transaction that makes a call one to analyse.

use std::sync::Arc;

use pegcount_calls::{Call, CallName, OrganizationName};
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

use super::{Desk, desk::analysis_of};
use crate::intake::Outside;

/// Asks for analyses, beside whatever else has to do with calls outside the store.
pub struct Asking {
    desk: Arc<Desk>,
    others: Box<dyn Outside>,
}

impl Asking {
    /// Beside these.
    pub fn beside(others: Box<dyn Outside>, desk: Arc<Desk>) -> Self {
        Self { desk, others }
    }
}

impl Outside for Asking {
    fn recorded(&self, head: &CallHead, object: &str) -> Vec<NewJob> {
        self.others.recorded(head, object)
    }

    fn recorded_elsewhere(&self, head: &CallHead, organization: Option<&OrganizationName>) -> Option<NewJob> {
        self.others.recorded_elsewhere(head, organization)
    }

    fn spoken(&self, head: &CallHead, call: &Call) -> Vec<NewJob> {
        let mut jobs = self.others.spoken(head, call);
        // Of whom nothing is asked is found out by the job: what is set for whom cannot be read here.
        if let Some(pause) = self.desk.shortest_pause()
            && self.desk.is_of_interest(call)
        {
            let now = self.desk.now();
            jobs.push(analysis_of(head, now, now.plus_millis(pause)));
        }
        jobs
    }

    fn forgotten(&self, organization: OrganizationNumber, call: &CallName) -> Option<NewJob> {
        self.others.forgotten(organization, call)
    }

    fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        self.others.discard(organization, call);
    }

    fn gone(&self, organization: OrganizationNumber) -> Option<NewJob> {
        self.others.gone(organization)
    }

    fn asked(&self) {
        self.others.asked();
    }
}
