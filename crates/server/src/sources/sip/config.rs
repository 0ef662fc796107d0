//! What can be set of the SIP gateway, in the words of the configuration.

use std::{collections::BTreeMap, fmt, net::IpAddr, net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::address;

/// The word that turns the gateway off.
pub const OFF: &str = "off";

/// What can be set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where SIP is taken over UDP and TCP, or `off`.
    pub listen: String,
    /// More addresses for UDP and TCP.
    #[serde(deserialize_with = "address::deserialize_list")]
    pub also_listen: Vec<SocketAddr>,
    /// The addresses that peers know us by, at most one of IPv4 and one of IPv6; empty: those that are listened on.
    pub advertised: Vec<IpAddr>,
    /// Who is asked for the SRV records of names, `address:port`; empty: whom the system asks.
    pub name_servers: Vec<SocketAddr>,
    /// What passwords are for.
    pub realm: String,
    /// What users and trunks may prove themselves with, in the order in which it is offered.
    pub digests: Vec<DigestWord>,
    /// Calls at a time.
    pub most_calls: usize,
    /// Threads for SIP and media.
    pub threads: usize,
    /// Organizations of whose calls nothing sensitive is kept, by their ids.
    pub opt_out_organizations: Vec<String>,
    /// Headers of calls that are kept and passed on to endpoints.
    pub headers: Vec<String>,
    /// SIP over TLS.
    pub tls: TlsConfig,
    /// Media.
    pub media: MediaConfig,
    /// Recordings.
    pub recording: RecordingConfig,
    /// How long things may take.
    pub limits: LimitsConfig,
    /// The messages of calls.
    pub trace: TraceConfig,
    /// What is let through.
    pub guard: GuardConfig,
    /// Carriers and switches that calls come from and go to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<TrunkConfig>,
    /// Phones that register.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:5060".into(),
            also_listen: Vec::new(),
            advertised: Vec::new(),
            name_servers: Vec::new(),
            realm: "pegcount".into(),
            digests: vec![DigestWord::Md5],
            most_calls: 2_000,
            threads: 1,
            opt_out_organizations: Vec::new(),
            headers: Vec::new(),
            tls: TlsConfig::default(),
            media: MediaConfig::default(),
            recording: RecordingConfig::default(),
            limits: LimitsConfig::default(),
            trace: TraceConfig::default(),
            guard: GuardConfig::default(),
            trunks: Vec::new(),
            users: Vec::new(),
        }
    }
}

/// A hash that passwords are proved with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum DigestWord {
    /// All that many phones speak.
    #[serde(rename = "md5")]
    Md5,
    /// RFC 8760.
    #[serde(rename = "sha-256")]
    Sha256,
}

/// SIP over TLS: all of `listen`, `cert` and `key`, or none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Where it is taken.
    #[serde(deserialize_with = "address::deserialize_list")]
    pub listen: Vec<SocketAddr>,
    /// The certificate chain, a PEM file.
    pub cert: PathBuf,
    /// Its private key, a PEM file.
    pub key: PathBuf,
    /// The roots that certificates of others must lead to, a PEM file; empty: the system's.
    pub roots: PathBuf,
}

/// Media.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MediaConfig {
    /// The address that media is taken on; empty: the one of [`Config::listen`].
    pub host: String,
    /// The first port to choose from. A call takes four.
    pub first_port: u16,
    /// The last one.
    pub last_port: u16,
    /// After how many seconds without a packet a side counts as silent.
    pub silent_after_seconds: u32,
    /// Seconds between two reports of the quality of a call; 0: at its end only.
    pub quality_every_seconds: u32,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            host: String::new(),
            first_port: 10_000,
            last_port: 19_999,
            silent_after_seconds: 5,
            quality_every_seconds: 30,
        }
    }
}

/// Recordings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordingConfig {
    /// Whether calls are recorded of which nothing else says so.
    pub record: bool,
    /// How the two sides are put into a file.
    pub layout: LayoutWord,
    /// The file of the LAME library; empty: where the system keeps it.
    pub lame: PathBuf,
    /// How many recordings are made at once.
    pub threads: usize,
    /// Whether calls of an organization are recorded, by its id.
    pub organizations: BTreeMap<String, bool>,
}

impl Default for RecordingConfig {
    fn default() -> Self {
        Self {
            record: true,
            layout: LayoutWord::Mono,
            lame: PathBuf::new(),
            threads: 1,
            organizations: BTreeMap::new(),
        }
    }
}

