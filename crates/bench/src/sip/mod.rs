//! SIP: the program with its gateway and its ledger, called over loopback.
//!
//! - [`calls`]: 1,000 calls a second, and the CPU time of one, beside Kamailio; [`crowd`]: 5,000 calls at once. The calls
//!   are sipp's.
//! - [`recorded`]: calls with media that are recorded; [`hang_up`]: 1,000 live calls hung up; [`mp3`]: how soon there is a
//!   recording. Both sides of these calls are a [`party`] with [`media`], which count every packet.
//! - [`gateway`], [`kamailio`], [`sipp`]: the programs, each of them a [`child`]; [`cpu`] is what they have used.

pub mod calls;
mod child;
mod cpu;
pub mod crowd;
mod gateway;
pub mod hang_up;
mod kamailio;
mod media;
mod message;
pub mod mp3;
mod party;
pub mod recorded;
mod sipp;

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::serving::failed;

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(5);

/// The loopback network of this process, so that runs beside each other do not meet: `127.a.b.x`.
#[derive(Clone, Copy)]
pub struct Network([u8; 2]);

impl Network {
    fn of_this_process() -> Self {
        let number = std::process::id();
        // The remainders are small enough.
        Self([16 + (number % 200) as u8, 100 + (number / 200 % 100) as u8])
    }

    fn ip(self, host: u8) -> Ipv4Addr {
        let Self([second, third]) = self;
        Ipv4Addr::new(127, second, third, host)
    }

    fn gateway(self) -> Ipv4Addr {
        self.ip(1)
    }

    fn caller(self) -> Ipv4Addr {
        self.ip(2)
    }

    fn callee(self) -> Ipv4Addr {
        self.ip(3)
    }

    fn proxy(self) -> Ipv4Addr {
        self.ip(4)
    }
}

/// Waits on a thread that does nothing else.
#[expect(
    clippy::disallowed_methods,
    reason = "speech has a pace, and who is ended is looked at now and then"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// A port of UDP that nobody has.
fn free_port(ip: Ipv4Addr) -> Result<SocketAddr, String> {
    let address = UdpSocket::bind((ip, 0)).and_then(|socket| socket.local_addr());
    address.map_err(|error| failed(&ip.to_string(), &error))
}

/// The folder of these benches.
fn folder_in(folder: &Path) -> Result<PathBuf, String> {
    // Of programs that are started elsewhere.
    let folder = std::path::absolute(folder.join("sip")).map_err(|error| failed("the folder", &error))?;
    std::fs::create_dir_all(&folder).map_err(|error| failed(&folder.display().to_string(), &error))?;
    Ok(folder)
}

/// Runs a bench, and ends it, with all that it has started, when this process is told to end.
///
/// # Errors
/// Those of the bench; and when it was told to end.
pub async fn until_told(bench: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let listen = |kind| signal(kind).map_err(|error| failed("signals", &error));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let told = || Err("it was told to end".to_owned());
    tokio::select! {
        result = bench => result,
        _ = term.recv() => told(),
        _ = int.recv() => told(),
    }
}
