//! Kamailio as the proxy that the gateway is held against: stateful, in the path of every call.

use std::{fs, net::SocketAddr, path::Path, process::Command, time::Duration};

use super::{child::Child, cpu};
use crate::serving::failed;

const CONFIGURATION: &str = include_str!("kamailio.cfg");
/// More memory than Debian's default: else it runs out of memory at 1,000 calls a second.
const MEMORY: [&str; 4] = ["-m", "512", "-M", "16"];

/// What looks for free pieces of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// The one that it has when nobody says anything; it spends most of its time with it.
    Usual,
    /// The one that does not search.
    Tlsf,
}

impl Allocator {
    /// What Kamailio is called with it in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Usual => "Kamailio",
            Self::Tlsf => "Kamailio with TLSF",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Usual => &[],
            Self::Tlsf => &["-x", "tlsf", "-X", "tlsf"],
        }
    }
}

/// The running proxy.
pub struct Kamailio {
    child: Child,
    /// Where it is called.
    pub address: SocketAddr,
    /// Which one it is.
    pub version: String,
    /// How it allocates.
    pub allocator: Allocator,
}

impl Kamailio {
    /// Starts it and waits until it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(
        (program, allocator): (&Path, Allocator),
        folder: &Path,
        address: SocketAddr,
        callee: SocketAddr,
    ) -> Result<Self, String> {
        let named = |what: &str| folder.join(format!("kamailio-{allocator:?}.{what}"));
        let configuration = named("cfg");
        let text =
            CONFIGURATION.replace("@LISTEN@", &address.to_string()).replace("@CALLEE@", &callee.to_string());
        fs::write(&configuration, text).map_err(|error| failed("Kamailio's configuration", &error))?;
        let mut command = Command::new(program);
        command.args(["-DD", "-E"]).args(MEMORY).args(allocator.arguments()).arg("-f").arg(&configuration);
        let own = named("run");
        fs::create_dir_all(&own).map_err(|error| failed("Kamailio's folder", &error))?;
        command.arg("-Y").arg(&own).arg("-P").arg(named("pid"));
        let mut child = Child::start(&mut command, &named("log"))?;
        child.listens(address).await?;
        Ok(Self { child, address, version: version(program)?, allocator })
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
