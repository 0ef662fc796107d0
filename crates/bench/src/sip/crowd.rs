//! Thousands of calls at once, without media: whether all go well, and the memory of one.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    LOOK, Network, folder_in, free_port,
    gateway::Gateway,
    sipp::{Callee, Caller, Load},
};
use crate::{
    serving::sockets::open_as_many_files_as_may_be,
    table::{Figure, Results},
};

/// Sockets of a call: RTP and RTCP of both sides.
const SOCKETS: u64 = 4;
/// Other files that the program may have open.
const OTHER_FILES: u64 = 200;
/// How long the ledger may take to be told of all that happened, after the last call.
const TO_BE_TOLD: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// How many calls at once.
    #[arg(long, default_value_t = 5_000)]
    calls: u32,
    /// New calls each second.
    #[arg(long, default_value_t = 500)]
    rate: u32,
    /// How long all of them are there, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

/// The most that was seen.
#[derive(Clone, Copy, Default)]
struct Peak {
    answered: u64,
    kib: u64,
}

/// Measures it.
///
/// # Errors
/// When a program does not start or end, or tells nothing.
pub async fn run(folder: &Path, asked: Asked, results: &Results) -> Result<(), String> {
    let (calls, note) = as_many_as_fit(asked.calls, open_as_many_files_as_may_be());
    let network = Network::of_this_process();
    let own = folder_in(folder)?;
    let callee_at = free_port(network.callee())?;
    let callee = Callee::start(&own, callee_at).await?;
    let mut gateway = Gateway::start(folder, network, false).await?;
    gateway.lead_to(callee_at).await?;
    let before = gateway.anonymous_kib()?;
    let rate = asked.rate.max(1);
    // The first is still there when the last has been for a while.
    let hold = Duration::from_secs(u64::from(calls.div_ceil(rate) + asked.seconds));
    let load = Load { rate, calls, hold };
    let caller = Caller::start(&own, free_port(network.caller())?, gateway.address, load)?;
    let peak = watch(&mut gateway, load).await?;
    let outcome = caller.ends().await.map_err(|error| format!("{error}; {}", callee.last_words()))?;
    let known = gateway.settled(outcome.successful, TO_BE_TOLD).await?;
    gateway.stop().await?;
    let put = |name: &str, unit: &str, value: f64, more: &str| {
        let note = [note.as_str(), more].iter().filter(|one| !one.is_empty()).copied().collect::<Vec<_>>();
        let figure = Figure::of(name, unit, vec![value]).at(calls.into());
        results.put(if note.is_empty() { figure } else { figure.with_note(&note.join("; ")) })
    };
    let again = format!("sipp sent {} messages again", outcome.sent_again);
    put("calls at once", "calls", peak.answered as f64, "answered, as /v1/live counts them")?;
    put("calls at once, failed", "calls", outcome.failed as f64, &again)?;
    let missing = u64::from(calls).abs_diff(known.completed) as f64;
    put("calls at once, not completed in the ledger", "calls", missing, "")?;
    let each = peak.kib.saturating_sub(before) as f64 / peak.answered.max(1) as f64;
    put("memory of a call without media", "KiB", each, "anonymous memory, the ledger's too")
}

/// Looks at the live calls from the first until the last may have hung up.
async fn watch(gateway: &mut Gateway, load: Load) -> Result<Peak, String> {
    let begun = Instant::now();
    let mut peak = Peak::default();
    while begun.elapsed() < load.time() {
        let (_, answered) = gateway.live().await?;
        if answered > 0 && answered >= peak.answered {
            peak = Peak { answered, kib: gateway.anonymous_kib()?.max(peak.kib) };
        }
        tokio::time::sleep(40 * LOOK).await;
    }
    Ok(peak)
}

/// As many calls as there may be files for, and why they are fewer.
fn as_many_as_fit(calls: u32, files: Option<u64>) -> (u32, String) {
    let fit = files.map(|files| files.saturating_sub(OTHER_FILES) / SOCKETS);
    match (fit.and_then(|fit| u32::try_from(fit).ok()), files) {
        (Some(fit), Some(files)) if fit < calls => {
            let note = format!(
                "not {calls}: the system lets a process open {files} files, and a call takes {SOCKETS} sockets"
            );
            (fit, note)
        }
        _ => (calls, String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_as_many_as_there_are_sockets_for() {
        assert_eq!(as_many_as_fit(5_000, Some(20_400)).0, 5_000);
        assert_eq!(as_many_as_fit(5_000, None), (5_000, String::new()));
        let (calls, note) = as_many_as_fit(5_000, Some(20_000));
        assert_eq!(calls, 4_950);
        assert!(note.contains("20000 files"), "{note}");
    }
}
