//! Whose request is next: fair queuing by the time that the writer spends on each flow.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use pegcount_store::OrganizationNumber;

/// What an event is expected to cost before any of its flow was measured.
const FIRST_GUESS: Duration = Duration::from_micros(100);

/// Whose requests take turns with those of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Flow {
    /// An organization.
    Organization(OrganizationNumber),
    /// Orders that concern calls of any organization.
    Operator,
}

/// What was spent on a flow.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// On its events themselves.
    pub(super) time: Duration,
    /// Its part of what a commit takes, however few events there are.
    pub(super) commit: Duration,
    pub(super) events: usize,
}

/// Requests in the order of their arrival within each flow; the flow that had the least of the writer's time goes first.
///
/// A flow that was idle gains nothing by it: it begins where the one that is served now stands.
#[derive(Debug)]
pub(super) struct FairQueue<T> {
    flows: BTreeMap<Flow, Backlog<T>>,
    /// The flows with requests that wait, by their place: the least is next.
    order: BTreeSet<(Duration, Flow)>,
    /// The flows of which requests were taken since the last measure.
    taken: BTreeSet<Flow>,
    /// Virtual time: what the flow that was served last had been given.
    now: Duration,
}

#[derive(Debug)]
struct Backlog<T> {
    waiting: VecDeque<Entry<T>>,
    /// How much of the writer's time it was given.
    given: Duration,
    /// What those that were taken are expected to cost, until that is measured.
    expected: Duration,
    /// What one of its events costs: the mean of the latest measures.
    event_cost: Duration,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    events: usize,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { flows: BTreeMap::new(), order: BTreeSet::new(), taken: BTreeSet::new(), now: Duration::ZERO }
    }
}

impl<T> FairQueue<T> {
    /// Adds a request of so many events behind the others of its flow.
    pub(super) fn push(&mut self, flow: Flow, item: T, events: usize) {
        self.change(flow, |backlog| backlog.waiting.push_back(Entry { item, events }));
    }

    /// Puts the rest of a request back, in front of the others of its flow.
    pub(super) fn push_rest(&mut self, flow: Flow, item: T, events: usize) {
        self.change(flow, |backlog| backlog.waiting.push_front(Entry { item, events }));
    }

    /// Changes what is known of a flow, and its place with it.
    fn change<R>(&mut self, flow: Flow, change: impl FnOnce(&mut Backlog<T>) -> R) -> R {
        let now = self.now;
        let backlog = self.flows.entry(flow).or_insert_with(|| Backlog {
            waiting: VecDeque::new(),
            given: now,
            expected: Duration::ZERO,
            event_cost: FIRST_GUESS,
        });
        if backlog.waiting.is_empty() {
            backlog.given = backlog.given.max(now);
        } else {
            self.order.remove(&(backlog.place(), flow));
        }
        let result = change(backlog);
        if !backlog.waiting.is_empty() {
            self.order.insert((backlog.place(), flow));
        }
        result
    }

    /// The request that is next.
    pub(super) fn peek(&self) -> Option<&T> {
        let (_, flow) = self.order.first()?;
        self.flows.get(flow)?.waiting.front().map(|entry| &entry.item)
    }

    /// Takes the request that is next, and tells what one of its events is expected to cost.
    pub(super) fn pop(&mut self) -> Option<(T, Duration)> {
        let (_, flow) = *self.order.first()?;
        self.taken.insert(flow);
        let (taken, given) = self.change(flow, |backlog| (backlog.take(), backlog.given));
        self.now = self.now.max(given);
        taken
    }

    /// Replaces what the requests that were taken were expected to cost by what was measured.
    pub(super) fn settle(&mut self, spent: &BTreeMap<Flow, Spent>) {
        for flow in std::mem::take(&mut self.taken) {
            let spent = spent.get(&flow);
            self.change(flow, |backlog| backlog.settle(spent));
        }
        let now = self.now;
        // One that is not ahead of the others need not be remembered.
        self.flows.retain(|_, backlog| !backlog.waiting.is_empty() || backlog.given > now);
    }

    /// Drops all that waits.
    pub(super) fn clear(&mut self) {
        self.flows.clear();
        self.order.clear();
    }
}

impl<T> Backlog<T> {
    /// The flow with the least is served next.
    fn place(&self) -> Duration {
        self.given.saturating_add(self.expected)
    }

    fn take(&mut self) -> Option<(T, Duration)> {
        let Entry { item, events } = self.waiting.pop_front()?;
        self.expected = self.expected.saturating_add(self.event_cost.saturating_mul(at_least_one(events)));
        Some((item, self.event_cost))
    }

