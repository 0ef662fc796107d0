//! Who people are: trunks by their address or a digest, users by a digest, and where users can be reached.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{Contact, GuardSettings, Peers, Registered};
use crate::{
    Clock, Target, Who,
    call::{Directory, Known, Transport, way_of},
    guard::{Network, Policy, Refusals, Strangers},
    registrar::{Asker, Binding, Credentials, Registrar, Registration, Reply, Terms},
    sip::{Answer, Header, Message, Uri, uri_of},
};

/// Two peers have a name between them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SameName(pub(super) String);

/// The peers of the gateway.
pub(super) struct People {
    people: RwLock<Arc<Listed>>,
    registrar: Mutex<Registrar>,
    refusals: Arc<Refusals>,
    /// The zero of the registrar's clock.
    since: Instant,
    /// The time of day at that zero: milliseconds since 1970.
    began_at: u64,
    /// Told whenever somebody's registrations have changed.
    pub(super) changed: Notify,
}

/// Those who are known, by how they are.
#[derive(Debug, Default)]
struct Listed {
    by_address: Vec<(Network, Known)>,
    by_digest: HashMap<String, Known>,
}

impl People {
    /// Knows nobody yet. The key signs what clients are challenged with.
    pub(super) fn new(terms: Terms, key: [u8; 32], refusals: Arc<Refusals>, clock: &Clock) -> Self {
        Self {
            people: RwLock::default(),
            registrar: Mutex::new(Registrar::new(terms, key)),
            refusals,
            since: Instant::now(),
            began_at: clock(),
            changed: Notify::new(),
        }
    }

