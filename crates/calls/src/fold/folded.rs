//! The fold, kept while events arrive: the latest event of a call is taken into the call that is there.

use std::collections::{HashMap, HashSet};

use super::{
    Draft,
    content::{self, KnownTurns},
    ends,
    legs::{Legs, leg_in_play},
    place_turn,
    talk::Answer,
};
use crate::{Call, CallLeg, Content, Event, Fact, History, LegId, Speech, Timestamp};

/// The events of a call, and the call that they make.
///
/// [`fold`](super::fold) defines the call. Here an event that comes after all others is taken into the call as it is,
/// wherever that gives the same; so its cost does not grow with the call. Any other event has the call folded anew, once,
/// when it is next asked for.
#[derive(Clone, Debug)]
pub struct Folded {
    history: History,
    made: Option<Made>,
    /// The keys of metadata that events have set since the call was last saved; `None`: anything may have changed.
    changed: Option<Vec<String>>,
}

impl Folded {
    /// Takes these events; nothing is folded yet.
    pub fn of(history: History) -> Self {
        Self { history, made: None, changed: None }
    }

    /// The events.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The call that the events make: [`Folded::call`] gives it until they change.
    pub fn fold(&mut self) -> &Call {
        let Self { history, made, .. } = self;
        &made.get_or_insert_with(|| Made::of(history.events())).call
    }

    /// The call, where it need not be folded.
    pub fn call(&self) -> Option<&Call> {
        self.made.as_ref().map(|made| &made.call)
    }

    /// Takes one more event in; the caller has made sure that its id is new.
    pub fn push(&mut self, event: Event) {
        let index = self.history.events().len();
        let is_latest = self.history.is_before(&event);
        self.made.take_if(|made| !(is_latest && made.take_in(index, &event)));
        match (&self.made, &event.fact) {
            (None, _) => self.changed = None,
            (Some(_), Fact::MetadataSet(patch)) => {
                if let Some(changed) = &mut self.changed {
                    changed.extend(patch.iter().map(|(key, _)| key.clone()));
                }
            }
            (Some(_), _) => {}
        }
        self.history.insert(event);
    }

    /// The keys of the metadata that were set since the call was last saved. `None` after a fold of all events: then any
    /// of them may differ.
    pub fn changed_metadata(&self) -> Option<&[String]> {
        self.changed.as_deref()
    }

    /// Notes that the call is saved as it is now.
    pub fn mark_saved(&mut self) {
        self.changed = self.made.is_some().then(Vec::new);
    }

    /// Drops the call, and with it the memory that it takes; it is made anew when it is next asked for.
    pub fn release(&mut self) {
        (self.made, self.changed) = (None, None);
    }
}

/// The call, and what the fold knows beside it that decides what one more event does.
#[derive(Clone, Debug)]
struct Made {
    call: Call,
    /// What is known of the answer, before anything was concluded of it.
    answer: Answer,
    /// When the call was answered, even where it is not shown as such since nobody told of it while it lived.
    answered_at: Option<Timestamp>,
    stated_talk_millis: Option<i64>,
    is_set_up: bool,
    told_live: bool,
    known_turns: KnownTurns,
    legs: HashSet<CallLeg>,
    has_ends: bool,
    /// The earliest concluded end of the call, or of each leg, that nothing has refuted.
    conclusions: HashMap<Option<LegId>, Timestamp>,
}

impl Made {
    fn of(events: &[Event]) -> Self {
        let legs = Legs::of(events);
        let verdict = ends::decide(events, &legs, &mut ());
        let draft = Draft::of(events, &legs, &verdict, &mut ());
        let (answer, is_set_up, told_live) = (draft.answer, draft.is_set_up(), draft.told_live);
        let known_turns = draft.known_turns;
        let mut made = Self {
            call: draft.finish(&verdict, &mut ()),
            answer,
            answered_at: None,
            stated_talk_millis: verdict.stated_talk_millis(),
            is_set_up,
            told_live,
            known_turns,
            legs: HashSet::new(),
            has_ends: false,
            conclusions: HashMap::new(),
        };
        made.answered_at = made.answered_by(answer);
        for event in events {
            made.note_leg(event);
            made.has_ends |= matches!(event.fact, Fact::Ended(_));
        }
        for concluded in verdict.conclusions().iter().filter_map(|index| events.get(*index)) {
            let leg = concluded.leg.as_ref().map(|leg| leg.id.clone());
            // The events come in the order of time, so the first one is the earliest.
            made.conclusions.entry(leg).or_insert(concluded.at);
        }
        made
    }

    fn note_leg(&mut self, event: &Event) {
        if let Some(leg) = leg_in_play(event)
            && !self.legs.contains(leg)
        {
            self.legs.insert(leg.clone());
        }
    }

    /// When the call was answered if this is known of it.
    fn answered_by(&self, mut answer: Answer) -> Option<Timestamp> {
        let (created_at, ended_at) = (self.call.created_at, self.call.ended_at());
        answer.implied(created_at, ended_at, self.is_set_up || ended_at.is_some());
        answer.at(created_at, ended_at, self.stated_talk_millis)
    }

