//! One call: its state machine, and the task that carries out what that orders.

mod actor;
mod directory;
mod finish;
mod hunt;
mod legs;
mod machine;
mod media;
mod registry;
mod session;
mod switch;
mod talk;
mod wire;
mod words;

pub use directory::{Answer, Directory, Known};
pub use media::{Media, MediaMaker, MediaRefused, Stance};
pub use registry::Refused;
pub use switch::{Clock, HangUp, NotStarted, Settings, Switch};
pub use words::{Dial, MediaEvent};

#[cfg(test)]
mod tests;
