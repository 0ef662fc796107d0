//! The events of one call, in the order they happened.

use std::cmp::Ordering;

use crate::Event;

/// The set of the events of one call: ordered by (time, id), each id once. Never empty.
#[derive(Clone, Debug)]
pub struct History {
    events: Vec<Event>,
}

fn order(one: &Event, other: &Event) -> Ordering {
    one.at.cmp(&other.at).then_with(|| one.id.cmp(&other.id))
}

impl History {
    /// The history that begins with the first event known of a call.
    pub fn opened_by(event: Event) -> Self {
        Self { events: vec![event] }
    }

    /// The set of these events; `None` when there are none. Of events that share an id one is kept.
    pub fn of(events: impl IntoIterator<Item = Event>) -> Option<Self> {
        let mut events: Vec<Event> = events.into_iter().collect();
        events.sort_by(order);
        let mut seen = std::collections::HashSet::with_capacity(events.len());
        events.retain(|event| seen.insert(event.id.clone()));
        if events.is_empty() { None } else { Some(Self { events }) }
    }

    /// Takes one more event to its place; the caller has made sure that its id is new.
    pub fn insert(&mut self, event: Event) {
        let place = self.events.partition_point(|known| order(known, &event) == Ordering::Less);
        self.events.insert(place, event);
    }

    /// Whether this event comes after all others.
    pub(crate) fn is_before(&self, event: &Event) -> bool {
        self.events.last().is_none_or(|last| order(last, event) == Ordering::Less)
    }

    /// The events, oldest first.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}
