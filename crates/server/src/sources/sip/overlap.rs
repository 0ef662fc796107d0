//! Trunks whose networks may hold phones as well.
//!
//! A phone is told from its trunk once it has registered; before, whatever comes from the network is the trunk's.

use std::net::IpAddr;

use pegcount_gateway::guard::Network;

use super::config::Config;
use crate::address;

impl Config {
    /// What is allowed and probably not meant: a sentence for each network of a trunk in which phones are likely.
    pub fn warnings(&self) -> Vec<String> {
        if self.is_off() || self.users.is_empty() {
            return Vec::new();
        }
        let listen = address::listening(&self.listen).map(|listen| listen.ip()).ok();
        let networks = self.trunks.iter().enumerate().flat_map(|(place, trunk)| {
            trunk.networks.iter().filter_map(move |text| Some((place, text, text.parse::<Network>().ok()?)))
        });
        let warning = |(place, text, _): (usize, &String, Network)| {
            format!(
                "sip.trunks[{place}].networks: {text} may hold phones of sip.users too. A call of a phone that has not \
                 registered counts as the trunk's there: name only the addresses that the trunk itself sends from"
            )
        };
        networks.filter(|(_, _, network)| may_hold_phones(network, listen)).map(warning).collect()
    }
}

/// Whether phones are likely in a network: on this machine, or in a local network that is larger than one address.
fn may_hold_phones(network: &Network, listen: Option<IpAddr>) -> bool {
    let holds_us = listen.is_some_and(|listen| !listen.is_unspecified() && network.contains(listen));
    let is_local = match network.address() {
        IpAddr::V4(address) => {
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
        }
        IpAddr::V6(address) => {
            address.is_unique_local()
                || address.is_loopback()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
    };
    holds_us || (is_local && !network.is_host())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::sip::config::{TrunkConfig, UserConfig};

    fn warned(network: &str) -> bool {
        let trunk = TrunkConfig { networks: vec![network.to_owned()], ..TrunkConfig::default() };
        let config = Config { trunks: vec![trunk], users: vec![UserConfig::default()], ..Config::default() };
        assert!(Config { users: Vec::new(), ..config.clone() }.warnings().is_empty(), "there are no phones");
        !config.warnings().is_empty()
    }

    #[test]
    fn a_network_with_room_for_phones_is_warned_of() {
        for network in
            ["127.0.0.1", "127.0.0.0/8", "10.0.0.0/8", "192.168.1.0/24", "0.0.0.0/0", "fd00::/8", "::/0"]
        {
            assert!(warned(network), "{network}");
        }
        for network in ["203.0.113.0/24", "10.0.0.5", "2001:db8::/32"] {
            assert!(!warned(network), "{network}");
        }
    }
}
