//! Why a message was not handed on, and how often.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident => $name:literal,)+) => {
        /// Why a message was answered by the guard or dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[$doc])* $variant,)+
        }

        impl Reason {
            /// Every reason, in the order of the counters.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The reason as it stands in a metric's label.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
    /// More bytes than the policy takes.
    TooLarge => "too_large",
    /// An empty datagram, or blanks only: it keeps a NAT binding open.
    KeepAlive => "keep_alive",
    /// From an address that may not speak to us, or may not with this method.
    UnknownSource => "unknown_source",
    /// More messages than the address may send.
    TooFast => "too_fast",
    /// A program known for looking for open gateways.
    Scanner => "scanner",
    /// Nothing that looks like SIP.
    NotSip => "not_sip",
    /// The start line, the frame or a header is not as RFC 3261 writes it.
    Malformed => "malformed",
    /// A header that must be there is missing.
    MissingHeader => "missing_header",
    /// A header that may be there once is there twice.
    RepeatedHeader => "repeated_header",
    /// A Content-Length that is no number, contradicts another, or is larger than the message.
    ContentLength => "content_length",
    /// A CSeq out of range or of another method.
    CSeq => "cseq",
    /// Another version of SIP.
    Version => "version",
    /// A method that nobody here knows.
    UnknownMethod => "unknown_method",
    /// A method that is known and not taken.
    MethodNotAllowed => "method_not_allowed",
    /// A Request-URI of a scheme that is not SIP's or a telephone's.
    UnknownScheme => "unknown_scheme",
    /// An extension is required that is not spoken here.
    UnknownExtension => "unknown_extension",
    /// A response that went through others: it was not meant for us.
    NotForUs => "not_for_us",
}

/// How many messages passed, and how many did not, by reason.
#[derive(Debug)]
pub struct Counts {
    passed: AtomicU64,
    answered: Vec<AtomicU64>,
    dropped: Vec<AtomicU64>,
}

impl Default for Counts {
    fn default() -> Self {
        let zeros = || Reason::ALL.iter().map(|_| AtomicU64::new(0)).collect();
        Self { passed: AtomicU64::new(0), answered: zeros(), dropped: zeros() }
    }
}

impl Counts {
    /// Messages handed on.
    pub fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Messages answered for this reason from the guard itself.
    pub fn answered(&self, reason: Reason) -> u64 {
        read(&self.answered, reason)
    }

    /// Messages dropped for this reason.
    pub fn dropped(&self, reason: Reason) -> u64 {
        read(&self.dropped, reason)
    }

    pub(crate) fn count_passed(&self) {
        self.passed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_answered(&self, reason: Reason) {
        count(&self.answered, reason);
    }

    pub(crate) fn count_dropped(&self, reason: Reason) {
        count(&self.dropped, reason);
    }
}

fn read(counters: &[AtomicU64], reason: Reason) -> u64 {
    counters.get(reason as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
}

fn count(counters: &[AtomicU64], reason: Reason) {
    if let Some(counter) = counters.get(reason as usize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
