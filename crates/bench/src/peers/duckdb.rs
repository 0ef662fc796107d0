//! `DuckDB`, asked through its Python package: the same calls, the same questions.

use std::{path::Path, process::Command, time::Duration};

use pegcount_calls::{Direction, Range, StatCell, Stats, Status};
use serde::Deserialize;

use crate::{
    store::{
        filled::{Filled, difference},
        reads::{ASKED, PAGE, Raw, deep_offset, odd_range, whole_year},
    },
    table::{Figure, Results},
};

const SCRIPT: &str = include_str!("duckdb.py");
const THREADS: u32 = 2;

/// What the script says.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Times { name: String, times: Vec<f64> },
    Cells { cells: String, rows: Vec<[u64; 6]> },
    Version { version: String },
}

/// Asks everything, and checks what it answers.
///
/// # Errors
/// When the interpreter or the package is not there, or it answers otherwise than the rows do.
pub fn run(python: &Path, filled: &Filled, results: &Results) -> Result<(), String> {
    let raw = Raw::of(filled)?;
    let bounds = |range: Range| [range.from.unwrap_or_default(), range.to.unwrap_or_default()];
    let ([begin, end], [odd_begin, odd_end]) = (bounds(whole_year()), bounds(odd_range()));
    let mut command = Command::new(python);
    command.args(["-c", SCRIPT]).arg(filled.csv()).arg(filled.folder().join("calls.duckdb"));
    command
        .args([i64::from(THREADS), ASKED.0, begin, end, odd_begin, odd_end].map(|number| number.to_string()));
    command.args([deep_offset(raw.total()), PAGE.into()].map(|number: u64| number.to_string()));
    let output = command.output().map_err(|error| format!("{}: {error}", python.display()))?;
    if !output.status.success() {
        return Err(format!("DuckDB: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let answers = said
        .lines()
        .map(|line| serde_json::from_str(line).map_err(|error| format!("DuckDB: {line}: {error}")));
    let answers: Vec<Answer> = answers.collect::<Result<_, _>>()?;
    let version = answers.iter().find_map(|answer| match answer {
        Answer::Version { version } => Some(version.as_str()),
        Answer::Times { .. } | Answer::Cells { .. } => None,
    });
    let note = format!("DuckDB {}, {THREADS} threads", version.unwrap_or("of unknown version"));
    for answer in &answers {
        match answer {
            Answer::Times { name, times } => {
                let times: Vec<Duration> =
                    times.iter().map(|micros| Duration::from_secs_f64(micros / 1e6)).collect();
                let figure = Figure::of_times(&format!("{name}, DuckDB"), &times);
                results.put(figure.at(filled.calls).with_note(&note))?;
            }
            Answer::Cells { cells, rows } => {
                let raw = if cells.starts_with("odd") { &raw.odd } else { &raw.year };
                let apart = difference(&read(rows), raw);
                if apart != 0 {
                    return Err(format!("{cells}: DuckDB is {apart} units apart from the rows it was given"));
                }
            }
            Answer::Version { .. } => {}
        }
    }
    Ok(())
}

/// Rows of status, direction, calls, answered, talk seconds and cost.
fn read(rows: &[[u64; 6]]) -> Stats {
    let mut stats = Stats::default();
    for [status, direction, calls, answered, talk_seconds, cost] in rows.iter().copied() {
        let known = usize::try_from(status).ok().and_then(|place| Status::ALL.get(place));
        let direction = if direction == 1 { Direction::Outbound } else { Direction::Inbound };
        if let Some(status) = known {
            let cell = StatCell { calls, answered, talk_seconds, cost_nanos: cost.into() };
            stats.add(*status, direction, &cell);
        }
    }
    stats
}
