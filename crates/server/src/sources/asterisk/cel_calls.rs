//! What the rows of cel_custom add up to: the calls of a file while they are read.

use std::collections::BTreeMap;

use lru::LruCache;
use pegcount_calls::{Cause, LegId, Party, Timestamp};
use pegcount_store::LegSpan;

use super::{
    cel_end::{Extra, Hangup, is_failure},
    channel::{dialled_number, unique_leg},
};
use crate::{
    intake::{CallReference, Ties},
    sources::mapped::{Data, Mapped, Teller, event_id, leg_id},
    vocabulary::{Telling, call_name, event_id_of, kinds},
};

/// A row, read.
pub(super) struct CelEvent<'a> {
    /// The whole row, the same text however its fields were quoted.
    pub(super) row: &'a str,
    pub(super) kind: &'a str,
    pub(super) at: Timestamp,
    pub(super) cidnum: &'a str,
    pub(super) exten: &'a str,
    pub(super) channel: &'a str,
    pub(super) accountcode: &'a str,
    pub(super) uniqueid: &'a str,
    pub(super) linkedid: &'a str,
    pub(super) extra: Extra,
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
        Ok(Data::of_ended_leg(&self.leg()?).with_text("channel", Some(self.channel)))
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
    Ok(CallReference::Legs { legs, ties: Ties::default(), name: call_name(linkedid) })
}

/// Whether the caller was answered along with the channel that it had dialled: the switch takes milliseconds for that, a
/// question that the callee has to answer first takes seconds.
fn is_at_once(answered_at: Timestamp, put_through_at: Timestamp) -> bool {
    put_through_at <= answered_at.plus_millis(1000)
}

/// Most calls that are remembered: more than a switch has at once. The one without a row for longest is concluded first; a
/// later row of it undoes that.
const MOST_CALLS: usize = 20_000;

/// The calls of the file that are not known to be over: some channel has not ended, or the originating one was not seen.
pub(super) struct OpenCalls {
    calls: LruCache<String, OpenCall>,
    /// The call that each open channel was last seen in: an attended transfer makes two calls one.
    call_of: BTreeMap<String, String>,
}

impl Default for OpenCalls {
    fn default() -> Self {
        Self { calls: LruCache::unbounded(), call_of: BTreeMap::new() }
    }
}

#[derive(Default)]
struct OpenCall {
    /// The time of the last row, of whichever type.
    last_at: Option<Timestamp>,
    last_row: String,
    /// How many rows it has.
    rows: u32,
    /// Those that have not ended.
    channels: BTreeMap<String, Channel>,
    origin_channel: Option<String>,
    origin_seen: bool,
    origin_answered: bool,
    /// How the channel that ended last did.
    last_ending: Option<Ending>,
}

impl OpenCall {
    fn notice(&mut self, event: &CelEvent<'_>) {
        self.last_at = self.last_at.max(Some(event.at));
        event.row.clone_into(&mut self.last_row);
        self.rows += 1;
    }

    /// The end that no row tells, at the last row. A file that grows is imported again and again, and the fold believes
    /// the earliest of several concluded ends. So the conclusion comes with a sign of life at its own time, which refutes
    /// the earlier ones; of several at the same time the one of the most rows has the lowest id.
    fn conclude(&self, linkedid: &str, ending: Ending, teller: &Teller) -> Vec<Telling> {
        let Some(at) = self.last_at else { return Vec::new() };
        let Ending { kind, cause, by } = ending;
        let last_row = event_id_of(&format!("{linkedid}\u{1f}{}", self.last_row));
        let end = event_id(&format!("cel_end_{:010}_{last_row}", u32::MAX - self.rows));
        let data = Data::default().with_ending(cause, by).with("inferred", Some(true));
        let seen = event_id(&format!("cel_seen_{last_row}"));
        vec![teller.tell(seen, at, kinds::CALL_SEEN, Data::default()), teller.tell(end, at, kind, data)]
    }
}

/// How a channel ended.
#[derive(Clone, Copy)]
struct Ending {
    kind: &'static str,
    cause: Option<Cause>,
    by: Option<Party>,
}

