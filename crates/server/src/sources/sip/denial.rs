//! Why a call of somebody known is not made: what the caller is answered with, and what stands in the failed call.

use pegcount_gateway::Cause;

/// Why a call is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoRoute {
    /// The trunk or user, or its organization, is no longer there.
    UnknownPeer,
    /// The called number is none of the organization's.
    UnknownNumber,
    /// What a user called is nothing that can be called.
    NotCallable,
    /// The called number has no endpoint.
    UnassignedNumber,
    /// The endpoint has no address, and no user is it.
    NoAddress,
    /// The organization has no trunk that calls go out by.
    NoTrunk,
    /// There is no number of the organization that the call could show.
    NoCallerNumber,
}

impl NoRoute {
    /// What the caller is answered with.
    pub(super) const fn cause(self) -> Cause {
        match self {
            Self::UnknownPeer | Self::NoTrunk | Self::NoCallerNumber => Cause::NotAllowed,
            Self::UnknownNumber | Self::NotCallable => Cause::InvalidNumber,
            Self::UnassignedNumber | Self::NoAddress => Cause::NoAnswer,
        }
    }

    /// The value of the label in `/metrics`.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::UnknownPeer => "unknown_peer",
            Self::UnknownNumber => "unknown_number",
            Self::NotCallable => "not_callable",
            Self::UnassignedNumber => "unassigned_number",
            Self::NoAddress => "no_address",
            Self::NoTrunk => "no_trunk",
            Self::NoCallerNumber => "no_caller_number",
        }
    }

    /// The `reason` of the failed call.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::UnknownPeer => "the trunk or user belongs to no organization that exists",
            Self::UnknownNumber => "the called number is not a phone number of the organization",
            Self::NotCallable => "the called name is not a user, a number or an endpoint of the organization",
            Self::UnassignedNumber => "no endpoint is assigned to the called number",
            Self::NoAddress => "the endpoint has no sip_uri, and no user registers as it",
            Self::NoTrunk => "the organization has no trunk with an outbound address",
            Self::NoCallerNumber => "the organization owns no phone number that this user or trunk may show",
        }
    }
}
