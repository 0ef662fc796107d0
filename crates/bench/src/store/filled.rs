//! Where a filled store lies, and what is known of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use pegcount_calls::{Direction, StatCell, Stats, Status, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{calls, table::Figure};

/// The seed of all calls.
pub const SEED: u64 = 20_260_101;
/// Up to so many calls transcripts are as long as they are in life; beyond that they are short, since the disk of a
/// small machine would not hold them.
const CALLS_WITH_WHOLE_TRANSCRIPTS: u64 = 2_000_000;
const WHOLE_TRANSCRIPT: usize = 4_000;
const SHORT_TRANSCRIPT: usize = 200;

/// About how many bytes are spoken in the calls of a store of so many.
pub fn text_bytes_for(calls: u64) -> usize {
    if calls > CALLS_WITH_WHOLE_TRANSCRIPTS { SHORT_TRANSCRIPT } else { WHOLE_TRANSCRIPT }
}

/// A store filled with so many calls, and its folder.
pub struct Filled {
    folder: PathBuf,
    /// How many calls.
    pub calls: u64,
    /// About how many bytes are spoken in each.
    pub text_bytes: usize,
}

/// Written when a store is filled: what it is filled with, and what was measured then.
#[derive(Serialize, Deserialize)]
struct Marker {
    version: u32,
    seed: u64,
    calls: u64,
    text_bytes: usize,
    figures: Vec<Figure>,
}

impl Filled {
    /// The store of so many calls, filled or not.
    pub fn within(folder: &Path, calls: u64, text_bytes: Option<usize>) -> Self {
        let text_bytes = text_bytes.unwrap_or_else(|| text_bytes_for(calls));
        Self { folder: folder.join(format!("calls-{calls}")), calls, text_bytes }
    }

    /// The store's file.
    pub fn path(&self) -> PathBuf {
        self.folder.join("calls.db")
    }

    /// The file of the store's index of words.
    pub fn words(&self) -> PathBuf {
        self.folder.join("calls-words.db")
    }

    /// The same calls as plain rows, for peers.
    pub fn csv(&self) -> PathBuf {
        self.folder.join("calls.csv")
    }

    /// Where peers keep what they make of the rows.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("filled.json")
    }

    /// What was measured when it was filled; `None` when it is not, or with other calls.
    pub fn known(&self) -> Option<Vec<Figure>> {
        let marker: Marker = serde_json::from_slice(&fs::read(self.marker()).ok()?).ok()?;
        let same = (marker.version, marker.seed, marker.calls, marker.text_bytes)
            == (calls::VERSION, SEED, self.calls, self.text_bytes);
        (same && self.path().exists() && self.csv().exists()).then_some(marker.figures)
    }

    /// Begins anew with an empty folder.
    ///
    /// # Errors
    /// When the disk does not do it.
    pub fn clear(&self) -> Result<(), String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).map_err(failed)?;
        }
        fs::create_dir_all(&self.folder).map_err(failed)
    }

    /// Notes that it is filled.
    ///
    /// # Errors
    /// When the disk does not do it.
    pub fn note(&self, figures: Vec<Figure>) -> Result<(), String> {
        let Self { calls, text_bytes, .. } = *self;
        let marker = Marker { version: calls::VERSION, seed: SEED, calls, text_bytes, figures };
        let text = serde_json::to_vec_pretty(&marker).map_err(|error| error.to_string())?;
        fs::write(self.marker(), text).map_err(|error| format!("{}: {error}", self.marker().display()))
    }

    /// The rows of the file of plain rows.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn rows(&self) -> Result<impl Iterator<Item = Result<Row, String>>, String> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.csv().display());
        let file = fs::File::open(self.csv()).map_err(failed)?;
        let lines = std::io::BufRead::lines(std::io::BufReader::with_capacity(1 << 20, file)).skip(1);
        let path = self.csv();
        Ok(lines.map(move |line| {
            let line = line.map_err(|error| format!("{}: {error}", path.display()))?;
            Row::read(&line).ok_or_else(|| format!("{}: not a row: {line}", path.display()))
        }))
    }
}

/// The columns of the plain rows.
pub const HEADINGS: &str = "arrival,org,start_ms,status,direction,answered,talk_seconds,cost_nanos,endpoint,phone_number,from_number,campaign";

/// One plain row, as far as it is counted.
pub struct Row {
    /// Whose call it is.
    pub organization: i64,
    /// When it began.
    pub start: Timestamp,
    status: Status,
    direction: Direction,
    cell: StatCell,
}

/// The number of a status in the plain rows.
pub fn status_code(status: Status) -> usize {
    Status::ALL.iter().position(|one| *one == status).unwrap_or_default()
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let mut cells = line.split(',').skip(1);
        let organization = cells.next()?.parse().ok()?;
        let start = Timestamp::from_millis(cells.next()?.parse().ok()?);
        let status = *Status::ALL.get(cells.next()?.parse::<usize>().ok()?)?;
        let direction = if cells.next()? == "1" { Direction::Outbound } else { Direction::Inbound };
        let mut number = || cells.next()?.parse::<u64>().ok();
        let cell =
            StatCell { calls: 1, answered: number()?, talk_seconds: number()?, cost_nanos: number()?.into() };
        Some(Self { organization, start, status, direction, cell })
    }

    /// Adds it to statistics.
    pub fn add_to(&self, stats: &mut Stats) {
        stats.add(self.status, self.direction, &self.cell);
    }
}

/// How far apart statistics are: calls, answers, seconds and cost over all cells. 0 when they are the same.
pub fn difference(one: &Stats, other: &Stats) -> u128 {
    let cells = Status::ALL
        .into_iter()
        .flat_map(|status| [Direction::Inbound, Direction::Outbound].map(|direction| (status, direction)));
    cells
        .map(|cell| {
            let [one, other] = [one, other].map(|stats| stats.sum(|status, way| (status, way) == cell));
            u128::from(one.calls.abs_diff(other.calls))
                + u128::from(one.answered.abs_diff(other.answered))
                + u128::from(one.talk_seconds.abs_diff(other.talk_seconds))
                + one.cost_nanos.abs_diff(other.cost_nanos)
        })
        .sum()
}
