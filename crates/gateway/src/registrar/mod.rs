//! Who phones are, and where they can be reached: digest authentication and registration (RFC 3261, 10.3 and 22).
//!
//! Nothing here reads a clock or a socket. Time is given, as what has passed since any fixed moment.
//!
//! Digests without `qop=auth` are not taken: they can be sent again by who overheard them. An unknown user and a wrong
//! password get the same answer, after the same work.

mod bindings;
mod digest;
mod nonce;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    net::SocketAddr,
    num::NonZeroUsize,
    time::Duration,
};

pub use bindings::Binding;
pub(crate) use digest::proof;
pub use digest::{Algorithm, Ha1};

use bindings::{Update, updated};
use digest::Claim;
use nonce::{Nonces, Standing};

use crate::sip::{Message, Uri, uri_of};

/// How registrations and authentications are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What passwords are for; part of every [`Ha1`].
    pub realm: String,
    /// What a client may use, in the order of preference. Some old phones only look at the first.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good.
    pub nonce_good_for: Duration,
    /// So many nonces in use are remembered; the others become stale sooner.
    pub nonces_remembered: NonZeroUsize,
    /// A registration for less than this is refused with 423.
    pub shortest: Duration,
    /// A registration without a wish lasts this long.
    pub usual: Duration,
    /// No registration lasts longer.
    pub longest: Duration,
    /// Contacts that one user may have.
    pub most_contacts: usize,
}

impl Terms {
    /// The usual terms of a realm.
    pub fn of(realm: &str) -> Self {
        Self {
            realm: realm.to_owned(),
            algorithms: vec![Algorithm::Sha256, Algorithm::Md5],
            nonce_good_for: Duration::from_secs(300),
            nonces_remembered: NonZeroUsize::MIN.saturating_add(9_999),
            shortest: Duration::from_secs(30),
            usual: Duration::from_secs(3600),
            longest: Duration::from_secs(3600),
            most_contacts: 5,
        }
    }
}

/// As whom the gateway asks for authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// As the one that is called: 401, `WWW-Authenticate`, `Authorization`.
    Endpoint,
    /// As one on the way: 407, `Proxy-Authenticate`, `Proxy-Authorization`.
    Proxy,
}

impl Asker {
    const fn challenge(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::Endpoint => (401, "Unauthorized", "WWW-Authenticate"),
            Self::Proxy => (407, "Proxy Authentication Required", "Proxy-Authenticate"),
        }
    }
}

/// An answer, as far as it is made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Its phrase.
    pub phrase: &'static str,
    /// Headers beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// Why the request was turned away, where it was that of an impostor.
    pub impostor: Option<Impostor>,
}

/// How a request does not come from whom it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Impostor {
    /// It does not know the user's password.
    WrongPassword,
    /// There is no user of that name.
    UnknownUser,
    /// It is from one user and registers another.
    OtherUser,
}

impl Impostor {
    /// The word for counters and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong_password",
            Self::UnknownUser => "unknown_user",
            Self::OtherUser => "other_user",
        }
    }
}

impl Reply {
    const fn plain(status: u16, phrase: &'static str) -> Self {
        Self { status, phrase, headers: Vec::new(), impostor: None }
    }
}

/// What a request says of who sends it.
#[derive(Clone, Debug)]
pub struct Credentials<'a> {
    /// The request's method.
    pub method: String,
    /// Its Request-URI, as it came.
    pub uri: String,
    /// The values of its Authorization or Proxy-Authorization headers.
    pub claims: Vec<&'a str>,
}

/// What a REGISTER says.
#[derive(Clone, Debug)]
pub struct Registration<'a> {
    /// Who sends it.
    pub credentials: Credentials<'a>,
    /// The name in the URI in To, without parameters and escapes.
    pub user: String,
    /// The call id.
    pub call_id: &'a str,
    /// The number in CSeq.
    pub cseq: u32,
    /// The values of its Contact headers.
    pub contacts: Vec<&'a str>,
    /// The value of its Expires header.
    pub expires: Option<&'a str>,
    /// Where it came from.
    pub source: SocketAddr,
}

impl<'a> Credentials<'a> {
    /// Those of a request, for this asker.
    pub fn of(request: &'a Message, asker: Asker) -> Self {
        let claims = match asker {
            Asker::Endpoint => request.headers("Authorization"),
            Asker::Proxy => request.headers("Proxy-Authorization"),
        };
        Self {
            method: request.method_name().to_owned(),
            uri: request.uri().to_owned(),
            claims: claims.collect(),
        }
    }
}

