//! The rows of cel_custom: what happened to each channel, with the call (`linkedid`) it belongs to.

use std::{collections::BTreeMap, io::Read};

use jiff::tz::TimeZone;
use pegcount_calls::{Cause, LegId, Timestamp};
use pegcount_store::LegSpan;

use super::{
    cel_end::{Extra, Hangup, is_failure},
    channel::{dialled_number, unique_leg},
    rows::{Row, RowError, Rows},
    time,
};
use crate::{
    intake::CallReference,
    sources::mapped::{Data, Mapped, Teller, leg_id},
    vocabulary::{Telling, call_name, event_id_of, kinds},
};

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
    at_first: bool,
    zone: TimeZone,
    teller: Teller,
    open: OpenCalls,
    ended: bool,
}

impl<R: Read> CelReader<R> {
    /// A reader of this file, whose times without a zone are of this one.
    pub fn new(input: R, columns: CelColumns, zone: TimeZone, received_at: Timestamp) -> Self {
        let teller = Teller { source: super::SOURCE, received_at };
        let rows = Rows::new(input);
        Self { rows, columns, at_first: true, zone, teller, open: OpenCalls::default(), ended: false }
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
        let at = time::parse(happened_at, &self.zone).ok_or_else(|| {
            row.error(format!(
                "the column eventtime holds {happened_at:.40?}, not a time like 2026-11-20 14:37:24.359"
            ))
        })?;
        let event = CelEvent {
            kind: get("eventtype"),
            at,
            cidnum: get("cidnum"),
            exten: get("exten"),
            channel: get("channame"),
            accountcode: get("accountcode"),
            uniqueid: get("uniqueid"),
            linkedid: get("linkedid"),
            extra: Extra::read(get("extra")),
        };
        if event.uniqueid.is_empty() || event.linkedid.is_empty() {
            return Err(row.error("the columns uniqueid and linkedid must not be empty"));
        }
        let canonical = || row.canonical();
        self.open.take(&event, canonical, &self.teller).map_err(|message| row.error(message))
    }

    /// A header row names the columns, unless they were named already.
    fn is_header(&mut self, row: &Row) -> bool {
        let has = |name: &str| row.fields.iter().any(|field| field.trim().eq_ignore_ascii_case(name));
        if !(has("eventtype") && has("linkedid")) {
            return false;
        }
        if self.columns.0.is_none()
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
            match self.rows.next() {
                None => self.ended = true,
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(row)) => {
                    if std::mem::take(&mut self.at_first) && self.is_header(&row) {
                        continue;
                    }
                    if let Some(told) = self.read(&row).transpose() {
                        return Some(told);
                    }
                }
            }
        }
        let end = self.open.give_up_next(&self.teller)?;
        // Ids that could be read once can be named again, so there is no row to blame.
        Some(end.map_err(|message| RowError { line: 0, message }))
    }
}

/// A row, read.
struct CelEvent<'a> {
    kind: &'a str,
    at: Timestamp,
    cidnum: &'a str,
    exten: &'a str,
    channel: &'a str,
    accountcode: &'a str,
    uniqueid: &'a str,
    linkedid: &'a str,
    extra: Extra,
}

impl CelEvent<'_> {
    /// The originating channel gives the call its id.
    fn is_origin(&self) -> bool {
        self.uniqueid == self.linkedid
    }

    fn leg(&self) -> Result<LegId, String> {
        leg_id(if self.is_origin() { LegId::ORIGIN } else { self.uniqueid })
    }

    fn data(&self) -> Result<Data, String> {
        Ok(Data::of_leg(&self.leg()?).with_text("channel", Some(self.channel)))
    }

    fn initiated(&self) -> Result<Data, String> {
        let data = self.data()?;
        if !self.is_origin() {
            return Ok(data);
        }
        Ok(data
            .with_text("from_number", Some(self.cidnum))
            .with_text("to_number", dialled_number(self.exten))
            .with_metadata(&[("accountcode", Some(self.accountcode))]))
    }

    /// To whom the call was handed over: an extension (blind), or whoever the other channel talked to (attended).
    fn transferred_to(&self) -> Option<&str> {
        ["extension", "transfer_target_channel_name", "channel2_name", "app"]
            .into_iter()
            .find_map(|field| self.extra.text(field))
    }
}

