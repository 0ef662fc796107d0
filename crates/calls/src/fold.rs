//! The fold: from the set of a call's events to the call.
//!
//! Every field is a rule over the set (contract, events.md), and [`History`] hands the set over in one order, (time,
//! id), however the events arrived. So one pass in that order is enough, and "last writer wins" is simply the last one.

mod content;
mod ends;
mod folded;
mod legs;
mod talk;

use crate::{
    Call, CallType, Content, Direction, Event, Fact, History, Setup, State, Status, Timestamp, Turn,
    TurnReport,
    explain::{Claim, Field, Why, Witness},
};
use content::KnownTurns;
pub use ends::OpenEnd;
use ends::Verdict;
pub use folded::Folded;
use legs::Legs;
use talk::Answer;
pub(crate) use talk::contradict;

/// The call that these events make.
pub fn fold(history: &History) -> Call {
    fold_before(history, &mut ())
}

/// The fold, told step by step to a witness.
pub(crate) fn fold_before(history: &History, witness: &mut impl Witness) -> Call {
    let events = history.events();
    let legs = Legs::of(events);
    let verdict = ends::decide(events, &legs, witness);
    Draft::of(events, &legs, &verdict, witness).finish(&verdict, witness)
}

/// What is left to conclude of a call that is not over: every leg that is known has ended, none of them is the
/// originating one, and nothing says that the call itself goes on. `None` where nothing is.
pub fn open_end(history: &History) -> Option<OpenEnd> {
    let events = history.events();
    ends::open_end(events, &Legs::of(events))
}

/// A call whose events are gone but for those that tell what was deleted of it: as it was last folded, without that.
pub fn fold_sealed(mut call: Call, history: &History) -> Call {
    let content = &mut call.content;
    for event in history.events() {
        match &event.fact {
            Fact::RecordingDeleted if content.recording.is_some() => {
                content.recording = None;
                content.recording_deleted_at = Some(event.at);
            }
            Fact::TranscriptDeleted => {
                content.forget_words();
                keep_earliest(&mut content.transcript_deleted_at, event.at);
            }
            _ => {}
        }
    }
    call
}

/// How far a call that has not ended has come.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    #[default]
    Queued,
    Initiated,
    Ringing,
}

/// The call while it is being made.
#[derive(Default)]
struct Draft {
    created_at: Option<Timestamp>,
    ringing_at: Option<Timestamp>,
    answer: Answer,
    progress: Progress,
    /// Whether a source reported any of the progress while the call lived.
    told_live: bool,
    direction: Option<Direction>,
    call_type: Option<CallType>,
    from_number: Option<String>,
    to_number: Option<String>,
    endpoint: Option<crate::EndpointName>,
    phone_number: Option<crate::PhoneNumberName>,
    opt_out: bool,
    known_turns: KnownTurns,
    turns: Vec<(Timestamp, TurnReport)>,
    content: Content,
}

/// Keeps the earlier of what is known and what is said.
fn keep_earliest(known: &mut Option<Timestamp>, said: Timestamp) {
    *known = Some(known.map_or(said, |known| known.min(said)));
}

impl Draft {
    /// What all events say, one after the other.
    fn of(events: &[Event], legs: &Legs, verdict: &Verdict, witness: &mut impl Witness) -> Self {
        let mut draft = Self { known_turns: KnownTurns::of(events), ..Self::default() };
        for (index, event) in events.iter().enumerate() {
            if event.opts_out {
                draft.opt_out = true;
                witness.claims(Field::OptOut, index, Claim::First(event.at));
            }
            draft.notice_times(index, event, verdict, witness);
            draft.notice_setup(index, event, legs, witness);
            draft.notice_content(index, event, witness);
        }
        draft
    }

