//! Where users can be reached (RFC 3261, 10.3).

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use crate::{quoting::split_outside, sip::Uri};

use super::{Refusal, Terms};

/// Longer addresses and call ids are refused.
const LONGEST: usize = 512;

/// Seconds when an expiry cannot be read (RFC 3261, 20.19).
const UNREADABLE_EXPIRY: u64 = 3600;

/// One place where a user can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The URI that a call goes to.
    pub uri: String,
    /// Where the registration came from: behind a NAT, what can be reached.
    pub source: SocketAddr,
    /// When it ends, on the clock of the registrar's caller.
    pub expires_at: Duration,
    /// The Call-ID of the REGISTER that made it.
    pub call_id: String,
    /// The number in its CSeq.
    pub cseq: u32,
    /// Whether an earlier run of the program took it: a connection that it came over is gone.
    pub is_restored: bool,
    same_as: String,
}

/// What a REGISTER says of its contacts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update<'a> {
    pub(super) contacts: &'a [&'a str],
    pub(super) expires: Option<&'a str>,
    pub(super) call_id: &'a str,
    pub(super) cseq: u32,
    pub(super) source: SocketAddr,
    /// The addresses of the gateway itself.
    pub(super) own: &'a [SocketAddr],
}

/// A contact in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contact<'a> {
    uri: &'a str,
    expires: Option<&'a str>,
}

/// The bindings after an update; those before stand when it is refused.
pub(super) fn updated(
    before: &[Binding],
    update: &Update<'_>,
    terms: &Terms,
    now: Duration,
) -> Result<Vec<Binding>, Refusal> {
    if update.call_id.is_empty() || update.call_id.len() > LONGEST {
        return Err(Refusal::Malformed);
    }
    let mut bindings: Vec<Binding> =
        before.iter().filter(|binding| binding.expires_at > now).cloned().collect();
    let mut contacts = Vec::new();
    for value in update.contacts {
        contacts.extend(contacts_of(value).ok_or(Refusal::Malformed)?);
        if contacts.len() > 2 * terms.most_contacts {
            return Err(Refusal::TooMany);
        }
    }
    if contacts.iter().any(|contact| contact.uri == "*") {
        let alone = contacts.len() == 1 && contacts[0].expires.is_none();
        if !alone || update.expires.map(str::trim) != Some("0") {
            return Err(Refusal::Malformed);
        }
        if bindings.iter().any(|binding| binding.is_newer_than(update)) {
            return Err(Refusal::OutOfOrder);
        }
        return Ok(Vec::new());
    }
    for contact in &contacts {
        let (uri, same_as) = canonical(contact.uri).ok_or(Refusal::Malformed)?;
        reachable(&uri).map_err(Refusal::Unreachable)?;
        if is_own(&uri, update) {
            return Err(Refusal::Unreachable(
                "the Contact is the address of this server: let the phone name its own",
            ));
        }
        let asked = contact.expires.or(update.expires);
        let seconds = terms.granted(asked)?;
        if let Some(at) = bindings.iter().position(|binding| binding.same_as == same_as) {
            if bindings[at].is_newer_than(update) {
                return Err(Refusal::OutOfOrder);
            }
            bindings.remove(at);
        }
        if seconds > 0 {
            bindings.insert(
                0,
                Binding {
                    uri,
                    source: update.source,
                    expires_at: now + Duration::from_secs(seconds),
                    call_id: update.call_id.to_owned(),
                    cseq: update.cseq,
                    is_restored: false,
                    same_as,
                },
            );
        }
    }
    if bindings.len() > terms.most_contacts { Err(Refusal::TooMany) } else { Ok(bindings) }
}

impl Binding {
    /// One that an earlier registrar had; `None` where its URI is none.
    pub fn restored(
        uri: &str,
        source: SocketAddr,
        expires_at: Duration,
        (call_id, cseq): (&str, u32),
    ) -> Option<Self> {
        let (uri, same_as) = canonical(uri)?;
        reachable(&uri).ok()?;
        Some(Self { uri, source, expires_at, call_id: call_id.to_owned(), cseq, is_restored: true, same_as })
    }

    /// A REGISTER of the same client that was sent before this binding was made changes nothing any more.
    fn is_newer_than(&self, update: &Update<'_>) -> bool {
        self.call_id == update.call_id && self.cseq >= update.cseq
    }

