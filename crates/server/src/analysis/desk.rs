//! What analysing needs: the calls, what is set for whom, and the way in for what was found.

use std::sync::Arc;

use pegcount_calls::{Call, Document, Timestamp};
use pegcount_store::{CallHead, NewJob, OrganizationNumber, Store, StoreError};

use super::Settings;
use crate::{
    clock::Clock,
    intake::Intake,
    organizations::{Names, PerOrganization},
};

/// The word for this work.
pub const ANALYSIS: &str = "analysis";

/// What analysing needs.
pub struct Desk {
    pub(super) store: Arc<dyn Store>,
    names: Names,
    settings: Arc<PerOrganization<Option<Settings>>>,
    clock: Clock,
    pub(super) intake: Intake,
}

impl Desk {
    /// With what is set for whom. What is found is told to this intake.
    pub fn new(
        store: Arc<dyn Store>,
        intake: Intake,
        settings: Arc<PerOrganization<Option<Settings>>>,
        names: Names,
        clock: Clock,
    ) -> Self {
        Self { store, names, settings, clock, intake }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn settings(
        &self,
        organization: OrganizationNumber,
    ) -> Result<Arc<Option<Settings>>, StoreError> {
        self.names.pick(&self.settings, organization).await
    }
}

/// Whether it is a call to analyse, as far as the call alone tells.
pub(super) fn is_of_interest(call: &Call) -> bool {
    let content = &call.content;
    let answered = call.ending().is_some_and(|ending| ending.answered_at.is_some());
    let said = !content.turns.is_empty() || content.transcript_text.is_some();
    answered && said && !call.opt_out && content.analysis.is_none()
}

/// The job of analysing a call.
pub(super) fn analysis_of(head: &CallHead, now: Timestamp, due: Timestamp) -> NewJob {
    NewJob {
        organization: head.organization,
        kind: ANALYSIS.to_owned(),
        subject: head.name.to_string(),
        call: Some(head.key),
        data: Document::from_json_text("{}"),
        created_at: now,
        due,
    }
}
