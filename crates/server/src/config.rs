//! The configuration: the sum of what each room can be told, and nothing else.
//!
//! Defaults, then the file, then the environment (`PEGCOUNT_SECTION__KEY`), then the command line: the later wins
//! (contract, cli.md). A key that nobody knows is refused by name.

mod checks;
mod layers;
mod listeners;

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
};

use pegcount_calls::{Direction, Increments, Rate, Tariff, parse_decimal};
use serde::{Deserialize, Serialize};

use crate::{
    access::RateLimit,
    address, analysis, audit, connections, dialects,
    organizations::PerOrganization,
    privacy, recordings, redaction,
    secrets::EncryptionConfig,
    sources::{self, native::hangup::Reach},
    transcription,
    web::cors,
};

pub use layers::USUAL_FILE;
pub use listeners::{Listener, Transport};

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of everything that is kept.
    pub data: PathBuf,
    /// Where calls are kept, `sqlite:PATH`; empty: in the data folder.
    pub store: String,
    /// Where HTTP is served.
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
    /// Where the WebSocket of the tenant dialect is served.
    #[serde(deserialize_with = "address::deserialize")]
    pub live_listen: SocketAddr,
    /// The SIP gateway.
    pub sip: sources::sip::Config,
    /// Where recordings go.
    pub recordings: recordings::Config,
    /// Who makes transcripts of recordings, by the organization's id; `default` is for everybody else.
    pub transcription: BTreeMap<String, transcription::Config>,
    /// The URL under which clients reach this server, for links; empty: the host of each request.
    pub public_url: String,
    /// An opened dialect (`tenant.access`, `agent.access`) may be served on an address that others can reach.
    pub allow_open_access_on_public_address: bool,
    /// HTTPS.
    pub tls: TlsConfig,
    /// Pages of other origins.
    pub cors: cors::Config,
    /// Encryption of what is kept.
    pub encryption: EncryptionConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What is noted of who did what.
    pub audit: audit::Config,
    /// When the server is ready.
    pub readiness: ReadinessConfig,
    /// How much one key may ask.
    pub limits: LimitsConfig,
    /// The tenant dialect.
    pub tenant: dialects::tenant::Config,
    /// The agent dialect.
    pub agent: dialects::agent::Config,
    /// The native source.
    pub native: sources::native::Config,
    /// Who analyses calls that are over, by the organization's id; `default` is for everybody else.
    pub analysis: BTreeMap<String, analysis::Config>,
    /// What is masked before it is stored, by the organization's id; `default` is for everybody else.
    pub redaction: BTreeMap<String, redaction::Config>,
    /// How long what is kept of calls, by the organization's id; `default` is for everybody else.
    pub retention: BTreeMap<String, privacy::Config>,
    /// What organizations pay, by their id; `default` is for everybody else.
    pub rates: BTreeMap<String, TariffConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data: "./pegcount-data".into(),
            store: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            live_listen: SocketAddr::from(([127, 0, 0, 1], 8001)),
            sip: sources::sip::Config::default(),
            recordings: recordings::Config::default(),
            transcription: BTreeMap::new(),
            public_url: String::new(),
            allow_open_access_on_public_address: false,
            tls: TlsConfig::default(),
            cors: cors::Config::default(),
            encryption: EncryptionConfig::default(),
            log: LogConfig::default(),
            audit: audit::Config::default(),
            readiness: ReadinessConfig::default(),
            limits: LimitsConfig::default(),
            tenant: dialects::tenant::Config::default(),
            agent: dialects::agent::Config::default(),
            native: sources::native::Config::default(),
            analysis: BTreeMap::new(),
            redaction: BTreeMap::new(),
            retention: BTreeMap::new(),
            rates: BTreeMap::new(),
        }
    }
}

/// HTTPS; both or none.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain, a PEM file.
    pub cert: PathBuf,
    /// Its private key, a PEM file.
    pub key: PathBuf,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,pegcount::intake=debug`.
    pub level: String,
    /// One JSON object a line instead of text.
    pub json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".into(), json: false }
    }
}

/// When the server is ready, for `/readyz`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadinessConfig {
    /// With less room than this on a disk that it writes to, the server is not ready; 0: whatever the room.
    pub min_free_disk_bytes: u64,
}

impl Default for ReadinessConfig {
    fn default() -> Self {
        Self { min_free_disk_bytes: 64 * 1024 * 1024 }
    }
}

/// How much one key may ask, and one address may open.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Requests a second in the long run; 0: as many as the key likes.
    pub requests_per_second: u32,
    /// Requests at once; 0: as many as a second has.
    pub burst: u32,
    /// HTTP and WebSocket connections at once.
    pub connections: usize,
    /// Those of one address.
    pub connections_per_address: usize,
    /// Reverse proxies, for which [`LimitsConfig::connections_per_address`] does not hold.
    pub proxies: Vec<IpAddr>,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 0,
            burst: 0,
            connections: 24_000,
            connections_per_address: 6_000,
            proxies: Vec::new(),
        }
    }
}

/// What an organization pays.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TariffConfig {
    /// Prices of calls; the longest prefix of the called number decides.
    pub calls: Vec<RateConfig>,
    /// Prices of products that a source counts but does not price.
    pub products: BTreeMap<String, String>,
}

/// The price of calls to numbers with one prefix.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// What the called number begins with; empty: every number.
    #[serde(default)]
    pub prefix: String,
    /// `inbound`, `outbound`; absent: both.
    #[serde(default)]
    pub direction: Option<DirectionConfig>,
    /// The price of a minute, a decimal in quotes.
    pub per_minute: String,
    /// The price of every answered call, a decimal in quotes.
    #[serde(default)]
    pub connection_fee: Option<String>,
    /// Seconds that are billed at least.
    #[serde(default = "one")]
    pub initial_seconds: u32,
    /// Seconds in which it goes on after that.
    #[serde(default = "one")]
    pub following_seconds: u32,
}

fn one() -> u32 {
    1
}

/// A direction.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DirectionConfig {
    /// Calls that reached an endpoint.
    Inbound,
    /// Calls that left from one.
    Outbound,
}

/// What the command line sets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Overrides {
    /// `--data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// `--store`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// `--listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// `--live-listen`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_listen: Option<SocketAddr>,
    /// `--sip`: where it listens, or `off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sip: Option<String>,
}

