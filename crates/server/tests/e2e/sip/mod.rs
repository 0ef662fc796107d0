//! The SIP gateway in the program: real calls over UDP, seen from both ends and in the ledger.

mod calls;
mod lab;
mod message;
mod orders;
mod peer;
mod programs;
mod restart;
mod users;
