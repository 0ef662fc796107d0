//! Guards against hot paths that grow slower unnoticed: `make guards`.
//!
//! Time on a busy machine says little, so instructions are counted, by valgrind. Each path is run as a program of its
//! own, once for some rounds and once for twice as many: the difference is what the rounds took, without the start and
//! the filling of a store. The limits are plain numbers in `limits.toml`; they leave room for another compiler and
//! another processor (SQLite, zstd and the copying of memory choose their code by it). There are two for each path:
//! with optimization, and without, for which everything is built already when the tests have run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]

mod paths;
mod samples;
mod sip;

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use paths::HotPath;

/// What a limit is more than the figure it was made of.
const ROOM: f64 = 1.15;
/// Below this part of its limit a path has become so much faster that the limit guards it no more.
const SLACK: f64 = 0.75;
/// What the file of limits begins with.
const HEAD: &str = "\
# The most instructions that each hot path may take: 1.15 times what was measured, in three digits.
# Written by `PEGCOUNT_WRITE_LIMITS=1 make guards`, and with `PROFILE=bench` for the optimized ones.
# A limit that has to rise is a decision: say in the commit what it buys.
";

/// What an event of a long call may take more than one of a short call.
const STEEPEST: f64 = 1.5;

/// How this program is told to run a path instead of judging all of them.
const RUN: &str = "PEGCOUNT_GUARDED_PATH";
const ROUNDS: &str = "PEGCOUNT_GUARDED_ROUNDS";
/// How it is told to write the limits anew.
const WRITE: &str = "PEGCOUNT_WRITE_LIMITS";

/// By whether it was optimized, by path.
type Limits = BTreeMap<String, BTreeMap<String, u64>>;

/// Which limits hold for this program.
const BUILD: &str = if cfg!(debug_assertions) { "unoptimized" } else { "optimized" };

fn main() -> ExitCode {
    let done = match env::var(RUN) {
        Ok(name) => run(&name),
        Err(_) => judge(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What valgrind counts: some rounds of one path.
fn run(name: &str) -> Result<(), Box<dyn Error>> {
    let path = HotPath::ALL.iter().find(|path| path.name() == name).ok_or("there is no such path")?;
    path.run(env::var(ROUNDS)?.parse()?)
}

fn limits_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guards/limits.toml")
}

fn judge() -> Result<(), Box<dyn Error>> {
    let mut taken = BTreeMap::new();
    for path in HotPath::ALL {
        taken.insert(path, instructions(path)?);
    }
    let mut limits: Limits = toml::from_str(&fs::read_to_string(limits_file())?)?;
    if env::var_os(WRITE).is_some() {
        let anew = taken.iter().map(|(path, taken)| (path.name().to_owned(), limit_of(*taken)));
        limits.insert(BUILD.to_owned(), anew.collect());
        fs::write(limits_file(), format!("{HEAD}{}", toml::to_string(&limits)?))?;
    }
    let limits = limits.remove(BUILD).unwrap_or_default();
    let mut complaints = Vec::new();
    println!("{:<20} {:>12} {:>12}", "instructions, once", "taken", "limit");
    for (path, taken) in &taken {
        let limit = *limits.get(path.name()).ok_or_else(|| format!("{} has no limit", path.name()))?;
        println!("{:<20} {taken:>12} {limit:>12}", path.name());
        if *taken > limit {
            complaints.push(format!("{} takes {taken} instructions, more than {limit}", path.name()));
        } else if (*taken as f64) < limit as f64 * SLACK {
            println!("  well below its limit: lower it, with {WRITE}=1 make guards");
        }
    }
    let an_event = |path: HotPath, events: u32| taken[&path] as f64 / f64::from(events);
    let few = an_event(HotPath::FoldFew, samples::FEW);
    let many = an_event(HotPath::FoldMany, samples::MANY);
    println!("an event's fold: {few:.0} in a short call, {many:.0} in a long one");
    if many > few * STEEPEST {
        complaints.push(
            "an event of a long call costs more than one of a short call: the fold is not linear".into(),
        );
    }
    if complaints.is_empty() {
        return Ok(());
    }
    complaints.push(format!(
        "Make it cheaper; if it is worth its price, say so in the commit and write the limits anew: {WRITE}=1 make guards"
    ));
    Err(complaints.join("\n").into())
}

/// What one round of a path takes. Both runs go at once: the machine has a core for each, and counts do not mind.
fn instructions(path: HotPath) -> Result<u64, Box<dyn Error>> {
    let rounds = path.rounds();
    let (once, twice) = (counted(path, rounds)?, counted(path, 2 * rounds)?);
    let (once, twice) = (count_of(once)?, count_of(twice)?);
    Ok(twice.saturating_sub(once) / u64::from(rounds))
}

fn counted(path: HotPath, rounds: u32) -> Result<Child, Box<dyn Error>> {
    let valgrind = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .env(RUN, path.name())
        .env(ROUNDS, rounds.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    valgrind.map_err(|error| {
        format!("valgrind cannot be run: {error}; on Debian: apt-get install valgrind").into()
    })
}

/// The number in valgrind's line `==1== I   refs:      1,234`.
fn count_of(run: Child) -> Result<u64, Box<dyn Error>> {
    let output = run.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("a path failed: {said}").into());
    }
    let line = said.lines().find(|line| line.contains("I ") && line.contains("refs:"));
    let number = line.and_then(|line| line.rsplit(' ').next()).ok_or("valgrind counted nothing")?;
    Ok(number.replace(',', "").parse()?)
}

/// With room above what was measured, in three digits.
fn limit_of(taken: u64) -> u64 {
    let limit = (taken as f64 * ROOM) as u64;
    let step = 10_u64.pow(limit.checked_ilog10().unwrap_or_default().saturating_sub(2));
    limit.div_ceil(step) * step
}
