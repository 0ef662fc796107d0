//! What was measured and found.

use pegcount_calls::{Analysis, Content, Quality, QualityLeg};
use pegcount_store::Report;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::Verbatim;
use crate::{
    vocabulary::{kinds, time::format_rfc3339},
    web::number::Measure,
};

/// One sample of a stage: what was reported, and when.
pub(super) type StageData = Map<String, Value>;

/// The samples of speech to text, of the language model and of text to speech.
pub(super) fn stage_data(reports: &[Report]) -> [Vec<StageData>; 3] {
    let [mut stt, mut llm, mut tts] = [const { Vec::new() }; 3];
    for report in reports.iter().filter(|report| report.kind == kinds::STAGE_LATENCY) {
        let Ok(mut data) = serde_json::from_str::<StageData>(report.data.as_json_text()) else { continue };
        let stage = match data.get("stage").and_then(Value::as_str) {
            Some("stt") => &mut stt,
            Some("llm") => &mut llm,
            Some("tts") => &mut tts,
            _ => continue,
        };
        data.insert("timestamp".to_owned(), format_rfc3339(report.at).into());
        stage.push(data);
    }
    [stt, llm, tts]
}

/// The last measure of each leg, and the worst share of packets lost in any; `{}` until something was measured.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentCallQuality)]
pub(super) struct CallQuality<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LegQuality<'a>, required = false)]
    agent: Option<LegQuality<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = LegQuality<'a>, required = false)]
    caller: Option<LegQuality<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64, required = false)]
    worst_packet_loss: Option<Measure>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentLegQuality)]
struct LegQuality<'a> {
    #[schema(value_type = Option<f64>)]
    latency_ms: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    jitter_ms: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    packet_loss: Option<Measure>,
    #[schema(value_type = Option<f64>)]
    mos: Option<Measure>,
    audio_codec: Option<&'a str>,
}

impl<'a> CallQuality<'a> {
    /// The quality in this dialect's words.
    pub(super) fn of(content: &'a Content) -> Self {
        let leg = |leg| content.quality.get(&leg).map(LegQuality::from);
        Self {
            agent: leg(QualityLeg::Agent),
            caller: leg(QualityLeg::Caller),
            worst_packet_loss: content.worst_packet_loss.map(Measure),
        }
    }
}

impl<'a> From<&'a Quality> for LegQuality<'a> {
    fn from(quality: &'a Quality) -> Self {
        Self {
            latency_ms: quality.latency_millis.map(Measure),
            jitter_ms: quality.jitter_millis.map(Measure),
            packet_loss: quality.packet_loss.map(Measure),
            mos: quality.mos.map(Measure),
            audio_codec: quality.codec.as_deref(),
        }
    }
}

/// What an analysis found, under the names it was reported with; `{}` until there is one.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentCallInsights)]
#[serde(untagged)]
pub(super) enum CallInsights<'a> {
    Found(Found<'a>),
    None(Nothing),
}

/// `{}`
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentNothing, max_properties = 0)]
pub(super) struct Nothing {}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentInsightsFound)]
pub(super) struct Found<'a> {
    call_successful: Option<bool>,
    call_summary: Option<&'a str>,
    user_sentiment: Option<&'a str>,
    in_voicemail: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    custom: Option<Verbatim<'a>>,
}

impl<'a> From<Option<&'a Analysis>> for CallInsights<'a> {
    fn from(analysis: Option<&'a Analysis>) -> Self {
        let Some(analysis) = analysis else { return Self::None(Nothing {}) };
        Self::Found(Found {
            call_successful: analysis.successful,
            call_summary: analysis.summary.as_deref(),
            user_sentiment: analysis.sentiment.as_deref(),
            in_voicemail: analysis.in_voicemail,
            custom: analysis.custom.as_ref().map(|custom| Verbatim(custom.as_json_text())),
        })
    }
}

/// What the audio last was; `{}` until that is known.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentAudioConfig)]
#[serde(untagged)]
pub(super) enum AudioConfig<'a> {
    Known(KnownAudio<'a>),
    Unknown(Nothing),
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AgentKnownAudio)]
pub(super) struct KnownAudio<'a> {
    codec: Option<&'a str>,
    sample_rate_hz: Option<u32>,
}

impl<'a> From<&'a pegcount_calls::AudioConfig> for AudioConfig<'a> {
    fn from(audio: &'a pegcount_calls::AudioConfig) -> Self {
        match (audio.codec.as_deref(), audio.sample_rate_hz) {
            (None, None) => Self::Unknown(Nothing {}),
            (codec, sample_rate_hz) => Self::Known(KnownAudio { codec, sample_rate_hz }),
        }
    }
}
