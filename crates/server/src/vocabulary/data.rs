//! The fields of `event_data`, as JSON has them (contract, events.md). Unknown fields are kept elsewhere and ignored
//! here; `null` says nothing.

use std::{fmt, marker::PhantomData};

use indexmap::IndexMap;
use pegcount_calls::{AttestationLevel, CallType, Cause, Direction, Party, QualityLeg, Role, Stage};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::{Value, value::RawValue};

/// Gives an enum of the domain its words.
macro_rules! words {
    ($($(#[$doc:meta])* $wire:ident for $domain:ident { $($word:literal => $value:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Deserialize)]
        pub(super) enum $wire {
            $(#[serde(rename = $word)] $value,)*
        }

        impl From<$wire> for $domain {
            fn from(word: $wire) -> Self {
                match word {
                    $($wire::$value => Self::$value,)*
                }
            }
        }
    )*};
}

words! {
    DirectionWord for Direction { "inbound" => Inbound, "outbound" => Outbound }
    CallTypeWord for CallType { "phone_call" => Phone, "web_call" => Web }
    CauseWord for Cause {
        "normal_clearing" => NormalClearing,
        "user_hangup" => UserHangup,
        "agent_hangup" => AgentHangup,
        "no_answer" => NoAnswer,
        "busy" => Busy,
        "rejected" => Rejected,
        "network_error" => NetworkError,
        "timeout" => Timeout,
    }
    LevelWord for AttestationLevel { "A" => A, "B" => B, "C" => C }
    PartyWord for Party { "caller" => Caller, "callee" => Callee, "api" => Api, "system" => System }
    RoleWord for Role { "agent" => Agent, "caller" => User }
    StageWord for Stage { "e2e" => EndToEnd, "stt" => Stt, "llm" => Llm, "tts" => Tts, "other" => Other }
    QualityLegWord for QualityLeg { "agent" => Agent, "caller" => Caller }
}

/// RFC 3339, or integer epoch milliseconds.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum TimeWord {
    Millis(i64),
    Text(String),
}

/// The fields of an object, and of an object only: serde would take an array of their values as well.
pub(super) struct Fields<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectOnly(PhantomData))
    }
}

