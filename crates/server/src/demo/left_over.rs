//! Calls that a killed demonstration left live: found by their endpoints and their silence, and ended as inferred.

use std::{collections::BTreeSet, sync::Arc};

use pegcount_calls::Timestamp;
use serde_json::{Value, json};

use super::{
    client::{Client, Refused},
    scenarios::SCENARIOS,
    sender::{LAST, event},
};
use crate::vocabulary::kinds;

/// Longer than any call of a run that goes on is silent: ringing takes 30 s at most, quality is measured every 15 s, and an
/// unreachable server is waited for. Should one be silent longer, its next event makes it live again.
const SILENT_MS: i64 = 120_000;

/// The ends of silent live calls of the demonstration that are not among `own`, each at the call's last event.
///
/// # Errors
/// The outer: the server cannot be reached. The inner: the key may not read calls.
pub(super) async fn ends(
    client: &mut Client,
    own: &BTreeSet<Arc<str>>,
    now: Timestamp,
) -> Result<Result<Vec<Value>, Refused>, String> {
    let silent_since = now.plus_millis(-SILENT_MS);
    let endpoints: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.agent.id).collect();
    let calls = match client.live_calls(&endpoints.join(","), silent_since).await? {
        Ok(calls) => calls,
        Err(refused) => return Ok(Err(refused)),
    };
    let mut ends = Vec::new();
    for call in calls.into_iter().filter(|call| !own.contains(call.as_str())) {
        match client.last_event(&call).await? {
            Ok(Some(last)) if last <= silent_since => {
                let data = json!({ "inferred": true, "hangup_source": "system", "reason": "demo_killed" });
                ends.push(event(&call, LAST, last, kinds::CALL_COMPLETED, &data));
            }
            // Alive, or gone since.
            Ok(_) => {}
            Err(refused) => return Ok(Err(refused)),
        }
    }
    Ok(Ok(ends))
}
