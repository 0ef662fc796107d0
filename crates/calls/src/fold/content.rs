//! What one event adds to the bulky part of a call, given that no later one has been taken in.

use super::keep_earliest;
use crate::{
    Analysis, AudioConfig, Content, Event, Fact, MetadataPatch, Quality, Recording, ToolEntry, TurnReport,
    explain::{Claim, Field, Why, Witness},
};

/// Which turns a call has: a text counts only without any, and one made of a recording only where nobody reported one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KnownTurns {
    /// Any at all.
    pub(super) any: bool,
    /// Any that a source reported.
    pub(super) reported: bool,
}

impl KnownTurns {
    pub(super) fn of(events: &[Event]) -> Self {
        Self {
            any: events.iter().any(|event| matches!(event.fact, Fact::Turn(_))),
            reported: events.iter().any(|event| matches!(&event.fact, Fact::Turn(said) if !said.inferred)),
        }
    }

    /// Whether this turn counts among them.
    pub(super) fn count(self, said: &TurnReport) -> bool {
        !(said.inferred && self.reported)
    }
}

/// Takes in what an event tells of the content, but for its turn: the caller gives that its place. Latencies are
/// appended, not sorted.
pub(super) fn notice(
    content: &mut Content,
    index: usize,
    event: &Event,
    known_turns: KnownTurns,
    witness: &mut impl Witness,
) {
    match &event.fact {
        Fact::MetadataSet(patch) => merge_metadata(content, index, patch, witness),
        Fact::Turn(said) if !known_turns.count(said) => {
            witness.dismisses(Field::Turns, index, Why::Superseded);
        }
        Fact::Turn(_) => witness.claims(Field::Turns, index, Claim::Adds),
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
        Fact::TranscriptReady(_) if known_turns.any => {
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

pub(super) fn merge_metadata(
    content: &mut Content,
    index: usize,
    patch: &MetadataPatch,
    witness: &mut impl Witness,
) {
    for (key, value) in patch {
        match value {
            Some(value) => content.metadata.insert(key.clone(), value.clone()),
            None => content.metadata.shift_remove(key),
        };
        witness.claims(Field::Metadata(key.clone()), index, Claim::Last);
    }
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

fn merge_analysis(content: &mut Content, index: usize, found: &Analysis, witness: &mut impl Witness) {
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

/// Forgets what the call must not keep: what was said, where that is deleted or the call opted out (contract,
/// organization dialect). Once forgotten it may be forgotten again: later events may have added to it.
pub(super) fn forget(content: &mut Content, opted_out: bool) {
    if content.transcript_deleted_at.is_some() {
        content.forget_words();
    }
    if opted_out {
        // The analysis goes when its event is blanked.
        content.forget_conversation();
        content.recording_expected = false;
        content.recording = None;
    }
}
