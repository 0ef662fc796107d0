//! What the gateway asks, answered from memory.

use std::sync::{Arc, PoisonError, RwLock};

use pegcount_gateway::{Ask, Denial, Dial, Plan, Routes, Target, TransferAsk};

use super::{
    directory::Directory,
    routing::{NoOrder, Routing, Wanted},
    settings::Rules,
};

/// The configuration's rules and the directory, as they are now.
#[derive(Default)]
pub(super) struct Decisions {
    rules: RwLock<Arc<Rules>>,
    /// The numbers and endpoints.
    pub(super) directory: Directory,
}

impl Decisions {
    /// The rules.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on these are the rules.
    pub(super) fn set_rules(&self, rules: Rules) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// A call that an organization orders.
    pub(super) fn order(
        &self,
        organization: &pegcount_calls::OrganizationName,
        wanted: &Wanted<'_>,
    ) -> Result<Dial, NoOrder> {
        Routing { rules: &self.rules(), directory: &self.directory }.order(organization, wanted)
    }
}

impl Routes for Decisions {
    fn route(&self, ask: &Ask) -> Result<Plan, Denial> {
        Routing { rules: &self.rules(), directory: &self.directory }.route(ask)
    }

    fn transfer(&self, ask: &TransferAsk<'_>) -> Option<Target> {
        Routing { rules: &self.rules(), directory: &self.directory }.transfer(ask)
    }
}
