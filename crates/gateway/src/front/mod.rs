//! The gateway's front: everything else put together, as the program holds it.

mod config;
mod counts;
mod directory;
mod gateway;
mod media;
mod opening;
mod recordings;
mod registrations;
#[cfg(test)]
mod tests;

pub use crate::trace::Traced;
pub use config::{
    Config, Digest, GuardSettings, MediaSettings, Peers, Recordings, Tls, TraceSettings, TrunkPeer, UserPeer,
};
pub use counts::{Counts, GuardCount, RefusalCounts, RtpCounts, SipCounts};
pub use gateway::{Addresses, Gateway, LeftOver, StartError};
pub use recordings::Finished;
pub use registrations::{Contact, Registered, Registrations};
