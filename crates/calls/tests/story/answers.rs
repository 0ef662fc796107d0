//! What may be asked of a call, each answer as one word or text; `none` where nothing is known.

use std::{fmt::Debug, time::Duration};

use pegcount_calls::{
    Bill, BilledProduct, Call, Decimal, Document, Ending, Explanation, Note, QualityLeg, Role, Stage, Tariff,
    Timestamp, ToolEntry,
};

use super::words::clock;

pub(super) struct Asked<'a> {
    pub(super) call: &'a Call,
    pub(super) explanations: &'a [Explanation],
    pub(super) notes: &'a [Note],
    pub(super) tariff: &'a Tariff,
}

/// `NoAnswer` as `no_answer`.
fn snake(value: impl Debug) -> String {
    let mut text = String::new();
    for character in format!("{value:?}").chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(character.to_lowercase());
    }
    text
}

fn shown<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "none".to_owned(), show)
}

fn text(value: &Option<String>) -> String {
    shown(value.as_ref(), String::clone)
}

fn time(value: Option<Timestamp>) -> String {
    shown(value, clock)
}

fn seconds(value: Option<Duration>) -> String {
    shown(value, |time| (time.as_millis() as f64 / 1000.0).to_string())
}

fn document(value: Option<&Document>) -> String {
    shown(value, |document| document.as_json_text().to_owned())
}

fn yes(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn joined(parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join("; ") }
}

fn decimal(value: Option<Decimal>) -> String {
    shown(value, |value| value.normalize().to_string())
}

fn stage(name: &str) -> Stage {
    match name {
        "e2e" => Stage::EndToEnd,
        name => Stage::ALL.into_iter().find(|stage| snake(stage) == name).expect(name),
    }
}

fn side(name: &str) -> QualityLeg {
    if name == "agent" { QualityLeg::Agent } else { QualityLeg::Caller }
}

