//! Where users of the SIP gateway are registered.

use pegcount_calls::{Document, Timestamp};

use crate::OrganizationNumber;

/// The registrations of one user.
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    /// Whose user it is.
    pub organization: OrganizationNumber,
    /// The name of the user.
    pub user: String,
    /// When the last of its contacts expires.
    pub expires_at: Timestamp,
    /// Its contacts, in the gateway's words; `None` when there are none any more.
    pub contacts: Option<Document>,
}
