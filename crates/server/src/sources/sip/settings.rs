//! The configuration, read and checked: what the gateway is told, and what calls are routed by.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr, SocketAddr},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pegcount_calls::{EndpointName, OrganizationName};
use pegcount_gateway::{
    Credential, Digest, GuardSettings, Limits, MediaSettings, Peers, Recordings, Tls, TraceSettings,
    TrunkPeer, UserPeer,
    guard::{Network, Policy, Rate},
    recording::Layout,
    registrar::{Algorithm, Ha1},
};

use super::{
    address::{Proxy, is_user_name, plain_number},
    config::{Config, DigestWord, LayoutWord, OFF, Secret, TrunkConfig, UserConfig},
    headers::headers,
};

/// What the largest message may be. Requests of telephone calls have 1,300 bytes and more (RFC 3261, 18.1.1).
const LARGEST_MESSAGES: RangeInclusive<usize> = 2_048..=Policy::MOST_BYTES;

/// Everything that the configuration says, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the gateway is told when it starts.
    pub gateway: pegcount_gateway::Config,
    /// What can be changed while it runs.
    pub rules: Rules,
}

/// What calls are routed by, as far as the configuration says it.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Carriers and switches, in the order of the configuration.
    pub trunks: Vec<Trunk>,
    /// Phones that register, by name.
    pub users: BTreeMap<String, User>,
    /// How long things may take.
    pub limits: Limits,
    /// Whether calls are recorded of which nothing else says so.
    pub record: bool,
    /// Whether calls of an organization are recorded.
    pub record_of: BTreeMap<OrganizationName, bool>,
    /// Organizations of whose calls nothing sensitive is kept.
    pub opted_out: BTreeSet<OrganizationName>,
    /// Headers of calls that are kept and passed on to endpoints.
    pub headers: Vec<String>,
}

/// A carrier, or a switch in front.
#[derive(Clone, Debug)]
pub struct Trunk {
    /// Its name.
    pub name: String,
    /// Whose calls it carries.
    pub organization: OrganizationName,
    /// Where calls go out, if they do.
    pub outbound: Option<Outbound>,
    /// The number that is shown for a user without one of its own.
    pub caller_number: Option<String>,
    /// How many calls it carries at a time.
    pub most_calls: Option<usize>,
    /// Its media may come from elsewhere than its SDP says.
    pub nat: bool,
    /// It belongs to the trust domain (RFC 3325, 2.3): it is told the number of a private caller of ours.
    pub trusted: bool,
    /// Headers of its calls that are kept and passed on to endpoints, beside [`Rules::headers`].
    pub headers: Vec<String>,
}

/// Where calls go out.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The carrier's proxy.
    pub proxy: Proxy,
    /// What we prove ourselves with.
    pub credential: Option<Arc<Credential>>,
}

/// A phone that registers.
#[derive(Clone, Debug)]
pub struct User {
    /// Whose it is.
    pub organization: OrganizationName,
    /// The endpoint that it is.
    pub endpoint: Option<EndpointName>,
    /// The number that it shows when it calls out.
    pub number: Option<String>,
}

/// Where recordings lie.
pub fn recordings_folder(data: &Path) -> PathBuf {
    data.join("recordings")
}

impl Config {
    /// Whether the gateway is not wanted.
    pub fn is_off(&self) -> bool {
        self.listen == OFF
    }