    /// Whole seconds until it ends, at least one.
    pub(super) fn seconds_left(&self, now: Duration) -> u64 {
        self.expires_at.saturating_sub(now).as_secs().max(1)
    }
}

impl Terms {
    /// How many seconds a contact gets that asks for this; zero ends it.
    fn granted(&self, asked: Option<&str>) -> Result<u64, Refusal> {
        let asked = match asked.map(str::trim) {
            None => self.usual.as_secs(),
            Some(text) => text.parse::<u32>().map_or(UNREADABLE_EXPIRY, u64::from),
        };
        if asked > 0 && asked < self.shortest.as_secs() {
            return Err(Refusal::TooBrief);
        }
        Ok(asked.min(self.longest.as_secs()))
    }
}

/// Refuses a URI to which nothing can be sent.
fn reachable(uri: &str) -> Result<(), &'static str> {
    let uri = Uri::read(uri).ok_or("the Contact names no port that there is")?;
    if uri.port == Some(0) {
        return Err("the Contact names port 0");
    }
    match uri.ip().map(|address| address.to_canonical()) {
        Some(address) if address.is_unspecified() => Err("the Contact names no address, but all of them"),
        Some(address) if address.is_multicast() => Err("the Contact names a multicast address"),
        Some(IpAddr::V4(address)) if address.is_broadcast() => Err("the Contact names the broadcast address"),
        Some(_) | None => Ok(()),
    }
}

/// Whether a URI leads back to the gateway. A phone in another network may have the same private address.
fn is_own(uri: &str, update: &Update<'_>) -> bool {
    let Some(uri) = Uri::read(uri) else { return false };
    let is_tls =
        uri.is_secure || uri.parameter("transport").is_some_and(|name| name.eq_ignore_ascii_case("tls"));
    let Some(contact) = uri.address(if is_tls { 5061 } else { 5060 }) else { return false };
    let address = contact.ip().to_canonical();
    let is_private = match address {
        IpAddr::V4(address) => address.is_private() || address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local()
        }
    };
    let source = update.source.ip().to_canonical();
    // The loopback is that of the phone, and ours where the phone is here.
    let is_here = source == address || (source.is_loopback() && address.is_loopback());
    let is_at = |own: &SocketAddr| (own.ip().to_canonical(), own.port()) == (address, contact.port());
    (is_here || !is_private) && update.own.iter().any(is_at)
}

/// The contacts of one header.
fn contacts_of(value: &str) -> Option<Vec<Contact<'_>>> {
    split_outside(value, ',')?.into_iter().map(contact_of).collect()
}

fn contact_of(text: &str) -> Option<Contact<'_>> {
    let mut parts = split_outside(text, ';')?.into_iter();
    let first = parts.next()?.trim();
    let uri = match first.strip_suffix('>') {
        Some(first) => &first[first.rfind('<')? + 1..],
        None => first,
    };
    let mut expires = None;
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("expires")
        {
            expires = Some(value);
        }
    }
    Some(Contact { uri: uri.trim(), expires })
}

/// The URI without headers, and a form of it that is the same for equal URIs (RFC 3261, 19.1.4); nothing when calls
/// cannot go there.
fn canonical(uri: &str) -> Option<(String, String)> {
    let (scheme, after) = uri.split_once(':')?;
    let scheme = scheme.to_ascii_lowercase();
    let readable = uri.len() <= LONGEST
        && uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte))
        && matches!(scheme.as_str(), "sip" | "sips");
    if !readable {
        return None;
    }
    let (user, host_part) = after.split_once('@').map_or(("", after), |(user, host_part)| (user, host_part));
    // Headers in a contact would go into every request to it; a registrar discards them (RFC 4475, 3.3.13).
    let host_part = host_part.split('?').next()?;
    let host_part_lower = host_part.to_ascii_lowercase();
    let mut parameters = host_part_lower.split(';');
    let host = parameters.next().filter(|host| !host.is_empty())?;
    let mut parameters: Vec<&str> = parameters.collect();
    parameters.sort_unstable();
    let at = if user.is_empty() { "" } else { "@" };
    let whole = format!("{scheme}:{user}{at}{host_part}");
    Some((whole, format!("{scheme}:{user}{at}{host};{}", parameters.join(";"))))
}
