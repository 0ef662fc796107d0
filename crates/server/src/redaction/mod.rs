//! Words that are masked before anything is stored: card numbers, addresses, what an organization names.
//!
//! It happens to an event at the one way in, before it is queued, and depends on the event and the setting alone: the same
//! event sent twice is masked twice alike. What was masked says so by a field `redacted` of its data.

mod config;
mod digits;
mod event;
mod masks;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use event::{is_masked, mask};
pub use masks::Masks;
