//! Who calls, as the gateway reports it to its owner and shows it to the called party.

/// What an INVITE says of who calls, beside the number or name in its From.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The display name in From.
    pub name: Option<String>,
    /// The number that the network vouches for in P-Asserted-Identity (RFC 3325). Only trunks are believed.
    pub asserted_number: Option<String>,
    /// Who calls is not to be known to who is called (RFC 3323).
    pub is_private: bool,
    /// Who forwarded the call is not to be known to who is called (RFC 5806; RFC 7044, 10.1).
    pub hides_forwarding: bool,
    /// Who forwarded the call before it came here, the latest first. Only trunks are believed.
    pub diversions: Vec<Diversion>,
    /// What the network found of the number. Only trunks are believed.
    pub attestation: Option<Attestation>,
    /// The headers that [`crate::Plan::headers`] names, by that name. Several of one name are one list.
    pub headers: Vec<(String, String)>,
}

/// Somebody who forwarded a call (RFC 5806; RFC 7044).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diversion {
    /// The number that was called first.
    pub number: String,
    /// Why it was forwarded: `user-busy`, `no-answer`, `unconditional` and the like.
    pub reason: Option<String>,
}

/// What the network found of the calling number (RFC 8224; 3GPP TS 24.229, 7.2A.20).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attestation {
    /// How well the first carrier knows who calls.
    pub level: Option<AttestationLevel>,
    /// Whether the signature was verified; `None`: there was none to verify.
    pub passed: Option<bool>,
    /// The verdict in the network's words: `TN-Validation-Passed`.
    pub reason: Option<String>,
}

/// How well the first carrier knows who calls (RFC 8588).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationLevel {
    /// The customer, and that the number is the customer's.
    A,
    /// The customer.
    B,
    /// Only where the call came from.
    C,
}

/// What a target learns about the caller, beside From.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disclosure {
    /// Nothing but that the caller is private: a carrier.
    #[default]
    Nothing,
    /// What is not private.
    Public,
    /// Everything: it belongs to the trust domain (RFC 3325, 2.3), and keeps private what is.
    Everything,
}
