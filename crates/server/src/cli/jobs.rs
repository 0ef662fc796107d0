//! `pegcount jobs`: work that comes after calls.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Common, order_once, print::Printer};
use crate::operations::Order;

#[derive(Subcommand)]
pub(super) enum JobsCommand {
    /// List the jobs of every organization, newest first.
    #[command(after_help = "Example: pegcount jobs list --state dead")]
    List {
        /// Jobs that stand so only.
        #[arg(long, value_parser = ["waiting", "running", "dead"])]
        state: Option<String>,
        /// Jobs of this kind only.
        #[arg(long)]
        kind: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Run a job that waits or is dead now, or all dead ones. A server that is stopped runs them when it is started.
    #[command(
        after_help = "Example: pegcount jobs retry 17\n         pegcount jobs retry --dead --kind recording_upload"
    )]
    Retry {
        /// The job's number.
        #[arg(required_unless_present = "dead", conflicts_with = "dead")]
        id: Option<i64>,
        /// Every dead job.
        #[arg(long)]
        dead: bool,
        /// Dead jobs of this kind only.
        #[arg(long, requires = "dead", conflicts_with = "id")]
        kind: Option<String>,
    },
    /// Forget a job that does not run: its work will not be done.
    #[command(after_help = "Example: pegcount jobs forget 17")]
    Forget {
        /// The job's number.
        id: i64,
    },
}

pub(super) async fn run(common: &Common, command: JobsCommand, print: &Printer) -> Result<ExitCode, String> {
    match command {
        JobsCommand::List { state, kind, limit } => {
            print.jobs(&order_once(common, Order::ListJobs { state, kind, limit }).await?);
        }
        JobsCommand::Retry { id: Some(id), .. } => {
            print.retried(&order_once(common, Order::RetryJob { id }).await?);
        }
        JobsCommand::Retry { id: None, kind, .. } => {
            print.retried(&order_once(common, Order::RetryDeadJobs { kind }).await?);
        }
        JobsCommand::Forget { id } => {
            print.forgotten(&order_once(common, Order::ForgetJob { id }).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
