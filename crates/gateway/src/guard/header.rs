//! Which headers the guard looks into, and how their values are tidied.

use std::borrow::Cow;

use crate::quoting::{blank, quoted_end};

/// What the guard does with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Via,
    From,
    To,
    CallId,
    CSeq,
    MaxForwards,
    ContentLength,
    Contact,
    Route,
    /// Another with addresses in it.
    Address,
    /// Another with parameters.
    Parameters,
    Require,
    UserAgent,
    /// One that may be there once.
    Single,
    /// Left as it is.
    Other,
}

impl Kind {
    /// By the long name, in any case.
    pub(super) fn of(name: &str) -> Self {
        const KINDS: [(&str, Kind); 40] = [
            ("Via", Kind::Via),
            ("From", Kind::From),
            ("To", Kind::To),
            ("Call-ID", Kind::CallId),
            ("CSeq", Kind::CSeq),
            ("Max-Forwards", Kind::MaxForwards),
            ("Content-Length", Kind::ContentLength),
            ("Contact", Kind::Contact),
            ("Route", Kind::Route),
            ("Record-Route", Kind::Route),
            ("Path", Kind::Route),
            ("Service-Route", Kind::Route),
            ("Refer-To", Kind::Address),
            ("Referred-By", Kind::Address),
            ("Reply-To", Kind::Address),
            ("P-Asserted-Identity", Kind::Address),
            ("P-Preferred-Identity", Kind::Address),
            ("Remote-Party-ID", Kind::Address),
            ("Diversion", Kind::Address),
            ("History-Info", Kind::Address),
            ("Accept", Kind::Parameters),
            ("Content-Disposition", Kind::Parameters),
            ("Reason", Kind::Parameters),
            ("Authorization", Kind::Parameters),
            ("Proxy-Authorization", Kind::Parameters),
            ("WWW-Authenticate", Kind::Parameters),
            ("Proxy-Authenticate", Kind::Parameters),
            ("Authentication-Info", Kind::Parameters),
            ("Require", Kind::Require),
            ("User-Agent", Kind::UserAgent),
            ("Content-Type", Kind::Single),
            ("Expires", Kind::Single),
            ("Min-Expires", Kind::Single),
            ("Event", Kind::Single),
            ("Session-Expires", Kind::Single),
            ("Min-SE", Kind::Single),
            ("Replaces", Kind::Single),
            ("RSeq", Kind::Single),
            ("RAck", Kind::Single),
            ("Subscription-State", Kind::Single),
        ];
        KINDS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Other, |(_, kind)| *kind)
    }

    /// Whether a list in one line becomes a line for each value.
    pub(super) const fn is_taken_apart(self) -> bool {
        matches!(self, Self::Via | Self::Route)
    }

    /// Whether a message may have it once only.
    pub(super) const fn is_single(self) -> bool {
        matches!(
            self,
            Self::From
                | Self::To
                | Self::CallId
                | Self::CSeq
                | Self::MaxForwards
                | Self::ContentLength
                | Self::Single
        )
    }

    const fn has_addresses(self) -> bool {
        matches!(self, Self::From | Self::To | Self::Contact | Self::Route | Self::Address)
    }
}

/// The value without blanks that mean nothing, in the form that is handed on.
pub(super) fn tidied(kind: Kind, value: &str) -> Cow<'_, str> {
    let separators: &[u8] = match kind {
        Kind::Other | Kind::UserAgent | Kind::CallId | Kind::ContentLength | Kind::MaxForwards => {
            return Cow::Borrowed(value);
        }
        Kind::Via => b";=,/:",
        // One address: a comma can only be its name's.
        Kind::From | Kind::To => b";=",
        _ => b";=,",
    };
    if is_tidy(value, separators) { Cow::Borrowed(value) } else { Cow::Owned(tidy(kind, value, separators)) }
}

/// Whether tidying would change nothing, for sure: most values are so. Quotes are always looked into.
fn is_tidy(value: &str, separators: &[u8]) -> bool {
    let bytes = value.as_bytes();
    let mut angled = false;
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'"' | b'\t' => false,
        b' ' if angled => false,
        b' ' => {
            let beside =
                |other: Option<&u8>| other.is_some_and(|other| *other != b' ' && !separators.contains(other));
            beside(at.checked_sub(1).and_then(|before| bytes.get(before))) && beside(bytes.get(at + 1))
        }
        b'<' | b'>' => {
            angled = *byte == b'<';
            true
        }
        _ => true,
    })
}

/// Blanks round separators go, others become one; quoted text stays.
fn tidy(kind: Kind, value: &str, separators: &[u8]) -> String {
    let separates = |character: char| u8::try_from(character).is_ok_and(|byte| separators.contains(&byte));
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut gap = false;
    while let Some(character) = rest.chars().next() {
        if blank(character) {
            gap = true;
            rest = &rest[1..];
            continue;
        }
        if gap && !separates(character) && !out.is_empty() && !out.ends_with(separates) {
            out.push(' ');
        }
        gap = false;
        let taken = match character {
            '"' => {
                let quoted = &rest[..quoted_end(rest)];
                out.push_str(quoted);
                quoted.len()
            }
            '<' if kind.has_addresses() => {
                let end = rest.find('>').unwrap_or(rest.len());
                out.push('<');
                out.push_str(rest[1..end].trim_matches(blank));
                end
            }
            _ => {
                out.push(character);
                character.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_not_tidied_would_not_change(
            kind in prop_oneof![Just(Kind::Via), Just(Kind::From), Just(Kind::Contact), Just(Kind::CSeq), Just(Kind::Single)],
            value in "(sip:|[a\u{e9} \t;=,/:?@<>\"\\\\]){0,12}",
        ) {
            for separators in [&b";=,/:"[..], b";=", b";=,"] {
                let value = value.trim_matches(blank);
                if is_tidy(value, separators) {
                    prop_assert_eq!(tidy(kind, value, separators), value);
                }
            }
        }
    }

    #[test]
    fn usual_values_are_left_alone() {
        for (kind, value) in [
            (Kind::Via, "SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1;rport"),
            (Kind::From, "sipp <sip:sipp@127.0.0.1:5060>;tag=1"),
            (Kind::Contact, "<sip:agent@127.0.0.1:5060;transport=tcp>"),
            (Kind::CSeq, "1 INVITE"),
            (Kind::Single, "application/sdp"),
        ] {
            assert!(matches!(tidied(kind, value), Cow::Borrowed(_)), "{value}");
        }
    }
}
