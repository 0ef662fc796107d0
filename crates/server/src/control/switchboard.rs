//! The SIP gateway as who serves clients sees it.

use std::net::SocketAddr;

use async_trait::async_trait;
use pegcount_calls::{CallName, Document, EndpointName, Timestamp};
use pegcount_store::OrganizationNumber;

/// A call to be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// The calling number: one of the organization's.
    pub from: String,
    /// The called number.
    pub to: String,
    /// The endpoint to connect with it; `None`: the one of the calling number.
    pub endpoint: Option<EndpointName>,
    /// What the call is to be found by; an object.
    pub metadata: Option<Document>,
}

/// Why a call is not placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlacement {
    /// There is no gateway, or it stops.
    #[error("the SIP gateway does not run")]
    Off,
    /// The organization has no trunk that calls go out by.
    #[error("the organization has no SIP trunk that calls go out by")]
    NoTrunk,
    /// The calling number is not one of the organization's.
    #[error("must be a phone number of the organization")]
    From,
    /// The called number is none.
    #[error("must be a phone number in digits, best with + and the country code")]
    To,
    /// There is no such endpoint, or none was named and the calling number has none.
    #[error("must name an endpoint, unless from_number leads to one")]
    Endpoint,
    /// The endpoint has no address.
    #[error("must name an endpoint that has a sip_uri or a user that registers")]
    Unreachable,
    /// There are as many calls as may be.
    #[error("there are as many calls as may be")]
    Full,
}

/// A SIP message of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipMessage {
    /// When.
    pub at: Timestamp,
    /// Which dialog of the call it belongs to, by order, from 0.
    pub leg: u32,
    /// Whether that dialog is with the side that the gateway was called by, or called first.
    pub is_caller: bool,
    /// Whether the gateway sent it.
    pub is_sent: bool,
    /// Where it came from or went to.
    pub peer: Option<SocketAddr>,
    /// The message.
    pub text: String,
}

/// A place where a user is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserContact {
    /// The user.
    pub user: String,
    /// The endpoint that the user is.
    pub endpoint: Option<EndpointName>,
    /// The URI that calls go to.
    pub uri: String,
    /// Where the registration came from.
    pub source: SocketAddr,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The way to the gateway.
#[async_trait]
pub trait Switchboard: Send + Sync {
    /// Places a call. When this returns, it can be read.
    async fn place(&self, placement: Placement) -> Result<CallName, NoPlacement>;
    /// The last messages of a call, oldest first; `None` when nothing is known of it (any more).
    fn messages(&self, call: &CallName) -> Option<Vec<SipMessage>>;
    /// Where the users of an organization are registered: by user, the latest registration of each first.
    fn registrations(&self, organization: OrganizationNumber) -> Vec<UserContact>;
    /// The numbers or endpoints of an organization have changed. When this returns, the next call goes by them.
    async fn directory_changed(&self, organization: OrganizationNumber);
}
