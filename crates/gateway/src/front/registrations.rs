//! Where users are registered, for the program to keep while the gateway does not run.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use super::directory::People;

/// One place where a user is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The URI that calls go to.
    pub uri: String,
    /// Where the registration came from.
    pub source: SocketAddr,
    /// When it expires: milliseconds since 1970.
    pub expires_at: u64,
    /// The Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// The number in its CSeq.
    pub cseq: u32,
}

/// A user that is registered, with its contacts: the latest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The user.
    pub user: String,
    /// Where it can be reached.
    pub contacts: Vec<Contact>,
}

/// Where the users of a gateway are registered. It outlives the gateway.
#[derive(Clone)]
pub struct Registrations(pub(super) Arc<People>);

impl Registrations {
    /// All users that are registered, by name.
    pub fn all(&self) -> Vec<Registered> {
        let registered = self.users().into_iter().map(|user| Registered { contacts: self.of(&user), user });
        registered.filter(|one| !one.contacts.is_empty()).collect()
    }

    /// The names of all users, registered or not.
    pub fn users(&self) -> Vec<String> {
        self.0.users()
    }

    /// Where a user is registered, the latest first.
    pub fn of(&self, user: &str) -> Vec<Contact> {
        self.0.contacts(user)
    }

    /// Waits until users have registered, have registered again or have left, and says who, each at most once.
    pub async fn changed(&self) -> BTreeSet<String> {
        loop {
            let changed = self.0.changed.notified();
            let users = self.take_changed();
            if !users.is_empty() {
                return users;
            }
            changed.await;
        }
    }

    /// The same without waiting.
    pub fn take_changed(&self) -> BTreeSet<String> {
        self.0.take_changed()
    }
}
