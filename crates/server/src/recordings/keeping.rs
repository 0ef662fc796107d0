//! What the intake is told to do about recordings, besides what it does about calls.

use std::sync::Arc;

use pegcount_calls::{CallName, OrganizationName};
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

use super::{Fetching, Object, Shelf, deletion::deletion_of, desk::upload_of, foreign::fetch_of};
use crate::{clock::Clock, intake::Outside, jobs::Nudge, organizations::PerOrganization, privacy};

/// Who wants something done about a recording of ours once the ledger knows of it.
pub trait Listener: Send + Sync {
    /// What is to be done, if anything. Asked on the writer's thread, so it may cost no more than a look at the disk.
    fn recorded(&self, head: &CallHead, object: &Object) -> Option<NewJob>;
}

/// Recordings: those that are told of go to the object store, those of others are fetched, those that must not be kept go away.
pub struct Keeping {
    shelf: Shelf,
    nudge: Nudge,
    clock: Clock,
    fetching: Arc<PerOrganization<Fetching>>,
    listeners: Vec<Box<dyn Listener>>,
}

impl Keeping {
    /// Of the recordings on this shelf. `nudge` says that jobs were asked for; those of others are fetched as `fetching`
    /// says.
    pub fn new(shelf: Shelf, nudge: Nudge, clock: Clock, fetching: Arc<PerOrganization<Fetching>>) -> Self {
        Self { shelf, nudge, clock, fetching, listeners: Vec::new() }
    }

    /// The same, and this one is asked too.
    #[must_use]
    pub fn with_listener(mut self, listener: Box<dyn Listener>) -> Self {
        self.listeners.push(listener);
        self
    }
}

impl Outside for Keeping {
    fn recorded(&self, head: &CallHead, object: &str) -> Vec<NewJob> {
        // A source may name any file, and one that is not there.
        let Some(object) = Object::parse(object).filter(|object| object.is_of(head.organization, &head.name))
        else {
            return Vec::new();
        };
        let goes_away = self.shelf.bucket().is_some() && self.shelf.may_be_here(&object);
        let upload = goes_away.then(|| upload_of(&object, head.key, &self.clock));
        let others = self.listeners.iter().filter_map(|listener| listener.recorded(head, &object));
        upload.into_iter().chain(others).collect()
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

    fn gone(&self, organization: OrganizationNumber) -> Option<NewJob> {
        Some(privacy::scrubbing_of(organization, self.clock.now()))
    }

    fn asked(&self) {
        self.nudge.now();
    }
}
