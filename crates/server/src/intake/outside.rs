//! What is kept of calls outside the store, as far as the intake has to do with it.

use pegcount_calls::{Call, CallName, OrganizationName};
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

/// What is kept of calls outside the store: recordings. Everything here is asked on the writer's thread.
pub trait Outside: Send + Sync {
    /// What is to be done about a recording that an event names: asked for in the event's transaction.
    fn recorded(&self, head: &CallHead, object: &str) -> Vec<NewJob>;

    /// What is to be done about a recording of somebody else's that an event names by its URL, if anything: asked for in the
    /// event's transaction. The call is of the organization with this name.
    fn recorded_elsewhere(&self, head: &CallHead, organization: Option<&OrganizationName>) -> Option<NewJob>;

    /// What is to be done about a call that is over and of which an end, an answer or a transcript was just told: asked for
    /// in the event's transaction. Not asked of calls that opted out.
    fn spoken(&self, _: &CallHead, _: &Call) -> Vec<NewJob> {
        Vec::new()
    }

    /// What is to be done about a call that was erased, or has opted out after it was recorded, where that takes longer than
    /// an answer may: asked for in the same transaction.
    fn forgotten(&self, organization: OrganizationNumber, call: &CallName) -> Option<NewJob>;

    /// Deletes what is here of such a call, before whoever told so is answered. It may block, and cannot fail: what stays
    /// is logged.
    fn discard(&self, organization: OrganizationNumber, call: &CallName);

    /// What is to be done after a call was erased, or what was said in it was blanked, so that nothing of it is left in files:
    /// asked for in the same transaction.
    fn gone(&self, organization: OrganizationNumber) -> Option<NewJob>;

    /// Jobs that were asked for are on disk.
    fn asked(&self);
}

/// Nothing is kept outside the store.
impl Outside for () {
    fn recorded(&self, _: &CallHead, _: &str) -> Vec<NewJob> {
        Vec::new()
    }

    fn recorded_elsewhere(&self, _: &CallHead, _: Option<&OrganizationName>) -> Option<NewJob> {
        None
    }

    fn forgotten(&self, _: OrganizationNumber, _: &CallName) -> Option<NewJob> {
        None
    }

    fn discard(&self, _: OrganizationNumber, _: &CallName) {}

    fn gone(&self, _: OrganizationNumber) -> Option<NewJob> {
        None
    }

    fn asked(&self) {}
}
