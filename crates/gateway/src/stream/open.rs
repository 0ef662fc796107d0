//! How many connections there are, and whose.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Connections that are open, of all doors.
#[derive(Debug)]
pub(crate) struct Open {
    most: usize,
    most_each: usize,
    now: Mutex<Now>,
}

#[derive(Debug, Default)]
struct Now {
    all: usize,
    each: HashMap<IpAddr, usize>,
    refused: u64,
}

/// A connection's place. Dropped, there is room for another.
#[derive(Debug)]
pub(super) struct Place {
    open: Arc<Open>,
    address: IpAddr,
}

impl Open {
    /// Room for so many on the whole, and so many of one address.
    pub(crate) fn with_room(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Self { most, most_each, now: Mutex::default() })
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more of this address; none where there are as many as may be.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut now = self.now();
        let each = now.each.get(&address).copied().unwrap_or(0);
        if now.all >= self.most || each >= self.most_each {
            now.refused += 1;
            return None;
        }
        now.all += 1;
        now.each.insert(address, each + 1);
        Some(Place { open: self.clone(), address })
    }

    /// How many there are, and how many were refused.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let now = self.now();
        (now.all, now.refused)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.open.now();
        now.all = now.all.saturating_sub(1);
        match now.each.get(&self.address) {
            Some(each) if *each > 1 => {
                let each = each - 1;
                now.each.insert(self.address, each);
            }
            _ => {
                now.each.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_of_all_and_of_each() {
        let open = Open::with_room(3, 2);
        let [first, second]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let places: Vec<Place> = (0..2).map(|_| open.enter(first).unwrap()).collect();
        assert!(open.enter(first).is_none(), "two of one");
        let third = open.enter(second).unwrap();
        assert!(open.enter(second).is_none(), "three in all");
        assert_eq!(open.counts(), (3, 2));
        drop(places);
        drop(third);
        assert_eq!(open.counts(), (0, 2));
        assert!(open.now().each.is_empty());
    }
}
