//! From the words of an event to what they mean.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use pegcount_calls::{
    Amount, Analysis, AudioConfig, CallLeg, CostItem, Decimal, Document, EndpointName, Event, Fact,
    LatencySample, LegId, Media, MetadataPatch, PhoneNumberName, Price, Quality, QualityLeg, QualityReport,
    Recording, Role, Setup, Speech, Stage, Summary, Timestamp, ToolInvocation, ToolOutcome, TurnReport, Word,
    parse_decimal,
};
use pegcount_store::Report;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    Rejection,
    caller::read_caller,
    data::{
        AnalysisData, CostItemData, DtmfData, EndData, Fields, InviteData, LatencySummaryData, LegData,
        MediaData, MediaQualityData, MetadataData, OptOutData, RecordingData, RecordingFailedData,
        ResidueData, SetupData, StageLatencyData, TimeWord, ToolInvokedData, ToolResultData, TranscriptData,
        TransferData, TurnData, UnitWord,
    },
    given_id,
    json::in_plain_words,
    kinds, time,
};

pub(super) type Read<T> = Result<T, Rejection>;

/// Longest number, id or name in bytes.
pub(super) const LONGEST_SHORT_TEXT: usize = 256;
/// Longest URL in bytes.
const LONGEST_URL: usize = 4096;
/// Ten years in seconds: no call lasts longer, and no latency.
const LONGEST_SECONDS: f64 = 315_360_000.0;

/// What a report means.
///
/// # Errors
/// A [`Rejection`] that names the field. A report that was kept has passed this, so for it an error means damage.
pub fn read_report(report: &Report) -> Read<Event> {
    let data = report.data.as_json_text();
    let fact = if report.blanked { blank_fact(&report.kind, data)? } else { read_fact(report, data)? };
    let leg = if data.contains("leg_id") { read_leg(data, report)? } else { None };
    let opts_out = said_of_opt_out(data)? == Value::Bool(true);
    Ok(Event { id: report.id.clone(), at: report.at, source: report.source.clone(), leg, opts_out, fact })
}

/// The field of every event that says that content of the call must not be kept.
const OPT_OUT: &str = "opt_out_sensitive_data_storage";

/// What the data says of the opt-out. Most says nothing, and is not parsed once more; an escape may hide a letter of the
/// name.
fn said_of_opt_out(data: &str) -> Read<Value> {
    if !data.contains(OPT_OUT) && !data.contains("\\u") {
        return Ok(Value::Null);
    }
    Ok(parse::<OptOutData>(data)?.opt_out_sensitive_data_storage)
}

/// Checks what a new event says of the opt-out: what is no boolean must not pass for a consent.
pub(super) fn check_opt_out(data: &str) -> Read<()> {
    match said_of_opt_out(data)? {
        Value::Null | Value::Bool(_) => Ok(()),
        _ => Err(Rejection::invalid(format!("event_data.{OPT_OUT} must be true or false"))),
    }
}

/// What is left of an event whose words are gone: that it happened, and so that the call lived then, and what
/// [`residue`] left.
fn blank_fact(kind: &str, data: &str) -> Read<Fact> {
    Ok(match kind {
        kinds::DTMF_RECEIVED => Fact::DtmfReceived,
        kinds::TRANSCRIPT_TURN => blank_turn(data)?,
        kinds::TOOL_INVOKED | kinds::TOOL_RESULT => Fact::Seen,
        kinds::ANALYSIS_READY if data.contains("call_successful") => {
            Fact::AnalysisReady(Box::new(read_analysis(data)?))
        }
        _ => Fact::Other,
    })
}

/// What is left of a turn: who spoke when. Earlier versions left nothing but that somebody did.
fn blank_turn(data: &str) -> Read<Fact> {
    let left: ResidueData = parse(data)?;
    Ok(match left.role {
        _ if left.inferred => Fact::Other,
        None => Fact::Seen,
        Some(role) => Fact::Spoke(Speech {
            role: role.into(),
            start_millis: whole_millis("start_ms", left.start_ms)?,
            end_millis: whole_millis("end_ms", left.end_ms)?,
        }),
    })
}