impl Config {
    /// The URL by which a program on this machine reaches this server; its port is the configured one.
    pub fn local_url(&self) -> String {
        format!("{}://{}", self.scheme(), address::reachable(self.listen))
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.has_tls() { "https" } else { "http" }
    }

    /// Whether HTTPS is served.
    pub fn has_tls(&self) -> bool {
        !self.tls.cert.as_os_str().is_empty()
    }

    /// Where control URLs may lead besides the public internet.
    pub fn control_url_reach(&self) -> Reach {
        let is_loopback = [self.listen, self.live_listen].iter().all(|address| address.ip().is_loopback());
        match (self.native.allow_private_control_urls, is_loopback) {
            (true, _) => Reach::Private,
            (false, true) => Reach::Loopback,
            (false, false) => Reach::Public,
        }
    }

    /// The file of the store, unless [`Config::store`] names another place.
    pub fn store_path(&self) -> PathBuf {
        self.data.join("pegcount.db")
    }

    /// The file of a store outside the data folder, if that is where it is and it is one.
    pub fn store_elsewhere(&self) -> Option<PathBuf> {
        let path = self.store.strip_prefix("sqlite:").unwrap_or(&self.store);
        (!path.is_empty() && !path.contains("://")).then(|| path.into())
    }

    /// The URL of the store.
    pub fn store_url(&self) -> String {
        if self.store.is_empty() {
            format!("sqlite:{}", self.store_path().display())
        } else {
            self.store.clone()
        }
    }

    /// How many files the parts of the program would have open at most.
    pub fn wanted_descriptors(&self) -> connections::Wanted {
        let has_sip = !self.sip.is_off();
        connections::Wanted {
            connections: self.limits.connections,
            sip_calls: if has_sip { self.sip.most_calls } else { 0 },
            sip_connections: if has_sip { self.sip.guard.most_connections } else { 0 },
        }
    }

    /// How many requests one key may make; `None`: as many as it likes.
    pub fn rate_limit(&self) -> Option<RateLimit> {
        let per_second = NonZeroU32::new(self.limits.requests_per_second)?;
        Some(RateLimit { per_second, burst: NonZeroU32::new(self.limits.burst).unwrap_or(per_second) })
    }

    /// Who analyses calls that are over.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn analysis(&self) -> Result<PerOrganization<Option<analysis::Settings>>, String> {
        PerOrganization::read("analysis", &self.analysis, analysis::Config::settings)
    }

    /// What is masked before it is stored.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn masks(&self) -> Result<PerOrganization<redaction::Masks>, String> {
        PerOrganization::read("redaction", &self.redaction, redaction::Config::masks)
    }

    /// How long what is kept of calls.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn retention(&self) -> Result<PerOrganization<privacy::Retention>, String> {
        PerOrganization::read("retention", &self.retention, privacy::Config::retention)
    }

    /// What organizations pay.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn tariffs(&self) -> Result<PerOrganization<Tariff>, String> {
        PerOrganization::read("rates", &self.rates, TariffConfig::tariff)
    }

    /// Who makes transcripts of the recordings of an organization, if anybody.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn transcription(&self) -> Result<PerOrganization<Option<transcription::Settings>>, String> {
        PerOrganization::read("transcription", &self.transcription, transcription::Config::settings)
    }
}

impl TariffConfig {
    fn tariff(&self) -> Result<Tariff, String> {
        let mut problems = Vec::new();
        let mut price = |key: String, text: &str| {
            let read = parse_decimal(text).map_err(|error| format!("{key} {error}"));
            let read = read.and_then(|price| match price.is_sign_negative() && !price.is_zero() {
                true => Err(format!("{key} must not be negative: a correction is a `cost_item` of the call")),
                false => Ok(price),
            });
            read.map_err(|problem| problems.push(problem)).ok()
        };
        let mut tariff = Tariff::default();
        for (place, rate) in self.calls.iter().enumerate() {
            let per_minute = price(format!("calls[{place}].per_minute"), &rate.per_minute);
            let fee = rate.connection_fee.as_deref().unwrap_or("0");
            let fee = price(format!("calls[{place}].connection_fee"), fee);
            let (Some(per_minute), Some(connection_fee)) = (per_minute, fee) else { continue };
            tariff.rates.push(Rate {
                prefix: rate.prefix.clone(),
                direction: rate.direction.map(|direction| match direction {
                    DirectionConfig::Inbound => Direction::Inbound,
                    DirectionConfig::Outbound => Direction::Outbound,
                }),
                per_minute,
                connection_fee,
                increments: Increments {
                    initial_seconds: rate.initial_seconds,
                    following_seconds: rate.following_seconds,
                },
            });
        }
        for (product, text) in &self.products {
            if let Some(price) = price(format!("products.{product}"), text) {
                tariff.products.insert(product.clone(), price);
            }
        }
        if problems.is_empty() { Ok(tariff) } else { Err(problems.join("\n")) }
    }
}