impl Asked<'_> {
    pub(super) fn answer(&self, name: &str) -> String {
        match name.split_once('.') {
            Some((what, of)) => self.answer_of(what, of),
            None if name == "notes" => joined(self.notes.iter().map(note)),
            None => self.of_life(name).or_else(|| self.of_content(name)).expect(name),
        }
    }

    fn ending(&self, show: impl FnOnce(&Ending) -> String) -> String {
        shown(self.call.ending(), show)
    }

    fn of_life(&self, name: &str) -> Option<String> {
        let call = self.call;
        Some(match name {
            "status" => snake(call.status()),
            "live" => yes(call.is_live()),
            "disconnection" => shown(call.disconnection(), snake),
            "created" => clock(call.created_at),
            "ringing" => time(call.ringing_at),
            "answered" => time(call.answered_at()),
            "ended" => time(call.ended_at()),
            "cause" => self.ending(|ending| snake(ending.cause)),
            "by" => self.ending(|ending| shown(ending.by, snake)),
            "transfer" => self.ending(|ending| yes(ending.transfer)),
            "failed" => self.ending(|ending| yes(ending.failed)),
            "inferred" => self.ending(|ending| yes(ending.inferred)),
            "talk" => seconds(call.talk_time()),
            "total" => seconds(call.total_time()),
            "direction" => snake(call.direction),
            "type" => snake(call.call_type),
            "from" => text(&call.from_number),
            "to" => text(&call.to_number),
            "own_number" => shown(call.own_number(), str::to_owned),
            "endpoint" => shown(call.endpoint.as_ref(), ToString::to_string),
            "phone_number" => shown(call.phone_number.as_ref(), ToString::to_string),
            "opt_out" => yes(call.opt_out),
            _ => return None,
        })
    }

    fn of_content(&self, name: &str) -> Option<String> {
        let content = &self.call.content;
        let analysis = content.analysis.as_ref();
        let bill = || self.tariff.bill(self.call);
        Some(match name {
            "task" => shown(content.task, |task| task.to_string()),
            "call_sid" => text(&content.telephony.call_sid),
            "conference_sid" => text(&content.telephony.conference_sid),
            "sip_call_id" => text(&content.telephony.sip_call_id),
            "caller_name" => text(&content.caller.name),
            "asserted" => text(&content.caller.asserted_number),
            "privacy" => yes(content.caller.privacy == Some(true)),
            "context" => document(content.context.as_ref()),
            "metadata" => {
                joined(content.metadata.iter().map(|(key, value)| format!("{key}:{}", value.as_json_text())))
            }
            "lacks_recording" => yes(content.lacks_recording()),
            "recording" => shown(content.recording.as_ref(), |recording| {
                let place = recording.url.clone().or(recording.object.clone()).unwrap_or_default();
                format!("{} {place}", recording.announced_by.as_ref().unwrap())
            }),
            "turns" => joined(content.turns.iter().map(|turn| {
                let role = if turn.said.role == Role::Agent { "agent" } else { "user" };
                format!("{} {role} {}", clock(turn.at), turn.said.content)
            })),
            "tools" => joined(content.tools.iter().map(tool)),
            "transcript" => text(&content.transcript_text),
            "worst_loss" => shown(content.worst_packet_loss, |loss| loss.to_string()),
            "audio" => shown(content.audio.codec.as_ref(), |codec| {
                format!("{codec} {}", shown(content.audio.sample_rate_hz, |hz| hz.to_string()))
            }),
            "media" => format!(
                "{} {}",
                text(&content.media.codec),
                shown(content.media.latency_millis, |millis| millis.to_string())
            ),
            "analysed" => yes(analysis.is_some()),
            "successful" => shown(analysis.and_then(|found| found.successful), yes),
            "summary" => text(&analysis.and_then(|found| found.summary.clone())),
            "sentiment" => text(&analysis.and_then(|found| found.sentiment.clone())),
            "in_voicemail" => shown(analysis.and_then(|found| found.in_voicemail), yes),
            "custom" => document(analysis.and_then(|found| found.custom.as_ref())),
            "costs" => content.costs.len().to_string(),
            "cost" => decimal(bill().total.map(pegcount_calls::Amount::to_decimal)),
            "cents" => shown(bill().total, |total| total.cents().to_string()),
            "billed" => shown(bill().billed_seconds, |seconds| seconds.to_string()),
            "minute_seconds" => shown(bill().minute_item_seconds(), |seconds| seconds.to_string()),
            "items" => items(&bill()),
            _ => return None,
        })
    }

    /// What is asked of one of several.
    fn answer_of(&self, what: &str, of: &str) -> String {
        let content = &self.call.content;
        match what {
            "metadata" => document(content.metadata.get(of)),
            "samples" => joined(content.latencies.get(&stage(of)).into_iter().flatten().map(f64::to_string)),
            "p50" => {
                shown(self.call.latency(stage(of)).and_then(|summary| summary.p50), |p50| p50.to_string())
            }
            "num" => {
                shown(self.call.latency(stage(of)).and_then(|summary| summary.num), |num| num.to_string())
            }
            "loss" => shown(content.quality.get(&side(of)).and_then(|quality| quality.packet_loss), |loss| {
                loss.to_string()
            }),
            "mos" => {
                shown(content.quality.get(&side(of)).and_then(|quality| quality.mos), |mos| mos.to_string())
            }
            "set_by" => {
                shown(self.explanation(of), |found| joined(found.set_by.iter().map(ToString::to_string)))
            }
            "lost" => shown(self.explanation(of), |found| {
                joined(found.lost.iter().map(|(id, why)| format!("{id} {}", snake(why))))
            }),
            unknown => panic!("{unknown:?} cannot be asked of a call"),
        }
    }

    fn explanation(&self, field: &str) -> Option<&Explanation> {
        self.explanations.iter().find(|one| snake(&one.field) == field)
    }
}

fn note(note: &Note) -> String {
    let seconds = |millis: i64| (millis as f64 / 1000.0).to_string();
    match note {
        Note::AnsweredAfterEnd { answered_by, millis } => {
            format!("{answered_by} answered_after_end {}", seconds(*millis))
        }
        Note::LengthsDiffer { told_by, stated_millis, clock_millis, counted } => {
            let (stated, clock) = (seconds(*stated_millis), seconds(*clock_millis));
            format!("{told_by} lengths_differ {stated} {clock} {}", snake(counted))
        }
        Note::TalkExceedsCall { told_by, stated_millis, call_millis, counted } => {
            let (stated, lasted) = (seconds(*stated_millis), seconds(*call_millis));
            format!("{told_by} talk_exceeds_call {stated} {lasted} {}", snake(counted))
        }
    }
}

fn tool(entry: &ToolEntry) -> String {
    match entry {
        ToolEntry::Invocation { at, name, arguments, .. } => {
            format!("{} {} {}", clock(*at), text(name), document(arguments.as_ref()))
        }
        ToolEntry::Outcome { at, result, is_error, .. } => {
            let outcome = if *is_error { "failed" } else { "returned" };
            format!("{} {outcome} {}", clock(*at), document(result.as_ref()))
        }
    }
}

fn items(bill: &Bill) -> String {
    joined(bill.items.iter().map(|item| {
        let product = match &item.product {
            BilledProduct::TalkTime(direction) => format!("{} talk", snake(direction)),
            BilledProduct::ConnectionFee => "connection".to_owned(),
            BilledProduct::Named(name) => name.clone(),
        };
        let factors = format!("{} x {}", decimal(item.unit_price), decimal(item.quantity));
        format!("{product} {} {} = {factors}", snake(item.unit), item.cost.to_decimal())
    }))
}
