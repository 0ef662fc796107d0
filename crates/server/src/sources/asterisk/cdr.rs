//! The rows of cdr_csv: one for each leg that a channel dialled.

use std::io::Read;

use pegcount_calls::{Cause, LegId, Party, Timestamp};

use super::{
    channel::{dialled_number, epoch_of, is_counted, made_at, mark, unique_leg, whole},
    rows::{Row, RowError, Rows},
    time::{Reading, TimeReader},
};
use crate::{
    intake::{CallReference, Ties},
    sources::mapped::{Data, Mapped, Teller, given_id, leg_id},
    vocabulary::{call_name, event_id_of, kinds},
};

/// The columns that every configuration of cdr_csv writes (Asterisk, cdr.conf `[csv]`).
const COLUMNS: [&str; 16] = [
    "accountcode",
    "src",
    "dst",
    "dcontext",
    "clid",
    "channel",
    "dstchannel",
    "lastapp",
    "lastdata",
    "start",
    "answer",
    "end",
    "duration",
    "billsec",
    "disposition",
    "amaflags",
];
/// What `newcdrcolumns` adds, behind what `loguniqueid` and `loguserfield` add.
const NEW_COLUMNS: [&str; 3] = ["peeraccount", "linkedid", "sequence"];
/// How many columns there are with all of them.
const MOST_COLUMNS: usize = COLUMNS.len() + 2 + NEW_COLUMNS.len();
/// Two lengths that differ by no more are the same, cut off to seconds in different places.
const CUT_OFF_MILLIS: i64 = 1000;
/// No call lasts longer: a year.
const LONGEST_MILLIS: i64 = 366 * 24 * 60 * 60 * 1000;

/// Reads a file of cdr_csv.
pub struct CdrReader<R> {
    rows: Rows<R>,
    times: TimeReader,
    teller: Teller,
    /// The columns that the last header row names.
    header: Option<Vec<String>>,
}

impl<R: Read> CdrReader<R> {
    /// A reader of this file, whose times are read so.
    pub fn new(input: R, times: TimeReader, received_at: Timestamp) -> Self {
        let teller = Teller { source: super::SOURCE, received_at };
        Self { rows: Rows::new(input), times, teller, header: None }
    }

    /// The line that was read last, counted from 1.
    pub fn line(&self) -> u64 {
        self.rows.line()
    }

    fn read(&self, row: &Row) -> Result<Mapped, RowError> {
        let columns = Columns { row, header: self.header.as_deref() };
        let count = row.fields.len();
        let expected = match &self.header {
            Some(header) => header.len()..=header.len(),
            None => COLUMNS.len()..=MOST_COLUMNS,
        };
        if !expected.contains(&count) {
            let (least, most) = expected.into_inner();
            return Err(row.error(format!("the row has {count} columns, a CDR has {least} to {most}")));
        }
        let cdr = Cdr::of(&columns, &self.times).map_err(|message| row.error(message))?;
        cdr.map(&row.canonical(), &self.teller).map_err(|message| row.error(message))
    }
}

impl<R: Read> Iterator for CdrReader<R> {
    type Item = Result<Mapped, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let row = match self.rows.next()? {
                Ok(row) => row,
                Err(error) => return Some(Err(error)),
            };
            // Files that were joined have a header row in the middle too.
            let names = || row.fields.iter().map(|field| field.trim().to_ascii_lowercase());
            if names().any(|name| name == "disposition") && names().any(|name| name == "channel") {
                self.header = Some(names().collect());
                continue;
            }
            return Some(self.read(&row));
        }
    }
}

/// A row's fields by the names of their columns.
struct Columns<'a> {
    row: &'a Row,
    header: Option<&'a [String]>,
}