struct ObjectOnly<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOnly<T> {
    type Value = Fields<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Fields<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Fields)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct LegData {
    pub(super) leg_id: Option<String>,
    /// Ours: the leg is the originating one unless another leg dialled it.
    pub(super) leg_origin_unless_dialled: Option<bool>,
    /// Ours: the leg that this one dialled.
    pub(super) dialled_leg_id: Option<String>,
    /// The leg is reported only once it has ended.
    pub(super) after_the_fact: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct OptOutData {
    /// Events that an earlier program kept may have anything here.
    pub(super) opt_out_sensitive_data_storage: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct SetupData<'a> {
    pub(super) direction: Option<DirectionWord>,
    pub(super) from_number: Option<String>,
    pub(super) to_number: Option<String>,
    pub(super) call_type: Option<CallTypeWord>,
    pub(super) endpoint_id: Option<String>,
    pub(super) phone_number_id: Option<String>,
    #[serde(borrow)]
    pub(super) metadata: Option<IndexMap<String, &'a RawValue>>,
    #[serde(borrow)]
    pub(super) context: Option<&'a RawValue>,
    pub(super) task_id: Option<i64>,
    pub(super) telephony: Option<Fields<TelephonyData>>,
    pub(super) caller_name: Option<String>,
    pub(super) asserted_number: Option<String>,
    pub(super) privacy: Option<bool>,
    pub(super) diversion: Option<Vec<Fields<DiversionData>>>,
    pub(super) attestation: Option<Fields<AttestationData>>,
    pub(super) headers: Option<IndexMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct DiversionData {
    pub(super) number: String,
    pub(super) reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AttestationData {
    pub(super) level: Option<LevelWord>,
    pub(super) passed: Option<bool>,
    pub(super) reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TelephonyData {
    pub(super) call_sid: Option<String>,
    pub(super) conference_sid: Option<String>,
    pub(super) sip_call_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct EndData {
    pub(super) hangup_cause: Option<CauseWord>,
    pub(super) hangup_source: Option<PartyWord>,
    pub(super) reason: Option<String>,
    pub(super) inferred: Option<bool>,
    pub(super) duration: Option<f64>,
    /// What the source's clocks make of the duration, where they contradict it.
    pub(super) clock_duration: Option<f64>,
    pub(super) recorded: Option<bool>,
    pub(super) started_at: Option<TimeWord>,
    pub(super) ringing_at: Option<TimeWord>,
    pub(super) answered_at: Option<TimeWord>,
    /// About when it was answered.
    pub(super) answered_about: Option<TimeWord>,
    /// Another leg took the call.
    pub(super) answered_elsewhere: Option<bool>,
    pub(super) sip_status: Option<i64>,
    pub(super) q850_cause: Option<i64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct TransferData {
    pub(super) to: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct DtmfData {
    pub(super) digit: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct InviteData {
    pub(super) sip_uri: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MediaData {
    pub(super) codec: Option<String>,
    pub(super) latency_ms: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct TurnData {
    pub(super) role: RoleWord,
    pub(super) content: String,
    pub(super) start_ms: Option<f64>,
    pub(super) end_ms: Option<f64>,
    pub(super) words: Option<Vec<Fields<WordData>>>,
    pub(super) language: Option<String>,
    pub(super) inferred: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WordData {
    pub(super) word: String,
    pub(super) start_ms: f64,
    pub(super) end_ms: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolInvokedData<'a> {
    pub(super) tool_call_id: Option<String>,
    pub(super) name: Option<String>,
    #[serde(borrow)]
    pub(super) arguments: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct ToolResultData<'a> {
    pub(super) tool_call_id: Option<String>,
    #[serde(borrow)]
    pub(super) result: Option<&'a RawValue>,
    pub(super) is_error: Option<bool>,
    pub(super) duration_ms: Option<f64>,
}

#[derive(Deserialize)]
pub(super) struct StageLatencyData {
    pub(super) stage: StageWord,
    pub(super) latency_ms: f64,
}

#[derive(Deserialize)]
pub(super) struct LatencySummaryData {
    pub(super) stage: StageWord,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) num: Option<u64>,
    pub(super) p50: Option<f64>,
    pub(super) p90: Option<f64>,
    pub(super) p95: Option<f64>,
    pub(super) p99: Option<f64>,
    pub(super) values: Option<Vec<f64>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MediaQualityData {
    pub(super) leg: Option<QualityLegWord>,
    pub(super) latency_ms: Option<f64>,
    pub(super) jitter_ms: Option<f64>,
    pub(super) packet_loss: Option<f64>,
    pub(super) mos: Option<f64>,
    pub(super) audio_codec: Option<String>,
    pub(super) sample_rate_hz: Option<u32>,
    pub(super) packets_received: Option<u64>,
    pub(super) packets_lost: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum UnitWord {
    #[serde(rename = "minute")]
    Minute,
    #[serde(rename = "item")]
    Item,
}

#[derive(Deserialize)]
pub(super) struct CostItemData<'a> {
    pub(super) product: String,
    pub(super) unit: Option<UnitWord>,
    #[serde(borrow)]
    pub(super) unit_price: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) quantity: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) cost: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordingData {
    pub(super) url: Option<String>,
    pub(super) object: Option<String>,
    pub(super) duration_seconds: Option<f64>,
    pub(super) format: Option<String>,
    pub(super) size_bytes: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct TranscriptData {
    pub(super) text: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct AnalysisData<'a> {
    pub(super) call_successful: Option<bool>,
    pub(super) call_summary: Option<String>,
    pub(super) user_sentiment: Option<String>,
    pub(super) in_voicemail: Option<bool>,
    #[serde(borrow)]
    pub(super) custom: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct MetadataData<'a> {
    #[serde(borrow)]
    pub(super) metadata: Option<IndexMap<String, &'a RawValue>>,
}

/// Why there is no recording.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordingFailedData {
    pub(super) reason: Option<String>,
    pub(super) empty: Option<bool>,
}

/// What is left of a turn whose words are gone.
#[derive(Deserialize)]
pub(super) struct ResidueData {
    #[serde(default)]
    pub(super) inferred: bool,
    pub(super) role: Option<RoleWord>,
    pub(super) start_ms: Option<f64>,
    pub(super) end_ms: Option<f64>,
}
