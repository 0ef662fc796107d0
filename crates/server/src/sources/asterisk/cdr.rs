//! The rows of cdr_csv: one for each leg that a channel dialled.

use std::io::Read;

use jiff::tz::TimeZone;
use pegcount_calls::{Cause, LegId, Party, Timestamp};

use super::{
    channel::{dialled_number, made_at, named_leg, unique_leg, whole},
    rows::{Row, RowError, Rows},
    time,
};
use crate::{
    intake::CallReference,
    sources::mapped::{Data, Mapped, Teller, leg_id},
    vocabulary::{call_name, event_id_of, kinds},
};

/// The columns of cdr_csv (Asterisk, cdr.conf `[csv]`); from `uniqueid` on they depend on `loguniqueid`, `loguserfield`
/// and `newcdrcolumns`.
const COLUMNS: [&str; 21] = [
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
    "uniqueid",
    "userfield",
    "peeraccount",
    "linkedid",
    "sequence",
];
/// How many columns every configuration writes.
const FEWEST_COLUMNS: usize = 16;
/// A leg's name is its own a little longer than its row: rows of one call are cut off to seconds apart.
const SLACK_MILLIS: i64 = 1000;

/// Reads a file of cdr_csv.
pub struct CdrReader<R> {
    rows: Rows<R>,
    zone: TimeZone,
    teller: Teller,
    /// The columns that a header row names.
    header: Option<Vec<String>>,
    at_first: bool,
}

impl<R: Read> CdrReader<R> {
    /// A reader of this file, whose times are of this zone.
    pub fn new(input: R, zone: TimeZone, received_at: Timestamp) -> Self {
        let teller = Teller { source: super::SOURCE, received_at };
        Self { rows: Rows::new(input), zone, teller, header: None, at_first: true }
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
            None => FEWEST_COLUMNS..=COLUMNS.len(),
        };
        if !expected.contains(&count) {
            let (least, most) = expected.into_inner();
            return Err(row.error(format!("the row has {count} columns, a CDR has {least} to {most}")));
        }
        let cdr = Cdr::of(&columns, &self.zone).map_err(|message| row.error(message))?;
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
            let names = || row.fields.iter().map(|field| field.trim().to_ascii_lowercase());
            if std::mem::take(&mut self.at_first) && names().any(|name| name == "disposition") {
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
    fn get(&self, name: &str) -> &'a str {
        let place = match self.header {
            Some(header) => header.iter().position(|column| column == name),
            None => self.place(name),
        };
        place.and_then(|place| self.row.fields.get(place)).map_or("", |field| field.trim())
    }

    /// Without `loguniqueid` what stands in its place is the user field.
    fn place(&self, name: &str) -> Option<usize> {
        let place = COLUMNS.iter().position(|column| *column == name)?;
        let lacks_uniqueid = self.row.fields.len() == FEWEST_COLUMNS + 1
            && self.row.fields.last().is_some_and(|field| !looks_like_uniqueid(field));
        match name {
            "uniqueid" if lacks_uniqueid => None,
            "userfield" if lacks_uniqueid => Some(FEWEST_COLUMNS),
            _ => Some(place),
        }
    }
}

fn looks_like_uniqueid(text: &str) -> bool {
    let number = text.rsplit('-').next().unwrap_or(text);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    number.split_once('.').is_some_and(|(seconds, count)| is_digits(seconds) && is_digits(count))
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
    channel: &'a str,
    dstchannel: &'a str,
    start: Timestamp,
    answer: Option<Timestamp>,
    end: Timestamp,
    billsec: Option<i64>,
    disposition: Disposition,
    accountcode: &'a str,
    userfield: &'a str,
    uniqueid: &'a str,
    linkedid: &'a str,
}

