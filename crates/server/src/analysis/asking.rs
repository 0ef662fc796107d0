//! When an analysis is asked for: in the transaction that makes a call one to analyse.

use std::sync::Arc;

use pegcount_calls::{Call, OrganizationName};
use pegcount_store::{CallHead, NewJob};

use super::{
    Settings,
    desk::{analysis_of, is_of_interest},
};
use crate::{clock::Clock, intake::Outside, organizations::PerOrganization};

/// Asks for analyses of calls that are over.
pub struct Asking {
    settings: Arc<PerOrganization<Option<Settings>>>,
    clock: Clock,
}

impl Asking {
    /// As it is set for whom.
    pub fn new(settings: Arc<PerOrganization<Option<Settings>>>, clock: Clock) -> Self {
        Self { settings, clock }
    }
}

impl Outside for Asking {
    fn spoken(
        &self,
        head: &CallHead,
        organization: Option<&OrganizationName>,
        call: &Call,
    ) -> Option<NewJob> {
        let settings = self.settings.of(organization).as_ref().as_ref()?;
        let now = self.clock.now();
        is_of_interest(call).then(|| analysis_of(head, now, now.plus_millis(settings.pause_millis)))
    }
}
