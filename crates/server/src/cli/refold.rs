//! `pegcount refold`: calls are folded again, or counted again.

use std::process::ExitCode;

use clap::Args;

use super::{Common, order_once, print::Printer};
use crate::operations::Order;

#[derive(Args)]
pub(super) struct RefoldArgs {
    /// Only show what would differ; exits 1 if anything does.
    #[arg(long)]
    check: bool,
    /// Calls of this organization only, by id or number.
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// This call only, by id or UUID.
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Price the calls by the rates that hold now, whatever they were priced by.
    #[arg(long)]
    rates: bool,
    /// Look their phone numbers up again, as they are registered now.
    #[arg(long)]
    numbers: bool,
    /// Count all calls again instead: repairs statistics and totals that the doctor found to differ. No event is taken
    /// in meanwhile.
    #[arg(long, conflicts_with_all = ["check", "organization", "call", "rates", "numbers"])]
    counts: bool,
}

pub(super) async fn run(common: &Common, args: RefoldArgs, print: &Printer) -> Result<ExitCode, String> {
    let RefoldArgs { check, organization, call, rates, numbers, counts } = args;
    if counts {
        print.recounted(&order_once(common, Order::Recount).await?);
        return Ok(ExitCode::SUCCESS);
    }
    let order = Order::Refold { check, organization, call, rates, numbers };
    let is_well = print.refolded(&order_once(common, order).await?, check);
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
