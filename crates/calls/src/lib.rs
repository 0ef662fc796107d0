//! What a call is.
//!
//! Sources report [`Event`]s. A [`History`] is the set of the events of one call; [`fold()`] makes the [`Call`] of it:
//! a pure, total function of that set, blind to the order and the number of times the events arrived. [`explain()`]
//! tells for each field which event set it and which rivals lost. Everything else here is read off a `Call`:
//! its [`Status`], its [`Disconnection`], its [`Bill`] under a [`Tariff`], the [`Stats`] of many.
//!
//! You will not find here: input or output, a clock, async, SQL, JSON, or a name that any wire format uses.
#![deny(missing_docs)]

mod call;
mod document;
mod event;
mod explain;
mod fold;
mod history;
mod latency;
mod money;
mod names;
mod query;
mod rate;
mod search;
mod stats;
mod status;
mod time;

pub use call::{
    Analysis, Attestation, AttestationLevel, AudioConfig, Call, CallType, CallerIdentity, Content, Direction,
    Diversion, Ending, Metadata, Quality, QualityLeg, Recording, Role, State, Telephony, ToolEntry, Turn,
    Word,
};
pub use document::Document;
pub use event::{
    CallLeg, CostItem, End, Event, Fact, LatencySample, Media, MetadataPatch, Price, QualityReport, Setup,
    Speech, ToolInvocation, ToolOutcome, TurnReport,
};
pub use explain::{Counted, Explanation, Field, Note, Why, explain, notes};
pub use fold::{Folded, OpenEnd, fold, fold_sealed, open_end};
pub use history::History;
pub use latency::{Stage, Summary};
pub use money::{Amount, Decimal, MoneyError, parse_decimal};
pub use names::{
    CallName, EndpointName, EventId, LegId, NameError, OrganizationName, PhoneNumberName, SourceName,
};
pub use query::{CallQuery, Cursor, MetadataFilter, Paging, Range, Sort, SortKey};
pub use rate::{Bill, BillItem, BillUnit, BilledProduct, Charge, CostTally, Increments, Rate, Tariff};
pub use search::{Passage, Places, Search, Term, spoken, words};
pub use stats::{StatCell, Stats};
pub use status::{Cause, Disconnection, Party, Status};
pub use time::Timestamp;
