//! What was reported of a call.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    Amount, AudioConfig, CallType, CallerIdentity, Cause, Decimal, Direction, Document, EndpointName,
    EventId, LegId, Party, PhoneNumberName, QualityLeg, Recording, Role, SourceName, Stage, Summary,
    Timestamp, Word,
};

/// One event of one call (contract, events.md).
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The idempotency key within the call.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// The source it came through.
    pub source: SourceName,
    /// The leg it speaks of; `None`: of the call.
    pub leg: Option<CallLeg>,
    /// Whether content of the call must not be kept: any event may say so, and none takes it back.
    pub opts_out: bool,
    /// What happened.
    pub fact: Fact,
}

/// The leg an event speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallLeg {
    /// Its name; `a` is the originating leg.
    pub id: LegId,
    /// The source cannot know whether somebody dialled this leg: it is the originating one unless another leg of the
    /// call says it dialled it. (An Asterisk CDR row does not tell a caller from a transferred callee.)
    pub origin_unless_dialled: bool,
    /// The leg that this one dialled, where the event tells.
    pub dialled: Option<LegId>,
    /// The source reports this leg only once it has ended (a call detail record): its events never make a call live.
    pub after_the_fact: bool,
}

/// What happened. The types of events.md, without their wire names.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The call waits to be placed.
    Queued(Box<Setup>),
    /// The call is being set up.
    Initiated(Box<Setup>),
    /// The invitation left for the destination.
    InviteSent,
    /// The destination rings.
    Ringing,
    /// The destination answered.
    Answered,
    /// Audio flows.
    MediaEstablished(Media),
    /// Put on hold.
    Held,
    /// Taken back from hold.
    Resumed,
    /// Handed over to somebody else.
    Transferred,
    /// A key was pressed.
    DtmfReceived,
    /// A snapshot of the source still showed the call: proof of life and nothing else.
    Seen,
    /// A terminal event.
    Ended(Box<End>),
    /// Somebody said something.
    Turn(Box<TurnReport>),
    /// Somebody said something whose words are deleted.
    Spoke(Speech),
    /// The agent called a tool.
    ToolInvoked(Box<ToolInvocation>),
    /// A tool answered.
    ToolReturned(Box<ToolOutcome>),
    /// How long one stage took, once.
    StageLatency(LatencySample),
    /// A source's own summary of a stage, given as reported.
    LatencySummary(Box<(Stage, Summary)>),
    /// How the audio of one leg was.
    MediaQuality(Box<QualityReport>),
    /// Something that costs money.
    Cost(Box<CostItem>),
    /// The recording can be had.
    RecordingReady(Box<Recording>),
    /// There is no recording of a call that was to be recorded.
    RecordingFailed {
        /// Nothing was heard, so that nothing is missing.
        is_empty: bool,
    },
    /// The recording is gone.
    RecordingDeleted,
    /// What was said is gone, whenever that is told.
    TranscriptDeleted,
    /// The events are gone: the call stays as it was last folded. It is not folded from what is left.
    EventsDeleted,
    /// The whole transcript as text; counts only where there are no turns.
    TranscriptReady(String),
    /// What an analysis after the call found.
    AnalysisReady(Box<crate::Analysis>),
    /// Metadata set or taken away.
    MetadataSet(MetadataPatch),
    /// An `x_` event: on the timeline, without effect on the call.
    Other,
}

/// Metadata to merge: a value sets the key, `None` deletes it.
pub type MetadataPatch = IndexMap<String, Option<Document>>;

/// How the call was set up, as far as one event tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// From the endpoint's view: inbound reached it, outbound left from it.
    pub direction: Option<Direction>,
    /// The calling number.
    pub from_number: Option<String>,
    /// The called number.
    pub to_number: Option<String>,
    /// Over the telephone network or the web.
    pub call_type: Option<CallType>,
    /// The endpoint (agent) that takes or places the call.
    pub endpoint: Option<EndpointName>,
    /// The organization's phone number.
    pub phone_number: Option<PhoneNumberName>,
    /// Metadata to merge.
    pub metadata: MetadataPatch,
    /// What the agent was told about the call; an object.
    pub context: Option<Document>,
    /// A number of the organization's own that the call belongs to.
    pub task: Option<i64>,
    /// The carrier's id of the call.
    pub call_sid: Option<String>,
    /// The carrier's id of the conference.
    pub conference_sid: Option<String>,
    /// The Call-ID of the originating leg (RFC 3261 section 20.8).
    pub sip_call_id: Option<String>,
    /// What is known of the caller, beside the number.
    pub caller: Option<Box<CallerIdentity>>,
}

