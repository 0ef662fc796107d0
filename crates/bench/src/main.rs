//! Benches of the ledger beside its peers, on calls that look like real ones. `make bench` runs them all.
//!
//! - [`calls`]: made-up calls from a seed: 1,000 organizations, whole calls over a year or 200,000 under way at a time.
//! - [`table`]: the measured figures, `target/bench/results.jsonl`, and what they come to against the peers;
//!   [`targets`]: what they are to reach.
//! - [`store`]: the store and the intake, as libraries, in this process.
//! - [`serving`]: the program as a process, asked and told over its sockets.
//! - [`sip`]: the program with its gateway, called by sipp and by parties of our own.
//! - [`peers`]: `PostgreSQL`, `DuckDB`, a bare append and fdatasync.
//!
//! Each subcommand measures one thing and puts its [`table::Figure`]s into the file; `scripts/bench` starts what it
//! needs, runs one after the other and shows the table last. A new bench: a subcommand here, a module, its lines in
//! [`targets::TARGETS`], its line in `scripts/bench`.
//!
//! A filled store is kept in `target/bench/calls-N` (`calls.db`, and `calls.csv` with the same calls for the peers). It
//! holds no organization, endpoint name or key of its own: a server that starts on it makes `org_default`, which is
//! number 1, the largest.
#![expect(clippy::print_stderr, reason = "a bench is a program of its own and says why it fails")]

mod calls;
mod peers;
mod serving;
mod sip;
mod store;
mod table;
mod targets;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use store::{filled::Filled, ingest::Amount};
use table::{Figure, Results};

/// Benches of the ledger beside its peers.
#[derive(Parser)]
struct Arguments {
    /// Where everything is kept.
    #[arg(long, default_value = "target/bench")]
    folder: PathBuf,
    /// A word for this run, to tell its figures from those of earlier ones.
    #[arg(long, default_value = "by hand")]
    run: String,
    #[command(subcommand)]
    bench: Bench,
}

/// How much is told.
#[derive(Args)]
struct HowMuch {
    /// How many calls are in progress all the time.
    #[arg(long, default_value_t = 200_000)]
    live: u64,
    /// How many events are told in a round.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// How many rounds.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

impl From<HowMuch> for Amount {
    fn from(HowMuch { live, events, rounds }: HowMuch) -> Self {
        Self { live, events, rounds }
    }
}

/// A filled store.
#[derive(Args)]
struct WhichStore {
    /// How many calls it holds.
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// About how many bytes are spoken in an answered call: 4,000, in large stores 200.
    #[arg(long)]
    text: Option<usize>,
}

impl WhichStore {
    fn within(&self, folder: &Path) -> Filled {
        Filled::within(folder, self.calls, self.text)
    }
}

#[derive(Subcommand)]
enum Bench {
    /// A bare append and fdatasync.
    Sync,
    /// Fill a store with the calls of a year, unless it is filled.
    Load {
        #[command(flatten)]
        store: WhichStore,
    },
    /// Ask a filled store.
    Reads {
        #[command(flatten)]
        store: WhichStore,
    },
    /// Ask `DuckDB` the same.
    Duckdb {
        #[command(flatten)]
        store: WhichStore,
        /// The interpreter that has its package.
        #[arg(long, default_value = "target/bench/venv/bin/python")]
        python: PathBuf,
    },
    /// Durable ingest through the intake.
    Ingest {
        /// Into a store that is sealed with a key.
        #[arg(long)]
        sealed: bool,
        #[command(flatten)]
        amount: HowMuch,
    },
    /// The same into `PostgreSQL`.
    Postgres {
        /// How it is reached.
        #[arg(long)]
        url: String,
        /// With an index of the words, as the ledger's own store has.
        #[arg(long)]
        text_index: bool,
        #[command(flatten)]
        amount: HowMuch,
    },
    /// Start the program on a filled store.
    Start {
        #[command(flatten)]
        store: WhichStore,
    },
    /// Ask the program over HTTP, with wrk.
    Requests {
        #[command(flatten)]
        store: WhichStore,
    },
    /// Tell the program of events at a given pace.
    Latency {
        #[command(flatten)]
        store: WhichStore,
        /// Only the slow pace, alone and with readers.
        #[arg(long)]
        only_slowly: bool,
    },
    /// Watch the program's live count on many sockets.
    Sockets {
        #[command(flatten)]
        store: WhichStore,
    },
    /// Call at 1,000 a second, and beside it Kamailio.
    SipCalls {
        #[command(flatten)]
        asked: sip::calls::Asked,
    },
    /// Have 5,000 calls at once.
    SipCrowd {
        #[command(flatten)]
        asked: sip::crowd::Asked,
    },
    /// Have 300 calls with media, and record them.
    SipRecorded {
        #[command(flatten)]
        asked: sip::recorded::Asked,
    },
    /// Hang up 1,000 live calls.
    SipHangUp {
        #[command(flatten)]
        asked: sip::hang_up::Asked,
    },
    /// Wait for the recordings of calls of three minutes.
    SipMp3 {
        #[command(flatten)]
        asked: sip::mp3::Asked,
    },
    /// Note that a figure cannot be measured.
    Skip {
        /// The figure.
        name: String,
        /// Why.
        why: String,
        /// How many calls the store holds, where the figure depends on it.
        #[arg(long)]
        calls: Option<u64>,
    },
    /// Show every figure.
    Table,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pegcount-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), String> {
    let Arguments { folder, run, bench } = arguments;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let results = Results::within(&folder, &run);
    match bench {
        Bench::Load { store } => store::load::run(&store.within(&folder), &results).await,
        Bench::Reads { store } => store::reads::run(&store.within(&folder), &results).await,
        Bench::Start { store } => serving::start::run(&store.within(&folder), &results).await,
        Bench::Requests { store } => serving::requests::run(&store.within(&folder), &results).await,
        Bench::Latency { store, only_slowly } => {
            serving::latency::run(&store.within(&folder), only_slowly, &results).await
        }
        Bench::Sockets { store } => serving::sockets::run(&store.within(&folder), &results).await,
        Bench::SipCalls { asked } => sip::until_told(sip::calls::run(&folder, asked, &results)).await,
        Bench::SipCrowd { asked } => sip::until_told(sip::crowd::run(&folder, asked, &results)).await,
        Bench::SipRecorded { asked } => sip::until_told(sip::recorded::run(&folder, asked, &results)).await,
        Bench::SipHangUp { asked } => sip::until_told(sip::hang_up::run(&folder, asked, &results)).await,
        Bench::SipMp3 { asked } => sip::until_told(sip::mp3::run(&folder, asked, &results)).await,
        Bench::Sync => peers::sync::run(&folder, &results),
        Bench::Duckdb { store, python } => peers::duckdb::run(&python, &store.within(&folder), &results),
        Bench::Ingest { sealed, amount } => {
            store::ingest::run(&folder, sealed, amount.into(), &results).await
        }
        Bench::Postgres { url, text_index, amount } => {
            peers::postgres::run(&url, text_index, amount.into(), &results).await
        }
        Bench::Skip { name, why, calls } => {
            let figure = Figure::missing(&name, &why);
            results.put(match calls {
                Some(calls) => figure.at(calls),
                None => figure,
            })
        }
        Bench::Table => results.show(),
    }
}
