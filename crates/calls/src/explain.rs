//! Which event set a field, and which rivals lost.

use std::collections::BTreeMap;

use crate::{
    Call, Event, EventId, Fact, History, QualityLeg, Stage, Timestamp,
    fold::{contradict, fold_before},
};

/// A field of a call that events can set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// [`Call::created_at`].
    CreatedAt,
    /// [`Call::ringing_at`].
    RingingAt,
    /// When it was answered.
    AnsweredAt,
    /// Whether, when and why it ended.
    End,
    /// [`Call::direction`].
    Direction,
    /// [`Call::call_type`].
    CallType,
    /// [`Call::from_number`].
    FromNumber,
    /// [`Call::to_number`].
    ToNumber,
    /// [`Call::endpoint`].
    Endpoint,
    /// [`Call::phone_number`].
    PhoneNumber,
    /// The carrier's id of the call.
    CallSid,
    /// The carrier's id of the conference.
    ConferenceSid,
    /// The Call-ID of the originating leg.
    SipCallId,
    /// [`crate::CallerIdentity::name`].
    CallerName,
    /// [`crate::CallerIdentity::asserted_number`].
    AssertedNumber,
    /// [`crate::CallerIdentity::privacy`].
    Privacy,
    /// [`crate::CallerIdentity::diversion`].
    Diversion,
    /// [`crate::CallerIdentity::attestation`].
    Attestation,
    /// [`crate::CallerIdentity::headers`].
    Headers,
    /// The task.
    Task,
    /// The context.
    Context,
    /// One key of the metadata.
    Metadata(String),
    /// [`Call::opt_out`].
    OptOut,
    /// The recording.
    Recording,
    /// The turns of the conversation.
    Turns,
    /// Tool calls and results.
    Tools,
    /// The transcript given as text.
    TranscriptText,
    /// [`crate::Content::transcript_deleted_at`].
    TranscriptDeleted,
    /// The samples of a stage.
    Latency(Stage),
    /// A source's own summary of a stage.
    LatencySummary(Stage),
    /// The last measure of one side's audio.
    Quality(QualityLeg),
    /// What the media's set-up told.
    Media,
    /// What the audio last was.
    AudioConfig,
    /// The cost items.
    Costs,
    /// Whether the call reached its goal.
    Successful,
    /// What it was about.
    Summary,
    /// How the user felt.
    Sentiment,
    /// Whether a voicemail answered.
    InVoicemail,
    /// Fields of the organization's own.
    CustomAnalysis,
}

/// How an event lays claim to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The last one to speak is believed.
    Last,
    /// The earliest time is believed; this is the one the event names.
    First(Timestamp),
    /// It adds to the others.
    Adds,
}

/// Why an event lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A later event spoke of the same field, or for an end: one that counts more.
    Superseded,
    /// Another event names an earlier time.
    NotTheEarliest,
    /// It speaks of a leg that does not decide this field.
    OtherLeg,
    /// It was an inferred end and the call proved to be alive after it.
    Refuted,
}

/// One field and the events that spoke of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The field.
    pub field: Field,
    /// The events that made it what it is: one, or for an additive field all that add.
    pub set_by: Vec<EventId>,
    /// The events that spoke of it in vain.
    pub lost: Vec<(EventId, Why)>,
}

/// Something in the events of a call that does not fit together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The answer lies after the end, as it does when two clocks differ. The call counts as answered at its end.
    AnsweredAfterEnd {
        /// The event that tells the answer.
        answered_by: EventId,
        /// How many milliseconds after the end.
        millis: i64,
    },
    /// The talk time that a source states and what its clocks make of it differ by more than a second.
    LengthsDiffer {
        /// The event that tells both.
        told_by: EventId,
        /// What it states, in milliseconds.
        stated_millis: i64,
        /// What the clocks make of it, in milliseconds.
        clock_millis: i64,
        /// Which of them became the talk time of the call.
        counted: Counted,
    },
    /// A source states a talk time that is longer than the call by more than a second. The call counts as answered at its
    /// start.
    TalkExceedsCall {
        /// The event that tells both.
        told_by: EventId,
        /// What it states, in milliseconds.
        stated_millis: i64,
        /// From start to end, in milliseconds.
        call_millis: i64,
        /// Which of them became the talk time of the call.
        counted: Counted,
    },
}

/// Which of two lengths became the talk time of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The one that a source states: it speaks of the whole call, or its times were made to fit.
    Stated,
    /// What the clocks make of it.
    Clocks,
    /// Neither: other events decide the talk time, or the call is not over.
    Neither,
}

impl Counted {
    fn of(call: &Call, stated_millis: i64, clock_millis: i64) -> Self {
        let Some(talk) = call.talk_time() else { return Self::Neither };
        let talk = i64::try_from(talk.as_millis()).unwrap_or(i64::MAX);
        let is_stated = talk.abs_diff(stated_millis) <= talk.abs_diff(clock_millis);
        let nearest = if is_stated { stated_millis } else { clock_millis };
        match contradict(nearest, talk) {
            true => Self::Neither,
            false if is_stated => Self::Stated,
            false => Self::Clocks,
        }
    }
}

