//! The calls in progress, and who watches them.
//!
//! Every count of live calls there is comes from the one set kept here: a set of calls, never a number counted up and
//! down, so it cannot drift. It changes only after a commit ([`crate::intake`]), and is rebuilt from the store at start.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use pegcount_calls::Status;
use pegcount_store::{CallKey, OpenCall, OrganizationNumber};
use tokio::sync::broadcast;

/// How many changes a watcher may lag behind before it is given the newest counts instead.
const WATCHER_BACKLOG: usize = 1024;

/// One change of an organization's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose count changed.
    pub organization: OrganizationNumber,
    /// Its live calls now.
    pub count: usize,
    /// All live calls now.
    pub total: usize,
    /// Whether `total` is another than before.
    pub total_changed: bool,
}

/// All counts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All live calls.
    pub total: usize,
    /// Those of each organization that has any.
    pub by_organization: BTreeMap<OrganizationNumber, usize>,
}

#[derive(Default)]
struct Set {
    calls: HashMap<OrganizationNumber, HashMap<CallKey, Status>>,
    total: usize,
}

/// The set of live calls.
pub struct Live {
    set: Mutex<Set>,
    changes: broadcast::Sender<Arc<Change>>,
}

impl Live {
    /// The set of these calls.
    pub fn of(calls: Vec<OpenCall>) -> Self {
        let mut set = Set::default();
        for call in calls {
            set.put(call.organization, call.key, Some(call.status));
        }
        Self { set: Mutex::new(set), changes: broadcast::channel(WATCHER_BACKLOG).0 }
    }

    fn set(&self) -> MutexGuard<'_, Set> {
        // The set is whole between any two statements, so a panic elsewhere cannot have left it torn.
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes where calls stand now, `None` or a status that is not live taking them out, and tells the watchers.
    pub fn apply(&self, updates: &[(OrganizationNumber, CallKey, Option<Status>)]) {
        let mut set = self.set();
        let mut before: BTreeMap<OrganizationNumber, usize> = BTreeMap::new();
        for (organization, key, status) in updates {
            let count = set.count(*organization);
            before.entry(*organization).or_insert(count);
            set.put(*organization, *key, *status);
        }
        // Told one after the other, with the total as if they had happened so.
        let mut total = set.total;
        let changed: Vec<_> = before
            .into_iter()
            .map(|(organization, before)| (organization, before, set.count(organization)))
            .filter(|(_, before, count)| before != count)
            .collect();
        for (_, before, count) in &changed {
            total = (total + before).saturating_sub(*count);
        }
        for (organization, before, count) in changed {
            let total_before = total;
            total = (total + count).saturating_sub(before);
            let change = Change { organization, count, total, total_changed: total != total_before };
            // An error only says that nobody watches. Sent under the lock, so that all see changes in one order.
            let _ = self.changes.send(Arc::new(change));
        }
    }

    /// How many calls of an organization are live.
    pub fn count(&self, organization: OrganizationNumber) -> usize {
        self.set().count(organization)
    }

    /// How many calls are live.
    pub fn total(&self) -> usize {
        self.set().total
    }

    /// How many calls of an organization stand where.
    pub fn by_status(&self, organization: OrganizationNumber) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        for status in self.set().calls.get(&organization).into_iter().flat_map(HashMap::values) {
            *counts.entry(*status).or_default() += 1;
        }
        counts
    }

    /// All counts now, and every change from now on. A watcher that lags too far behind gets
    /// [`broadcast::error::RecvError::Lagged`] and should take [`Live::counts`] anew.
    pub fn watch(&self) -> (Counts, broadcast::Receiver<Arc<Change>>) {
        let set = self.set();
        (set.counts(), self.changes.subscribe())
    }

    /// All counts now.
    pub fn counts(&self) -> Counts {
        self.set().counts()
    }
}

impl Set {
    fn put(&mut self, organization: OrganizationNumber, key: CallKey, status: Option<Status>) {
        let calls = self.calls.entry(organization).or_default();
        let before = calls.len();
        match status.filter(|status| status.is_live()) {
            Some(status) => calls.insert(key, status),
            None => calls.remove(&key),
        };
        let after = calls.len();
        if after == 0 {
            self.calls.remove(&organization);
        }
        self.total = (self.total + after).saturating_sub(before);
    }

    fn count(&self, organization: OrganizationNumber) -> usize {
        self.calls.get(&organization).map_or(0, HashMap::len)
    }

    fn counts(&self) -> Counts {
        let by_organization = self.calls.iter().map(|(number, calls)| (*number, calls.len())).collect();
        Counts { total: self.total, by_organization }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: OrganizationNumber = OrganizationNumber(1);
    const TWO: OrganizationNumber = OrganizationNumber(2);

    fn told(changes: &mut broadcast::Receiver<Arc<Change>>) -> Vec<(i64, usize, usize, bool)> {
        std::iter::from_fn(|| changes.try_recv().ok())
            .map(|change| (change.organization.0, change.count, change.total, change.total_changed))
            .collect()
    }

    #[test]
    fn the_same_news_twice_counts_once() {
        let live = Live::of(vec![]);
        let (_, mut changes) = live.watch();
        live.apply(&[(ONE, CallKey(1), Some(Status::Ringing)), (ONE, CallKey(1), Some(Status::InProgress))]);
        live.apply(&[(ONE, CallKey(1), Some(Status::InProgress))]);
        live.apply(&[(ONE, CallKey(1), Some(Status::Completed))]);
        live.apply(&[(ONE, CallKey(1), None)]);
        assert_eq!(told(&mut changes), [(1, 1, 1, true), (1, 0, 0, true)]);
        assert_eq!(live.counts(), Counts::default());
    }

    #[test]
    fn changes_of_one_batch_are_told_one_after_the_other_with_a_running_total() {
        let live = Live::of(vec![OpenCall { key: CallKey(1), organization: ONE, status: Status::Ringing }]);
        let (counts, mut changes) = live.watch();
        assert_eq!(counts.total, 1);
        live.apply(&[(ONE, CallKey(1), None), (TWO, CallKey(2), Some(Status::Initiated))]);
        assert_eq!(told(&mut changes), [(1, 0, 0, true), (2, 1, 1, true)]);
    }
}
