//! The fold: from the set of a call's events to the call.
//!
//! Every field is a rule over the set (contract, events.md), and [`History`] hands the set over in one order, (time,
//! id), however the events arrived. So one pass in that order is enough, and "last writer wins" is simply the last one.

mod ends;
mod legs;
mod talk;

use crate::{
    AudioConfig, Call, CallType, Content, Direction, Event, Fact, History, Quality, Recording, Setup, State,
    Status, Timestamp, ToolEntry, Turn, TurnReport,
    explain::{Claim, Field, Why, Witness},
};
pub use ends::OpenEnd;
use ends::Verdict;
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
    let has_turns = events.iter().any(|event| matches!(event.fact, Fact::Turn(_)));
    let has_told_turns = events.iter().any(|event| matches!(&event.fact, Fact::Turn(said) if !said.inferred));
    let mut draft = Draft { has_turns, has_told_turns, ..Draft::default() };
    for (index, event) in events.iter().enumerate() {
        if event.opts_out {
            draft.opt_out = true;
            witness.claims(Field::OptOut, index, Claim::First(event.at));
        }
        draft.notice_times(index, event, &verdict, witness);
        draft.notice_setup(index, event, &legs, witness);
        draft.notice_content(index, event, witness);
    }
    draft.finish(&verdict, witness)
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
    has_turns: bool,
    has_told_turns: bool,
    turns: Vec<(Timestamp, TurnReport)>,
    content: Content,
}

/// Keeps the earlier of what is known and what is said.
fn keep_earliest(known: &mut Option<Timestamp>, said: Timestamp) {
    *known = Some(known.map_or(said, |known| known.min(said)));
}

impl Draft {
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
        if let Fact::MetadataSet(patch) = &event.fact {
            self.merge_metadata(index, patch, witness);
        }
        let Some(setup) = event.fact.setup() else { return };
        self.merge_metadata(index, &setup.metadata, witness);
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

    fn merge_metadata(&mut self, index: usize, patch: &crate::MetadataPatch, witness: &mut impl Witness) {
        for (key, value) in patch {
            match value {
                Some(value) => self.content.metadata.insert(key.clone(), value.clone()),
                None => self.content.metadata.shift_remove(key),
            };
            witness.claims(Field::Metadata(key.clone()), index, Claim::Last);
        }
    }

    fn notice_content(&mut self, index: usize, event: &Event, witness: &mut impl Witness) {
        let content = &mut self.content;
        match &event.fact {
            Fact::Turn(said) if said.inferred && self.has_told_turns => {
                witness.dismisses(Field::Turns, index, Why::Superseded);
            }
            Fact::Turn(said) => {
                self.turns.push((event.at, said.as_ref().clone()));
                witness.claims(Field::Turns, index, Claim::Adds);
            }
            Fact::ToolInvoked(_) | Fact::ToolReturned(_) => {
                content.tools.extend(tool_entry(event));
                witness.claims(Field::Tools, index, Claim::Adds);
            }
            Fact::StageLatency(sample) => {
                content.latencies.entry(sample.stage).or_default().push(sample.millis);
                witness.claims(Field::Latency(sample.stage), index, Claim::Adds);
            }
            Fact::LatencySummary(reported) => {
                let (stage, summary) = reported.as_ref();
                content.latency_summaries.insert(*stage, summary.clone());
                witness.claims(Field::LatencySummary(*stage), index, Claim::Last);
            }
            Fact::Cost(item) => {
                content.costs.push(item.as_ref().clone());
                witness.claims(Field::Costs, index, Claim::Adds);
            }
            Fact::RecordingReady(recording) => {
                content.recording_deleted_at = None;
                content.recording =
                    Some(Recording { announced_by: Some(event.id.clone()), ..recording.as_ref().clone() });
                witness.claims(Field::Recording, index, Claim::Last);
            }
            Fact::Ended(end) => content.recording_expected |= end.recorded,
            Fact::RecordingFailed { is_empty } => content.recording_expected = !is_empty,
            Fact::RecordingDeleted => {
                content.recording = None;
                content.recording_deleted_at = Some(event.at);
                witness.claims(Field::Recording, index, Claim::Last);
            }
            Fact::DtmfReceived => content.keys_pressed = true,
            Fact::TranscriptDeleted => {
                keep_earliest(&mut content.transcript_deleted_at, event.at);
                witness.claims(Field::TranscriptDeleted, index, Claim::First(event.at));
            }
            Fact::EventsDeleted => keep_earliest(&mut content.sealed_at, event.at),
            Fact::TranscriptReady(_) if self.has_turns => {
                witness.dismisses(Field::TranscriptText, index, Why::Superseded);
            }
            Fact::TranscriptReady(text) => {
                content.transcript_text = Some(text.clone());
                witness.claims(Field::TranscriptText, index, Claim::Last);
            }
            Fact::AnalysisReady(found) => merge_analysis(content, index, found, witness),
            Fact::MediaEstablished(_) | Fact::MediaQuality(_) => notice_audio(content, index, event, witness),
            _ => {}
        }
    }

