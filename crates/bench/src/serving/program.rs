//! The program as a process.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{PATIENCE, failed, program};
use crate::store::filled::Filled;

/// The organization that events of benches are told of: no call of a filled store is its.
const APART: i64 = 5_000;

/// A running server. Dropped, it is stopped.
pub struct Program {
    child: Child,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where the live WebSocket is served.
    pub live: SocketAddr,
    /// Where SIP is served, if it is.
    pub sip: Option<SocketAddr>,
    /// A key of the largest organization, with every scope.
    pub key: String,
    /// A key of an organization that none of the calls of a filled store belong to; elsewhere empty.
    pub key_apart: String,
}

impl Program {
    /// Starts it on a filled store and waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(filled: &Filled) -> Result<Self, String> {
        let data = filled.folder().join("data");
        let store = store_argument(&filled.path());
        let arguments = ["--store".into(), store, "--sip".into(), "off".into()];
        let mut program = Self::serve(&data, &arguments).await?;
        program.key_apart = key_apart(&data, &filled.path())?;
        Ok(program)
    }

    /// Starts it with this data folder, which is made if it is missing, and more arguments; waits until it answers.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn serve(data: &Path, arguments: &[OsString]) -> Result<Self, String> {
        let ready = data.join("ready.json");
        fs::create_dir_all(data).map_err(|error| failed("the data folder", &error))?;
        let child = spawn(data, &ready, arguments)?;
        let (key, key_apart) = (String::new(), String::new());
        let mut program = Self { child, http: nowhere(), live: nowhere(), sip: None, key, key_apart };
        program.wait_for(&ready).await?;
        // The key of a first start; a store that has calls alone has no organization yet.
        program.key = read(&data.join("first-key"))?;
        Ok(program)
    }

    async fn wait_for(&mut self, ready: &Path) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if let Ok(text) = fs::read_to_string(ready)
                && let Ok(addresses) = serde_json::from_str::<Value>(&text)
                && let [Some(http), Some(live)] = ["http", "live"].map(|name| addresses[name].as_str())
            {
                let parse = |text: &str| text.parse().map_err(|error| failed("the server's address", &error));
                (self.http, self.live) = (parse(http)?, parse(live)?);
                self.sip = addresses["sip"].as_str().map(parse).transpose()?;
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended by itself: {status}"));
            }
            if begun.elapsed() > PATIENCE {
                return Err("the server does not become ready".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that is its own, in KiB: without the file that its readers map.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn anonymous_kib(&self) -> Result<u64, String> {
        let status = read(&PathBuf::from(format!("/proc/{}/status", self.child.id())))?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        kib.ok_or_else(|| "the system does not tell how much memory the server uses".to_owned())
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(mut self) -> Result<(), String> {
        self.signal();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("the server ended with {status}")),
                Ok(None) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => return Err(failed("the server", &error)),
            }
        }
        Err("the server does not end".to_owned())
    }

    fn signal(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        // Gone already: then there is nothing to stop.
        let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::TERM));
    }
}

fn nowhere() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let text = fs::read_to_string(path).map_err(|error| failed(&path.display().to_string(), &error))?;
    Ok(text.trim().to_owned())
}

fn store_argument(store: &Path) -> OsString {
    format!("sqlite:{}", store.display()).into()
}

fn spawn(data: &Path, ready: &Path, arguments: &[OsString]) -> Result<Child, String> {
    let _ = fs::remove_file(ready);
    let log = fs::File::create(data.join("log")).map_err(|error| failed("the log", &error))?;
    Command::new(program())
        .arg("serve")
        .args(["--listen", "127.0.0.1:0", "--live-listen", "127.0.0.1:0"])
        .arg("--data")
        .arg(data)
        .arg("--ready-file")
        .arg(ready)
        .args(arguments)
        // Every watcher comes from this machine.
        .env("PEGCOUNT_LIMITS__CONNECTIONS_PER_ADDRESS", "24000")
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|error| failed("the log", &error))?)
        .stderr(log)
        .spawn()
        .map_err(|error| failed(&program().display().to_string(), &error))
}

/// A key that tells and reads the calls of the organization apart, made once.
fn key_apart(data: &Path, store: &Path) -> Result<String, String> {
    let known = data.join("key-apart");
    if known.exists() {
        return read(&known);
    }
    let order = |words: &[&str]| -> Result<Value, String> {
        let output = Command::new(program())
            .args(words)
            .arg("--data")
            .arg(data)
            .arg("--store")
            .arg(store_argument(store))
            .arg("--json")
            .output()
            .map_err(|error| failed("pegcount", &error))?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        serde_json::from_slice(&output.stdout).map_err(|error| format!("{words:?}: {error}: {errors}"))
    };
    let number = APART.to_string();
    order(&["organizations", "create", "--id", "apart", "--number", &number])?;
    let made = order(&["keys", "create", "--organization", "apart", "--scopes", "events:write,calls:read"])?;
    let key = made["key"].as_str().ok_or("no key was made")?.to_owned();
    fs::write(&known, &key).map_err(|error| failed("the key", &error))?;
    Ok(key)
}
