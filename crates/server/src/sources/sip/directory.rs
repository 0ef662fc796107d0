//! Whom a phone number leads to, in memory: no call waits for the store.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use pegcount_calls::{EndpointName, OrganizationName, PhoneNumberName};
use pegcount_gateway::Disclosure;
use pegcount_store::{Endpoint, OrganizationNumber, PhoneNumber, Store, StoreError};
use serde_json::Value;

use super::address::plain_number;

/// Rows read at a time.
const ROWS: u32 = 1_000;
/// URIs of one endpoint: what is beyond would never be tried.
const MOST_URIS: usize = 8;

/// The numbers and endpoints of the organizations that use SIP.
#[derive(Default)]
pub struct Directory {
    listings: RwLock<HashMap<OrganizationName, Arc<Listing>>>,
}

impl Directory {
    /// What is known of an organization.
    pub fn of(&self, organization: &OrganizationName) -> Option<Arc<Listing>> {
        self.listings.read().unwrap_or_else(PoisonError::into_inner).get(organization).cloned()
    }

    /// From now on this is known of an organization.
    pub fn put(&self, organization: OrganizationName, listing: Listing) {
        let mut listings = self.listings.write().unwrap_or_else(PoisonError::into_inner);
        listings.insert(organization, Arc::new(listing));
    }

    /// Forgets all organizations but these.
    pub fn retain(&self, wanted: impl Fn(&OrganizationName) -> bool) {
        let mut listings = self.listings.write().unwrap_or_else(PoisonError::into_inner);
        listings.retain(|organization, _| wanted(organization));
    }
}

/// The numbers and endpoints of one organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Its number.
    pub organization: OrganizationNumber,
    numbers: HashMap<String, Line>,
    endpoints: HashMap<EndpointName, Reach>,
}

/// A phone number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub id: PhoneNumberName,
    /// As it is registered.
    pub number: String,
    /// The endpoint that answers it.
    pub endpoint: Option<EndpointName>,
}

/// How an endpoint is reached, and what is kept of its calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Its URIs, in the order in which they are tried. `{number}` stands for the called number.
    pub uris: Vec<String>,
    /// Whether its calls are recorded, where it says so.
    pub record: Option<bool>,
    /// Nothing sensitive of its calls is kept.
    pub opt_out: bool,
    /// Its media may come from elsewhere than its SDP says.
    pub nat: bool,
    /// It belongs to the trust domain (RFC 3325, 2.3): it is shown who calls even where that is private.
    pub trusted: bool,
}

impl Listing {
    /// Of these rows.
    pub fn of(organization: OrganizationNumber, numbers: &[PhoneNumber], endpoints: &[Endpoint]) -> Self {
        let lines = numbers.iter().filter_map(|row| {
            let number = row.number.clone()?;
            let plain = plain_number(&number)?;
            Some((plain, Line { id: row.id.clone(), number, endpoint: row.endpoint.clone() }))
        });
        let endpoints = endpoints.iter().map(|endpoint| (endpoint.id.clone(), Reach::of(endpoint)));
        Self { organization, numbers: lines.collect(), endpoints: endpoints.collect() }
    }

    /// Reads them from the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(store: &dyn Store, organization: OrganizationNumber) -> Result<Self, StoreError> {
        let (mut numbers, mut endpoints) = (Vec::new(), Vec::new());
        loop {
            let (mut rows, total) = store.phone_numbers(organization, ROWS, numbers.len() as u64).await?;
            let read = rows.len();
            numbers.append(&mut rows);
            if read == 0 || numbers.len() as u64 >= total {
                break;
            }
        }
        loop {
            let (mut rows, total) = store.endpoints(organization, ROWS, endpoints.len() as u64).await?;
            let read = rows.len();
            endpoints.append(&mut rows);
            if read == 0 || endpoints.len() as u64 >= total {
                break;
            }
        }
        Ok(Self::of(organization, &numbers, &endpoints))
    }

    /// The organization's line of this number, however it is written.
    pub fn line(&self, number: &str) -> Option<&Line> {
        self.numbers.get(&plain_number(number)?)
    }

    /// A line that leads to this endpoint: the one with the smallest number, so that it stays the same.
    pub fn line_of(&self, endpoint: &EndpointName) -> Option<&Line> {
        let lines = self.numbers.values().filter(|line| line.endpoint.as_ref() == Some(endpoint));
        lines.min_by(|one, other| one.number.cmp(&other.number))
    }

    /// How an endpoint is reached; `None` when there is none of this id.
    pub fn reach(&self, endpoint: &EndpointName) -> Option<&Reach> {
        self.endpoints.get(endpoint)
    }
}

