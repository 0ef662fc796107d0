//! Files that are imported again while they grow.

use super::*;
use pegcount_calls::Call;

/// The files of a switch, and those of which only some channels were logged.
const FILES: [&str; 18] = [
    "asterisk/cel/answered",
    "asterisk/cel/busy",
    "asterisk/cel/rejected",
    "asterisk/cel/no-answer",
    "asterisk/cel/cancelled",
    "asterisk/cel/api-hangup-ami",
    "asterisk/cel/api-hangup-ari",
    "asterisk/cel/blind-transfer-refer",
    "asterisk/cel/hold",
    "asterisk/cel/ivr-playback",
    "asterisk/cel/queue-answered",
    "asterisk/cel/recorded-mixmonitor",
    "asterisk/cel/ari-stasis",
    "asterisk/cel/audiosocket",
    "asterisk/cel/switch-killed-mid-call",
    "field/asterisk-cel/c10-callee-only",
    "field/asterisk-cel/c10b-callee-only-end",
    "field/asterisk-cel/c10c-tail",
];

fn fixture(file: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/{file}.csv", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The rows of one file, each with its columns.
fn rows_of(text: &str) -> Vec<csv::StringRecord> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    reader.records().map(Result::unwrap).collect()
}

fn written(rows: &[csv::StringRecord]) -> String {
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    rows.iter().for_each(|row| writer.write_record(row).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

const TIME: usize = 1;
const UNIQUE_ID: usize = 14;
const LINKED_ID: usize = 15;

fn without_caller(rows: &[csv::StringRecord]) -> Vec<csv::StringRecord> {
    let is_caller = |row: &csv::StringRecord| row[UNIQUE_ID] == row[LINKED_ID];
    rows.iter().filter(|row| !is_caller(row) || &row[0] == "LINKEDID_END").cloned().collect()
}

fn at_one_time(rows: &[csv::StringRecord]) -> Vec<csv::StringRecord> {
    let first = rows.first().map(|row| row[TIME].to_owned()).unwrap_or_default();
    let at_first = |row: &csv::StringRecord| {
        row.iter()
            .enumerate()
            .map(|(place, field)| if place == TIME { first.as_str() } else { field })
            .collect()
    };
    rows.iter().map(at_first).collect()
}

fn calls(records: &[Mapped]) -> Vec<(String, Call)> {
    replay(records).into_iter().map(|replayed| (replayed.name, replayed.call)).collect()
}

/// Every beginning of the file in the order in which it grows, or only every `step`th.
fn grown(rows: &[csv::StringRecord], step: usize) -> Vec<Mapped> {
    let ends = (1..rows.len()).step_by(step).chain([rows.len()]);
    ends.flat_map(|end| good(cel_rows(&written(&rows[..end])))).collect()
}

#[test]
fn a_growing_file_makes_the_calls_of_the_whole_file() {
    for file in FILES {
        let whole = rows_of(&fixture(file));
        for rows in
            [whole.clone(), without_caller(&whole), at_one_time(&whole), at_one_time(&without_caller(&whole))]
        {
            let expected = calls(&good(cel_rows(&written(&rows))));
            for step in 1..=3 {
                assert_eq!(calls(&grown(&rows, step)), expected, "{file}, every {step}: {}", written(&rows));
            }
        }
    }
}

#[test]
fn each_import_of_a_growing_file_moves_the_concluded_end() {
    let rows = rows_of(&fixture("field/asterisk-cel/c10b-callee-only-end"));
    let ended = |count: usize| {
        let call = one_call(&grown(&rows[..count], 1)).call;
        call.ended_at().map(|at| at.millis() - 1_768_471_200_000)
    };
    let ends: Vec<Option<i64>> = (1..=rows.len()).map(ended).collect();
    let seconds = [300, 5_200, 5_300, 65_210, 65_220, 65_230, 65_270];
    assert_eq!(ends, seconds.map(Some));
}

#[test]
fn a_file_of_calls_without_ends_is_not_kept_in_memory() {
    let row = |number: usize| {
        format!(
            "\"HANGUP\",\"1768471200.{number:06}\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"x/{number}\",\"\",\"\",\"\",\"\",\
             \"2.{number}\",\"1.{number}\",\"\",\"\",\"{{}}\"\n"
        )
    };
    let count = 20_010;
    let text: String = (0..count).map(row).collect();
    let mut rows = CelReader::new(text.as_bytes(), CelColumns::usual(), utc(), RECEIVED_AT);
    let mut early = 0;
    let mut concluded = 0;
    while let Some(row) = rows.next() {
        let is_conclusion =
            row.unwrap().tellings.iter().any(|telling| telling.data.contains("\"inferred\":true"));
        concluded += usize::from(is_conclusion);
        early += usize::from(is_conclusion && rows.line() < count as u64);
    }
    assert_eq!((concluded, early), (count, 9));
}

#[test]
fn rows_of_another_zone_keep_their_ids() {
    let ids = |zone: &str| -> Vec<String> {
        let times = TimeReader::new(TimeZone::get(zone).unwrap());
        FILES
            .iter()
            .flat_map(|file| {
                let text = fixture(file);
                let rows = CelReader::new(text.as_bytes(), CelColumns::usual(), times.clone(), RECEIVED_AT);
                good(rows.collect()).into_iter().flat_map(|row| row.tellings).collect::<Vec<_>>()
            })
            .map(|telling| telling.id.to_string())
            .collect()
    };
    assert_eq!(ids("UTC"), ids("America/New_York"));
}
