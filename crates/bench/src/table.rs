//! The measured figures: kept as JSON lines, shown as one table.
//!
//! Each bench is a process of its own and puts its figures into the same file, `results.jsonl`; a figure replaces the
//! one of its name and number of calls. The table then holds each against its peer and its target.

use std::{fs, io::ErrorKind, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::targets::{Against, TARGETS, Target, short};

/// Fewer runs than this are no figure, unless it is a count or a size.
pub const FEWEST_RUNS: usize = 5;

/// A measured figure, or one that could not be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured; its peer's name is this, a comma and the peer.
    pub name: String,
    /// How many calls the store held, or how many there were at once, where that matters.
    pub calls: Option<u64>,
    /// The unit.
    pub unit: String,
    /// What came out; `None` when it was not measured.
    pub measured: Option<Measured>,
    /// What should be known with it, or why it was not measured.
    pub note: Option<String>,
    /// Which run of `make bench` it comes from.
    pub run: String,
    /// What it is held against; filled in by the table.
    #[serde(default)]
    pub held: Vec<Held>,
}

/// What came out of several runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How many runs.
    pub runs: usize,
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

/// A figure against its peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The peer's figure, or nothing where the figure itself is bounded.
    pub peer: Option<String>,
    /// How many times the peer; `None` when either was not measured, and where there is no peer.
    pub ratio: Option<f64>,
    /// What it is to reach.
    pub target: String,
    /// Whether it does.
    pub met: Option<bool>,
}

impl Measured {
    /// Of these values; `None` when there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (low, high) = (values.first().copied()?, values.last().copied()?);
        let median = values.get(values.len() / 2).copied()?;
        Some(Self { runs: values.len(), median, low, high })
    }
}

impl Figure {
    /// A figure in microseconds out of times.
    pub fn of_times(name: &str, times: &[Duration]) -> Self {
        Self::of(name, "us", times.iter().map(|time| time.as_secs_f64() * 1e6).collect())
    }

    /// A figure out of the values of its runs.
    pub fn of(name: &str, unit: &str, values: Vec<f64>) -> Self {
        Self {
            name: name.to_owned(),
            calls: None,
            unit: unit.to_owned(),
            measured: Measured::of(values),
            note: None,
            run: String::new(),
            held: Vec::new(),
        }
    }

    /// A figure that could not be measured.
    pub fn missing(name: &str, why: &str) -> Self {
        Self::of(name, "", Vec::new()).with_note(why)
    }

    /// With the number of calls that the store held.
    #[must_use]
    pub fn at(mut self, calls: u64) -> Self {
        self.calls = Some(calls);
        self
    }

    /// With what should be known.
    #[must_use]
    pub fn with_note(mut self, note: &str) -> Self {
        self.note = Some(note.to_owned());
        self
    }
}

/// The file of figures.
pub struct Results {
    path: PathBuf,
    run: String,
}

impl Results {
    /// The file in this folder, written by this run.
    pub fn within(folder: &std::path::Path, run: &str) -> Self {
        Self { path: folder.join("results.jsonl"), run: run.to_owned() }
    }

    /// Keeps a figure and says it.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    #[expect(clippy::print_stdout, reason = "a bench says its figures as they come")]
    pub fn put(&self, mut figure: Figure) -> Result<(), String> {
        figure.run.clone_from(&self.run);
        println!("{}", line_of(&figure, &self.run).join("  "));
        let mut all = self.all()?;
        all.retain(|known| (&known.name, known.calls) != (&figure.name, figure.calls));
        all.push(figure);
        self.write(&all)
    }

    /// Every figure.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self) -> Result<Vec<Figure>, String> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{}: {error}", self.path.display())),
        };
        let read =
            |line| serde_json::from_str(line).map_err(|error| format!("{}: {error}", self.path.display()));
        text.lines().map(read).collect()
    }

    /// Holds every figure against its peers, keeps what came of it, and shows the table.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    #[expect(clippy::print_stdout, reason = "the table is what it is for")]
    pub fn show(&self) -> Result<(), String> {
        let mut all = self.all()?;
        let known = all.clone();
        for figure in &mut all {
            let targets = TARGETS.iter().filter(|target| target.figure == figure.name);
            figure.held = targets.filter_map(|target| hold(figure, target, &known)).collect();
        }
        self.write(&all)?;
        println!("{}", laid_out(&all, &self.run));
        Ok(())
    }

    fn write(&self, all: &[Figure]) -> Result<(), String> {
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", self.path.display());
        let lines: Result<Vec<String>, _> = all.iter().map(serde_json::to_string).collect();
        let text = lines.map_err(|error| failed(&error))?.join("\n") + "\n";
        fs::write(&self.path, text).map_err(|error| failed(&error))
    }
}

