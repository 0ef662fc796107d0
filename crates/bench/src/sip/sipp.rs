//! sipp as caller and callee, with the scenarios that are built into it.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{child::Child, gateway::NUMBER};
use crate::serving::failed;

/// How long calls may take beyond the time that they are made for: lost messages are sent again after a while.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long sipp may take to end then.
const TO_END: Duration = Duration::from_secs(20);
/// Its sockets' buffers, in bytes.
const BUFFER: &str = "8388608";
/// Calls at once that it holds at most.
const MOST: &str = "15000";

/// The calls that are made.
#[derive(Clone, Copy)]
pub struct Load {
    /// New ones each second.
    pub rate: u32,
    /// How many in all.
    pub calls: u32,
    /// How long each is held.
    pub hold: Duration,
}

impl Load {
    /// How long it takes if all goes well.
    pub fn time(&self) -> Duration {
        Duration::from_secs(1) * self.calls / self.rate.max(1) + self.hold
    }
}

/// What the caller saw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Calls that went as they should.
    pub successful: u64,
    /// All others that were to be made.
    pub failed: u64,
    /// Messages that it sent again.
    pub sent_again: u64,
    /// From the first call until all were over.
    pub took: Duration,
}

/// A callee that answers every call at once.
pub struct Callee(Child);

impl Callee {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When sipp cannot be started.
    pub async fn start(folder: &Path, address: SocketAddr) -> Result<Self, String> {
        let mut command = at(folder, address);
        command.args(["-sn", "uas"]);
        let mut child = Child::start(&mut command, &folder.join("callee.log"))?;
        child.listens(address).await?;
        Ok(Self(child))
    }

    /// What it said last.
    pub fn last_words(&self) -> String {
        self.0.last_words()
    }
}

/// Calls the number at an address, and waits until all calls are over.
pub struct Caller {
    child: Child,
    begun: Instant,
    load: Load,
    counts: std::path::PathBuf,
}

impl Caller {
    /// Begins to call.
    ///
    /// # Errors
    /// When sipp cannot be started.
    pub fn start(folder: &Path, from: SocketAddr, to: SocketAddr, load: Load) -> Result<Self, String> {
        let counts = folder.join("caller.csv");
        let _ = fs::remove_file(&counts);
        let mut command = at(folder, from);
        command.args(["-sn", "uac", "-s", NUMBER, "-l", MOST, "-trace_stat", "-fd", "3600", "-stf"]);
        command.arg(&counts).arg(to.to_string());
        let limit = load.time() + PATIENCE;
        for (name, value) in [
            ("-r", u128::from(load.rate)),
            ("-m", u128::from(load.calls)),
            ("-d", load.hold.as_millis()),
            ("-timeout", u128::from(limit.as_secs())),
        ] {
            command.arg(name).arg(value.to_string());
        }
        let begun = Instant::now();
        Ok(Self { child: Child::start(&mut command, &folder.join("caller.log"))?, begun, load, counts })
    }

    /// What came of the calls.
    ///
    /// # Errors
    /// When sipp does not end, or does not say.
    pub async fn ends(mut self) -> Result<Outcome, String> {
        self.child.ends(self.load.time() + PATIENCE + TO_END).await?;
        let took = self.begun.elapsed();
        // Its status says only whether all went well; the counts say how many did.
        let text = fs::read_to_string(&self.counts)
            .map_err(|error| format!("{}: {}", failed("sipp", &error), self.child.last_words()))?;
        let count = |name| last_in(&text, name).ok_or_else(|| format!("sipp does not count {name}"));
        let successful = count("SuccessfulCall(C)")?;
        Ok(Outcome {
            successful,
            failed: u64::from(self.load.calls).saturating_sub(successful),
            sent_again: count("Retransmissions(C)")?,
            took,
        })
    }
}

fn at(folder: &Path, address: SocketAddr) -> Command {
    let ip = address.ip().to_string();
    let mut command = Command::new("sipp");
    command.current_dir(folder).args(["-nostdin", "-buff_size", BUFFER, "-i", &ip, "-mi", &ip]);
    command.arg("-p").arg(address.port().to_string());
    command
}

/// The last value of a column.
fn last_in(table: &str, column: &str) -> Option<u64> {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let place = lines.next()?.split(';').position(|name| name == column)?;
    lines.next_back()?.split(';').nth(place)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_the_counts_is_what_they_came_to() {
        let table = "A;Call(P);Call(C);\nx;1;1;\nx;0;200;\n";
        assert_eq!(last_in(table, "Call(C)"), Some(200));
        assert_eq!(last_in(table, "Call"), None);
        assert_eq!(last_in("A;B;\n", "A"), None);
    }

    #[test]
    fn calls_take_as_long_as_it_takes_to_begin_them_and_to_hold_the_last_one() {
        let load = Load { rate: 500, calls: 5_000, hold: Duration::from_secs(15) };
        assert_eq!(load.time(), Duration::from_secs(25));
    }
}
