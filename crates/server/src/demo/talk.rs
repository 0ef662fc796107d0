//! What is said in a call, by whom, and how long everything takes.

use serde_json::{Value, json};

use super::{
    outcome::Outcome,
    random::Random,
    scenarios::{Scenario, Step},
    script::Scripted,
    slots::Slots,
};
use crate::vocabulary::kinds;

/// Nobody talks to a machine for longer here; it is a demonstration.
const LONGEST_MS: i64 = 240_000;

const REPEAT_PLEASE: &[&str] =
    &["Sorry, could you say that again?", "Pardon?", "The line is bad, once more please?"];
const LOST_PATIENCE: &[&str] =
    &["Never mind, I'll call back later.", "This takes too long. Goodbye.", "Sorry, I have to go."];
const WANTS_A_PERSON: &[&str] =
    &["Can I talk to a person?", "I'd rather speak to somebody.", "An agent, please."];
const HANDS_OVER: &[&str] =
    &["Of course, I'll put you through.", "One moment, I'll connect you with a colleague."];
const GOES_ON: &[&str] =
    &["One more thing, if I may.", "And what about last month?", "Wait, I have another question."];
const PUTS_OFF: &[&str] =
    &["I'll send you the details by email.", "That is on our website as well.", "Let me note that down."];
const FILLERS: &[&str] = &["Uh, ", "Well, ", "Okay. ", "So, "];

/// What a conversation came to.
pub(super) struct Usage {
    /// When it ended, in milliseconds from the call's beginning.
    pub(super) ended: i64,
    /// What happened.
    pub(super) events: Vec<Scripted>,
    /// Tokens of the language model.
    pub(super) tokens: i64,
    /// Characters spoken by the agent.
    pub(super) characters: i64,
}

/// A conversation on its way.
pub(super) struct Talk<'a> {
    random: &'a mut Random,
    scenario: &'static Scenario,
    slots: &'a Slots,
    outbound: bool,
    /// When the call was answered.
    answered: i64,
    /// When the last word was spoken.
    now: i64,
    /// When the user last stopped talking, if nobody has talked since.
    waiting_since: Option<i64>,
    tools: u32,
    usage: Usage,
}

impl<'a> Talk<'a> {
    pub(super) fn begin(
        random: &'a mut Random,
        scenario: &'static Scenario,
        slots: &'a Slots,
        outbound: bool,
        answered: i64,
    ) -> Self {
        let usage = Usage { ended: answered, events: Vec::new(), tokens: 0, characters: 0 };
        let now = answered + random.between(250, 700);
        Self { random, scenario, slots, outbound, answered, now, waiting_since: None, tools: 0, usage }
    }

    /// Talks until the end.
    pub(super) fn run(&mut self, outcome: Outcome) -> Usage {
        let scenario = self.scenario;
        let [called, calling] = scenario.greetings;
        match outcome {
            Outcome::Voicemail => self.leave_a_message(),
            _ => {
                self.agent_says(if self.outbound { calling } else { called });
                let most = scenario.steps.len() as i64;
                let left = if outcome.cuts_short() { self.random.between(1, most - 2) } else { most };
                for step in scenario.steps.iter().take(usize::try_from(left).unwrap_or_default()) {
                    if self.now - self.answered < LONGEST_MS {
                        self.take(step);
                    }
                }
                self.part(outcome);
            }
        }
        let pause = self.random.millis(450.0, 0.5);
        self.usage.ended = self.now + pause;
        std::mem::replace(
            &mut self.usage,
            Usage { ended: self.now, events: Vec::new(), tokens: 0, characters: 0 },
        )
    }

    fn tell(&mut self, offset_ms: i64, kind: &'static str, data: Value) {
        self.usage.events.push(Scripted { offset_ms, kind, data });
    }

    fn take(&mut self, step: &'static Step) {
        match step {
            Step::Agent(lines) => {
                let said = self.agent_says(lines);
                if self.random.chance(0.08) {
                    self.user_says(REPEAT_PLEASE);
                    self.answer(&said);
                }
            }
            Step::User(lines) => self.user_says(lines),
            Step::Tool(name, arguments, result, median_ms) => {
                self.call_tool(name, arguments, result, *median_ms);
            }
            Step::Keys(digits) => {
                self.now += self.random.millis(1_200.0, 0.3);
                for digit in self.slots.fill(digits).chars() {
                    self.now += self.random.between(180, 520);
                    self.tell(self.now, kinds::DTMF_RECEIVED, json!({ "digit": digit.to_string() }));
                }
                self.waiting_since = Some(self.now);
            }
            Step::Sometimes(percent, steps) => {
                if self.random.between(1, 100) <= i64::from(*percent) {
                    for step in *steps {
                        self.take(step);
                    }
                }
            }
        }
    }

