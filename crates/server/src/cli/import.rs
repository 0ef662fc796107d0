//! `pegcount import`: records from files, batch by batch through the way in.

use std::{
    fs::File,
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
    print::{self, Printer},
    size_of,
};
use crate::{
    clock::Clock,
    operations::{Order, Record},
    sources::{
        Mapped,
        asterisk::{CdrReader, CelColumns, CelReader},
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
    /// The time zone of times without one; Asterisk writes none.
    #[arg(long, default_value = "UTC", value_name = "ZONE", value_parser = zone)]
    tz: TimeZone,
    /// The columns of a custom CEL file, separated by commas.
    #[arg(long, value_parser = CelColumns::named)]
    columns: Option<CelColumns>,
}

fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZone::get(name).map_err(|_| "it is no IANA time zone such as Europe/Berlin".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
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
    let files = files(&args)?;
    let bar = progress(&files, print.json);
    let received_at = Clock::system().now();
    let mut sink = Sink {
        door: Door::open(common, &common.config()?).await?,
        organization: args.organization.clone(),
        batch: Vec::new(),
        places: Vec::new(),
        totals: Totals::default(),
    };
    let mut outcome = Ok(());
    for file in &files {
        outcome = read_file(file, &args, received_at, &bar, &mut sink).await;
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = sink.flush().await;
    }
    bar.finish_and_clear();
    let Sink { door, totals, .. } = sink;
    door.close().await?;
    outcome?;
    print.imported(&totals.value());
    Ok(if totals.bad.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn files(args: &ImportArgs) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in &args.paths {
        let cannot = |error: io::Error| format!("{} cannot be read: {error}", path.display());
        if args.format == FileFormat::FreeswitchJsonCdr {
            files.extend(freeswitch::record_files(path).map_err(cannot)?);
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

async fn read_file(
    file: &Path,
    args: &ImportArgs,
    received_at: Timestamp,
    bar: &ProgressBar,
    sink: &mut Sink,
) -> Result<(), String> {
    let opened = File::open(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
    let input = bar.wrap_read(opened);
    let items: Box<dyn Iterator<Item = Item> + Send> = match args.format {
        FileFormat::AsteriskCdrCsv => {
            let mut rows = CdrReader::new(input, args.tz.clone(), received_at);
            Box::new(std::iter::from_fn(move || {
                let row = rows.next()?;
                Some((rows.line(), row.map_err(|error| error.message)))
            }))
        }
        FileFormat::AsteriskCelCsv => {
            let columns = args.columns.clone().unwrap_or_else(CelColumns::usual);
            let mut rows = CelReader::new(input, columns, args.tz.clone(), received_at);
            Box::new(std::iter::from_fn(move || {
                let row = rows.next()?;
                Some((rows.line(), row.map_err(|error| error.message)))
            }))
        }
        FileFormat::FreeswitchJsonCdr => Box::new(std::iter::once((1, read_record(input, received_at)))),
        FileFormat::EventsNdjson => Box::new(lines(input, received_at)),
    };
    for (line, item) in items {
        match item {
            Ok(mapped) => sink.take(file, line, mapped).await?,
            Err(message) => sink.totals.report(file, line, &message),
        }
    }
    Ok(())
}

fn read_record(input: impl Read, received_at: Timestamp) -> Result<Mapped, String> {
    let mut text = String::new();
    input.take(LARGEST_RECORD).read_to_string(&mut text).map_err(|error| error.to_string())?;
    freeswitch::read_file_text(&text, received_at)
}

fn lines(input: impl Read, received_at: Timestamp) -> impl Iterator<Item = Item> {
    let mut input = BufReader::new(input);
    let mut number = 0;
    // Events without a time get consecutive milliseconds, so that they keep their order.
    let mut next_default = received_at;
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
            let read = text.and_then(|text| native::read_line(&text, next_default));
            if read.as_ref().is_ok_and(|mapped| mapped.tellings.iter().any(|telling| !telling.at_given)) {
                next_default = next_default.plus_millis(1);
            }
            return Some((number, read));
        }
    })
}

/// Where records go.
struct Sink {
    door: Door,
    organization: String,
    batch: Vec<Record>,
    places: Vec<(PathBuf, u64)>,
    totals: Totals,
}

impl Sink {
    async fn take(&mut self, file: &Path, line: u64, mapped: Mapped) -> Result<(), String> {
        self.totals.records += 1;
        if let Some(record) = Record::of(mapped.call, mapped.tellings) {
            self.batch.push(record);
            self.places.push((file.to_owned(), line));
        }
        if self.batch.len() >= BATCH { self.flush().await } else { Ok(()) }
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
    bad: Vec<Value>,
}

impl Totals {
    fn add(&mut self, done: &Value, places: &[(PathBuf, u64)]) {
        let count = |key: &str| done.get(key).and_then(Value::as_u64).unwrap_or_default();
        self.accepted += count("accepted");
        self.duplicates += count("duplicates");
        for rejected in done.get("rejected").and_then(Value::as_array).into_iter().flatten() {
            let place =
                rejected.get("record").and_then(Value::as_u64).and_then(|place| usize::try_from(place).ok());
            let message = rejected.get("message").and_then(Value::as_str).unwrap_or("rejected");
            if let Some((file, line)) = place.and_then(|place| places.get(place)) {
                self.report(file, *line, message);
            }
        }
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
            "bad": self.bad,
        })
    }
}
