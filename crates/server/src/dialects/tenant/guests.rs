//! Who is let in to the WebSocket, and for how long.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio_util::sync::CancellationToken;

use crate::{
    access::{Answer, Ledger, Watched},
    auth::Credentials,
};

/// Lets watchers in.
pub trait Door: Send + Sync {
    /// What a watcher with these credentials may see.
    ///
    /// # Errors
    /// [`crate::access::Refusal`].
    fn admit(&self, credentials: Option<&Credentials>, open: bool) -> Answer<Watched>;
    /// Whether credentials that were good still are; asking costs the key none of its requests.
    fn still_admits(&self, credentials: &Credentials) -> bool;
}

impl Door for Ledger {
    fn admit(&self, credentials: Option<&Credentials>, open: bool) -> Answer<Watched> {
        self.admit_watcher(credentials, open)
    }

    fn still_admits(&self, credentials: &Credentials) -> bool {
        self.recognize(credentials).is_some()
    }
}

/// A key by which somebody is connected, shared by all connections that showed it.
pub(super) struct Guest {
    credentials: Credentials,
    revoked: CancellationToken,
}

impl Guest {
    /// Returns when the key is no longer good.
    pub(super) async fn revoked(&self) {
        self.revoked.cancelled().await;
    }
}

/// The keys by which anybody is connected: each is looked at once a round, however many connections showed it.
#[derive(Default)]
pub(super) struct Guests(Mutex<HashMap<String, Weak<Guest>>>);

impl Guests {
    /// Notes a connection by this whole key.
    pub(super) fn note(&self, key: &str) -> Arc<Guest> {
        let mut guests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = guests.get(key).and_then(Weak::upgrade)
            && !known.revoked.is_cancelled()
        {
            return known;
        }
        let guest = Arc::new(Guest {
            credentials: Credentials::Whole(key.to_owned()),
            revoked: CancellationToken::new(),
        });
        guests.insert(key.to_owned(), Arc::downgrade(&guest));
        guest
    }

    /// Tells every connection whose key is no longer good.
    pub(super) fn check(&self, door: &dyn Door) {
        let mut present = Vec::new();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, guest| {
            let guest = guest.upgrade();
            present.extend(guest.clone());
            guest.is_some()
        });
        for guest in present.iter().filter(|guest| !door.still_admits(&guest.credentials)) {
            guest.revoked.cancel();
        }
    }
}
