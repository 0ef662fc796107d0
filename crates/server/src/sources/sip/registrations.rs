//! Where users are registered: kept in the store, so that a restart forgets nobody.
//!
//! The gateway answers a REGISTER from memory; what came of it is in the store some milliseconds later. A registration that
//! is lost in between comes again with its phone's next REGISTER.

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use pegcount_calls::{Document, OrganizationName, Timestamp};
use pegcount_gateway::{Contact, Registered, Registrations};
use pegcount_store::{OrganizationNumber, Registration, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::{Sip, outbox::now, settings::Rules};

/// How long changes are gathered before they are kept: at many phones each would be a commit of its own.
const GATHERED: Duration = Duration::from_millis(50);
/// How long to wait before the store is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often expired registrations are deleted where nobody registers.
const CLEANED: Duration = Duration::from_secs(600);

/// A contact as it is kept.
#[derive(Debug, Deserialize, Serialize)]
struct KeptContact {
    uri: String,
    source: SocketAddr,
    expires_at: u64,
    call_id: String,
    cseq: u32,
}

/// What is kept of a user's contacts; `None` where there are none.
fn kept(contacts: &[Contact]) -> Option<(Timestamp, Document)> {
    let last = contacts.iter().map(|contact| contact.expires_at).max()?;
    let contacts: Vec<KeptContact> = contacts
        .iter()
        .map(|contact| KeptContact {
            uri: contact.uri.clone(),
            source: contact.source,
            expires_at: contact.expires_at,
            call_id: contact.call_id.clone(),
            cseq: contact.cseq,
        })
        .collect();
    let text = serde_json::to_string(&contacts).ok()?;
    Some((Timestamp::from_millis(i64::try_from(last).ok()?), Document::from_json_text(text)))
}

fn read(contacts: &Document) -> Option<Vec<Contact>> {
    let kept: Vec<KeptContact> = serde_json::from_str(contacts.as_json_text()).ok()?;
    let contact = |KeptContact { uri, source, expires_at, call_id, cseq }| Contact {
        uri,
        source,
        expires_at,
        call_id,
        cseq,
    };
    Some(kept.into_iter().map(contact).collect())
}

/// The users that were registered when the program ended and still belong to the same organization.
pub(super) async fn left_registered(
    store: &dyn Store,
    rules: &Rules,
    organizations: &HashMap<OrganizationNumber, OrganizationName>,
    now: Timestamp,
) -> Result<Vec<Registered>, StoreError> {
    let is_known = |one: &Registration| {
        let user = rules.users.get(&one.user);
        user.is_some_and(|user| organizations.get(&one.organization) == Some(&user.organization))
    };
    let all = store.registrations(now).await?.into_iter().filter(is_known);
    let registered =
        all.filter_map(|one| Some(Registered { contacts: read(one.contacts.as_ref()?)?, user: one.user }));
    Ok(registered.collect())
}

impl Sip {
    /// Keeps registrations in the store from now on.
    pub(super) async fn keep_registrations(self: Arc<Self>, registrations: Registrations) {
        let mut changed = BTreeSet::new();
        loop {
            if changed.is_empty() {
                tokio::select! {
                    more = registrations.changed() => changed = more,
                    () = tokio::time::sleep(CLEANED) => {}
                }
                tokio::time::sleep(GATHERED).await;
            }
            changed.append(&mut registrations.take_changed());
            match self.save_registrations(&registrations, &changed).await {
                Ok(()) => changed.clear(),
                Err(error) => {
                    tracing::warn!(%error, "SIP registrations cannot be kept; they are tried again");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Keeps what these users' registrations are now.
    pub(super) async fn save_registrations(
        &self,
        registrations: &Registrations,
        users: &BTreeSet<String>,
    ) -> Result<(), StoreError> {
        let now = now(&self.clock);
        let rows: Vec<Registration> = users
            .iter()
            .filter_map(|user| {
                let organization = self.organization_of_user(user)?;
                let (expires_at, contacts) = kept(&registrations.of(user)).unzip();
                let expires_at = expires_at.unwrap_or(now);
                Some(Registration { organization, user: user.clone(), expires_at, contacts })
            })
            .collect();
        self.store.save_registrations(&rows, now).await
    }

    /// The number of a user's organization, if there are both.
    pub(super) fn organization_of_user(&self, user: &str) -> Option<OrganizationNumber> {
        let rules = self.decisions.rules();
        let name = &rules.users.get(user)?.organization;
        let organizations = self.organizations.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        organizations.iter().find(|(_, known)| *known == name).map(|(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contacts_are_kept_and_read_back() {
        let contact = |uri: &str, expires_at| Contact {
            uri: uri.into(),
            source: "[2001:db8::1]:5060".parse().unwrap(),
            expires_at,
            call_id: "a\"b".into(),
            cseq: u32::MAX,
        };
        let contacts = [contact("sip:a@192.0.2.1", 5_000), contact("sip:b@192.0.2.1;transport=tcp", 4_000)];
        let (expires_at, document) = kept(&contacts).unwrap();
        assert_eq!((expires_at.millis(), read(&document).unwrap()), (5_000, contacts.to_vec()));
        assert_eq!(kept(&[]), None);
        assert_eq!(read(&Document::from_json_text("{}")), None);
    }
}