impl<'a> Columns<'a> {
    /// What a column holds; empty where it is not there, or where a database had nothing to export.
    fn get(&self, name: &str) -> &'a str {
        let place = match self.header {
            Some(header) => header.iter().position(|column| column == name),
            None => self.place(name),
        };
        let field = place.and_then(|place| self.row.fields.get(place)).map_or("", |field| field.trim());
        if field.eq_ignore_ascii_case("null") || field == "\\N" { "" } else { field }
    }

    fn id(&self, name: &str) -> Option<&'a str> {
        given_id(self.get(name))
    }

    /// Where a column stands without a header row: how many there are tells which of the optional ones are.
    fn place(&self, name: &str) -> Option<usize> {
        let (least, count) = (COLUMNS.len(), self.row.fields.len());
        let new_columns = if count >= least + NEW_COLUMNS.len() { NEW_COLUMNS.len() } else { 0 };
        let optional = count.saturating_sub(least + new_columns);
        let is_first = |place: usize| (place < optional).then_some(least + place);
        match name {
            "uniqueid" if optional == 1 && !self.has_uniqueid() => None,
            "uniqueid" => is_first(0),
            "userfield" if optional == 1 && !self.has_uniqueid() => is_first(0),
            "userfield" => is_first(1),
            _ => COLUMNS.iter().position(|column| *column == name).or_else(|| {
                let place = NEW_COLUMNS.iter().position(|column| *column == name)?;
                (new_columns > 0).then_some(least + optional + place)
            }),
        }
    }

    /// Whether the one optional column is the unique id rather than the user field, which may hold any text: then it
    /// holds a time of this age, and a count.
    fn has_uniqueid(&self) -> bool {
        self.row.fields.get(COLUMNS.len()).is_some_and(|field| epoch_of(field.trim()).is_some())
    }
}

/// How the row's leg came out (Asterisk, `ast_cdr_disp2str`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Answered,
    NoAnswer,
    Busy,
    Failed,
    Canceled,
}

impl Disposition {
    fn read(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "ANSWERED" => Self::Answered,
            "NO ANSWER" | "NOANSWER" => Self::NoAnswer,
            "BUSY" => Self::Busy,
            "FAILED" | "CONGESTION" => Self::Failed,
            "CANCEL" | "CANCELED" | "CANCELLED" => Self::Canceled,
            _ => return Err(format!("the disposition {text:.40?} is none that Asterisk writes")),
        })
    }
}

/// A row, read.
struct Cdr<'a> {
    src: &'a str,
    dst: &'a str,
    channel: Option<&'a str>,
    dstchannel: Option<&'a str>,
    start: Timestamp,
    /// The start as it is written.
    start_text: &'a str,
    end: Timestamp,
    /// The row does not say when it ended.
    lacks_end: bool,
    talk: Option<Talk>,
    disposition: Disposition,
    accountcode: &'a str,
    userfield: &'a str,
    uniqueid: Option<&'a str>,
    linkedid: Option<&'a str>,
}

/// When the row's leg was answered, and for how long.
struct Talk {
    answered_about: Timestamp,
    /// What Asterisk bills, in milliseconds.
    billed: Option<i64>,
    /// What its clock makes of that where it contradicts it.
    clock: Option<i64>,
}