impl<'a> Cdr<'a> {
    fn of(columns: &Columns<'a>, zone: &TimeZone) -> Result<Self, String> {
        // Asterisk's tables for databases call the start `calldate` and have no end.
        let begins = [columns.get("start"), columns.get("calldate")];
        let begins = begins.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        let time_of = |name: &str, text: &str| {
            time::parse(text, zone).ok_or_else(|| {
                format!("the column {name} holds {text:.40?}, not a time like 2026-11-20 14:37:24")
            })
        };
        let optional = |name: &str| {
            let text = columns.get(name);
            if text.is_empty() { Ok(None) } else { time_of(name, text).map(Some) }
        };
        let seconds = |name: &str| columns.get(name).parse::<i64>().ok().filter(|seconds| *seconds >= 0);
        let start = time_of("start", begins)?;
        let after_start = |seconds: i64| start.plus_millis(seconds.saturating_mul(1000));
        let duration = seconds("duration").filter(|seconds| *seconds < 366 * 24 * 60 * 60);
        let end = match optional("end")? {
            // The clock was set back within the call: the duration was counted by another one.
            Some(end) if end < start => after_start(duration.unwrap_or(0)),
            Some(end) => end,
            None => after_start(duration.ok_or("the row has neither an end nor a duration")?),
        };
        let channel = columns.get("channel");
        if channel.is_empty() {
            return Err("the column channel is empty".to_owned());
        }
        Ok(Self {
            src: columns.get("src"),
            dst: columns.get("dst"),
            channel,
            dstchannel: columns.get("dstchannel"),
            start,
            answer: optional("answer")?.filter(|answer| (start..=end).contains(answer)),
            end,
            billsec: seconds("billsec"),
            disposition: Disposition::read(columns.get("disposition"))?,
            accountcode: columns.get("accountcode"),
            userfield: columns.get("userfield"),
            uniqueid: columns.get("uniqueid"),
            linkedid: columns.get("linkedid"),
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
        let leg: LegId = leg_id(whole(self.channel))?;
        let dialled = match self.dstchannel {
            "" => None,
            channel => Some(leg_id(whole(channel))?),
        };
        let talk_millis = self.talk_millis();
        // An answer in the call's last second leaves no talk to conclude it from.
        let answered_at = self.answered_at().filter(|_| talk_millis == Some(0));
        let data = Data::of_leg(&leg)
            .with("leg_origin_unless_dialled", Some(true))
            .with("dialled_leg_id", dialled.as_ref().map(LegId::as_str))
            .with_text("from_number", Some(self.src))
            .with_text("to_number", dialled_number(self.dst))
            .with_metadata(&[("accountcode", Some(self.accountcode)), ("userfield", Some(self.userfield))])
            .with_time("started_at", Some(self.start))
            .with_time("answered_at", answered_at)
            .with("duration", talk_millis.filter(|millis| *millis > 0).map(|millis| millis as f64 / 1000.0))
            .with_ending(Some(cause), by)
            .with("billsec", self.billsec);
        let telling = teller.tell(event_id_of(canonical), self.end, kind, data);
        Ok(Mapped { call: self.call()?, tellings: vec![telling] })
    }

    fn answered_at(&self) -> Option<Timestamp> {
        let implied = || Some(self.end.plus_millis(-self.billsec?.saturating_mul(1000)).max(self.start));
        if self.disposition == Disposition::Answered { self.answer.or_else(implied) } else { None }
    }

    /// How long they talked; `None` if nobody answered.
    ///
    /// The times are cut off to seconds, and so is `billsec`, but from the exact times. Where answer and end lie a
    /// second further apart than it says, the truth lies between: half a second more than `billsec` contradicts none of
    /// them. Told as a duration it gives way to the exact answer where the call's CEL rows are on file too.
    fn talk_millis(&self) -> Option<i64> {
        let apart = self.end.millis().saturating_sub(self.answered_at()?.millis());
        Some(match self.billsec.map(|seconds| seconds.saturating_mul(1000)) {
            Some(billed) if apart == billed.saturating_add(1000) => billed + 500,
            _ => apart,
        })
    }

    fn call(&self) -> Result<CallReference, String> {
        let until = self.end.plus_millis(SLACK_MILLIS);
        let made_at = made_at(self.uniqueid, self.start).unwrap_or(self.start);
        let mut legs = Vec::new();
        for uniqueid in [self.uniqueid, self.linkedid] {
            if !uniqueid.is_empty() {
                legs.push(unique_leg(uniqueid)?);
            }
        }
        legs.dedup();
        legs.push(named_leg(self.channel, made_at, until)?);
        if !self.dstchannel.is_empty() {
            legs.push(named_leg(self.dstchannel, self.start, until)?);
        }
        let named = [self.linkedid, self.uniqueid].into_iter().find(|id| !id.is_empty());
        let name = match named {
            Some(id) => call_name(id),
            None => call_name(&format!("{} {}", self.channel, self.start.millis())),
        };
        Ok(CallReference::Legs { legs, name })
    }
}
