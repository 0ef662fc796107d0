//! Which event set a field, and which rivals lost.

use std::collections::BTreeMap;

use crate::{Call, EventId, History, QualityLeg, Stage, Timestamp, fold::fold_before};

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
