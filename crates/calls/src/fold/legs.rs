//! Which leg originated the call.

use std::collections::HashSet;

use crate::{CallLeg, Event, Fact, LegId};

/// The leg that an event brings into play: `call_seen` and `x_` events say nothing of the call, so nothing of its legs.
pub(super) fn leg_in_play(event: &Event) -> Option<&CallLeg> {
    event.leg.as_ref().filter(|_| !matches!(event.fact, Fact::Seen | Fact::Other))
}

/// The legs that the events of a call speak of.
pub(super) struct Legs<'a> {
    origin: Option<&'a LegId>,
    dialled: HashSet<&'a LegId>,
    handed_over: bool,
}

impl<'a> Legs<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let legs = || events.iter().filter_map(leg_in_play);
        let dialled: HashSet<&LegId> = legs().filter_map(|leg| leg.dialled.as_ref()).collect();
        let named = legs().map(|leg| &leg.id).find(|id| id.is_origin());
        let undialled = || legs().find(|leg| leg.origin_unless_dialled && !dialled.contains(&leg.id));
        let origin = named.or_else(|| undialled().map(|leg| &leg.id));
        // Somebody was called and calls on: that is how a CDR shows a transfer.
        let handed_over = legs().any(|leg| leg.origin_unless_dialled && dialled.contains(&leg.id));
        Self { origin, dialled, handed_over }
    }

    /// Whether a dialled leg dialled on by itself.
    pub(super) fn handed_over(&self) -> bool {
        self.handed_over
    }

    /// Whether this leg is the originating one, or speaks for it.
    pub(super) fn is_origin(&self, leg: &CallLeg) -> bool {
        self.origin == Some(&leg.id) || (leg.origin_unless_dialled && !self.dialled.contains(&leg.id))
    }

    /// Whether the event speaks of the call or of its originating leg.
    pub(super) fn is_of_origin(&self, event: &Event) -> bool {
        event.leg.as_ref().is_none_or(|leg| self.is_origin(leg))
    }
}
