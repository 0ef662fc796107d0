//! The real program on port 0, over real sockets: one module a concern.
#![expect(clippy::panic, reason = "a test that fails says why, in its helpers too")]

mod forms;
mod s3;
mod server;

mod analysis;
mod audit;
mod backup;
mod bad_input;
mod commands;
mod control;
mod damage;
mod demo;
mod dialects;
mod durability;
mod encryption;
mod erasure;
mod erasure_of_numbers;
mod fetching;
mod field;
mod freeswitch;
mod full_disk;
mod http;
mod imports;
mod isolation;
mod jobs;
mod keys;
mod limits;
mod live;
mod metrics;
mod mistakes;
mod objects;
mod recordings;
mod redaction;
mod reference;
mod retention;
mod shutdown;
mod sip;
mod smoke;
mod streams;
mod web;