impl Ending {
    /// No row tells how.
    const UNTOLD: Self = Self { kind: kinds::CALL_COMPLETED, cause: None, by: None };
    /// The switch was killed.
    const LOST: Self = Self { kind: kinds::CALL_FAILED, cause: Some(Cause::NetworkError), by: None };
}

/// An open channel.
#[derive(Default)]
struct Channel {
    answered: bool,
    /// The first row that shows it in a bridge.
    bridged_at: Option<Timestamp>,
    /// Its answer, until it is known to be one to the caller.
    held_back: Option<Telling>,
}

impl OpenCalls {
    /// What a row tells, if it tells anything.
    pub(super) fn take(&mut self, event: &CelEvent<'_>, teller: &Teller) -> Result<Option<Mapped>, String> {
        self.notice(event);
        let (kind, data) = match event.kind {
            "CHAN_START" => (kinds::CALL_INITIATED, event.initiated()?),
            "ANSWER" => return self.answer(event, teller),
            "BRIDGE_ENTER" => return self.put_through(event),
            "BLINDTRANSFER" | "ATTENDEDTRANSFER" => {
                (kinds::CALL_TRANSFERRED, event.data()?.with_text("to", event.transferred_to()))
            }
            "HANGUP" => {
                let (ending, data) = self.ending(event)?;
                self.close(event.uniqueid, Some(ending), event);
                (ending.kind, data)
            }
            // The end of a channel of which no HANGUP was written (cel.conf need not ask for it).
            "CHAN_END" if self.call_of.contains_key(event.uniqueid) => {
                self.close(event.uniqueid, Some(Ending::UNTOLD), event);
                (Ending::UNTOLD.kind, event.data()?)
            }
            "LINKEDID_END" => return self.end_of_call(event, teller),
            _ => return Ok(None),
        };
        let telling = teller.tell(event_id_of(event.row), event.at, kind, data);
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings: vec![telling] }))
    }

    fn notice(&mut self, event: &CelEvent<'_>) {
        let opens = matches!(event.kind, "CHAN_START" | "ANSWER" | "BRIDGE_ENTER" | "BRIDGE_EXIT");
        let moved = self.call_of.get(event.uniqueid).is_some_and(|call| call != event.linkedid);
        if moved || (opens && !self.call_of.contains_key(event.uniqueid)) {
            let channel = self.close(event.uniqueid, None, event).unwrap_or_default();
            let call = self.calls.get_or_insert_mut(event.linkedid.to_owned(), OpenCall::default);
            call.channels.insert(event.uniqueid.to_owned(), channel);
            self.call_of.insert(event.uniqueid.to_owned(), event.linkedid.to_owned());
        }
        let Some(call) = self.calls.get_mut(event.linkedid) else { return };
        call.notice(event);
        // The row that ends the call may be named after any of its channels.
        let is_of_origin = event.is_origin() && event.kind != "LINKEDID_END";
        call.origin_seen |= is_of_origin;
        if is_of_origin && !event.channel.is_empty() && call.origin_channel.is_none() {
            call.origin_channel = Some(event.channel.to_owned());
        }
        if matches!(event.kind, "BRIDGE_ENTER" | "BRIDGE_EXIT")
            && let Some(channel) = call.channels.get_mut(event.uniqueid)
        {
            channel.bridged_at.get_or_insert(event.at);
        }
        self.forget_if_over(event.linkedid);
    }

    /// Forgets a call all of whose channels have ended, if it needs no conclusion: the originating one was seen.
    fn forget_if_over(&mut self, linkedid: &str) {
        let needs_conclusion = |call: &OpenCall| !call.origin_seen && call.last_ending.is_some();
        let is_over = |call: &OpenCall| call.channels.is_empty() && !needs_conclusion(call);
        if self.calls.peek(linkedid).is_some_and(is_over) {
            self.calls.pop(linkedid);
        }
    }

    /// An answer. One of a dialled channel counts when the caller is answered too, or is put through to it: a mobile's
    /// mailbox that did not press 1 to take the call is no answer.
    fn answer(&mut self, event: &CelEvent<'_>, teller: &Teller) -> Result<Option<Mapped>, String> {
        let telling = teller.tell(event_id_of(event.row), event.at, kinds::CALL_ANSWERED, event.data()?);
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

    /// Forgets a channel that has ended or, without an ending, moved to another call.
    fn close(&mut self, uniqueid: &str, ending: Option<Ending>, event: &CelEvent<'_>) -> Option<Channel> {
        let Some(linkedid) = self.call_of.remove(uniqueid) else {
            // A channel of which only the end was seen.
            if ending.is_some() && !event.is_origin() {
                let first = || {
                    let mut call = OpenCall::default();
                    call.notice(event);
                    call
                };
                let call = self.calls.get_or_insert_mut(event.linkedid.to_owned(), first);
                if call.channels.is_empty() {
                    call.last_ending = ending;
                }
            }
            return None;
        };
        let call = self.calls.get_mut(&linkedid)?;
        let channel = call.channels.remove(uniqueid);
        call.last_ending = ending.or(call.last_ending);
        self.forget_if_over(&linkedid);
        channel
    }

    fn ending(&self, event: &CelEvent<'_>) -> Result<(Ending, Data), String> {
        let call = self.calls.peek(event.linkedid);
        let channel = call.and_then(|call| call.channels.get(event.uniqueid));
        let was_answered = channel.is_some_and(|channel| channel.answered);
        // What the file shows of an answer that it does not tell.
        let answered_about = channel
            .and_then(|channel| channel.bridged_at)
            .or_else(|| event.extra.dial_was_answered().then_some(event.at))
            .filter(|_| !was_answered);
        let answered = was_answered || answered_about.is_some();
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
            // It had begun by then, though the file does not show when.
            .with_time("started_at", answered_about)
            .with_time("answered_about", answered_about)
            .with("answered_elsewhere", event.extra.is_answered_elsewhere().then_some(true))
            .with_ending(cause, by)
            .with("q850_cause", event.extra.hangup_cause())
            .with_text("dialstatus", event.extra.text("dialstatus"))
            .with_text("hangupsource", event.extra.text("hangupsource"));
        Ok((Ending { kind, cause, by }, data))
    }

    /// The last channel is gone: whatever channel's own end was not written is over too.
    fn end_of_call(&mut self, event: &CelEvent<'_>, teller: &Teller) -> Result<Option<Mapped>, String> {
        let Some(call) = self.calls.pop(event.linkedid) else { return Ok(None) };
        let mut tellings: Vec<Telling> = Vec::new();
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
            let leg = leg_id(if uniqueid == event.linkedid { LegId::ORIGIN } else { uniqueid })?;
            let id = event_id_of(&format!("{}\u{1f}{uniqueid}", event.row));
            tellings.push(teller.tell(id, event.at, Ending::UNTOLD.kind, Data::of_ended_leg(&leg)));
        }
        if !call.origin_seen {
            let ending = call.last_ending.unwrap_or(Ending::UNTOLD);
            tellings.extend(call.conclude(event.linkedid, ending, teller));
        }
        if tellings.is_empty() {
            return Ok(None);
        }
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings }))
    }

    /// The conclusion of a call for which there is no room.
    pub(super) fn give_up_stalest(&mut self, teller: &Teller) -> Option<Result<Mapped, String>> {
        if self.calls.len() > MOST_CALLS { self.give_up_next(teller) } else { None }
    }

    /// The end of a call of which the file has none: concluded at its last row, void if a later file goes on with it. A call
    /// whose known channels have all ended, ended as the last of them; another one failed with the switch.
    pub(super) fn give_up_next(&mut self, teller: &Teller) -> Option<Result<Mapped, String>> {
        let (linkedid, call) = self.calls.pop_lru()?;
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
        }
        let ending = call.last_ending.filter(|_| call.channels.is_empty()).unwrap_or(Ending::LOST);
        let tellings = call.conclude(&linkedid, ending, teller);
        Some(legs(&linkedid, &linkedid).map(|call| Mapped { call, tellings }))
    }
}