    fn notice_times(&mut self, index: usize, event: &Event, verdict: &Verdict, witness: &mut impl Witness) {
        let created_at = match &event.fact {
            Fact::Ended(end) => end.started_at.map_or(event.at, |started_at| started_at.min(event.at)),
            _ => event.at,
        };
        keep_earliest(&mut self.created_at, created_at);
        witness.claims(Field::CreatedAt, index, Claim::First(created_at));

        let (mut ringing_at, mut answered_at) = (None, None);
        let mut advances = true;
        match &event.fact {
            Fact::Ended(_) if verdict.is_void(index) => advances = false,
            Fact::Ringing => ringing_at = Some(event.at),
            Fact::Answered => answered_at = Some(event.at),
            Fact::Ended(end) => {
                (ringing_at, answered_at) = (end.ringing_at, end.answered_at);
                self.answer.imply(index, event.at, end);
            }
            fact => {
                advances = fact.is_lifecycle() && !matches!(fact, Fact::Queued(_) | Fact::Seen);
                if let Some(speech) = fact.speech() {
                    self.answer.hear(index, event.at, speech);
                }
            }
        }
        if advances {
            self.progress = self.progress.max(Progress::Initiated);
            self.told_live |= event.leg.as_ref().is_none_or(|leg| !leg.after_the_fact);
        }
        if let Some(at) = ringing_at {
            keep_earliest(&mut self.ringing_at, at);
            self.progress = Progress::Ringing;
            witness.claims(Field::RingingAt, index, Claim::First(at));
        }
        if let Some(at) = answered_at {
            self.answer.tell(at);
            witness.claims(Field::AnsweredAt, index, Claim::First(at));
        }
    }

    fn notice_setup(&mut self, index: usize, event: &Event, legs: &Legs, witness: &mut impl Witness) {
        let Some(setup) = event.fact.setup() else { return };
        content::merge_metadata(&mut self.content, index, &setup.metadata, witness);
        if let Some(context) = &setup.context {
            self.content.context = Some(context.clone());
            witness.claims(Field::Context, index, Claim::Last);
        }
        if let Some(task) = setup.task {
            self.content.task = Some(task);
            witness.claims(Field::Task, index, Claim::Last);
        }
        if legs.is_of_origin(event) {
            self.notice_numbers(index, setup, witness);
            self.notice_parties(index, setup, witness);
        } else if legs.give_parties(event) {
            self.notice_numbers(index, setup, witness);
        } else {
            let numbers = said_of_numbers(setup).into_iter().flatten();
            for field in numbers.chain(said_of_origin(setup)) {
                witness.dismisses(field, index, Why::OtherLeg);
            }
        }
    }

    /// Who called whom: as the originating leg says, or any leg where that one is not known.
    fn notice_numbers(&mut self, index: usize, setup: &Setup, witness: &mut impl Witness) {
        take(&mut self.from_number, &setup.from_number);
        take(&mut self.to_number, &setup.to_number);
        take(&mut self.endpoint, &setup.endpoint);
        take(&mut self.phone_number, &setup.phone_number);
        for field in said_of_numbers(setup).into_iter().flatten() {
            witness.claims(field, index, Claim::Last);
        }
    }

    /// Direction, type and ids: only the originating leg knows them.
    fn notice_parties(&mut self, index: usize, setup: &Setup, witness: &mut impl Witness) {
        take(&mut self.direction, &setup.direction);
        take(&mut self.call_type, &setup.call_type);
        take(&mut self.content.telephony.call_sid, &setup.call_sid);
        take(&mut self.content.telephony.conference_sid, &setup.conference_sid);
        take(&mut self.content.telephony.sip_call_id, &setup.sip_call_id);
        if let Some(said) = &setup.caller {
            let caller = &mut self.content.caller;
            take(&mut caller.name, &said.name);
            take(&mut caller.asserted_number, &said.asserted_number);
            take(&mut caller.privacy, &said.privacy);
            take(&mut caller.diversion, &said.diversion);
            take(&mut caller.attestation, &said.attestation);
            take(&mut caller.headers, &said.headers);
        }
        for field in said_of_origin(setup) {
            witness.claims(field, index, Claim::Last);
        }
    }

    fn notice_content(&mut self, index: usize, event: &Event, witness: &mut impl Witness) {
        if let Fact::Turn(said) = &event.fact
            && self.known_turns.count(said)
        {
            self.turns.push((event.at, said.as_ref().clone()));
        }
        content::notice(&mut self.content, index, event, self.known_turns, witness);
    }

    /// Whether anything was reported that sets a call up.
    fn is_set_up(&self) -> bool {
        self.progress > Progress::Queued
    }

