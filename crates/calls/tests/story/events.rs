//! Events and tariffs from their words.

use std::collections::BTreeMap;

use pegcount_calls::{
    Amount, Analysis, AudioConfig, CallLeg, CallType, CallerIdentity, Cause, CostItem, Decimal, Direction,
    Document, End, EndpointName, Event, EventId, Fact, Increments, LatencySample, LegId, Media,
    MetadataPatch, Party, PhoneNumberName, Price, Quality, QualityLeg, QualityReport, Rate, Recording, Role,
    Setup, SourceName, Speech, Stage, Summary, Timestamp, ToolInvocation, ToolOutcome, TurnReport,
};

use super::words::Words;

const DIRECTIONS: [(&str, Direction); 2] =
    [("inbound", Direction::Inbound), ("outbound", Direction::Outbound)];
const ROLES: [(&str, Role); 2] = [("agent", Role::Agent), ("user", Role::User)];
const STAGES: [(&str, Stage); 5] = [
    ("e2e", Stage::EndToEnd),
    ("llm", Stage::Llm),
    ("stt", Stage::Stt),
    ("tts", Stage::Tts),
    ("other", Stage::Other),
];

/// The event of this time, the so manieth of its story.
pub(super) fn event(at: Timestamp, place: usize, words: &mut Words) -> Event {
    let id = words.take("id").unwrap_or_else(|| format!("e{place:02}"));
    let kind = words.next();
    let leg = words.take("leg").map(|id| CallLeg {
        id: LegId::new(id).unwrap(),
        origin_unless_dialled: words.yes("origin_unless_dialled") == Some(true),
        dialled: words.take("dialled").map(|id| LegId::new(id).unwrap()),
        after_the_fact: words.yes("after_the_fact") == Some(true),
    });
    let opts_out = words.yes("opt_out") == Some(true);
    let fact = fact(&kind, words);
    let source = SourceName::new("test").unwrap();
    Event { id: EventId::new(id).unwrap(), at, source, leg, opts_out, fact }
}

fn fact(kind: &str, words: &mut Words) -> Fact {
    match kind {
        "queued" => Fact::Queued(Box::new(setup(words))),
        "initiated" => Fact::Initiated(Box::new(setup(words))),
        "invite_sent" => Fact::InviteSent,
        "ringing" => Fact::Ringing,
        "answered" => Fact::Answered,
        "media" => {
            Fact::MediaEstablished(Media { codec: words.take("codec"), latency_millis: words.number("ms") })
        }
        "held" => Fact::Held,
        "resumed" => Fact::Resumed,
        "transferred" => Fact::Transferred,
        "dtmf" => Fact::DtmfReceived,
        "seen" => Fact::Seen,
        "completed" => Fact::Ended(Box::new(end(false, words))),
        "failed" => Fact::Ended(Box::new(end(true, words))),
        "turn" => Fact::Turn(Box::new(turn(words))),
        "spoke" => Fact::Spoke(Speech {
            role: words.one_of("role", &ROLES).expect("role="),
            start_millis: words.number("start"),
            end_millis: words.number("end"),
        }),
        "tool_invoked" => Fact::ToolInvoked(Box::new(ToolInvocation {
            tool_call: words.take("tool_call"),
            name: words.take("name"),
            arguments: words.document("arguments"),
        })),
        "tool_result" => Fact::ToolReturned(Box::new(ToolOutcome {
            tool_call: words.take("tool_call"),
            result: words.document("result"),
            is_error: words.yes("is_error") == Some(true),
        })),
        "latency" => Fact::StageLatency(LatencySample {
            stage: words.one_of("stage", &STAGES).expect("stage="),
            millis: words.number("ms").expect("ms="),
        }),
        "latency_summary" => Fact::LatencySummary(Box::new(summary(words))),
        "quality" => Fact::MediaQuality(Box::new(quality(words))),
        "cost" => Fact::Cost(Box::new(cost(words))),
        "recording_ready" => Fact::RecordingReady(Box::new(Recording {
            announced_by: None,
            url: words.take("url"),
            object: words.take("object"),
            duration_seconds: words.number("seconds"),
            format: words.take("format"),
            size_bytes: words.number("bytes"),
        })),
        "recording_failed" => Fact::RecordingFailed { is_empty: words.yes("is_empty") == Some(true) },
        "recording_deleted" => Fact::RecordingDeleted,
        "transcript_deleted" => Fact::TranscriptDeleted,
        "transcript" => Fact::TranscriptReady(words.take("text").expect("text=")),
        "analysis" => Fact::AnalysisReady(Box::new(Analysis {
            successful: words.yes("successful"),
            summary: words.take("summary"),
            sentiment: words.take("sentiment"),
            in_voicemail: words.yes("in_voicemail"),
            custom: words.document("custom"),
        })),
        "metadata" => Fact::MetadataSet(patch(words.rest())),
        "other" => Fact::Other,
        unknown => words.unknown(unknown),
    }
}

fn patch(fields: Vec<(String, String)>) -> MetadataPatch {
    let value = |text: String| (text != "null").then(|| Document::from_json_text(text));
    fields.into_iter().map(|(key, text)| (key, value(text))).collect()
}

