//! The program with its SIP gateway, a trunk and a number that leads to one callee.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{LOOK, Network, cpu, folder_in};
use crate::serving::{
    client::{Connection, request},
    failed,
    program::Program,
    sockets::open_as_many_files_as_may_be,
};

/// The number that leads to the callee.
pub const NUMBER: &str = "+2348012345678";
/// Calls on a page of a list: as many as may be.
const PAGE: usize = 100;
/// How the threads are called that do SIP and media.
const SIP_THREADS: &str = "sip";

/// The running program.
pub struct Gateway {
    program: Program,
    connection: Connection,
    /// Where it is called.
    pub address: SocketAddr,
}

/// CPU time that it has used.
#[derive(Clone, Copy)]
pub struct Used {
    /// All of it.
    pub whole: Duration,
    /// Of the threads that do SIP and media: what a proxy does is there, the ledger elsewhere.
    pub sip: Duration,
}

impl Used {
    /// What has been used since then. Of a thread that has ended since then nothing is known any more.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        Self { whole: self.whole.saturating_sub(then.whole), sip: self.sip.saturating_sub(then.sip) }
    }
}

/// What sums there are of calls that have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// All.
    pub total: u64,
    /// Those that ended after an answer.
    pub completed: u64,
}

impl Gateway {
    /// Starts it on an empty folder; calls are recorded or not.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(folder: &Path, network: Network, recorded: bool) -> Result<Self, String> {
        open_as_many_files_as_may_be();
        let data = folder_in(folder)?.join("data");
        if data.exists() {
            fs::remove_dir_all(&data).map_err(|error| failed("the data folder", &error))?;
        }
        fs::create_dir_all(&data).map_err(|error| failed("the data folder", &error))?;
        let config = data.join("bench.toml");
        let text = format!(
            "[sip]\nlisten = \"{}:0\"\nmost_calls = 20000\n\
             [sip.media]\nfirst_port = 10000\nlast_port = 59999\n\
             [sip.recording]\nrecord = {recorded}\n\
             [[sip.trunks]]\nname = \"bench\"\norganization = \"org_default\"\nnetworks = [\"{}\"]\n",
            network.gateway(),
            network.caller(),
        );
        fs::write(&config, text).map_err(|error| failed("the configuration", &error))?;
        let program = Program::serve(&data, &["--config".into(), config.into()]).await?;
        let address = program.sip.ok_or("the server serves no SIP")?;
        let connection = Connection::open(program.http).await?;
        Ok(Self { program, connection, address })
    }

    /// Makes the number lead to this address.
    ///
    /// # Errors
    /// When it is not taken.
    pub async fn lead_to(&mut self, callee: SocketAddr) -> Result<(), String> {
        let endpoint =
            json!({ "id": "ep_bench", "name": "Bench", "sip_uri": format!("sip:callee@{callee}") });
        self.make("/v1/endpoints", &endpoint).await?;
        let number = json!({ "id": "pn_bench", "number": NUMBER, "endpoint_id": "ep_bench" });
        self.make("/v1/phone-numbers", &number).await
    }

    async fn make(&mut self, path: &str, body: &Value) -> Result<(), String> {
        let asked = request("POST", path, &self.program.key, &body.to_string());
        match self.connection.ask(&asked).await? {
            201 => Ok(()),
            status => Err(format!("{path} was answered with {status}")),
        }
    }

    /// What is at a path.
    ///
    /// # Errors
    /// When it is not answered with 200.
    pub async fn get(&mut self, path: &str) -> Result<Value, String> {
        serde_json::from_str(&self.text(path).await?).map_err(|error| failed(path, &error))
    }

    async fn text(&mut self, path: &str) -> Result<String, String> {
        let asked = request("GET", path, &self.program.key, "");
        let status = match self.connection.ask(&asked).await {
            Ok(status) => status,
            // Closed meanwhile, since nothing was asked for a while.
            Err(_) => {
                self.connection = Connection::open(self.program.http).await?;
                self.connection.ask(&asked).await?
            }
        };
        match status {
            200 => Ok(String::from_utf8_lossy(self.connection.body()).into_owned()),
            status => Err(format!("{path} was answered with {status}")),
        }
    }

    /// One of the metrics that has no labels.
    ///
    /// # Errors
    /// When there is none of that name.
    pub async fn metric(&mut self, name: &str) -> Result<u64, String> {
        let text = self.text("/metrics").await?;
        metric_in(&text, name).ok_or_else(|| format!("there is no metric {name}"))
    }

    /// How many calls are under way, and how many of them are answered.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn live(&mut self) -> Result<(u64, u64), String> {
        let live = self.get("/v1/live?limit=1").await?;
        let counts = live["live_calls"].as_u64().zip(live["by_status"]["in_progress"].as_u64());
        counts.ok_or_else(|| format!("no counts of live calls: {live}"))
    }

    /// The calls that have ended.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn ended(&mut self) -> Result<Ended, String> {
        let stats = self.get("/v1/calls/stats").await?;
        let counts = stats["total_calls"].as_u64().zip(stats["completed_calls"].as_u64());
        let (total, completed) = counts.ok_or_else(|| format!("no counts of calls: {stats}"))?;
        Ok(Ended { total, completed })
    }

    /// Waits until no call is under way and so many have ended, as the ledger knows them; what it knows then, or when
    /// the limit is over.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn settled(&mut self, ended: u64, limit: Duration) -> Result<Ended, String> {
        let begun = Instant::now();
        loop {
            let (live, _) = self.live().await?;
            let known = self.ended().await?;
            if (live == 0 && known.total >= ended) || begun.elapsed() > limit {
                return Ok(known);
            }
            tokio::time::sleep(10 * LOOK).await;
        }
    }

    /// The rows of a list, all of its pages.
    ///
    /// # Errors
    /// When it does not tell.
    pub async fn rows(&mut self, path: &str) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        loop {
            let page = self.get(&format!("{path}?limit={PAGE}&offset={}", all.len())).await?;
            let rows = page["calls"].as_array().ok_or_else(|| format!("no calls in {path}"))?;
            all.extend(rows.iter().cloned());
            if rows.len() < PAGE {
                return Ok(all);
            }
        }
    }

    /// CPU time that it has used so far.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn used(&self) -> Result<Used, String> {
        let id = self.program.id();
        Ok(Used { whole: cpu::of_process(id)?, sip: cpu::of_threads(id, SIP_THREADS)? })
    }

    /// The memory that is its own, in KiB.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn anonymous_kib(&self) -> Result<u64, String> {
        self.program.anonymous_kib()
    }

    /// Where HTTP is served, and a key with every scope.
    pub fn http(&self) -> (SocketAddr, &str) {
        (self.program.http, &self.program.key)
    }

    /// Ends it.
    ///
    /// # Errors
    /// When it does not end well.
    pub async fn stop(self) -> Result<(), String> {
        drop(self.connection);
        self.program.stop().await
    }
}

fn metric_in(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_its_whole_name() {
        let text = "# TYPE rtp_pairs gauge\nrtp_pairs_in_use 3\nrtp_pairs 10\nrequests{a=\"b\"} 7\n";
        assert_eq!(metric_in(text, "rtp_pairs"), Some(10));
        assert_eq!(metric_in(text, "requests"), None);
    }
}
