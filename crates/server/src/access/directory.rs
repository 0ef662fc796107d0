//! Endpoints, phone numbers and the control URL of an organization.

use pegcount_calls::{EndpointName, PhoneNumberName};
use pegcount_store::{ControlUrl, Endpoint, NewEndpoint, PhoneNumber};

use super::{Access, Answer, Refusal, Thing};
use crate::auth::Scope;

/// What to change of an endpoint; what is `None` stays. An inner `None` empties the field.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// What people call it.
    pub name: Option<Option<String>>,
    /// The platform it runs on.
    pub provider: Option<Option<String>>,
    /// Where it is reached.
    pub sip_uri: Option<Option<String>>,
    /// A JSON object.
    pub metadata: Option<pegcount_calls::Document>,
}

/// What to change of a phone number; what is `None` stays. An inner `None` empties the field.
#[derive(Clone, Debug, Default)]
pub struct PhoneNumberChange {
    /// E.164.
    pub number: Option<Option<String>>,
    /// The endpoint that answers it.
    pub endpoint: Option<Option<EndpointName>>,
}

impl Access {
    /// The endpoints, by number, and how many there are.
    ///
    /// # Errors
    /// [`Refusal`], as everywhere in this file.
    pub async fn endpoints(&self, limit: u32, offset: u64) -> Answer<(Vec<Endpoint>, u64)> {
        self.need(Scope::CallsRead)?;
        self.ledger.read(self.ledger.store.endpoints(self.organization.number, limit, offset).await)
    }

    /// The endpoint with this id.
    pub async fn endpoint(&self, id: &EndpointName) -> Answer<Endpoint> {
        self.need(Scope::CallsRead)?;
        let found = self.ledger.store.endpoint(self.organization.number, id).await;
        self.ledger.read(found)?.ok_or(Refusal::NotFound(Thing::Endpoint))
    }

    /// Makes an endpoint.
    pub async fn create_endpoint(&self, new: &NewEndpoint) -> Answer<Endpoint> {
        self.need(Scope::Admin)?;
        let made =
            self.ledger.read(self.ledger.store.create_endpoint(self.organization.number, new).await)?;
        self.directory_changed().await;
        Ok(made)
    }

    /// Changes an endpoint.
    pub async fn change_endpoint(&self, id: &EndpointName, change: EndpointChange) -> Answer<Endpoint> {
        self.need(Scope::Admin)?;
        let known = self.ledger.store.endpoint(self.organization.number, id).await;
        let mut endpoint = self.ledger.read(known)?.ok_or(Refusal::NotFound(Thing::Endpoint))?;
        endpoint.name = change.name.unwrap_or(endpoint.name);
        endpoint.provider = change.provider.unwrap_or(endpoint.provider);
        endpoint.sip_uri = change.sip_uri.unwrap_or(endpoint.sip_uri);
        endpoint.metadata = change.metadata.unwrap_or(endpoint.metadata);
        found(self.ledger.read(self.ledger.store.update_endpoint(&endpoint).await)?, Thing::Endpoint)?;
        self.directory_changed().await;
        Ok(endpoint)
    }

    /// Forgets an endpoint; calls keep its id.
    pub async fn delete_endpoint(&self, id: &EndpointName) -> Answer<()> {
        self.need(Scope::Admin)?;
        let deleted = self.ledger.store.delete_endpoint(self.organization.number, id).await;
        found(self.ledger.read(deleted)?, Thing::Endpoint)?;
        self.directory_changed().await;
        Ok(())
    }

    /// The phone numbers, by id, and how many there are.
    pub async fn phone_numbers(&self, limit: u32, offset: u64) -> Answer<(Vec<PhoneNumber>, u64)> {
        self.need(Scope::CallsRead)?;
        self.ledger.read(self.ledger.store.phone_numbers(self.organization.number, limit, offset).await)
    }

    /// The phone number with this id.
    pub async fn phone_number(&self, id: &PhoneNumberName) -> Answer<PhoneNumber> {
        self.need(Scope::CallsRead)?;
        let found = self.ledger.store.phone_number(self.organization.number, id).await;
        self.ledger.read(found)?.ok_or(Refusal::NotFound(Thing::PhoneNumber))
    }

    /// Keeps a phone number.
    pub async fn create_phone_number(
        &self,
        id: PhoneNumberName,
        number: Option<String>,
        endpoint: Option<EndpointName>,
    ) -> Answer<PhoneNumber> {
        self.need(Scope::Admin)?;
        let number = PhoneNumber { organization: self.organization.number, id, number, endpoint };
        self.ledger.read(self.ledger.store.create_phone_number(&number).await)?;
        self.directory_changed().await;
        Ok(number)
    }

    /// Changes a phone number.
    pub async fn change_phone_number(
        &self,
        id: &PhoneNumberName,
        change: PhoneNumberChange,
    ) -> Answer<PhoneNumber> {
        self.need(Scope::Admin)?;
        let known = self.ledger.store.phone_number(self.organization.number, id).await;
        let mut number = self.ledger.read(known)?.ok_or(Refusal::NotFound(Thing::PhoneNumber))?;
        number.number = change.number.unwrap_or(number.number);
        number.endpoint = change.endpoint.unwrap_or(number.endpoint);
        let updated = self.ledger.store.update_phone_number(&number).await;
        found(self.ledger.read(updated)?, Thing::PhoneNumber)?;
        self.directory_changed().await;
        Ok(number)
    }

    /// Forgets a phone number; calls keep its id.
    pub async fn delete_phone_number(&self, id: &PhoneNumberName) -> Answer<()> {
        self.need(Scope::Admin)?;
        let deleted = self.ledger.store.delete_phone_number(self.organization.number, id).await;
        found(self.ledger.read(deleted)?, Thing::PhoneNumber)?;
        self.directory_changed().await;
        Ok(())
    }

    /// Where the organization takes its hang-up orders.
    pub async fn control_url(&self) -> Answer<ControlUrl> {
        self.need(Scope::Admin)?;
        let known = self.ledger.store.control_url(self.organization.number).await;
        self.ledger.read(known)?.ok_or(Refusal::NotFound(Thing::ControlUrl))
    }

    /// Sets where the organization takes its hang-up orders, or forgets it.
    pub async fn set_control_url(&self, url: Option<&ControlUrl>) -> Answer<()> {
        self.need(Scope::Admin)?;
        self.ledger.read(self.ledger.store.set_control_url(self.organization.number, url).await)
    }
}

pub(super) fn found(there: bool, thing: Thing) -> Answer<()> {
    if there { Ok(()) } else { Err(Refusal::NotFound(thing)) }
}
