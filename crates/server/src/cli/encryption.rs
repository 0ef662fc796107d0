//! `pegcount encryption`: the keys that what is kept is sealed with.

use std::process::ExitCode;

use clap::Subcommand;
use pegcount_sealed::Keys;
use serde_json::json;

use super::{Common, order_once, print::Printer};
use crate::operations::Order;

#[derive(Subcommand)]
pub(super) enum EncryptionCommand {
    /// Make a key. It is printed and kept nowhere: put it into the file that encryption.key_file names, above those that
    /// are there.
    #[command(after_help = "Example: (umask 077; pegcount encryption new-key >> /etc/pegcount/keys)")]
    NewKey,
    /// Tell what is sealed with which key.
    #[command(after_help = "Example: pegcount encryption status --json")]
    Status,
    /// Seal everything with the first key: what is in the clear, and what is sealed with another one. A key that nothing is
    /// sealed with any more may then be taken out of the file.
    #[command(after_help = "Example: pegcount encryption reseal --data /var/lib/pegcount")]
    Reseal,
}

pub(super) async fn run(
    common: &Common,
    command: EncryptionCommand,
    print: &Printer,
) -> Result<ExitCode, String> {
    match command {
        EncryptionCommand::NewKey => {
            let key = Keys::generate().map_err(|error| format!("no key can be made: {error}"))?;
            let id = Keys::parse(&key).map_err(|error| error.to_string())?.sealing().to_string();
            print.new_key(&json!({ "key": key, "id": id }));
        }
        EncryptionCommand::Status => {
            print.encryption(&order_once(common, Order::EncryptionStatus).await?);
        }
        EncryptionCommand::Reseal => {
            let keys = common.config()?.encryption.keys()?;
            let first_key = keys.map(|keys| keys.sealing().to_string());
            print.resealed(&order_once(common, Order::Reseal { first_key }).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
