//! Who works on the recordings of which call: one at a time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use pegcount_calls::CallName;
use pegcount_store::OrganizationNumber;
use tokio::sync::OwnedMutexGuard;

type Whose = (OrganizationNumber, CallName);
type Places = Arc<Mutex<HashMap<Whose, Arc<tokio::sync::Mutex<()>>>>>;

/// The calls whose recordings are worked on. As large as what is under way. One for all work on recordings: a copy is the
/// same.
#[derive(Clone, Default)]
pub struct Busy(Places);

/// Nobody else works on the recordings of a call until this is dropped.
pub(super) struct Alone {
    places: Places,
    whose: Whose,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Busy {
    /// Waits until nobody else works on the recordings of this call.
    pub(super) async fn alone(&self, organization: OrganizationNumber, call: &CallName) -> Alone {
        let whose = (organization, call.clone());
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(places.entry(whose.clone()).or_default())
        };
        // Made before it waits: who gives up waiting leaves nothing behind either.
        let mut alone = Alone { places: Arc::clone(&self.0), whose, guard: None };
        alone.guard = Some(place.lock_owned().await);
        alone
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.get(&self.whose).is_some_and(|place| Arc::strong_count(place) == 1) {
            places.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const ONE: OrganizationNumber = OrganizationNumber(1);

    #[tokio::test]
    async fn one_works_on_a_call_at_a_time_and_nothing_is_left_behind() {
        let busy = Busy::default();
        let [a, b] = ["a", "b"].map(|name| CallName::new(name).unwrap());
        let first = busy.alone(ONE, &a).await;
        assert!(busy.alone(ONE, &a).now_or_never().is_none());
        let other = busy.alone(ONE, &b).now_or_never().unwrap();
        let mut second = Box::pin(busy.alone(ONE, &a));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        let second = second.await;
        assert!(busy.alone(ONE, &a).now_or_never().is_none());
        drop((second, other));
        assert!(busy.0.lock().unwrap().is_empty());
    }
}
