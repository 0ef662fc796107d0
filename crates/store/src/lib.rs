//! Where calls are kept.
//!
//! One trait for reading and one for writing ([`Store`], [`Transaction`]), and the engines behind them. A transaction
//! holds a call's events, the call folded of them and everything derived from it together: they become visible, and
//! durable, at once or not at all.
//!
//! You will not find here: HTTP, SIP, the words of any wire format, or the fold. No SQL is outside this crate, and no
//! SQL type crosses its door.
#![deny(missing_docs)]

mod audit;
mod error;
mod jobs;
mod model;
mod opening;
mod privacy;
mod registrations;
mod rollups;
mod sketch;
mod sqlite;

use async_trait::async_trait;
use pegcount_calls::{
    Bill, Call, CallName, CallQuery, Charge, Disconnection, Document, EndpointName, EventId,
    OrganizationName, PhoneNumberName, SourceName, Stats, Tariff, Timestamp,
};
use pegcount_sealed::KeyId;

pub use audit::{AuditEntry, AuditHash, AuditPage, AuditPlace, AuditQuery, AuditVerdict, Deed};
pub use error::{BoxError, StoreError};
pub use jobs::{Job, JobCount, JobFailure, JobId, JobOrder, JobPage, JobQuery, JobState, NewJob, Next};
pub use model::{
    AccessKey, Basis, CallHead, CallKey, Concurrency, ControlUrl, Endpoint, EndpointNumber, Filed, Finding,
    FoldReports, KeptBasis, LegSpan, Measure, NewEndpoint, OpenCall, Organization, OrganizationNumber, Page,
    PhoneNumber, Report, Resealed, SealCount, Severity, Size, StatsQuery, TariffId, Unindexed,
};
pub use opening::{
    Losses, Opening, check_file, open, open_as, open_by_hand, open_with, peek_at_organizations, size_of,
};
pub use privacy::{EndPlace, Erasure, ErasureProgress, Hold, Keepsake, OldCalls, OldPage, Scrub};
pub use registrations::Registration;
pub use sketch::Spreads;
pub use sqlite::{chores::Chores, stand_back};

/// The result of every call to the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A place where calls are kept. Readers never wait for the writer.
///
/// A lookup of something that is not there gives `None`; that is no error.
#[async_trait]
pub trait Store: Send + Sync {
    /// Begins the one write transaction that there is at a time; waits for the one before it.
    async fn begin(&self) -> Result<Box<dyn Transaction>>;