impl<'a> Cdr<'a> {
    fn of(columns: &Columns<'a>, times: &TimeReader) -> Result<Self, String> {
        let moment = |name: &str| match times.read(columns.get(name)) {
            Some(Reading::At(moment)) => Ok(Some(moment)),
            Some(Reading::Never) => Ok(None),
            None => Err(format!(
                "the column {name} holds {:.40?}, not a time like 2026-11-20 14:37:24; another format can be \
                 given by --time-format",
                columns.get(name)
            )),
        };
        // Asterisk's tables for databases call the start `calldate` and have no end.
        let (begin, start_text) = match moment("start")? {
            Some(begin) => (Some(begin), columns.get("start")),
            None => (moment("calldate")?, columns.get("calldate")),
        };
        let begin = begin.ok_or("the row does not say when it started")?;
        let uniqueid = columns.id("uniqueid");
        let start =
            uniqueid.and_then(epoch_of).map_or_else(|| begin.earlier(), |made_at| begin.nearest(made_at));
        let by_length = length(columns.get("duration")).map(|millis| start.plus_millis(millis));
        let by_clock = moment("end")?.map(|end| match by_length {
            Some(by_length) => end.nearest(by_length),
            None => end.first_from(start),
        });
        let billed = length(columns.get("billsec"));
        let answer = moment("answer")?.map(|answer| match (by_clock.or(by_length), billed) {
            (Some(end), Some(billed)) => answer.nearest(end.plus_millis(-billed)),
            _ => answer.first_from(start),
        });
        let told_end = end(start, by_clock, by_length);
        let ended_at = told_end.or(answer).unwrap_or(start).max(start);
        let answer = answer.filter(|answer| (start..=ended_at).contains(answer));
        let channel = columns.id("channel");
        if channel.or(uniqueid).is_none() {
            return Err("the columns channel and uniqueid are empty: the row names no leg".to_owned());
        }
        let disposition = Disposition::read(columns.get("disposition"))?;
        let talk = (disposition == Disposition::Answered)
            .then(|| Talk::of(start, answer, (ended_at, by_clock), billed));
        Ok(Self {
            src: columns.get("src"),
            dst: columns.get("dst"),
            channel,
            dstchannel: columns.id("dstchannel"),
            start,
            start_text,
            end: ended_at,
            lacks_end: told_end.is_none(),
            talk,
            disposition,
            accountcode: columns.get("accountcode"),
            userfield: columns.get("userfield"),
            uniqueid,
            linkedid: columns.id("linkedid"),
        })
    }

    /// One terminal event of the leg that dialled. It may have been dialled itself before it was transferred, which the
    /// row does not tell; so it counts as the originating one unless another row says that it was dialled.
    fn map(&self, canonical: &str, teller: &Teller) -> Result<Mapped, String> {
        let (cause, by, kind) = match self.disposition {
            Disposition::Answered => (Cause::NormalClearing, None, kinds::CALL_COMPLETED),
            Disposition::NoAnswer => (Cause::NoAnswer, None, kinds::CALL_COMPLETED),
            Disposition::Canceled => (Cause::UserHangup, Some(Party::Caller), kinds::CALL_COMPLETED),
            Disposition::Busy => (Cause::Busy, None, kinds::CALL_FAILED),
            Disposition::Failed => (Cause::NetworkError, None, kinds::CALL_FAILED),
        };
        let leg: LegId = leg_id(self.channel.map(whole).or(self.uniqueid).unwrap_or_default())?;
        let dialled = self.dstchannel.map(|channel| leg_id(whole(channel))).transpose()?;
        let talk = self.talk.as_ref();
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let billed = talk.and_then(|talk| talk.billed);
        let data = Data::of_ended_leg(&leg)
            .with("leg_origin_unless_dialled", Some(true))
            .with("dialled_leg_id", dialled.as_ref().map(LegId::as_str))
            .with_text("from_number", Some(self.src))
            .with_text("to_number", dialled_number(self.dst))
            .with_metadata(&[("accountcode", Some(self.accountcode)), ("userfield", Some(self.userfield))])
            .with_time("started_at", Some(self.start))
            .with_time("answered_about", talk.map(|talk| talk.answered_about))
            .with("duration", billed.filter(|&billed| billed > 0).map(seconds))
            .with("clock_duration", talk.and_then(|talk| talk.clock).map(seconds))
            .with("inferred", self.lacks_end.then_some(true))
            .with_ending(Some(cause), by);
        let telling = teller.tell(event_id_of(canonical), self.end, kind, data);
        Ok(Mapped { call: self.call()?, tellings: vec![telling] })
    }

