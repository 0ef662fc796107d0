//! Our own recordings: files in one folder, each named after the call it is of; and the object store that they go to.
//!
//! The gateway writes them, and an event `recording_ready` names one by its file's name (`object`). Whose a file is and of
//! which call follows from its name alone, so an event that names another's file is of no use to who sends it. Where there
//! is an object store, a job takes each file there and deletes it here; another one deletes from there what must not be
//! kept. Where there are keys everything is sealed, here and there, and only this server can play it. What a source names by a URL instead is fetched where that is wanted, and is one of our own from then on.

mod bucket;
mod busy;
mod config;
mod copies;
mod deletion;
mod desk;
mod disk;
mod fault;
mod foreign;
mod keeping;
mod lost;
mod missing;
mod object;
mod readable;
mod reseal;
mod shelf;
mod sweep;
#[cfg(test)]
mod tests;
mod upload;

pub use bucket::Bucket;
use bucket::Stored;
pub use busy::Busy;
pub use config::{Config, LinksWord};
pub use copies::{Copied, Pinned};
pub use deletion::Deletion;
pub use desk::{DELETION, Desk, UPLOAD};
pub use disk::on_disk;
pub use fault::Fault;
pub use foreign::{Fetch, FetchParts, Fetching, FetchingConfig, SOURCE, clear};
pub use keeping::Keeping;
pub use lost::{Lost, LostRecordings, LostUnknown, lost};
pub use missing::{Patience, count_missing, missing};
pub use object::Object;
pub use readable::Readable;
pub use reseal::Sealed;
pub use shelf::{Shelf, Unfound};
pub use sweep::sweep;
pub use upload::Upload;
