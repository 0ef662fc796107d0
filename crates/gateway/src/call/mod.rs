//! One call: its state machine, and the task that carries out what that orders.

mod actor;
mod directory;
mod door;
mod failure;
mod finish;
mod hunt;
mod identity;
mod incoming;
mod index;
mod keys;
mod legs;
mod locate;
mod machine;
mod media;
mod names;
mod orders;
mod registry;
mod ringing;
mod session;
mod switch;
mod talk;
mod wire;
mod words;

pub use directory::{Directory, Known};
pub use door::{Opening, Transport};
pub use media::{Media, MediaMaker, MediaRefused, Party, Stance};
pub use registry::Refused;
pub use switch::{Clock, HangUp, Settings, Switch};
pub(crate) use wire::way_of;
pub use words::{Dial, MediaEvent};

#[cfg(test)]
pub(crate) mod tests;
