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
        // Here, since the page is known on the thread that has read it.
        match damage(&error) {
            Some(why) => Self::Store(StoreError::Damaged { what: "the store".to_owned(), why }),
            None => Self::Sql(error),
        }
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
                Some(ErrorCode::DatabaseCorrupt) => unreadable_cause("the index of words", error),
                Some(ErrorCode::NotADatabase) => unreadable_cause("the file of the store", error),
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

    /// Whether it is about the file, and not about one thing in it.
    pub(super) const fn is_of_file(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. }))
    }

    /// The same; if something could not be read, it was in this.
    pub(super) fn within(self, outer: &str) -> Self {
        match self {
            Self::Sql(error) if is_misfit(&error) => unreadable(outer, error),
            Self::Store(StoreError::Unreadable { what, cause }) => {
                unreadable(format!("{outer}: {what}"), cause)
            }
            Self::Store(StoreError::Damaged { what, why }) => {
                Self::Store(StoreError::Damaged { what: format!("{outer}: {what}"), why })
            }
            Self::Sql(_) | Self::Store(_) => self,
        }
    }
}

/// What is damaged, where that is the error.
fn damage(error: &rusqlite::Error) -> Option<String> {
    if error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_DATA) {
        return Some(match pegcount_pages::take_misfit() {
            Some(misfit) => {
                let name = misfit.file.file_name().unwrap_or_default().display();
                if misfit.is_foreign {
                    format!(
                        "page {} of {name} has no checksum: another program, such as sqlite3, wrote to the file; restore a backup",
                        misfit.page
                    )
                } else {
                    format!("page {} of {name} does not fit its checksum", misfit.page)
                }
            }
            None => "a page does not fit its checksum".to_owned(),
        });
    }
    let is_corrupt = error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt);
    (is_corrupt && !is_of_words(error)).then(|| error.to_string())
}

/// Whether it is about the full-text index itself: the one table that is not SQLite's own.
fn is_of_words(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_CORRUPT_VTAB)
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
