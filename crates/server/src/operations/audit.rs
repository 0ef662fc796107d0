//! What an operator does is noted in the audit log, and an operator looks whether that is whole.

use data_encoding::HEXLOWER;
use pegcount_calls::Document;
use pegcount_store::OrganizationNumber;
use serde_json::{Value, json};

use super::{Done, Operator, sentence};
use crate::audit::{Action, Entry, Room, actor};

impl Operator {
    /// Room for an entry about something that is about to be done.
    pub(super) async fn room(&self, action: Action) -> Result<Option<Room<'_>>, String> {
        self.audit.room(action).await.map_err(|error| format!("{error}: is the disk full?"))
    }

    /// Notes what was done.
    pub(super) async fn note(
        &self,
        room: Option<Room<'_>>,
        organization: Option<OrganizationNumber>,
        subject: Option<String>,
        details: &Value,
    ) {
        let Some(room) = room else { return };
        let details = Document::from_json_text(details.to_string());
        room.done(Entry { organization, actor: actor::OPERATOR.to_owned(), subject, details }).await;
    }

    /// Looks whether every entry of the audit log fits the one before it.
    pub(super) async fn verify_audit(&self) -> Done {
        let verdict = self.store.verify_audit().await.map_err(|error| sentence(&error))?;
        Ok(json!({
            "whole": verdict.fault.is_none(),
            "entries": verdict.entries,
            "last": verdict.last,
            "hash": HEXLOWER.encode(&verdict.hash),
            "fault": verdict.fault,
        }))
    }
}