    fn registrar(&self) -> MutexGuard<'_, Registrar> {
        self.registrar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn people(&self) -> Arc<Listed> {
        Arc::clone(&self.people.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// From now on these are the peers.
    pub(super) fn set(&self, peers: &Peers) -> Result<(), SameName> {
        let listed = Listed::of(peers)?;
        let digests = peers.trunks.iter().filter_map(|trunk| trunk.digest.as_ref());
        let digests = digests.map(|digest| (digest.user.clone(), digest.secrets.clone()));
        let users = peers.users.iter().map(|user| (user.name.clone(), user.secrets.clone()));
        self.registrar().set_users(digests.chain(users));
        *self.people.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(listed);
        Ok(())
    }

    /// From now on these are the addresses of the gateway itself.
    pub(super) fn set_own(&self, addresses: Vec<SocketAddr>) {
        self.registrar().set_own(addresses);
    }

    /// Gives users the contacts that they had with an earlier run.
    pub(super) fn restore(&self, registered: &[Registered]) {
        let mut registrar = self.registrar();
        for Registered { user, contacts } in registered {
            let bindings = contacts.iter().filter_map(|contact| {
                let left = contact.expires_at.checked_sub(self.began_at).filter(|left| *left > 0)?;
                let made_by = (contact.call_id.as_str(), contact.cseq);
                Binding::restored(&contact.uri, contact.source, Duration::from_millis(left), made_by)
            });
            registrar.restore(user, bindings.collect());
        }
    }

    /// The names of all users, in order.
    pub(super) fn users(&self) -> Vec<String> {
        let people = self.people();
        let users = people.by_digest.iter().filter(|(_, known)| matches!(known.who, Who::User(_)));
        let mut names: Vec<String> = users.map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Where a user is registered.
    pub(super) fn contacts(&self, user: &str) -> Vec<Contact> {
        let contact = |binding: &Binding| {
            let after = u64::try_from(binding.expires_at.as_millis()).unwrap_or(u64::MAX);
            Contact {
                uri: binding.uri.clone(),
                source: binding.source,
                expires_at: self.began_at.saturating_add(after),
                call_id: binding.call_id.clone(),
                cseq: binding.cseq,
            }
        };
        self.registrar().bindings(user, self.now()).into_iter().map(contact).collect()
    }

    /// Users whose registrations have changed since this was asked last.
    pub(super) fn take_changed(&self) -> BTreeSet<String> {
        self.registrar().take_changed()
    }

    /// The answer that this reply is. An impostor is counted and logged.
    fn turned_away(&self, reply: Reply, credentials: &Credentials<'_>, source: SocketAddr) -> Answer {
        if let Some(impostor) = reply.impostor {
            let claimed = self.registrar().claimed(credentials);
            let people = self.people();
            let known = claimed.filter(|name| people.by_digest.contains_key(name));
            let now = Instant::now().into_std();
            self.refusals.of_stranger(source.ip(), impostor.name(), known.as_deref(), now);
        }
        reply.into()
    }

    /// Whether a request from a trunk's address is that of a phone there, which proves who it is like any other.
    ///
    /// It is when it names a user in its credentials; when it comes straight from the address and port that a user
    /// registered from, whoever it says it is from; when it is from a user of ours (its From has our host, that of the
    /// Request-URI); or from one that has registered from that host.
    fn is_of_user(
        &self,
        people: &Listed,
        request: &Message,
        credentials: &Credentials<'_>,
        source: SocketAddr,
    ) -> bool {
        let is_user =
            |name: &str| matches!(people.by_digest.get(name), Some(Known { who: Who::User(_), .. }));
        let registrar = self.registrar();
        if registrar.claimed(credentials).is_some_and(|name| is_user(&name)) {
            return true;
        }
        let now = self.now();
        // What has come by others too is from the last of them, and that may be a trunk that passes registrations on.
        let is_direct = request.headers("Via").count() == 1;
        if is_direct && registrar.registers_from(source, now) {
            return true;
        }
        let Some(from) = request.header("From").and_then(|from| Uri::read(uri_of(from))) else {
            return false;
        };
        let name = from.user_part().name;
        if !is_user(&name) {
            return false;
        }
        // A carrier may send on a number that is the name of a user, at its own host.
        let is_of_us =
            Uri::read(request.uri()).is_some_and(|called| called.host.eq_ignore_ascii_case(from.host));
        let host = source.ip().to_canonical();
        let registered = registrar.bindings(&name, now);
        is_of_us || registered.iter().any(|binding| binding.source.ip().to_canonical() == host)
    }

    /// How many users are registered.
    pub(super) fn registered(&self) -> usize {
        let (people, now) = (self.people(), self.now());
        let registrar = self.registrar();
        people.by_digest.keys().filter(|user| !registrar.bindings(user, now).is_empty()).count()
    }
}

impl Listed {
    fn of(peers: &Peers) -> Result<Self, SameName> {
        let (mut names, mut listed) = (HashSet::new(), Self::default());
        for trunk in &peers.trunks {
            if !names.insert(trunk.name.as_str()) {
                return Err(SameName(trunk.name.clone()));
            }
            let known = Known { who: Who::Trunk(trunk.name.clone()), nat: trunk.nat };
            listed.by_address.extend(trunk.networks.iter().map(|network| (*network, known.clone())));
            if let Some(digest) = &trunk.digest {
                listed.add(&digest.user, known)?;
            }
        }
        for user in &peers.users {
            listed.add(&user.name, Known { who: Who::User(user.name.clone()), nat: user.nat })?;
        }
        Ok(listed)
    }

    fn add(&mut self, name: &str, known: Known) -> Result<(), SameName> {
        match self.by_digest.insert(name.to_owned(), known) {
            Some(_) => Err(SameName(name.to_owned())),
            None => Ok(()),
        }
    }

    fn at(&self, source: SocketAddr) -> Option<&Known> {
        self.by_address.iter().find(|(network, _)| network.contains(source.ip())).map(|(_, known)| known)
    }
}

/// Refuses peers of which two have the same name or digest.
pub(super) fn check_names(peers: &Peers) -> Result<(), SameName> {
    Listed::of(peers).map(drop)
}

/// What the guard lets through when these are the peers: strangers only where somebody may prove to be none.
pub(super) fn policy(peers: &Peers, settings: &GuardSettings) -> Policy {
    let phones = !peers.users.is_empty() || peers.trunks.iter().any(|trunk| trunk.digest.is_some());
    Policy {
        peers: peers.trunks.iter().flat_map(|trunk| trunk.networks.iter().copied()).collect(),
        strangers: if phones { Strangers::Phones } else { Strangers::Refused },
        peer_rate: settings.peer_rate,
        stranger_rate: settings.stranger_rate,
        largest_message: settings.largest_message.min(Policy::MOST_BYTES),
        ..Policy::default()
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        let header = |(name, value): (&'static str, String)| Header::new(name, value);
        let headers = reply.headers.into_iter().map(header).collect();
        Self { headers, ..Self::plain(reply.status) }
    }
}

impl Directory for People {
    fn who(&self, request: &Message, source: SocketAddr) -> Result<Known, Answer> {
        let people = self.people();
        let credentials = Credentials::of(request, Asker::Proxy);
        if let Some(trunk) = people.at(source)
            && !self.is_of_user(&people, request, &credentials, source)
        {
            return Ok(trunk.clone());
        }
        if people.by_digest.is_empty() {
            return Err(Answer::plain(403));
        }
        let proved = self.registrar().authenticate(&credentials, Asker::Proxy, self.now());
        let name = proved.map_err(|reply| self.turned_away(reply, &credentials, source))?;
        people.by_digest.get(&name).cloned().ok_or(Answer::plain(403))
    }

    fn register(&self, request: &Message, source: SocketAddr) -> Answer {
        if self.people().by_digest.is_empty() {
            return Answer::plain(405);
        }
        match Registration::of(request, source) {
            Some(registration) => {
                let reply = self.registrar().handle(&registration, self.now());
                if reply.status == 200 {
                    self.changed.notify_one();
                }
                self.turned_away(reply, &registration.credentials, source)
            }
            None => Answer::plain(400),
        }
    }

    fn places(&self, user: &str) -> Vec<Target> {
        let nat = self.people().by_digest.get(user).is_some_and(|known| known.nat);
        let place = |binding: &Binding| Target {
            // Behind an address translation the URI leads nowhere; where there is none both are the same.
            destination: Some(destination(binding)),
            nat,
            is_registered: true,
            ..Target::at(binding.uri.clone())
        };
        self.registrar().bindings(user, self.now()).into_iter().map(place).collect()
    }
}

/// Where a registered phone is called.
///
/// A connection of an earlier run is gone, and its port with it. Of the Contact only the port is believed: a host that it names
/// could be any, a carrier's for instance.
fn destination(binding: &Binding) -> SocketAddr {
    match way_of(&binding.uri) {
        Some(way) if binding.is_restored && way.transport != Transport::Udp => {
            let port = way.port.unwrap_or_else(|| way.transport.usual_port());
            SocketAddr::new(binding.source.ip(), port)
        }
        _ => binding.source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Digest, TrunkPeer, UserPeer};

    #[test]
    fn a_restored_contact_leads_to_the_host_that_registered() {
        let source: SocketAddr = "192.0.2.7:51000".parse().unwrap();
        let binding = |uri: &str, is_restored: bool| {
            let mut binding = Binding::restored(uri, source, std::time::Duration::MAX, ("1", 1)).unwrap();
            binding.is_restored = is_restored;
            binding
        };
        let at = |uri: &str, is_restored: bool| destination(&binding(uri, is_restored)).to_string();
        let carrier = "sip:+19005550000@203.0.113.1:5070;transport=tcp";
        assert_eq!(at(carrier, true), "192.0.2.7:5070");
        assert_eq!(at("sips:bob@203.0.113.1", true), "192.0.2.7:5061");
        assert_eq!(at("sip:bob@203.0.113.1:5070", true), "192.0.2.7:51000");
        assert_eq!(at(carrier, false), "192.0.2.7:51000");
    }

    fn trunk(name: &str, network: &str, digest: Option<&str>) -> TrunkPeer {
        TrunkPeer {
            name: name.into(),
            networks: network.parse().into_iter().collect(),
            digest: digest.map(|user| Digest { user: user.into(), secrets: Vec::new() }),
            nat: false,
        }
    }

    fn user(name: &str) -> UserPeer {
        UserPeer { name: name.into(), secrets: Vec::new(), nat: true }
    }

    fn invite() -> Message {
        let text = "INVITE sip:1@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=1\r\n\
                    To: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n";
        Message::read(text.into()).unwrap()
    }

    #[test]
    fn a_trunk_is_known_by_its_address_and_others_have_to_prove_who_they_are() {
        let people = People::new(Terms::of("test"), [0; 32], Arc::default(), &(Arc::new(|| 0_u64) as Clock));
        let [inside, outside] = ["192.0.2.1:5060", "198.51.100.1:5060"].map(|at| at.parse().unwrap());
        assert_eq!(people.who(&invite(), inside).unwrap_err().status, 403, "nobody is known");
        let peers = Peers { trunks: vec![trunk("carrier", "192.0.2.0/24", None)], users: Vec::new() };
        people.set(&peers).unwrap();
        assert_eq!(people.who(&invite(), inside).unwrap().who, Who::Trunk("carrier".into()));
        assert_eq!(people.who(&invite(), outside).unwrap_err().status, 403, "there is nothing to prove");
        people.set(&Peers { users: vec![user("alice")], ..peers }).unwrap();
        let challenge = people.who(&invite(), outside).unwrap_err();
        assert_eq!(challenge.status, 407);
        assert!(challenge.headers.iter().all(|header| header.name == "Proxy-Authenticate"));
        assert!(people.places("alice").is_empty());
    }

    #[test]
    fn two_peers_of_a_name_are_refused() {
        let people = People::new(Terms::of("test"), [0; 32], Arc::default(), &(Arc::new(|| 0_u64) as Clock));
        let named =
            |first, second| people.set(&Peers { trunks: vec![first, second], users: vec![user("alice")] });
        let same = named(trunk("a", "192.0.2.1", None), trunk("a", "192.0.2.2", None));
        assert_eq!(same, Err(SameName("a".into())));
        let same = named(trunk("a", "192.0.2.1", Some("alice")), trunk("b", "192.0.2.2", None));
        assert_eq!(same, Err(SameName("alice".into())));
        assert!(named(trunk("alice", "192.0.2.1", Some("x")), trunk("b", "", Some("y"))).is_ok());
    }

    #[test]
    fn strangers_are_heard_only_where_somebody_may_be_one() {
        let settings = GuardSettings::default();
        let strangers = |peers: &Peers| policy(peers, &settings).strangers;
        let mut peers = Peers { trunks: vec![trunk("a", "192.0.2.1", None)], users: Vec::new() };
        assert_eq!(strangers(&peers), Strangers::Refused);
        peers.trunks.push(trunk("b", "", Some("b")));
        assert_eq!(strangers(&peers), Strangers::Phones);
        peers = Peers { trunks: Vec::new(), users: vec![user("alice")] };
        assert_eq!(strangers(&peers), Strangers::Phones);
    }
}
