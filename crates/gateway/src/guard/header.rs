//! Which headers the guard looks into, and how their values are tidied.

use super::{address::escaped_user, message::blank};

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

/// The long form of a compact name (the registry of RFC 3261, 7.3.3, and its extensions): the stack knows only some.
pub(super) fn long_name(name: &str) -> &str {
    let &[letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

/// The value without blanks that mean nothing, in the form that the stack reads.
pub(super) fn tidied(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Other | Kind::UserAgent | Kind::CallId | Kind::ContentLength | Kind::MaxForwards => {
            value.to_owned()
        }
        _ => tidy(kind, value),
    }
}

/// Blanks round separators go, others become one; quoted text stays, but for what the stack misreads.
fn tidy(kind: Kind, value: &str) -> String {
    let separators: &[char] = match kind {
        Kind::Via => &[';', '=', ',', '/', ':'],
        // One address: a comma can only be its name's.
        Kind::From | Kind::To => &[';', '='],
        _ => &[';', '=', ','],
    };
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut gap = false;
    while let Some(character) = rest.chars().next() {
        if blank(character) {
            gap = true;
            rest = &rest[1..];
            continue;
        }
        if gap && !separators.contains(&character) && !out.is_empty() && !out.ends_with(separators) {
            out.push(' ');
        }
        gap = false;
        let taken = match character {
            '"' => {
                let (quoted, _) = rest.split_at(quoted_end(rest));
                // The stack looks for the first angle bracket, in quotes or not.
                let misread = |quoted| kind.has_addresses() && matches!(quoted, '<' | '>');
                out.extend(quoted.chars().map(|quoted| if misread(quoted) { '\'' } else { quoted }));
                quoted.len()
            }
            '<' if kind.has_addresses() => {
                let end = rest.find('>').unwrap_or(rest.len());
                out.push('<');
                out.push_str(&escaped_user(rest[1..end].trim_matches(blank)));
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

/// How many bytes the quoted text at the begin has, quotes included; all when it does not end.
fn quoted_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
