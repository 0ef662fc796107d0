//! Guards against hot paths that grow slower unnoticed: `make guards`.
//!
//! Time on a busy machine says little, so instructions are counted, by valgrind. Each path is run as a program of its
//! own, once for some rounds and once for twice as many: the difference is what the rounds took, without the start and
//! the filling of a store. The limits are plain numbers in `limits.toml`; they leave room for another compiler and
//! another processor (SQLite, zstd and the copying of memory choose their code by it). There are two for each path:
//! with optimization, and without, for which everything is built already when the tests have run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are what it is for")]

mod long_call;
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

/// What an event of a call with very many events may take more than one of a call with a thousand.
const STEEPEST_OF_LONG_CALLS: f64 = 1.2;
/// How many events the two calls have.
const LONG_CALLS: [u32; 2] = [1_000, 19_000];
/// Enough that what the two runs take for reading the call may differ a little.
const LONG_CALL_ROUNDS: u32 = 200;

/// How this program is told to run a path instead of judging all of them.
const RUN: &str = "PEGCOUNT_GUARDED_PATH";
const ROUNDS: &str = "PEGCOUNT_GUARDED_ROUNDS";
/// How it is told to take in events of a call with so many, instead of running a path; and in which folder its store lies.
const LONG_CALL: &str = "PEGCOUNT_GUARDED_LONG_CALL";
const FOLDER: &str = "PEGCOUNT_GUARDED_FOLDER";
/// How it is told to write the limits anew.
const WRITE: &str = "PEGCOUNT_WRITE_LIMITS";

/// By whether it was optimized, by path.
type Limits = BTreeMap<String, BTreeMap<String, u64>>;

/// Which limits hold for this program.
const BUILD: &str = if cfg!(debug_assertions) { "unoptimized" } else { "optimized" };

fn main() -> ExitCode {
    let done = match (env::var(RUN), env::var(LONG_CALL)) {
        (Ok(name), _) => run(&name),
        (Err(_), Ok(events)) => run_long_call(&events),
        (Err(_), Err(_)) => judge(),
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

/// The same of the events of a long call.
fn run_long_call(events: &str) -> Result<(), Box<dyn Error>> {
    long_call::take(Path::new(&env::var(FOLDER)?), events.parse()?, env::var(ROUNDS)?.parse()?)
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
    let [short, long] = LONG_CALLS.map(event_of_long_call);
    let (short, long) = (short?, long?);
    let [few, many] = LONG_CALLS;
    println!("an event taken in: {short} in a call with {few} events, {long} in one with {many}");
    if long as f64 > short as f64 * STEEPEST_OF_LONG_CALLS {
        complaints.push("the cost of an event grows with its call".into());
    }
    if complaints.is_empty() {
        return Ok(());
    }
    complaints.push(format!(
        "Make it cheaper; if it is worth its price, say so in the commit and write the limits anew: {WRITE}=1 make guards"
    ));
    Err(complaints.join("\n").into())
}

/// What one round of a path takes.
fn instructions(path: HotPath) -> Result<u64, Box<dyn Error>> {
    once_and_twice(path.rounds(), |rounds| counted(rounds, &[(RUN, path.name())]))
}

/// What one event of a call with so many takes. The store is filled outside valgrind, which would take long.
fn event_of_long_call(events: u32) -> Result<u64, Box<dyn Error>> {
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [mut first, mut second] = folders.each_ref().map(Some);
    for folder in &folders {
        long_call::fill(folder.path(), events)?;
    }
    once_and_twice(LONG_CALL_ROUNDS, |rounds| {
        let folder = first.take().or_else(|| second.take()).ok_or("there are two runs")?;
        let path = folder.path().to_str().ok_or("the folder is not UTF-8")?;
        counted(rounds, &[(LONG_CALL, &events.to_string()), (FOLDER, path)])
    })
}

/// What one round takes. Both runs go at once: the machine has a core for each, and counts do not mind.
fn once_and_twice(
    rounds: u32,
    mut counted: impl FnMut(u32) -> Result<Child, Box<dyn Error>>,
) -> Result<u64, Box<dyn Error>> {
    let (once, twice) = (counted(rounds)?, counted(2 * rounds)?);
    let (once, twice) = (count_of(once)?, count_of(twice)?);
    Ok(twice.saturating_sub(once) / u64::from(rounds))
}

fn counted(rounds: u32, what: &[(&str, &str)]) -> Result<Child, Box<dyn Error>> {
    let valgrind = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(env::current_exe()?)
        .envs(what.iter().copied())
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