/// The data that is kept of an event whose words go: as much as it takes to read what is `left` of it, and an opt-out.
pub fn residue(event: &Event, left: &Fact) -> Document {
    let mut data = match (&event.fact, left) {
        (Fact::Turn(said), _) if said.inferred => json!({ "inferred": true }),
        (_, Fact::Spoke(speech)) => {
            let Speech { role, start_millis, end_millis } = speech;
            let role = if *role == Role::Agent { "agent" } else { "caller" };
            let mut said = Map::from_iter([("role".to_owned(), role.into())]);
            for (field, millis) in [("start_ms", start_millis), ("end_ms", end_millis)] {
                said.extend(millis.map(|millis| (field.to_owned(), millis.into())));
            }
            Value::Object(said)
        }
        (_, Fact::AnalysisReady(found)) => json!({
            "call_successful": found.successful, "user_sentiment": found.sentiment, "in_voicemail": found.in_voicemail,
        }),
        _ => json!({}),
    };
    if event.opts_out {
        data[OPT_OUT] = Value::Bool(true);
    }
    Document::from_json_text(data.to_string())
}

fn read_fact(report: &Report, data: &str) -> Read<Fact> {
    let received_at = report.received_at;
    Ok(match report.kind.as_str() {
        kinds::CALL_QUEUED => Fact::Queued(Box::new(read_setup(data)?)),
        kinds::CALL_INITIATED => Fact::Initiated(Box::new(read_setup(data)?)),
        kinds::SIP_INVITE_SENT => {
            short("sip_uri", parse::<InviteData>(data)?.sip_uri)?;
            Fact::InviteSent
        }
        kinds::CALL_RINGING => checked_object(data, Fact::Ringing)?,
        kinds::CALL_ANSWERED => checked_object(data, Fact::Answered)?,
        kinds::SIP_MEDIA_ESTABLISHED => Fact::MediaEstablished(read_media(data)?),
        kinds::CALL_HELD => checked_object(data, Fact::Held)?,
        kinds::CALL_RESUMED => checked_object(data, Fact::Resumed)?,
        kinds::CALL_TRANSFERRED => {
            short("to", parse::<TransferData>(data)?.to)?;
            Fact::Transferred
        }
        kinds::DTMF_RECEIVED => {
            short("digit", parse::<DtmfData>(data)?.digit)?;
            Fact::DtmfReceived
        }
        kinds::CALL_SEEN => checked_object(data, Fact::Seen)?,
        kinds::CALL_COMPLETED => Fact::Ended(Box::new(read_end(data, false, received_at)?)),
        kinds::CALL_FAILED => Fact::Ended(Box::new(read_end(data, true, received_at)?)),
        kinds::TRANSCRIPT_TURN => Fact::Turn(Box::new(read_turn(data)?)),
        kinds::TOOL_INVOKED => Fact::ToolInvoked(Box::new(read_tool_invoked(data)?)),
        kinds::TOOL_RESULT => Fact::ToolReturned(Box::new(read_tool_result(data)?)),
        kinds::STAGE_LATENCY => Fact::StageLatency(read_latency(data)?),
        kinds::LATENCY_SUMMARY => Fact::LatencySummary(Box::new(read_summary(data)?)),
        kinds::MEDIA_QUALITY => Fact::MediaQuality(Box::new(read_quality(data)?)),
        kinds::COST_ITEM => Fact::Cost(Box::new(read_cost(data)?)),
        kinds::RECORDING_READY => Fact::RecordingReady(Box::new(read_recording(data)?)),
        kinds::RECORDING_FAILED => {
            let said: RecordingFailedData = parse(data)?;
            short("reason", said.reason)?;
            Fact::RecordingFailed { is_empty: said.empty == Some(true) }
        }
        kinds::RECORDING_DELETED => checked_object(data, Fact::RecordingDeleted)?,
        kinds::TRANSCRIPT_DELETED => checked_object(data, Fact::TranscriptDeleted)?,
        kinds::EVENTS_DELETED => checked_object(data, Fact::EventsDeleted)?,
        kinds::TRANSCRIPT_READY => Fact::TranscriptReady(parse::<TranscriptData>(data)?.text),
        kinds::ANALYSIS_READY => Fact::AnalysisReady(Box::new(read_analysis(data)?)),
        kinds::METADATA_SET => Fact::MetadataSet(read_metadata(parse::<MetadataData<'_>>(data)?.metadata)?),
        _ => checked_object(data, Fact::Other)?,
    })
}

/// Reads the fields, and names the one that is wrong.
fn parse<'a, T: Deserialize<'a>>(data: &'a str) -> Read<T> {
    let mut deserializer = serde_json::Deserializer::from_str(data);
    serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { "event_data".to_owned() } else { format!("event_data.{path}") };
        Rejection::invalid(format!(
            "{place}: {}",
            in_plain_words(without_position(&error.into_inner().to_string()))
        ))
    })
}

/// serde_json ends a message with a line and a column, which mean nothing for a part of a larger body.
fn without_position(message: &str) -> &str {
    message.split_once(" at line ").map_or(message, |(sentence, _)| sentence)
}

