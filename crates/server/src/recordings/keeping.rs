//! What the intake is told to do about recordings, besides what it does about calls.

use std::sync::Arc;

use pegcount_calls::{CallName, OrganizationName};
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

use super::{Fetching, Object, Shelf, deletion::deletion_of, desk::upload_of, foreign::fetch_of};
use crate::{clock::Clock, intake::Outside, jobs::Nudge, organizations::PerOrganization};

/// Recordings: those that are told of go to the object store, those of others are fetched, those that must not be kept go away.
pub struct Keeping {
    shelf: Shelf,
    nudge: Nudge,
    clock: Clock,
    fetching: Arc<PerOrganization<Fetching>>,
}

impl Keeping {
    /// Of the recordings on this shelf. `nudge` says that jobs were asked for; those of others are fetched as `fetching`
    /// says.
    pub fn new(shelf: Shelf, nudge: Nudge, clock: Clock, fetching: Arc<PerOrganization<Fetching>>) -> Self {
        Self { shelf, nudge, clock, fetching }
    }
}

impl Outside for Keeping {
    fn recorded(
        &self,
        head: &CallHead,
        names: &[CallName],
        _: Option<&OrganizationName>,
        object: &str,
    ) -> Option<NewJob> {
        self.shelf.bucket()?;
        let object = Object::of_call(head.organization, names, object)?;
        self.shelf.may_be_here(&object).then(|| upload_of(&object, head.key, &self.clock))
    }

    fn recorded_elsewhere(&self, head: &CallHead, organization: Option<&OrganizationName>) -> Option<NewJob> {
        self.fetching.of(organization).is_enabled.then(|| fetch_of(head, &self.clock))
    }

    fn forgotten(&self, organization: OrganizationNumber, call: &CallName) -> Option<NewJob> {
        self.shelf.bucket()?;
        Some(deletion_of(organization, call, self.clock.now()))
    }

    fn discard(&self, organization: OrganizationNumber, call: &CallName) {
        self.shelf.discard(organization, call);
    }

    fn asked(&self) {
        self.nudge.now();
    }
}
