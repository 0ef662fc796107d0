//! Hanging up a call of the native source: a signed order to the organization's control URL.
//!
//! The URL is somebody else's word, so where it leads is checked at every order, after its name was resolved, and the
//! connection goes to the very address that was checked.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use pegcount_store::{ControlUrl, OrganizationNumber, Store};
use serde_json::json;
use standardwebhooks::Webhook;
use url::{Host, Url};

use crate::{
    address::is_public,
    control::{ControlError, Hangup, Order, Reply},
    vocabulary::time,
};

/// How long the one who takes orders may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest URL in bytes.
const LONGEST_URL: usize = 2048;

/// Where control URLs may lead besides the public internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Nowhere.
    Public,
    /// To loopback addresses that are written as numbers, by plain `http` too. Only a key with the scope `server` sets
    /// such a URL, and only while the server itself listens on loopback addresses: whoever runs the server is trusted
    /// with the other programs of the machine, the administrator of one organization behind a proxy is not.
    Loopback,
    /// To any address, by plain `http` too (`native.allow_private_control_urls`).
    Private,
}

impl Reach {
    /// What is left of it for a key without the scope `server`.
    #[must_use]
    pub const fn without_server_scope(self) -> Self {
        match self {
            Self::Public | Self::Loopback => Self::Public,
            Self::Private => Self::Private,
        }
    }

    /// Whether a URL with this address in it may be used, other than a public one.
    fn covers(self, address: IpAddr) -> bool {
        match self {
            Self::Public => false,
            Self::Loopback => address.is_loopback(),
            Self::Private => true,
        }
    }
}

/// Checks a control URL as far as it can be checked before its name is resolved.
///
/// # Errors
/// The rest of a sentence that begins with what is wrong.
pub fn check_url(text: &str, reach: Reach) -> Result<Url, String> {
    if text.len() > LONGEST_URL {
        return Err(format!("must not be longer than {LONGEST_URL} bytes"));
    }
    let url = Url::parse(text).map_err(|error| format!("must be a URL: {error}"))?;
    let literal = match url.host() {
        None => return Err("must name a host".into()),
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
    };
    let is_covered = reach == Reach::Private || literal.is_some_and(|address| reach.covers(address));
    // Names of this machine by definition (RFC 6761). Where other names lead is seen when they are resolved.
    let is_local = url.domain().is_some_and(|name| {
        let name = name.trim_end_matches('.');
        name == "localhost" || name.ends_with(".localhost")
    });
    if is_local && reach == Reach::Loopback {
        return Err("must not lead to a private address by name: write 127.0.0.1 instead of localhost".into());
    }
    if !is_covered && (is_local || literal.is_some_and(|address| !is_public(address))) {
        return Err("must not lead to a private address; the configuration can allow it \
                    (native.allow_private_control_urls = true). Loopback addresses are also taken from a key with the \
                    scope server, while the server itself listens on loopback addresses only"
            .into());
    }
    match url.scheme() {
        "https" => {}
        "http" if is_covered => {}
        "http" => {
            return Err("must begin with https://; the configuration can allow http:// \
                        (native.allow_private_control_urls = true)"
                .into());
        }
        _ => return Err("must begin with https://".into()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".into());
    }
    Ok(url)
}

/// Checks a secret: `whsec_` and the base64 of 24 to 64 bytes (Standard Webhooks).
///
/// # Errors
/// The rest of a sentence that begins with what is wrong.
pub fn check_secret(secret: &str) -> Result<(), String> {
    let encoded = secret.strip_prefix("whsec_").ok_or("must begin with whsec_")?;
    let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).map_err(|_| "must be whsec_ and base64")?;
    if (24..=64).contains(&bytes.len()) { Ok(()) } else { Err("must hold 24 to 64 bytes".into()) }
}

/// Gives orders to control URLs.
pub struct NativeHangup {
    store: Arc<dyn Store>,
    reach: Reach,
}

