//! How many requests the program answers in a second, against its own answer that nothing is looked up for. The load is
//! wrk's: the program and its client share the machine.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use super::{failed, program::Program};
use crate::{
    calls,
    store::filled::Filled,
    table::{Figure, Results},
};

const ROUNDS: usize = 5;
const SECONDS: u64 = 4;
const CONNECTIONS: u64 = 32;
/// How many different calls are asked for.
const ASKED_FOR: u64 = 5_000;
/// The largest organization.
const LARGEST: i64 = 1;

/// Measures it.
///
/// # Errors
/// When the server or wrk does not start.
pub async fn run(filled: &Filled, results: &Results) -> Result<(), String> {
    let script = filled.folder().join("calls.lua");
    fs::write(&script, script_for(filled)?).map_err(|error| failed("the script", &error))?;
    let program = Program::start(filled).await?;
    // Round by round, so that a slow moment of the machine is everybody's.
    let asked = [
        ("hello: /healthz", "/healthz", None),
        ("GET one call", "/", Some(script.as_path())),
        ("GET list of 20", "/v1/calls?limit=20", None),
        ("GET statistics", "/v1/calls/stats", None),
    ];
    let mut rates = vec![Vec::with_capacity(ROUNDS); asked.len()];
    for _ in 0..ROUNDS {
        for ((_, path, script), rates) in asked.iter().zip(&mut rates) {
            rates.push(wrk(&program, path, *script)?);
        }
    }
    program.stop().await?;
    for ((name, ..), rates) in asked.iter().zip(rates) {
        results.put(Figure::of(name, "requests/s", rates).at(filled.calls))?;
    }
    Ok(())
}

/// Asks for one call of the largest organization after the other, spread over all of them.
fn script_for(filled: &Filled) -> Result<String, String> {
    let mut script = String::from("local names = {\n");
    let step = (filled.calls / ASKED_FOR).max(1);
    for (number, row) in (0_u64..).zip(filled.rows()?) {
        if number.is_multiple_of(step) && row?.organization == LARGEST {
            writeln!(script, "\"{}\",", calls::name(number)?)
                .map_err(|error| failed("the script", &error))?;
        }
    }
    script.push_str(
        "}\nlocal next = 0\nfunction request()\n  next = next % #names + 1\n  \
         return wrk.format(\"GET\", \"/v1/calls/\" .. names[next])\nend\n",
    );
    Ok(script)
}

fn wrk(program: &Program, path: &str, script: Option<&Path>) -> Result<f64, String> {
    let mut command = Command::new("wrk");
    command.arg("-t1").arg(format!("-c{CONNECTIONS}")).arg(format!("-d{SECONDS}s"));
    command.arg("-H").arg(format!("x-api-key: {}", program.key));
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    // Nothing else is done here meanwhile.
    let output = command.arg(format!("http://{}{path}", program.http)).output();
    let output = output.map_err(|error| failed("wrk", &error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.contains("Non-2xx") {
        return Err(format!("{path} was refused: {said}"));
    }
    let rate = said.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    let rate = rate.and_then(|rate| rate.trim().parse().ok());
    rate.ok_or_else(|| format!("wrk did not measure {path}: {said}"))
}
