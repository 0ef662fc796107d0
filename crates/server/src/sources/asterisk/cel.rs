//! The rows of cel_custom: what happened to each channel, with the call (`linkedid`) it belongs to.

use std::io::Read;

use pegcount_calls::Timestamp;

use super::{
    cel_calls::{CelEvent, OpenCalls},
    cel_end::Extra,
    rows::{Row, RowError, Rows},
    time::{Reading, TimeReader},
};
use crate::sources::mapped::{Mapped, Teller, given_id};

/// The columns where nothing else is said. Asterisk's sample of cel_custom.conf has one more, `userdeftype`.
const COLUMNS: [&str; 19] = [
    "eventtype",
    "eventtime",
    "cidname",
    "cidnum",
    "ani",
    "rdnis",
    "dnid",
    "exten",
    "context",
    "channame",
    "appname",
    "appdata",
    "amaflags",
    "accountcode",
    "uniqueid",
    "linkedid",
    "bridgepeer",
    "userfield",
    "extra",
];
/// Without these nothing can be made of a row.
const NEEDED: [&str; 4] = ["eventtype", "eventtime", "uniqueid", "linkedid"];

/// The columns of a cel_custom file.
#[derive(Clone, Debug)]
pub struct CelColumns(Option<Vec<String>>);

impl CelColumns {
    /// The usual ones, or those that a header row names.
    pub fn usual() -> Self {
        Self(None)
    }

    /// Columns named like those of cel.conf, separated by commas. Names that are not known stand for columns that are
    /// skipped.
    ///
    /// # Errors
    /// A sentence, when one is missing without which nothing can be made of a row.
    pub fn named(list: &str) -> Result<Self, String> {
        Self::of(list.split(','))
    }

    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let names: Vec<String> = names.map(|name| plain_name(name.trim())).collect();
        match NEEDED.into_iter().find(|needed| !names.iter().any(|name| name == needed)) {
            Some(missing) => {
                Err(format!("the columns need {missing}; they are named like {}", COLUMNS.join(",")))
            }
            None => Ok(Self(Some(names))),
        }
    }

    fn place(&self, name: &str, count: usize) -> Option<usize> {
        match &self.0 {
            Some(names) => names.iter().position(|known| known == name),
            None if name == "extra" => Some(count.saturating_sub(1)),
            None => COLUMNS.iter().position(|known| *known == name),
        }
    }

    fn fits(&self, count: usize) -> bool {
        match &self.0 {
            Some(names) => names.len() == count,
            None => count == COLUMNS.len() || count == COLUMNS.len() + 1,
        }
    }
}

/// The name of a column as [`COLUMNS`] has it; the other back ends (cel_odbc, cel_pgsql) spell some differently.
fn plain_name(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "eventextra" => "extra".to_owned(),
        "cid_name" => "cidname".to_owned(),
        "cid_num" => "cidnum".to_owned(),
        "channel" | "channel_name" => "channame".to_owned(),
        _ => name,
    }
}

/// Reads a file of cel_custom. What it keeps of the file are the calls that have not ended yet.
pub struct CelReader<R> {
    rows: Rows<R>,
    columns: CelColumns,
    /// Whether the columns were named by who asked: then a header row changes nothing.
    are_named: bool,
    times: TimeReader,
    /// The time of the last row: rows are written in the order of time.
    last_at: Timestamp,
    teller: Teller,
    open: OpenCalls,
    ended: bool,
}

/// How far behind the last row another may be written: Asterisk queues its events.
const LATE_MILLIS: i64 = 60_000;

impl<R: Read> CelReader<R> {
    /// A reader of this file, whose times are read so.
    pub fn new(input: R, columns: CelColumns, times: TimeReader, received_at: Timestamp) -> Self {
        Self {
            rows: Rows::new(input),
            are_named: columns.0.is_some(),
            columns,
            times,
            last_at: Timestamp::from_millis(i64::MIN),
            teller: Teller { source: super::SOURCE, received_at },
            open: OpenCalls::default(),
            ended: false,
        }
    }

    /// The line that was read last, counted from 1.
    pub fn line(&self) -> u64 {
        self.rows.line()
    }

    fn read(&mut self, row: &Row) -> Result<Option<Mapped>, RowError> {
        let count = row.fields.len();
        if !self.columns.fits(count) {
            let message = format!("the row has {count} columns: --columns names those of a custom file");
            return Err(row.error(message));
        }
        let get = |name: &str| {
            let place = self.columns.place(name, count);
            place.and_then(|place| row.fields.get(place)).map_or("", |field| field.trim())
        };
        let happened_at = get("eventtime");
        let Some(Reading::At(moment)) = self.times.read(happened_at) else {
            return Err(row.error(format!(
                "the column eventtime holds {happened_at:.40?}, not a time like 2026-11-20 14:37:24.359; another \
                 format can be given by --time-format"
            )));
        };
        let at = moment.first_from(self.last_at.plus_millis(-LATE_MILLIS));
        let kind = get("eventtype");
        if kind.is_empty() {
            return Err(row.error("the column eventtype is empty"));
        }
        let uniqueid = given_id(get("uniqueid"))
            .ok_or_else(|| row.error("the column uniqueid holds no id: the row names no channel"))?;
        let canonical = row.canonical();
        let event = CelEvent {
            row: &canonical,
            kind,
            at,
            cidnum: get("cidnum"),
            exten: get("exten"),
            channel: get("channame"),
            accountcode: get("accountcode"),
            uniqueid,
            // Without one the channel is a call of its own.
            linkedid: given_id(get("linkedid")).unwrap_or(uniqueid),
            extra: Extra::read(get("extra")),
        };
        self.last_at = self.last_at.max(at);
        self.open.take(&event, &self.teller).map_err(|message| row.error(message))
    }

    /// A header row names the columns, unless they were named already.
    fn is_header(&mut self, row: &Row) -> bool {
        let has = |name: &str| row.fields.iter().any(|field| field.trim().eq_ignore_ascii_case(name));
        if !(has("eventtype") && has("linkedid")) {
            return false;
        }
        if !self.are_named
            && let Ok(named) = CelColumns::of(row.fields.iter().map(String::as_str))
        {
            self.columns = named;
        }
        true
    }
}

impl<R: Read> Iterator for CelReader<R> {
    type Item = Result<Mapped, RowError>;

    /// What the next row tells that tells anything; after the last row the ends of the calls that have none.
    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Some(end) = self.open.give_up_stalest(&self.teller) {
                return Some(end.map_err(unplaced));
            }
            match self.rows.next() {
                None => self.ended = true,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(row)) => {
                    if self.is_header(&row) {
                        continue;
                    }
                    if let Some(told) = self.read(&row).transpose() {
                        return Some(told);
                    }
                }
            }
        }
        let end = self.open.give_up_next(&self.teller)?;
        Some(end.map_err(unplaced))
    }
}

/// What is wrong with a conclusion. Ids that could be read once can be named again, so there is no row to blame.
fn unplaced(message: String) -> RowError {
    RowError { line: 0, message }
}
