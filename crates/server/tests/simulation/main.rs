//! The ledger under faults that a seed decides: `make sim`.
//!
//! One thread drives what takes events in, the store with its real engine, the live set and the jobs, step by step, on a disk
//! that fails and crashes (`pegcount-faults`). Whatever is chosen is chosen by the seed, so a seed that finds a fault finds it
//! again: `make sim SEED=123` prints every step and what was done to the disk.
//!
//! - `client.rs`: the source: what it says, and how it is lost, doubled, delayed and reordered on its way.
//! - `machine.rs`: the program between two crashes; `errands.rs`: a kind of work of its own, and the other side of it.
//! - `checks.rs`: what must be true whenever nothing is under way.
//! - `seed.rs`: the steps of a seed.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that fails says why, in its helpers too")]

mod checks;
mod client;
mod errands;
mod machine;
mod seed;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use seed::Run;

/// How many seeds run unless [`SEEDS`] says otherwise.
const FEW: u64 = 300;
/// How many seeds run.
const SEEDS: &str = "PEGCOUNT_SIMULATED_SEEDS";
/// The one seed that runs, and tells its steps.
const SEED: &str = "PEGCOUNT_SIMULATED_SEED";
/// Has all seeds run, though some have failed: how many find a fault is what it is worth.
const ALL: &str = "PEGCOUNT_SIMULATED_ALL";

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number, and is {text:?}")))
}

/// Runs a seed; what it did, and what is wrong, if anything is.
fn run(seed: u64) -> (Run, Option<String>) {
    let mut run = Run::of(seed);
    let wrong = match catch_unwind(AssertUnwindSafe(|| run.go())) {
        Ok(outcome) => outcome.err(),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().cloned();
            let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("it panicked: {}", said.unwrap_or_default()))
        }
    };
    (run, wrong)
}

#[test]
fn whatever_fails_nothing_that_was_acknowledged_is_lost_or_there_twice() {
    if let Some(seed) = number(SEED) {
        let (run, wrong) = run(seed);
        println!("{}", run.story());
        match wrong {
            Some(wrong) => panic!("seed {seed}: {wrong}"),
            None => return println!("seed {seed}: nothing is wrong"),
        }
    }
    let seeds = number(SEEDS).unwrap_or(FEW);
    let (next, failed, crashes) = (AtomicU64::new(0), Mutex::new(Vec::new()), AtomicU64::new(0));
    let (begun, goes_on) = (Instant::now(), env::var_os(ALL).is_some());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while failed.lock().unwrap().is_empty() || goes_on {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        break;
                    }
                    let (run, wrong) = run(seed);
                    crashes.fetch_add(run.crashes, Ordering::Relaxed);
                    if let Some(wrong) = wrong {
                        failed.lock().unwrap().push((seed, wrong, run.story()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let (ran, seconds) = (next.into_inner().min(seeds), begun.elapsed().as_secs_f64());
    let rate = ran as f64 / seconds;
    let crashes = crashes.into_inner();
    println!(
        "{ran} seeds, {crashes} crashes in {seconds:.0} s ({rate:.1} a second), {} failed",
        failed.len()
    );
    for (seed, wrong, _) in &failed {
        println!("seed {seed}: {}", wrong.lines().next().unwrap_or_default());
    }
    if let Some((seed, wrong, story)) = failed.first() {
        panic!("seed {seed} failed: {wrong}\n{story}\nonce more: make sim SEED={seed}");
    }
}

#[test]
fn a_seed_does_the_same_each_time() {
    for seed in 0..8 {
        let [one, other] = [(); 2].map(|()| run(seed).0.story());
        assert_eq!(one, other, "seed {seed}");
    }
}
