//! `pegcount import`: records from files, batch by batch through the way in.

use std::{
    io::{self, BufRead, BufReader, IsTerminal, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use pegcount_calls::Timestamp;
use serde_json::{Value, json};

use super::{
    Common,
    door::Door,
    encoded,
    print::{self, Printer},
    size_of,
};
use crate::{
    clock::Clock,
    operations::{Order, Record},
    sources::{
        Mapped,
        asterisk::{CdrReader, CelColumns, CelReader, TimeReader},
        freeswitch, native,
    },
};

/// What to take in, and how to read it.
#[derive(Args)]
pub(super) struct ImportArgs {
    /// How the files are written.
    format: FileFormat,
    /// Files; for freeswitch-json-cdr folders too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Whose calls they are, by id or number.
    #[arg(long)]
    organization: String,
    /// The time zone of times without one [default: UTC]; Asterisk writes none.
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    tz: Option<TimeZone>,
    /// The columns of a custom CEL file, separated by commas.
    #[arg(long, value_parser = CelColumns::named)]
    columns: Option<CelColumns>,
    /// How Asterisk's files write times, in strftime's letters, where it is not as Asterisk does by itself.
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "it is no IANA time zone such as Europe/Berlin".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// Asterisk's cdr_csv.
    AsteriskCdrCsv,
    /// Asterisk's cel_custom.
    AsteriskCelCsv,
    /// Files or folders of FreeSWITCH's mod_json_cdr.
    FreeswitchJsonCdr,
    /// Native events, one a line.
    EventsNdjson,
}

impl FileFormat {
    /// As it is written on the command line.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// How many records of an input may be bad from its start before it counts as written in another format.
const TRIAL: usize = 20;
/// How many records travel together.
const BATCH: usize = 500;
/// Longest line of NDJSON in bytes.
const LONGEST_LINE: u64 = 1024 * 1024;
/// Largest FreeSWITCH record in bytes.
const LARGEST_RECORD: u64 = 4 * 1024 * 1024;

/// A record and where it stands, or what is wrong there.
type Item = (u64, Result<Mapped, String>);

/// Takes files in.
///
/// # Errors
/// A sentence, when it cannot go on. Bad records are reported and stop nothing.
pub(super) async fn run(common: &Common, args: ImportArgs, print: &Printer) -> Result<ExitCode, String> {
    if args.columns.is_some() && args.format != FileFormat::AsteriskCelCsv {
        return Ok(super::misused("--columns goes with asterisk-cel-csv only"));
    }
    let is_asterisk = matches!(args.format, FileFormat::AsteriskCdrCsv | FileFormat::AsteriskCelCsv);
    let times = TimeReader::new(args.tz.clone().unwrap_or(TimeZone::UTC));
    let times = match &args.time_format {
        None => times,
        Some(_) if !is_asterisk => {
            return Ok(super::misused("--time-format goes with Asterisk's files only"));
        }
        Some(format) => match times.with_format(format) {
            Ok(times) => times,
            Err(message) => return Ok(super::misused(&format!("--time-format {format:?}: {message}"))),
        },
    };
    let files = files(&args)?;
    let bar = progress(&files, print.json);
    let columns = args.columns.clone().unwrap_or_else(CelColumns::usual);
    let reader = FileReader { columns, times, received_at: Clock::system().now() };
    let mut sink = Sink {
        door: Door::open(common, &common.config()?).await?,
        organization: args.organization.clone(),
        batch: Vec::new(),
        places: Vec::new(),
        trial: Trial::new(args.format),
        totals: Totals::default(),
    };
    let outcome = read_files(&files, &reader, args.format, &bar, &mut sink).await;
    // Records that were read before the refused input are taken in.
    let flushed = sink.flush().await;
    bar.finish_and_clear();
    let Sink { door, totals, .. } = sink;
    door.close().await?;
    flushed?;
    if outcome.is_ok() || totals.records > 0 {
        print.imported(&totals.value(), is_asterisk && args.tz.is_none());
    }
    outcome?;
    Ok(if totals.are_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn files(args: &ImportArgs) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in &args.paths {
        let cannot = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        if args.format == FileFormat::FreeswitchJsonCdr {
            let found = freeswitch::record_files(path).map_err(cannot)?;
            if found.is_empty() {
                print::to_stderr(&format!("{}: there is no record (*.json) in it", path.display()));
            }
            files.extend(found);
        } else {
            std::fs::metadata(path).map_err(cannot)?;
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn progress(files: &[PathBuf], json: bool) -> ProgressBar {
    if json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files.iter().map(|file| size_of(file)).sum());
    match ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

async fn read_files(
    files: &[PathBuf],
    reader: &FileReader,
    format: FileFormat,
    bar: &ProgressBar,
    sink: &mut Sink,
) -> Result<(), String> {
    for file in files {
        // Each file is tried by itself; of records that have a file each, all of them together.
        if format != FileFormat::FreeswitchJsonCdr {
            sink.trial = Trial::new(format);
        }
        let mut records = 0_u64;
        for (line, item) in reader.items(file, format, bar)? {
            records += 1;
            sink.take(file, line, item, reader).await?;
        }
        if format != FileFormat::FreeswitchJsonCdr {
            sink.end_trial(reader)?;
        }
        if records == 0 {
            print::to_stderr(&format!("{}: there is no record in it", file.display()));
        }
    }
    sink.end_trial(reader)
}

/// How the records of files are read, whatever format they have.
struct FileReader {
    columns: CelColumns,
    times: TimeReader,
    received_at: Timestamp,
}

impl FileReader {
    /// The records of a file in this format.
    fn items(
        &self,
        file: &Path,
        format: FileFormat,
        bar: &ProgressBar,
    ) -> Result<Box<dyn Iterator<Item = Item> + Send>, String> {
        let cannot = |error: io::Error| format!("{} cannot be read: {error}", file.display());
        let (start, input) = encoded::open(file).map_err(cannot)?;
        if let Some(message) = encoded::refusal(&start, file) {
            return Ok(Box::new(std::iter::once((0, Err(message)))));
        }
        let input = bar.wrap_read(input);
        let received_at = self.received_at;
        Ok(match format {
            FileFormat::AsteriskCdrCsv => {
                let mut rows = CdrReader::new(input, self.times.clone(), received_at);
                Box::new(std::iter::from_fn(move || {
                    let row = rows.next()?;
                    Some((rows.line(), row.map_err(|error| error.message)))
                }))
            }
            FileFormat::AsteriskCelCsv => {
                let mut rows = CelReader::new(input, self.columns.clone(), self.times.clone(), received_at);
                Box::new(std::iter::from_fn(move || {
                    let row = rows.next()?;
                    Some((rows.line(), row.map_err(|error| error.message)))
                }))
            }
            FileFormat::FreeswitchJsonCdr => Box::new(std::iter::once((1, read_record(input, received_at)))),
            FileFormat::EventsNdjson => Box::new(lines(input, received_at)),
        })
    }

    /// The format in which some of the first records of a file can be read, besides the one that was named.
    fn likely_format(&self, file: &Path, named: FileFormat) -> Option<FileFormat> {
        let reads = |format: &FileFormat| {
            let items = self.items(file, *format, &ProgressBar::hidden());
            items.is_ok_and(|items| items.take(TRIAL).any(|(_, item)| item.is_ok()))
        };
        FileFormat::value_variants().iter().copied().filter(|format| *format != named).find(reads)
    }
}

/// The first records of an input: whether it is written in the format that was named.
struct Trial {
    format: FileFormat,
    /// One of them could be read.
    passed: bool,
    /// Those that could not, with their files and lines.
    bad: Vec<(PathBuf, u64, String)>,
}

impl Trial {
    fn new(format: FileFormat) -> Self {
        Self { format, passed: false, bad: Vec::new() }
    }

    /// Why the input is taken for one in another format.
    fn refusal(&self, likely: Option<FileFormat>) -> Option<String> {
        let (file, line, message) = self.bad.first()?;
        let (file, count, format) = (file.display(), self.bad.len(), self.format.name());
        let reads_as = match likely {
            Some(likely) => format!("It reads as {}: name that instead.", likely.name()),
            None => "Is it another file, or does it lack its beginning?".to_owned(),
        };
        Some(format!(
            "{file} is not written as {format}: none of its first {count} records can be read (line {line}: \
             {message}). {reads_as} Nothing of it was taken in"
        ))
    }
}

fn read_record(input: impl Read, received_at: Timestamp) -> Result<Mapped, String> {
    let mut bytes = Vec::new();
    input.take(LARGEST_RECORD + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    freeswitch::read_file(&bytes, received_at)
}

fn lines(input: impl Read, received_at: Timestamp) -> impl Iterator<Item = Item> {
    let mut input = BufReader::new(input);
    let mut number = 0;
    let mut reader = native::LineReader::new(received_at);
    std::iter::from_fn(move || {
        loop {
            number += 1;
            let mut line = Vec::new();
            match input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some((number, Err(error.to_string()))),
            }
            if !line.ends_with(b"\n") && line.len() as u64 == LONGEST_LINE {
                // The rest of it is not another line.
                let _ = input.skip_until(b'\n');
                return Some((number, Err(format!("the line is longer than {LONGEST_LINE} bytes"))));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let text = String::from_utf8(line).map_err(|_| "the line is not UTF-8".to_owned());
            return Some((number, text.and_then(|text| reader.read(&text))));
        }
    })
}

/// Where records go.
struct Sink {
    door: Door,
    organization: String,
    batch: Vec<Record>,
    places: Vec<(PathBuf, u64)>,
    trial: Trial,
    totals: Totals,
}

impl Sink {
    /// Takes a record, or notes what is wrong with it.
    ///
    /// # Errors
    /// A sentence, when the input is none in this format, or the ledger takes nothing.
    async fn take(
        &mut self,
        file: &Path,
        line: u64,
        item: Result<Mapped, String>,
        reader: &FileReader,
    ) -> Result<(), String> {
        let mapped = match item {
            Ok(mapped) => mapped,
            Err(message) if self.trial.passed => {
                self.totals.report(file, line, &message);
                return Ok(());
            }
            Err(message) => {
                self.trial.bad.push((file.to_owned(), line, message));
                return if self.trial.bad.len() < TRIAL { Ok(()) } else { self.refuse(reader, true) };
            }
        };
        self.pass_trial();
        self.totals.records += 1;
        if let Some(record) = Record::of(mapped.call, mapped.tellings) {
            self.batch.push(record);
            self.places.push((file.to_owned(), line));
        }
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
    }

    /// Some record could be read: those that could not are bad ones among good ones.
    fn pass_trial(&mut self) {
        self.trial.passed = true;
        for (file, line, message) in std::mem::take(&mut self.trial.bad) {
            self.totals.report(&file, line, &message);
        }
    }

    /// At the end of an input that is shorter than a trial. One that can be read in another format is none in this one.
    fn end_trial(&mut self, reader: &FileReader) -> Result<(), String> {
        if self.trial.bad.is_empty() { Ok(()) } else { self.refuse(reader, false) }
    }

    fn refuse(&mut self, reader: &FileReader, is_full: bool) -> Result<(), String> {
        let first = self.trial.bad.first();
        let likely = first.and_then(|(file, ..)| reader.likely_format(file, self.trial.format));
        match self.trial.refusal(likely).filter(|_| is_full || likely.is_some()) {
            Some(refusal) => Err(refusal),
            None => {
                self.pass_trial();
                Ok(())
            }
        }
    }

    async fn flush(&mut self) -> Result<(), String> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let records = std::mem::take(&mut self.batch);
        let places = std::mem::take(&mut self.places);
        let done =
            self.door.order(Order::Import { organization: self.organization.clone(), records }).await?;
        self.totals.add(&done, &places);
        Ok(())
    }
}

#[derive(Default)]
struct Totals {
    records: u64,
    accepted: u64,
    duplicates: u64,
    /// Known events of rows that would have another time now, as in another time zone.
    moved: u64,
    /// The first of them: its place, and both times.
    first_moved: Option<Value>,
    bad: Vec<Value>,
}

impl Totals {
    fn add(&mut self, done: &Value, places: &[(PathBuf, u64)]) {
        let count = |key: &str| done.get(key).and_then(Value::as_u64).unwrap_or_default();
        self.accepted += count("accepted");
        self.duplicates += count("duplicates");
        let items = |key: &str| done.get(key).and_then(Value::as_array).into_iter().flatten();
        let place_of = |item: &Value| {
            let place = item.get("record").and_then(Value::as_u64)?;
            places.get(usize::try_from(place).ok()?)
        };
        for moved in items("moved") {
            self.moved += 1;
            if let Some((file, line)) = place_of(moved).filter(|_| self.first_moved.is_none()) {
                let file = file.display().to_string();
                let (known_at, at) = (moved.get("known_at"), moved.get("at"));
                self.first_moved =
                    Some(json!({ "file": file, "line": line, "known_at": known_at, "at": at }));
            }
        }
        for rejected in items("rejected") {
            let message = rejected.get("message").and_then(Value::as_str).unwrap_or("rejected");
            if let Some((file, line)) = place_of(rejected) {
                self.report(file, *line, message);
            }
        }
    }

    /// Whether everything was taken in, or is known just so.
    fn are_good(&self) -> bool {
        self.bad.is_empty() && self.moved == 0
    }

    /// Reports a bad record by file and line, where the line is known.
    fn report(&mut self, file: &Path, line: u64, message: &str) {
        let place = match line {
            0 => file.display().to_string(),
            line => format!("{}:{line}", file.display()),
        };
        print::to_stderr(&format!("{place}: {message}"));
        self.bad.push(json!({ "file": file.display().to_string(), "line": line, "error": message }));
    }

    fn value(&self) -> Value {
        json!({
            "records": self.records,
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "moved": self.moved,
            "first_moved": self.first_moved,
            "bad": self.bad,
        })
    }
}
