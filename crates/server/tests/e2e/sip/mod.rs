//! The SIP gateway in the program: real calls over UDP, seen from both ends and in the ledger.

pub mod audio;
mod calls;
mod identity;
mod kamailio;
pub mod lab;
mod media;
mod message;
mod orders;
mod outbox;
mod peer;
mod phones;
mod program;
mod programs;
mod refusals;
mod restart;
mod speech;
mod stored;
mod torture;
mod transports;
mod users;
mod wire;
