//! Whether, when and why the call ended.

use std::collections::BTreeMap;

use super::legs::Legs;
use crate::{
    Cause, End, Ending, Event, Fact, LegId, Timestamp,
    explain::{Claim, Field, Why, Witness},
};

/// What the terminal events of a call come to.
pub(super) struct Verdict<'a> {
    void: Vec<bool>,
    decision: Option<Decision<'a>>,
}

/// The end that counts.
struct Decision<'a> {
    ended_at: Timestamp,
    end: &'a End,
}

/// A terminal event.
#[derive(Clone, Copy)]
struct Terminal<'a> {
    index: usize,
    event: &'a Event,
    end: &'a End,
}

impl Verdict<'_> {
    /// Whether this event is an end that does not count at all.
    pub(super) fn is_void(&self, index: usize) -> bool {
        self.void.get(index).copied().unwrap_or(false)
    }

    /// How the call ended, given when it was answered.
    pub(super) fn ending(&self, answered_at: Option<Timestamp>) -> Option<Ending> {
        let Decision { ended_at, end } = self.decision.as_ref()?;
        Some(Ending {
            answered_at,
            ended_at: *ended_at,
            cause: end.cause(),
            by: end.by,
            transfer: end.transfer,
            failed: end.failed,
            inferred: end.inferred,
        })
    }
}

/// Weighs the terminal events: one of the whole call that was told; else the legs; else one that was concluded.
pub(super) fn decide<'a>(events: &'a [Event], legs: &Legs<'_>, witness: &mut impl Witness) -> Verdict<'a> {
    let mut void = vec![false; events.len()];
    let terminals: Vec<Terminal<'a>> = events
        .iter()
        .enumerate()
        .filter_map(|(index, event)| match &event.fact {
            Fact::Ended(end) => Some(Terminal { index, event, end }),
            _ => None,
        })
        .collect();
    if terminals.is_empty() {
        return Verdict { void, decision: None };
    }
    for terminal in &terminals {
        if terminal.end.inferred && is_refuted(terminal, events) {
            void[terminal.index] = true;
            witness.dismisses(Field::End, terminal.index, Why::Refuted);
        }
    }
    let counted = || terminals.iter().copied().filter(|terminal| !void[terminal.index]);
    let told = counted().find(|terminal| terminal.event.leg.is_none() && !terminal.end.inferred);
    let chosen = told
        .map(|terminal| (terminal.event.at, terminal))
        .or_else(|| end_of_legs(events, &counted().collect::<Vec<_>>(), legs))
        .or_else(|| {
            let concluded = counted().find(|terminal| terminal.event.leg.is_none())?;
            Some((concluded.event.at, concluded))
        });
    if let Some((_, chosen)) = chosen {
        for other in terminals.iter().filter(|other| other.index != chosen.index && !void[other.index]) {
            let why = if other.event.leg.is_some() { Why::OtherLeg } else { Why::Superseded };
            witness.dismisses(Field::End, other.index, why);
        }
        witness.claims(Field::End, chosen.index, Claim::Last);
        // A concluded end gives way to one that was told, with all that it carries.
        for terminal in &terminals {
            void[terminal.index] |= terminal.end.inferred && !chosen.end.inferred;
        }
    }
    Verdict { void, decision: chosen.map(|(ended_at, terminal)| Decision { ended_at, end: terminal.end }) }
}

/// Whether the call, or the leg that this end speaks of, went on after this concluded end.
fn is_refuted(concluded: &Terminal<'_>, events: &[Event]) -> bool {
    let leg = concluded.event.leg.as_ref().map(|leg| &leg.id);
    events.iter().rev().take_while(|event| event.at > concluded.event.at).any(|event| {
        let told_end = matches!(&event.fact, Fact::Ended(end) if !end.inferred);
        let concerns = leg.is_none() || event.leg.as_ref().is_none_or(|other| Some(&other.id) == leg);
        concerns && (told_end || event.fact.shows_life())
    })
}

/// The end that the legs add up to: the originating leg and every other leg that has events must have ended, and the
/// call with the latest of them.
fn end_of_legs<'a>(
    events: &'a [Event],
    terminals: &[Terminal<'a>],
    legs: &Legs<'_>,
) -> Option<(Timestamp, Terminal<'a>)> {
    let mut ends: BTreeMap<&LegId, Option<Terminal<'a>>> = BTreeMap::new();
    for leg in events.iter().filter_map(|event| event.leg.as_ref()) {
        ends.entry(&leg.id).or_default();
    }
    for terminal in terminals {
        let Some(leg) = &terminal.event.leg else { continue };
        let known = ends.entry(&leg.id).or_default();
        // A source may report one leg in several records, each with its end: the leg is over at the last of them,
        // and what was told goes before what was concluded.
        if known.is_none_or(|known| known.end.inferred || !terminal.end.inferred) {
            *known = Some(*terminal);
        }
    }
    let ended: Vec<Terminal<'a>> = ends.into_values().collect::<Option<_>>()?;
    let of_origin =
        |terminal: &&Terminal<'a>| terminal.event.leg.as_ref().is_some_and(|leg| legs.is_origin(leg));
    let origin = ended.iter().filter(of_origin).max_by_key(|terminal| telling(terminal))?;
    let ended_at = ended.iter().map(|terminal| terminal.event.at).max()?;
    let handed_over =
        legs.handed_over() || events.iter().any(|event| matches!(event.fact, Fact::Transferred));
    let speaker = if handed_over { ended.iter().max_by_key(|terminal| telling(terminal))? } else { origin };
    Some((ended_at, *speaker))
}

/// Orders ends: the later, and of ends in the same instant the one that knows more of who hung up.
fn telling<'a>(terminal: &Terminal<'a>) -> (Timestamp, bool, bool, &'a crate::EventId) {
    let tells_cause = terminal.end.cause() != Cause::NormalClearing;
    (terminal.event.at, terminal.end.by.is_some(), tells_cause, &terminal.event.id)
}
