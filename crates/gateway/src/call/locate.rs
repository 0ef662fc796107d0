//! Finding out where a target is: a user's registrations, a name's addresses, a connection.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use super::{
    actor::{Actor, Note},
    door::Door,
    media::Party,
    switch::Shared,
    wire::{self, UriWay},
};
use crate::{Cause, Target, Why};

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
        let party = Party { nat: target.nat, ipv4: door.advertised.is_ipv4() };
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
    async fn locate(&self, target: &Target) -> Result<Vec<Target>, Why> {
        let wanted = match &target.user {
            Some(user) => {
                let places = self.settings.directory.places(user);
                if places.is_empty() {
                    // "Temporarily unavailable": its phone is off.
                    return Err(Why { status: Some(480), ..Cause::NoAnswer.into() });
                }
                let said = |place: Target| Target {
                    caller: target.caller.clone(),
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
            located.extend(self.place(target).await);
        }
        if located.is_empty() { Err(Cause::Unreachable.into()) } else { Ok(located) }
    }

    /// A target with its address, and connected to where that is needed.
    async fn place(&self, target: Target) -> Option<Target> {
        let way = wire::way(&target)?;
        let address = match way.address {
            Some(address) => address,
            None => self.look_up(&way).await?,
        };
        let door = self.door_to(way.transport, address)?;
        if let Some(streams) = &door.streams {
            let reached = streams.reach(address, &way.host, &door.endpoint, &self.running).await;
            if let Err(error) = reached {
                tracing::info!(%address, %error, "no connection to a target");
                return None;
            }
        }
        Some(Target { destination: Some(address), ..target })
    }

    /// The first address of a name that a door leads to.
    async fn look_up(&self, way: &UriWay) -> Option<SocketAddr> {
        let found = tokio::time::timeout(LOOKUP, tokio::net::lookup_host((way.host.as_str(), way.port)));
        let found = found.await.ok()?.ok()?;
        found.into_iter().find(|address| self.door_to(way.transport, *address).is_some())
    }
}
