//! What the rows of cel_custom add up to: the calls of a file while they are read.

use std::collections::BTreeMap;

use pegcount_calls::{Cause, EventId, LegId, Party, Timestamp};
use pegcount_store::LegSpan;

use super::{
    cel_end::{Extra, Hangup, is_failure},
    channel::{dialled_number, unique_leg},
};
use crate::{
    intake::{CallReference, Ties},
    sources::mapped::{Data, Mapped, Teller, leg_id},
    vocabulary::{Telling, call_name, event_id_of, kinds},
};

/// A row, read.
pub(super) struct CelEvent<'a> {
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

/// The calls of the file that have channels which have not ended, or whose originating channel was not seen.
#[derive(Default)]
pub(super) struct OpenCalls {
    calls: BTreeMap<String, OpenCall>,
    /// Calls all of whose channels have ended, the originating one not among them.
    headless: BTreeMap<String, OpenCall>,
    /// The call that each open channel was last seen in: an attended transfer makes two calls one.
    call_of: BTreeMap<String, String>,
}

#[derive(Default)]
struct OpenCall {
    /// The last row, of whichever type.
    last_at: Option<Timestamp>,
    channels: BTreeMap<String, Channel>,
    origin_channel: Option<String>,
    origin_seen: bool,
    origin_answered: bool,
    /// How the channel that ended last did.
    last_ending: Option<Ending>,
}

