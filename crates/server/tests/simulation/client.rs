//! The source: it says its events again and again until each is acknowledged.

use pegcount::{
    intake::{CallReference, Incoming},
    vocabulary::{self, Telling, Told, source_name},
};
use pegcount_calls::{CallName, EventId, Timestamp};
use pegcount_faults::Dice;
use pegcount_store::{OrganizationNumber, Report};
use serde_json::{Value, json};

/// 2026-01-01T10:00:00Z: nothing happens earlier.
pub const BEGIN: i64 = 1_767_261_600_000;

/// An event that the source has to say.
pub struct Saying {
    pub organization: OrganizationNumber,
    pub call: CallName,
    pub id: EventId,
    at: Timestamp,
    kind: &'static str,
    data: String,
    /// Whether it was on its way once.
    pub was_sent: bool,
    /// Whether the ledger has said that it has it.
    pub is_kept: bool,
}

impl Saying {
    fn told(&self, received_at: Timestamp) -> Told {
        vocabulary::tell(Telling {
            id: self.id.clone(),
            at: self.at,
            at_given: true,
            received_at,
            source: source_name("native"),
            kind: self.kind.to_owned(),
            data: self.data.clone(),
        })
        .expect("the source says nothing that is none")
    }

    /// Whether this is what was said, to the letter.
    pub fn is(&self, report: &Report) -> bool {
        (report.at, report.kind.as_str(), report.data.as_json_text()) == (self.at, self.kind, &self.data)
    }
}

/// The source.
pub struct Client {
    /// All that it ever says.
    pub sayings: Vec<Saying>,
    /// What is still to be said, or once more.
    pub outbox: Vec<usize>,
}

/// Words that are said in calls.
pub const WORDS: [&str; 4] = ["refund", "delivery", "appointment", "invoice"];

impl Client {
    pub fn with(dice: &mut Dice) -> Self {
        let mut sayings = Vec::new();
        for call in 0..2 + dice.below(6) {
            script(dice, call, &mut sayings);
        }
        // The events of calls come mixed, those of one call in their order.
        let mut places: Vec<(u64, usize)> = Vec::new();
        let mut last = (String::new(), 0);
        for (place, saying) in sayings.iter().enumerate() {
            let call = format!("{} {}", saying.organization.0, saying.call);
            let from = if last.0 == call { last.1 } else { dice.below(200) };
            last = (call, from + dice.below(40));
            places.push((last.1, place));
        }
        places.sort();
        Self { sayings, outbox: places.into_iter().map(|(_, place)| place).collect() }
    }

    /// The next few things to say, mostly in their order.
    pub fn choose(&self, dice: &mut Dice) -> Vec<usize> {
        let mut chosen = Vec::new();
        for place in 0..1 + dice.place(4) {
            let place = if dice.percent(20) { dice.place(self.outbox.len()) } else { place };
            chosen.extend(self.outbox.get(place).copied());
        }
        chosen
    }

    /// A request that says this.
    pub fn request(&mut self, chosen: &[usize], now: Timestamp) -> Vec<Incoming> {
        let one = |place: &usize| {
            let saying = &mut self.sayings[*place];
            saying.was_sent = true;
            Incoming {
                organization: saying.organization,
                source: source_name("native"),
                call: CallReference::Named(saying.call.clone()),
                told: vec![saying.told(now)],
            }
        };
        chosen.iter().map(one).collect()
    }
}

/// What happens in one call.
fn script(dice: &mut Dice, call: u64, sayings: &mut Vec<Saying>) {
    let organization = OrganizationNumber(1 + dice.below(2).cast_signed());
    let name = CallName::new(format!("call_{call}")).expect("a name");
    let leg = |leg: &str| json!({ "leg_id": leg });
    let mut events: Vec<(&'static str, Value)> = match dice.below(10) {
        // Tries that nobody answered: the program has to conclude that it is over.
        0..=2 => {
            let mut events = vec![("call_ringing", leg("b"))];
            for other in ["b", "c"].iter().take(1 + dice.place(2)) {
                events.push(("call_failed", json!({ "leg_id": other, "hangup_cause": "no_answer" })));
            }
            events
        }
        // One of a kind that goes on.
        3..=4 => vec![
            ("call_initiated", json!({ "direction": "inbound", "endpoint_id": "ep_1" })),
            ("call_ringing", json!({})),
        ],
        // One whose legs are told.
        5..=6 => vec![
            ("call_initiated", leg("a")),
            ("call_answered", leg("b")),
            ("call_completed", leg("b")),
            ("call_completed", leg("a")),
        ],
        _ => vec![
            (
                "call_initiated",
                json!({ "direction": "outbound", "from_number": "+49301234", "phone_number_id": "pn_1" }),
            ),
            ("call_answered", json!({})),
            ("call_completed", json!({ "duration": 20 + dice.below(100) })),
        ],
    };
    for _ in 0..dice.below(5) {
        let place = 1 + dice.place(events.len());
        let more = match dice.below(4) {
            0 => ("cost_item", json!({ "product": "llm", "cost": 0.25 })),
            1 => ("metadata_set", json!({ "metadata": { "turn": dice.below(9) } })),
            _ => {
                let word = WORDS[dice.place(WORDS.len())];
                ("transcript_turn", json!({ "role": "caller", "content": format!("about the {word}") }))
            }
        };
        events.insert(place, more);
    }
    let begin = dice.below(300);
    for (place, (kind, data)) in events.into_iter().enumerate() {
        let seconds = begin + place as u64 * (1 + dice.below(10));
        sayings.push(Saying {
            organization,
            call: name.clone(),
            id: EventId::new(format!("evt_{call}_{place}")).expect("an id"),
            at: Timestamp::from_millis(BEGIN + seconds.cast_signed() * 1000),
            kind,
            data: data.to_string(),
            was_sent: false,
            is_kept: false,
        });
    }
}
