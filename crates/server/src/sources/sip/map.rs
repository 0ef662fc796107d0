//! From the gateway's reports to native events (contract, events.md).

use std::{collections::HashMap, num::NonZeroUsize, time::Duration};

use lru::LruCache;
use pegcount_calls::{CallName, EndpointName, Party, PhoneNumberName, Timestamp};
use pegcount_gateway::{
    AttestationLevel, CallId, CallerIdentity, Denied, Ended, Quality, Recording, Report, Side, What, Why,
};
use pegcount_store::OrganizationNumber;
use serde_json::{Map, Number, Value, json};

use super::{
    NAME,
    ending::{direction_word, ending, refusal},
    note::Note,
};
use crate::{
    sources::mapped::{Data, Teller, event_id, short_text},
    vocabulary::{Telling, call_name, kinds},
};

/// Keys, holds, transfers and measures of one call that are told: a call has room for 20,000 events, and its end must
/// find some.
const MOST_MINOR: u32 = 10_000;

/// An event of a call.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    /// Whose call it is.
    pub(super) organization: OrganizationNumber,
    /// Which.
    pub(super) call: CallName,
    /// What happened.
    pub(super) telling: Telling,
}

/// Calls that are over and whose recording is awaited, at most: what comes of older ones has another id.
const AWAITED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(9_999);

/// Makes events of reports. It remembers of each call that is not over what later reports of it do not say again.
pub(super) struct Mapper {
    courses: HashMap<CallId, Course>,
    /// How many events were told of calls that are over.
    awaited: LruCache<CallId, u32>,
    /// The longest that a call may last.
    pub(super) longest: Duration,
}

/// What is remembered of a call between its reports.
#[derive(Debug, Default)]
struct Course {
    note: Note,
    told: u32,
    minor: u32,
    recorded: bool,
}

impl Mapper {
    /// One that knows of no call.
    pub(super) fn new(longest: Duration) -> Self {
        Self { courses: HashMap::new(), awaited: LruCache::new(AWAITED), longest }
    }

    /// The event that a report tells of; `None` where it tells of none.
    pub(super) fn map(&mut self, report: &Report, received_at: Timestamp) -> Option<Mapped> {
        let organization = OrganizationNumber(report.account.parse().ok()?);
        let (words, id) = match &report.what {
            What::Recorded(_) | What::NotRecorded { .. } => {
                let told = self.awaited.pop(&report.call);
                let id = told.map_or_else(|| "evt_recovered_recording".to_owned(), |told| numbered(told + 1));
                (Course::default().words(&report.what, self.longest), id)
            }
            what => {
                let course = self.courses.entry(report.call.clone()).or_default();
                let words = course.words(what, self.longest);
                course.told = course.told.saturating_add(u32::from(words.is_some()));
                let id = numbered(course.told);
                match what {
                    What::Ended(_) => {
                        self.awaited.put(report.call.clone(), course.told);
                        self.courses.remove(&report.call);
                    }
                    // Nothing more comes of it.
                    What::Denied(_) => drop(self.courses.remove(&report.call)),
                    _ => {}
                }
                (words, id)
            }
        };
        let (kind, data) = words?;
        let teller = Teller { source: NAME, received_at };
        let at = i64::try_from(report.at).map_or(received_at, Timestamp::from_millis);
        let telling = teller.tell(event_id(&id), at, kind, data);
        Some(Mapped { organization, call: call_name(report.call.as_str()), telling })
    }

    /// How many calls are remembered.
    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.courses.len()
    }
}

/// The id of the so-manieth event of a call. Ids compare as bytes.
fn numbered(place: u32) -> String {
    format!("evt_{place:05}")
}

