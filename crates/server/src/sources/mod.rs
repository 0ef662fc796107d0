//! IN: where events come from. Each source has a folder; its words stay in it.
//!
//! A source turns what it hears into native events ([`crate::vocabulary`]) and hands them to [`crate::intake`]. It
//! never reads a call.

pub mod asterisk;
pub mod freeswitch;
mod mapped;
pub mod native;
#[cfg(test)]
mod replay;
pub mod sip;

pub use mapped::Mapped;