/// A terminal event. It may carry all that is known of the call: a CDR is one terminal event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Reported as failed rather than completed.
    pub failed: bool,
    /// Concluded from a snapshot, an expiry or a missing end, not told by the call itself.
    pub inferred: bool,
    /// The cause; absent it is normal clearing of a completed, a network error of a failed call.
    pub cause: Option<Cause>,
    /// Who ended it.
    pub by: Option<Party>,
    /// Whether it ended because it was handed over.
    pub transfer: bool,
    /// How long the parties talked by the source's own count, in milliseconds; above zero it implies an answer.
    pub talk_millis: Option<i64>,
    /// What the source's clocks make of that length where they contradict it, in milliseconds.
    pub clock_millis: Option<i64>,
    /// It was recorded: a recording should come.
    pub recorded: bool,
    /// When the call was created.
    pub started_at: Option<Timestamp>,
    /// When the destination rang.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was answered, by a clock that is cut off to seconds or by the first sign of an answer: counts only where
    /// no event tells the answer itself.
    pub answered_about: Option<Timestamp>,
    /// Another leg took the call: this end says nothing of how the call went on.
    pub answered_elsewhere: bool,
    /// Everything an opening event may say.
    pub setup: Setup,
}

impl End {
    /// The cause, or what its absence means (contract, events.md).
    pub fn cause(&self) -> Cause {
        self.cause.unwrap_or(if self.failed { Cause::NetworkError } else { Cause::NormalClearing })
    }
}

/// Media flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Media {
    /// The codec's name.
    pub codec: Option<String>,
    /// Milliseconds.
    pub latency_millis: Option<f64>,
}

/// One turn of the conversation as reported; its place in time follows from the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnReport {
    /// Who spoke.
    pub role: Role,
    /// What was said.
    pub content: String,
    /// Milliseconds from the answer to its begin.
    pub start_millis: Option<i64>,
    /// Milliseconds from the answer to its end.
    pub end_millis: Option<i64>,
    /// Its words, where the source times them.
    pub words: Vec<Word>,
    /// The language, as the source names it.
    pub language: Option<String>,
    /// Made of a recording afterwards: it counts only where nobody told what was said.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inferred: bool,
}

/// Who spoke when: what is kept of a turn whose words are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Who spoke.
    pub role: Role,
    /// Milliseconds from the answer to its begin.
    pub start_millis: Option<i64>,
    /// Milliseconds from the answer to its end.
    pub end_millis: Option<i64>,
}

impl TurnReport {
    /// The turn without its words.
    pub fn speech(&self) -> Speech {
        Speech { role: self.role, start_millis: self.start_millis, end_millis: self.end_millis }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolInvocation {
    /// Ties it to its result.
    pub tool_call: Option<String>,
    /// The tool's name.
    pub name: Option<String>,
    /// The arguments.
    pub arguments: Option<Document>,
}

/// A tool's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutcome {
    /// Ties it to its invocation.
    pub tool_call: Option<String>,
    /// The result.
    pub result: Option<Document>,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// How long one stage took, once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencySample {
    /// The stage.
    pub stage: Stage,
    /// Milliseconds.
    pub millis: f64,
}

/// How the audio of one leg was.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityReport {
    /// Whose audio.
    pub leg: QualityLeg,
    /// What was measured.
    pub quality: crate::Quality,
    /// What the audio was.
    pub audio: AudioConfig,
}

/// Something that costs money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostItem {
    /// What was used.
    pub product: String,
    /// Whether its quantity counts minutes rather than items.
    pub per_minute: bool,
    /// How its amount is known.
    pub price: Price,
}