    fn finish(mut self, verdict: &Verdict<'_>, witness: &mut impl Witness) -> Call {
        // A History is never empty, so some event has set it.
        let created_at = self.created_at.unwrap_or(Timestamp::from_millis(0));
        let ended_at = verdict.ended_at();
        let spoken = self.is_set_up() || ended_at.is_some();
        if let Some((at, index)) = self.answer.implied(created_at, ended_at, spoken) {
            witness.claims(Field::AnsweredAt, index, Claim::First(at));
        }
        let stated = verdict.stated_talk_millis();
        let answered_at = self.answer.at(created_at, ended_at, stated);
        if let Some((answered_at, ended_at)) = answered_at.zip(ended_at) {
            self.content.stated_talk_millis = talk::stated(stated, answered_at, ended_at);
        }
        let state = match (verdict.ending(answered_at), answered_at, self.progress) {
            (Some(ending), ..) => State::Ended(ending),
            // What is only reported once it is over never lives.
            (None, ..) if !self.told_live => State::Queued,
            (None, Some(answered_at), _) => State::Answered { answered_at },
            (None, None, Progress::Ringing) => State::Ringing,
            (None, None, Progress::Initiated) => State::Initiated,
            (None, None, Progress::Queued) => State::Queued,
        };
        self.place_turns(answered_at);
        for samples in self.content.latencies.values_mut() {
            samples.sort_by(f64::total_cmp);
        }
        content::forget(&mut self.content, self.opt_out);
        Call {
            created_at,
            ringing_at: self.ringing_at,
            state,
            direction: self.direction.unwrap_or(Direction::Inbound),
            call_type: self.call_type.unwrap_or(CallType::Phone),
            from_number: self.from_number,
            to_number: self.to_number,
            endpoint: self.endpoint,
            phone_number: self.phone_number,
            opt_out: self.opt_out,
            content: self.content,
        }
    }

    /// Gives each turn its place in time: the answer plus its start, else when it was reported.
    fn place_turns(&mut self, answered_at: Option<Timestamp>) {
        let reported = std::mem::take(&mut self.turns).into_iter();
        let mut turns: Vec<Turn> =
            reported.map(|(reported_at, said)| place_turn(reported_at, said, answered_at)).collect();
        // Stable: turns of one instant keep the order of their events.
        turns.sort_by_key(|turn| turn.at);
        self.content.turns = turns;
    }
}

/// The turn in its place in time.
fn place_turn(reported_at: Timestamp, said: TurnReport, answered_at: Option<Timestamp>) -> Turn {
    let placed = answered_at.zip(said.start_millis).map(|(answer, start)| answer.plus_millis(start));
    Turn { at: placed.unwrap_or(reported_at), said }
}

fn take<T: Clone>(slot: &mut Option<T>, said: &Option<T>) {
    if said.is_some() {
        slot.clone_from(said);
    }
}

/// Which of the fields of [`Draft::notice_numbers`] this setup speaks of.
fn said_of_numbers(setup: &Setup) -> [Option<Field>; 4] {
    [
        setup.from_number.is_some().then_some(Field::FromNumber),
        setup.to_number.is_some().then_some(Field::ToNumber),
        setup.endpoint.is_some().then_some(Field::Endpoint),
        setup.phone_number.is_some().then_some(Field::PhoneNumber),
    ]
}

/// Which of the fields of [`Draft::notice_parties`] this setup speaks of.
fn said_of_origin(setup: &Setup) -> impl Iterator<Item = Field> {
    [
        setup.direction.is_some().then_some(Field::Direction),
        setup.call_type.is_some().then_some(Field::CallType),
        setup.call_sid.is_some().then_some(Field::CallSid),
        setup.conference_sid.is_some().then_some(Field::ConferenceSid),
        setup.sip_call_id.is_some().then_some(Field::SipCallId),
    ]
    .into_iter()
    .flatten()
    .chain(setup.caller.iter().flat_map(|caller| caller.said()))
}

impl Call {
    /// Whether the call counts as live.
    pub fn is_live(&self) -> bool {
        Status::is_live(self.status())
    }
}
