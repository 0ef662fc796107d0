//! The demonstration's control URL: registered where the organization has none, and removed at the end.

use tokio::{net::TcpStream, time::timeout};

use super::{
    client::Client,
    listener::{Listener, demo_address},
};

/// How long another demonstration gets to take a connection.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Has hang-up orders come to this run, unless they go somewhere else already.
///
/// # Errors
/// The outer: the server cannot be reached. The inner: why orders do not come here, and what to do.
pub(super) async fn register(client: &mut Client, listener: &Listener) -> Result<Result<(), String>, String> {
    if !client.is_local() {
        return Ok(Err(
            "hang-ups do not reach this demo: its control URL is on this machine and the server is not"
                .into(),
        ));
    }
    let known = match client.control_url().await? {
        Ok(known) => known,
        Err(refused) => return Ok(Err(format!("hang-ups do not reach this demo: {}", refused.0))),
    };
    if let Some(reason) = taken_by(known.as_deref(), listener).await {
        return Ok(Err(format!("hang-ups do not reach this demo: {reason}")));
    }
    let set = client.set_control_url(&listener.control_url(), listener.secret()).await?;
    Ok(set.map_err(|refused| format!("hang-ups do not reach this demo: {}", refused.0)))
}

/// Who takes the orders already; `None` when nobody does, or a demonstration that did not remove its URL.
async fn taken_by(known: Option<&str>, listener: &Listener) -> Option<&'static str> {
    match demo_address(known?) {
        Some(address) if address == listener.address() => None,
        None => Some("the organization has a control URL of its own (DELETE /v1/control-url removes it)"),
        Some(address) => match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => Some("another demo takes them"),
            Ok(Err(_)) | Err(_) => None,
        },
    }
}

/// Removes what was registered, if it still is.
///
/// # Errors
/// What to do by hand.
pub(super) async fn remove(client: &mut Client, listener: &Listener) -> Result<(), String> {
    let by_hand = |why: &str| {
        format!("the demo's control URL is still registered ({why}): DELETE /v1/control-url removes it")
    };
    match client.control_url().await {
        Ok(Ok(Some(url))) if url == listener.control_url() => {}
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(refused)) => return Err(by_hand(&refused.0)),
        Err(error) => return Err(by_hand(&error)),
    }
    match client.delete_control_url().await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refused)) => Err(by_hand(&refused.0)),
        Err(error) => Err(by_hand(&error)),
    }
}
