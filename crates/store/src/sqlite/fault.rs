//! Errors inside this engine, and what they mean outside it.

use rusqlite::{ErrorCode, ffi};

use crate::{StoreError, error::BoxError};

/// The result of everything inside this engine.
pub(super) type Result<T> = std::result::Result<T, Fault>;

/// What went wrong: SQLite's own words are kept until it is clear what was asked.
#[derive(Debug)]
pub(super) enum Fault {
    Sql(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Store(error) => error,
            Fault::Sql(error) if is_misfit(&error) => unreadable_cause("a row of the store", error),
            Fault::Sql(error) if is_without_room(&error) => Self::Full,
            Fault::Sql(error) => match error.sqlite_error_code() {
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    unreadable_cause("the file of the store", error)
                }
                Some(ErrorCode::OperationInterrupted) => Self::TooLong,
                _ => Self::Unavailable(error.into()),
            },
        }
    }
}

impl Fault {
    /// The same, where a taken id or number is told as such.
    pub(super) fn or_exists(self, what: &'static str) -> Self {
        match &self {
            Self::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                Self::Store(StoreError::Exists { what })
            }
            Self::Sql(_) | Self::Store(_) => self,
        }
    }

    /// The same; if something could not be read, it was in this.
    pub(super) fn within(self, outer: &str) -> Self {
        match self {
            Self::Sql(error) if is_misfit(&error) => unreadable(outer, error),
            Self::Store(StoreError::Unreadable { what, cause }) => {
                unreadable(format!("{outer}: {what}"), cause)
            }
            Self::Sql(_) | Self::Store(_) => self,
        }
    }
}

/// Whether a column holds something of another type than it should.
fn is_misfit(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
    )
}

/// Whether the disk is full: the index of the log, too, may find no room to grow.
fn is_without_room(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}

fn unreadable_cause(what: &str, cause: impl Into<BoxError>) -> StoreError {
    StoreError::Unreadable { what: what.to_owned(), cause: cause.into() }
}

/// Something kept that this version cannot read.
pub(super) fn unreadable(what: impl Into<String>, cause: impl Into<BoxError>) -> Fault {
    Fault::Store(StoreError::Unreadable { what: what.into(), cause: cause.into() })
}

/// Something that could not be done.
pub(super) fn unavailable(cause: impl Into<BoxError>) -> Fault {
    Fault::Store(StoreError::Unavailable(cause.into()))
}
