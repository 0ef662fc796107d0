//! How soon there is a recording of a call: real ones, in real time, that end one after the other.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use clap::Args;

use super::{
    LOOK, Network,
    gateway::Gateway,
    party::{Call, shown},
    recorded::{Sides, sources},
};
use crate::table::{Figure, Results};

/// How long a recording may take, and a call to be known.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// How long a call is, in seconds.
    #[arg(long, default_value_t = 180)]
    seconds: u64,
    /// How many calls there are.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// How long after the one before each of them begins and ends, in seconds.
    #[arg(long, default_value_t = 4)]
    apart: u64,
}

/// Measures it.
///
/// # Errors
/// When a program does not start or end, a call is not answered, or there is no recording.
pub async fn run(folder: &Path, asked: Asked, results: &Results) -> Result<(), String> {
    let network = Network::of_this_process();
    let mut gateway = Gateway::start(folder, network, true).await?;
    let sides = Sides::open(network, &mut gateway).await?;
    let mut calls = Vec::new();
    let begin = tokio::time::Instant::now();
    for round in 0..asked.rounds {
        tokio::time::sleep_until(begin + Duration::from_secs(asked.apart) * round).await;
        for call in sides.caller.call_all(round..round + 1, 1).await? {
            sides.speak(call.number, call.media)?;
            calls.push((call, tokio::time::Instant::now() + Duration::from_secs(asked.seconds)));
        }
    }
    let (mut times, mut formats, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
    for (call, end) in calls {
        let path = path_of(&mut gateway, call.number).await?;
        tokio::time::sleep_until(end).await;
        times.push(recording(&mut gateway, &sides, call, &path).await?);
        let recording = gateway.get(&format!("{path}/recording")).await?;
        formats.push(recording["format"].as_str().unwrap_or_default().to_owned());
        lengths.push(recording["duration_seconds"].as_f64().unwrap_or_default());
    }
    gateway.stop().await?;
    let name = format!("MP3 of a call of {} s", asked.seconds);
    if let Some(other) = formats.iter().find(|format| *format != "mp3") {
        return results.put(Figure::missing(&name, &format!("recordings are {other}: LAME cannot be had")));
    }
    let shortest = lengths.iter().copied().fold(f64::INFINITY, f64::min);
    let note = format!("from BYE until the call shows it; the shortest has {shortest:.1} s");
    results.put(Figure::of(&name, "ms", times).with_note(&note))
}

/// Where the call of this number is.
async fn path_of(gateway: &mut Gateway, number: u32) -> Result<String, String> {
    let from = shown(number);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let rows = gateway.rows("/v1/live").await?;
        let row = rows.iter().find(|row| row["from_number"] == from);
        if let Some(id) = row.and_then(|row| row["id"].as_str()) {
            return Ok(format!("/v1/calls/{id}"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("the call from {from} is not known"))
}

/// Hangs a call up; how many milliseconds later it has its recording.
async fn recording(gateway: &mut Gateway, sides: &Sides, call: Call, path: &str) -> Result<f64, String> {
    let [caller, callee] = sources(call.number);
    sides.callers.hush(caller);
    sides.callees.hush(callee);
    let begun = Instant::now();
    sides.caller.hang_up(call).await?;
    while begun.elapsed() < PATIENCE {
        if gateway.get(path).await?["recording_url"].is_string() {
            return Ok(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        tokio::time::sleep(LOOK).await;
    }
    Err(format!("{path} has no recording"))
}
