//! What is masked of an event before it is queued.

use pegcount_store::StoreError;

use super::Incoming;
use crate::{
    organizations::{Names, PerOrganization},
    redaction::{self, Masks},
};

/// What is masked, of whom.
pub(super) struct Redacting {
    settings: PerOrganization<Masks>,
    names: Names,
}

impl Redacting {
    /// `None` where nothing is masked of anybody: then nothing is looked at.
    pub(super) fn of(settings: PerOrganization<Masks>, names: Names) -> Option<Self> {
        let is_off = settings.each().all(Masks::is_off);
        (!is_off).then_some(Self { settings, names })
    }

    /// Masks what the events of one call hold.
    pub(super) async fn mask(&self, incoming: &mut Incoming) -> Result<(), StoreError> {
        let masks = self.names.pick(&self.settings, incoming.organization).await?;
        if masks.is_off() {
            return Ok(());
        }
        for told in &mut incoming.told {
            redaction::mask(&masks, told);
        }
        // A large batch does not keep everybody else waiting.
        tokio::task::yield_now().await;
        Ok(())
    }
}