    fn finish(mut self, verdict: &Verdict<'_>, witness: &mut impl Witness) -> Call {
        // A History is never empty, so some event has set it.
        let created_at = self.created_at.unwrap_or(Timestamp::from_millis(0));
        let ended_at = verdict.ended_at();
        let spoken = self.progress > Progress::Queued || ended_at.is_some();
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
        if self.content.transcript_deleted_at.is_some() {
            self.content.forget_words();
        }
        if self.opt_out {
            forget_what_was_said(&mut self.content);
        }
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
        let mut turns: Vec<Turn> = std::mem::take(&mut self.turns)
            .into_iter()
            .map(|(reported_at, said)| {
                let placed =
                    answered_at.zip(said.start_millis).map(|(answer, start)| answer.plus_millis(start));
                Turn { at: placed.unwrap_or(reported_at), said }
            })
            .collect();
        // Stable: turns of one instant keep the order of their events.
        turns.sort_by_key(|turn| turn.at);
        self.content.turns = turns;
    }
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

fn tool_entry(event: &Event) -> Option<ToolEntry> {
    let at = event.at;
    match &event.fact {
        Fact::ToolInvoked(tool) => Some(ToolEntry::Invocation {
            at,
            tool_call: tool.tool_call.clone(),
            name: tool.name.clone(),
            arguments: tool.arguments.clone(),
        }),
        Fact::ToolReturned(tool) => Some(ToolEntry::Outcome {
            at,
            tool_call: tool.tool_call.clone(),
            result: tool.result.clone(),
            is_error: tool.is_error,
        }),
        _ => None,
    }
}

fn merge_analysis(content: &mut Content, index: usize, found: &crate::Analysis, witness: &mut impl Witness) {
    let known = content.analysis.get_or_insert_default();
    known.successful = found.successful.or(known.successful);
    known.in_voicemail = found.in_voicemail.or(known.in_voicemail);
    if found.summary.is_some() {
        known.summary.clone_from(&found.summary);
    }
    if found.sentiment.is_some() {
        known.sentiment.clone_from(&found.sentiment);
    }
    if found.custom.is_some() {
        known.custom.clone_from(&found.custom);
    }
    let said = [
        (found.successful.is_some(), Field::Successful),
        (found.summary.is_some(), Field::Summary),
        (found.sentiment.is_some(), Field::Sentiment),
        (found.in_voicemail.is_some(), Field::InVoicemail),
        (found.custom.is_some(), Field::CustomAnalysis),
    ];
    for (_, field) in said.into_iter().filter(|(said, _)| *said) {
        witness.claims(field, index, Claim::Last);
    }
}

fn notice_audio(content: &mut Content, index: usize, event: &Event, witness: &mut impl Witness) {
    match &event.fact {
        Fact::MediaEstablished(media) => {
            if media.codec.is_some() {
                content.media.codec.clone_from(&media.codec);
                content.audio.codec.clone_from(&media.codec);
                witness.claims(Field::AudioConfig, index, Claim::Last);
            }
            if media.latency_millis.is_some() {
                content.media.latency_millis = media.latency_millis;
            }
            if media.codec.is_some() || media.latency_millis.is_some() {
                witness.claims(Field::Media, index, Claim::Last);
            }
        }
        Fact::MediaQuality(report) => {
            let worst = [content.worst_packet_loss, report.quality.packet_loss].into_iter().flatten();
            content.worst_packet_loss = worst.reduce(f64::max);
            content.quality.insert(report.leg, Quality::clone(&report.quality));
            witness.claims(Field::Quality(report.leg), index, Claim::Last);
            let AudioConfig { codec, sample_rate_hz } = &report.audio;
            if codec.is_some() || sample_rate_hz.is_some() {
                witness.claims(Field::AudioConfig, index, Claim::Last);
            }
            if codec.is_some() {
                content.audio.codec.clone_from(codec);
            }
            content.audio.sample_rate_hz = sample_rate_hz.or(content.audio.sample_rate_hz);
        }
        _ => {}
    }
}

/// What a call that opted out does not keep (contract, organization dialect).
fn forget_what_was_said(content: &mut Content) {
    // The analysis goes when its event is blanked.
    content.forget_conversation();
    content.recording_expected = false;
    content.recording = None;
}

impl Call {
    /// Whether the call counts as live.
    pub fn is_live(&self) -> bool {
        Status::is_live(self.status())
    }
}
