//! Who calls, as v1 shows it behind the keys of its document.

use indexmap::IndexMap;
use pegcount_calls::{AttestationLevel, CallerIdentity};
use serde::Serialize;
use utoipa::ToSchema;

/// What is known of the caller, beside the number.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct CallerBody {
    /// The name that is shown with the number.
    pub name: Option<String>,
    /// The number that the network vouches for.
    pub asserted_number: Option<String>,
    /// Whether who calls wants to stay unknown to who is called: then do not show the asserted number to them.
    pub privacy: bool,
    /// Who forwarded the call, the latest first.
    pub diversion: Vec<DiversionBody>,
    /// What the network found of the number; null where it says nothing.
    pub attestation: Option<AttestationBody>,
    /// The headers that the configuration names.
    #[schema(value_type = std::collections::HashMap<String, String>)]
    pub headers: IndexMap<String, String>,
}

/// Somebody who forwarded a call.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct DiversionBody {
    /// The number that was called before.
    pub number: String,
    /// Why it was forwarded: `user-busy`, `no-answer`, `unconditional` and the like.
    pub reason: Option<String>,
}

/// What the network found of a calling number.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct AttestationBody {
    /// How well the first carrier knows who calls: `A` the customer and the number, `B` the customer, `C` neither.
    pub level: Option<AttestationWord>,
    /// Whether the signature was verified; null: there was none.
    pub passed: Option<bool>,
    /// The verdict in the network's words.
    pub reason: Option<String>,
}

/// How well the first carrier knows who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum AttestationWord {
    /// The customer, and that the number is the customer's.
    A,
    /// The customer.
    B,
    /// Only where the call came from.
    C,
}

impl From<AttestationLevel> for AttestationWord {
    fn from(level: AttestationLevel) -> Self {
        match level {
            AttestationLevel::A => Self::A,
            AttestationLevel::B => Self::B,
            AttestationLevel::C => Self::C,
        }
    }
}

impl CallerBody {
    /// What is known of the caller; `None` where nothing is.
    pub(super) fn of(caller: &CallerIdentity) -> Option<Self> {
        if caller.is_empty() {
            return None;
        }
        let diversion = caller.diversion.iter().flatten().map(|diversion| DiversionBody {
            number: diversion.number.clone(),
            reason: diversion.reason.clone(),
        });
        let attestation = caller.attestation.as_ref().map(|found| AttestationBody {
            level: found.level.map(Into::into),
            passed: found.passed,
            reason: found.reason.clone(),
        });
        Some(Self {
            name: caller.name.clone(),
            asserted_number: caller.asserted_number.clone(),
            privacy: caller.privacy == Some(true),
            diversion: diversion.collect(),
            attestation,
            headers: caller.headers.clone().unwrap_or_default(),
        })
    }
}