/// How the two sides of a call are put into a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutWord {
    /// One channel with both.
    Mono,
    /// The caller on the left, the called side on the right.
    Stereo,
}

/// How long things may take, in seconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Until a target gives any sign of life.
    pub sign_of_life_seconds: u32,
    /// Until a target that did answers.
    pub ring_seconds: u32,
    /// From the answer to the end.
    pub talk_seconds: u32,
    /// Without media from a side, while nobody is on hold.
    pub silence_seconds: u32,
    /// The session interval that is asked for (RFC 4028).
    pub session_seconds: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            sign_of_life_seconds: 4,
            ring_seconds: 60,
            talk_seconds: 14_400,
            silence_seconds: 60,
            session_seconds: 1_800,
        }
    }
}

/// The messages of calls that are remembered.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceConfig {
    /// Messages of a call, the last ones; 0: none.
    pub messages: usize,
    /// Kibibytes of a call's messages.
    pub kilobytes: usize,
    /// Whether numbers and names are masked.
    pub masked: bool,
    /// Calls that are remembered after their end.
    pub ended_calls: usize,
}

impl Default for TraceConfig {
    fn default() -> Self {
        Self { messages: 64, kilobytes: 64, masked: true, ended_calls: 256 }
    }
}

/// How much is let through.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Messages of each address of a trunk, a second.
    pub trunk_messages_per_second: u32,
    /// The same at once.
    pub trunk_burst: u32,
    /// Messages of each other address, a second.
    pub other_messages_per_second: u32,
    /// The same at once.
    pub other_burst: u32,
    /// Connections over TCP and TLS at a time.
    pub most_connections: usize,
    /// Those of one address.
    pub most_connections_each: usize,
    /// The largest message, in bytes.
    pub largest_message_bytes: usize,
}

impl Default for GuardConfig {
    fn default() -> Self {
        let usual = pegcount_gateway::GuardSettings::default();
        Self {
            trunk_messages_per_second: usual.peer_rate.per_second,
            trunk_burst: usual.peer_rate.burst,
            other_messages_per_second: usual.stranger_rate.per_second,
            other_burst: usual.stranger_rate.burst,
            most_connections: usual.most_connections,
            most_connections_each: usual.most_connections_each,
            largest_message_bytes: usual.largest_message,
        }
    }
}

/// A carrier, or a switch in front.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrunkConfig {
    /// Its name.
    pub name: String,
    /// Whose calls it carries, by id.
    pub organization: String,
    /// Where it calls from: addresses and networks (`203.0.113.0/24`).
    pub networks: Vec<String>,
    /// The name that it proves itself with when it calls from elsewhere.
    pub user: String,
    /// The password of that name.
    pub password: Secret,
    /// Instead of the password: its hashes (RFC 2617, 8760), one of MD5 or SHA-256 or both.
    pub ha1: Vec<Secret>,
    /// Where calls go out: the URI of its proxy.
    pub outbound: String,
    /// The name that we prove ourselves with there.
    pub outbound_user: String,
    /// The password of that name.
    pub outbound_password: Secret,
    /// The number that is shown for a user without one of its own.
    pub caller_number: String,
    /// How many calls it carries at a time; 0: as many as there may be.
    pub most_calls: usize,
    /// Its media may come from any address.
    pub nat: bool,
    /// Whether it is told the number of a caller of ours that wants not to be known.
    pub trusted: bool,
    /// Headers of its calls that are kept and passed on to endpoints, beside [`Config::headers`].
    pub headers: Vec<String>,
}

/// A phone that registers.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserConfig {
    /// Its name, as it stands in its address.
    pub name: String,
    /// Whose it is, by id.
    pub organization: String,
    /// Its password.
    pub password: Secret,
    /// Instead of the password: its hashes (RFC 2617, 8760), one of MD5 or SHA-256 or both.
    pub ha1: Vec<Secret>,
    /// The endpoint that it is, by id.
    pub endpoint: String,
    /// The number that it shows when it calls out.
    pub number: String,
    /// It is behind address translation: its media may come from any address.
    pub nat: bool,
}

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "none" } else { "hidden" })
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { "hidden" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Text)
    }
}

/// Takes a text. What is none is refused without being repeated: it is a password that somebody forgot to quote.
struct Text;

impl de::Visitor<'_> for Text {
    type Value = Secret;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text in quotes")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a text in quotes"))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a text in quotes"))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("a secret must be a text in quotes"))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom("a secret must be a text in quotes"))
    }
}
