//! From a FreeSWITCH channel record to native events.

use pegcount_calls::{Cause, LegId, Timestamp};
use pegcount_store::LegSpan;
use serde_json::{Map, Value};

use super::{
    ending::Circumstances,
    wire::{Cdr, Times, members},
};
use crate::{
    intake::{CallReference, Ties},
    sources::mapped::{Data, Mapped, Teller, event_id, given_id, leg_id, short_text},
    vocabulary::{Telling, call_name, kinds},
};

/// How many channels one record may name: a ring group has some tens.
const MOST_LEGS: usize = 256;
/// How many transfers of one channel are told.
const MOST_TRANSFERS: usize = 32;

/// What a channel's record tells: which call it belongs to, and the events of that leg.
///
/// # Errors
/// A sentence, when the record lacks its channel's id or the time it began.
pub fn map(cdr: &Cdr, received_at: Timestamp) -> Result<Mapped, String> {
    let channel = Channel::of(cdr, received_at)?;
    Ok(Mapped { call: channel.call()?, tellings: channel.tellings() })
}

/// One channel, with what was worked out of its record.
struct Channel<'a> {
    cdr: &'a Cdr,
    uuid: &'a str,
    originator: Option<&'a str>,
    leg: LegId,
    outbound: bool,
    created_at: Timestamp,
    ringing_at: Option<Timestamp>,
    answered_at: Option<Timestamp>,
    bridged_at: Option<Timestamp>,
    ended_at: Timestamp,
    /// The record does not say when the channel ended.
    lacks_end: bool,
    /// What the clock makes of the time it talked, where the record's own count contradicts it; in milliseconds.
    clock_millis: Option<i64>,
    teller: Teller,
}

/// Two lengths that differ by no more are the same, cut off to seconds.
const CUT_OFF_MILLIS: u64 = 1000;

impl<'a> Channel<'a> {
    fn of(cdr: &'a Cdr, received_at: Timestamp) -> Result<Self, String> {
        let variables = &cdr.variables;
        let flows = || cdr.callflow.iter();
        let uuid = variables
            .id("uuid")
            .or_else(|| flows().find_map(|flow| flow.caller_profile.uuid.id()))
            .ok_or("the CDR lacks its channel's uuid")?;
        let times = |name: &str, of: fn(&Times) -> Option<i64>| -> Vec<Timestamp> {
            let mut told: Vec<i64> =
                flows().filter_map(|flow| of(&flow.times)).chain(variables.millis(name)).collect();
            if told.is_empty() {
                told.extend(variables.whole_seconds(name));
            }
            told.into_iter().map(Timestamp::from_millis).collect()
        };
        let first = |name: &str, of| times(name, of).into_iter().min();
        let created_at = first("start", |times| times.created_time.millis())
            .ok_or("the CDR lacks the time its channel was created")?;
        let progress_at = first("progress", |times| times.progress_time.millis());
        let media_at = first("progress_media", |times| times.progress_media_time.millis());
        let answered_at = first("answer", |times| times.answered_time.millis());
        let bridged_at = first("bridge", |times| times.bridged_time.millis());
        let hung_up_at = times("end", |times| times.hangup_time.millis()).into_iter().max();
        let billed = variables.length_millis("billsec").filter(|&billed| billed > 0);
        let by_length = answered_at.zip(billed).map(|(answered_at, billed)| answered_at.plus_millis(billed));
        // What the switch counted goes before its clock, which may be set in between.
        let contradicts = |by_clock: Timestamp| {
            by_length.is_some_and(|by_length| by_clock.millis().abs_diff(by_length.millis()) > CUT_OFF_MILLIS)
        };
        let told_end = hung_up_at.filter(|at| !contradicts(*at)).or(by_length).or_else(|| {
            let lasted = variables.length_millis("duration").filter(|&lasted| lasted > 0)?;
            Some(created_at.plus_millis(lasted))
        });
        let clock_millis = hung_up_at.filter(|at| contradicts(*at)).zip(answered_at);
        let clock_millis = clock_millis.map(|(end, answer)| (end.millis() - answer.millis()).max(0));
        let known = [Some(created_at), progress_at, media_at, answered_at, bridged_at];
        let last_known = known.into_iter().flatten().max().unwrap_or(created_at);
        let originator = originator(cdr, uuid);
        Ok(Self {
            cdr,
            uuid,
            originator,
            leg: if originator.is_some() { leg_id(uuid)? } else { leg_id(LegId::ORIGIN)? },
            outbound: variables.get("direction") == Some("outbound"),
            created_at,
            ringing_at: progress_at.or(media_at),
            answered_at,
            bridged_at,
            // When the record came says nothing of when the channel ended.
            ended_at: told_end.unwrap_or(last_known).max(created_at),
            lacks_end: told_end.is_none(),
            clock_millis,
            teller: Teller { source: super::SOURCE, received_at },
        })
    }