impl<'a> Registration<'a> {
    /// What a REGISTER says; nothing when its To, Call-ID or CSeq cannot be read.
    pub fn of(request: &'a Message, source: SocketAddr) -> Option<Self> {
        let to = Uri::read(uri_of(request.header("To")?))?;
        Some(Self {
            credentials: Credentials::of(request, Asker::Endpoint),
            user: to.user_part().name.into_owned(),
            call_id: request.header("Call-ID")?,
            cseq: request.cseq()?.0,
            contacts: request.headers("Contact").collect(),
            expires: request.header("Expires"),
            source,
        })
    }
}

/// Why bindings were not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Malformed,
    /// No call can reach the contact, for this reason.
    Unreachable(&'static str),
    TooBrief,
    TooMany,
    OutOfOrder,
}

/// Knows the users of one realm, and where they can be reached.
pub struct Registrar {
    terms: Terms,
    nonces: Nonces,
    users: HashMap<String, User>,
    /// Where the gateway itself is: no contact.
    own: Vec<SocketAddr>,
    /// What an unknown user is measured against, so that it takes as long.
    nobody: Vec<Ha1>,
    /// Users whose bindings have changed since somebody asked.
    changed: BTreeSet<String>,
}

#[derive(Default)]
struct User {
    passwords: Vec<Ha1>,
    bindings: Vec<Binding>,
}

impl Registrar {
    /// A registrar without users. The key signs nonces: random bytes, new at every start.
    pub fn new(terms: Terms, key: [u8; 32]) -> Self {
        let nonces = Nonces::new(key, terms.nonce_good_for, terms.nonces_remembered);
        let nobody =
            terms.algorithms.iter().map(|algorithm| Ha1::of(*algorithm, "", &terms.realm, "")).collect();
        Self { terms, nonces, users: HashMap::new(), own: Vec::new(), nobody, changed: BTreeSet::new() }
    }

    /// From now on these are the addresses of the gateway itself.
    pub fn set_own(&mut self, addresses: Vec<SocketAddr>) {
        self.own = addresses;
    }

    /// From now on these are the users, each with what is kept of its password: one hash for each algorithm. Who
    /// stays keeps its bindings.
    pub fn set_users(&mut self, users: impl IntoIterator<Item = (String, Vec<Ha1>)>) {
        let mut before = std::mem::take(&mut self.users);
        for (name, passwords) in users {
            let bindings = before.remove(&name).map(|user| user.bindings).unwrap_or_default();
            self.users.insert(name, User { passwords, bindings });
        }
    }

    /// Gives a user the bindings that an earlier registrar had, the latest first, unless it has some. One that is not known
    /// gets none.
    pub fn restore(&mut self, user: &str, bindings: Vec<Binding>) {
        if let Some(user) = self.users.get_mut(user).filter(|user| user.bindings.is_empty()) {
            user.bindings = bindings;
            user.bindings.truncate(self.terms.most_contacts);
        }
    }

