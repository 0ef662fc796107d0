//! What analysing needs: the calls, what is set for whom, and the way in for what was found.

use std::sync::{Arc, Mutex, PoisonError};

use pegcount_calls::{Call, Document, Timestamp};
use pegcount_store::{CallHead, NewJob, OrganizationNumber, Store, StoreError};

use super::Settings;
use crate::{
    clock::Clock,
    intake::Intake,
    organizations::{Names, PerOrganization},
};

/// The word for this work.
pub(super) const ANALYSIS: &str = "analysis";

/// What analysing needs.
pub struct Desk {
    pub(super) store: Arc<dyn Store>,
    names: Names,
    settings: PerOrganization<Option<Settings>>,
    clock: Clock,
    intake: Mutex<Option<Intake>>,
}

impl Desk {
    /// With what is set for whom.
    pub fn new(store: Arc<dyn Store>, settings: PerOrganization<Option<Settings>>, clock: Clock) -> Self {
        let names = Names::new(Arc::clone(&store));
        Self { store, names, settings, clock, intake: Mutex::default() }
    }

    /// From now on what is found is told here. Jobs are there before the way in is, which asks for them.
    pub fn open(&self, intake: Intake) {
        *self.intake.lock().unwrap_or_else(PoisonError::into_inner) = Some(intake);
    }

    /// From now on nothing is told any more: the writer ends when nobody can tell it anything.
    pub fn close(&self) {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub(super) fn intake(&self) -> Option<Intake> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How long calls must be quiet at least, in milliseconds; `None`: nobody's are analysed.
    pub(super) fn shortest_pause(&self) -> Option<i64> {
        self.settings.each().flatten().map(|settings| settings.pause_millis).min()
    }

    /// Whether it is a call to analyse, as far as the call alone tells.
    pub(super) fn is_of_interest(&self, call: &Call) -> bool {
        let content = &call.content;
        let answered = call.ending().is_some_and(|ending| ending.answered_at.is_some());
        let said = !content.turns.is_empty() || content.transcript_text.is_some();
        answered && said && !call.opt_out && content.analysis.is_none()
    }

    pub(super) async fn settings(
        &self,
        organization: OrganizationNumber,
    ) -> Result<Arc<Option<Settings>>, StoreError> {
        self.names.pick(&self.settings, organization).await
    }
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