    /// Takes in an event that comes after all others; `false` where it has the call folded anew.
    fn take_in(&mut self, index: usize, event: &Event) -> bool {
        let opts_out_first = event.opts_out && !self.call.opt_out;
        if opts_out_first
            || !self.adds_only(&event.fact)
            || !self.leaves_legs(event)
            || !self.leaves_ends(event)
        {
            return false;
        }
        if let Some(speech) = event.fact.speech()
            && !self.hear(index, event.at, speech)
        {
            return false;
        }
        self.note_leg(event);
        let Call { content, opt_out, .. } = &mut self.call;
        content::notice(content, index, event, self.known_turns, &mut ());
        match &event.fact {
            Fact::StageLatency(sample) => sort_last_latency(content, sample.stage),
            Fact::Turn(said) if self.known_turns.count(said) => {
                let turn = place_turn(event.at, said.as_ref().clone(), self.answered_at);
                // Turns of one instant keep the order of their events.
                let place = content.turns.partition_point(|earlier| earlier.at <= turn.at);
                content.turns.insert(place, turn);
            }
            _ => {}
        }
        content::forget(content, *opt_out);
        true
    }

    /// Whether a fact that comes last adds to the content, or sets something in it, and changes nothing else by itself.
    fn adds_only(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Queued(_)
            | Fact::Initiated(_)
            | Fact::Ringing
            | Fact::Answered
            | Fact::Transferred
            | Fact::Ended(_)
            | Fact::TranscriptDeleted
            | Fact::EventsDeleted => false,
            // These show that a call is set up, once.
            Fact::InviteSent
            | Fact::MediaEstablished(_)
            | Fact::Held
            | Fact::Resumed
            | Fact::DtmfReceived => self.is_set_up && self.told_live,
            // The first turn goes before a text, the first one reported before all that were made of a recording.
            Fact::Turn(said) => self.known_turns.any && (said.inferred || self.known_turns.reported),
            Fact::Seen
            | Fact::Spoke(_)
            | Fact::ToolInvoked(_)
            | Fact::ToolReturned(_)
            | Fact::StageLatency(_)
            | Fact::LatencySummary(_)
            | Fact::MediaQuality(_)
            | Fact::Cost(_)
            | Fact::RecordingReady(_)
            | Fact::RecordingFailed { .. }
            | Fact::RecordingDeleted
            | Fact::TranscriptReady(_)
            | Fact::AnalysisReady(_)
            | Fact::MetadataSet(_)
            | Fact::Other => true,
        }
    }

    /// Whether the event leaves it as it is which leg originated the call, and which legs have ended.
    fn leaves_legs(&self, event: &Event) -> bool {
        leg_in_play(event).is_none_or(|leg| {
            let may_be_origin = leg.id.is_origin() || leg.origin_unless_dialled;
            self.legs.contains(leg) || !(self.has_ends || may_be_origin || leg.dialled.is_some())
        })
    }

    /// Whether the event leaves it as it is whether and how the call ended: it refutes no end that was concluded.
    fn leaves_ends(&self, event: &Event) -> bool {
        if !event.fact.shows_life() {
            return true;
        }
        let is_later = |concluded_at: &Timestamp| *concluded_at < event.at;
        let refutes = match &event.leg {
            None => self.conclusions.values().any(is_later),
            Some(leg) => {
                let of_leg = self.conclusions.get(&Some(leg.id.clone()));
                of_leg.into_iter().chain(self.conclusions.get(&None)).any(is_later)
            }
        };
        // Of legs that ended it is only concluded that the call did, unless it says something of itself.
        let refutes_legs = event.leg.is_none() && self.call.ending().is_some_and(|ending| ending.inferred);
        !refutes && !refutes_legs
    }

    /// Takes in that somebody spoke, unless that tells of another answer than the one that is known.
    fn hear(&mut self, index: usize, at: Timestamp, speech: Speech) -> bool {
        let mut answer = self.answer;
        answer.hear(index, at, speech);
        let is_same = self.answered_by(answer) == self.answered_at;
        if is_same {
            self.answer = answer;
        }
        is_same
    }
}