fn legs(uniqueid: &str, linkedid: &str) -> Result<CallReference, String> {
    let mut legs: Vec<LegSpan> = vec![unique_leg(uniqueid)?];
    if linkedid != uniqueid {
        legs.push(unique_leg(linkedid)?);
    }
    Ok(CallReference::Legs { legs, name: call_name(linkedid) })
}

/// Whether the caller was answered along with the channel that it had dialled: the switch takes milliseconds for that, a
/// question that the callee has to answer first takes seconds.
fn is_at_once(answered_at: Timestamp, put_through_at: Timestamp) -> bool {
    put_through_at <= answered_at.plus_millis(1000)
}

/// The calls of the file that have channels which have not ended.
#[derive(Default)]
struct OpenCalls {
    calls: BTreeMap<String, OpenCall>,
    /// The call that each open channel was last seen in: an attended transfer makes two calls one.
    call_of: BTreeMap<String, String>,
}

#[derive(Default)]
struct OpenCall {
    /// The last row, of whichever type.
    last_at: Option<Timestamp>,
    channels: BTreeMap<String, Channel>,
    origin_channel: Option<String>,
    origin_answered: bool,
}

/// An open channel.
#[derive(Default)]
struct Channel {
    answered: bool,
    /// Its answer, until it is known to be one to the caller.
    held_back: Option<Telling>,
}