    /// How a conversation that stops in the middle stops.
    fn part(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::BrokenOff => self.user_says(LOST_PATIENCE),
            Outcome::Transferred => {
                self.user_says(WANTS_A_PERSON);
                self.agent_says(HANDS_OVER);
                self.now += self.random.between(300, 900);
                self.tell(self.now, kinds::CALL_TRANSFERRED, json!({ "to": self.scenario.desk }));
            }
            Outcome::TooLong => {
                while self.now - self.answered < LONGEST_MS / 2 {
                    self.user_says(GOES_ON);
                    self.agent_says(PUTS_OFF);
                }
            }
            _ => {}
        }
    }

    fn leave_a_message(&mut self) {
        self.speak("caller", "Hi, you have reached {full}. Please leave a message after the tone.");
        self.waiting_since = Some(self.now + 900);
        self.agent_says(self.scenario.greetings[1]);
        self.agent_says(&["Please call us back when you have a minute. Goodbye."]);
    }

    fn user_says(&mut self, lines: &[&'static str]) {
        let line = self.random.pick(lines);
        let filler = if self.random.chance(0.12) { self.random.pick(FILLERS) } else { "" };
        self.now += self.random.millis(520.0, 0.5);
        self.speak("caller", &format!("{filler}{line}"));
        self.waiting_since = Some(self.now);
    }

    fn agent_says(&mut self, lines: &[&'static str]) -> String {
        let line = self.random.pick(lines).to_owned();
        self.answer(&line);
        line
    }

    /// The agent speaks; where it had to think first, that is measured.
    fn answer(&mut self, line: &str) {
        let words = line.split_whitespace().count() as i64;
        if let Some(since) = self.waiting_since.take() {
            let (stt, llm, tts) = (
                self.random.millis(135.0, 0.25),
                self.random.millis(390.0, 0.42),
                self.random.millis(120.0, 0.3),
            );
            let start = self.now.max(since) + stt + llm + tts;
            let (input, output) = (320 + 40 * words + (self.now - self.answered) / 60, words * 4 / 3 + 2);
            self.usage.tokens += input + output;
            for data in [
                json!({ "stage": "stt", "latency_ms": stt, "provider": "deepgram", "model": "nova-3", "audio_ms": start - since }),
                json!({
                    "stage": "llm",
                    "latency_ms": llm,
                    "provider": "openai",
                    "model": "gpt-4.1-mini",
                    "input_tokens": input,
                    "output_tokens": output,
                }),
                json!({ "stage": "tts", "latency_ms": tts, "provider": "cartesia", "model": "sonic-2", "characters": line.len() }),
                json!({ "stage": "e2e", "latency_ms": start - since }),
            ] {
                self.tell(start, kinds::STAGE_LATENCY, data);
            }
            self.now = start;
        } else {
            self.now += self.random.between(120, 400);
        }
        self.speak("agent", line);
    }

    /// Speaks word by word. The event comes when the turn is over, as recognisers report it.
    fn speak(&mut self, role: &str, line: &str) {
        let content = self.slots.fill(line);
        let start = self.now;
        let pace = self.random.within(0.85, 1.2);
        let mut words = Vec::new();
        for word in content.split_whitespace() {
            let length = (pace * (80.0 + 48.0 * word.chars().count() as f64)) as i64;
            let from = self.now - self.answered;
            words.push(json!({ "word": word, "start_ms": from, "end_ms": from + length }));
            let breath = if word.ends_with(['.', ',', '?', '!']) { self.random.between(90, 260) } else { 25 };
            self.now += length + breath;
        }
        if role == "agent" {
            self.usage.characters += content.chars().count() as i64;
        }
        let data = json!({
            "role": role,
            "content": content,
            "start_ms": start - self.answered,
            "end_ms": self.now - self.answered,
            "words": words,
            "language": "en",
        });
        self.tell(self.now, kinds::TRANSCRIPT_TURN, data);
    }

    fn call_tool(&mut self, name: &str, arguments: &str, result: &str, median_ms: f64) {
        self.tools += 1;
        let id = format!("tool_{:02}", self.tools);
        let held = self.random.chance(0.06);
        self.now += self.random.millis(350.0, 0.3);
        if held {
            self.tell(self.now, kinds::CALL_HELD, json!({}));
        }
        let arguments: Value = serde_json::from_str(&self.slots.fill(arguments)).unwrap_or_default();
        self.tell(
            self.now,
            kinds::TOOL_INVOKED,
            json!({ "tool_call_id": id, "name": name, "arguments": arguments }),
        );
        let duration = self.random.millis(median_ms, 0.5);
        self.now += duration;
        let failed = self.random.chance(0.03);
        let data = match failed {
            true => json!({
                "tool_call_id": id,
                "result": { "error": "upstream timed out; answered from the cache" },
                "is_error": true,
                "duration_ms": duration,
            }),
            false => {
                let result: Value = serde_json::from_str(&self.slots.fill(result)).unwrap_or_default();
                json!({ "tool_call_id": id, "result": result, "is_error": false, "duration_ms": duration })
            }
        };
        self.tell(self.now, kinds::TOOL_RESULT, data);
        if held {
            self.now += self.random.millis(1_500.0, 0.4);
            self.tell(self.now, kinds::CALL_RESUMED, json!({}));
        }
    }
}
