//! The two sides of a call.

/// One of the two sides between which the gateway stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Who began the call.
    Caller,
    /// Who was called.
    Callee,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::Caller, Self::Callee];

    /// The one on the other end.
    pub const fn other(self) -> Self {
        match self {
            Self::Caller => Self::Callee,
            Self::Callee => Self::Caller,
        }
    }
}
