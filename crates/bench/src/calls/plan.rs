//! How one call goes.

use pegcount::vocabulary::kinds;
use uuid::{Builder, Uuid};

use super::{Maker, endpoints_of, numbers_of, random::Random};

/// How a call ends, and how many of a thousand end so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Talked,
    NoAnswer,
    Canceled,
    Busy,
    Failed,
}

const OUTCOMES: [(f64, Outcome); 5] = [
    (0.66, Outcome::Talked),
    (0.15, Outcome::NoAnswer),
    (0.09, Outcome::Canceled),
    (0.06, Outcome::Busy),
    (0.04, Outcome::Failed),
];
/// No call lasts longer, in milliseconds.
pub(super) const LONGEST: i64 = 900_000;
const MEDIAN_TALK_MILLIS: f64 = 120_000.0;
/// How often an analysis comes after a talk.
const ANALYSED: f64 = 0.9;

/// What happens in a call, in the order it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Initiated,
    Ringing,
    Answered,
    Media,
    /// Who speaks: the agent or not. The moment of the answer is needed for the place in time.
    Turn {
        agent: bool,
    },
    Latency {
        stage: &'static str,
    },
    Dtmf,
    Ended,
    Cost,
    Analysis,
}

/// How a call goes, without its words.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its place in the order of begin.
    pub number: u64,
    /// Whose it is, from 1.
    pub organization: usize,
    endpoint: usize,
    phone_number: usize,
    caller: usize,
    campaign: usize,
    outbound: bool,
    outcome: Outcome,
    answered: Option<i64>,
    steps: Vec<(i64, Step)>,
}

/// One event in words.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its place within the call.
    pub place: usize,
    /// When it happened.
    pub at: i64,
    /// Its type.
    pub kind: &'static str,
    /// Its data as JSON.
    pub data: String,
}

impl Maker {
    /// How the call of this number goes, which begins at this moment.
    pub fn plan(&self, number: u64, begin: i64) -> Plan {
        let mut random = Random::of_one(self.seed, number, u64::MAX);
        let organization = self.organization(&mut random);
        let mut plan = Plan {
            number,
            organization,
            endpoint: self.one_of(&mut random, endpoints_of(organization)),
            phone_number: self.one_of(&mut random, numbers_of(organization)),
            caller: self.callers.pick(&mut random),
            campaign: 1 + self.campaigns.pick(&mut random),
            outbound: random.chance(0.35),
            outcome: outcome(&mut random),
            answered: None,
            steps: Vec::with_capacity(14),
        };
        plan.lay_out(&mut random, begin);
        plan
    }
}

fn outcome(random: &mut Random) -> Outcome {
    let mut left = random.unit();
    for (share, outcome) in OUTCOMES {
        left -= share;
        if left < 0.0 {
            return outcome;
        }
    }
    Outcome::Talked
}

impl Plan {
    fn lay_out(&mut self, random: &mut Random, begin: i64) {
        let ringing = begin + random.between(300, 3_000);
        self.steps.push((begin, Step::Initiated));
        if self.outcome != Outcome::Failed {
            self.steps.push((ringing, Step::Ringing));
        }
        match self.outcome {
            Outcome::Talked => {
                let answered = ringing + random.between(1_000, 15_000);
                self.lay_out_talk(random, begin, answered);
            }
            Outcome::NoAnswer => self.steps.push((ringing + random.between(20_000, 45_000), Step::Ended)),
            Outcome::Canceled => self.steps.push((ringing + random.between(2_000, 20_000), Step::Ended)),
            Outcome::Busy | Outcome::Failed => {
                self.steps.push((ringing + random.between(100, 2_000), Step::Ended));
            }
        }
    }

    fn lay_out_talk(&mut self, random: &mut Random, begin: i64, answered: i64) {
        self.answered = Some(answered);
        self.steps.push((answered, Step::Answered));
        self.steps.push((answered + random.between(50, 300), Step::Media));
        let longest = (begin + LONGEST - answered) as f64;
        let talk = random.log_normal(MEDIAN_TALK_MILLIS, 0.7).clamp(5_000.0, longest) as i64;
        let turns = 3 + i64::from(random.chance(0.5)) + i64::from(random.chance(0.3));
        for turn in 0..turns {
            let at = answered + 500 + talk * turn / turns;
            self.steps.push((at, Step::Turn { agent: turn % 2 == 0 }));
            if turn == 1 {
                self.steps.push((at + 700, Step::Latency { stage: "llm" }));
                self.steps.push((at + 900, Step::Latency { stage: "e2e" }));
            }
        }
        if random.chance(0.1) {
            self.steps.push((answered + talk / 2 + 1_234, Step::Dtmf));
        }
        let ended = answered + talk;
        self.steps.push((ended, Step::Ended));
        self.steps.push((ended + random.between(200, 900), Step::Cost));
        if random.chance(ANALYSED) {
            self.steps.push((ended + random.between(2_000, 9_000), Step::Analysis));
        }
        self.steps.sort_by_key(|(at, _)| *at);
    }

