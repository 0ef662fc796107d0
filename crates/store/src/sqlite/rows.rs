//! Small helps for reading rows.

use pegcount_calls::NameError;
use rusqlite::{Connection, Params, Row, types::FromSql};

use super::fault::{Result, unreadable};

/// The one row that a statement gives, if any.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Every row that a statement gives.
pub(super) fn many<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare_cached(sql)?.query_and_then(params, read)?.collect()
}

/// Runs a statement that gives no rows; how many rows it changed.
pub(super) fn run(connection: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// The number that a counting statement gives.
pub(super) fn count(connection: &Connection, sql: &str, params: impl Params) -> Result<u64> {
    let number = connection.prepare_cached(sql)?.query_row(params, |row| row.get::<_, i64>(0))?;
    counted(number)
}

/// A number that cannot be negative.
pub(super) fn counted(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|cause| unreadable("a count", cause))
}

/// The columns of a row, taken one after the other.
pub(super) struct Columns<'row, 'statement> {
    row: &'row Row<'statement>,
    next: usize,
}

impl<'row, 'statement> Columns<'row, 'statement> {
    pub(super) fn of(row: &'row Row<'statement>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column.
    pub(super) fn take<T: FromSql>(&mut self) -> Result<T> {
        let value = self.row.get(self.next)?;
        self.next += 1;
        Ok(value)
    }

    /// The next column, which holds a name.
    pub(super) fn name<T>(
        &mut self,
        new: impl FnOnce(String) -> std::result::Result<T, NameError>,
    ) -> Result<T> {
        let text: String = self.take()?;
        new(text).map_err(|cause| unreadable("a name", cause))
    }

    /// The next column, which may hold a name.
    pub(super) fn name_if_any<T>(
        &mut self,
        new: impl FnOnce(String) -> std::result::Result<T, NameError>,
    ) -> Result<Option<T>> {
        let text: Option<String> = self.take()?;
        text.map(|text| new(text).map_err(|cause| unreadable("a name", cause))).transpose()
    }
}
