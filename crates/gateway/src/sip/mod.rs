//! SIP as far as every user agent needs it (RFC 3261): messages, transactions, dialogs. Nothing here knows what a call is.
//!
//! It reads what the guard lets through, so it does not judge: a header that is missing is an empty one. It has no task
//! and no clock. Whoever owns a [`Table`] feeds it with what arrives and with the time, and sends what comes out.
//!
//! Messages are read where they lie: one buffer, and the places of its parts. Messages of ours are written once, and the
//! same bytes go to the wire, into the transaction that may repeat them, and into the call's trace.

pub(crate) mod address;
mod body;
mod compose;
mod dialog;
mod message;
mod socket;
mod transaction;
mod uri;

pub(crate) use body::{NotUnderstood, session_in, session_of};
pub use compose::{Answer, Header, phrase, response};
pub use dialog::{Dialog, Identity, Invitation, target_of, written_again};
pub(crate) use message::long_name;
pub use message::{Message, Method};
pub use socket::Datagrams;
pub use transaction::{ClientKey, Event, Outbox, Received, ServerKey, Table};
pub use uri::{Uri, UserPart, display_name, escaped_user, parameter_of, tag_of, uri_of};
