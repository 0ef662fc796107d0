//! What is known of a call.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::{
    Cause, CostItem, Document, EndpointName, EventId, Field, Party, PhoneNumberName, Stage, Summary,
    Timestamp, TurnReport,
};

/// A call: the fold of its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// When it was created: its earliest event, or the start that a CDR names.
    pub created_at: Timestamp,
    /// When the destination first rang.
    pub ringing_at: Option<Timestamp>,
    /// Where it stands, with what is known from then on.
    pub state: State,
    /// From the endpoint's view.
    pub direction: Direction,
    /// Over the telephone network or the web.
    pub call_type: CallType,
    /// The calling number, as reported.
    pub from_number: Option<String>,
    /// The called number, as reported.
    pub to_number: Option<String>,
    /// The endpoint (agent) that takes or places it.
    pub endpoint: Option<EndpointName>,
    /// The organization's phone number that it came in on or went out from, where an event named it.
    pub phone_number: Option<PhoneNumberName>,
    /// Content of it must not be kept; then [`Content`] has no words and there is no recording.
    pub opt_out: bool,
    /// Everything bulky.
    pub content: Content,
}

/// Where a call stands; each state carries exactly what is known from then on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Only queued so far.
    Queued,
    /// Being set up.
    Initiated,
    /// The destination rings.
    Ringing,
    /// The parties talk.
    Answered {
        /// Since when.
        answered_at: Timestamp,
    },
    /// It is over.
    Ended(Ending),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// When it had been answered, if it was; never after its end.
    pub answered_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// Who ended it.
    pub by: Option<Party>,
    /// It ended because it was handed over.
    pub transfer: bool,
    /// It was reported as failed rather than completed.
    pub failed: bool,
    /// The end was concluded, not told.
    pub inferred: bool,
}

/// From the endpoint's view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// It reached our endpoint.
    Inbound,
    /// It left from our endpoint.
    Outbound,
}

/// What carries a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CallType {
    /// The telephone network.
    Phone,
    /// The web.
    Web,
}

/// Metadata: key to JSON value, in the order the keys were first set.
pub type Metadata = IndexMap<String, Document>;

/// The bulky part of a call: what only one who opens the call reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Content {
    /// A number of the organization's own that the call belongs to.
    pub task: Option<i64>,
    /// Ids of the telephone side.
    pub telephony: Telephony,
    /// What is known of the caller, beside the number.
    #[serde(default, skip_serializing_if = "CallerIdentity::is_empty")]
    pub caller: CallerIdentity,
    /// Metadata.
    pub metadata: Metadata,
    /// What the agent was told about the call; an object.
    pub context: Option<Document>,
    /// The recording, if there is one.
    pub recording: Option<Recording>,
    /// What an analysis found, if there was one.
    pub analysis: Option<Analysis>,
    /// The conversation, in time order.
    pub turns: Vec<Turn>,
    /// Calls of tools and their results, in time order.
    pub tools: Vec<ToolEntry>,
    /// The transcript as one text, where there are no turns.
    pub transcript_text: Option<String>,
    /// The latencies of each stage in milliseconds, ascending.
    pub latencies: BTreeMap<Stage, Vec<f64>>,
    /// Summaries that the source itself made; they go before [`Content::latencies`].
    pub latency_summaries: BTreeMap<Stage, Summary>,
    /// The last measure of each side's audio.
    pub quality: BTreeMap<QualityLeg, Quality>,
    /// The worst share of packets lost in any measure, 0 to 1.
    pub worst_packet_loss: Option<f64>,
    /// What the media's set-up told: the fallback where a measure lacks codec or latency.
    pub media: Quality,
    /// What the audio last was.
    pub audio: AudioConfig,
    /// What the source says was used or charged.
    pub costs: Vec<CostItem>,
    /// Whether keys were pressed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keys_pressed: bool,
    /// How long the parties talked by the source's own count, in milliseconds, where that goes before the clocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_talk_millis: Option<u64>,
    /// A recording should be there or come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub recording_expected: bool,
    /// Since when there is no recording any more, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording_deleted_at: Option<Timestamp>,
    /// Since when what was said is not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcript_deleted_at: Option<Timestamp>,
    /// Since when the events are not kept: the call stays as it is, but for what is deleted of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_at: Option<Timestamp>,
}