    fn variable(&self, name: &str) -> Option<&'a str> {
        self.cdr.variables.get(name)
    }

    fn is_origin(&self) -> bool {
        self.originator.is_none()
    }

    /// Every leg that this record proves to be of the same call: itself, the one that dialled it, those it dialled.
    ///
    /// Not by `call_uuid` or the channel it talked to (`bridge_uuid`, `signal_bond`): an agent who stays on the line
    /// talks to callers who have nothing to do with each other. Only after an attended transfer the two that were put
    /// together are one call.
    fn call(&self) -> Result<CallReference, String> {
        let dialled = self.variable("originated_legs").into_iter().flat_map(members);
        let dialled = dialled.filter_map(|member| member.split(';').next());
        let variables = &self.cdr.variables;
        let put_together = if self.was_put_through() {
            [variables.id("bridge_uuid"), variables.id("signal_bond")]
        } else {
            [None, None]
        };
        let mut legs: Vec<LegSpan> = Vec::new();
        let named =
            [Some(self.uuid), self.originator].into_iter().chain(put_together).flatten().chain(dialled);
        for uuid in named.filter_map(given_id).take(MOST_LEGS) {
            let leg = LegSpan::unique(leg_id(uuid)?);
            if !legs.contains(&leg) {
                legs.push(leg);
            }
        }
        let name = call_name(self.originator.unwrap_or(self.uuid));
        Ok(CallReference::Legs { legs, ties: Ties::default(), name })
    }

    fn was_put_through(&self) -> bool {
        self.history().any(|transfer| transfer.kind == "att_xfer")
            || self.variable("endpoint_disposition") == Some("ATTENDED_TRANSFER")
    }

    fn tellings(&self) -> Vec<Telling> {
        let mut tellings = vec![self.initiated()];
        if let Some(ringing_at) = self.ringing_at {
            tellings.push(self.tell("ringing", ringing_at, kinds::CALL_RINGING, self.data()));
        }
        if let Some(answered_at) = self.answered_to_caller_at() {
            tellings.push(self.tell("answered", answered_at, kinds::CALL_ANSWERED, self.data()));
            let codec = self.variable("read_codec").or_else(|| self.variable("rtp_use_codec_name"));
            if codec.is_some() && self.is_origin() {
                let data = self.data().with_text("codec", codec);
                tellings.push(self.tell("media", answered_at, kinds::SIP_MEDIA_ESTABLISHED, data));
            }
        }
        tellings.extend(self.transfers());
        tellings.extend(self.quality());
        tellings.extend(self.recording());
        tellings.push(self.ended());
        tellings
    }

    /// When the channel's answer was one to the caller. A dialled channel that was never put through (a mobile's mailbox
    /// that did not press 1 to take the call) is no answer; one that was only put through later, it is then.
    fn answered_to_caller_at(&self) -> Option<Timestamp> {
        let answered_at = self.answered_at?;
        if self.was_abandoned() {
            return None;
        }
        if self.is_origin() {
            return Some(answered_at);
        }
        let bridged_at = self.bridged_at?;
        Some(if bridged_at <= answered_at.plus_millis(1000) { answered_at } else { bridged_at })
    }

    /// Whether the caller gave up in a queue (mod_callcenter) before an agent took the call: what answered was the queue.
    fn was_abandoned(&self) -> bool {
        self.variable("cc_side") == Some("member")
            && self.variable("last_app") == Some("callcenter")
            && self.variable("cc_cause") == Some("cancel")
            && self.bridged_at.is_none()
    }

    fn tell(&self, word: &str, at: Timestamp, kind: &str, data: Data) -> Telling {
        self.teller.tell(event_id(&format!("{}-{word}", self.uuid)), at, kind, data)
    }

    fn data(&self) -> Data {
        Data::of_ended_leg(&self.leg)
    }

    fn initiated(&self) -> Telling {
        // The newest profile comes first; a transfer has changed its numbers.
        let profile = self.cdr.callflow.last().map(|flow| &flow.caller_profile);
        let from = profile.and_then(|profile| profile.caller_id_number.get());
        let to = profile.and_then(|profile| profile.destination_number.get());
        let direction = if self.outbound { "outbound" } else { "inbound" };
        let mut data = self
            .data()
            .with("direction", self.is_origin().then_some(direction))
            .with_text("from_number", from.or_else(|| self.variable("sip_from_user")))
            .with_text("to_number", to.or_else(|| self.variable("sip_req_user")))
            .with("freeswitch_uuid", short_text(self.uuid));
        if self.is_origin() {
            let sip_call_id = self.variable("sip_call_id").and_then(short_text);
            let telephony =
                sip_call_id.map(|id| Map::from_iter([("sip_call_id".to_owned(), Value::from(id))]));
            data = data.with("telephony", telephony).with_metadata(&[
                ("accountcode", self.variable("accountcode")),
                ("queue", self.variable("cc_queue")),
            ]);
        }
        self.tell("initiated", self.created_at, kinds::CALL_INITIATED, data)
    }

    /// The transfers that handed this party over to somebody else. A channel that the dialplan sent on before it
    /// reached anybody (a menu's choice) was handed over by nobody.
    fn transfers(&self) -> Vec<Telling> {
        let mut told = Vec::new();
        for transfer in self.history().filter(|transfer| transfer.kind != "uuid_br").take(MOST_TRANSFERS) {
            let ended_flow = self.cdr.callflow.iter().find(|flow| {
                flow.times.transfer_time.millis().is_some_and(|at| at.div_euclid(1000) == transfer.epoch)
            });
            let talked = ended_flow.is_some_and(|flow| flow.times.bridged_time.millis().is_some());
            if self.is_origin() && !talked && self.variable("sip_refer_to").is_none() {
                continue;
            }
            let at = ended_flow.and_then(|flow| flow.times.transfer_time.millis());
            let at = at.unwrap_or(transfer.epoch.saturating_mul(1000));
            let at = Timestamp::from_millis(at).clamp(self.created_at, self.ended_at);
            let data = self.data().with_text("to", transfer.to);
            let word = if told.is_empty() {
                "transferred".to_owned()
            } else {
                format!("transferred-{}", told.len() + 1)
            };
            told.push(self.tell(&word, at, kinds::CALL_TRANSFERRED, data));
        }
        told
    }

    fn history(&self) -> impl Iterator<Item = Transfer<'a>> {
        let recorded = self.variable("transfer_history").or_else(|| self.variable("transfer_source"));
        recorded.into_iter().flat_map(members).filter_map(Transfer::read)
    }

    /// The switch's estimate of the audio it received from the far end. Of its counters only what it received is told:
    /// packets that it skipped are not packets that were lost.
    fn quality(&self) -> Option<Telling> {
        let stats = &self.cdr.call_stats.audio.inbound;
        let number = |counted: Option<&str>, variable: &str| {
            counted.or_else(|| self.variable(variable)).and_then(|text| text.parse::<f64>().ok())
        };
        let packets = number(stats.media_packet_count.get(), "rtp_audio_in_media_packet_count")?;
        if packets < 1.0 || packets > f64::from(u32::MAX) {
            return None;
        }
        let mos = number(stats.mos.get(), "rtp_audio_in_mos").filter(|mos| (1.0..=5.0).contains(mos));
        let rate = self.variable("read_rate").and_then(|rate| rate.parse::<u32>().ok());
        let data = self
            .data()
            .with("leg", Some(if self.is_origin() { "caller" } else { "agent" }))
            .with("mos", mos.map(|mos| (mos * 100.0).round() / 100.0))
            .with("packets_received", Some(packets as u64))
            .with_text("audio_codec", self.variable("read_codec"))
            .with("sample_rate_hz", rate);
        Some(self.tell("quality", self.ended_at, kinds::MEDIA_QUALITY, data))
    }

    /// A recording, where the switch wrote one to where others can fetch it; a path on its own disk is of no use here.
    fn recording(&self) -> Option<Telling> {
        let millis = self.variable("record_ms")?.parse::<u32>().ok().filter(|&millis| millis > 0)?;
        let target = self.cdr.app_log.applications.iter().rev().find_map(|application| {
            let records = matches!(application.app_name.get(), Some("record_session" | "record"));
            application.app_data.get().filter(|_| records)?.split_whitespace().next()
        })?;
        let url = target.strip_prefix("http_cache://").unwrap_or(target);
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        if !is_url || url.len() > 4096 {
            return None;
        }
        let size = self.variable("record_file_size").and_then(|size| size.parse::<u64>().ok());
        let data = self
            .data()
            .with("url", Some(url))
            .with("duration_seconds", Some(f64::from(millis) / 1000.0))
            .with("size_bytes", size);
        Some(self.tell("recorded", self.ended_at, kinds::RECORDING_READY, data))
    }

    fn ended(&self) -> Telling {
        let cause = self.variable("hangup_cause").unwrap_or_default();
        let code = |name: &str| self.variable(name).and_then(|text| text.parse::<i64>().ok());
        let q850 = code("hangup_cause_q850").filter(|code| (0..=127).contains(code));
        let refused_with = code("sip_invite_failure_status").filter(|_| self.answered_at.is_none());
        let sip_status =
            refused_with.or_else(|| code("sip_term_status")).filter(|code| (100..700).contains(code));
        let disposition = self.variable("sip_hangup_disposition").unwrap_or_default();
        let last_peer_left_by_bye =
            self.variable("last_bridge_proto_specific_hangup_cause") == Some("sip:200");
        let dialled = ["originate_disposition", "originate_failed_cause"];
        let ending = Circumstances {
            cause,
            q850,
            disposition,
            dialled: dialled
                .into_iter()
                .find_map(|name| self.variable(name))
                .filter(|&cause| cause != "SUCCESS"),
            sip_status: refused_with,
            answered: self.answered_at.is_some() && !self.was_abandoned(),
            bridged: self.bridged_at.is_some(),
            origin: self.is_origin(),
            outbound: self.is_origin() && self.outbound,
            // Unless the channel went on to something else after its peer had left.
            peer_hung_up: last_peer_left_by_bye && self.variable("last_app") == Some("bridge"),
            transferred_away: matches!(
                self.variable("endpoint_disposition"),
                Some("BLIND_TRANSFER" | "ATTENDED_TRANSFER")
            ),
        }
        .ending();
        let talked = self.answered_to_caller_at().and(self.cdr.variables.length_millis("billsec"));
        let seconds = |millis: i64| millis as f64 / 1000.0;
        let reason = (ending.transfer && ending.cause == Cause::NormalClearing).then_some("transfer");
        let data = self
            .data()
            .with_ending(Some(ending.cause), ending.by)
            .with("reason", reason)
            .with("duration", talked.filter(|&millis| millis > 0).map(seconds))
            .with("clock_duration", self.clock_millis.filter(|_| talked.is_some()).map(seconds))
            .with("inferred", self.lacks_end.then_some(true))
            .with("answered_elsewhere", ending.elsewhere.then_some(true))
            .with("sip_status", sip_status)
            .with("q850_cause", q850)
            .with_text("freeswitch_cause", Some(cause))
            .with_text("freeswitch_disposition", Some(disposition));
        let kind = if ending.failed { kinds::CALL_FAILED } else { kinds::CALL_COMPLETED };
        self.tell("ended", self.ended_at, kind, data)
    }
}

