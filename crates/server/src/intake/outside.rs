//! Who else wants to know of calls, as far as the intake has to do with it.

use pegcount_calls::{Call, CallName, OpenEnd, OrganizationName};
use pegcount_store::{CallHead, NewJob, OrganizationNumber};

/// Somebody who wants something done when calls change: what is kept of them outside the store, what is made of them. Each
/// says what it is about, and leaves the rest as it is. Everything here is asked on the writer's thread; jobs are asked for
/// in the transaction of what causes them.
pub trait Outside: Send + Sync {
    /// What is to be done about a recording that an event names, which may be any name. It may cost a look at the disk.
    /// The call has these names, its own first, and is of the organization with this name.
    fn recorded(
        &self,
        _head: &CallHead,
        _names: &[CallName],
        _organization: Option<&OrganizationName>,
        _object: &str,
    ) -> Option<NewJob> {
        None
    }

    /// What is to be done about a recording of somebody else's that an event names by its URL. The call is of the
    /// organization with this name.
    fn recorded_elsewhere(
        &self,
        _head: &CallHead,
        _organization: Option<&OrganizationName>,
    ) -> Option<NewJob> {
        None
    }

    /// What is to be done about a call that is over and of which an end, an answer or a transcript was just told. Not asked
    /// of calls that opted out. The call is of the organization with this name.
    fn spoken(
        &self,
        _head: &CallHead,
        _organization: Option<&OrganizationName>,
        _call: &Call,
    ) -> Option<NewJob> {
        None
    }

    /// What is to be done about a call that is not over although every leg that is known of it has ended, one of them just
    /// now.
    fn left_open(&self, _head: &CallHead, _open: &OpenEnd) -> Option<NewJob> {
        None
    }

    /// What is to be done about a call that was erased, has opted out after it was recorded, or whose recording was deleted,
    /// where that takes longer than an answer may.
    fn forgotten(&self, _organization: OrganizationNumber, _call: &CallName) -> Option<NewJob> {
        None
    }

    /// Deletes what is here of such a call, before whoever told so is answered. It may block, and cannot fail: what stays
    /// is logged.
    fn discard(&self, _organization: OrganizationNumber, _call: &CallName) {}

    /// What is to be done after a call was erased, or something of it was blanked or deleted, so that nothing of it is left in files.
    fn gone(&self, _organization: OrganizationNumber) -> Option<NewJob> {
        None
    }

    /// Jobs that were asked for are on disk.
    fn asked(&self) {}
}

/// What all of them want done.
pub(super) fn wanted<'a>(
    outside: &'a [Box<dyn Outside>],
    ask: impl Fn(&dyn Outside) -> Option<NewJob> + 'a,
) -> impl Iterator<Item = NewJob> + 'a {
    outside.iter().filter_map(move |one| ask(one.as_ref()))
}
