//! What can be said of fetching recordings of others.

use std::{collections::BTreeMap, time::Duration};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use url::Host;

use crate::secrets::Hidden;

/// Largest recording that may be allowed, in bytes: six hours of WAV at 48 kHz with two channels, and some more.
const MOST_BYTES: u64 = 8_000_000_000;
/// Longest time that may be allowed for one download, in seconds.
const LONGEST_SECONDS: u64 = 3600;

/// Whether and how recordings of others are fetched, as it is configured.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchingConfig {
    /// Whether they are fetched at all.
    pub enabled: bool,
    /// Largest download in bytes.
    pub max_bytes: u64,
    /// Seconds that one download may take.
    pub timeout_seconds: u64,
    /// Whether a URL may begin with `http://`.
    pub allow_http: bool,
    /// Whether a URL may lead to this machine and to private networks.
    pub allow_private_addresses: bool,
    /// Headers by the host that they are sent to, and to no other.
    pub headers: BTreeMap<String, BTreeMap<String, Hidden>>,
}

impl Default for FetchingConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            max_bytes: 200_000_000,
            timeout_seconds: 300,
            allow_http: false,
            allow_private_addresses: false,
            headers: BTreeMap::new(),
        }
    }
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct Fetching {
    /// Whether recordings of others are fetched.
    pub is_enabled: bool,
    pub(super) max_bytes: u64,
    pub(super) timeout: Duration,
    pub(super) allow_http: bool,
    pub(super) allow_private_addresses: bool,
    /// An address that is allowed all the same: that of a test's own server.
    #[cfg(test)]
    pub(super) allowed_address: Option<std::net::SocketAddr>,
    /// By host, as URLs have it.
    pub(super) headers: BTreeMap<String, HeaderMap>,
}

impl Default for Fetching {
    fn default() -> Self {
        let FetchingConfig {
            enabled, max_bytes, timeout_seconds, allow_http, allow_private_addresses, ..
        } = FetchingConfig::default();
        Self {
            is_enabled: enabled,
            max_bytes,
            timeout: Duration::from_secs(timeout_seconds),
            allow_http,
            allow_private_addresses,
            #[cfg(test)]
            allowed_address: None,
            headers: BTreeMap::new(),
        }
    }
}

impl FetchingConfig {
    /// Checks what is said.
    ///
    /// # Errors
    /// The rest of a sentence that begins with the section: the key, and what it takes. Values of headers are not repeated.
    pub(in super::super) fn read(&self) -> Result<Fetching, String> {
        if !(1..=MOST_BYTES).contains(&self.max_bytes) {
            return Err(format!("max_bytes: must be 1 to {MOST_BYTES}"));
        }
        if !(1..=LONGEST_SECONDS).contains(&self.timeout_seconds) {
            return Err(format!("timeout_seconds: must be 1 to {LONGEST_SECONDS}"));
        }
        let mut headers = BTreeMap::new();
        for (host, pairs) in &self.headers {
            let parsed = Host::parse(host)
                .map_err(|_| format!("headers.{host:?}: must be the name of a host, as api.example.com"))?;
            let mut all = HeaderMap::new();
            for (name, value) in pairs {
                let key = format!("headers.{host:?}.{name}");
                let name = HeaderName::try_from(name)
                    .map_err(|_| format!("{key}: a header cannot have this name"))?;
                let mut value = HeaderValue::try_from(value.reveal())
                    .map_err(|_| format!("{key}: a header cannot have this value"))?;
                value.set_sensitive(true);
                all.insert(name, value);
            }
            headers.insert(parsed.to_string(), all);
        }
        Ok(Fetching {
            is_enabled: self.enabled,
            max_bytes: self.max_bytes,
            timeout: Duration::from_secs(self.timeout_seconds),
            allow_http: self.allow_http,
            allow_private_addresses: self.allow_private_addresses,
            #[cfg(test)]
            allowed_address: None,
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> FetchingConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn nothing_said_is_nothing_fetched() {
        let read = config("").read().unwrap();
        assert_eq!((read.is_enabled, read.max_bytes, read.timeout.as_secs()), (false, 200_000_000, 300));
        assert!(!Fetching::default().is_enabled);
    }

    #[test]
    fn headers_are_found_by_their_host_and_never_shown() {
        let config = config("[headers.\"API.Example.com\"]\nAuthorization = \"Bearer hush\"");
        let read = config.read().unwrap();
        assert_eq!(read.headers["api.example.com"]["authorization"], "Bearer hush");
        assert!(!format!("{config:?} {read:?}").contains("hush"));
        assert!(!toml::to_string(&config).unwrap().contains("hush"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_name_and_without_its_value() {
        for (text, words) in [
            ("max_bytes = 0", "max_bytes: "),
            ("max_bytes = 9000000000", "max_bytes: "),
            ("timeout_seconds = 0", "timeout_seconds: "),
            ("[headers.\"https://a.example\"]\nA = \"hush\"", "headers.\"https://a.example\": "),
            ("[headers.\"a.example\"]\n\"A B\" = \"hush\"", "headers.\"a.example\".A B: "),
            ("[headers.\"a.example\"]\nA = \"hush\\n\"", "headers.\"a.example\".A: "),
        ] {
            let sentence = config(text).read().unwrap_err();
            assert!(sentence.starts_with(words) && !sentence.contains("hush"), "{sentence}");
        }
    }
}
