//! What the intake is told to do about recordings, besides what it does about calls.

use std::sync::Arc;

use pegcount_calls::CallName;
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

use super::{Object, Shelf, deletion::deletion_of, desk::upload_of};
use crate::{clock::Clock, intake::Outside, jobs::Jobs, privacy};

/// Recordings: those that are told of go to the object store, those that must not be kept go away.
pub struct Keeping {
    shelf: Shelf,
    jobs: Arc<Jobs>,
    clock: Clock,
}

impl Keeping {
    /// Of the recordings on this shelf.
    pub fn new(shelf: Shelf, jobs: Arc<Jobs>, clock: Clock) -> Self {
        Self { shelf, jobs, clock }
    }
}

impl Outside for Keeping {
    fn recorded(&self, head: &CallHead, object: &str) -> Option<NewJob> {
        self.shelf.bucket()?;
        // A source may name any file, and one that is not there.
        let object = Object::parse(object).filter(|object| object.is_of(head.organization, &head.name))?;
        self.shelf.may_be_here(&object).then(|| upload_of(&object, head.key, &self.clock))
    }

    fn forgotten(&self, organization: OrganizationNumber, call: &CallName) -> Option<NewJob> {
        self.shelf.bucket()?;
        Some(deletion_of(organization, call, self.clock.now()))
    }

    fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        self.shelf.discard(organization, call);
    }

    fn gone(&self, organization: OrganizationNumber) -> Option<NewJob> {
        Some(privacy::scrubbing_of(organization, self.clock.now()))
    }

    fn asked(&self) {
        self.jobs.nudge();
    }
}
