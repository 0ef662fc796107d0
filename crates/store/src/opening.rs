//! Opening a store, and looking at one that is not opened.

use std::path::PathBuf;

use pegcount_sealed::Keys;

#[cfg(doc)]
use crate::Transaction;
use crate::{Chores, Finding, FoldReports, Organization, Result, Size, Store, StoreError, sqlite};

/// Opens the store that a URL names: `sqlite:PATH` (the file is made if it is missing), or just a path.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be opened, [`StoreError::NewerSchema`] when a later version wrote it.
pub fn open(url: &str) -> Result<Box<dyn Store>> {
    open_with(url, None)
}

/// The same. With keys documents, events and words are sealed from now on; what was kept in the clear before is read, and
/// stays so until [`Store::reseal`].
///
/// # Errors
/// As [`open`]; [`StoreError::Lost`]; [`StoreError::MissingKey`] when something may be sealed with a key that is not among these.
pub fn open_with(url: &str, keys: Option<&Keys>) -> Result<Box<dyn Store>> {
    open_as(url, Opening { keys, ..Opening::default() })
}

/// What to do with a store that has lost something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Losses {
    /// It is not opened: [`StoreError::Lost`].
    #[default]
    Refused,
    /// It is opened as it is, and the log says what was lost.
    Accepted,
}

/// How a store is opened.
#[derive(Clone, Copy, Default)]
pub struct Opening<'a> {
    /// What it is sealed with: see [`open_with`].
    pub keys: Option<&'a Keys>,
    /// What to do if it has lost something.
    pub losses: Losses,
    /// How calls whose document is deferred are read ([`Transaction::save_row`]). Without it none can be read or deferred.
    pub fold: Option<FoldReports>,
}

/// Opens the store with these options.
///
/// # Errors
/// As [`open_with`].
pub fn open_as(url: &str, opening: Opening<'_>) -> Result<Box<dyn Store>> {
    Ok(Box::new(sqlite::Sqlite::open_as(&path_of(url)?, opening)?))
}

/// The same as [`open`] without a thread of its own, for simulations: everything is done where it is asked for, and the
/// chores are left to whoever opens it. A write-ahead log is moved once it has so many pages more.
///
/// # Errors
/// As [`open`]; [`StoreError::Lost`].
pub fn open_by_hand(url: &str, log_pages: u32, fold: FoldReports) -> Result<(Box<dyn Store>, Chores)> {
    let (store, chores) = sqlite::Sqlite::open_by_hand(&path_of(url)?, log_pages, fold)?;
    Ok((Box::new(store), chores))
}

/// How much of a disk the store that a URL names takes. One that is not there takes nothing.
///
/// # Errors
/// [`StoreError::Unavailable`] when its files cannot be looked at, [`StoreError::UnknownEngine`].
pub fn size_of(url: &str) -> Result<Size> {
    sqlite::size::of(&path_of(url)?).map_err(|error| StoreError::Unavailable(error.into()))
}

/// The organizations of the store that a URL names, without opening it: nothing is made, brought up to date or locked, so a
/// server may run on it. `None` where there is no store.
///
/// # Errors
/// [`StoreError::Unavailable`] when it cannot be read, or not by this version; [`StoreError::UnknownEngine`];
/// [`StoreError::MissingKey`] as [`open_with`].
pub fn peek_at_organizations(url: &str, keys: Option<&Keys>) -> Result<Option<Vec<Organization>>> {
    sqlite::peek::organizations(&path_of(url)?, keys)
}

/// Whether the file of the store that a URL names is damaged, without opening the store: for one that cannot be opened.
///
/// # Errors
/// [`StoreError::Unreadable`] or [`StoreError::Unavailable`] when it cannot even be looked at; [`StoreError::UnknownEngine`].
pub fn check_file(url: &str) -> Result<Vec<Finding>> {
    sqlite::peek::file(&path_of(url)?)
}

fn path_of(url: &str) -> Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").unwrap_or(url);
    match path.split_once("://") {
        Some((scheme, _)) => Err(StoreError::UnknownEngine { scheme: scheme.to_owned() }),
        None => Ok(path.into()),
    }
}
