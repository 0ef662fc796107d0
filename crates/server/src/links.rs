//! Links that carry their own permission: signed with HMAC-SHA256, and only good for a while.

use std::{
    fmt,
    net::Ipv6Addr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use axum::http::uri::Authority;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use pegcount_calls::Timestamp;
use pegcount_store::OrganizationNumber;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a link is good (contract, v1: links valid 1 h).
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// What a link leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target<'a> {
    /// The log of a call.
    Log {
        /// Whose call.
        organization: OrganizationNumber,
        /// The call's UUID.
        call: &'a str,
    },
    /// One of our own recordings, by the name of its file. That says whose it is.
    Recording(&'a str),
}

impl Target<'_> {
    /// What is signed besides the end: different for any two targets, since no part may hold a line break.
    fn signed(&self) -> String {
        match self {
            Self::Log { organization, call } => format!("log\n{}\n{call}", organization.0),
            Self::Recording(object) => format!("recording\n{object}"),
        }
    }
}

/// The path.
impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log { organization, call } => write!(f, "/logs/{}/{call}", organization.0),
            Self::Recording(object) => write!(f, "/recordings/{object}"),
        }
    }
}

/// A link, and until when it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The whole URL.
    pub url: String,
    /// From then on it leads nowhere.
    pub expires_at: Timestamp,
}

/// Why a link leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLink {
    /// It was not made here, or something in it was changed.
    Foreign,
    /// It was good once.
    Expired,
}

/// The host, perhaps with a port, by which a client reached this server (RFC 9110, 7.2).
///
/// Only the client that sent it gets links that begin with it, so it can mislead nobody else: it is part of the URL that
/// a cache stores an answer under. `X-Forwarded-Host` is not, and is never read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedHost(String);

/// Longest host in bytes: a DNS name (RFC 1035, 3.1) and a port.
const LONGEST_HOST: usize = 255 + 6;

impl RequestedHost {
    /// Reads the value of a `Host` header; `None` for anything but a DNS name or an IP address, and perhaps a port.
    pub fn read(text: &str) -> Option<Self> {
        let authority: Authority = text.parse().ok()?;
        let host = authority.host();
        let is_name = |host: &str| {
            let is_label = |label: &str| {
                !label.is_empty()
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            };
            // A name may end with the dot of the root.
            host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
        };
        let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        // Rules out a user, a port that is no number, and a colon without a port.
        let is_whole = match authority.port_u16() {
            Some(port) => text == format!("{host}:{port}"),
            None => text == host,
        };
        (text.len() <= LONGEST_HOST && is_host && is_whole).then(|| Self(text.to_owned()))
    }
}

/// What links begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Always this URL.
    Fixed(String),
    /// The host of the request that a link answers.
    Requested {
        /// `http` or `https`.
        scheme: &'static str,
        /// The host and port where a request names none.
        otherwise: String,
    },
}

impl Beginning {
    fn for_client(&self, host: Option<&RequestedHost>) -> String {
        match self {
            Self::Fixed(url) => url.trim_end_matches('/').to_owned(),
            Self::Requested { scheme, otherwise } => {
                format!("{scheme}://{}", host.map_or(otherwise.as_str(), |host| &host.0))
            }
        }
    }
}

/// Makes and checks links to this server.
#[derive(Clone)]
pub struct Links {
    key: Arc<[u8; 32]>,
    beginning: Arc<RwLock<Beginning>>,
}

