//! The shapes in which the store takes and gives what it keeps.

use pegcount_calls::{
    Bill, Call, CallName, Cursor, Direction, Document, EndpointName, EventId, LegId, OrganizationName,
    PhoneNumberName, Range, SourceName, Stage, Status, Timestamp,
};
use uuid::Uuid;

use crate::BoxError;

/// An organization's number (1, 2, ...).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganizationNumber(pub i64);

/// An endpoint's number: unique on the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointNumber(pub i64);

/// A call's place in the order of arrival; never leaves the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallKey(pub i64);

/// An organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its number.
    pub number: OrganizationNumber,
    /// Its string id.
    pub id: OrganizationName,
    /// What people call it.
    pub name: Option<String>,
}

/// What a search does not find yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unindexed {
    /// How many changes of what is said in calls are not in the index of words yet.
    pub changes: u64,
    /// Whether the index is being made anew, which takes a while; till then nothing can be searched for.
    pub is_made_anew: bool,
}

/// A key to the interfaces.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The public half.
    pub id: String,
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// What people call it.
    pub name: Option<String>,
    /// SHA-256 of the secret half.
    pub secret_hash: [u8; 32],
    /// What it may do: a set of bits that the server gives their meaning.
    pub scopes: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops opening anything: another key has taken its place. `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to some minutes; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccessKey({})", self.id)
    }
}

/// An endpoint: an agent that takes or places calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number.
    pub number: EndpointNumber,
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// Its string id.
    pub id: EndpointName,
    /// What people call it.
    pub name: Option<String>,
    /// The platform it runs on.
    pub provider: Option<String>,
    /// Where it is reached.
    pub sip_uri: Option<String>,
    /// A JSON object.
    pub metadata: Document,
}

/// An endpoint to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEndpoint {
    /// Its string id.
    pub id: EndpointName,
    /// Its number; `None`: the next free one.
    pub number: Option<EndpointNumber>,
    /// What people call it.
    pub name: Option<String>,
    /// The platform it runs on.
    pub provider: Option<String>,
    /// Where it is reached.
    pub sip_uri: Option<String>,
    /// A JSON object.
    pub metadata: Document,
}

/// A phone number of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhoneNumber {
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// Its string id.
    pub id: PhoneNumberName,
    /// E.164; `None` while only the id is known.
    pub number: Option<String>,
    /// The endpoint that answers it.
    pub endpoint: Option<EndpointName>,
}

/// Where an organization takes hang-up orders.
#[derive(Clone, PartialEq, Eq)]
pub struct ControlUrl {
    /// The URL that orders are posted to.
    pub url: String,
    /// What they are signed with, as Standard Webhooks write it (`whsec_...`).
    pub secret: String,
}

impl std::fmt::Debug for ControlUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ControlUrl({})", self.url)
    }
}

/// One event as it was reported: the words, not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The idempotency key within the call.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// Whether the source said so, or it was taken from the clock on receipt.
    pub at_given: bool,
    /// When it was received.
    pub received_at: Timestamp,
    /// The source it came through.
    pub source: SourceName,
    /// Its type, in the native words.
    pub kind: String,
    /// Its data: a JSON object in the native words.
    pub data: Document,
    /// Its data was emptied, since the call opted out.
    pub blanked: bool,
}

/// A leg as its source names it, and the span in which the name means this leg (Asterisk uses channel names again
/// after a restart).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegSpan {
    /// The source's name of the leg.
    pub id: LegId,
    /// From when, inclusive.
    pub from: Timestamp,
    /// Until when, inclusive.
    pub to: Timestamp,
}

impl LegSpan {
    /// A leg whose name is never used again.
    pub fn unique(id: LegId) -> Self {
        Self { id, from: Timestamp::from_millis(i64::MIN), to: Timestamp::from_millis(i64::MAX) }
    }
}

/// The number of a tariff that calls are priced by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TariffId(pub i64);

/// What a call was folded with beside its events. Folded with the same again, it is the same call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// The tariff that it is priced by; `None` where an earlier version kept none.
    pub tariff: Option<TariffId>,
    /// The phone number that it belongs to: named by an event, or found by number.
    pub phone_number: Option<PhoneNumberName>,
    /// The version of the program that folded it, as a number that grows; `None` for one that kept none.
    pub folded_by: Option<u32>,
}

/// The basis that a call is kept with, and what its phone number was found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBasis {
    /// The basis.
    pub basis: Basis,
    /// The number that the phone number was looked up by; `None` where an event named it, or there was no number.
    pub looked_up: Option<String>,
    /// Whether the call had ended.
    pub is_over: bool,
}

impl KeptBasis {
    /// That of a call which is kept with this basis.
    pub fn of(call: &Call, basis: Basis) -> Self {
        let looked_up = call.own_number().filter(|_| call.phone_number.is_none()).map(str::to_owned);
        Self { basis, looked_up, is_over: call.ending().is_some() }
    }
}

/// Folds a call from its events, oldest first. An error says which event cannot be read.
pub type FoldReports = fn(&[Report]) -> std::result::Result<Call, BoxError>;

/// Which call it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallHead {
    /// Its place in the order of arrival.
    pub key: CallKey,
    /// Its UUID: version 7, minted when its first event arrived.
    pub uuid: Uuid,
    /// Its string id.
    pub name: CallName,
    /// Whose it is.
    pub organization: OrganizationNumber,
}

/// A call on file: the fold of its events, with what the directory knows of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Filed {
    /// Which call it is.
    pub head: CallHead,
    /// The names of the calls that became part of it.
    pub former_names: Vec<CallName>,
    /// What is known of it.
    pub call: Call,
    /// What it costs.
    pub bill: Bill,
    /// Its endpoint, as the directory knows it now.
    pub endpoint: Option<Endpoint>,
    /// The id of the phone number it belongs to, named by an event or found by number.
    pub phone_number_id: Option<PhoneNumberName>,
    /// That phone number, as the directory knows it now.
    pub phone_number: Option<PhoneNumber>,
    /// The tariff that it is priced by; `None` where an earlier version kept none.
    pub tariff: Option<TariffId>,
    /// The version of the program that folded it: [`Basis::folded_by`].
    pub folded_by: Option<u32>,
}

impl Filed {
    /// Its name, and those of the calls that became part of it.
    pub fn names(&self) -> impl Iterator<Item = &CallName> {
        std::iter::once(&self.head.name).chain(&self.former_names)
    }

    /// What it was folded with beside its events.
    pub fn basis(&self) -> Basis {
        Basis { tariff: self.tariff, phone_number: self.phone_number_id.clone(), folded_by: self.folded_by }
    }
}

/// One part of a list of calls.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The calls.
    pub calls: Vec<Filed>,
    /// How many there are in all; `None` when continued from a cursor, which does not count again.
    pub total: Option<u64>,
    /// Where the next part begins; `None` at the end, and for lists by relevance.
    pub next: Option<Cursor>,
}

/// A live call, as the live set keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenCall {
    /// Its place in the order of arrival.
    pub key: CallKey,
    /// Whose it is.
    pub organization: OrganizationNumber,
    /// Where it stands.
    pub status: Status,
}

/// Which calls statistics are about. Several conditions must all hold; `None` and empty lists ask for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsQuery {
    /// Calls of this endpoint only.
    pub endpoint: Option<EndpointName>,
    /// Calls of this phone number only.
    pub phone_number: Option<PhoneNumberName>,
    /// Calls of one of these statuses only.
    pub statuses: Vec<Status>,
    /// Calls of one of these directions only.
    pub directions: Vec<Direction>,
    /// Created within, in milliseconds since the epoch.
    pub created: Range,
}

impl StatsQuery {
    /// Whether calls that stand so are meant.
    pub(crate) fn means(&self, status: Status, direction: Direction) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.directions.is_empty() || self.directions.contains(&direction))
    }
}

/// How many calls were in progress at once within a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    /// The most there were at any moment.
    pub peak: u64,
    /// The first moment at which there were as many; `None` when there never was one.
    pub peak_at: Option<Timestamp>,
    /// The time that all of them lasted within the stretch together, in milliseconds: divided by its length it is the
    /// traffic in erlangs.
    pub call_millis: u128,
}

/// What percentiles are kept of: times in milliseconds, of calls that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From the first ring to the answer or, unanswered, to the end.
    Ring,
    /// From the answer to the end.
    Talk,
    /// Each latency of this stage of the agent that a call told of.
    Latency(Stage),
}

impl Measure {
    /// Every measure, in order.
    pub const ALL: [Self; 7] = [
        Self::Ring,
        Self::Talk,
        Self::Latency(Stage::EndToEnd),
        Self::Latency(Stage::Llm),
        Self::Latency(Stage::Stt),
        Self::Latency(Stage::Tts),
        Self::Latency(Stage::Other),
    ];
}

/// Something a look at the store found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub subject: String,
    /// What was found, in a sentence.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// Works, but somebody should look.
    Warning,
    /// Damage.
    Damage,
}

/// How many bytes the files of a store take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// The store itself.
    pub bytes: u64,
    /// Its write-ahead log: what was written and is not in the store's file yet.
    pub log_bytes: u64,
    /// The index of words, with its log.
    pub words_bytes: u64,
}

/// How much is sealed with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealCount {
    /// The key; `None`: it is in the clear.
    pub key: Option<pegcount_sealed::KeyId>,
    /// Documents of calls.
    pub documents: u64,
    /// Events.
    pub events: u64,
}

/// What a step of [`crate::Store::reseal`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// The last call of the step; `None` when there was none any more.
    pub last: Option<CallKey>,
    /// How many documents were sealed anew.
    pub documents: u64,
    /// How many events.
    pub events: u64,
}
