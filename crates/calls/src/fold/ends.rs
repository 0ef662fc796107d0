//! Whether, when and why the call ended.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::legs::{Legs, leg_in_play};
use crate::{
    Cause, End, Ending, Event, Fact, LegId, Party, Timestamp,
    explain::{Claim, Field, Why, Witness},
};

/// What the terminal events of a call come to.
pub(super) struct Verdict<'a> {
    void: Vec<bool>,
    /// The concluded ends that nothing has refuted.
    conclusions: Vec<usize>,
    decision: Option<Decision<'a>>,
}

/// The end that counts.
struct Decision<'a> {
    ended_at: Timestamp,
    end: &'a End,
    /// No source reported that the call is over: it follows from what was reported.
    inferred: bool,
    /// How long the parties talked, where the end speaks of the whole call and says so.
    stated_talk_millis: Option<i64>,
}

impl<'a> Decision<'a> {
    fn of(terminal: &Terminal<'a>) -> Self {
        let end = terminal.end;
        let speaks_of_call = terminal.event.leg.is_none() && !end.inferred;
        let stated_talk_millis = end.talk_millis.filter(|&talk| speaks_of_call && talk > 0);
        Self { ended_at: terminal.event.at, end, inferred: end.inferred, stated_talk_millis }
    }

    fn of_legs(legs: &EndOfLegs<'a>) -> Self {
        let end = legs.speaker.end;
        let inferred = end.inferred || legs.is_conclusion;
        Self { ended_at: legs.ended_at, end, inferred, stated_talk_millis: None }
    }
}

/// What is left to conclude of a call whose known legs have all ended, none of them the originating one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEnd {
    /// When the last of its legs ended.
    pub at: Timestamp,
    /// The cause.
    pub cause: Cause,
    /// Who ended it, where a source reported that.
    pub by: Option<Party>,
    /// It was reported as failed rather than completed.
    pub failed: bool,
    /// The only legs that are known were given up since another one took the call.
    pub goes_on_elsewhere: bool,
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

    /// The events that conclude an end which nothing has refuted.
    pub(super) fn conclusions(&self) -> &[usize] {
        &self.conclusions
    }

    /// When the call ended.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        self.decision.as_ref().map(|decision| decision.ended_at)
    }

    /// How long the parties talked, as the end of the whole call states it.
    pub(super) fn stated_talk_millis(&self) -> Option<i64> {
        self.decision.as_ref()?.stated_talk_millis
    }

    /// How the call ended, given when it was answered.
    pub(super) fn ending(&self, answered_at: Option<Timestamp>) -> Option<Ending> {
        let Decision { ended_at, end, inferred, .. } = self.decision.as_ref()?;
        Some(Ending {
            answered_at,
            ended_at: *ended_at,
            cause: end.cause(),
            by: end.by,
            transfer: end.transfer,
            failed: end.failed,
            inferred: *inferred,
        })
    }
}

/// Weighs the terminal events: one of the whole call that was told; else the legs; else one that was concluded.
pub(super) fn decide<'a>(events: &'a [Event], legs: &Legs<'_>, witness: &mut impl Witness) -> Verdict<'a> {
    let mut void = vec![false; events.len()];
    let terminals = terminals(events);
    if terminals.is_empty() {
        return Verdict { void, conclusions: Vec::new(), decision: None };
    }
    let life = SignsOfLife::of(events);
    for terminal in &terminals {
        if terminal.end.inferred && life.refute(terminal) {
            void[terminal.index] = true;
            witness.dismisses(Field::End, terminal.index, Why::Refuted);
        }
    }
    let counted: Vec<Terminal<'a>> =
        terminals.iter().copied().filter(|terminal| !void[terminal.index]).collect();
    let conclusions =
        counted.iter().filter(|terminal| terminal.end.inferred).map(|terminal| terminal.index).collect();
    let legless = |inferred: bool| {
        let of_call =
            |terminal: &&Terminal<'a>| terminal.event.leg.is_none() && terminal.end.inferred == inferred;
        counted.iter().find(of_call).map(|terminal| (*terminal, Decision::of(terminal)))
    };
    let chosen = legless(false).or_else(|| {
        let of_legs = end_of_legs(events, &counted, legs, &life);
        let chosen = |of_legs: &EndOfLegs<'a>| (of_legs.speaker, Decision::of_legs(of_legs));
        let told = of_legs.as_ref().filter(|of_legs| of_legs.told).map(chosen);
        told.or_else(|| legless(true)).or_else(|| of_legs.as_ref().map(chosen))
    });
    let Some((chosen, decision)) = chosen else { return Verdict { void, conclusions, decision: None } };
    for other in terminals.iter().filter(|other| other.index != chosen.index && !void[other.index]) {
        let why = if other.event.leg.is_some() { Why::OtherLeg } else { Why::Superseded };
        witness.dismisses(Field::End, other.index, why);
    }
    witness.claims(Field::End, chosen.index, Claim::Last);
    // A concluded end gives way to one that was told, with all that it carries.
    for terminal in &terminals {
        void[terminal.index] |= terminal.end.inferred && !chosen.end.inferred;
    }
    Verdict { void, conclusions, decision: Some(decision) }
}

fn terminals(events: &[Event]) -> Vec<Terminal<'_>> {
    let terminal = |(index, event)| Some(Terminal { index, event, end: event_end(event)? });
    events.iter().enumerate().filter_map(terminal).collect()
}

fn event_end(event: &Event) -> Option<&End> {
    match &event.fact {
        Fact::Ended(end) => Some(end),
        _ => None,
    }
}

