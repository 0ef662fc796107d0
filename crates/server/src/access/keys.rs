//! Keys of an organization, and when they were last used.

use std::{sync::Arc, time::Duration};

use pegcount_calls::Timestamp;
use pegcount_store::{AccessKey, StoreError};
use serde_json::json;

use super::{Access, Answer, Ledger, Refusal, Thing, directory::found};
use crate::{
    audit::Action,
    auth::{NewKey, Scope, Scopes},
    vocabulary::time::format_rfc3339,
};

/// How often the last uses of keys are brought to the store, and expired keys deleted.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(300);
/// The longest grace period of a rotated key: a year.
pub const LONGEST_GRACE: Duration = Duration::from_secs(366 * 24 * 3600);

/// The result of a rotation: the new key, and the end of the old one.
pub struct RotatedKey {
    /// The key that takes the place of the old one.
    pub new: NewKey,
    /// When the old one stops opening anything.
    pub expires_at: Timestamp,
}

impl RotatedKey {
    /// A key with the name, the organization and the scopes of `old`, which expires after `grace`, or earlier if it was
    /// to.
    ///
    /// # Errors
    /// When the machine has no randomness to give.
    pub fn of(old: &AccessKey, grace: Duration, now: Timestamp) -> Result<Self, getrandom::Error> {
        let new = NewKey::generate(old.organization, Scopes::from_bits(old.scopes), old.name.clone(), now)?;
        let grace_ms = i64::try_from(grace.min(LONGEST_GRACE).as_millis()).unwrap_or(i64::MAX);
        let expires_at = now.plus_millis(grace_ms);
        Ok(Self { new, expires_at: old.expires_at.map_or(expires_at, |earlier| earlier.min(expires_at)) })
    }

    /// What the audit log says of it.
    pub fn details(&self) -> serde_json::Value {
        json!({
            "scopes": Scopes::from_bits(self.new.stored.scopes).names(),
            "new_key": self.new.stored.id,
            "expires_at": format_rfc3339(self.expires_at),
        })
    }
}

impl Access {
    /// The organization's keys; their secrets are not known.
    pub async fn keys(&self) -> Answer<Vec<pegcount_store::AccessKey>> {
        self.need(Scope::Admin)?;
        let mut keys = self.ledger.read(self.ledger.current_keys().await)?;
        keys.retain(|key| key.organization == self.organization.number);
        Ok(keys)
    }

    /// Makes a key, with scopes that the asking one has.
    pub async fn create_key(&self, scopes: Scopes, name: Option<String>) -> Answer<NewKey> {
        self.need(Scope::Admin)?;
        self.need_reach(scopes)?;
        let key =
            NewKey::generate(self.organization.number, scopes, name, self.now()).map_err(no_randomness)?;
        let room = self.room(Action::KeyCreated).await?;
        self.ledger.read(self.ledger.store.create_key(&key.stored).await)?;
        let details = json!({ "scopes": scopes.names() }).to_string();
        self.note_done(room, key.stored.id.clone(), details).await;
        self.ledger.take_over_new_key().await;
        Ok(key)
    }

    /// Revokes a key of the organization.
    pub async fn revoke_key(&self, id: &str) -> Answer<()> {
        self.governed_key(id).await?;
        // A key that must open nothing any more goes, even where that cannot be noted.
        let room = self.room(Action::KeyRevoked).await.unwrap_or_else(|_| {
            tracing::error!(
                key = id,
                "a key is revoked without an entry: the audit log takes none at the moment"
            );
            None
        });
        found(self.ledger.read(self.ledger.store.revoke_key(id).await)?, Thing::Key)?;
        // It must open nothing any more before anything else is waited for.
        let reloaded = self.ledger.reload().await;
        self.note_done(room, id.to_owned(), "{}".to_owned()).await;
        self.ledger.read(reloaded)
    }

    /// Makes a key that takes the place of another one, which expires after `grace`.
    pub async fn rotate_key(&self, id: &str, grace: Duration) -> Answer<RotatedKey> {
        let old = self.governed_key(id).await?;
        let rotated = RotatedKey::of(&old, grace, self.now()).map_err(no_randomness)?;
        let room = self.room(Action::KeyRotated).await?;
        let kept = self.ledger.store.rotate_key(id, &rotated.new.stored, rotated.expires_at).await;
        found(self.ledger.read(kept)?, Thing::Key)?;
        self.ledger.take_over_new_key().await;
        self.note_done(room, id.to_owned(), rotated.details().to_string()).await;
        Ok(rotated)
    }

    /// A key of the organization that the asking one may change: none that reaches further.
    async fn governed_key(&self, id: &str) -> Answer<AccessKey> {
        let key = self.keys().await?.into_iter().find(|key| key.id == id);
        let key = key.ok_or(Refusal::NotFound(Thing::Key))?;
        self.need_reach(Scopes::from_bits(key.scopes))?;
        Ok(key)
    }

    /// Turns away a key that lacks one of these scopes: it must not come by it through another key, nor shut out one
    /// that has it.
    fn need_reach(&self, scopes: Scopes) -> Answer<()> {
        let lacking = scopes.each().find(|scope| self.need(*scope).is_err());
        lacking.map_or(Ok(()), |scope| Err(Refusal::KeyReachesFurther(scope)))
    }
}

fn no_randomness(error: getrandom::Error) -> Refusal {
    Refusal::Unavailable { reason: error.to_string(), retry_after: Duration::from_secs(1) }
}

impl Ledger {
    /// Every key that opens something, with its last use.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn current_keys(&self) -> Result<Vec<AccessKey>, StoreError> {
        Ok(self.keyring.current(self.store.keys().await?, self.clock.now()))
    }

    /// Brings the last uses of keys to the store, and deletes keys that have expired.
    ///
    /// # Errors
    /// [`StoreError`]; the uses are brought the next time then.
    pub async fn keep_key_uses(&self) -> Result<(), StoreError> {
        let (uses, now) = (self.keyring.unsaved_uses(), self.clock.now());
        let keys = self.store.keys().await?;
        if !uses.is_empty() || self.keyring.current(keys.clone(), now).len() < keys.len() {
            self.store.keep_key_uses(&uses, now).await?;
        }
        self.reload().await
    }

    /// Lets a key that was just stored open doors. A failure is logged only: the secret is shown once, so it must reach the
    /// caller, and the next upkeep reloads.
    pub async fn take_over_new_key(&self) {
        if let Err(error) = self.reload().await {
            tracing::error!(%error, "a new key is stored but not in use yet; the next attempt is within 5 minutes");
        }
    }

    /// Saves key uses and deletes expired keys every five minutes; never returns.
    pub async fn look_after_keys(self: Arc<Self>) {
        loop {
            tokio::time::sleep(UPKEEP_INTERVAL).await;
            if let Err(error) = self.keep_key_uses().await {
                tracing::warn!(%error, "the last uses of keys are not kept; the next attempt is in 5 minutes");
            }
        }
    }
}
