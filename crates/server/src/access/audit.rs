//! What is noted of what is asked for through the door, and the list of it.

use std::time::Duration;

use pegcount_calls::{Document, Range};
use pegcount_store::{AuditPage, AuditPlace, AuditQuery, CallHead, Filed, Page};
use serde_json::json;

use super::{Access, Answer, Object, Refusal, Thing};
use crate::{
    audit::{Action, Entry, Room, Unnoted, actor},
    auth::Scope,
};

/// Which entries of the audit log are wanted. Several conditions must all hold.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of this action only.
    pub action: Option<Action>,
    /// By this actor only: the id of a key, or a word.
    pub actor: Option<String>,
    /// About this call only, by its UUID, or its name while it is there.
    pub call: Option<String>,
    /// Made then.
    pub at: Range,
    /// How many at most.
    pub limit: u32,
    /// Those behind this one only.
    pub after: Option<AuditPlace>,
}

impl From<Unnoted> for Refusal {
    fn from(unnoted: Unnoted) -> Self {
        Self::Unavailable { reason: unnoted.to_string(), retry_after: Duration::from_secs(2) }
    }
}

impl Access {
    /// One part of the audit log, newest first.
    ///
    /// # Errors
    /// [`Refusal::NotFound`] where a call is named that is not there; one that was erased is found by its UUID.
    pub async fn audit(&self, filter: AuditFilter) -> Answer<AuditPage> {
        self.need(Scope::Admin)?;
        let subject = match filter.call {
            Some(call) => Some(self.subject_named(&call).await?),
            None => None,
        };
        let query = AuditQuery {
            organization: self.organization.number,
            action: filter.action.map(|action| action.name().to_owned()),
            actor: filter.actor,
            subject,
            at: filter.at,
            limit: filter.limit,
            after: filter.after,
        };
        self.ledger.read(self.ledger.store.audit(&query).await)
    }

    /// What a call is called in the audit log.
    async fn subject_named(&self, call: &str) -> Answer<String> {
        let found = self.ledger.store.head(self.organization.number, call).await;
        match (self.ledger.read(found)?, uuid::Uuid::parse_str(call)) {
            (Some(head), _) => Ok(head.uuid.to_string()),
            (None, Ok(uuid)) => Ok(uuid.to_string()),
            (None, Err(_)) => Err(Refusal::NotFound(Thing::Call)),
        }
    }

    /// Who asks, as the audit log has it.
    fn actor(&self) -> String {
        match &self.principal {
            Some(principal) => principal.key_id.to_string(),
            None if self.is_by_link => actor::LINK.to_owned(),
            None => actor::OPEN.to_owned(),
        }
    }

    fn entry(&self, subject: Option<String>, details: String) -> Entry {
        Entry {
            organization: Some(self.organization.number),
            actor: self.actor(),
            subject,
            details: Document::from_json_text(details),
        }
    }

    /// Notes that something of a call was read.
    pub(super) async fn note_read(&self, action: Action, head: &CallHead) -> Answer<()> {
        let entry = || self.entry(Some(head.uuid.to_string()), "{}".to_owned());
        Ok(self.ledger.audit.read(action, entry).await?)
    }

    /// Notes that a call was read whole.
    pub(super) async fn note_call(&self, filed: &Filed) -> Answer<()> {
        let entry = || {
            let details = if self.leads_away(filed) { r#"{"recording":"away"}"# } else { "{}" };
            self.entry(Some(filed.head.uuid.to_string()), details.to_owned())
        };
        Ok(self.ledger.audit.read(Action::CallRead, entry).await?)
    }

    /// Notes that it was said where a recording can be heard.
    pub(super) async fn note_recording(&self, filed: &Filed, leads: &'static str) -> Answer<()> {
        let details = || json!({ "recording": leads }).to_string();
        let entry = || self.entry(Some(filed.head.uuid.to_string()), details());
        Ok(self.ledger.audit.read(Action::RecordingLinked, entry).await?)
    }

    /// Notes that these calls were listed, or found by what was said in them.
    pub(super) async fn note_list(&self, page: &Page, is_search: bool) -> Answer<()> {
        let action = if is_search { Action::CallsSearched } else { Action::CallsListed };
        let entry = || {
            let away = page.calls.iter().filter(|filed| self.leads_away(filed)).count();
            let calls = page.calls.len();
            let details = match away {
                0 => format!("{{\"calls\":{calls}}}"),
                away => format!("{{\"calls\":{calls},\"recordings_away\":{away}}}"),
            };
            self.entry(None, details)
        };
        Ok(self.ledger.audit.read(action, entry).await?)
    }

    /// Whether whoever is told of the call gets a link to its recording that leads past this server: opened, it is not
    /// noted here.
    fn leads_away(&self, filed: &Filed) -> bool {
        let shelf = &self.ledger.shelf;
        if !shelf.may_link_away() {
            return false;
        }
        Object::of(filed).is_some_and(|object| shelf.leads_away(&object))
    }

    /// Room for an entry about something that is about to be done.
    pub(super) async fn room(&self, action: Action) -> Answer<Option<Room<'_>>> {
        Ok(self.ledger.audit.room(action).await?)
    }

    /// Notes what was done; when this returns, the entry is on disk, or waits to be written.
    pub(super) async fn note_done(&self, room: Option<Room<'_>>, subject: String, details: String) {
        if let Some(room) = room {
            room.done(self.entry(Some(subject), details)).await;
        }
    }
}
