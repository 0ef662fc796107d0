//! One call as a list of events, each with its time. Nothing here knows a clock or a socket: a seed gives a call.

use serde_json::{Map, Value, json};

use super::{
    outcome::Outcome,
    random::Random,
    scenarios::{SCENARIOS, Scenario},
    slots::Slots,
    talk::Talk,
};
use crate::vocabulary::kinds;

/// One event, and when it happens.
#[derive(Debug, PartialEq)]
pub(super) struct Scripted {
    /// Milliseconds from the call's beginning.
    pub(super) offset_ms: i64,
    /// Its type.
    pub(super) kind: &'static str,
    /// Its data.
    pub(super) data: Value,
}

/// One call.
#[derive(Debug, PartialEq)]
pub(super) struct Script {
    /// How it ends.
    pub(super) outcome: Outcome,
    /// What happens, in order of time.
    pub(super) events: Vec<Scripted>,
    /// The place of the event that ends it.
    pub(super) end: usize,
    /// Its recording; `None` for a call that nobody answers.
    pub(super) recording: Option<Recording>,
}

/// The recording of a call.
#[derive(Debug, PartialEq)]
pub(super) struct Recording {
    /// When it is ready, in milliseconds from the call's beginning.
    pub(super) ready_ms: i64,
    /// Its length in milliseconds: from the answer to the end.
    pub(super) talk_ms: i64,
}

/// What the audio of a call is like.
pub(super) struct Line {
    /// The codec.
    pub(super) codec: &'static str,
    /// Samples a second.
    pub(super) sample_rate_hz: u32,
    /// A bad one: far, unsteady, losing packets.
    pub(super) poor: bool,
}

/// Area codes of users; 555-0100 to 0199 are kept for fiction in each of them.
const AREAS: &[i64] = &[202, 212, 303, 312, 404, 415, 503, 512, 602, 617, 702, 713, 786, 801];