fn checked_object(data: &str, fact: Fact) -> Read<Fact> {
    parse::<BTreeMap<String, serde::de::IgnoredAny>>(data)?;
    Ok(fact)
}

fn bounded(field: &str, text: Option<String>, longest: usize) -> Read<Option<String>> {
    match text {
        Some(text) if text.len() > longest => {
            Err(Rejection::invalid(format!("event_data.{field} is longer than {longest} bytes")))
        }
        text => Ok(text),
    }
}

pub(super) fn short(field: &str, text: Option<String>) -> Read<Option<String>> {
    bounded(field, text, LONGEST_SHORT_TEXT)
}

fn within(field: &str, value: Option<f64>, least: f64, most: f64) -> Read<Option<f64>> {
    match value {
        Some(value) if !(least..=most).contains(&value) => {
            Err(Rejection::invalid(format!("event_data.{field} must lie between {least} and {most}")))
        }
        value => Ok(value),
    }
}

fn millis(field: &str, value: Option<f64>) -> Read<Option<f64>> {
    within(field, value, 0.0, LONGEST_SECONDS * 1000.0)
}

/// Whole milliseconds; the bounds make sure that the conversion loses nothing but the fraction.
fn whole_millis(field: &str, value: Option<f64>) -> Read<Option<i64>> {
    Ok(within(field, value, -LONGEST_SECONDS * 1000.0, LONGEST_SECONDS * 1000.0)?
        .map(|value| value.round() as i64))
}

fn instant(field: &str, value: Option<TimeWord>, received_at: Timestamp) -> Read<Option<Timestamp>> {
    let at = match value {
        None => return Ok(None),
        Some(TimeWord::Millis(millis)) => Timestamp::from_millis(millis),
        Some(TimeWord::Text(text)) => time::parse_rfc3339(&text).ok_or_else(|| {
            Rejection::invalid(format!("event_data.{field} must be an RFC 3339 time or epoch milliseconds"))
        })?,
    };
    time::check_event_time(&format!("event_data.{field}"), at, received_at)?;
    Ok(Some(at))
}

fn document(value: &RawValue) -> Document {
    Document::from_json_text(super::json::compact(value.get()))
}

fn object(field: &str, value: Option<&RawValue>) -> Read<Option<Document>> {
    match value {
        Some(value) if value.get().starts_with('{') => Ok(Some(document(value))),
        Some(_) => Err(Rejection::invalid(format!("event_data.{field} must be an object"))),
        None => Ok(None),
    }
}

/// Whether it may be a key of a call's metadata.
pub fn is_metadata_key(key: &str) -> bool {
    (1..=LONGEST_SHORT_TEXT).contains(&key.len())
}

fn read_metadata(fields: Option<IndexMap<String, &RawValue>>) -> Read<MetadataPatch> {
    let fields = fields.unwrap_or_default();
    if fields.len() > 256 {
        return Err(Rejection::invalid("event_data.metadata has more than 256 keys"));
    }
    fields
        .into_iter()
        .map(|(key, value)| {
            if !is_metadata_key(&key) {
                let message =
                    format!("a key of event_data.metadata must have 1 to {LONGEST_SHORT_TEXT} bytes");
                return Err(Rejection::invalid(message));
            }
            Ok((key, (value.get() != "null").then(|| document(value))))
        })
        .collect()
}

/// Sources that report legs only once they have ended. Those of their events that an earlier program kept do not say so.
const SOURCES_OF_RECORDS: [&str; 2] = ["asterisk", "freeswitch"];

fn read_leg(data: &str, report: &Report) -> Read<Option<CallLeg>> {
    let leg: LegData = parse(data)?;
    let name = |field: &str, text: &str| {
        LegId::new(text).map_err(|error| Rejection::invalid(format!("event_data.{field} {error}")))
    };
    let Some(id) = leg.leg_id else { return Ok(None) };
    Ok(Some(CallLeg {
        id: name("leg_id", &id)?,
        origin_unless_dialled: leg.leg_origin_unless_dialled == Some(true),
        dialled: leg.dialled_leg_id.map(|id| name("dialled_leg_id", &id)).transpose()?,
        after_the_fact: leg.after_the_fact == Some(true)
            || SOURCES_OF_RECORDS.contains(&report.source.as_str()),
    }))
}

