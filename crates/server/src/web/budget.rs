//! The memory for bodies of requests that are held at one time, and how it is shared.
//!
//! A body takes what has arrived of it, not what it may become. Each sender has a share; the oldest body of a sender may go
//! beyond it, and the oldest of all beyond the whole, so that of bodies which wait for each other one always goes on.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::auth::Principal;

/// Whose memory it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sender {
    /// Everybody who shows no key.
    #[default]
    Stranger,
    /// A key, by its id.
    Key(Arc<str>),
}

impl Sender {
    /// Whoever was let in; a link and an opened dialect let strangers in.
    pub fn of(principal: Option<&Principal>) -> Self {
        principal.map_or(Self::Stranger, |principal| Self::Key(Arc::clone(&principal.key_id)))
    }
}

/// The memory for bodies.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    share_bytes: usize,
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    next: u64,
    /// Bodies that are still arriving, the oldest first.
    arriving: BTreeSet<u64>,
    by_sender: HashMap<Sender, OfSender>,
}

#[derive(Debug, Default)]
struct OfSender {
    taken: usize,
    bodies: usize,
    arriving: BTreeSet<u64>,
}

/// What one body takes; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Portion {
    budget: Arc<Budget>,
    sender: Sender,
    number: u64,
    taken: usize,
}

impl Budget {
    pub(super) fn new(bytes: usize, share_bytes: usize) -> Arc<Self> {
        Arc::new(Self { bytes, share_bytes, state: Mutex::default(), freed: Notify::new() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a body that begins to arrive.
    pub(super) fn begin(self: &Arc<Self>, sender: Sender) -> Portion {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.arriving.insert(number);
        let of_sender = state.by_sender.entry(sender.clone()).or_default();
        of_sender.arriving.insert(number);
        of_sender.bodies += 1;
        drop(state);
        Portion { budget: Arc::clone(self), sender, number, taken: 0 }
    }
}

impl Portion {
    /// Takes memory for so many bytes more, once there is some.
    pub(super) async fn take(&mut self, bytes: usize) {
        let budget = Arc::clone(&self.budget);
        loop {
            let mut freed = std::pin::pin!(budget.freed.notified());
            // What is given back between the look and the wait counts.
            freed.as_mut().enable();
            if self.takes(bytes) {
                return;
            }
            freed.await;
        }
    }

    fn takes(&mut self, bytes: usize) -> bool {
        let mut state = self.budget.state();
        let is_oldest = state.arriving.first() == Some(&self.number);
        let fits = state.taken + bytes <= self.budget.bytes || is_oldest;
        let Some(of_sender) = state.by_sender.get_mut(&self.sender) else { return false };
        let is_oldest_of_sender = of_sender.arriving.first() == Some(&self.number);
        let fits_share = of_sender.taken + bytes <= self.budget.share_bytes || is_oldest_of_sender;
        if !(fits && fits_share) {
            return false;
        }
        of_sender.taken += bytes;
        state.taken += bytes;
        self.taken += bytes;
        true
    }

    /// The body is whole: it waits for nothing any more.
    pub(super) fn arrived(&self) {
        let mut state = self.budget.state();
        state.arriving.remove(&self.number);
        if let Some(of_sender) = state.by_sender.get_mut(&self.sender) {
            of_sender.arriving.remove(&self.number);
        }
        drop(state);
        // Another is the oldest now.
        self.budget.freed.notify_waiters();
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        self.arrived();
        let mut state = self.budget.state();
        state.taken = state.taken.saturating_sub(self.taken);
        if let Some(of_sender) = state.by_sender.get_mut(&self.sender) {
            of_sender.taken = of_sender.taken.saturating_sub(self.taken);
            of_sender.bodies -= 1;
            if of_sender.bodies == 0 {
                state.by_sender.remove(&self.sender);
            }
        }
        drop(state);
        self.budget.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn key(name: &str) -> Sender {
        Sender::Key(name.into())
    }

    fn takes(portion: &mut Portion, bytes: usize) -> bool {
        portion.take(bytes).now_or_never().is_some()
    }

    #[test]
    fn a_key_takes_its_share_and_leaves_the_rest_to_others() {
        let budget = Budget::new(100, 40);
        let [mut first, mut second] = [(); 2].map(|()| budget.begin(key("greedy")));
        assert!(takes(&mut first, 30));
        assert!(takes(&mut second, 10));
        assert!(!takes(&mut second, 1), "the share is taken");
        let mut other = budget.begin(key("other"));
        assert!(takes(&mut other, 40));
        drop(first);
        assert!(takes(&mut second, 30));
        drop((second, other));
        let state = budget.state();
        assert!(state.taken == 0 && state.by_sender.is_empty() && state.arriving.is_empty(), "{state:?}");
    }

    #[test]
    fn of_bodies_that_wait_for_each_other_the_oldest_goes_on() {
        let budget = Budget::new(100, 40);
        let mut bodies = ["a", "a", "b", "c"].map(|sender| budget.begin(key(sender)));
        let taken: Vec<bool> = bodies.iter_mut().map(|body| takes(body, 25)).collect();
        assert_eq!(taken, [true, false, true, true]);
        let more: Vec<bool> = bodies.iter_mut().map(|body| takes(body, 50)).collect();
        assert_eq!(more, [true, false, false, false], "the oldest of all goes beyond both");
        bodies[0].arrived();
        assert!(!takes(&mut bodies[2], 25), "the second is older");
        assert!(takes(&mut bodies[1], 25));
    }

    #[tokio::test]
    async fn who_waits_goes_on_when_memory_is_given_back() {
        let budget = Budget::new(100, 100);
        let mut first = budget.begin(key("a"));
        first.take(100).await;
        let mut second = budget.begin(key("b"));
        let waiting = tokio::spawn(async move {
            second.take(10).await;
            second
        });
        tokio::task::yield_now().await;
        drop(first);
        assert_eq!(waiting.await.unwrap().taken, 10);
    }
}