type Words = Option<(&'static str, Data)>;

impl Course {
    fn words(&mut self, what: &What, longest: Duration) -> Words {
        match what {
            What::Denied(denied) => Some(self.denied(denied)),
            What::Invited { from, to, trunk, sip_call_id, note, identity, .. } => {
                self.note = Note::read(note);
                let data = self.setup(from, to, trunk.as_deref(), sip_call_id.as_deref(), identity);
                Some((kinds::CALL_INITIATED, data))
            }
            What::InviteSent { uri, .. } => {
                Some((kinds::SIP_INVITE_SENT, Data::default().with_text("sip_uri", Some(uri))))
            }
            What::Ringing => Some((kinds::CALL_RINGING, Data::default())),
            What::Answered => Some((kinds::CALL_ANSWERED, Data::default())),
            What::MediaEstablished { codec, latency_ms } => {
                let data =
                    Data::default().with_text("codec", Some(codec)).with("latency_ms", Some(*latency_ms));
                Some((kinds::SIP_MEDIA_ESTABLISHED, data))
            }
            What::MediaQuality { side, quality } => {
                self.minor(kinds::MEDIA_QUALITY, quality_of(self.role(*side), quality))
            }
            What::MediaRefused { side, from, expected } => {
                let data = self.by(*side).with("from", Some(from.to_string()));
                self.minor("x_media_refused", data.with("expected", Some(expected.to_string())))
            }
            What::Dtmf { side, digit } => {
                let data = self.by(*side).with("digit", Some(digit.to_string()));
                self.minor(kinds::DTMF_RECEIVED, data)
            }
            What::Held { by } => self.minor(kinds::CALL_HELD, self.by(*by)),
            What::Resumed { by } => self.minor(kinds::CALL_RESUMED, self.by(*by)),
            What::TransferAsked { .. } => None,
            What::RecordingBegun => {
                self.recorded = true;
                None
            }
            What::TransferEnded { by, target, result: Ok(()) } => {
                self.minor(kinds::CALL_TRANSFERRED, self.by(*by).with_text("to", Some(target)))
            }
            What::TransferEnded { by, target, result: Err(why) } => {
                let data = with_codes(self.by(*by).with_text("to", Some(target)), why);
                self.minor("x_transfer_failed", data)
            }
            What::RecordingCut { dropped } => {
                self.minor("x_recording_cut", Data::default().with("frames_dropped", Some(*dropped)))
            }
            What::Ended(ended) => Some(self.end(ended, longest)),
            What::Recorded(recording) => Some((kinds::RECORDING_READY, recorded(recording))),
            What::NotRecorded { reason, is_empty } => {
                let data = Data::default().with_text("reason", Some(reason));
                Some((kinds::RECORDING_FAILED, data.with("empty", is_empty.then_some(true))))
            }
        }
    }

    /// One of many events of a call; beyond a number of them nothing is told.
    fn minor(&mut self, kind: &'static str, data: Data) -> Words {
        self.minor = self.minor.saturating_add(1);
        (self.minor <= MOST_MINOR).then_some((kind, data))
    }

    /// Who stands on a side (contract, events.md): `caller` is the outside party whichever way the call goes.
    fn role(&self, side: Side) -> &'static str {
        if side == self.note.outside() { "caller" } else { "agent" }
    }

    fn by(&self, side: Side) -> Data {
        Data::default().with("leg", Some(self.role(side)))
    }

    fn setup(
        &self,
        from: &str,
        to: &str,
        trunk: Option<&str>,
        sip_call_id: Option<&str>,
        identity: &CallerIdentity,
    ) -> Data {
        let note = &self.note;
        let told = |noted: &str, heard: &str| {
            let text = if noted.is_empty() { heard } else { noted };
            text.to_owned()
        };
        let ordered: Option<Map<String, Value>> =
            note.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let headers = headers_of(identity);
        let metadata: Map<String, Value> =
            headers.clone().into_iter().chain(ordered.unwrap_or_default()).collect();
        let data = Data::default()
            .with("direction", Some(direction_word(note.direction())))
            .with_text("from_number", Some(&told(&note.from, from)))
            .with_text("to_number", Some(&told(&note.to, to)))
            .with("endpoint_id", note.endpoint.as_ref().map(EndpointName::as_str))
            .with("phone_number_id", note.phone_number.as_ref().map(PhoneNumberName::as_str))
            .with("telephony", sip_call_id.and_then(short_text).map(|id| json!({ "sip_call_id": id })))
            .with_text("sip_trunk", trunk)
            // Where it is the other way round, for who hears the two sides of a recording.
            .with("calling_leg", (note.outside() == Side::Callee).then_some("agent"))
            .with("metadata", (!metadata.is_empty()).then_some(metadata))
            .with("opt_out_sensitive_data_storage", note.opt_out.then_some(true));
        with_identity(data, identity).with("headers", (!headers.is_empty()).then_some(headers))
    }

    /// An attempt that was refused: its beginning and its end in one.
    fn denied(&mut self, denied: &Denied) -> (&'static str, Data) {
        self.note = Note::read(&denied.note);
        let Denied { from, to, trunk, sip_call_id, identity, why, .. } = denied;
        let cause = refusal(why, &self.note);
        let data = self.setup(from, to, trunk.as_deref(), Some(sip_call_id), identity);
        let data = data.with("duration", Some(0)).with_ending(Some(cause), Some(Party::System));
        (kinds::CALL_FAILED, with_codes(data, why).with_text("reason", why.text.as_deref()))
    }

    fn end(&self, ended: &Ended, longest: Duration) -> (&'static str, Data) {
        let end = ending(ended, &self.note, longest);
        let kind = if end.failed { kinds::CALL_FAILED } else { kinds::CALL_COMPLETED };
        let data = Data::default()
            .with("duration", seconds(Duration::from_millis(ended.talked_ms.unwrap_or_default())))
            .with_ending(Some(end.cause), Some(end.by))
            .with("recorded", self.recorded.then_some(true));
        // "transfer" would mean that the call was handed over.
        let text = ended.why.text.as_deref().filter(|text| !text.trim().eq_ignore_ascii_case("transfer"));
        let data = with_codes(data, &ended.why).with_text("reason", text);
        let dropped = ended.dropped_reports;
        (kind, data.with("reports_dropped", (dropped > 0).then_some(dropped)))
    }
}