fn read_setup(data: &str) -> Read<Setup> {
    let mut said: SetupData<'_> = parse(data)?;
    let caller = read_caller(&mut said)?;
    let telephony = said.telephony.map(|Fields(telephony)| telephony).unwrap_or_default();
    // Programs write a placeholder where they have no id; a count from 0 is one.
    let given = |id: &String| given_id(id).is_some() || id == "0";
    let endpoint = said.endpoint_id.filter(given).map(|id| {
        EndpointName::new(&id).map_err(|error| Rejection::invalid(format!("event_data.endpoint_id {error}")))
    });
    let phone_number = said.phone_number_id.filter(given).map(|id| {
        PhoneNumberName::new(&id)
            .map_err(|error| Rejection::invalid(format!("event_data.phone_number_id {error}")))
    });
    Ok(Setup {
        direction: said.direction.map(Into::into),
        from_number: short("from_number", said.from_number)?,
        to_number: short("to_number", said.to_number)?,
        call_type: said.call_type.map(Into::into),
        endpoint: endpoint.transpose()?,
        phone_number: phone_number.transpose()?,
        metadata: read_metadata(said.metadata)?,
        context: object("context", said.context)?,
        task: said.task_id,
        call_sid: short("telephony.call_sid", telephony.call_sid)?,
        conference_sid: short("telephony.conference_sid", telephony.conference_sid)?,
        sip_call_id: short("telephony.sip_call_id", telephony.sip_call_id)?,
        caller,
    })
}

fn read_end(data: &str, failed: bool, received_at: Timestamp) -> Read<pegcount_calls::End> {
    let said: EndData = parse(data)?;
    let length = |field: &str, seconds| {
        let seconds = within(field, seconds, 0.0, LONGEST_SECONDS)?;
        Ok(seconds.map(|seconds: f64| (seconds * 1000.0).round() as i64))
    };
    within("sip_status", said.sip_status.map(|code| code as f64), 0.0, 999.0)?;
    within("q850_cause", said.q850_cause.map(|code| code as f64), 0.0, 999.0)?;
    Ok(pegcount_calls::End {
        failed,
        inferred: said.inferred == Some(true),
        cause: said.hangup_cause.map(Into::into),
        by: said.hangup_source.map(Into::into),
        transfer: short("reason", said.reason)?.as_deref() == Some("transfer"),
        talk_millis: length("duration", said.duration)?,
        clock_millis: length("clock_duration", said.clock_duration)?,
        recorded: said.recorded == Some(true),
        started_at: instant("started_at", said.started_at, received_at)?,
        ringing_at: instant("ringing_at", said.ringing_at, received_at)?,
        answered_at: instant("answered_at", said.answered_at, received_at)?,
        answered_about: instant("answered_about", said.answered_about, received_at)?,
        answered_elsewhere: said.answered_elsewhere == Some(true),
        setup: read_setup(data)?,
    })
}

fn read_media(data: &str) -> Read<Media> {
    let said: MediaData = parse(data)?;
    Ok(Media { codec: short("codec", said.codec)?, latency_millis: millis("latency_ms", said.latency_ms)? })
}

fn read_turn(data: &str) -> Read<TurnReport> {
    let said: TurnData = parse(data)?;
    let words = said.words.unwrap_or_default().into_iter().map(|Fields(word)| {
        Ok(Word {
            start_millis: whole_millis("words.start_ms", Some(word.start_ms))?.unwrap_or_default(),
            end_millis: whole_millis("words.end_ms", Some(word.end_ms))?.unwrap_or_default(),
            word: word.word,
        })
    });
    Ok(TurnReport {
        role: said.role.into(),
        content: said.content,
        start_millis: whole_millis("start_ms", said.start_ms)?,
        end_millis: whole_millis("end_ms", said.end_ms)?,
        words: words.collect::<Read<_>>()?,
        language: short("language", said.language)?,
        inferred: said.inferred == Some(true),
    })
}

fn read_tool_invoked(data: &str) -> Read<ToolInvocation> {
    let said: ToolInvokedData<'_> = parse(data)?;
    Ok(ToolInvocation {
        tool_call: short("tool_call_id", said.tool_call_id)?,
        name: short("name", said.name)?,
        arguments: said.arguments.map(document),
    })
}

fn read_tool_result(data: &str) -> Read<ToolOutcome> {
    let said: ToolResultData<'_> = parse(data)?;
    millis("duration_ms", said.duration_ms)?;
    Ok(ToolOutcome {
        tool_call: short("tool_call_id", said.tool_call_id)?,
        result: said.result.map(document),
        is_error: said.is_error == Some(true),
    })
}

fn read_latency(data: &str) -> Read<LatencySample> {
    let said: StageLatencyData = parse(data)?;
    let latency = millis("latency_ms", Some(said.latency_ms))?.unwrap_or_default();
    Ok(LatencySample { stage: said.stage.into(), millis: latency })
}

