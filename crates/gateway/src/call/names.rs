//! Names that URIs hold, and where they lead (RFC 3263, section 4.2): to the hosts of their SRV records, else to their own
//! addresses. A transport is told by the URI; NAPTR records are not asked for.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    net::runtime::TokioRuntimeProvider,
    proto::rr::RData,
};

use super::door::Transport;

/// How long the question for services may take, whoever is asked: a caller waits, and there are the name's own addresses.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);
/// How many places of a name are tried at most.
pub(super) const MOST_PLACES: usize = 4;

/// A host as a name has it, and its port.
pub(super) type Host = (String, u16);

/// Looks names up.
pub(super) struct Names {
    /// `None` where the system names no server: then names have their own addresses only.
    resolver: Option<TokioResolver>,
}

/// An SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    priority: u16,
    weight: u16,
    host: Host,
}

impl Names {
    /// By these name servers; without any by those of the system.
    pub(super) fn of(servers: &[SocketAddr]) -> Self {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let servers = servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let resolver = builder.and_then(|mut builder| {
            let options: &mut ResolverOpts = builder.options_mut();
            (options.timeout, options.attempts) = (ANSWERS_WITHIN, 1);
            builder.build()
        });
        if let Err(error) = &resolver {
            tracing::warn!(%error, "no name server can be asked for SRV records");
        }
        Self { resolver: resolver.ok() }
    }

    /// The hosts of a name's SRV records, in the order in which they are to be tried; `None` where it has none. A name that
    /// says that it has no such service has no hosts.
    pub(super) async fn services(&self, transport: Transport, name: &str) -> Option<Vec<Host>> {
        // A name without a dot is one of the local network: of those nobody keeps such records.
        let resolver = self.resolver.as_ref().filter(|_| name.trim_end_matches('.').contains('.'))?;
        let service = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        let question = resolver.srv_lookup(format!("{service}.{}.", name.trim_end_matches('.')));
        let found = tokio::time::timeout(ANSWERS_WITHIN, question).await.ok()?.ok()?;
        let services = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(Service {
                priority: srv.priority,
                weight: srv.weight,
                host: (srv.target.to_ascii().trim_end_matches('.').to_owned(), srv.port),
            }),
            _ => None,
        });
        let services: Vec<Service> = services.collect();
        (!services.is_empty()).then(|| ordered(services, random_below))
    }

    /// The addresses of a host.
    pub(super) async fn addresses(&self, (host, port): &Host) -> Vec<SocketAddr> {
        let found = tokio::net::lookup_host((host.as_str(), *port)).await;
        found.map(Iterator::collect).unwrap_or_default()
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let at_port = |mut connection: ConnectionConfig| {
        connection.port = server.port();
        connection
    };
    let ip: IpAddr = server.ip();
    let mut config = NameServerConfig::udp_and_tcp(ip);
    config.connections = config.connections.into_iter().map(at_port).collect();
    config
}

/// The hosts of services in the order of their priorities; of the same priority by chance, those with more weight rather
/// first (RFC 2782, "Weight"). `below` gives a number from 0 up to what it is given, which it may be.
fn ordered(mut services: Vec<Service>, mut below: impl FnMut(u32) -> u32) -> Vec<Host> {
    // Those without weight first, so that they have a small chance of being chosen first.
    services.sort_by_key(|service| (service.priority, service.weight != 0));
    let mut hosts = Vec::with_capacity(services.len());
    while let Some(priority) = services.first().map(|service| service.priority) {
        let equals = services.iter().take_while(|service| service.priority == priority);
        let sum = equals.map(|service| u32::from(service.weight)).sum();
        let mut chosen = below(sum);
        let at = services.iter().position(|service| {
            let weight = u32::from(service.weight);
            let is_it = chosen <= weight;
            chosen = chosen.saturating_sub(weight);
            is_it
        });
        hosts.push(services.remove(at.unwrap_or_default()).host);
    }
    // A single dot: decidedly no such service.
    hosts.retain(|(host, _)| !host.is_empty());
    hosts
}

fn random_below(most: u32) -> u32 {
    let mut bytes = [0; 8];
    // Without chance the first is the first.
    let _ = getrandom::fill(&mut bytes);
    (u64::from_ne_bytes(bytes) % (u64::from(most) + 1)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(priority: u16, weight: u16, host: &str) -> Service {
        Service { priority, weight, host: (host.to_owned(), 5060) }
    }

    fn names(hosts: &[Host]) -> Vec<&str> {
        hosts.iter().map(|(host, _)| host.as_str()).collect()
    }

    #[test]
    fn hosts_come_in_the_order_of_their_priorities_whatever_chance_says() {
        let services = vec![service(20, 9, "c"), service(10, 0, "a"), service(15, 65_535, "b")];
        for chance in [|_| 0, |most| most] as [fn(u32) -> u32; 2] {
            assert_eq!(names(&ordered(services.clone(), chance)), ["a", "b", "c"]);
        }
    }

    #[test]
    fn of_equal_priority_the_heavier_is_first_as_often_as_its_weight_says() {
        let services = vec![service(1, 10, "light"), service(1, 30, "heavy"), service(1, 0, "none")];
        let first = |chosen: u32| {
            let mut chances = [chosen].into_iter();
            ordered(services.clone(), move |_| chances.next().unwrap_or_default())[0].0.clone()
        };
        let firsts: Vec<String> = (0..=40).map(first).collect();
        let count = |name: &str| firsts.iter().filter(|first| *first == name).count();
        assert_eq!((count("none"), count("light"), count("heavy")), (1, 10, 30));
    }

    #[test]
    fn every_host_is_there_once_and_a_service_that_there_is_not_has_none() {
        let services: Vec<Service> =
            (0..9).map(|number| service(number % 2, number, &number.to_string())).collect();
        let mut hosts = ordered(services, random_below);
        hosts.sort();
        assert_eq!(names(&hosts), ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
        assert!(ordered(vec![service(0, 0, "")], random_below).is_empty());
    }
}