/// The channel that this one belongs to, where another one dialled it.
fn originator<'a>(cdr: &'a Cdr, uuid: &str) -> Option<&'a str> {
    let variables = &cdr.variables;
    let profiles =
        cdr.callflow.iter().flat_map(|flow| &flow.caller_profile.originator.originator_caller_profiles);
    let outbound = variables.get("direction") == Some("outbound");
    // mod_callcenter calls an agent for a member who waits. An agent who stays on the line belongs to no member.
    let waits = variables.get("cc_side") == Some("agent")
        && outbound
        && variables.get("cc_agent_type") != Some("uuid-standby");
    // The dialplan's half of a loopback channel belongs to its other half.
    let loopback = variables.id("other_loopback_leg_uuid").filter(|_| !outbound);
    variables
        .id("originator")
        .or_else(|| variables.id("originating_leg_uuid"))
        .or_else(|| profiles.filter_map(|profile| profile.uuid.id()).next_back())
        .or(loopback)
        .or_else(|| variables.id("cc_member_session_uuid").filter(|_| waits))
        .filter(|&originator| originator != uuid)
}

/// One entry of `transfer_history`: `<epoch>:<uuid>:<kind>:<destination>`.
struct Transfer<'a> {
    epoch: i64,
    kind: &'a str,
    to: Option<&'a str>,
}

impl<'a> Transfer<'a> {
    fn read(entry: &'a str) -> Option<Self> {
        let mut parts = entry.splitn(4, ':');
        let epoch = parts.next()?.parse().ok()?;
        let (_, kind) = (parts.next()?, parts.next()?);
        // 108/lab/XML: extension, context, dialplan.
        let to = parts.next().and_then(|to| to.split('/').next()).filter(|to| !to.is_empty());
        Some(Self { epoch, kind, to })
    }
}