/// A figure against one target; `None` where it would be held against itself.
fn hold(figure: &Figure, target: &Target, known: &[Figure]) -> Option<Held> {
    let find = |name: &str, calls| known.iter().find(|one| one.name == name && one.calls == calls);
    let median = |figure: &Figure| figure.measured.map(|measured| measured.median);
    let (peer, other) = match target.against {
        // A peer that holds no calls is the same beside every store.
        Against::Figure(name) => {
            (Some(name.to_owned()), find(name, figure.calls).or_else(|| find(name, None)))
        }
        Against::ItselfAt(calls) if figure.calls == Some(calls) => return None,
        Against::ItselfAt(calls) => {
            (Some(format!("itself at {calls} calls")), find(&figure.name, Some(calls)))
        }
        Against::Nothing => (None, None),
    };
    let ratio = other.and_then(median).zip(median(figure)).map(|(peer, ours)| ours / peer);
    let judged = if peer.is_some() { ratio } else { median(figure) };
    if figure.calls.is_some_and(|calls| calls < target.from_calls) {
        let target = format!("{} at {} calls", target.reach, target.from_calls);
        return Some(Held { peer, ratio, target, met: None });
    }
    let met = judged.and_then(|value| target.reach.is_met_by(value));
    Some(Held { peer, ratio, target: target.reach.to_string(), met })
}

const HEADINGS: [&str; 10] =
    ["figure", "calls", "median", "unit", "low-high", "runs", "of peer", "ratio", "target", "note"];

/// The cells of a figure; several lines where it is held against several peers.
fn rows_of(figure: &Figure, run: &str) -> Vec<Vec<String>> {
    let mut first = line_of(figure, run);
    let note = first.pop().unwrap_or_default();
    let mut rows = Vec::new();
    for held in &figure.held {
        let mut row = if rows.is_empty() { first.clone() } else { vec![String::new(); first.len()] };
        row.push(held.peer.clone().unwrap_or_default());
        row.push(match (&held.peer, held.ratio) {
            (None, _) => String::new(),
            (Some(_), Some(ratio)) => short(ratio),
            (Some(_), None) => "not measured".to_owned(),
        });
        let met = match held.met {
            Some(true) => ": met",
            Some(false) => ": NOT MET",
            None => "",
        };
        row.push(format!("{}{met}", held.target));
        row.push(if rows.is_empty() { note.clone() } else { String::new() });
        rows.push(row);
    }
    if rows.is_empty() {
        first.extend([String::new(), String::new(), String::new(), note]);
        rows.push(first);
    }
    rows
}

/// What is said of a figure before it is held against anything.
fn line_of(figure: &Figure, run: &str) -> Vec<String> {
    let calls = figure.calls.map_or_else(String::new, |calls| calls.to_string());
    let earlier = if figure.run == run { "" } else { "of an earlier run; " };
    let note = format!("{earlier}{}", figure.note.as_deref().unwrap_or_default());
    let measured = figure.measured.map(|all| {
        [
            short(all.median),
            figure.unit.clone(),
            format!("{}-{}", short(all.low), short(all.high)),
            all.runs.to_string(),
        ]
    });
    let measured = measured.unwrap_or_else(|| ["not measured", "", "", ""].map(str::to_owned));
    [figure.name.clone(), calls].into_iter().chain(measured).chain([note]).collect()
}

fn laid_out(figures: &[Figure], run: &str) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    rows.extend(figures.iter().flat_map(|figure| rows_of(figure, run)));
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            // Numbers to the right.
            1 | 2 | 5 => format!("{cell:>width$}"),
            _ => format!("{cell:width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_held_against_the_peer_of_as_many_calls() {
        let ours = Figure::of("year statistics", "us", vec![1.0, 3.0, 2.0, 2.0, 2.0]).at(10);
        let peer = |calls, value| Figure::of("year statistics, DuckDB", "us", vec![value]).at(calls);
        let known = [ours.clone(), peer(20, 1.0), peer(10, 4_000.0)];
        let targets = TARGETS.iter().filter(|target| target.figure == ours.name);
        let held: Vec<Held> = targets.filter_map(|target| hold(&ours, target, &known)).collect();
        assert_eq!(held[0].ratio, Some(0.0005));
        assert_eq!(held[0].met, None, "ten calls are no large store");
        assert_eq!((held[1].ratio, held[1].met), (None, None), "there is none at a million");
    }

    #[test]
    fn a_figure_replaces_the_one_of_its_name_and_a_missing_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let results = Results::within(folder.path(), "1");
        results.put(Figure::of("ingest", "events/s", vec![5.0; 5])).unwrap();
        results.put(Figure::of("ingest", "events/s", vec![7.0; 5])).unwrap();
        results.put(Figure::missing("ingest, PostgreSQL", "it is not installed")).unwrap();
        results.show().unwrap();
        let all = results.all().unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].measured.unwrap().median, 7.0);
        assert_eq!(all[0].held[0].met, None);
        let table = laid_out(&all, "1");
        assert!(table.contains("not measured"), "{table}");
        assert!(table.contains("it is not installed"), "{table}");
    }

    #[test]
    fn numbers_are_written_as_people_write_them() {
        let written = [0.0, 1.0, 0.002, 1500.4, 12.34, 3.0, 100.0, 1.5].map(short);
        assert_eq!(written, ["0", "1", "0.002", "1500", "12.3", "3", "100", "1.5"]);
    }
}
