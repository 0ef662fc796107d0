//! Keys of every organization.

use std::time::Duration;

use serde_json::json;

use super::{Done, Operator, sentence};
use crate::{
    access::{LONGEST_GRACE, RotatedKey},
    audit::Action,
    auth::{self, NewKey, Scopes},
    vocabulary::time::format_rfc3339,
};

/// Says that no key has this id. A whole key is not repeated: it holds a secret.
fn unknown(id: &str) -> String {
    match auth::split_whole(id) {
        Some((id, _)) => format!("that is a whole key: name it by its id, {id}"),
        None => format!("there is no key {id}, or it was revoked or has expired: see `pegcount keys list`"),
    }
}

impl Operator {
    pub(super) async fn create_key(
        &self,
        organization: &str,
        scopes: &[String],
        name: Option<String>,
    ) -> Done {
        let organization = self.organization(organization).await?;
        let scopes = Scopes::parse(scopes.iter().map(String::as_str))?;
        if scopes == Scopes::default() {
            return Err("a key needs at least one scope, such as calls:read".into());
        }
        let key = NewKey::generate(organization.number, scopes, name, self.clock.now())
            .map_err(|error| error.to_string())?;
        let room = self.room(Action::KeyCreated).await?;
        self.store.create_key(&key.stored).await.map_err(|error| sentence(&error))?;
        let details = json!({ "scopes": scopes.names() });
        self.note(room, Some(organization.number), Some(key.stored.id.clone()), &details).await;
        self.ledger.take_over_new_key().await;
        Ok(json!({
            "key_id": key.stored.id,
            "secret": key.secret,
            "key": key.whole(),
            "organization": organization.id.as_str(),
            "scopes": scopes.names(),
        }))
    }

    pub(super) async fn list_keys(&self) -> Done {
        let organizations = self.store.organizations().await.map_err(|error| sentence(&error))?;
        let keys = self.ledger.current_keys().await.map_err(|error| sentence(&error))?;
        let name_of =
            |number| organizations.iter().find(|one| one.number == number).map(|one| one.id.to_string());
        Ok(keys
            .into_iter()
            .map(|key| {
                json!({
                    "key_id": key.id,
                    "organization": name_of(key.organization),
                    "name": key.name,
                    "scopes": Scopes::from_bits(key.scopes).names(),
                    "created_at": format_rfc3339(key.created_at),
                    "expires_at": key.expires_at.map(format_rfc3339),
                    "last_used_at": key.last_used_at.map(format_rfc3339),
                })
            })
            .collect())
    }

    pub(super) async fn rotate_key(&self, id: &str, grace: Duration) -> Done {
        if grace > LONGEST_GRACE {
            return Err(format!(
                "the grace period must be at most {} days",
                LONGEST_GRACE.as_secs() / 86_400
            ));
        }
        let keys = self.ledger.current_keys().await.map_err(|error| sentence(&error))?;
        let old = keys.iter().find(|key| key.id == id).ok_or_else(|| unknown(id))?;
        let organizations = self.store.organizations().await.map_err(|error| sentence(&error))?;
        let organization = organizations.iter().find(|one| one.number == old.organization);
        let rotated = RotatedKey::of(old, grace, self.clock.now()).map_err(|error| error.to_string())?;
        let (new, expires_at) = (&rotated.new, rotated.expires_at);
        let room = self.room(Action::KeyRotated).await?;
        let kept = self.store.rotate_key(id, &new.stored, expires_at).await;
        if !kept.map_err(|error| sentence(&error))? {
            return Err(unknown(id));
        }
        self.ledger.take_over_new_key().await;
        self.note(room, Some(old.organization), Some(id.to_owned()), &rotated.details()).await;
        Ok(json!({
            "key_id": new.stored.id,
            "secret": new.secret,
            "key": new.whole(),
            "organization": organization.map(|one| one.id.as_str()),
            "scopes": Scopes::from_bits(new.stored.scopes).names(),
            "old_key_id": id,
            "old_key_expires_at": format_rfc3339(expires_at),
        }))
    }

    pub(super) async fn revoke_key(&self, id: &str) -> Done {
        let keys = self.store.keys().await.map_err(|error| sentence(&error))?;
        let key = keys.iter().find(|key| key.id == id).ok_or_else(|| unknown(id))?;
        let room = self.room(Action::KeyRevoked).await?;
        self.store.revoke_key(id).await.map_err(|error| sentence(&error))?;
        let reloaded = self.ledger.reload().await;
        self.note(room, Some(key.organization), Some(id.to_owned()), &json!({})).await;
        reloaded.map_err(|error| sentence(&error))?;
        Ok(json!({ "revoked": id }))
    }
}
