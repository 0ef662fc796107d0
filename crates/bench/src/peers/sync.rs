//! The least that durability costs: a bare append of 4 KiB and an fdatasync.

use std::{
    fs::OpenOptions,
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use crate::table::{Figure, Results};

const BLOCK: [u8; 4096] = [b'x'; 4096];
const APPENDS: usize = 2_000;
const ROUNDS: usize = 5;

/// Measures it into a file that grows, and into one whose room was taken before.
///
/// # Errors
/// When the disk does not do it.
pub fn run(folder: &Path, results: &Results) -> Result<(), String> {
    for (name, preallocated) in
        [("append and fdatasync", false), ("append and fdatasync, preallocated", true)]
    {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            rounds.push(appends(folder, preallocated).map_err(|error| format!("{name}: {error}"))?);
        }
        let at = |share: usize| {
            let of_round =
                |times: &Vec<Duration>| times.get(times.len() * share / 100).copied().unwrap_or_default();
            rounds.iter().map(of_round).collect::<Vec<_>>()
        };
        results.put(Figure::of_times(&format!("{name}, p50"), &at(50)).with_note("4 KiB"))?;
        results.put(Figure::of_times(&format!("{name}, p99"), &at(99)).with_note("4 KiB"))?;
    }
    Ok(())
}

/// How long each of many takes, the quickest first.
fn appends(folder: &Path, preallocated: bool) -> std::io::Result<Vec<Duration>> {
    let path = folder.join("append.bin");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&path)?;
    if preallocated {
        // Written, not only set aside: blocks that were never written cost a change of the file's records as well.
        for _ in 0..APPENDS {
            file.write_all(&BLOCK)?;
        }
        file.sync_all()?;
        std::io::Seek::rewind(&mut file)?;
    }
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let begun = Instant::now();
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        times.push(begun.elapsed());
    }
    times.sort();
    std::fs::remove_file(&path)?;
    Ok(times)
}