    /// The checked settings of a gateway whose recordings lie in the data folder; `None` when it is off.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn settings(&self, data: &Path) -> Result<Option<Settings>, String> {
        let (rules, peers) = self.rules()?;
        if self.is_off() {
            return Ok(None);
        }
        let listen = crate::address::listening(&self.listen).map_err(|_| {
            format!("sip.listen: {:?} is neither an address such as 127.0.0.1:5060 nor off", self.listen)
        })?;
        let all: Vec<SocketAddr> = [listen].into_iter().chain(self.also_listen.iter().copied()).collect();
        let mut gateway = pegcount_gateway::Config::new(all.clone(), recordings_folder(data));
        gateway.tcp = all.clone();
        gateway.tls = self.tls()?;
        gateway.advertised.clone_from(&self.advertised);
        gateway.name_servers.clone_from(&self.name_servers);
        if let Some(wrong) = self.advertised.iter().find(|address| address.is_unspecified()) {
            return Err(format!("sip.advertised: {wrong} is no address that a peer could reach"));
        }
        gateway.realm.clone_from(&self.realm);
        if self.digests.is_empty() {
            return Err("sip.digests: must name md5, sha-256, or both".into());
        }
        let algorithm = |word: &DigestWord| match word {
            DigestWord::Md5 => Algorithm::Md5,
            DigestWord::Sha256 => Algorithm::Sha256,
        };
        gateway.algorithms = self.digests.iter().map(algorithm).collect();
        gateway.user_agent = concat!("Pegcount/", env!("CARGO_PKG_VERSION")).to_owned();
        gateway.peers = peers;
        gateway.media = self.media(&all)?;
        gateway.recordings = self.recordings(data)?;
        gateway.most_calls = at_least_one("sip.most_calls", self.most_calls)?;
        gateway.threads = at_least_one("sip.threads", self.threads)?;
        gateway.trace = TraceSettings {
            messages: self.trace.messages,
            bytes: self.trace.kilobytes.saturating_mul(1024),
            masked: self.trace.masked,
            ended: self.trace.ended_calls,
        };
        let rate = |per_second, burst| Rate { per_second, burst };
        gateway.guard = GuardSettings {
            peer_rate: rate(self.guard.trunk_messages_per_second, self.guard.trunk_burst),
            stranger_rate: rate(self.guard.other_messages_per_second, self.guard.other_burst),
            most_connections: self.guard.most_connections,
            most_connections_each: at_least_one(
                "sip.guard.most_connections_each",
                self.guard.most_connections_each,
            )?,
            largest_message: self.largest_message()?,
            ..GuardSettings::default()
        };
        Ok(Some(Settings { gateway, rules }))
    }

    /// What can be changed while the gateway runs.
    ///
    /// # Errors
    /// A sentence that names the key and says what it takes.
    pub fn rules(&self) -> Result<(Rules, Peers), String> {
        if self.realm.is_empty() || self.realm.chars().any(char::is_control) {
            return Err("sip.realm: must be a text without control characters".into());
        }
        let mut rules = Rules {
            limits: self.limits()?,
            record: self.recording.record,
            record_of: BTreeMap::new(),
            opted_out: BTreeSet::new(),
            headers: headers("sip.headers", &self.headers)?,
            trunks: Vec::new(),
            users: BTreeMap::new(),
        };
        for (id, record) in &self.recording.organizations {
            rules.record_of.insert(organization("sip.recording.organizations", id)?, *record);
        }
        for id in &self.opt_out_organizations {
            rules.opted_out.insert(organization("sip.opt_out_organizations", id)?);
        }
        let mut peers = Peers::default();
        let mut names = BTreeSet::new();
        // One of each trunk and each user, so that every wrong one is named.
        let mut problems = Vec::new();
        for (place, trunk) in self.trunks.iter().enumerate() {
            let key = format!("sip.trunks[{place}]");
            let (trunk, peer) = match trunk.checked(&key, &self.realm) {
                Ok(checked) => checked,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            // A trunk may prove itself under its own name.
            let own: BTreeSet<&String> =
                peer.digest.iter().map(|digest| &digest.user).chain([&peer.name]).collect();
            for name in own {
                if !names.insert(name.clone()) {
                    problems.push(taken(&key, name));
                }
            }
            rules.trunks.push(trunk);
            peers.trunks.push(peer);
        }
        for (place, user) in self.users.iter().enumerate() {
            let key = format!("sip.users[{place}]");
            let (user, peer) = match user.checked(&key, &self.realm) {
                Ok(checked) => checked,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            if !names.insert(peer.name.clone()) {
                problems.push(taken(&key, &peer.name));
                continue;
            }
            rules.users.insert(peer.name.clone(), user);
            peers.users.push(peer);
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        Ok((rules, peers))
    }

    fn largest_message(&self) -> Result<usize, String> {
        let given = self.guard.largest_message_bytes;
        if !LARGEST_MESSAGES.contains(&given) {
            let (least, most) = (LARGEST_MESSAGES.start(), LARGEST_MESSAGES.end());
            return Err(format!("sip.guard.largest_message_bytes: must be between {least} and {most}"));
        }
        Ok(given)
    }

    fn tls(&self) -> Result<Option<Tls>, String> {
        let (cert, key) = (&self.tls.cert, &self.tls.key);
        let given = [!self.tls.listen.is_empty(), !cert.as_os_str().is_empty(), !key.as_os_str().is_empty()];
        match given {
            [true, true, true] => {}
            [false, false, false] => return Ok(None),
            _ => return Err("sip.tls: set all of listen, cert and key, or none".into()),
        }
        let roots = &self.tls.roots;
        Ok(Some(Tls {
            listen: self.tls.listen.clone(),
            certificate: cert.clone(),
            key: key.clone(),
            roots: (!roots.as_os_str().is_empty()).then(|| roots.clone()),
        }))
    }

    fn media(&self, listens: &[SocketAddr]) -> Result<MediaSettings, String> {
        let media = &self.media;
        let host: IpAddr = match (media.host.as_str(), listens) {
            ("", [only]) => only.ip(),
            ("", [first, ..]) if listens.iter().all(|one| one.ip() == first.ip()) => first.ip(),
            ("", _) => Ipv6Addr::UNSPECIFIED.into(),
            (text, _) => text.parse().map_err(|_| format!("sip.media.host: {text:?} is no IP address"))?,
        };
        // An even port for RTP and the next for RTCP, for each side of one call.
        if media.first_port == 0 || u32::from(media.last_port) < u32::from(media.first_port) + 4 {
            return Err(
                "sip.media: first_port and last_port must leave room for one call, which takes four \
                        ports from an even one on"
                    .into(),
            );
        }
        if media.silent_after_seconds == 0 {
            return Err("sip.media.silent_after_seconds: must be at least 1".into());
        }
        Ok(MediaSettings {
            host,
            ports: media.first_port..=media.last_port,
            silent_after: seconds(media.silent_after_seconds),
            quality_every: (media.quality_every_seconds > 0).then(|| seconds(media.quality_every_seconds)),
        })
    }

    fn recordings(&self, data: &Path) -> Result<Recordings, String> {
        let recording = &self.recording;
        Ok(Recordings {
            folder: recordings_folder(data),
            layout: match recording.layout {
                LayoutWord::Mono => Layout::Mono,
                LayoutWord::Stereo => Layout::Stereo,
            },
            lame: (!recording.lame.as_os_str().is_empty()).then(|| recording.lame.clone()),
            threads: at_least_one("sip.recording.threads", recording.threads)?,
            // Who transcribes, and what is sealed with which keys, is told elsewhere.
            speech: false,
            keys: None,
        })
    }

    fn limits(&self) -> Result<Limits, String> {
        let limits = &self.limits;
        for (key, given, least) in [
            ("sign_of_life_seconds", limits.sign_of_life_seconds, 1),
            ("ring_seconds", limits.ring_seconds, 1),
            ("talk_seconds", limits.talk_seconds, 1),
            ("silence_seconds", limits.silence_seconds, 1),
            // RFC 4028, 4.
            ("session_seconds", limits.session_seconds, 90),
        ] {
            if given < least {
                return Err(format!("sip.limits.{key}: must be at least {least}"));
            }
        }
        Ok(Limits {
            provisional: seconds(limits.sign_of_life_seconds),
            ring: seconds(limits.ring_seconds),
            talk: seconds(limits.talk_seconds),
            silence: seconds(limits.silence_seconds),
            session: seconds(limits.session_seconds),
        })
    }
}

impl TrunkConfig {
    fn checked(&self, key: &str, realm: &str) -> Result<(Trunk, TrunkPeer), String> {
        if !is_user_name(&self.name) {
            return Err(format!("{key}.name: must be 1 to 64 letters, digits, or . _ + -"));
        }
        let networks = self.networks.iter().map(|text| {
            let network: Result<Network, _> = text.parse();
            network.map_err(|_| {
                format!("{key}.networks: {text:?} is neither an address nor a network such as 203.0.113.0/24")
            })
        });
        let networks: Vec<Network> = networks.collect::<Result<_, _>>()?;
        let secrets = secrets(key, &self.user, realm, &self.password, &self.ha1)?;
        let digest = match (self.user.is_empty(), secrets.is_empty()) {
            (true, true) => None,
            (false, false) if is_user_name(&self.user) => Some(Digest { user: self.user.clone(), secrets }),
            (false, false) => {
                return Err(format!("{key}.user: must be 1 to 64 letters, digits, or . _ + -"));
            }
            _ => return Err(format!("{key}: set user and one of password and ha1, or none of them")),
        };
        let outbound = match self.outbound.as_str() {
            "" if !self.outbound_user.is_empty() || !self.outbound_password.is_empty() => {
                return Err(format!("{key}: outbound_user and outbound_password need outbound"));
            }
            "" => None,
            text => Some(Outbound {
                proxy: Proxy::read(text).map_err(|message| format!("{key}.outbound: {message}"))?,
                credential: self.credential(key)?,
            }),
        };
        if networks.is_empty() && digest.is_none() && outbound.is_none() {
            return Err(format!("{key}: set networks, user with password, or outbound: nobody can use it"));
        }
        let peer = TrunkPeer { name: self.name.clone(), networks, digest: digest.clone(), nat: self.nat };
        let trunk = Trunk {
            name: self.name.clone(),
            organization: organization(&format!("{key}.organization"), &self.organization)?,
            outbound,
            caller_number: number(&format!("{key}.caller_number"), &self.caller_number)?,
            most_calls: (self.most_calls > 0).then_some(self.most_calls),
            nat: self.nat,
            trusted: self.trusted,
            headers: headers(&format!("{key}.headers"), &self.headers)?,
        };
        Ok((trunk, peer))
    }

    fn credential(&self, key: &str) -> Result<Option<Arc<Credential>>, String> {
        match (self.outbound_user.is_empty(), self.outbound_password.is_empty()) {
            (true, true) => Ok(None),
            (false, false) => Ok(Some(Arc::new(Credential {
                user: self.outbound_user.clone(),
                password: self.outbound_password.reveal().to_owned(),
                realm: None,
            }))),
            _ => Err(format!("{key}: set both outbound_user and outbound_password, or neither")),
        }
    }
}

impl UserConfig {
    fn checked(&self, key: &str, realm: &str) -> Result<(User, UserPeer), String> {
        if !is_user_name(&self.name) {
            return Err(format!("{key}.name: must be 1 to 64 letters, digits, or . _ + -"));
        }
        let secrets = secrets(key, &self.name, realm, &self.password, &self.ha1)?;
        if secrets.is_empty() {
            return Err(format!("{key}: set password or ha1"));
        }
        let endpoint = match self.endpoint.as_str() {
            "" => None,
            id => Some(EndpointName::new(id).map_err(|error| format!("{key}.endpoint: {id:?} {error}"))?),
        };
        let user = User {
            organization: organization(&format!("{key}.organization"), &self.organization)?,
            endpoint,
            number: number(&format!("{key}.number"), &self.number)?,
        };
        Ok((user, UserPeer { name: self.name.clone(), secrets, nat: self.nat }))
    }
}

fn taken(key: &str, name: &str) -> String {
    format!("{key}: the name {name:?} is taken by another trunk or user")
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

fn at_least_one(key: &str, given: usize) -> Result<usize, String> {
    if given == 0 { Err(format!("{key}: must be at least 1")) } else { Ok(given) }
}

fn organization(key: &str, id: &str) -> Result<OrganizationName, String> {
    OrganizationName::new(id).map_err(|error| format!("{key}: {id:?} is no organization's id: it {error}"))
}

fn number(key: &str, text: &str) -> Result<Option<String>, String> {
    match text {
        "" => Ok(None),
        text => match plain_number(text) {
            Some(_) => Ok(Some(text.to_owned())),
            None => Err(format!("{key}: {text:?} is no phone number")),
        },
    }
}

/// What is kept of a password. The password itself is not.
fn secrets(
    key: &str,
    user: &str,
    realm: &str,
    password: &Secret,
    hashes: &[Secret],
) -> Result<Vec<Ha1>, String> {
    if !password.is_empty() {
        if !hashes.is_empty() {
            return Err(format!("{key}: set one of password and ha1"));
        }
        let of = |algorithm| Ha1::of(algorithm, user, realm, password.reveal());
        return Ok(vec![of(Algorithm::Sha256), of(Algorithm::Md5)]);
    }
    let read = hashes.iter().map(|hash| {
        let read = |algorithm| Ha1::from_digits(algorithm, hash.reveal());
        read(Algorithm::Sha256).or_else(|| read(Algorithm::Md5)).ok_or_else(|| {
            format!("{key}.ha1: must be the 32 (MD5) or 64 (SHA-256) hexadecimal digits of a hash")
        })
    });
    let read: Vec<Ha1> = read.collect::<Result<_, _>>()?;
    match read.as_slice() {
        [one, other, ..] if one.algorithm() == other.algorithm() || read.len() > 2 => {
            Err(format!("{key}.ha1: takes one hash of MD5 and one of SHA-256"))
        }
        _ => Ok(read),
    }
}

#[cfg(test)]
mod tests;