    /// When each event happens, in order.
    pub fn moments(&self) -> impl ExactSizeIterator<Item = i64> + '_ {
        self.steps.iter().map(|(at, _)| *at)
    }

    /// When it is over; what comes later is told of a call that has ended.
    pub fn ended(&self) -> i64 {
        let ended = self.steps.iter().find(|(_, step)| *step == Step::Ended);
        ended.map_or(i64::MAX, |(at, _)| *at)
    }

    /// Its UUID, as one minted at its begin.
    pub fn uuid(&self) -> Uuid {
        let begin = self.moments().next().and_then(|at| u64::try_from(at).ok()).unwrap_or_default();
        let mut bytes = [0; 10];
        let any = Random::of_one(0, self.number, 0).any().to_be_bytes();
        bytes.iter_mut().zip(any).for_each(|(byte, any)| *byte = any);
        Builder::from_unix_timestamp_millis(begin, &bytes).into_uuid()
    }

    /// A metadata pair that some of an organization's calls have.
    pub fn campaign(&self) -> String {
        format!("c-{}", self.campaign)
    }

    /// One of its events in words; `None` when it has no such event.
    pub fn said(&self, maker: &Maker, place: usize) -> Option<Said> {
        let (at, step) = *self.steps.get(place)?;
        let mut random = Random::of_one(maker.seed, self.number, place as u64);
        let (kind, data) = match step {
            Step::Initiated => (kinds::CALL_INITIATED, self.setup(&mut random)),
            Step::Ringing => (kinds::CALL_RINGING, "{}".to_owned()),
            Step::Answered => (kinds::CALL_ANSWERED, "{}".to_owned()),
            Step::Media => {
                let millis = random.between(20, 180);
                (kinds::SIP_MEDIA_ESTABLISHED, format!(r#"{{"codec":"PCMU","latency_ms":{millis}}}"#))
            }
            Step::Turn { agent } => (kinds::TRANSCRIPT_TURN, self.turn(maker, &mut random, at, agent)),
            Step::Latency { stage } => {
                let millis = random.log_normal(450.0, 0.4);
                let data = format!(
                    r#"{{"stage":"{stage}","latency_ms":{millis:.1},"provider":"example","model":"voice-{}"}}"#,
                    random.below(4)
                );
                (kinds::STAGE_LATENCY, data)
            }
            Step::Dtmf => (kinds::DTMF_RECEIVED, format!(r#"{{"digit":"{}"}}"#, random.below(10))),
            Step::Ended => self.end(),
            Step::Cost => {
                let cost = random.between(10, 9_000);
                (kinds::COST_ITEM, format!(r#"{{"product":"agent","cost":"0.{cost:05}"}}"#))
            }
            Step::Analysis => (kinds::ANALYSIS_READY, analysis(maker, &mut random)),
        };
        Some(Said { place, at, kind, data })
    }

    fn setup(&self, random: &mut Random) -> String {
        let (organization, number) = (self.organization, self.phone_number);
        let user = user_number(organization, self.caller);
        let ours = format!("+49{organization:04}{number:05}");
        let (direction, from, to) = match self.outbound {
            true => ("outbound", &ours, &user),
            false => ("inbound", &user, &ours),
        };
        let tier = ["basic", "plus", "gold"].get(random.below(3)).copied().unwrap_or_default();
        format!(
            r#"{{"direction":"{direction}","from_number":"{from}","to_number":"{to}","call_type":"phone_call","endpoint_id":"ep_{organization}_{}","phone_number_id":"pn_{organization}_{number}","metadata":{{"campaign":"{}","tier":"{tier}","order":"o-{}"}},"telephony":{{"sip_call_id":"{:016x}@sip.example.com"}}}}"#,
            self.endpoint,
            self.campaign(),
            random.between(10_000_000, 99_999_999),
            random.any(),
        )
    }

    fn turn(&self, maker: &Maker, random: &mut Random, at: i64, agent: bool) -> String {
        let turns = self.steps.iter().filter(|(_, step)| matches!(step, Step::Turn { .. })).count().max(1);
        // The agent says more; together it comes to about as much as was asked for.
        let share = if agent { 1.25 } else { 0.7 };
        let bytes = maker.text_bytes as f64 * share / turns as f64;
        let length = (bytes * (0.4 + 1.2 * random.unit())) as usize;
        let text = maker.vocabulary.text(random, length);
        let start = self.answered.map_or(0, |answered| at - answered);
        let role = if agent { "agent" } else { "caller" };
        format!(
            r#"{{"role":"{role}","content":"{text}","start_ms":{start},"end_ms":{}}}"#,
            start + text.len() as i64 * 60
        )
    }

    fn end(&self) -> (&'static str, String) {
        // The user is the caller of an inbound and the callee of an outbound call.
        let user = if self.outbound { "callee" } else { "caller" };
        let agent = if self.outbound { "caller" } else { "callee" };
        let by_user = !self.number.is_multiple_of(3);
        let (kind, cause, by) = match self.outcome {
            Outcome::Talked if by_user => (kinds::CALL_COMPLETED, "user_hangup", user),
            Outcome::Talked => (kinds::CALL_COMPLETED, "agent_hangup", agent),
            Outcome::NoAnswer => (kinds::CALL_COMPLETED, "no_answer", "system"),
            Outcome::Canceled if self.outbound => (kinds::CALL_COMPLETED, "agent_hangup", agent),
            Outcome::Canceled => (kinds::CALL_COMPLETED, "user_hangup", user),
            Outcome::Busy => (kinds::CALL_FAILED, "busy", "callee"),
            Outcome::Failed => (kinds::CALL_FAILED, "network_error", "system"),
        };
        (kind, format!(r#"{{"hangup_cause":"{cause}","hangup_source":"{by}"}}"#))
    }
}

/// The number of a person that calls an organization or is called by it; the first the most often.
pub fn user_number(organization: usize, rank: usize) -> String {
    format!("+1{:03}{:07}", 200 + organization % 800, 1_000_000 + rank)
}

fn analysis(maker: &Maker, random: &mut Random) -> String {
    let summary = maker.vocabulary.text(random, (maker.text_bytes / 20).max(40));
    let sentiment = ["Positive", "Neutral", "Negative"].get(random.below(3)).copied().unwrap_or_default();
    format!(
        r#"{{"call_successful":{},"call_summary":"{summary}","user_sentiment":"{sentiment}","in_voicemail":{}}}"#,
        random.chance(0.7),
        random.chance(0.05)
    )
}

#[cfg(test)]
mod tests {
    use pegcount_calls::{History, Status, fold};

    use super::*;
    use crate::calls::{tell, year};

    #[test]
    fn every_event_is_taken_and_its_call_ends_as_planned() {
        let maker = Maker::new(1, 4_000);
        let (mut events, mut spoken, mut talked) = (0, 0, 0);
        for number in 0..500 {
            let plan = maker.plan(number, year::BEGIN + 1_000_000);
            let said: Vec<Said> = (0..).map_while(|place| plan.said(&maker, place)).collect();
            assert!(said.is_sorted_by_key(|one| one.at));
            events += said.len();
            let told = said.iter().map(|one| tell(one).unwrap().event);
            let call = fold(&History::of(told).unwrap());
            let expected = match plan.outcome {
                Outcome::Talked => Status::Completed,
                Outcome::NoAnswer => Status::NoAnswer,
                Outcome::Canceled => Status::Canceled,
                Outcome::Busy => Status::Busy,
                Outcome::Failed => Status::Failed,
            };
            assert_eq!(call.status(), expected);
            if plan.outcome == Outcome::Talked {
                talked += 1;
                assert!((8..=16).contains(&said.len()), "{}", said.len());
                spoken += call.content.turns.iter().map(|turn| turn.said.content.len()).sum::<usize>();
            }
        }
        assert!((7..=11).contains(&(events / 500)), "{}", events / 500);
        assert!((3_500..=4_800).contains(&(spoken / talked)), "{}", spoken / talked);
    }

    #[test]
    fn the_first_organization_has_three_of_ten_calls() {
        let maker = Maker::new(1, 100);
        let first = (0..10_000).filter(|number| maker.plan(*number, 0).organization == 1).count();
        assert!((2_850..3_150).contains(&first), "{first}");
    }
}
