//! What differs from call to call: names, days, amounts.

use super::random::Random;

const FIRST_NAMES: &[&str] = &[
    "Maria", "James", "Aisha", "Wei", "Elena", "Omar", "Grace", "Lukas", "Priya", "Noah", "Fatima", "Daniel",
    "Yuki", "Sofia", "Kwame", "Hannah", "Diego", "Chloe", "Ivan", "Ngozi", "Peter", "Leila", "Tom", "Ines",
];
const LAST_NAMES: &[&str] = &[
    "Garcia", "Okafor", "Chen", "Novak", "Haddad", "Schmidt", "Patel", "Brown", "Tanaka", "Rossi", "Mensah",
    "Kim", "Lopez", "Martin", "Petrov", "Nguyen", "Walker", "Silva", "Cohen", "Larsen",
];
/// What each slot may be.
const SLOTS: &[(&str, &[&str])] = &[
    (
        "date",
        &[
            "Monday",
            "Tuesday",
            "Wednesday",
            "Thursday",
            "Friday",
            "the third",
            "the twelfth",
            "the twentieth",
        ],
    ),
    (
        "time",
        &["nine thirty", "ten", "eleven fifteen", "two", "half past three", "four", "quarter past five"],
    ),
    ("doctor", &["Dr. Adeyemi", "Dr. Lindqvist", "Dr. Moreau", "Dr. Park", "Dr. Walsh"]),
    (
        "item",
        &["desk lamp", "coffee grinder", "rain jacket", "keyboard", "bookshelf", "pair of boots", "blender"],
    ),
    ("city", &["Denver", "Columbus", "Portland", "Austin", "Omaha", "Albany", "Raleigh"]),
    ("street", &["12 Elm Street", "480 Harbor Road", "7 Mill Lane", "95 Lake Avenue", "31 Station Square"]),
    ("drug", &["lisinopril", "metformin", "atorvastatin", "levothyroxine", "amlodipine"]),
    ("room", &["single room", "double room", "family room", "suite", "twin room"]),
    ("nights", &["2", "3", "4", "5"]),
    ("device", &["router", "modem", "TV box", "mesh node"]),
    (
        "company",
        &["Alder and Sons", "Copperfield Labs", "Harbor Logistics", "Bright Dental Group", "Juniper Foods"],
    ),
    ("seats", &["8", "15", "25", "40", "120", "300"]),
];

/// What fills the slots of one call.
pub(super) struct Slots(Vec<(&'static str, String)>);

impl Slots {
    /// Chooses for each slot.
    pub(super) fn choose(random: &mut Random) -> Self {
        let (first, last) = (random.pick(FIRST_NAMES), random.pick(LAST_NAMES));
        let mut slots: Vec<_> =
            SLOTS.iter().map(|(slot, choice)| (*slot, random.pick(choice).to_owned())).collect();
        slots.push(("name", first.to_owned()));
        slots.push(("full", format!("{first} {last}")));
        slots.push(("order", format!("LG-{}", random.between(10_000, 99_999))));
        slots.push(("customer", format!("C-{}", random.between(100_000, 999_999))));
        slots.push(("reference", format!("R{}", random.between(1000, 9999))));
        slots.push(("digits", random.between(100_000, 999_999).to_string()));
        slots.push(("amount", format!("{}.{:02}", random.between(24, 480), random.between(0, 99))));
        Self(slots)
    }

    /// What one slot was filled with.
    pub(super) fn get(&self, slot: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == slot).map(|(_, text)| text.as_str()).unwrap_or_default()
    }

    /// The text with its slots filled.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for (slot, value) in &self.0 {
            filled = filled.replace(&format!("{{{slot}}}"), value);
        }
        filled
    }
}