    /// Which call the row belongs to: by its ids, which are its own. The name of a channel only says which one another row
    /// dialled, of the two rows that both have unique ids or both have none.
    fn call(&self) -> Result<CallReference, String> {
        let mut legs = Vec::new();
        for id in [self.uniqueid, self.linkedid].into_iter().flatten() {
            let leg = unique_leg(id)?;
            if !legs.contains(&leg) {
                legs.push(leg);
            }
        }
        let mut ties = Ties::default();
        if let Some(dialled) = self.dstchannel {
            // A line may be used again in the second in which it was given up.
            let last = if is_counted(dialled) { self.end } else { self.end.plus_millis(-1) };
            let (left, sought) = self.kinds("dialled", "channel");
            ties.left.push(mark(&left, dialled, self.start, last)?);
            ties.sought.push(mark(&sought, dialled, self.start, last)?);
        }
        if let Some(channel) = self.channel {
            let span = self.uniqueid.map_or([self.start, self.end], |uniqueid| {
                // It was made while another row dialled it. If the id does not tell when, its own row begins where that
                // of the other one ends.
                [made_at(uniqueid, self.start).unwrap_or(self.start.plus_millis(-1)); 2]
            });
            let (left, sought) = self.kinds("channel", "dialled");
            ties.left.push(mark(&left, channel, span[0], span[1])?);
            ties.sought.push(mark(&sought, channel, span[0], span[1])?);
            if self.uniqueid.is_none() {
                legs.push(mark(&format!("from {}", self.src), channel, self.start, self.end)?);
            }
        }
        let name = match (self.linkedid.or(self.uniqueid), self.channel) {
            (Some(id), _) => call_name(id),
            // As it is written, so that the same row in another time zone finds its call.
            (None, channel) => call_name(&format!("{} {}", channel.unwrap_or_default(), self.start_text)),
        };
        Ok(CallReference::Legs { legs, ties, name })
    }

    /// The kinds of marks of a row: those without a unique id are apart from those with one.
    fn kinds(&self, left: &str, sought: &str) -> (String, String) {
        let apart = if self.uniqueid.is_some() { "" } else { "unnamed-" };
        (format!("{apart}{left}"), format!("{apart}{sought}"))
    }
}

/// When the row ended: by its clock, unless the length that it states contradicts that.
fn end(start: Timestamp, by_clock: Option<Timestamp>, by_length: Option<Timestamp>) -> Option<Timestamp> {
    match (by_clock, by_length) {
        (Some(by_clock), Some(by_length)) => {
            let differ = by_clock.millis().abs_diff(by_length.millis()) > CUT_OFF_MILLIS.unsigned_abs();
            // A length of nothing may stand for one that was not counted.
            let states = by_length > start || by_clock < start;
            Some(if differ && states { by_length } else { by_clock })
        }
        (by_clock, by_length) => by_clock.or(by_length),
    }
}

impl Talk {
    /// The times are cut off to seconds, and so is `billsec`, but from the exact times. Where answer and end lie a second
    /// further apart than it says, the truth lies between: half a second more than `billsec` contradicts none of them.
    fn of(
        start: Timestamp,
        answer: Option<Timestamp>,
        (end, end_by_clock): (Timestamp, Option<Timestamp>),
        billed: Option<i64>,
    ) -> Self {
        let since = |answer: Timestamp, end: Timestamp| end.millis().saturating_sub(answer.millis());
        let apart = answer.map(|answer| since(answer, end));
        let before_end = match (billed, apart) {
            (Some(billed), Some(apart)) if apart == billed + 1000 && billed % 1000 == 0 => billed + 500,
            (Some(billed), _) => billed,
            (None, Some(apart)) => apart,
            // It was answered; no column says when.
            (None, None) => 0,
        };
        let by_clock = answer.zip(end_by_clock).map(|(answer, end)| since(answer, end).max(0));
        let contradicts = |by_clock: &i64| {
            billed.is_some_and(|billed| by_clock.abs_diff(billed) > CUT_OFF_MILLIS.unsigned_abs())
        };
        let answered_about = end.plus_millis(-before_end).max(start);
        Self { answered_about, billed, clock: by_clock.filter(contradicts) }
    }
}

/// A length in seconds, which newer versions write with a fraction, in milliseconds; `None` if it is none.
fn length(text: &str) -> Option<i64> {
    let seconds = text.parse::<f64>().ok()?;
    let millis = (seconds * 1000.0).round();
    (0.0..LONGEST_MILLIS as f64).contains(&millis).then_some(millis as i64)
}