    /// The call with this name (or a name it had before a merge), else with this UUID.
    async fn call(&self, organization: OrganizationNumber, id: &str) -> Result<Option<Filed>>;
    /// Which call this name or UUID means, as [`Store::call`] has it; the call itself need not be readable.
    async fn head(&self, organization: OrganizationNumber, id: &str) -> Result<Option<CallHead>>;
    /// One part of the list of calls; its total is exact. What is said in a call is found once it has ended; where its
    /// document is deferred, a moment after its last event.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] when it was cut; [`StoreError::WholeWords`] when words are looked for by how they begin and the
    /// store is sealed.
    async fn calls(&self, organization: OrganizationNumber, query: &CallQuery) -> Result<Page>;
    /// The events of each of these calls, oldest first, ties by id.
    async fn reports(&self, calls: &[CallKey]) -> Result<Vec<Vec<Report>>>;
    /// The statistics of the calls that a query means, open calls included.
    async fn stats(&self, organization: OrganizationNumber, query: &StatsQuery) -> Result<Stats>;
    /// The same, once for each stretch between neighbouring `bounds` (each from its lower bound, which belongs to it).
    async fn stats_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
    ) -> Result<Vec<Stats>>;
    /// How often each reason ended a call.
    async fn disconnections(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
    ) -> Result<Vec<(Disconnection, u64)>>;
    /// How these measures of the calls that a query means are spread, once for each stretch between neighbouring
    /// `bounds` (each from its lower bound, which belongs to it).
    async fn spreads_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
        measures: &[Measure],
    ) -> Result<Vec<Spreads>>;
    /// How many calls were in progress at once, for each stretch between neighbouring `bounds`, which ascend: those that
    /// the query means but for their creation, from creation to end, live ones until `now`. This walks through the calls.
    async fn concurrency_between(
        &self,
        organization: OrganizationNumber,
        query: &StatsQuery,
        bounds: &[Timestamp],
        now: Timestamp,
    ) -> Result<Vec<Concurrency>>;
    /// Every live call of every organization: what the live set is rebuilt from.
    async fn open_calls(&self) -> Result<Vec<OpenCall>>;
    /// Calls in the order of their arrival, after this one: what walks over the whole store.
    async fn calls_after(
        &self,
        organization: Option<OrganizationNumber>,
        after: CallKey,
        limit: u32,
    ) -> Result<Vec<CallHead>>;

    /// Every organization, by number.
    async fn organizations(&self) -> Result<Vec<Organization>>;
    /// Makes an organization; without a number it gets the next free one.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its id or number is taken.
    async fn create_organization(
        &self,
        id: &OrganizationName,
        number: Option<OrganizationNumber>,
        name: Option<&str>,
    ) -> Result<Organization>;

    /// Every key that has not been revoked, expired ones too.
    async fn keys(&self) -> Result<Vec<AccessKey>>;
    /// Keeps a key.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its id is taken.
    async fn create_key(&self, key: &AccessKey) -> Result<()>;
    /// Revokes a key; `false` when there is none of this id.
    async fn revoke_key(&self, id: &str) -> Result<bool>;
    /// Keeps `new` in place of the key `id`, which expires at `expires_at`, or earlier if it was to. `false`, and nothing
    /// is kept, when there is none of this id.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the id of `new` is taken.
    async fn rotate_key(&self, id: &str, new: &AccessKey, expires_at: Timestamp) -> Result<bool>;
    /// Records when keys were last used, in one transaction, and deletes the keys that have expired by `now`.
    async fn keep_key_uses(&self, uses: &[(String, Timestamp)], now: Timestamp) -> Result<()>;

    /// The endpoints of an organization, by number, and how many there are.
    async fn endpoints(
        &self,
        organization: OrganizationNumber,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<Endpoint>, u64)>;
    /// The endpoint with this id.
    async fn endpoint(&self, organization: OrganizationNumber, id: &EndpointName)
    -> Result<Option<Endpoint>>;
    /// The endpoint with this number, of any organization.
    async fn endpoint_numbered(&self, number: EndpointNumber) -> Result<Option<Endpoint>>;
    /// Makes an endpoint; without a number it gets the next free one of the server.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its id or number is taken.
    async fn create_endpoint(&self, organization: OrganizationNumber, new: &NewEndpoint) -> Result<Endpoint>;
    /// Replaces what is known of an endpoint; its id and number stay. `false` when there is none.
    async fn update_endpoint(&self, endpoint: &Endpoint) -> Result<bool>;
    /// Forgets an endpoint; calls keep its id. `false` when there is none.
    async fn delete_endpoint(&self, organization: OrganizationNumber, id: &EndpointName) -> Result<bool>;

    /// The phone numbers of an organization, by id, and how many there are.
    async fn phone_numbers(
        &self,
        organization: OrganizationNumber,
        limit: u32,
        offset: u64,
    ) -> Result<(Vec<PhoneNumber>, u64)>;
    /// The phone number with this id.
    async fn phone_number(
        &self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> Result<Option<PhoneNumber>>;
    /// Keeps a phone number.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when its id, or its number within the organization, is taken.
    async fn create_phone_number(&self, number: &PhoneNumber) -> Result<()>;
    /// Replaces what is known of a phone number; its id stays. `false` when there is none.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when the number is taken.
    async fn update_phone_number(&self, number: &PhoneNumber) -> Result<bool>;
    /// Forgets a phone number; calls keep its id. `false` when there is none.
    async fn delete_phone_number(
        &self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> Result<bool>;

    /// Where an organization wants its hang-up orders, if it said so.
    async fn control_url(&self, organization: OrganizationNumber) -> Result<Option<ControlUrl>>;
    /// Sets or (with `None`) forgets it.
    async fn set_control_url(&self, organization: OrganizationNumber, url: Option<&ControlUrl>)
    -> Result<()>;

    /// The registrations of SIP users that have not expired, by organization and user.
    async fn registrations(&self, now: Timestamp) -> Result<Vec<Registration>>;
    /// Replaces the registrations of these users, removes those without contacts, and deletes whatever has expired.
    async fn save_registrations(&self, changed: &[Registration], now: Timestamp) -> Result<()>;

    /// Leases jobs of these kinds until then, so that nobody else runs them: those that are due, and those whose lease ran
    /// out, oldest due first. Each has begun one more attempt; its end is told with that attempt's number.
    async fn lease_jobs(
        &self,
        kinds: &[&str],
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Job>>;
    /// When the next job of these kinds can be leased.
    async fn next_job_due(&self, kinds: &[&str]) -> Result<Option<Timestamp>>;
    /// Takes a done job away, or has it wait anew if it was asked for again meanwhile. `false`, and nothing changes, when
    /// the lease is another attempt's by now.
    async fn job_done(&self, id: JobId, attempt: u32) -> Result<bool>;
    /// Notes that an attempt failed. `false`, and nothing changes, when the lease is another attempt's by now. A job that
    /// was asked for again meanwhile waits anew instead of being dead.
    async fn job_failed(&self, id: JobId, attempt: u32, failure: &JobFailure, next: Next) -> Result<bool>;
    /// Gives a lease back, as if it had never been taken. `false` when the lease is another attempt's by now.
    async fn give_job_back(&self, id: JobId, attempt: u32) -> Result<bool>;
    /// Ends every lease there is, since nobody is left who holds one: the jobs wait again, those with as many attempts as
    /// may be are dead of this failure. How many there were.
    async fn end_leases(&self, failure: &JobFailure, most_attempts: u32) -> Result<u64>;
    /// One part of a list of jobs, newest first.
    async fn jobs(&self, query: &JobQuery) -> Result<JobPage>;
    /// The job with this number, of any organization.
    async fn job(&self, id: JobId) -> Result<Option<Job>>;
    /// Has a job that waits or is dead run now, with all its attempts before it; of this organization, if one is named.
    async fn rerun_job(
        &self,
        organization: Option<OrganizationNumber>,
        id: JobId,
        now: Timestamp,
    ) -> Result<JobOrder>;
    /// The same for every dead job, of one kind if one is named. How many there were.
    async fn rerun_dead_jobs(&self, kind: Option<&str>, now: Timestamp) -> Result<u64>;
    /// Takes a job away that does not run; of this organization, if one is named.
    async fn forget_job(&self, organization: Option<OrganizationNumber>, id: JobId) -> Result<JobOrder>;
    /// How many jobs of each kind are in each state; none are not told.
    async fn job_counts(&self) -> Result<Vec<JobCount>>;

    /// Adds entries at the end of the audit log, in this order. When this returns, they are on disk.
    async fn append_audit(&self, deeds: &[Deed]) -> Result<()>;
    /// One part of the audit log of an organization, newest first.
    async fn audit(&self, query: &AuditQuery) -> Result<AuditPage>;
    /// Looks whether every entry of the audit log fits the one before it.
    async fn verify_audit(&self) -> Result<AuditVerdict>;
    /// Takes the oldest entries away, so many at most, if they were made before then; the rest still fits. How many there
    /// were. No entry goes in any other way.
    async fn cut_audit(&self, before: Timestamp, limit: u32) -> Result<u64>;

    /// The hold on a call.
    async fn hold(&self, call: CallKey) -> Result<Option<Hold>>;
    /// Puts a call on hold; one that is keeps the time since which it is.
    async fn set_hold(&self, call: CallKey, hold: &Hold) -> Result<()>;
    /// Ends a hold. `false` when there is none.
    async fn release_hold(&self, call: CallKey) -> Result<bool>;

    /// The order with this id to erase the calls of a number.
    async fn erasure(&self, organization: OrganizationNumber, id: uuid::Uuid) -> Result<Option<Erasure>>;
    /// Keeps the progress of such an order, its end, and that its number is no longer needed.
    async fn update_erasure(&self, erasure: &Erasure) -> Result<()>;
    /// The calls from or to a number, or whose caller the network gave it to, in the order of their arrival, after this one.
    /// It is told by its digits, and found
    /// however it is written: with `+` or `00` in front or nothing, alone or as the user of an address.
    async fn calls_of_number(
        &self,
        organization: OrganizationNumber,
        digits: &str,
        after: CallKey,
        limit: u32,
    ) -> Result<Vec<CallHead>>;
    /// Calls that ended before some time and of which something is kept, in the order of their end. It looks at so many
    /// calls at most, and gives those among them.
    async fn old_calls(&self, query: &OldCalls) -> Result<OldPage>;
    /// Calls of every organization that ended within and that a recording should have come of, the newest first, and how many
    /// there are.
    async fn lacking_recording(&self, ended: [Timestamp; 2], limit: u32) -> Result<(Vec<CallHead>, u64)>;
    /// The calls among the next ones in the order of their arrival that may have a recording, and the call to go on after;
    /// `None` at the end. It looks at so many calls at most.
    async fn recorded_after(&self, after: CallKey, limit: u32) -> Result<(Vec<CallHead>, Option<CallKey>)>;
    /// Does a little of what brings the words of deleted calls out of the index, in a transaction of its own. To be called
    /// until it is [`Scrub::Clean`], first and after [`Scrub::Idle`] with `begin`.
    async fn scrub(&self, begin: bool) -> Result<Scrub>;
    /// Empties the log of what was written, so that what was deleted is not in it either. `false` when a long read keeps it
    /// from being emptied.
    async fn empty_log(&self) -> Result<bool>;

    /// Seals whatever of these calls is in the clear, or sealed with another key than the one that seals: so many calls
    /// behind this one, in a transaction of its own. Without keys nothing is done.
    async fn reseal(&self, after: CallKey, limit: u32) -> Result<Resealed>;
    /// How much is sealed with which key, and every key that something elsewhere may be sealed with. It walks over everything.
    async fn sealed_with(&self) -> Result<Vec<SealCount>>;
    /// Notes that nothing is sealed with this key any more, neither here nor elsewhere: it need not be at hand.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when something here is, and for the key that seals.
    async fn forget_sealing_key(&self, key: KeyId) -> Result<()>;

    /// What a search does not find yet. It never waits.
    async fn unindexed(&self) -> Result<Unindexed>;

    /// Whether the store takes writes right now.
    async fn writable(&self) -> Result<()>;
    /// Looks for damage.
    async fn check(&self) -> Result<Vec<Finding>>;
    /// Keeps a copy of everything under this name, as it is at one moment; writes go on meanwhile. The copy is on disk
    /// when this returns, and nothing has the name if it fails. Gives the name of a second file, where there is one: what is
    /// in it can be made anew, which takes a while.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when something has one of the names.
    async fn backup(&self, to: &std::path::Path) -> Result<Option<std::path::PathBuf>>;
    /// Makes the counts that are kept beside the calls anew. Nothing else is written meanwhile.
    async fn rebuild_rollups(&self) -> Result<()>;
    /// Brings everything to its resting place before the program ends.
    async fn close(&self) -> Result<()>;
}

/// One write transaction. Dropped without [`Transaction::commit`] it leaves no trace.
#[async_trait]
pub trait Transaction: Send {
    /// The call that has, or once had, this name.
    async fn find_call(
        &mut self,
        organization: OrganizationNumber,
        name: &CallName,
    ) -> Result<Option<CallHead>>;
    /// The calls that have this leg, oldest arrival first: the same id of the same source in overlapping spans.
    async fn find_leg(
        &mut self,
        organization: OrganizationNumber,
        source: &SourceName,
        leg: &LegSpan,
    ) -> Result<Vec<CallHead>>;
    /// Opens a call; the caller knows that the name is free.
    async fn open_call(
        &mut self,
        organization: OrganizationNumber,
        name: &CallName,
        uuid: uuid::Uuid,
    ) -> Result<CallHead>;
    /// Notes that a leg belongs to a call. Noted already: the spans are joined.
    async fn link_leg(&mut self, call: CallKey, source: &SourceName, leg: &LegSpan) -> Result<()>;
    /// The events of a call, oldest first, ties by id.
    async fn reports(&mut self, call: CallKey) -> Result<Vec<Report>>;
    /// Keeps events of a call; the caller knows that their ids are new to it.
    async fn append(&mut self, call: CallKey, reports: &[Report]) -> Result<()>;
    /// Replaces the data of these events in place by what is left of it.
    async fn blank(&mut self, call: CallKey, events: &[(EventId, Document)]) -> Result<()>;
    /// Removes every event of a call; the call stays.
    async fn forget_events(&mut self, call: CallKey) -> Result<()>;
    /// Moves the events, legs and names of the younger call to the older one and removes the younger. Two calls may have
    /// different events under one id: `renamed` says which ids of the younger's become which. Of events that share an id
    /// even so the older call's stays.
    async fn merge(&mut self, younger: CallKey, older: CallKey, renamed: &[(EventId, EventId)])
    -> Result<()>;
    /// Removes a call and everything it held. What it counts for stays in statistics and leaves the lists and their
    /// totals; that there was a call of these names and legs stays known.
    async fn erase(&mut self, call: CallKey) -> Result<()>;
    /// The hold on a call.
    async fn hold(&mut self, call: CallKey) -> Result<Option<Hold>>;
    /// The name of a call, and those of the calls that became part of it.
    async fn names(&mut self, call: CallKey) -> Result<Vec<CallName>>;
    /// Keeps a new order to erase the calls of a number.
    async fn create_erasure(&mut self, erasure: &Erasure) -> Result<()>;
    /// Whether the call that had this name was erased.
    async fn is_erased(&mut self, organization: OrganizationNumber, name: &CallName) -> Result<bool>;
    /// Whether a call that had this leg was erased: the same id of the same source in overlapping spans.
    async fn is_erased_leg(
        &mut self,
        organization: OrganizationNumber,
        source: &SourceName,
        leg: &LegSpan,
    ) -> Result<bool>;
    /// Makes an endpoint known by its id alone, unless it is.
    async fn note_endpoint(&mut self, organization: OrganizationNumber, id: &EndpointName) -> Result<()>;
    /// Makes a phone number known by its id alone, unless it is.
    async fn note_phone_number(
        &mut self,
        organization: OrganizationNumber,
        id: &PhoneNumberName,
    ) -> Result<()>;
    /// The organization's phone number that has this number.
    async fn phone_number_with(
        &mut self,
        organization: OrganizationNumber,
        number: &str,
    ) -> Result<Option<PhoneNumberName>>;
    /// Keeps the call as folded now, and what it was folded with.
    async fn save(&mut self, key: CallKey, call: &Call, bill: &Bill, basis: &Basis) -> Result<()>;
    /// Whether documents can be deferred: whether the store was opened with a fold.
    fn defers(&self) -> bool;
    /// The same as [`Self::save`], but for the document, which is deferred: it follows from the events until [`Self::save`] is called or the
    /// call has ended and nothing more has come for a moment. Every read gives the call as if it had been saved. The basis
    /// has a tariff. `changed_metadata`: the keys of metadata that may differ from the call that was last saved; `None`:
    /// any.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the store was opened without a fold.
    async fn save_row(
        &mut self,
        key: CallKey,
        call: &Call,
        charge: Charge,
        basis: &Basis,
        changed_metadata: Option<&[String]>,
    ) -> Result<()>;
    /// What a call is kept with within this transaction; `None` for one that was never saved.
    async fn basis(&mut self, key: CallKey) -> Result<Option<KeptBasis>>;
    /// Keeps a tariff, unless the same is kept already. It stays, since calls name it.
    async fn file_tariff(&mut self, tariff: &Tariff) -> Result<TariffId>;
    /// The tariff with this number.
    async fn tariff(&mut self, id: TariffId) -> Result<Option<Tariff>>;
    /// The call as it is kept within this transaction.
    async fn saved(&mut self, key: CallKey) -> Result<Option<Filed>>;
    /// Asks for a job. Of one organization, kind and subject there is one: one that waits keeps its time, one that runs
    /// is run once more afterwards, one that is dead waits again with all its attempts. It has the data of who asked last.
    async fn enqueue(&mut self, job: &NewJob) -> Result<()>;
    /// Makes it all durable. When this returns, it is on disk.
    async fn commit(self: Box<Self>) -> Result<()>;
}
