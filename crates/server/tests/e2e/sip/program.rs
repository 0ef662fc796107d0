//! A program of others, for as long as a test takes.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::server::{signal, wait_for};

/// A program that is ended by its number when the test is over.
pub struct Program {
    child: Child,
    /// The signal that it is ended with.
    by: &'static str,
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended by itself has no number any more.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal(self.child.id(), self.by);
        }
        let _ = self.child.wait();
    }
}

impl Program {
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let log = std::fs::File::create(log).expect("the log is made");
        let errors = log.try_clone().expect("the log");
        let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
        Self { child: child.expect("the program is installed: scripts/tools"), by: "KILL" }
    }

    /// Ended by another signal than KILL: it has children of its own to end.
    pub fn ended_by(self, by: &'static str) -> Self {
        let mut program = self;
        program.by = by;
        program
    }

    pub async fn ends(&mut self) -> bool {
        wait_for("the end of a program", || self.child.try_wait().ok().flatten()).success()
    }
}

/// Whether somebody has this UDP address. Looked up, not tried: a try might take it from who is about to have it.
pub fn is_bound(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { return false };
    let ip = u32::from_ne_bytes(address.ip().octets());
    let entry = format!(" {ip:08X}:{:04X} ", address.port());
    std::fs::read_to_string("/proc/net/udp").is_ok_and(|table| table.contains(&entry))
}
