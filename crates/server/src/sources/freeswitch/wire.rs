//! The words of a mod_json_cdr record (FreeSWITCH, `switch_ivr_generate_json_cdr`): as much of it as is read.
//!
//! Versions differ in whether a value is a text or a number, and in what is there at all. So a value of another type
//! than expected counts as absent; only a record that is no JSON object is refused.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error},
};
use serde_json::Value;

use super::body::percent_decoded;
use crate::sources::mapped::given_id;

/// The record of one channel.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Cdr {
    /// What the media engine counted (since 1.6).
    #[serde(rename = "callStats", deserialize_with = "lenient")]
    pub call_stats: CallStats,
    /// The channel's variables.
    #[serde(deserialize_with = "lenient")]
    pub variables: Variables,
    /// The applications that ran.
    #[serde(deserialize_with = "lenient")]
    pub app_log: AppLog,
    /// The channel's profiles, the newest first: every transfer begins a new one.
    #[serde(deserialize_with = "one_or_many")]
    pub callflow: Vec<Flow>,
}

/// The channel's variables by name.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub struct Variables(BTreeMap<String, Text>);

/// What the media engine counted.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallStats {
    /// Audio.
    #[serde(deserialize_with = "lenient")]
    pub audio: AudioStats,
}

/// What was counted of audio.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AudioStats {
    /// What the switch received.
    #[serde(deserialize_with = "lenient")]
    pub inbound: InboundStats,
}

/// What the switch received.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct InboundStats {
    /// Packets with media.
    pub media_packet_count: Text,
    /// The switch's estimate, 1 to 4.5.
    pub mos: Text,
}

/// The applications that ran.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct AppLog {
    /// In the order they ran.
    #[serde(deserialize_with = "one_or_many")]
    pub applications: Vec<Application>,
}

/// An application that ran.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Application {
    /// Its name.
    pub app_name: Text,
    /// Its argument.
    pub app_data: Text,
}

/// One profile of the channel, and its times.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Flow {
    /// Who called whom.
    #[serde(deserialize_with = "lenient")]
    pub caller_profile: Profile,
    /// When what happened while the profile held.
    #[serde(deserialize_with = "lenient")]
    pub times: Times,
}

/// Who called whom.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// The channel.
    pub uuid: Text,
    /// The calling number.
    pub caller_id_number: Text,
    /// The called number.
    pub destination_number: Text,
    /// The channel that dialled this one.
    #[serde(deserialize_with = "lenient")]
    pub originator: Originator,
}

/// The channel that dialled this one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Originator {
    /// Its profiles.
    #[serde(deserialize_with = "one_or_many")]
    pub originator_caller_profiles: Vec<OriginatorProfile>,
}

/// A profile of the channel that dialled this one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct OriginatorProfile {
    /// That channel.
    pub uuid: Text,
}

/// Times in microseconds since the epoch; 0 is never.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Times {
    /// The channel was made.
    pub created_time: Text,
    /// It rings (SIP 180).
    pub progress_time: Text,
    /// Early media flows (SIP 183).
    pub progress_media_time: Text,
    /// It was answered.
    pub answered_time: Text,
    /// It was put through to another channel.
    pub bridged_time: Text,
    /// It was hung up.
    pub hangup_time: Text,
    /// It was transferred, which ended this profile.
    pub transfer_time: Text,
}

/// A text, whatever JSON type it came as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(Option<String>);

impl Text {
    /// The text, if there is any.
    pub fn get(&self) -> Option<&str> {
        self.0.as_deref().filter(|text| !text.is_empty())
    }

    /// The id of a channel.
    pub fn id(&self) -> Option<&str> {
        self.get().and_then(given_id)
    }

    /// A time in whole milliseconds since the epoch; `None` if it never came.
    pub fn millis(&self) -> Option<i64> {
        self.get().and_then(millis_of_micros)
    }
}

/// Microseconds as text, cut off to milliseconds; `None` for 0, which means never.
fn millis_of_micros(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|&micros| micros > 0).map(|micros| micros / 1000)
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }))
    }
}

/// What is not of the expected type counts as absent.
fn lenient<'de, D: Deserializer<'de>, T: Default + DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).unwrap_or_default())
}

/// An array; where an old version has only one it is not in an array.
fn one_or_many<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let values = match Value::deserialize(deserializer)? {
        Value::Array(values) => values,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    Ok(values.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

impl Cdr {
    /// Reads a record.
    ///
    /// # Errors
    /// A sentence, when it is no JSON object.
    pub fn read(json: &str) -> Result<Self, String> {
        // By way of a value, since a variable that occurs twice is no reason to lose a call.
        let value: Value =
            serde_json::from_str(json).map_err(|error| format!("the CDR is no JSON: {error}"))?;
        if !value.is_object() {
            return Err("the CDR is no JSON object".to_owned());
        }
        let mut cdr: Self = serde_json::from_value(value)
            .map_err(|error| format!("the CDR cannot be read: {}", serde_json::Error::custom(error)))?;
        cdr.variables.decode();
        Ok(cdr)
    }
}

impl Variables {
    /// A variable that is set to something.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Text::get)
    }

    /// The id of a channel that a variable holds.
    pub fn id(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(given_id)
    }

    /// A time in whole milliseconds since the epoch: `NAME_uepoch`.
    pub fn millis(&self, name: &str) -> Option<i64> {
        self.get(&format!("{name}_uepoch")).and_then(millis_of_micros)
    }

    /// A time in milliseconds since the epoch that is cut off to seconds: `NAME_epoch`.
    pub fn whole_seconds(&self, name: &str) -> Option<i64> {
        let seconds = self.get(&format!("{name}_epoch"))?.parse::<i64>().ok()?;
        seconds.checked_mul(1000).filter(|&millis| millis > 0)
    }

    /// A length in seconds, in milliseconds; `None` if it is none, or less than none: so a channel is counted that never
    /// came up.
    pub fn length_millis(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse::<i64>().ok().filter(|&seconds| seconds >= 0)?.checked_mul(1000)
    }

    /// Decodes the values, unless they are plain: `encode-values` is on by default, and nothing says whether it was.
    /// Encoded values never hold a space, a quote or an angle bracket; a plain record has them in its time stamps.
    fn decode(&mut self) {
        let is_plain = |text: &str| text.contains([' ', '"', '<', '>', '@', '\r', '\n']);
        if self.0.values().filter_map(Text::get).any(is_plain) {
            return;
        }
        for text in self.0.values_mut() {
            if let Some(encoded) = text.get().filter(|text| text.contains('%')) {
                text.0 = Some(percent_decoded(encoded));
            }
        }
    }
}

/// The members of a variable that may hold several (`ARRAY::one|:other`), as FreeSWITCH writes them.
pub(super) fn members(value: &str) -> impl Iterator<Item = &str> {
    value.strip_prefix("ARRAY::").unwrap_or(value).split("|:").filter(|member| !member.is_empty())
}
