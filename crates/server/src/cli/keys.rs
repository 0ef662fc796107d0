//! `pegcount keys`: the keys of every organization.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use super::{Common, order_once, print};
use crate::{app, operations::Order};

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key. Its secret is shown this once.
    #[command(
        after_help = "Example: pegcount keys create --organization org-789 --scopes calls:read,events:write --json"
    )]
    Create {
        /// Whose it is, by id or number.
        #[arg(long)]
        organization: String,
        /// What it may do: calls:read, calls:control, events:write, recordings:read, admin, server.
        #[arg(long, value_delimiter = ',', default_value = "calls:read")]
        scopes: Vec<String>,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the keys, with when each was last used.
    #[command(after_help = "Example: pegcount keys list --json")]
    List,
    /// Make a key in place of another one: with its organization, name and scopes. The old one works until it expires.
    #[command(after_help = "Example: pegcount keys rotate key_abcdefghijklmnop --grace 24h --json")]
    Rotate {
        /// The old key's id.
        key_id: String,
        /// For how long the old key still works, such as 30m, 24h or 7d; 0s ends it at once.
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace_seconds)]
        grace: u64,
    },
    /// Revoke a key. A running server honours it at once.
    #[command(after_help = "Example: pegcount keys revoke key_abcdefghijklmnop")]
    Revoke {
        /// The key's id.
        key_id: String,
    },
}

pub(super) async fn run(
    common: &Common,
    command: KeysCommand,
    print: &print::Printer,
) -> Result<ExitCode, String> {
    match command {
        KeysCommand::Create { organization, scopes, name } => {
            print.key(&order_once(common, Order::CreateKey { organization, scopes, name }).await?);
        }
        KeysCommand::Rotate { key_id, grace } => {
            let order = Order::RotateKey { id: key_id.clone(), grace_seconds: grace };
            let rotated = order_once(common, order).await?;
            print.key(&rotated);
            if let Some(file) = first_key_file(common, &key_id)? {
                let until = rotated
                    .get("old_key_expires_at")
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("its end");
                let file = file.display();
                print::to_stderr(&format!(
                    "{file} holds the old key. The first start after {until} removes it; `pegcount demo` needs --key from then on."
                ));
            }
        }
        KeysCommand::List => print.keys(&order_once(common, Order::ListKeys).await?),
        KeysCommand::Revoke { key_id } => {
            print.revoked(&order_once(common, Order::RevokeKey { id: key_id.clone() }).await?);
            if let Some(file) = first_key_file(common, &key_id)? {
                let shown = file.display();
                match std::fs::remove_file(&file) {
                    Ok(()) => print::to_stderr(&format!("Removed {shown}, which held this key.")),
                    Err(error) => {
                        print::to_stderr(&format!(
                            "{shown} holds the revoked key and cannot be removed: {error}. Delete it"
                        ));
                    }
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The file of the first key, if it holds the key with this id.
fn first_key_file(common: &Common, id: &str) -> Result<Option<PathBuf>, String> {
    let data = common.config()?.data;
    Ok(app::kept_first_key(&data).filter(|kept| kept == id).map(|_| data.join(app::FIRST_KEY_FILE)))
}

/// Reads a time span: `24h`, `7d`, `90m`, `1h 30m`. A day has 24 hours.
fn grace_seconds(text: &str) -> Result<u64, String> {
    let span: jiff::Span = text.parse().map_err(|_| "give it as 30m, 24h or 7d".to_owned())?;
    let seconds = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map(|span| span.as_secs());
    let seconds = seconds.map_err(|_| "give it in days, hours, minutes or seconds".to_owned())?;
    u64::try_from(seconds).map_err(|_| "it must not be negative".to_owned())
}
