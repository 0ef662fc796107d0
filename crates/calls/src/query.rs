//! What may be asked for.

use crate::{CallType, Direction, Disconnection, EndpointName, PhoneNumberName, Status};

/// Which calls, in which order, and which part of the list. Empty lists and `None` ask for nothing in particular;
/// several values of one field are alternatives, several fields must all hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallQuery {
    /// One of these statuses.
    pub statuses: Vec<Status>,
    /// One of these directions.
    pub directions: Vec<Direction>,
    /// One of these types.
    pub call_types: Vec<CallType>,
    /// One of these endpoints.
    pub endpoints: Vec<EndpointName>,
    /// One of these phone numbers of the organization.
    pub phone_numbers: Vec<PhoneNumberName>,
    /// One of these calling numbers.
    pub from_numbers: Vec<String>,
    /// One of these called numbers.
    pub to_numbers: Vec<String>,
    /// One of these reasons.
    pub disconnections: Vec<Disconnection>,
    /// Every one of these.
    pub metadata: Vec<MetadataFilter>,
    /// Found successful, or not, by an analysis.
    pub successful: Vec<bool>,
    /// One of these sentiments, in any case.
    pub sentiments: Vec<String>,
    /// A voicemail answered, or not.
    pub in_voicemail: Vec<bool>,
    /// Created within, in milliseconds since the epoch.
    pub created: Range,
    /// Ended within, in milliseconds since the epoch.
    pub ended: Range,
    /// From creation to end within, in milliseconds.
    pub total_millis: Range,
    /// Said in the transcript or the summary.
    pub transcript: Option<String>,
    /// The order.
    pub sort: Sort,
    /// The part of the list.
    pub paging: Paging,
}

/// A metadata key that must have one of these values; a value is the text of a string, else the JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataFilter {
    /// The key.
    pub key: String,
    /// The alternatives.
    pub values: Vec<String>,
}

/// Bounds, both inclusive; a value that is unknown lies in no range but the open one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Not below.
    pub from: Option<i64>,
    /// Not above.
    pub to: Option<i64>,
}

impl Range {
    /// Whether every value lies in it.
    pub fn is_open(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }
}

/// The order of a list. Unknown values come last both ways; ties by arrival, newest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub key: SortKey,
    /// Smallest first.
    pub ascending: bool,
}

impl Default for Sort {
    /// Newest first.
    fn default() -> Self {
        Self { key: SortKey::CreatedAt, ascending: false }
    }
}

/// What a list is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortKey {
    /// When the call was created.
    CreatedAt,
    /// When it ended.
    EndedAt,
    /// How long it was from creation to end.
    TotalTime,
    /// How well its words match what is searched for, best first in either direction. Without a search it is by
    /// creation, newest first.
    Relevance,
}

/// The part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many calls at most.
    pub limit: u32,
    /// How many to pass over.
    pub offset: u64,
    /// Begin after this place of a list in the same order instead. A list by relevance has no places: scores change
    /// with every call that is kept.
    pub after: Option<Cursor>,
}

impl Default for Paging {
    fn default() -> Self {
        Self { limit: 50, offset: 0, after: None }
    }
}

/// A place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// What the list is ordered by, of the call at this place: milliseconds since the epoch, or of its time. `None` when
    /// that is unknown.
    pub value: Option<i64>,
    /// The call's place in the order of arrival.
    pub arrival: i64,
}
