//! Whether, when and why the call ended.

use std::collections::{BTreeMap, HashMap};

use super::legs::{Legs, leg_in_play};
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
    let life = SignsOfLife::of(events);
    for terminal in &terminals {
        if terminal.end.inferred && life.refute(terminal) {
            void[terminal.index] = true;
            witness.dismisses(Field::End, terminal.index, Why::Refuted);
        }
    }
    let counted = || terminals.iter().copied().filter(|terminal| !void[terminal.index]);
    let legless = |inferred: bool| {
        counted()
            .find(|terminal| terminal.event.leg.is_none() && terminal.end.inferred == inferred)
            .map(|terminal| (terminal.event.at, terminal))
    };
    let chosen = legless(false).or_else(|| {
        let of_legs = end_of_legs(events, &counted().collect::<Vec<_>>(), legs);
        let told = |of_legs: &&EndOfLegs<'_>| of_legs.told;
        let chosen = |of_legs: &EndOfLegs<'a>| (of_legs.ended_at, of_legs.speaker);
        of_legs.as_ref().filter(told).map(chosen).or_else(|| legless(true)).or(of_legs.as_ref().map(chosen))
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

/// When the call, and each of its legs, last showed that it went on.
struct SignsOfLife<'a> {
    of_call: Option<Timestamp>,
    without_leg: Option<Timestamp>,
    of_legs: HashMap<&'a LegId, Timestamp>,
}

impl<'a> SignsOfLife<'a> {
    fn of(events: &'a [Event]) -> Self {
        let mut signs = Self { of_call: None, without_leg: None, of_legs: HashMap::new() };
        for event in events {
            let told_end = matches!(&event.fact, Fact::Ended(end) if !end.inferred);
            if !told_end && !event.fact.shows_life() {
                continue;
            }
            // The events come in the order of time, so the last one is the latest.
            signs.of_call = Some(event.at);
            match &event.leg {
                None => signs.without_leg = Some(event.at),
                Some(leg) => _ = signs.of_legs.insert(&leg.id, event.at),
            }
        }
        signs
    }

    /// Whether the call, or the leg that this end speaks of, went on after this concluded end.
    fn refute(&self, concluded: &Terminal<'_>) -> bool {
        let latest = match &concluded.event.leg {
            None => self.of_call,
            Some(leg) => self.without_leg.max(self.of_legs.get(&leg.id).copied()),
        };
        latest.is_some_and(|latest| latest > concluded.event.at)
    }
}

/// What the legs add up to, once all are over.
struct EndOfLegs<'a> {
    ended_at: Timestamp,
    /// The end that gives cause and source.
    speaker: Terminal<'a>,
    /// Whether any of the ends was told.
    told: bool,
}

/// The end that the legs add up to: the originating leg and every other leg that has events must have ended, and the
/// call with the latest of them.
fn end_of_legs<'a>(
    events: &'a [Event],
    terminals: &[Terminal<'a>],
    legs: &Legs<'_>,
) -> Option<EndOfLegs<'a>> {
    let mut ends: BTreeMap<&LegId, Option<Terminal<'a>>> = BTreeMap::new();
    for leg in events.iter().filter_map(leg_in_play) {
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
    let told = ended.iter().any(|terminal| !terminal.end.inferred);
    Some(EndOfLegs { ended_at, speaker: *speaker, told })
}

/// Orders ends: the later, and of ends in the same instant the one that knows more of who hung up.
fn telling<'a>(terminal: &Terminal<'a>) -> (Timestamp, bool, bool, &'a crate::EventId) {
    let tells_cause = terminal.end.cause() != Cause::NormalClearing;
    (terminal.event.at, terminal.end.by.is_some(), tells_cause, &terminal.event.id)
}