fn read_summary(data: &str) -> Read<(Stage, Summary)> {
    let said: LatencySummaryData = parse(data)?;
    let mut values = said.values.unwrap_or_default();
    for value in &values {
        millis("values", Some(*value))?;
    }
    values.truncate(Summary::MOST_VALUES);
    let summary = Summary {
        min: millis("min", said.min)?,
        max: millis("max", said.max)?,
        num: said.num,
        p50: millis("p50", said.p50)?,
        p90: millis("p90", said.p90)?,
        p95: millis("p95", said.p95)?,
        p99: millis("p99", said.p99)?,
        values,
    };
    Ok((said.stage.into(), summary))
}

fn read_quality(data: &str) -> Read<QualityReport> {
    let said: MediaQualityData = parse(data)?;
    let counted = said.packets_received.zip(said.packets_lost).and_then(|(received, lost)| {
        let sent = received.checked_add(lost)?;
        (sent > 0).then(|| lost as f64 / sent as f64)
    });
    let codec = short("audio_codec", said.audio_codec)?;
    Ok(QualityReport {
        leg: said.leg.map_or(QualityLeg::Agent, Into::into),
        quality: Quality {
            latency_millis: millis("latency_ms", said.latency_ms)?,
            jitter_millis: millis("jitter_ms", said.jitter_ms)?,
            packet_loss: within("packet_loss", said.packet_loss, 0.0, 1.0)?.or(counted),
            mos: within("mos", said.mos, 0.0, 5.0)?,
            codec: codec.clone(),
        },
        audio: AudioConfig { codec, sample_rate_hz: said.sample_rate_hz },
    })
}

fn decimal(field: &str, value: Option<&RawValue>) -> Read<Option<Decimal>> {
    let Some(value) = value else { return Ok(None) };
    let text = value.get();
    // A decimal comes as a JSON number or as its text; both are read from their digits, never through a float.
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    parse_decimal(digits).map(Some).map_err(|error| Rejection::invalid(format!("event_data.{field} {error}")))
}

fn read_cost(data: &str) -> Read<CostItem> {
    let said: CostItemData<'_> = parse(data)?;
    let (unit_price, quantity) =
        (decimal("unit_price", said.unit_price)?, decimal("quantity", said.quantity)?);
    let amount_of = |field: &str, value: Option<Decimal>| {
        value
            .and_then(|value| Amount::from_decimal(value).ok())
            .ok_or_else(|| Rejection::invalid(format!("event_data.{field} is larger than 1000000")))
    };
    let price = match (decimal("cost", said.cost)?, unit_price, quantity) {
        (Some(cost), unit_price, quantity) => {
            Price::Stated { amount: amount_of("cost", Some(cost))?, unit_price, quantity }
        }
        (None, Some(unit_price), Some(quantity)) => {
            amount_of("unit_price x quantity", unit_price.checked_mul(quantity))?;
            Price::Each { unit_price, quantity }
        }
        (None, Some(unit_price), None) => Price::Each { unit_price, quantity: Decimal::ONE },
        (None, None, Some(quantity)) => Price::Counted { quantity },
        (None, None, None) => {
            let message = "a cost_item needs cost, unit_price (with quantity, unless it is 1), or quantity of a product with a set price";
            return Err(Rejection::invalid(message));
        }
    };
    let product = bounded("product", Some(said.product), LONGEST_SHORT_TEXT)?.unwrap_or_default();
    Ok(CostItem { product, per_minute: said.unit == Some(UnitWord::Minute), price })
}

fn read_recording(data: &str) -> Read<Recording> {
    let said: RecordingData = parse(data)?;
    if said.url.is_none() && said.object.is_none() {
        return Err(Rejection::invalid("event_data needs a url or an object"));
    }
    Ok(Recording {
        announced_by: None,
        url: bounded("url", said.url, LONGEST_URL)?,
        object: bounded("object", said.object, LONGEST_URL)?,
        duration_seconds: within("duration_seconds", said.duration_seconds, 0.0, LONGEST_SECONDS)?,
        format: short("format", said.format)?,
        size_bytes: said.size_bytes,
    })
}

fn read_analysis(data: &str) -> Read<Analysis> {
    let said: AnalysisData<'_> = parse(data)?;
    Ok(Analysis {
        successful: said.call_successful,
        summary: said.call_summary,
        sentiment: short("user_sentiment", said.user_sentiment)?,
        in_voicemail: said.in_voicemail,
        custom: object("custom", said.custom)?,
    })
}