fn setup(words: &mut Words) -> Setup {
    let types = [("phone", CallType::Phone), ("web", CallType::Web)];
    let metadata = words.take("metadata").unwrap_or_default();
    let keys = metadata.split(',').filter_map(|one| one.split_once(':'));
    Setup {
        direction: words.one_of("direction", &DIRECTIONS),
        from_number: words.take("from"),
        to_number: words.take("to"),
        call_type: words.one_of("type", &types),
        endpoint: words.take("endpoint").map(|name| EndpointName::new(name).unwrap()),
        phone_number: words.take("phone_number").map(|name| PhoneNumberName::new(name).unwrap()),
        metadata: patch(keys.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
        context: words.document("context"),
        task: words.number("task"),
        call_sid: words.take("call_sid"),
        conference_sid: words.take("conference_sid"),
        sip_call_id: words.take("sip_call_id"),
        caller: caller(words),
    }
}

fn caller(words: &mut Words) -> Option<Box<CallerIdentity>> {
    let caller = CallerIdentity {
        name: words.take("caller_name"),
        asserted_number: words.take("asserted"),
        privacy: words.yes("privacy"),
        ..CallerIdentity::default()
    };
    (!caller.is_empty()).then(|| Box::new(caller))
}

fn end(failed: bool, words: &mut Words) -> End {
    let causes = [
        ("normal_clearing", Cause::NormalClearing),
        ("user_hangup", Cause::UserHangup),
        ("agent_hangup", Cause::AgentHangup),
        ("no_answer", Cause::NoAnswer),
        ("busy", Cause::Busy),
        ("rejected", Cause::Rejected),
        ("network_error", Cause::NetworkError),
        ("timeout", Cause::Timeout),
    ];
    let parties = [
        ("caller", Party::Caller),
        ("callee", Party::Callee),
        ("api", Party::Api),
        ("system", Party::System),
    ];
    End {
        failed,
        inferred: words.yes("inferred") == Some(true),
        cause: words.one_of("cause", &causes),
        by: words.one_of("by", &parties),
        transfer: words.yes("transfer") == Some(true),
        recorded: words.yes("recorded") == Some(true),
        talk_millis: words.number::<f64>("duration").map(|seconds| (seconds * 1000.0) as i64),
        clock_millis: words.number::<f64>("clock_duration").map(|seconds| (seconds * 1000.0) as i64),
        started_at: words.time("started"),
        ringing_at: words.time("rang"),
        answered_at: words.time("answered"),
        answered_about: words.time("about"),
        answered_elsewhere: words.yes("elsewhere") == Some(true),
        setup: setup(words),
    }
}

fn turn(words: &mut Words) -> TurnReport {
    TurnReport {
        role: words.one_of("role", &ROLES).expect("role="),
        content: words.take("says").expect("says="),
        start_millis: words.number("start"),
        end_millis: words.number("end"),
        words: Vec::new(),
        language: words.take("language"),
        inferred: words.yes("inferred") == Some(true),
    }
}

fn summary(words: &mut Words) -> (Stage, Summary) {
    let stage = words.one_of("stage", &STAGES).expect("stage=");
    let summary = Summary {
        min: words.number("min"),
        max: words.number("max"),
        num: words.number("num"),
        p50: words.number("p50"),
        p90: words.number("p90"),
        p95: words.number("p95"),
        p99: words.number("p99"),
        values: Vec::new(),
    };
    (stage, summary)
}

fn quality(words: &mut Words) -> QualityReport {
    let sides = [("agent", QualityLeg::Agent), ("caller", QualityLeg::Caller)];
    let codec = words.take("codec");
    QualityReport {
        leg: words.one_of("of", &sides).expect("of="),
        quality: Quality {
            latency_millis: words.number("ms"),
            jitter_millis: words.number("jitter"),
            packet_loss: words.number("loss"),
            mos: words.number("mos"),
            codec: codec.clone(),
        },
        audio: AudioConfig { codec, sample_rate_hz: words.number("hz") },
    }
}

fn cost(words: &mut Words) -> CostItem {
    let units = [("minute", true), ("item", false)];
    let (unit_price, quantity) = (words.decimal("unit_price"), words.decimal("quantity"));
    let amount = words.decimal("cost").map(|cost| Amount::from_decimal(cost).unwrap());
    let price = match (amount, unit_price, quantity) {
        (Some(amount), unit_price, quantity) => Price::Stated { amount, unit_price, quantity },
        (None, Some(unit_price), quantity) => {
            Price::Each { unit_price, quantity: quantity.unwrap_or(Decimal::ONE) }
        }
        (None, None, quantity) => Price::Counted { quantity: quantity.expect("quantity=") },
    };
    let product = words.take("product").expect("product=");
    CostItem { product, per_minute: words.one_of("unit", &units) == Some(true), price }
}

/// A rate of the tariff.
pub(super) fn rate(words: &mut Words) -> Rate {
    let by_the_second = Increments::default();
    Rate {
        prefix: words.take("prefix").unwrap_or_default(),
        direction: words.one_of("direction", &DIRECTIONS),
        per_minute: words.decimal("per_minute").expect("per_minute="),
        connection_fee: words.decimal("fee").unwrap_or(Decimal::ZERO),
        increments: Increments {
            initial_seconds: words.number("initial").unwrap_or(by_the_second.initial_seconds),
            following_seconds: words.number("following").unwrap_or(by_the_second.following_seconds),
        },
    }
}

/// The prices of products in the tariff.
pub(super) fn products(words: &mut Words) -> BTreeMap<String, Decimal> {
    let price = |text: &str| pegcount_calls::parse_decimal(text).unwrap();
    words.rest().into_iter().map(|(product, text)| (product, price(&text))).collect()
}
