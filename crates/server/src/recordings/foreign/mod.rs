//! Recordings of others: fetched from where a source says that they lie, made into one of our own, and kept like one.

mod download;
mod fetch;
mod guard;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use fetch::fetch_of;
pub use fetch::{Fetch, FetchParts, SOURCE, clear};
pub use settings::{Fetching, FetchingConfig};