impl Content {
    /// Forgets what was said and pressed.
    pub(crate) fn forget_conversation(&mut self) {
        self.turns.clear();
        self.tools.clear();
        self.transcript_text = None;
        self.keys_pressed = false;
    }

    /// Forgets what was said, and what was made of it.
    pub(crate) fn forget_words(&mut self) {
        self.forget_conversation();
        self.analysis = self.analysis.take().map(|found| found.without_words());
    }

    /// Whether we keep a recording of our own: a link to somebody else's is none.
    pub fn keeps_recording(&self) -> bool {
        self.recording.as_ref().is_some_and(|recording| recording.object.is_some())
    }

    /// Whether a recording should be there or come, and is neither there nor was deleted.
    pub fn lacks_recording(&self) -> bool {
        self.recording_expected && self.recording.is_none() && self.recording_deleted_at.is_none()
    }

    /// Whether anything is kept of what was said or pressed.
    pub fn has_words(&self) -> bool {
        let told = |found: &Analysis| found.summary.is_some() || found.custom.is_some();
        !self.turns.is_empty()
            || !self.tools.is_empty()
            || self.transcript_text.is_some()
            || self.keys_pressed
            || self.analysis.as_ref().is_some_and(told)
    }
}

/// Ids of the telephone side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telephony {
    /// The carrier's id of the call.
    pub call_sid: Option<String>,
    /// The carrier's id of the conference.
    pub conference_sid: Option<String>,
    /// The Call-ID of the originating leg (RFC 3261 section 20.8).
    pub sip_call_id: Option<String>,
}

/// What is known of the caller, beside the number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallerIdentity {
    /// The name that is shown with the number.
    pub name: Option<String>,
    /// The number that the network vouches for (RFC 3325); it may be another than the one shown.
    pub asserted_number: Option<String>,
    /// Whether who calls wants to stay unknown to who is called (RFC 3323).
    pub privacy: Option<bool>,
    /// Who forwarded the call, the latest first.
    pub diversion: Option<Vec<Diversion>>,
    /// What the network found of the number.
    pub attestation: Option<Attestation>,
    /// Headers of the call's first message that the configuration names.
    pub headers: Option<IndexMap<String, String>>,
}

impl CallerIdentity {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.said().next().is_none()
    }

    /// The fields that are known.
    pub(crate) fn said(&self) -> impl Iterator<Item = Field> + use<> {
        [
            (self.name.is_some(), Field::CallerName),
            (self.asserted_number.is_some(), Field::AssertedNumber),
            (self.privacy.is_some(), Field::Privacy),
            (self.diversion.is_some(), Field::Diversion),
            (self.attestation.is_some(), Field::Attestation),
            (self.headers.is_some(), Field::Headers),
        ]
        .into_iter()
        .filter_map(|(said, field)| said.then_some(field))
    }
}

/// Somebody who forwarded the call (RFC 5806).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diversion {
    /// The number that was called before.
    pub number: String,
    /// Why it was forwarded, in the source's words.
    pub reason: Option<String>,
}

/// What the network found of the calling number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attestation {
    /// How well the first carrier knows who calls (RFC 8588).
    pub level: Option<AttestationLevel>,
    /// Whether the signature was verified.
    pub passed: Option<bool>,
    /// The verdict in the network's words.
    pub reason: Option<String>,
}

/// How well the first carrier knows who calls (RFC 8588).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttestationLevel {
    /// The customer, and that the number is the customer's.
    A,
    /// The customer.
    B,
    /// Only where the call came from.
    C,
}

/// A recording that can be had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The event that announced it.
    pub announced_by: Option<EventId>,
    /// Where a foreign recording lies.
    pub url: Option<String>,
    /// Where our own lies on the shelf.
    pub object: Option<String>,
    /// Seconds.
    pub duration_seconds: Option<f64>,
    /// The container (`mp3`).
    pub format: Option<String>,
    /// Bytes.
    pub size_bytes: Option<u64>,
}

/// What an analysis after the call found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// Whether the call reached its goal.
    pub successful: Option<bool>,
    /// What it was about.
    pub summary: Option<String>,
    /// How the user felt.
    pub sentiment: Option<String>,
    /// Whether a voicemail answered.
    pub in_voicemail: Option<bool>,
    /// Fields of the organization's own; an object.
    pub custom: Option<Document>,
}

