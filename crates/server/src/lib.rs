//! Pegcount: the open ledger of calls for phone systems and voice agents.
//!
//! Events come in through [`sources`], pass the one way in ([`intake`]), and become calls; answers go out through
//! [`dialects`], each by way of [`access`]. ARCHITECTURE.md draws the picture.

pub mod access;
pub mod address;
pub mod analysis;
pub mod app;
pub mod audio;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod connections;
pub mod control;
pub mod demo;
pub mod dialects;
pub mod disk;
pub mod intake;
pub mod jobs;
pub mod links;
pub mod live;
pub mod logging;
pub mod metrics;
pub mod operations;
pub mod operator_socket;
pub mod organizations;
pub mod preflight;
pub mod privacy;
pub mod reconcile;
pub mod recordings;
pub mod redaction;
pub mod reference;
#[cfg(test)]
mod samples;
pub mod secrets;
pub mod server;
pub mod sources;
pub mod status;
pub mod transcription;
pub mod vocabulary;
pub mod web;
