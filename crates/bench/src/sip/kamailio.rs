//! Kamailio as the proxy that the gateway is held against: stateful, in the path of every call.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::{child::Child, cpu};
use crate::serving::failed;

const CONFIGURATION: &str = include_str!("kamailio.cfg");
/// More memory than Debian's default, and an allocator that does not search: else it runs out of memory at 1,000 calls a
/// second, and spends most of its time looking for free pieces, which would flatter us.
const MEMORY: [&str; 8] = ["-m", "512", "-M", "16", "-x", "tlsf", "-X", "tlsf"];

/// The running proxy.
pub struct Kamailio {
    child: Child,
    /// Where it is called.
    pub address: SocketAddr,
    /// Which one it is.
    pub version: String,
}

impl Kamailio {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        program: &Path,
        folder: &Path,
        address: SocketAddr,
        callee: SocketAddr,
    ) -> Result<Self, String> {
        let configuration = folder.join("kamailio.cfg");
        let text =
            CONFIGURATION.replace("@LISTEN@", &address.to_string()).replace("@CALLEE@", &callee.to_string());
        fs::write(&configuration, text).map_err(|error| failed("Kamailio's configuration", &error))?;
        let mut command = Command::new(program);
        command.args(["-DD", "-E"]).args(MEMORY).arg("-f").arg(&configuration);
        command.arg("-Y").arg(folder).arg("-P").arg(folder.join("kamailio.pid"));
        let mut child = Child::start(&mut command, &folder.join("kamailio.log"))?;
        child.listens(address).await?;
        Ok(Self { child, address, version: version(program)? })
    }

    /// CPU time that all of its processes have used so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn used(&self) -> Result<Duration, String> {
        cpu::of_family(self.child.id())
    }
}

/// Name and number.
fn version(program: &Path) -> Result<String, String> {
    let output = Command::new(program).arg("-v").output().map_err(|error| failed("Kamailio", &error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said.split_whitespace().skip_while(|word| *word != "kamailio").nth(1);
    Ok(format!("Kamailio {}", number.unwrap_or("of unknown version")))
}
