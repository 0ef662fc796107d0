//! Who gets a place: so many connections in all, so many of one address, and a few more that are only told why not.

use std::{
    collections::{HashMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::task::AbortHandle;

use crate::metrics::{ConnectionMetrics, Refused};

/// Connections beyond the caps that are open at once: health checks, and others that are told to come back. When there is
/// one more, the oldest is closed.
pub(super) const RESERVE: usize = 32;

/// How many connections there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caps {
    /// In all.
    pub connections: usize,
    /// Of one address; of IPv6 of one /64.
    pub per_address: usize,
    /// Addresses that count as many: those of reverse proxies.
    pub proxies: Vec<IpAddr>,
}

/// The places of every port.
pub(super) struct Admission {
    caps: Caps,
    metrics: ConnectionMetrics,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    connections: usize,
    by_address: HashMap<IpAddr, usize>,
    reserve: usize,
    /// The reserve in the order of its opening.
    oldest: VecDeque<AbortHandle>,
}

/// A place, and of which kind.
pub(super) struct Placed {
    pub(super) place: Place,
    /// Beyond the caps: told to come back, unless it asks how the program is.
    pub(super) is_reserve: bool,
}

/// Given back when it is dropped.
pub(super) struct Place {
    admission: Arc<Admission>,
    /// Whose; none of the reserve.
    address: Option<IpAddr>,
}

impl Admission {
    pub(super) fn new(caps: Caps, metrics: ConnectionMetrics) -> Arc<Self> {
        Arc::new(Self { caps, metrics, taken: Mutex::default() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from this address; `None` when the reserve is taken twice over.
    pub(super) fn admit(self: &Arc<Self>, remote: IpAddr) -> Option<Placed> {
        let address = subject(remote);
        let is_proxy = self.caps.proxies.iter().any(|proxy| proxy.to_canonical() == remote.to_canonical());
        let place = |address| Place { admission: Arc::clone(self), address };
        let refused = {
            let mut taken = self.taken();
            let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
            if taken.connections >= self.caps.connections {
                Refused::Connections
            } else if of_address >= self.caps.per_address && !is_proxy {
                Refused::ConnectionsPerAddress
            } else {
                taken.connections += 1;
                *taken.by_address.entry(address).or_default() += 1;
                self.metrics.open.set(taken.connections as u64);
                drop(taken);
                return Some(Placed { place: place(Some(address)), is_reserve: false });
            }
        };
        self.metrics.count_refused(refused);
        match refused {
            Refused::Connections => tracing::warn!(
                "a connection was refused: as many are open as limits.connections or the limit of open files allows"
            ),
            Refused::ConnectionsPerAddress => tracing::warn!(
                %address,
                "a connection was refused: its address has limits.connections_per_address; a reverse proxy belongs in \
                 limits.proxies"
            ),
        }
        let mut taken = self.taken();
        if taken.reserve >= 2 * RESERVE {
            return None;
        }
        taken.reserve += 1;
        drop(taken);
        Some(Placed { place: place(None), is_reserve: true })
    }

    /// Notes a connection of the reserve, and closes the oldest where there are too many.
    pub(super) fn evict_for(&self, newest: AbortHandle) {
        let mut taken = self.taken();
        taken.oldest.push_back(newest);
        taken.oldest.retain(|task| !task.is_finished());
        if taken.oldest.len() > RESERVE
            && let Some(oldest) = taken.oldest.pop_front()
        {
            oldest.abort();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.admission.taken();
        let Some(address) = self.address else {
            taken.reserve = taken.reserve.saturating_sub(1);
            return;
        };
        taken.connections = taken.connections.saturating_sub(1);
        self.admission.metrics.open.set(taken.connections as u64);
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

/// What counts as one address: of IPv6 the /64, which one customer has whole.
fn subject(remote: IpAddr) -> IpAddr {
    match remote.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: usize, proxies: &[&str]) -> Arc<Admission> {
        let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
        Admission::new(Caps { connections, per_address, proxies }, ConnectionMetrics::default())
    }

    fn is_reserve(admission: &Arc<Admission>, address: &str, kept: &mut Vec<Place>) -> bool {
        let Placed { place, is_reserve } = admission.admit(address.parse().unwrap()).unwrap();
        kept.push(place);
        is_reserve
    }

    #[test]
    fn an_address_gets_no_more_than_its_share() {
        let (admission, mut kept) = (admission(5, 2, &["192.0.2.9"]), Vec::new());
        for (address, is_beyond) in [
            ("192.0.2.1", false),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.1", true),
            ("2001:db8::1", false),
            ("2001:db8::2", false),
            ("2001:db8::ffff:1", true),
            ("192.0.2.2", false),
            ("192.0.2.3", true),
        ] {
            assert_eq!(is_reserve(&admission, address, &mut kept), is_beyond, "{address}");
        }
        kept.remove(0);
        assert!(!is_reserve(&admission, "192.0.2.1", &mut kept), "a place that is given back is free");
    }

    #[test]
    fn a_proxy_may_take_every_place() {
        let (admission, mut kept) = (admission(3, 1, &["192.0.2.9"]), Vec::new());
        for is_beyond in [false, false, false, true] {
            assert_eq!(is_reserve(&admission, "192.0.2.9", &mut kept), is_beyond);
        }
    }

    #[test]
    fn the_reserve_is_bounded_too() {
        let (admission, mut kept) = (admission(0, 1, &[]), Vec::new());
        for _ in 0..2 * RESERVE {
            assert!(is_reserve(&admission, "192.0.2.1", &mut kept));
        }
        assert!(admission.admit("192.0.2.2".parse().unwrap()).is_none());
        kept.clear();
        assert!(is_reserve(&admission, "192.0.2.1", &mut kept));
    }
}
