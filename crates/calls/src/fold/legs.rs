//! Which leg originated the call.

use std::collections::HashSet;

use crate::{CallLeg, Event, Fact, LegId, Setup};

/// The leg that an event brings into play: `call_seen` and `x_` events say nothing of the call, so nothing of its legs.
pub(super) fn leg_in_play(event: &Event) -> Option<&CallLeg> {
    event.leg.as_ref().filter(|_| !matches!(event.fact, Fact::Seen | Fact::Other))
}

fn tells_parties_of_call(event: &Event) -> bool {
    let tells = |setup: &Setup| setup.from_number.is_some() || setup.to_number.is_some();
    event.leg.is_none() && event.fact.setup().is_some_and(tells)
}

/// The legs that the events of a call speak of.
pub(super) struct Legs<'a> {
    origin: Option<&'a LegId>,
    dialled: HashSet<&'a LegId>,
    handed_over: bool,
    /// Whether the call itself or its originating leg gives the numbers.
    parties_are_told: bool,
}

impl<'a> Legs<'a> {
    pub(super) fn of(events: &'a [Event]) -> Self {
        let legs: Vec<&CallLeg> = events.iter().filter_map(leg_in_play).collect();
        let dialled: HashSet<&LegId> = legs.iter().filter_map(|leg| leg.dialled.as_ref()).collect();
        let may_be_origin = || legs.iter().filter(|leg| leg.origin_unless_dialled);
        let named = legs.iter().map(|leg| &leg.id).find(|id| id.is_origin());
        let undialled = || may_be_origin().find(|leg| !dialled.contains(&leg.id));
        // Where each leg was dialled by another one, the first of them began.
        let first = || may_be_origin().next();
        let origin = named.or_else(|| undialled().or_else(first).map(|leg| &leg.id));
        let parties_are_told =
            legs.is_empty() || origin.is_some() || events.iter().any(tells_parties_of_call);
        // A leg that was dialled and dials on: a CDR shows a transfer so.
        let handed_over = may_be_origin().any(|leg| dialled.contains(&leg.id));
        Self { origin, dialled, handed_over, parties_are_told }
    }

    /// Whether an event speaks of the originating leg.
    pub(super) fn know_origin(&self) -> bool {
        self.origin.is_some()
    }

    /// Whether a dialled leg dialled on by itself.
    pub(super) fn handed_over(&self) -> bool {
        self.handed_over
    }

    /// Whether this leg is the originating one, or speaks for it.
    pub(super) fn is_origin(&self, leg: &CallLeg) -> bool {
        self.origin == Some(&leg.id) || (leg.origin_unless_dialled && !self.dialled.contains(&leg.id))
    }

    /// Whether the event's numbers count: those of the call or its originating leg, else of any leg.
    pub(super) fn give_parties(&self, event: &Event) -> bool {
        !self.parties_are_told || self.is_of_origin(event)
    }

    /// Whether the event speaks of the call or of its originating leg.
    pub(super) fn is_of_origin(&self, event: &Event) -> bool {
        event.leg.as_ref().is_none_or(|leg| self.is_origin(leg))
    }
}
