//! `pegcount audit`: the log of who did what.

use std::process::ExitCode;

use clap::Subcommand;

use super::{Common, order_once, print::Printer};
use crate::operations::Order;

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// Look whether every entry fits the one before it; exits 1 and names the first that does not.
    #[command(after_help = "Example: pegcount audit verify --json")]
    Verify,
}

pub(super) async fn run(common: &Common, command: AuditCommand, print: &Printer) -> Result<ExitCode, String> {
    match command {
        AuditCommand::Verify => {
            let is_whole = print.verified(&order_once(common, Order::VerifyAudit).await?);
            Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
