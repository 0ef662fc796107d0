//! Calls with media on both sides, all of them recorded: what is lost, what a call takes in memory, and whether each has
//! its recording.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;

use super::{LOOK, Network, gateway::Gateway, media::Media, media::Passed, party::Party};
use crate::table::{Figure, Results};

/// New calls each second.
const RATE: u32 = 100;
/// Calls before what is measured, so that what is made once for all is there.
const BEFORE: u32 = 10;
/// How long those last.
const BEFORE_LASTS: Duration = Duration::from_secs(2);
/// How long packets may be on their way, and the ledger may take to be told of an end.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a call's recording may take, each after the other.
const EACH_RECORDING: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// How many calls at once.
    #[arg(long, default_value_t = 300)]
    calls: u32,
    /// How long all of them are there, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

/// Both sides of all calls.
pub struct Sides {
    /// Who calls.
    pub caller: Party,
    /// Who is called.
    pub callee: Party,
    /// What the callers say and hear.
    pub callers: Media,
    /// What the callees say and hear.
    pub callees: Media,
}

/// The numbers of the sources of both sides of a call.
pub fn sources(number: u32) -> [u32; 2] {
    [2 * number, 2 * number + 1]
}

impl Sides {
    /// Opens both, and makes the number lead to the callee.
    ///
    /// # Errors
    /// When there are no sockets, or the gateway does not take the callee.
    pub async fn open(network: Network, gateway: &mut Gateway) -> Result<Self, String> {
        let (callers, callees) = (Media::open(network.caller())?, Media::open(network.callee())?);
        let caller = Party::open(network.caller(), gateway.address, callers.address)?;
        let callee = Party::open(network.callee(), gateway.address, callees.address)?;
        gateway.lead_to(callee.address()).await?;
        Ok(Self { caller, callee, callers, callees })
    }

    /// Speaks in a call on both sides.
    ///
    /// # Errors
    /// When the callee was never called.
    pub fn speak(&self, number: u32, callee_heard: std::net::SocketAddr) -> Result<(), String> {
        let heard = self.callee.heard(number).ok_or("a call came from a number that nobody has")?;
        let [caller, callee] = sources(number);
        self.callers.speak(caller, callee_heard);
        self.callees.speak(callee, heard);
        Ok(())
    }

    /// What has passed in both directions.
    pub fn passed(&self) -> Passed {
        let [one, other] = [self.callers.passed_to(&self.callees), self.callees.passed_to(&self.callers)];
        Passed {
            sent: one.sent + other.sent,
            heard: one.heard + other.heard,
            faults: one.faults + other.faults,
        }
    }
}

/// Measures it.
///
/// # Errors
/// When a program does not start or end, or a call is not answered.
pub async fn run(folder: &Path, asked: Asked, results: &Results) -> Result<(), String> {
    let network = Network::of_this_process();
    let mut gateway = Gateway::start(folder, network, true).await?;
    let sides = Sides::open(network, &mut gateway).await?;
    talk(&sides, &gateway, 0..BEFORE, BEFORE_LASTS).await?;
    gateway.settled(BEFORE.into(), PATIENCE).await?;
    recordings(&mut gateway, BEFORE).await?;
    let before = gateway.anonymous_kib()?;
    let numbers = BEFORE..BEFORE + asked.calls;
    let during = talk(&sides, &gateway, numbers, Duration::from_secs(asked.seconds)).await?;
    let hung_up = Instant::now();
    let all = BEFORE + asked.calls;
    let known = gateway.settled(all.into(), PATIENCE).await?;
    let with_recording = recordings(&mut gateway, all).await?;
    let took = hung_up.elapsed();
    let mut counts = Vec::new();
    for name in [
        "pegcount_rtp_received_total",
        "pegcount_rtp_relayed_total",
        "pegcount_recording_frames_dropped_total",
        "pegcount_recording_disk_errors_total",
        "pegcount_recordings_cut_total",
    ] {
        counts.push(gateway.metric(name).await?);
    }
    let [received, relayed, dropped, errors, cut] = counts[..] else { return Err("no counts".to_owned()) };
    gateway.stop().await?;
    let passed = sides.passed();
    let put = |name: &str, unit: &str, value: f64, note: &str| {
        results.put(Figure::of(name, unit, vec![value]).at(asked.calls.into()).with_note(note))
    };
    let note = format!(
        "of {} sent, {} heard; the gateway received {received} and relayed {relayed}, with {:.0} % of a core for SIP and \
         media, {:.0} % for all",
        passed.sent,
        passed.heard,
        during.sip * 100.0,
        during.whole * 100.0
    );
    put("recorded calls, packets lost", "packets", passed.faults as f64, &note)?;
    let note = "frames dropped, refused by the disk, or cut off";
    put("recorded calls, lost to the journals", "frames", (dropped + errors + cut) as f64, note)?;
    let each = during.kib.saturating_sub(before) as f64 / f64::from(asked.calls.max(1));
    put("memory of a recorded call", "KiB", each, "anonymous memory, the ledger's too")?;
    let missing = u64::from(all).abs_diff(known.completed);
    put("recorded calls, not completed in the ledger", "calls", missing as f64, "")?;
    let missing = all.abs_diff(with_recording);
    let note = format!("all were there {:.1} s after the last call", took.as_secs_f64());
    put("recorded calls without a recording", "calls", missing.into(), &note)
}

/// What the program took while all calls were there.
struct During {
    kib: u64,
    /// Of a core.
    sip: f64,
    whole: f64,
}

/// Has calls with media, all at once for so long.
async fn talk(
    sides: &Sides,
    gateway: &Gateway,
    numbers: std::ops::Range<u32>,
    lasts: Duration,
) -> Result<During, String> {
    let calls = sides.caller.call_all(numbers, RATE).await?;
    for call in &calls {
        sides.speak(call.number, call.media)?;
    }
    let (begun, used) = (Instant::now(), gateway.used()?);
    tokio::time::sleep(lasts).await;
    let (took, used) = (begun.elapsed().as_secs_f64(), gateway.used()?.since(used));
    let share = |of: Duration| of.as_secs_f64() / took;
    let during = During { kib: gateway.anonymous_kib()?, sip: share(used.sip), whole: share(used.whole) };
    sides.callers.hush_all();
    sides.callees.hush_all();
    let hushed = Instant::now();
    while sides.passed().faults > 0 && hushed.elapsed() < PATIENCE / 10 {
        tokio::time::sleep(LOOK).await;
    }
    for call in calls {
        sides.caller.hang_up(call).await?;
    }
    Ok(during)
}

/// Waits until so many calls have a recording; how many have.
async fn recordings(gateway: &mut Gateway, wanted: u32) -> Result<u32, String> {
    let begun = Instant::now();
    loop {
        let rows = gateway.rows("/v1/calls").await?;
        let known = rows.iter().filter(|row| row["recording_url"].is_string()).count();
        let known = u32::try_from(known).unwrap_or(u32::MAX);
        if known >= wanted || begun.elapsed() > PATIENCE + EACH_RECORDING * wanted {
            return Ok(known);
        }
        tokio::time::sleep(20 * LOOK).await;
    }
}