/// What is left to conclude of a call that is not over.
pub(super) fn open_end(events: &[Event], legs: &Legs<'_>) -> Option<OpenEnd> {
    let life = SignsOfLife::of(events);
    let counted: Vec<Terminal<'_>> = terminals(events)
        .into_iter()
        .filter(|terminal| !terminal.end.inferred || !life.refute(terminal))
        .collect();
    let orphans = Orphans::of(events, &ends_of_legs(events, &counted)?, legs, &life)?;
    let Terminal { end, .. } = orphans.speaker;
    Some(OpenEnd {
        at: orphans.ended_at,
        cause: end.cause(),
        by: end.by,
        failed: end.failed,
        goes_on_elsewhere: !orphans.connected
            && counted.iter().any(|terminal| terminal.end.answered_elsewhere),
    })
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
    /// Whether the originating leg is not known, so that its end is concluded of the others.
    is_conclusion: bool,
}

/// The end of each leg that has events, if all of them have ended.
fn ends_of_legs<'a>(events: &'a [Event], terminals: &[Terminal<'a>]) -> Option<Vec<Terminal<'a>>> {
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
    ends.into_values().collect()
}

/// The end that the legs add up to: every leg that has events must have ended, and the call with the latest of them. The
/// originating leg gives cause and source. Where it is not known, the records of legs that talked still end the call.
fn end_of_legs<'a>(
    events: &'a [Event],
    terminals: &[Terminal<'a>],
    legs: &Legs<'_>,
    life: &SignsOfLife<'_>,
) -> Option<EndOfLegs<'a>> {
    let ended = ends_of_legs(events, terminals)?;
    if !legs.know_origin() {
        let orphans = Orphans::of(events, &ended, legs, life)?;
        let Orphans { ended_at, speaker, .. } = orphans;
        let counts = orphans.connected && orphans.after_the_fact;
        return counts.then_some(EndOfLegs { ended_at, speaker, told: false, is_conclusion: true });
    }
    let of_origin =
        |terminal: &&Terminal<'a>| terminal.event.leg.as_ref().is_some_and(|leg| legs.is_origin(leg));
    let origin = ended.iter().filter(of_origin).max_by_key(|terminal| telling(terminal))?;
    let ended_at = ended.iter().map(|terminal| terminal.event.at).max()?;
    let handed_over =
        legs.handed_over() || events.iter().any(|event| matches!(event.fact, Fact::Transferred));
    let speaker = if handed_over { ended.iter().max_by_key(|terminal| telling(terminal))? } else { origin };
    let told = ended.iter().any(|terminal| !terminal.end.inferred);
    Some(EndOfLegs { ended_at, speaker: *speaker, told, is_conclusion: false })
}

/// Legs that have all ended, none of them the originating one, of a call that says nothing of itself.
struct Orphans<'a> {
    ended_at: Timestamp,
    /// The end of the leg that talked last, else of the one that ended last.
    speaker: Terminal<'a>,
    /// Whether any of them was answered. Unanswered tries do not show whether the call goes on.
    connected: bool,
    /// Whether all of them are reported only once they have ended.
    after_the_fact: bool,
}

impl<'a> Orphans<'a> {
    fn of(
        events: &'a [Event],
        ended: &[Terminal<'a>],
        legs: &Legs<'_>,
        life: &SignsOfLife<'_>,
    ) -> Option<Self> {
        let ended_at = ended.iter().map(|terminal| terminal.event.at).max()?;
        let speaks_of_itself = || {
            let lives = |fact: &Fact| {
                fact.is_lifecycle() && !matches!(fact, Fact::Queued(_) | Fact::Seen | Fact::Ended(_))
            };
            events.iter().any(|event| event.leg.is_none() && lives(&event.fact))
        };
        let lives_on = life.without_leg.is_some_and(|latest| latest > ended_at);
        if legs.know_origin() || lives_on || speaks_of_itself() {
            return None;
        }
        let answered: HashSet<&LegId> = events.iter().filter_map(answered_leg).collect();
        let talked = |terminal: &&Terminal<'a>| {
            terminal.event.leg.as_ref().is_some_and(|leg| answered.contains(&leg.id))
        };
        let last_to_talk = ended.iter().filter(talked).max_by_key(|terminal| telling(terminal));
        let last = ended.iter().max_by_key(|terminal| telling(terminal))?;
        Some(Self {
            ended_at,
            speaker: *last_to_talk.unwrap_or(last),
            connected: last_to_talk.is_some(),
            after_the_fact: events.iter().filter_map(leg_in_play).all(|leg| leg.after_the_fact),
        })
    }
}

/// The leg that this event says was answered.
fn answered_leg(event: &Event) -> Option<&LegId> {
    let is_answered = match &event.fact {
        Fact::Answered => true,
        Fact::Ended(end) => {
            end.answered_at.is_some()
                || end.answered_about.is_some()
                || end.talk_millis.is_some_and(|talk| talk > 0)
        }
        _ => false,
    };
    event.leg.as_ref().filter(|_| is_answered).map(|leg| &leg.id)
}

/// Orders ends: the later, and of ends in the same instant the one that knows more of who hung up.
fn telling<'a>(terminal: &Terminal<'a>) -> (Timestamp, bool, bool, &'a crate::EventId) {
    let tells_cause = terminal.end.cause() != Cause::NormalClearing;
    (terminal.event.at, terminal.end.by.is_some(), tells_cause, &terminal.event.id)
}
