//! A program that was started here, and is ended here.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child as Process, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{LOOK, cpu::family, pause};
use crate::serving::failed;

/// How long it may take to end when it is told to.
const TO_END: Duration = Duration::from_secs(5);
/// How long it may take to have its socket.
const TO_LISTEN: Duration = Duration::from_secs(20);
/// How much of what it said is told when it fails.
const LAST_WORDS: usize = 500;

/// A running program. Dropped, it is ended, and the processes that it started with it.
pub struct Child {
    process: Process,
    log: PathBuf,
}

impl Child {
    /// Starts it; what it says goes into a file.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let name = command.get_program().to_string_lossy().into_owned();
        let cannot = |error: std::io::Error| failed(&name, &error);
        let output = File::create(log).map_err(cannot)?;
        command.stdin(Stdio::null()).stdout(output.try_clone().map_err(cannot)?).stderr(output);
        Ok(Self { process: command.spawn().map_err(cannot)?, log: log.to_owned() })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has a socket of UDP there.
    ///
    /// # Errors
    /// When it ends instead, or takes too long.
    pub async fn listens(&mut self, address: SocketAddr) -> Result<(), String> {
        let begun = Instant::now();
        while !is_bound(address) {
            if self.has_ended()?.is_some() || begun.elapsed() > TO_LISTEN {
                return Err(format!("nobody is at {address}: {}", self.last_words()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it does not within the limit.
    pub async fn ends(&mut self, limit: Duration) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.has_ended()? {
                return Ok(status);
            }
            if begun.elapsed() > limit {
                return Err(format!("it does not end: {}", self.last_words()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The end of what it said.
    pub fn last_words(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        let last = said.get(said.len().saturating_sub(LAST_WORDS)..).unwrap_or_default();
        format!("{}: {}", self.log.display(), String::from_utf8_lossy(last).trim())
    }

    fn has_ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.process.try_wait().map_err(|error| failed("a program", &error))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let family = family(self.id()).unwrap_or_default();
        let tell = |number: u32, signal| {
            let process = i32::try_from(number).ok().and_then(Pid::from_raw);
            // Gone already: then there is nothing to end.
            let _ = process.map(|process| kill_process(process, signal));
        };
        tell(self.id(), Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < TO_END {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            pause(LOOK);
        }
        for number in family {
            tell(number, Signal::KILL);
        }
        let _ = self.process.wait();
    }
}

/// Whether somebody has this address. Looked up, not tried: a try might take it from who is about to have it.
fn is_bound(address: SocketAddr) -> bool {
    let SocketAddr::V4(address) = address else { return false };
    let ip = u32::from_ne_bytes(address.ip().octets());
    let entry = format!(" {ip:08X}:{:04X} ", address.port());
    std::fs::read_to_string("/proc/net/udp").is_ok_and(|table| table.contains(&entry))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn an_address_is_bound_as_long_as_somebody_has_it() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert!(is_bound(address));
        drop(socket);
        assert!(!is_bound(address));
    }

    /// What the kernel says of a process; nothing when it has ended, collected or not.
    fn alive(number: u32) -> Option<String> {
        let state = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
        (!state.contains(") Z ")).then_some(state)
    }

    #[tokio::test]
    async fn a_program_that_is_not_needed_any_more_ends_with_those_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'kill $sleeper; exit 0' TERM; sleep 60 & sleeper=$!; wait; wait"]);
        let child = Child::start(&mut command, &log).unwrap();
        let begun = Instant::now();
        let both = loop {
            let both = family(child.id()).unwrap();
            if both.len() == 2 {
                break both;
            }
            assert!(begun.elapsed() < TO_LISTEN, "{}", child.last_words());
            tokio::time::sleep(LOOK).await;
        };
        drop(child);
        // One that was told by its parent to end does so a moment after the parent, which is all that was waited for.
        let begun = Instant::now();
        for number in both {
            while let Some(state) = alive(number) {
                assert!(begun.elapsed() < TO_LISTEN, "{state}");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}
