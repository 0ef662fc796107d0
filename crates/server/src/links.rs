//! Links that carry their own permission: signed with HMAC-SHA256, and only good for a while.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use pegcount_calls::Timestamp;
use pegcount_store::{CallHead, Filed, OrganizationNumber};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// How long a link is good (contract, v1: links valid 1 h).
const GOOD_FOR: Duration = Duration::from_secs(3600);

/// Makes and checks links to this server.
#[derive(Clone)]
pub struct Links {
    key: Arc<[u8; 32]>,
    base: Arc<RwLock<String>>,
}

impl Links {
    /// Links that are signed with this key. They begin with nothing until [`Links::begin_with`] was called.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key: Arc::new(key), base: Arc::default() }
    }

    /// From now on links begin with this (`http://host:port`). It is known only once the port is.
    pub fn begin_with(&self, base: &str) {
        *self.base.write().unwrap_or_else(PoisonError::into_inner) = base.trim_end_matches('/').to_owned();
    }

    /// A link to the log of a call.
    pub fn log_url(&self, filed: &Filed, now: Timestamp) -> String {
        let CallHead { organization, uuid, .. } = &filed.head;
        // Whole minutes, so that the same call read twice mostly shows the same link.
        let expires =
            (now.millis() + 60_000).div_euclid(60_000) * 60 + i64::try_from(GOOD_FOR.as_secs()).unwrap_or(0);
        let signature = self.sign(*organization, &uuid.to_string(), expires);
        let base = self.base.read().unwrap_or_else(PoisonError::into_inner);
        format!("{base}/logs/{}/{uuid}?expires={expires}&signature={signature}", organization.0)
    }

    /// Whether a link to this call's log is ours and still good.
    pub fn allows(
        &self,
        organization: OrganizationNumber,
        uuid: &str,
        expires: i64,
        signature: &str,
        now: Timestamp,
    ) -> bool {
        let expected = self.sign(organization, uuid, expires);
        let same: bool = expected.as_bytes().ct_eq(signature.as_bytes()).into();
        !expected.is_empty() && same && now.millis() < expires.saturating_mul(1000)
    }

    fn sign(&self, organization: OrganizationNumber, uuid: &str, expires: i64) -> String {
        let message = format!("log\n{}\n{uuid}\n{expires}", organization.0);
        // A key of any length is taken, so there is nothing to fail.
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.key.as_slice()) else { return String::new() };
        BASE64URL_NOPAD.encode(&mac.chain_update(message.as_bytes()).finalize().into_bytes())
    }
}
