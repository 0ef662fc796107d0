//! The names of things: validated when made, so that nothing behind the door checks them again.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty or longer than 128 bytes.
    #[error("must be 1 to 128 characters long")]
    Length,
    /// A character outside the alphabet of contract/events.md.
    #[error("may only contain letters, digits and _ . : @ + ~ = -")]
    Alphabet,
    /// A word that a route has taken.
    #[error("is a reserved word (stats, trends, agent-performance, events)")]
    Reserved,
    /// `.` or `..`, which mean another place in a path: clients ask for that in its stead (RFC 3986, 5.2.4).
    #[error("may not be . or .., which no URL can name")]
    Dots,
    /// A control character in a name that may otherwise be any text.
    #[error("may not contain control characters")]
    Control,
}

/// Longest name in bytes (contract, events.md).
const LONGEST: usize = 128;
/// Words that stand in the place of a call's name in a route (contract, events.md).
const RESERVED: [&str; 4] = ["stats", "trends", "agent-performance", "events"];

fn check_alphabet(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(NameError::Length);
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:@+~=-".contains(&byte);
    if text.bytes().all(allowed) { Ok(()) } else { Err(NameError::Alphabet) }
}

/// A name that is a part of a path.
fn check_path_part(text: &str) -> Result<(), NameError> {
    check_alphabet(text)?;
    if matches!(text, "." | "..") { Err(NameError::Dots) } else { Ok(()) }
}

fn check_call_name(text: &str) -> Result<(), NameError> {
    check_path_part(text)?;
    if RESERVED.contains(&text) { Err(NameError::Reserved) } else { Ok(()) }
}

fn check_free_text(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > LONGEST {
        return Err(NameError::Length);
    }
    if text.chars().any(char::is_control) { Err(NameError::Control) } else { Ok(()) }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident by $check:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text if it is such a name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0)
            }
        }
    )*};
}

names! {
    /// A call's string id, unique within its organization; the source's own where it has one.
    CallName by check_call_name;
    /// An event's id: the idempotency key within its call. Ids compare as bytes.
    EventId by check_alphabet;
    /// An endpoint's string id (`ep_xyz789`).
    EndpointName by check_path_part;
    /// A phone number's string id (`pn_123`).
    PhoneNumberName by check_path_part;
    /// An organization's string id (`org-789`).
    OrganizationName by check_alphabet;
    /// A source of events (`native`, `freeswitch`, `asterisk`).
    SourceName by check_alphabet;
    /// One leg of a call as its source names it: `a`, a channel's UUID or name. Free text, since channel names are.
    LegId by check_free_text;
}

impl LegId {
    /// The originating leg's name (contract, events.md).
    pub const ORIGIN: &'static str = "a";

    /// Whether this names the originating leg.
    pub fn is_origin(&self) -> bool {
        self.as_str() == Self::ORIGIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_name_keeps_to_the_alphabet_the_length_and_off_the_routes() {
        assert!(CallName::new("call_abc.1:2@host+~=-").is_ok());
        assert_eq!(CallName::new(""), Err(NameError::Length));
        assert_eq!(CallName::new("a".repeat(129)), Err(NameError::Length));
        assert_eq!(CallName::new("a b"), Err(NameError::Alphabet));
        assert_eq!(CallName::new("é"), Err(NameError::Alphabet));
        assert_eq!(CallName::new("stats"), Err(NameError::Reserved));
        for name in [".", ".."] {
            assert_eq!(CallName::new(name), Err(NameError::Dots));
            assert_eq!(EndpointName::new(name), Err(NameError::Dots));
            assert_eq!(PhoneNumberName::new(name), Err(NameError::Dots));
            assert!(EventId::new(name).is_ok());
        }
        assert!(CallName::new("...").is_ok() && CallName::new("a..b").is_ok());
        assert!(EventId::new("stats").is_ok());
    }

    #[test]
    fn a_leg_may_be_named_like_a_channel_but_not_with_control_characters() {
        assert!(LegId::new("PJSIP/alice-00000001").is_ok());
        assert_eq!(LegId::new("a\0b"), Err(NameError::Control));
    }
}