    /// The users whose bindings have changed since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<String> {
        std::mem::take(&mut self.changed)
    }

    /// Where a user can be reached, the latest registration first.
    pub fn bindings(&self, user: &str, now: Duration) -> Vec<&Binding> {
        let bindings = self.users.get(user).map(|user| user.bindings.as_slice()).unwrap_or_default();
        bindings.iter().filter(|binding| binding.expires_at > now).collect()
    }

    /// Whether somebody has registered from this address and port.
    pub fn registers_from(&self, source: SocketAddr, now: Duration) -> bool {
        let place = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        let mut bindings = self.users.values().flat_map(|user| &user.bindings);
        bindings.any(|binding| binding.expires_at > now && place(binding.source) == place(source))
    }

    /// The name that a request gives itself in its credentials, proved or not.
    pub fn claimed(&self, request: &Credentials<'_>) -> Option<String> {
        self.claim(request).map(|claim| claim.user)
    }

    fn claim(&self, request: &Credentials<'_>) -> Option<Claim> {
        request
            .claims
            .iter()
            .filter_map(|value| Claim::read(value))
            .find(|claim| claim.realm == self.terms.realm && self.terms.algorithms.contains(&claim.algorithm))
    }

    /// The name of the user that sent a request.
    ///
    /// # Errors
    ///
    /// The challenge to answer with, when the request does not prove who sent it.
    pub fn authenticate(
        &mut self,
        request: &Credentials<'_>,
        asker: Asker,
        now: Duration,
    ) -> Result<String, Reply> {
        let Some(claim) = self.claim(request) else { return Err(self.challenge(asker, false, now)) };
        if !self.is_proved(&claim, &request.method) {
            let is_known = self.users.contains_key(&claim.user);
            let impostor = if is_known { Impostor::WrongPassword } else { Impostor::UnknownUser };
            return Err(Reply { impostor: Some(impostor), ..self.challenge(asker, false, now) });
        }
        if !is_same_target(&claim.uri, &request.uri) {
            return Err(self.challenge(asker, false, now));
        }
        match self.nonces.take(&claim.nonce, claim.count, now) {
            Standing::Good => Ok(claim.user),
            Standing::Stale => Err(self.challenge(asker, true, now)),
        }
    }

    /// Answers a REGISTER.
    pub fn handle(&mut self, request: &Registration<'_>, now: Duration) -> Reply {
        let name = match self.authenticate(&request.credentials, Asker::Endpoint, now) {
            Ok(name) => name,
            Err(challenge) => return challenge,
        };
        // Nobody registers another.
        let Some(user) = self.users.get_mut(&name).filter(|_| name == request.user) else {
            return Reply { impostor: Some(Impostor::OtherUser), ..Reply::plain(403, "Forbidden") };
        };
        let update = Update {
            contacts: &request.contacts,
            expires: request.expires,
            call_id: request.call_id,
            cseq: request.cseq,
            source: request.source,
            own: &self.own,
        };
        match updated(&user.bindings, &update, &self.terms, now) {
            Ok(bindings) => {
                user.bindings = bindings;
                self.changed.insert(name);
                let line = |binding: &Binding| {
                    ("Contact", format!("<{}>;expires={}", binding.uri, binding.seconds_left(now)))
                };
                let headers = user.bindings.iter().map(line).collect();
                Reply { headers, ..Reply::plain(200, "OK") }
            }
            Err(Refusal::Malformed) => Reply::plain(400, "Bad Contact"),
            Err(Refusal::Unreachable(reason)) => {
                tracing::info!(user = name, source = %request.source, reason, "a registration was refused");
                let warning = format!("399 pegcount \"{reason}\"");
                Reply { headers: vec![("Warning", warning)], ..Reply::plain(400, "Bad Contact") }
            }
            Err(Refusal::TooMany) => Reply::plain(403, "Too Many Contacts"),
            Err(Refusal::OutOfOrder) => Reply::plain(500, "Out Of Order"),
            Err(Refusal::TooBrief) => Reply {
                headers: vec![("Min-Expires", self.terms.shortest.as_secs().to_string())],
                ..Reply::plain(423, "Interval Too Brief")
            },
        }
    }

    /// Whether the claim knows its user's password. An unknown user costs as much as a known one.
    fn is_proved(&self, claim: &Claim, method: &str) -> bool {
        let of = |passwords: &[Ha1]| passwords.iter().find(|ha1| ha1.algorithm() == claim.algorithm).cloned();
        let known = self.users.get(&claim.user).and_then(|user| of(&user.passwords));
        let is_known = known.is_some();
        let Some(ha1) = known.or_else(|| of(&self.nobody)) else { return false };
        bool::from(claim.proves(&ha1, method)) && is_known
    }

    fn challenge(&mut self, asker: Asker, stale: bool, now: Duration) -> Reply {
        let (status, phrase, name) = asker.challenge();
        let nonce = self.nonces.make(now);
        let realm = self.terms.realm.replace('\\', "\\\\").replace('"', "\\\"");
        let stale = if stale { ",stale=true" } else { "" };
        let line = |algorithm: &Algorithm| {
            let algorithm = algorithm.name();
            (
                name,
                format!(
                    "Digest realm=\"{realm}\",nonce=\"{nonce}\",algorithm={algorithm},qop=\"auth\"{stale}"
                ),
            )
        };
        let headers = self.terms.algorithms.iter().map(line).collect();
        Reply { headers, ..Reply::plain(status, phrase) }
    }
}

/// Whether a digest was made for this Request-URI. Parameters may be added on the way.
fn is_same_target(claimed: &str, requested: &str) -> bool {
    fn bare(uri: &str) -> (&str, String) {
        let (user, host) = uri.split_once('@').unwrap_or(("", uri));
        let host = host.split([';', '?']).next().unwrap_or_default();
        (user, host.to_ascii_lowercase())
    }
    bare(claimed) == bare(requested)
}