/// The headers that the configuration names.
fn headers_of(identity: &CallerIdentity) -> Map<String, Value> {
    let clean = |text: &str| text.chars().filter(|character| !character.is_control()).collect::<String>();
    identity.headers.iter().map(|(name, value)| (name.clone(), clean(value).into())).collect()
}

/// Who calls, beside the number (docs/sources/native.md).
fn with_identity(data: Data, identity: &CallerIdentity) -> Data {
    let diversions = identity.diversions.iter().filter_map(|diversion| {
        let number = short_text(&diversion.number)?;
        let entry = Data::default().with("number", Some(number));
        Some(entry.with_text("reason", diversion.reason.as_deref()).into_value())
    });
    let diversions: Vec<Value> = diversions.collect();
    let attestation = identity.attestation.as_ref().map(|found| {
        let level = found.level.map(|level| match level {
            AttestationLevel::A => "A",
            AttestationLevel::B => "B",
            AttestationLevel::C => "C",
        });
        let verdict = Data::default().with("level", level).with("passed", found.passed);
        verdict.with_text("reason", found.reason.as_deref()).into_value()
    });
    data.with_text("caller_name", identity.name.as_deref())
        .with_text("asserted_number", identity.asserted_number.as_deref())
        .with("privacy", identity.is_private.then_some(true))
        .with("diversion", (!diversions.is_empty()).then_some(diversions))
        .with("attestation", attestation)
}

/// The raw codes of an end.
fn with_codes(data: Data, why: &Why) -> Data {
    data.with("sip_status", why.status).with("q850_cause", why.q850)
}

fn quality_of(leg: &'static str, quality: &Quality) -> Data {
    let sent = quality.packets.saturating_add(quality.lost);
    let loss = (sent > 0).then(|| decimal(quality.lost as f64 / sent as f64, 10_000.0)).flatten();
    let rounded = |value: Option<f64>, parts: f64| value.and_then(|value| decimal(value, parts));
    Data::default()
        .with("leg", Some(leg))
        .with("latency_ms", rounded(quality.round_trip_ms.map(|value| value.max(0.0)), 10.0))
        .with("jitter_ms", rounded(quality.jitter_ms.map(|value| value.max(0.0)), 100.0))
        .with("packet_loss", loss)
        .with("mos", rounded(quality.mos.map(|value| value.clamp(0.0, 5.0)), 100.0))
        .with_text("audio_codec", quality.codec.as_deref())
        .with("sample_rate_hz", quality.codec.as_deref().and_then(sample_rate))
        .with("packets_received", Some(quality.packets))
        .with("packets_lost", Some(quality.lost))
        .with("packets_reordered", Some(quality.reordered))
}

/// A number with so many parts of one, without a fraction where there is none.
fn decimal(value: f64, parts: f64) -> Option<Value> {
    let rounded = (value * parts).round() / parts;
    if rounded.fract() == 0.0 && rounded.abs() < 1e15 {
        return Some(Value::from(rounded as i64));
    }
    Number::from_f64(rounded).map(Value::Number)
}

fn seconds(duration: Duration) -> Option<Value> {
    decimal(duration.as_secs_f64(), 1_000.0)
}

/// How often a codec samples, in hertz.
fn sample_rate(codec: &str) -> Option<u32> {
    match codec.to_ascii_lowercase().as_str() {
        "pcmu" | "pcma" => Some(8_000),
        "g722" => Some(16_000),
        "opus" => Some(48_000),
        _ => None,
    }
}

fn recorded(recording: &Recording) -> Data {
    let object = recording.file.file_name().map(|name| name.to_string_lossy().into_owned());
    let sha256: String = data_encoding::HEXLOWER.encode(&recording.sha256);
    Data::default()
        .with("object", object)
        .with("duration_seconds", seconds(recording.duration))
        .with("format", Some(recording.format.suffix()))
        .with("size_bytes", Some(recording.bytes))
        .with("channels", Some(recording.channels))
        // Both formats have this rate: `pegcount_gateway::recording::Format`.
        .with("sample_rate_hz", Some(48_000))
        .with_time("begins_at", i64::try_from(recording.begins_at).ok().map(Timestamp::from_millis))
        .with("sha256", Some(sha256))
        .with("incomplete", is_incomplete(recording).then_some(true))
}

/// Whether some of what was heard is not in the recording.
fn is_incomplete(recording: &Recording) -> bool {
    let flaws = &recording.flaws;
    flaws.cut || flaws.interrupted || flaws.frames_dropped > 0
}

#[cfg(test)]
mod tests;
