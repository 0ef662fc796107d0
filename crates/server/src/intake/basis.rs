//! What a call is folded with beside its events: the tariff that prices it, and what the directory says of its number.
//!
//! Both are settled when the call's first event is taken in and kept with the call. So another tariff, or another
//! directory, changes no call that is there, and folding a call again gives the same call.

use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use pegcount_calls::{Bill, Call, Charge, PhoneNumberName, Tariff};
use pegcount_store::{Basis, CallHead, KeptBasis, OrganizationNumber, StoreError, TariffId, Transaction};

use super::history::Kept;
use crate::organizations::{Names, PerOrganization};

/// How many tariffs are kept in memory: those that calls are written under.
const TARIFFS_KEPT: usize = 64;

/// The tariffs that hold now; they may be replaced while the program runs.
#[derive(Clone, Default)]
pub struct TariffsHandle(Arc<RwLock<Arc<PerOrganization<Tariff>>>>);

impl TariffsHandle {
    /// The handle of these.
    pub fn of(tariffs: PerOrganization<Tariff>) -> Self {
        let handle = Self::default();
        handle.replace(tariffs);
        handle
    }

    /// Prices calls that begin from now on by these. Calls that are there keep theirs.
    pub fn replace(&self, tariffs: PerOrganization<Tariff>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(tariffs);
    }

    pub(super) fn now(&self) -> Arc<PerOrganization<Tariff>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The parts of the basis that a refold replaces by the current ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Price calls by the tariff that holds now.
    pub rates: bool,
    /// Look phone numbers up in the directory as it is now.
    pub numbers: bool,
}

/// Why a call is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Occasion {
    /// Something new is known of it.
    Event,
    /// An operator asked for it.
    Refold(Renewal),
}

/// Settles with what calls are folded.
pub(super) struct Settler {
    in_force: TariffsHandle,
    names: Names,
    /// Tariffs that are on disk, the latest loaded last.
    filed: Vec<(TariffId, Arc<Tariff>)>,
    /// Those that the transaction which goes on has filed.
    pending: Vec<(TariffId, Arc<Tariff>)>,
}

impl Settler {
    pub(super) fn new(in_force: TariffsHandle, names: Names) -> Self {
        Self { in_force, names, filed: Vec::new(), pending: Vec::new() }
    }

    /// What organizations are called.
    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    /// Begins a transaction. Drops tariffs that a failed transaction filed: they are not on disk.
    pub(super) fn begin(&mut self) {
        self.pending.clear();
    }

    /// What the transaction has filed is on disk.
    pub(super) fn committed(&mut self) {
        self.filed.append(&mut self.pending);
        let excess = self.filed.len().saturating_sub(TARIFFS_KEPT);
        self.filed.drain(..excess);
    }

    /// Makes the endpoint and the phone number known that a call names.
    pub(super) async fn note_directory(
        &self,
        transaction: &mut dyn Transaction,
        organization: OrganizationNumber,
        call: &Call,
    ) -> Result<(), StoreError> {
        if let Some(endpoint) = &call.endpoint {
            transaction.note_endpoint(organization, endpoint).await?;
        }
        if let Some(named) = &call.phone_number {
            transaction.note_phone_number(organization, named).await?;
        }
        Ok(())
    }

    /// The bill of a call, and what it is folded with; `kept` is what it was folded with before.
    pub(super) async fn settle(
        &mut self,
        transaction: &mut dyn Transaction,
        head: &CallHead,
        call: &Call,
        kept: Option<&KeptBasis>,
        occasion: Occasion,
    ) -> Result<(Bill, Basis), StoreError> {
        let phone_number = phone_number(transaction, head.organization, call, kept, occasion).await?;
        let (bill, tariff) = self.price(transaction, head, call, kept, occasion).await?;
        Ok((bill, Basis { tariff, phone_number, folded_by: Some(*VERSION) }))
    }

    /// The same of a call whose document is deferred: what it costs, without the items. `None` where its tariff is not
    /// kept, so that what it costs is known by its document alone.
    pub(super) async fn settle_deferred(
        &mut self,
        transaction: &mut dyn Transaction,
        head: &CallHead,
        kept: &mut Kept,
    ) -> Result<Option<(Charge, Basis)>, StoreError> {
        let Some(id) = kept.basis.as_ref().and_then(|kept| kept.basis.tariff) else { return Ok(None) };
        let Some(tariff) = self.filed(transaction, id).await? else { return Ok(None) };
        let Some(charge) = kept.charge(id, &tariff) else { return Ok(None) };
        let (Some(call), before) = (kept.call(), kept.basis.as_ref()) else { return Ok(None) };
        let phone_number =
            phone_number(transaction, head.organization, call, before, Occasion::Event).await?;
        Ok(Some((charge, Basis { tariff: Some(id), phone_number, folded_by: Some(*VERSION) })))
    }

