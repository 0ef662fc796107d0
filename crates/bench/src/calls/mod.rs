//! Made-up calls that look like real ones: the same from the same seed.
//!
//! [`Maker`] lays out a call ([`Plan`]: who, when, how it goes), cheaply and without its words; [`Plan::said`] puts one
//! of its events into words when it is needed. So 200,000 calls can be under way at a time ([`live`]) in little memory,
//! and whole calls ([`whole`]) can be made for filling a store.

pub mod live;
mod plan;
mod random;
pub mod whole;
mod words;
pub mod year;

use pegcount::vocabulary::{self, Telling, Told};
use pegcount_calls::{CallName, EventId, SourceName, Timestamp};

pub use plan::{Plan, Said, user_number};
use random::{Random, Zipf};
use words::Vocabulary;

/// How many organizations there are. The first has [`LARGEST_SHARE`] of the calls.
pub const ORGANIZATIONS: usize = 1_000;
/// What share of the calls belongs to the largest organization.
pub const LARGEST_SHARE: f64 = 0.3;
/// How many callers an organization knows.
const CALLERS: usize = 50_000;
const CAMPAIGNS: usize = 50;

/// Changes whenever other calls come out of the same seed: a store that was filled before is then filled anew.
pub const VERSION: u32 = 1;

/// What calls are made of.
pub struct Maker {
    seed: u64,
    /// About how many bytes are spoken in an answered call.
    text_bytes: usize,
    vocabulary: Vocabulary,
    others: Zipf,
    callers: Zipf,
    campaigns: Zipf,
    /// Choices among the endpoints and numbers of organizations, by how many there are.
    among: Vec<Zipf>,
}

impl Maker {
    /// A maker of calls in which about so many bytes are spoken.
    pub fn new(seed: u64, text_bytes: usize) -> Self {
        let most = numbers_of(1).max(endpoints_of(1));
        Self {
            seed,
            text_bytes,
            vocabulary: Vocabulary::new(),
            others: Zipf::of(ORGANIZATIONS - 1, 1.0),
            callers: Zipf::of(CALLERS, 0.8),
            campaigns: Zipf::of(CAMPAIGNS, 1.0),
            among: (0..=most).map(|count| Zipf::of(count, 0.9)).collect(),
        }
    }

    /// The word of a rank in what is spoken: 0 is the most frequent.
    pub fn word(&self, rank: usize) -> &str {
        self.vocabulary.word(rank)
    }

    fn organization(&self, random: &mut Random) -> usize {
        if random.chance(LARGEST_SHARE) { 1 } else { 2 + self.others.pick(random) }
    }

    /// One of so many, the first most often; counted from 1.
    fn one_of(&self, random: &mut Random, count: usize) -> usize {
        self.among.get(count).map_or(1, |among| 1 + among.pick(random))
    }
}

/// How many endpoints an organization has.
fn endpoints_of(organization: usize) -> usize {
    (200 / organization).max(2)
}

/// How many phone numbers an organization has.
fn numbers_of(organization: usize) -> usize {
    (400 / organization).max(3)
}

/// The name of the source that the calls come through.
pub fn source() -> SourceName {
    vocabulary::source_name("native")
}

/// Reads an event as the native source does.
///
/// # Errors
/// When the maker says what the ledger does not take.
pub fn tell(said: &Said) -> Result<Told, String> {
    let id = EventId::new(format!("evt_{:02}", said.place)).map_err(|error| error.to_string())?;
    let at = Timestamp::from_millis(said.at);
    let telling = Telling {
        id,
        at,
        at_given: true,
        received_at: at,
        source: source(),
        kind: said.kind.to_owned(),
        data: said.data.clone(),
    };
    vocabulary::tell(telling).map_err(|rejection| format!("{}: {rejection}", said.kind))
}

/// The name of a call.
///
/// # Errors
/// Never, unless the alphabet of names changes.
pub fn name(number: u64) -> Result<CallName, String> {
    CallName::new(format!("call_{number:09}")).map_err(|error| error.to_string())
}