/// How a channel ended.
#[derive(Clone, Copy)]
struct Ending {
    kind: &'static str,
    cause: Option<Cause>,
    by: Option<Party>,
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
    pub(super) fn take(
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
                let (ending, data) = self.ending(event)?;
                self.close(event.uniqueid, Some(ending), event);
                (ending.kind, data)
            }
            // The end of a channel of which no HANGUP was written (cel.conf need not ask for it).
            "CHAN_END" if self.call_of.contains_key(event.uniqueid) => {
                let ending = Ending { kind: kinds::CALL_COMPLETED, cause: None, by: None };
                self.close(event.uniqueid, Some(ending), event);
                (ending.kind, event.data()?)
            }
            "LINKEDID_END" => return self.end_of_call(event, canonical, teller),
            _ => return Ok(None),
        };
        let telling = teller.tell(event_id_of(&canonical()), event.at, kind, data);
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings: vec![telling] }))
    }

    fn notice(&mut self, event: &CelEvent<'_>) {
        let opens = matches!(event.kind, "CHAN_START" | "ANSWER" | "BRIDGE_ENTER" | "BRIDGE_EXIT");
        let moved = self.call_of.get(event.uniqueid).is_some_and(|call| call != event.linkedid);
        if moved || (opens && !self.call_of.contains_key(event.uniqueid)) {
            let channel = self.close(event.uniqueid, None, event).unwrap_or_default();
            let headless = &mut self.headless;
            let call = self
                .calls
                .entry(event.linkedid.to_owned())
                .or_insert_with(|| headless.remove(event.linkedid).unwrap_or_default());
            call.channels.insert(event.uniqueid.to_owned(), channel);
            self.call_of.insert(event.uniqueid.to_owned(), event.linkedid.to_owned());
        }
        // The row that ends the call may be named after any of its channels.
        let is_of_origin = event.is_origin() && event.kind != "LINKEDID_END";
        if is_of_origin && !self.calls.contains_key(event.linkedid) {
            self.headless.remove(event.linkedid);
        }
        let Some(call) = self.calls.get_mut(event.linkedid) else {
            if let Some(call) = self.headless.get_mut(event.linkedid) {
                call.last_at = call.last_at.max(Some(event.at));
            }
            return;
        };
        call.last_at = call.last_at.max(Some(event.at));
        call.origin_seen |= is_of_origin;
        if is_of_origin && !event.channel.is_empty() && call.origin_channel.is_none() {
            call.origin_channel = Some(event.channel.to_owned());
        }
        if matches!(event.kind, "BRIDGE_ENTER" | "BRIDGE_EXIT")
            && let Some(channel) = call.channels.get_mut(event.uniqueid)
        {
            channel.bridged_at.get_or_insert(event.at);
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

    /// Forgets a channel that has ended or, without an ending, moved to another call. Its call is forgotten with the last
    /// of them, once the originating channel was seen.
    fn close(&mut self, uniqueid: &str, ending: Option<Ending>, event: &CelEvent<'_>) -> Option<Channel> {
        let Some(linkedid) = self.call_of.remove(uniqueid) else {
            // A channel of which only the end was seen.
            if let Some(ending) =
                ending.filter(|_| !event.is_origin() && !self.calls.contains_key(event.linkedid))
            {
                let call = self.headless.entry(event.linkedid.to_owned()).or_default();
                call.last_ending = Some(ending);
                call.last_at = call.last_at.max(Some(event.at));
            }
            return None;
        };
        let call = self.calls.get_mut(&linkedid)?;
        let channel = call.channels.remove(uniqueid);
        call.last_ending = ending.or(call.last_ending);
        if call.channels.is_empty()
            && let Some(call) = self.calls.remove(&linkedid)
            && !call.origin_seen
            && call.last_ending.is_some()
        {
            self.headless.insert(linkedid, call);
        }
        channel
    }

    fn ending(&self, event: &CelEvent<'_>) -> Result<(Ending, Data), String> {
        let call = self.calls.get(event.linkedid);
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
    fn end_of_call(
        &mut self,
        event: &CelEvent<'_>,
        canonical: impl Fn() -> String,
        teller: &Teller,
    ) -> Result<Option<Mapped>, String> {
        if let Some(call) = self.headless.remove(event.linkedid) {
            let (id, at) = (event_id_of(&canonical()), event.at);
            return conclude(event.linkedid, id, at, call.last_ending, teller).map(Some);
        }
        let Some(call) = self.calls.remove(event.linkedid) else { return Ok(None) };
        let mut tellings: Vec<Telling> = Vec::new();
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
            let leg = leg_id(if uniqueid == event.linkedid { LegId::ORIGIN } else { uniqueid })?;
            let id = event_id_of(&format!("{}\u{1f}{uniqueid}", canonical()));
            tellings.push(teller.tell(id, event.at, kinds::CALL_COMPLETED, Data::of_ended_leg(&leg)));
        }
        if tellings.is_empty() {
            return Ok(None);
        }
        Ok(Some(Mapped { call: legs(event.uniqueid, event.linkedid)?, tellings }))
    }

    /// The end of a call of which the file has none: concluded at its last row, void if a later file goes on with it. A call
    /// whose known channels have all ended, ended as the last of them; another one failed with the switch.
    pub(super) fn give_up_next(&mut self, teller: &Teller) -> Option<Result<Mapped, String>> {
        let (linkedid, call) = self.calls.pop_first().or_else(|| self.headless.pop_first())?;
        for uniqueid in call.channels.keys() {
            self.call_of.remove(uniqueid);
        }
        let at = call.last_at?;
        let id = event_id_of(&format!("no end of {linkedid} after {}", at.millis()));
        let ending = call.last_ending.filter(|_| call.channels.is_empty());
        Some(conclude(&linkedid, id, at, ending, teller))
    }
}

/// The end of a call that no row tells.
fn conclude(
    linkedid: &str,
    id: EventId,
    at: Timestamp,
    ending: Option<Ending>,
    teller: &Teller,
) -> Result<Mapped, String> {
    let lost = Ending { kind: kinds::CALL_FAILED, cause: Some(Cause::NetworkError), by: None };
    let Ending { kind, cause, by } = ending.unwrap_or(lost);
    let data = Data::default().with_ending(cause, by).with("inferred", Some(true));
    let tellings = vec![teller.tell(id, at, kind, data)];
    Ok(Mapped { call: legs(linkedid, linkedid)?, tellings })
}