    async fn price(
        &mut self,
        transaction: &mut dyn Transaction,
        head: &CallHead,
        call: &Call,
        kept: Option<&KeptBasis>,
        occasion: Occasion,
    ) -> Result<(Bill, Option<TariffId>), StoreError> {
        let kept = kept.filter(|_| !matches!(occasion, Occasion::Refold(Renewal { rates: true, .. })));
        if let Some(id) = kept.and_then(|kept| kept.basis.tariff)
            && let Some(tariff) = self.filed(transaction, id).await?
        {
            return Ok((tariff.bill(call), Some(id)));
        }
        let (id, tariff) = self.in_force(transaction, head.organization).await?;
        let bill = tariff.bill(call);
        if kept.is_some_and(|kept| kept.basis.tariff.is_none())
            && let Some(billed) = billed_before(transaction, head, call).await?
            && billed != bill
        {
            // An earlier version priced it and did not keep by what: its bill stands.
            return Ok((billed, None));
        }
        Ok((bill, Some(id)))
    }

    /// The tariff that holds now.
    async fn in_force(
        &mut self,
        transaction: &mut dyn Transaction,
        organization: OrganizationNumber,
    ) -> Result<(TariffId, Arc<Tariff>), StoreError> {
        let tariff = self.names.pick(&self.in_force.now(), organization).await?;
        let known = self.filed.iter().chain(&self.pending).find(|(_, known)| Arc::ptr_eq(known, &tariff));
        if let Some((id, _)) = known {
            return Ok((*id, tariff));
        }
        let id = transaction.file_tariff(&tariff).await?;
        self.pending.push((id, Arc::clone(&tariff)));
        Ok((id, tariff))
    }

    /// The tariff that a call is kept with; `None` where it is damaged, so that the call is priced as a new one.
    async fn filed(
        &mut self,
        transaction: &mut dyn Transaction,
        id: TariffId,
    ) -> Result<Option<Arc<Tariff>>, StoreError> {
        let known = self.pending.iter().chain(&self.filed).find(|(known, _)| *known == id);
        if let Some((_, tariff)) = known {
            return Ok(Some(Arc::clone(tariff)));
        }
        match transaction.tariff(id).await {
            Ok(Some(tariff)) => {
                let tariff = Arc::new(tariff);
                // Committed by an earlier transaction: this one's are pending.
                self.filed.push((id, Arc::clone(&tariff)));
                Ok(Some(tariff))
            }
            Ok(None) => Ok(None),
            Err(error @ StoreError::Unreadable { .. }) => {
                tracing::error!(%error, "calls of a damaged tariff are priced by the one that holds now");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The phone number that a call belongs to: the one that an event names, else the one that the directory has for the
/// organization's own number. A number once found stays; one that is not known is looked up again while the call goes on.
async fn phone_number(
    transaction: &mut dyn Transaction,
    organization: OrganizationNumber,
    call: &Call,
    kept: Option<&KeptBasis>,
    occasion: Occasion,
) -> Result<Option<PhoneNumberName>, StoreError> {
    if call.phone_number.is_some() {
        return Ok(call.phone_number.clone());
    }
    let Some(number) = call.own_number() else { return Ok(None) };
    if let Some(kept) = kept.filter(|kept| kept.looked_up.as_deref() == Some(number)) {
        let stands = match occasion {
            Occasion::Event => kept.is_over || kept.basis.phone_number.is_some(),
            Occasion::Refold(renewal) => !renewal.numbers,
        };
        if stands {
            return Ok(kept.basis.phone_number.clone());
        }
    }
    transaction.phone_number_with(organization, number).await
}

/// The bill that a call is kept with, if it is billed as it was.
async fn billed_before(
    transaction: &mut dyn Transaction,
    head: &CallHead,
    call: &Call,
) -> Result<Option<Bill>, StoreError> {
    match transaction.saved(head.key).await {
        Ok(saved) => Ok(saved.filter(|saved| saved.call.is_billed_like(call)).map(|saved| saved.bill)),
        Err(StoreError::Unreadable { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a call is kept with; a damaged row keeps nothing.
pub(super) async fn kept_basis(
    transaction: &mut dyn Transaction,
    head: &CallHead,
) -> Result<Option<KeptBasis>, StoreError> {
    match transaction.basis(head.key).await {
        Err(error @ StoreError::Unreadable { .. }) => {
            tracing::warn!(%error, call = %head.name, "a call's row is damaged; it is folded as a new one");
            Ok(None)
        }
        kept => kept,
    }
}

/// The version of this program as a number that grows: a call that another version folded may come out otherwise.
pub(super) static VERSION: LazyLock<u32> = LazyLock::new(|| {
    let parts =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    parts.iter().fold(0, |number, part| number * 1_000 + part.parse::<u32>().unwrap_or_default())
});
