//! What a thread of the store is asked to do: orders add up until it takes them, all at once.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The orders that a thread has not taken yet.
#[derive(Default)]
pub(super) struct Board<T> {
    orders: Mutex<T>,
    changed: Condvar,
}

impl<T> Board<T> {
    /// Adds to the orders. It never waits for the thread.
    pub(super) fn order(&self, change: impl FnOnce(&mut T)) {
        change(&mut self.look());
        self.changed.notify_one();
    }

    /// The orders as they are.
    pub(super) fn look(&self) -> MutexGuard<'_, T> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the orders may have changed, or for as long as this.
    pub(super) fn wait<'a>(&self, orders: MutexGuard<'a, T>, limit: Option<Duration>) -> MutexGuard<'a, T> {
        match limit {
            None => self.changed.wait(orders).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => self.changed.wait_timeout(orders, limit).unwrap_or_else(PoisonError::into_inner).0,
        }
    }
}