/// The call that comes of a seed.
pub(super) fn script(seed: u64) -> Script {
    let mut random = Random::of(seed);
    let choices: Vec<(u32, &'static Scenario)> = SCENARIOS.iter().map(|scenario| (1, scenario)).collect();
    // There always are scenarios; without one there is no call.
    let Some(scenario) = random.weighted(&choices) else {
        return Script { outcome: Outcome::Unreachable, events: Vec::new(), end: 0, recording: None };
    };
    let outbound = random.between(1, 100) <= i64::from(scenario.outbound_percent);
    let outcome = Outcome::choose(&mut random, outbound);
    let slots = Slots::choose(&mut random);
    let mut call =
        CallScript { random, scenario, slots, outbound, outcome, events: Vec::new(), recording: None };
    let offered = call.set_up();
    let end = match outcome.is_answered() {
        true => call.talk(offered),
        false => call.give_up(offered),
    };
    let mut events = call.events;
    // Stable, so what happens in one millisecond stays as it was told.
    events.sort_by_key(|event| event.offset_ms);
    let (end_kind, _) = outcome.end(outbound);
    let place = events.iter().position(|event| event.kind == end_kind && event.offset_ms == end);
    Script { outcome, end: place.unwrap_or_default(), events, recording: call.recording }
}

struct CallScript {
    random: Random,
    scenario: &'static Scenario,
    slots: Slots,
    outbound: bool,
    outcome: Outcome,
    events: Vec<Scripted>,
    recording: Option<Recording>,
}

impl CallScript {
    fn tell(&mut self, offset_ms: i64, kind: &'static str, data: Value) {
        self.events.push(Scripted { offset_ms, kind, data });
    }

    /// Until the destination rings, or would; gives the time.
    fn set_up(&mut self) -> i64 {
        let setup = self.setup();
        let mut at = 0;
        if self.outbound && self.random.chance(0.6) {
            self.tell(0, kinds::CALL_QUEUED, setup.clone());
            at += self.random.millis(900.0, 0.5);
        }
        self.tell(at, kinds::CALL_INITIATED, setup);
        at += self.random.millis(70.0, 0.4);
        let target = if self.outbound { "carrier.example" } else { "agents.example" };
        self.tell(
            at,
            kinds::SIP_INVITE_SENT,
            json!({ "sip_uri": format!("sip:{}@{target}", self.scenario.agent.id) }),
        );
        at += self.random.millis(if self.outbound { 700.0 } else { 160.0 }, 0.4);
        if self.outcome.rings() {
            self.tell(at, kinds::CALL_RINGING, json!({}));
        }
        at
    }

    fn setup(&mut self) -> Value {
        let random = &mut self.random;
        let user = format!("+1{}55501{:02}", random.pick(AREAS), random.between(0, 99));
        let (from, to) = if self.outbound {
            (self.scenario.agent.number, user.as_str())
        } else {
            (user.as_str(), self.scenario.agent.number)
        };
        let mut metadata = Map::new();
        metadata.insert("scenario".into(), self.scenario.name.into());
        metadata.insert("customer_id".into(), self.slots.get("customer").into());
        if self.outbound {
            metadata.insert("batch_call_id".into(), format!("batch_demo_{}", random.between(1, 5)).into());
        }
        let web = !self.outbound && random.chance(0.08);
        let mut setup = json!({
            "direction": if self.outbound { "outbound" } else { "inbound" },
            "call_type": if web { "web_call" } else { "phone_call" },
            "to_number": to,
            "endpoint_id": self.scenario.agent.id,
            "phone_number_id": self.scenario.agent.number_id(),
            "metadata": metadata,
            "context": { "customer_name": self.slots.get("full"), "language": "en", "scenario": self.scenario.name },
            "task_id": random.between(1000, 9999),
            "telephony": {
                "call_sid": format!("CA{:016x}{:016x}", random.next(), random.next()),
                "sip_call_id": format!("{:016x}@demo.example", random.next()),
            },
        });
        if let Some(setup) = setup.as_object_mut() {
            if !web {
                setup.insert("from_number".into(), from.into());
            }
            if random.chance(0.01) {
                setup.insert("opt_out_sensitive_data_storage".into(), true.into());
            }
        }
        setup
    }

    /// Nobody answers.
    fn give_up(&mut self, offered: i64) -> i64 {
        let patience = match self.outcome {
            Outcome::NoAnswer => self.random.within(18_000.0, 30_000.0) as i64,
            Outcome::Canceled => self.random.within(3_000.0, 14_000.0) as i64,
            Outcome::Rejected => self.random.within(1_500.0, 8_000.0) as i64,
            Outcome::TimedOut => self.random.within(5_000.0, 9_000.0) as i64,
            _ => self.random.millis(600.0, 0.5),
        };
        let end = offered + patience;
        self.finish(end);
        end
    }

    /// Somebody answers; all that follows.
    fn talk(&mut self, offered: i64) -> i64 {
        let answered = offered
            + match (self.outbound, self.outcome) {
                (true, Outcome::Voicemail) => self.random.within(14_000.0, 22_000.0) as i64,
                (true, _) => self.random.within(3_000.0, 16_000.0) as i64,
                (false, _) => self.random.millis(1_100.0, 0.5),
            };
        let line = self.line();
        let latency = self.random.millis(if line.poor { 190.0 } else { 45.0 }, 0.4);
        self.tell(answered, kinds::CALL_ANSWERED, json!({}));
        let media = json!({ "codec": line.codec, "latency_ms": latency });
        let flowing = answered + self.random.between(20, 90);
        self.tell(flowing, kinds::SIP_MEDIA_ESTABLISHED, media);
        let mut talk = Talk::begin(&mut self.random, self.scenario, &self.slots, self.outbound, answered);
        let usage = talk.run(self.outcome);
        let end = usage.ended;
        self.events.extend(usage.events);
        self.measure(&line, answered, end);
        self.finish(end);
        self.charge(end, end - answered, usage.tokens, usage.characters);
        self.analyse(end);
        let ready_ms = end + self.random.millis(1_800.0, 0.3);
        self.recording = Some(Recording { ready_ms, talk_ms: end - answered });
        end
    }

    fn finish(&mut self, end: i64) {
        let (kind, data) = self.outcome.end(self.outbound);
        self.tell(end, kind, data);
    }

    fn line(&mut self) -> Line {
        let (codec, sample_rate_hz) = self
            .random
            .weighted(&[
                (5, ("opus", 48_000)),
                (4, ("PCMU", 8_000)),
                (2, ("PCMA", 8_000)),
                (1, ("G722", 16_000)),
            ])
            .unwrap_or(("PCMU", 8_000));
        Line { codec, sample_rate_hz, poor: self.random.chance(0.14) }
    }

    /// The audio of both legs, every quarter of a minute and at the end.
    fn measure(&mut self, line: &Line, answered: i64, end: i64) {
        let mut at = answered;
        while at < end {
            at = (at + 15_000).min(end);
            for leg in ["caller", "agent"] {
                // The agent sits in a data centre; only the way to the user is ever poor.
                let poor = line.poor && leg == "caller";
                let random = &mut self.random;
                let loss = random.log_normal(if poor { 0.025 } else { 0.0008 }, 0.7).min(0.4);
                let latency = random.log_normal(if poor { 210.0 } else { 38.0 }, 0.25);
                let jitter = random.log_normal(if poor { 24.0 } else { 3.0 }, 0.4);
                let mos = (4.45 - 18.0 * loss - latency / 900.0 - jitter / 120.0).clamp(1.0, 4.5);
                let packets = (at - answered) / 20;
                let lost = (packets as f64 * loss).round() as i64;
                let data = json!({
                    "leg": leg,
                    "latency_ms": latency.round(),
                    "jitter_ms": (jitter * 10.0).round() / 10.0,
                    "packet_loss": (loss * 10_000.0).round() / 10_000.0,
                    "mos": (mos * 100.0).round() / 100.0,
                    "audio_codec": line.codec,
                    "sample_rate_hz": line.sample_rate_hz,
                    "packets_received": packets - lost,
                    "packets_lost": lost,
                });
                self.tell(at, kinds::MEDIA_QUALITY, data);
            }
        }
    }

    /// What was used. Prices are decimal text, since money is exact.
    fn charge(&mut self, end: i64, talk_ms: i64, tokens: i64, characters: i64) {
        let minutes = decimal(talk_ms, 60_000);
        let carrier = if self.outbound { "0.0140" } else { "0.0085" };
        let at = end + self.random.millis(400.0, 0.3);
        let items = [
            json!({ "product": "telephony", "unit": "minute", "unit_price": carrier, "quantity": minutes }),
            json!({ "product": "speech_to_text", "unit": "minute", "unit_price": "0.0043", "quantity": minutes }),
            json!({ "product": "llm_tokens", "unit_price": "0.0000006", "quantity": tokens }),
            json!({ "product": "text_to_speech", "unit_price": "0.000015", "quantity": characters }),
        ];
        for item in items {
            self.tell(at, kinds::COST_ITEM, item);
        }
    }

    fn analyse(&mut self, end: i64) {
        let outcome = self.outcome;
        let at = end + self.random.millis(2_600.0, 0.4);
        let success = outcome.is_success() && self.random.chance(0.94);
        let summary = if outcome.is_success() { self.scenario.summary } else { outcome.setback() };
        let findings = if success { self.scenario.findings } else { "{}" };
        let data = json!({
            "call_successful": success,
            "call_summary": self.slots.fill(summary),
            "user_sentiment": outcome.sentiment(&mut self.random),
            "in_voicemail": outcome == Outcome::Voicemail,
            "custom": serde_json::from_str::<Value>(&self.slots.fill(findings)).unwrap_or_default(),
        });
        self.tell(at, kinds::ANALYSIS_READY, data);
        if self.random.chance(0.3) {
            let disposition = if success { "resolved" } else { "follow_up" };
            let metadata = json!({ "metadata": { "disposition": disposition } });
            let noted = at + self.random.millis(300.0, 0.3);
            self.tell(noted, kinds::METADATA_SET, metadata);
        }
    }
}

/// A quotient as decimal text with four digits, rounded up.
fn decimal(dividend: i64, divisor: i64) -> String {
    let parts = (dividend.max(0) * 10_000 + divisor - 1).div_euclid(divisor);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}
