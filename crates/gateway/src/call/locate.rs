//! Finding out where a target is: a user's registrations, a name's places, a connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    actor::{Actor, Note},
    door::Door,
    failure::OwnFailure,
    media::Party,
    names::MOST_PLACES,
    switch::Shared,
    wire::{self, UriWay},
    words::Found,
};
use crate::{Cause, Target, Why, media::Latching};

/// Until a name is looked up.
const LOOKUP: Duration = Duration::from_secs(3);

/// How an INVITE leaves.
pub(super) struct Way {
    /// By which door.
    pub(super) door: Arc<Door>,
    /// Where to.
    pub(super) address: SocketAddr,
    /// What the media has to know.
    pub(super) party: Party,
}

impl Actor {
    /// How to send to a target whose place is known; `None` where no door leads there.
    pub(super) fn way_to(&self, target: &Target) -> Option<Way> {
        let UriWay { transport, address, .. } = wire::way(target)?;
        let address = address?;
        let door = self.shared.door_to(transport, address)?.clone();
        let latching = match (target.nat, target.is_registered) {
            (true, _) => Latching::Any,
            (false, true) => Latching::host(address.ip()),
            (false, false) => Latching::Off,
        };
        let party = Party { nat: target.nat, latching, ipv4: door.advertised.is_ipv4() };
        Some(Way { door, address, party })
    }

    /// Looks for a target, and comes back with a note.
    pub(super) fn locate(&self, ticket: u32, target: Arc<Target>) {
        let (shared, notes) = (self.shared.clone(), self.notes.clone());
        tokio::spawn(async move {
            let targets = shared.locate(&target).await;
            // A call that is over wants to know nothing.
            let _ = notes.send(Note::Located { ticket, targets });
        });
    }
}

impl Shared {
    /// The places of a target that can be sent to at once.
    async fn locate(&self, target: &Target) -> Result<Vec<Found>, Why> {
        let wanted = match &target.user {
            Some(user) => {
                let places = self.settings.directory.places(user);
                if places.is_empty() {
                    return Err(OwnFailure::NotRegistered.into());
                }
                let said = |place: Target| Target {
                    caller: target.caller.clone(),
                    hides_caller: target.hides_caller,
                    disclosure: target.disclosure,
                    credential: target.credential.clone(),
                    nat: place.nat || target.nat,
                    ..place
                };
                places.into_iter().map(said).collect()
            }
            None => vec![target.clone()],
        };
        let mut located = Vec::new();
        for target in wanted {
            let places = self.places(target).await.into_iter().enumerate();
            located.extend(places.map(|(at, target)| Found { target, is_other_way: at > 0 }));
        }
        if located.is_empty() { Err(Cause::Unreachable.into()) } else { Ok(located) }
    }

    /// A target with each of its addresses, in the order in which they are to be tried; where a connection is needed, with the
    /// first that there is one to.
    async fn places(&self, target: Target) -> Vec<Target> {
        let Some(way) = wire::way(&target) else { return Vec::new() };
        let addresses = match way.address {
            Some(address) => vec![address],
            None => tokio::time::timeout(LOOKUP, self.look_up(&way)).await.unwrap_or_default(),
        };
        let mut places = Vec::new();
        for address in addresses {
            let Some(door) = self.door_to(way.transport, address) else { continue };
            places.push(Target { destination: Some(address), ..target.clone() });
            let Some(streams) = &door.streams else { continue };
            match streams.reach(address, &way.host, &self.running).await {
                Ok(_) => break,
                Err(error) => {
                    tracing::info!(%address, %error, "no connection to a target");
                    places.pop();
                }
            }
        }
        places
    }

    /// The addresses of a name that doors lead to: of the hosts of its SRV records where it has some and the URI names no port
    /// (RFC 3263, section 4.2), else its own.
    async fn look_up(&self, way: &UriWay) -> Vec<SocketAddr> {
        let services = match way.port {
            Some(_) => None,
            None => self.names.services(way.transport, &way.host).await,
        };
        let own = || vec![(way.host.clone(), way.port.unwrap_or(way.transport.usual_port()))];
        let mut addresses = Vec::new();
        for host in services.unwrap_or_else(own) {
            let found = self.names.addresses(&host).await;
            addresses
                .extend(found.into_iter().filter(|address| self.door_to(way.transport, *address).is_some()));
            if addresses.len() >= MOST_PLACES {
                break;
            }
        }
        addresses.truncate(MOST_PLACES);
        addresses
    }
}