    fn settle(&mut self, spent: Option<&Spent>) {
        self.expected = Duration::ZERO;
        let Some(Spent { time, commit, events }) = spent else { return };
        self.given = self.given.saturating_add(*time).saturating_add(*commit);
        if *events > 0 {
            self.event_cost = (self.event_cost + *time / at_least_one(*events)) / 2;
        }
    }
}

fn at_least_one(events: usize) -> u32 {
    u32::try_from(events.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Flow = Flow::Organization(OrganizationNumber(1));
    const DEAR: Flow = Flow::Organization(OrganizationNumber(2));

    fn millis(flow: Flow) -> u64 {
        if flow == DEAR { 100 } else { 1 }
    }

    /// Serves one request in a batch of its own.
    fn serve(queue: &mut FairQueue<(Flow, u32)>) -> (Flow, u32) {
        let (taken, _) = queue.pop().unwrap();
        let spent = Spent { time: Duration::from_millis(millis(taken.0)), events: 1, ..Spent::default() };
        queue.settle(&[(taken.0, spent)].into());
        taken
    }

    fn queue(flows: &[(Flow, u32)]) -> FairQueue<(Flow, u32)> {
        let mut queue = FairQueue::default();
        for (flow, count) in flows {
            (0..*count).for_each(|number| queue.push(*flow, (*flow, number), 1));
        }
        queue
    }

    #[test]
    fn flows_share_the_time_and_not_the_turns() {
        let mut queue = queue(&[(DEAR, 50), (CHEAP, 500)]);
        let served: Vec<Flow> = (0..404).map(|_| serve(&mut queue).0).collect();
        let dear = served.iter().filter(|flow| **flow == DEAR).count();
        assert_eq!(dear, 4);
    }

    #[test]
    fn a_newcomer_is_next_however_much_waits() {
        let mut queue = queue(&[(DEAR, 50)]);
        (0..10).for_each(|_| _ = serve(&mut queue));
        queue.push(CHEAP, (CHEAP, 0), 1);
        assert_eq!(serve(&mut queue).0, CHEAP);
        assert_eq!(serve(&mut queue), (DEAR, 10));
    }

    #[test]
    fn one_that_was_idle_has_saved_nothing() {
        let mut queue = queue(&[(CHEAP, 1), (DEAR, 50)]);
        (0..20).for_each(|_| _ = serve(&mut queue));
        (0..500).for_each(|number| queue.push(CHEAP, (CHEAP, number), 1));
        let served: Vec<Flow> = (0..302).map(|_| serve(&mut queue).0).collect();
        assert_eq!(served.iter().filter(|flow| **flow == DEAR).count(), 2);
    }

    #[test]
    fn one_that_sends_one_request_at_a_time_pays_for_all_of_them() {
        let mut queue = queue(&[(CHEAP, 500)]);
        let mut dear = 0;
        for _ in 0..300 {
            if queue.flows.get(&DEAR).is_none_or(|backlog| backlog.waiting.is_empty()) {
                queue.push(DEAR, (DEAR, 0), 1);
            }
            dear += u32::from(serve(&mut queue).0 == DEAR);
        }
        assert_eq!(dear, 3);
    }

    #[test]
    fn requests_of_one_batch_are_shared_by_what_they_are_expected_to_cost() {
        let mut queue = queue(&[(DEAR, 50), (CHEAP, 500)]);
        (0..202).for_each(|_| _ = serve(&mut queue));
        let batch: Vec<Flow> = (0..202).map(|_| queue.pop().unwrap().0.0).collect();
        assert!(batch.iter().filter(|flow| **flow == DEAR).count() <= 4, "{batch:?}");
    }

    #[test]
    fn a_commit_counts_and_does_not_make_events_dear() {
        let mut queue = queue(&[(CHEAP, 2)]);
        let (taken, guess) = queue.pop().unwrap();
        let spent = Spent { time: guess, commit: Duration::from_secs(1), events: 1 };
        queue.settle(&[(taken.0, spent)].into());
        queue.push(DEAR, (DEAR, 0), 1);
        assert_eq!(queue.pop().unwrap().0, (DEAR, 0));
        assert_eq!(queue.pop().unwrap(), ((CHEAP, 1), guess));
    }

    #[test]
    fn a_flow_keeps_its_order_and_a_rest_goes_first() {
        let mut queue = queue(&[(CHEAP, 3)]);
        let first = serve(&mut queue);
        queue.push_rest(CHEAP, first, 1);
        let order: Vec<u32> = (0..3).map(|_| serve(&mut queue).1).collect();
        assert_eq!(order, [0, 1, 2]);
        assert!(queue.pop().is_none() && queue.peek().is_none());
    }
}