/// Gives the latency that was appended its place among the others of its stage.
fn sort_last_latency(content: &mut Content, stage: crate::Stage) {
    let Some(samples) = content.latencies.get_mut(&stage) else { return };
    if let Some(last) = samples.pop() {
        let place = samples.partition_point(|sample| sample.total_cmp(&last).is_le());
        samples.insert(place, last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CallLeg, End, EventId, Role, Setup, SourceName, Stage, Turn, TurnReport, fold};

    fn event(second: i64, leg: Option<&CallLeg>, fact: Fact) -> Event {
        Event {
            id: EventId::new(format!("e{second}")).unwrap(),
            at: Timestamp::from_millis(second * 1_000),
            source: SourceName::new("test").unwrap(),
            leg: leg.cloned(),
            opts_out: false,
            fact,
        }
    }

    fn turn(role: Role, start_millis: i64) -> Fact {
        Fact::Turn(Box::new(TurnReport {
            role,
            content: "Hello".to_owned(),
            start_millis: Some(start_millis),
            end_millis: None,
            words: Vec::new(),
            language: None,
            inferred: false,
        }))
    }

    fn leg(id: &str) -> CallLeg {
        CallLeg {
            id: LegId::new(id).unwrap(),
            origin_unless_dialled: false,
            dialled: None,
            after_the_fact: false,
        }
    }

    /// A call that talks, folded.
    fn talking() -> Folded {
        let facts = [Fact::Initiated(Box::<Setup>::default()), Fact::Answered, turn(Role::Agent, 500)];
        let mut events = (0..).zip(facts).map(|(second, fact)| event(second, None, fact));
        let mut folded = Folded::of(History::of(events.by_ref()).unwrap());
        folded.fold();
        folded
    }

    #[track_caller]
    fn takes_in(folded: &mut Folded, event: Event, at_once: bool) {
        let fact = event.fact.clone();
        folded.push(event);
        assert_eq!(folded.call().is_some(), at_once, "{fact:?}");
        let anew = fold(folded.history());
        assert_eq!(*folded.fold(), anew, "{fact:?}");
    }

    #[test]
    fn what_is_said_last_is_taken_in_at_once() {
        let mut folded = talking();
        let latency = |millis| Fact::StageLatency(crate::LatencySample { stage: Stage::Llm, millis });
        let facts = [
            turn(Role::User, 1_500),
            latency(300.0),
            latency(200.0),
            Fact::Seen,
            Fact::Held,
            Fact::DtmfReceived,
            Fact::Other,
            Fact::RecordingFailed { is_empty: false },
            turn(Role::Agent, 700),
        ];
        for (second, fact) in (3..).zip(facts) {
            takes_in(&mut folded, event(second, None, fact), true);
        }
        let Content { turns, latencies, .. } = &folded.fold().content;
        assert_eq!(latencies[&Stage::Llm], [200.0, 300.0]);
        let starts: Vec<i64> = turns.iter().map(|Turn { at, .. }| at.millis()).collect();
        assert_eq!(starts, [1_500, 1_700, 2_500]);
    }

    #[test]
    fn a_new_leg_that_talks_is_taken_in_at_once_and_an_originating_one_is_not() {
        let mut folded = talking();
        takes_in(&mut folded, event(3, Some(&leg("b")), turn(Role::User, 1_500)), true);
        takes_in(&mut folded, event(4, Some(&leg("a")), turn(Role::User, 2_500)), false);
        takes_in(&mut folded, event(5, Some(&leg("a")), turn(Role::User, 3_500)), true);
    }

    #[test]
    fn what_changes_the_whole_call_folds_it_anew_once() {
        let mut folded = talking();
        takes_in(&mut folded, event(5, None, Fact::Ended(Box::<End>::default())), false);
        takes_in(&mut folded, event(6, None, turn(Role::User, 1_500)), true);
        takes_in(&mut folded, event(4, None, turn(Role::User, 1_600)), false);
        takes_in(&mut folded, event(7, None, Fact::TranscriptDeleted), false);
        takes_in(&mut folded, event(8, None, turn(Role::User, 1_700)), true);
        assert!(folded.fold().content.turns.is_empty());
    }

    #[test]
    fn an_opt_out_folds_the_call_anew_once() {
        let mut folded = talking();
        let opting_out = |second, fact| Event { opts_out: true, ..event(second, None, fact) };
        takes_in(&mut folded, opting_out(3, turn(Role::User, 1_500)), false);
        takes_in(&mut folded, opting_out(4, turn(Role::User, 2_500)), true);
        assert!(folded.fold().content.turns.is_empty());
    }

    #[test]
    fn life_after_a_concluded_end_folds_the_call_anew_once() {
        let mut folded = talking();
        let concluded = End { inferred: true, ..End::default() };
        takes_in(&mut folded, event(5, None, Fact::Ended(Box::new(concluded))), false);
        takes_in(&mut folded, event(6, None, turn(Role::User, 1_500)), false);
        takes_in(&mut folded, event(7, None, turn(Role::User, 2_500)), true);
    }

    #[test]
    fn speech_that_tells_of_an_earlier_answer_folds_the_call_anew() {
        let facts = [Fact::Initiated(Box::<Setup>::default()), turn(Role::User, 0)];
        let events = (0..).zip(facts).map(|(second, fact)| event(second * 10, None, fact));
        let mut folded = Folded::of(History::of(events).unwrap());
        folded.fold();
        takes_in(&mut folded, event(11, None, turn(Role::User, 1_000)), true);
        takes_in(&mut folded, event(12, None, turn(Role::User, 3_000)), false);
        takes_in(&mut folded, event(13, None, turn(Role::User, 4_000)), true);
    }
}