impl Links {
    /// Links that are signed with this key. They are paths until [`Links::begin_with`] is called.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: Arc::new(key), beginning: Arc::new(RwLock::new(Beginning::Fixed(String::new()))) }
    }

    /// Sets what links begin with. It is known only once the port is.
    pub fn begin_with(&self, beginning: Beginning) {
        *self.beginning.write().unwrap_or_else(PoisonError::into_inner) = beginning;
    }

    /// Makes a link for a client that reached this server by `host`. It is good for an hour, and for what is left of the
    /// minute.
    pub fn to(&self, target: Target<'_>, now: Timestamp, host: Option<&RequestedHost>) -> Link {
        // Whole minutes, so that the same call read twice mostly shows the same link.
        let expires =
            (now.millis() + 60_000).div_euclid(60_000) * 60 + i64::try_from(GOOD_FOR.as_secs()).unwrap_or(0);
        let signature = self.sign(target, expires);
        let base = self.beginning.read().unwrap_or_else(PoisonError::into_inner).for_client(host);
        Link {
            url: format!("{base}{target}?expires={expires}&signature={signature}"),
            expires_at: Timestamp::from_millis(expires.saturating_mul(1000)),
        }
    }

    /// Whether a link with this query leads there: the one that [`Links::to`] wrote, and nothing before, between or after.
    /// What is not signed would be another URL for the same recording, to caches and to logs.
    ///
    /// # Errors
    /// [`BadLink`].
    pub fn check(&self, target: Target<'_>, query: Option<&str>, now: Timestamp) -> Result<(), BadLink> {
        let parts = query.and_then(|query| query.strip_prefix("expires=")?.split_once("&signature="));
        let (written, signature) = parts.ok_or(BadLink::Foreign)?;
        let expires = written.parse::<i64>().ok().filter(|expires| expires.to_string() == written);
        let expires = expires.ok_or(BadLink::Foreign)?;
        let expected = self.sign(target, expires);
        let same: bool = expected.as_bytes().ct_eq(signature.as_bytes()).into();
        if expected.is_empty() || !same {
            return Err(BadLink::Foreign);
        }
        if now.millis() >= expires.saturating_mul(1000) { Err(BadLink::Expired) } else { Ok(()) }
    }

    fn sign(&self, target: Target<'_>, expires: i64) -> String {
        let message = format!("{}\n{expires}", target.signed());
        // A key of any length is taken, so there is nothing to fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) else { return String::new() };
        BASE64URL_NOPAD.encode(&mac.chain_update(message.as_bytes()).finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T10:00:30Z.
    const NOW: Timestamp = Timestamp::from_millis(1_767_261_630_000);
    const HOUR: i64 = 3_600_000;
    const RECORDING: Target<'_> = Target::Recording("1.call_1.mp3");
    const LOG: Target<'_> = Target::Log { organization: OrganizationNumber(1), call: "call_1" };

    fn links() -> Links {
        let links = Links::new([7; 32]);
        links.begin_with(Beginning::Fixed("https://calls.example/".into()));
        links
    }

    fn query(link: &Link) -> &str {
        link.url.split_once('?').unwrap().1
    }

    fn parts(link: &Link) -> (i64, String) {
        let (expires, signature) =
            query(link).strip_prefix("expires=").unwrap().split_once("&signature=").unwrap();
        (expires.parse().unwrap(), signature.to_owned())
    }

    #[test]
    fn a_link_leads_to_its_target_for_an_hour_and_then_says_that_it_has_expired() {
        let link = links().to(RECORDING, NOW, None);
        assert!(
            link.url.starts_with("https://calls.example/recordings/1.call_1.mp3?expires="),
            "{}",
            link.url
        );
        let (expires, _) = parts(&link);
        assert_eq!(link.expires_at.millis(), expires * 1000);
        let left = link.expires_at.millis() - NOW.millis();
        assert!((HOUR..=HOUR + 60_000).contains(&left), "{left}");
        let at = |millis| links().check(RECORDING, Some(query(&link)), Timestamp::from_millis(millis));
        assert_eq!(at(NOW.millis()), Ok(()));
        assert_eq!(at(link.expires_at.millis() - 1), Ok(()));
        assert_eq!(at(link.expires_at.millis()), Err(BadLink::Expired));
    }

    #[test]
    fn a_link_begins_with_the_host_of_its_request() {
        let links = Links::new([7; 32]);
        links.begin_with(Beginning::Requested { scheme: "http", otherwise: "127.0.0.1:8080".into() });
        let begins = |host: Option<&str>, beginning: &str| {
            let host = host.and_then(RequestedHost::read);
            let url = links.to(RECORDING, NOW, host.as_ref()).url;
            assert!(url.starts_with(&format!("{beginning}/recordings/")), "{url}");
        };
        begins(Some("calls.example:9090"), "http://calls.example:9090");
        begins(Some("[2001:db8::1]:8080"), "http://[2001:db8::1]:8080");
        begins(Some("evil.example/path"), "http://127.0.0.1:8080");
        begins(None, "http://127.0.0.1:8080");
        // A URL that was set goes before what a client says.
        let host = RequestedHost::read("evil.example");
        let link = super::tests::links().to(RECORDING, NOW, host.as_ref());
        assert!(link.url.starts_with("https://calls.example/"), "{}", link.url);
    }

    #[test]
    fn what_is_no_host_is_not_taken_for_one() {
        for host in [
            "calls.example",
            "calls.example:80",
            "192.0.2.1:8080",
            "[::1]",
            "my_host-1",
            "LOCALHOST:1",
            "calls.example.",
        ] {
            assert!(RequestedHost::read(host).is_some(), "{host}");
        }
        let long = "a".repeat(300);
        for text in [
            "",
            ":80",
            "calls.example:",
            "calls.example:x",
            "calls.example:99999",
            "user@calls.example",
            "calls.example/path",
            "calls.example?a",
            "calls.example#a",
            "a b",
            "a,b",
            "a\"b",
            "<a>",
            "[::1",
            "[calls.example]",
            "..",
            ".",
            ".example",
            "calls..example:80",
            "%61.example",
            &long,
        ] {
            assert_eq!(RequestedHost::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_link_with_anything_changed_is_foreign() {
        let (expires, signature) = parts(&links().to(RECORDING, NOW, None));
        let foreign = Err(BadLink::Foreign);
        let check = |target, expires: i64, signature: &str| {
            let query = format!("expires={expires}&signature={signature}");
            links().check(target, Some(&query), NOW)
        };
        for target in [Target::Recording("2.call_1.mp3"), Target::Recording("1.call_1.wav"), LOG] {
            assert_eq!(check(target, expires, &signature), foreign, "{target}");
        }
        for end in [expires + 1, expires - 1, 0, i64::MAX, i64::MIN] {
            assert_eq!(check(RECORDING, end, &signature), foreign, "{end}");
        }
        let mut other = signature.clone();
        other.replace_range(..1, if signature.starts_with('A') { "B" } else { "A" });
        for wrong in ["", &signature[1..], &format!("{signature}A"), &other] {
            assert_eq!(check(RECORDING, expires, wrong), foreign, "{wrong}");
        }
        let query = format!("expires={expires}&signature={signature}");
        assert_eq!(Links::new([8; 32]).check(RECORDING, Some(&query), NOW), foreign);
    }

    #[test]
    fn a_link_is_good_only_as_it_was_signed() {
        let (expires, signature) = parts(&links().to(RECORDING, NOW, None));
        let check = |query: Option<&str>| links().check(RECORDING, query, NOW);
        let whole = format!("expires={expires}&signature={signature}");
        assert_eq!(check(Some(&whole)), Ok(()));
        for other in [
            String::new(),
            format!("signature={signature}&expires={expires}"),
            format!("{whole}&download=1"),
            format!("download=1&{whole}"),
            format!("expires={expires}&download=1&signature={signature}"),
            format!("{whole}&{whole}"),
            format!("{whole}&signature={signature}"),
            format!("expires={expires}&{whole}"),
            format!("{whole}&"),
            format!("&{whole}"),
            format!("expires=+{expires}&signature={signature}"),
            format!("expires=0{expires}&signature={signature}"),
            format!("expires={expires}&signature={signature}#"),
            format!("Expires={expires}&signature={signature}"),
            format!("expires={expires}&signature={signature}%20"),
        ] {
            assert_eq!(check(Some(&other)), Err(BadLink::Foreign), "{other}");
        }
        assert_eq!(check(None), Err(BadLink::Foreign));
    }
}