impl OpenCalls {
    /// What a row tells, if it tells anything.
    fn take(
        &mut self,
        event: &CelEvent<'_>,
        canonical: impl Fn() -> String,
        teller: &Teller,
    ) -> Result<Option<Mapped>, String> {
        self.notice(event);
        let (kind, data) = match event.kind {
            "CHAN_START" => (kinds::CALL_INITIATED, event.initiated()?),
            "ANSWER" => return self.answer(event, canonical, teller),
            "BRIDGE_ENTER" => return self.put_through(event),
            "BLINDTRANSFER" | "ATTENDEDTRANSFER" => {
                (kinds::CALL_TRANSFERRED, event.data()?.with_text("to", event.transferred_to()))
            }
            "HANGUP" => {
                let ending = self.ending(event)?;
                self.close(event.uniqueid);
                ending
            }
            // The end of a channel of which no HANGUP was written (cel.conf need not ask for it).
            "CHAN_END" if self.call_of.contains_key(event.uniqueid) => {
                self.close(event.uniqueid);
                (kinds::CALL_COMPLETED, event.data()?)
            }
            "LINKEDID_END" => return self.end_of_call(event, canonical, teller),
            _ => return Ok(None),
        };
        let telling = teller.tell(event_id_of(&canonical()), event.at, kind, data);
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings: vec![telling] }))
    }

    fn notice(&mut self, event: &CelEvent<'_>) {
        let opens = matches!(event.kind, "CHAN_START" | "ANSWER" | "BRIDGE_ENTER");
        let moved = self.call_of.get(event.uniqueid).is_some_and(|call| call != event.linkedid);
        if moved || (opens && !self.call_of.contains_key(event.uniqueid)) {
            let channel = self.close(event.uniqueid).unwrap_or_default();
            let call = self.calls.entry(event.linkedid.to_owned()).or_default();
            call.channels.insert(event.uniqueid.to_owned(), channel);
            self.call_of.insert(event.uniqueid.to_owned(), event.linkedid.to_owned());
        }
        let Some(call) = self.calls.get_mut(event.linkedid) else { return };
        call.last_at = call.last_at.max(Some(event.at));
        if event.is_origin() && !event.channel.is_empty() && call.origin_channel.is_none() {
            call.origin_channel = Some(event.channel.to_owned());
        }
    }

    /// An answer. One of a dialled channel counts when the caller is answered too, or is put through to it: a mobile's
    /// mailbox that did not press 1 to take the call is no answer.
    fn answer(
        &mut self,
        event: &CelEvent<'_>,
        canonical: impl Fn() -> String,
        teller: &Teller,
    ) -> Result<Option<Mapped>, String> {
        let telling = teller.tell(event_id_of(&canonical()), event.at, kinds::CALL_ANSWERED, event.data()?);
        let Some(call) = self.calls.get_mut(event.linkedid) else { return Ok(None) };
        call.origin_answered |= event.is_origin();
        let caller_waits = !call.origin_answered;
        if let Some(channel) = call.channels.get_mut(event.uniqueid) {
            channel.answered = true;
            if caller_waits {
                channel.held_back = Some(telling);
                return Ok(None);
            }
        }
        let mut tellings = vec![telling];
        if event.is_origin() {
            let held_back = call.channels.values_mut().filter_map(|channel| channel.held_back.take());
            tellings.extend(held_back.filter(|earlier| is_at_once(earlier.at, event.at)));
        }
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings }))
    }

    /// A channel entered a bridge: if its answer was held back it is told now.
    fn put_through(&mut self, event: &CelEvent<'_>) -> Result<Option<Mapped>, String> {
        let call = self.calls.get_mut(event.linkedid);
        let channel = call.and_then(|call| call.channels.get_mut(event.uniqueid));
        let Some(mut telling) = channel.and_then(|channel| channel.held_back.take()) else { return Ok(None) };
        if !is_at_once(telling.at, event.at) {
            telling.at = event.at;
        }
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings: vec![telling] }))
    }

    /// Forgets a channel, and its call with the last of them.
    fn close(&mut self, uniqueid: &str) -> Option<Channel> {
        let linkedid = self.call_of.remove(uniqueid)?;
        let call = self.calls.get_mut(&linkedid)?;
        let channel = call.channels.remove(uniqueid);
        if call.channels.is_empty() {
            self.calls.remove(&linkedid);
        }
        channel
    }

    fn ending(&self, event: &CelEvent<'_>) -> Result<(&'static str, Data), String> {
        let call = self.calls.get(event.linkedid);
        let channel = call.and_then(|call| call.channels.get(event.uniqueid));
        let answered = channel.is_some_and(|channel| channel.answered);
        let hangup = Hangup {
            extra: &event.extra,
            answered,
            origin: event.is_origin(),
            channel: event.channel,
            origin_channel: call.and_then(|call| call.origin_channel.as_deref()),
        };
        let (cause, by) = hangup.ending();
        let kind = if is_failure(cause, answered) { kinds::CALL_FAILED } else { kinds::CALL_COMPLETED };
        let data = event
            .data()?
            .with_ending(cause, by)
            .with("q850_cause", event.extra.hangup_cause())
            .with_text("dialstatus", event.extra.text("dialstatus"))
            .with_text("hangupsource", event.extra.text("hangupsource"));
        Ok((kind, data))
    }

    /// The last channel is gone: whatever channel's own end was not written is over too.
    fn end_of_call(
        &mut self,
        event: &CelEvent<'_>,
        canonical: impl Fn() -> String,
        teller: &Teller,
    ) -> Result<Option<Mapped>, String> {
        let Some(call) = self.calls.remove(event.linkedid) else { return Ok(None) };
        let mut tellings: Vec<Telling> = Vec::new();
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
            let leg = leg_id(if uniqueid == event.linkedid { LegId::ORIGIN } else { uniqueid })?;
            let id = event_id_of(&format!("{}\u{1f}{uniqueid}", canonical()));
            tellings.push(teller.tell(id, event.at, kinds::CALL_COMPLETED, Data::of_leg(&leg)));
        }
        if tellings.is_empty() {
            return Ok(None);
        }
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings }))
    }

    /// The end of a call of which the file has none: concluded at its last row, void if a later file goes on with it.
    fn give_up_next(&mut self, teller: &Teller) -> Option<Result<Mapped, String>> {
        let (linkedid, call) = self.calls.pop_first()?;
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
        }
        let at = call.last_at?;
        let data = Data::default().with_ending(Some(Cause::NetworkError), None).with("inferred", Some(true));
        let id = event_id_of(&format!("no end of {linkedid} after {}", at.millis()));
        let telling = teller.tell(id, at, kinds::CALL_FAILED, data);
        Some(legs(&linkedid, &linkedid).map(|call| Mapped { call, tellings: vec![telling] }))
    }
}