impl NativeHangup {
    /// With the URLs that the store keeps.
    pub fn new(store: Arc<dyn Store>, reach: Reach) -> Self {
        Self { store, reach }
    }

    async fn control_url(
        &self,
        organization: OrganizationNumber,
    ) -> Result<Option<ControlUrl>, ControlError> {
        self.store.control_url(organization).await.map_err(|error| {
            tracing::error!(%error, "the control URL cannot be read");
            ControlError::Unreachable("its control URL cannot be read".into())
        })
    }

    /// A client that connects to the address that was checked and to no other.
    async fn client(&self, url: &Url) -> Result<reqwest::Client, ControlError> {
        let unreachable = |reason: &str| ControlError::Unreachable(reason.to_owned());
        let host = url.host_str().ok_or_else(|| unreachable("the control URL names no host"))?;
        let port = url.port_or_known_default().unwrap_or(443);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> =
            tokio::time::timeout(PATIENCE, tokio::net::lookup_host((bare, port)))
                .await
                .map_err(|_| unreachable("the host of the control URL was not resolved in time"))?
                .map_err(|_| unreachable("the host of the control URL cannot be resolved"))?
                .collect();
        if addresses.is_empty() {
            return Err(unreachable("the host of the control URL has no address"));
        }
        // A name may lead to a loopback address too, and anybody's URL may hold a name.
        let is_number = bare.parse::<IpAddr>().is_ok();
        let covers =
            |address: IpAddr| (is_number || self.reach == Reach::Private) && self.reach.covers(address);
        if addresses.iter().any(|address| !is_public(address.ip()) && !covers(address.ip())) {
            return Err(ControlError::Refused("the control URL leads to a private address".into()));
        }
        reqwest::Client::builder()
            .resolve_to_addrs(host, &addresses)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(PATIENCE)
            .user_agent(concat!("pegcount/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ControlError::Unreachable(error.to_string()))
    }
}

#[async_trait]
impl Hangup for NativeHangup {
    async fn controls(&self, organization: OrganizationNumber) -> Result<bool, ControlError> {
        Ok(self.control_url(organization).await?.is_some())
    }

    async fn hang_up(&self, order: &Order) -> Result<Reply, ControlError> {
        let control = self.control_url(order.organization).await?.ok_or(ControlError::NotControllable)?;
        let url = check_url(&control.url, self.reach)
            .map_err(|message| ControlError::Refused(format!("the control URL {message}")))?;
        let client = self.client(&url).await?;
        let payload = json!({
            "type": "call.hangup",
            "timestamp": time::format_rfc3339(order.asked_at),
            "data": { "call_id": order.call.as_str() },
        })
        .to_string();
        let id = format!("msg_{}", uuid::Uuid::now_v7().simple());
        let seconds = order.asked_at.millis().div_euclid(1000);
        let signature = Webhook::new(&control.secret)
            .and_then(|webhook| webhook.sign(&id, seconds, payload.as_bytes()))
            .map_err(|_| ControlError::Unreachable("the secret of the control URL cannot be used".into()))?;
        let response = client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", signature)
            .body(payload)
            .send()
            .await
            .map_err(|error| ControlError::Unreachable(reason(&error)))?;
        match response.status() {
            status if status.is_success() => Ok(Reply::Taken),
            // Not 404: that is what a control URL with a slip in its path answers, for every call.
            reqwest::StatusCode::GONE => Ok(Reply::Gone),
            status => {
                let reason = format!("its control URL answered {}", status.as_u16());
                let may_change = status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429);
                Err(if may_change {
                    ControlError::Unreachable(reason)
                } else {
                    ControlError::Refused(reason)
                })
            }
        }
    }
}

/// Why a request failed, without the URL, which may hold a secret in its query.
fn reason(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() { "did not answer in time" } else { "does not answer" };
    format!("its control URL {what}")
}