/// Finds contradictions in the events that make this call.
pub fn notes(history: &History, call: &Call) -> Vec<Note> {
    let mut notes = Vec::new();
    let told = |event: &Event| match &event.fact {
        Fact::Answered => Some(event.at),
        Fact::Ended(end) if !end.inferred => end.answered_at,
        _ => None,
    };
    let answers = || history.events().iter().filter_map(|event| Some((told(event)?, &event.id)));
    let earliest = answers().min();
    if let Some(((answered_at, id), ended_at)) = earliest.zip(call.ended_at())
        && answered_at > ended_at
    {
        let millis = answered_at.millis().saturating_sub(ended_at.millis());
        notes.push(Note::AnsweredAfterEnd { answered_by: id.clone(), millis });
    }
    let earliest = earliest.map(|(answered_at, _)| answered_at);
    notes.extend(history.events().iter().filter_map(|event| length_note(event, earliest, call)));
    notes
}

/// What is wrong with the talk time that this event states, if it is an end that states one.
fn length_note(event: &Event, answered_at: Option<Timestamp>, call: &Call) -> Option<Note> {
    let Fact::Ended(end) = &event.fact else { return None };
    let stated_millis = end.talk_millis.filter(|&talk| talk > 0 && !end.inferred)?;
    let told_by = event.id.clone();
    let differs = |millis: &i64| contradict(stated_millis, *millis);
    let since = |begin: Timestamp| event.at.millis().saturating_sub(begin.millis()).max(0);
    // An end of the whole call is measured by the answer of the call, that of a leg by its own.
    let answered_at = if event.leg.is_none() { answered_at } else { end.answered_at };
    if let Some(clock_millis) = end.clock_millis.or(answered_at.map(since)) {
        let counted = Counted::of(call, stated_millis, clock_millis);
        return differs(&clock_millis).then_some(Note::LengthsDiffer {
            told_by,
            stated_millis,
            clock_millis,
            counted,
        });
    }
    let call_millis = end.started_at.map(since).filter(|&lasted| lasted < stated_millis).filter(differs)?;
    let counted = Counted::of(call, stated_millis, call_millis);
    Some(Note::TalkExceedsCall { told_by, stated_millis, call_millis, counted })
}

/// One who is told how the fold decides. `()` does not listen, and costs nothing.
pub(crate) trait Witness {
    /// This event speaks of this field.
    fn claims(&mut self, _field: Field, _event: usize, _claim: Claim) {}
    /// What this event says of this field does not count.
    fn dismisses(&mut self, _field: Field, _event: usize, _why: Why) {}
}

impl Witness for () {}

/// Writes everything down.
#[derive(Default)]
struct Record {
    claims: BTreeMap<Field, Vec<(usize, Claim)>>,
    dismissed: BTreeMap<Field, Vec<(usize, Why)>>,
}

impl Witness for Record {
    fn claims(&mut self, field: Field, event: usize, claim: Claim) {
        self.claims.entry(field).or_default().push((event, claim));
    }

    fn dismisses(&mut self, field: Field, event: usize, why: Why) {
        self.dismissed.entry(field).or_default().push((event, why));
    }
}

/// The call, and for each field which events made it what it is.
pub fn explain(history: &History) -> (Call, Vec<Explanation>) {
    let mut record = Record::default();
    let call = fold_before(history, &mut record);
    let id = |index: usize| history.events()[index].id.clone();
    let mut fields: Vec<Field> = record.claims.keys().chain(record.dismissed.keys()).cloned().collect();
    fields.sort();
    fields.dedup();
    let explanations = fields
        .into_iter()
        .map(|field| {
            let claims = record.claims.remove(&field).unwrap_or_default();
            let (winners, losers) = decide(&claims);
            let dismissed = record.dismissed.remove(&field).unwrap_or_default();
            Explanation {
                field,
                set_by: winners.into_iter().map(id).collect(),
                lost: losers.into_iter().chain(dismissed).map(|(index, why)| (id(index), why)).collect(),
            }
        })
        .collect();
    (call, explanations)
}

/// Who wins among claims made in the order of the history.
fn decide(claims: &[(usize, Claim)]) -> (Vec<usize>, Vec<(usize, Why)>) {
    let earliest = claims.iter().filter_map(|(index, claim)| match claim {
        Claim::First(at) => Some((*at, *index)),
        Claim::Last | Claim::Adds => None,
    });
    let last = claims.iter().rev().find(|(_, claim)| *claim == Claim::Last);
    let (winner, why) = match (earliest.min(), last) {
        (Some((_, index)), _) => (Some(index), Why::NotTheEarliest),
        (None, Some((index, _))) => (Some(*index), Why::Superseded),
        (None, None) => (None, Why::Superseded),
    };
    let mut winners = Vec::new();
    let mut losers = Vec::new();
    for (index, claim) in claims {
        if *claim == Claim::Adds || Some(*index) == winner {
            winners.push(*index);
        } else {
            losers.push((*index, why));
        }
    }
    winners.dedup();
    (winners, losers)
}
