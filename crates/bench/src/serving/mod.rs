//! The program itself, over its sockets: started on a filled store, asked and told from outside.
//!
//! [`mod@program`] and [`client`] are used by whoever else measures it that way.

pub mod client;
pub mod latency;
pub mod program;
pub mod requests;
pub mod sockets;
pub mod start;

use std::{path::Path, time::Duration};

/// How long one request, or the start of the program, may take.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Why something of the system failed.
pub fn failed(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("{what}: {error}")
}

/// Where the program is that is measured.
fn program() -> &'static Path {
    Path::new("target/release/pegcount")
}