impl Analysis {
    /// What statistics count of it.
    #[must_use]
    pub fn without_words(&self) -> Self {
        Self { summary: None, custom: None, ..self.clone() }
    }
}

/// Who speaks. `User` is always the outside party, also in outbound calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Our endpoint.
    Agent,
    /// The outside party.
    User,
}

/// One turn of the conversation, in its place in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// When it began: the answer plus its start, else when it was reported.
    pub at: Timestamp,
    /// What was reported; its words are relative to the answer.
    pub said: TurnReport,
}

/// One word of a turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// The word.
    pub word: String,
    /// Milliseconds from the answer to its begin.
    pub start_millis: i64,
    /// Milliseconds from the answer to its end.
    pub end_millis: i64,
}

/// A tool was called, or answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToolEntry {
    /// The agent called it.
    Invocation {
        /// When.
        at: Timestamp,
        /// Ties it to its result.
        tool_call: Option<String>,
        /// The tool's name.
        name: Option<String>,
        /// The arguments.
        arguments: Option<Document>,
    },
    /// It answered.
    Outcome {
        /// When.
        at: Timestamp,
        /// Ties it to its invocation.
        tool_call: Option<String>,
        /// The result.
        result: Option<Document>,
        /// Whether it failed.
        is_error: bool,
    },
}

/// Whose audio was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum QualityLeg {
    /// Our endpoint's.
    Agent,
    /// The outside party's.
    Caller,
}

/// One measure of the audio of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Milliseconds.
    pub latency_millis: Option<f64>,
    /// Milliseconds.
    pub jitter_millis: Option<f64>,
    /// The share of packets lost, 0 to 1.
    pub packet_loss: Option<f64>,
    /// Mean opinion score, 1 to 5.
    pub mos: Option<f64>,
    /// The codec's name.
    pub codec: Option<String>,
}

/// What the audio is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioConfig {
    /// The codec's name.
    pub codec: Option<String>,
    /// Samples a second.
    pub sample_rate_hz: Option<u32>,
}

impl Call {
    /// How it ended; `None` while it has not.
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Queued | State::Initiated | State::Ringing | State::Answered { .. } => None,
        }
    }

    /// When it was answered, if it was.
    pub fn answered_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Answered { answered_at } => Some(*answered_at),
            State::Ended(ending) => ending.answered_at,
            State::Queued | State::Initiated | State::Ringing => None,
        }
    }

    /// When it ended, however; `None` while it has not.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.ending().map(|ending| ending.ended_at)
    }

    /// How long the two sides could hear each other: as the source counted, else from the answer to the end.
    ///
    /// `None` while the call lives; zero when it ended unanswered.
    pub fn talk_time(&self) -> Option<Duration> {
        let ending = self.ending()?;
        if let Some(stated) = self.content.stated_talk_millis {
            return Some(Duration::from_millis(stated));
        }
        Some(ending.answered_at.map_or(Duration::ZERO, |answered_at| ending.ended_at.since(answered_at)))
    }

    /// From its creation to its end; `None` while it lives.
    pub fn total_time(&self) -> Option<Duration> {
        self.ended_at().map(|ended_at| ended_at.since(self.created_at))
    }

    /// The summary of a stage's latencies: the source's own, else the exact one of its samples.
    pub fn latency(&self, stage: Stage) -> Option<Summary> {
        match self.content.latency_summaries.get(&stage) {
            Some(reported) => Some(reported.clone()),
            None => Summary::of(self.content.latencies.get(&stage)?),
        }
    }

    /// The latencies of a stage in milliseconds, ascending: those that were told one by one, else the ones that the
    /// source's own summary lists.
    pub fn latency_samples(&self, stage: Stage) -> &[f64] {
        match self.content.latencies.get(&stage) {
            Some(samples) if !samples.is_empty() => samples,
            _ => self.content.latency_summaries.get(&stage).map_or(&[], |summary| &summary.values),
        }
    }

    /// The number on the organization's side: the called one of an inbound, the calling one of an outbound call.
    pub fn own_number(&self) -> Option<&str> {
        match self.direction {
            Direction::Inbound => self.to_number.as_deref(),
            Direction::Outbound => self.from_number.as_deref(),
        }
    }
}

impl ToolEntry {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Invocation { at, .. } | Self::Outcome { at, .. } => *at,
        }
    }
}