/// How the amount of a cost item is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Price {
    /// The source named the amount.
    Stated {
        /// The amount; negative corrects.
        amount: Amount,
        /// The unit price, where told as well.
        unit_price: Option<Decimal>,
        /// Minutes or items, where told as well.
        quantity: Option<Decimal>,
    },
    /// The source named a price and a quantity.
    Each {
        /// The price of one minute or item.
        unit_price: Decimal,
        /// Minutes or items.
        quantity: Decimal,
    },
    /// The source counted; the tariff has the price.
    Counted {
        /// Minutes or items.
        quantity: Decimal,
    },
}

impl Fact {
    /// Whether it belongs to the lifecycle table of events.md.
    pub fn is_lifecycle(&self) -> bool {
        match self {
            Self::Queued(_)
            | Self::Initiated(_)
            | Self::InviteSent
            | Self::Ringing
            | Self::Answered
            | Self::MediaEstablished(_)
            | Self::Held
            | Self::Resumed
            | Self::Transferred
            | Self::DtmfReceived
            | Self::Seen
            | Self::Ended(_) => true,
            Self::Turn(_)
            | Self::Spoke(_)
            | Self::ToolInvoked(_)
            | Self::ToolReturned(_)
            | Self::StageLatency(_)
            | Self::LatencySummary(_)
            | Self::MediaQuality(_)
            | Self::Cost(_)
            | Self::RecordingReady(_)
            | Self::RecordingFailed { .. }
            | Self::RecordingDeleted
            | Self::TranscriptDeleted
            | Self::EventsDeleted
            | Self::TranscriptReady(_)
            | Self::AnalysisReady(_)
            | Self::MetadataSet(_)
            | Self::Other => false,
        }
    }

    /// Whether it proves that the call lived when it happened: a lifecycle event that ends nothing, or conversation.
    pub fn shows_life(&self) -> bool {
        match self {
            Self::Ended(_) => false,
            Self::Turn(said) => !said.inferred,
            Self::Spoke(_) | Self::ToolInvoked(_) | Self::ToolReturned(_) => true,
            other => other.is_lifecycle(),
        }
    }

    /// Whether it holds what was said or pressed: what is not kept of a call whose transcript is deleted.
    pub fn is_spoken(&self) -> bool {
        matches!(
            self,
            Self::Turn(_)
                | Self::ToolInvoked(_)
                | Self::ToolReturned(_)
                | Self::TranscriptReady(_)
                | Self::DtmfReceived
                | Self::AnalysisReady(_)
        )
    }

    /// Whether it holds what was said, pressed or recorded: what is not kept of a call that opted out.
    pub fn is_sensitive(&self) -> bool {
        self.is_spoken() || matches!(self, Self::RecordingReady(_))
    }

    /// What is left of it once its words are gone: that it happened, and so that the call lived then, and who spoke.
    #[must_use]
    pub fn blanked(&self) -> Self {
        match self {
            Self::DtmfReceived => Self::DtmfReceived,
            Self::Turn(said) if !said.inferred => Self::Spoke(said.speech()),
            Self::Spoke(speech) => Self::Spoke(*speech),
            spoken if spoken.shows_life() => Self::Seen,
            _ => Self::Other,
        }
    }

    /// What is left of it once what was said is gone. Of an analysis that is what statistics count.
    #[must_use]
    pub fn without_words(&self) -> Self {
        match self {
            Self::AnalysisReady(found) => Self::AnalysisReady(Box::new(found.without_words())),
            other => other.blanked(),
        }
    }

    /// Who spoke, if it is a turn that a source reported, not one made of a recording.
    pub fn speech(&self) -> Option<Speech> {
        match self {
            Self::Turn(said) if !said.inferred => Some(said.speech()),
            Self::Spoke(speech) => Some(*speech),
            _ => None,
        }
    }

    /// The opening facts, of an opening or of a terminal event.
    pub fn setup(&self) -> Option<&Setup> {
        match self {
            Self::Queued(setup) | Self::Initiated(setup) => Some(setup),
            Self::Ended(end) => Some(&end.setup),
            _ => None,
        }
    }
}