impl Reach {
    /// What it learns about callers.
    pub fn disclosure(&self) -> Disclosure {
        if self.trusted { Disclosure::Everything } else { Disclosure::Public }
    }

    fn of(endpoint: &Endpoint) -> Self {
        let metadata: Value = serde_json::from_str(endpoint.metadata.as_json_text()).unwrap_or_default();
        let fallback = match &metadata["sip_uri_fallback"] {
            Value::String(uri) => vec![uri.clone()],
            Value::Array(uris) => uris.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        let uris = endpoint.sip_uri.iter().cloned().chain(fallback);
        let uris = uris.map(|uri| uri.trim().to_owned()).filter(|uri| is_sip(uri));
        Self {
            uris: uris.take(MOST_URIS).collect(),
            record: metadata["recording"].as_bool(),
            opt_out: metadata["opt_out_sensitive_data_storage"] == Value::Bool(true),
            nat: metadata["nat"] == Value::Bool(true),
            trusted: metadata["trusted"] == Value::Bool(true),
        }
    }
}

/// Whether a URI can be invited.
fn is_sip(uri: &str) -> bool {
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("sip" | "sips"))
        && uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
}

#[cfg(test)]
mod tests {
    use pegcount_calls::Document;
    use pegcount_store::EndpointNumber;

    use super::*;

    fn endpoint(sip_uri: Option<&str>, metadata: &str) -> Reach {
        Reach::of(&Endpoint {
            number: EndpointNumber(1),
            organization: OrganizationNumber(1),
            id: EndpointName::new("ep").unwrap(),
            name: None,
            provider: None,
            sip_uri: sip_uri.map(str::to_owned),
            metadata: Document::from_json_text(metadata),
        })
    }

    #[test]
    fn an_endpoint_is_reached_at_its_uri_and_then_at_those_that_its_metadata_names() {
        assert_eq!(endpoint(Some("sip:a@x"), "{}").uris, ["sip:a@x"]);
        let one = endpoint(Some("sip:a@x"), r#"{"sip_uri_fallback": "sip:b@x"}"#);
        assert_eq!(one.uris, ["sip:a@x", "sip:b@x"]);
        let more = endpoint(None, r#"{"sip_uri_fallback": ["sips:b@x", 5, "http://x", "sip:a b"]}"#);
        assert_eq!(more.uris, ["sips:b@x"]);
        assert_eq!(endpoint(Some("agent@x"), "[]").uris, [""; 0]);
    }

    #[test]
    fn an_endpoint_says_by_its_metadata_what_is_kept_of_its_calls() {
        let said =
            endpoint(None, r#"{"recording": false, "opt_out_sensitive_data_storage": true, "nat": true}"#);
        assert_eq!((said.record, said.opt_out, said.nat), (Some(false), true, true));
        let silent = endpoint(None, r#"{"recording": "no", "opt_out_sensitive_data_storage": 1}"#);
        assert_eq!((silent.record, silent.opt_out, silent.nat), (None, false, false));
    }

    #[test]
    fn a_line_is_found_however_its_number_is_written() {
        let row = |id: &str, number: Option<&str>| PhoneNumber {
            organization: OrganizationNumber(1),
            id: PhoneNumberName::new(id).unwrap(),
            number: number.map(str::to_owned),
            endpoint: EndpointName::new("ep").ok(),
        };
        let rows = [row("pn_2", Some("+49 30 2")), row("pn_1", Some("+49301")), row("pn_0", None)];
        let listing = Listing::of(OrganizationNumber(1), &rows, &[]);
        for number in ["+49301", "49301", "0049301"] {
            assert_eq!(listing.line(number).unwrap().id.as_str(), "pn_1");
        }
        assert!(listing.line("+49303").is_none() && listing.line("alice").is_none());
        let endpoint = EndpointName::new("ep").unwrap();
        assert_eq!(listing.line_of(&endpoint).unwrap().number, "+49 30 2");
    }
}
