//! IN: Asterisk. The rows that cdr_csv and cel_custom write, as files.
//!
//! A reader yields what each row tells; a row that cannot be read is reported with its line and stops nothing. Both
//! files name the legs alike (`uid:` and the channel's unique id), so a call that is in both is one call.

mod cdr;
mod cel;
mod cel_calls;
mod cel_end;
mod channel;
mod rows;
mod time;

#[cfg(test)]
mod tests;

pub use cdr::CdrReader;
pub use cel::{CelColumns, CelReader};
pub use rows::RowError;
pub use time::TimeReader;

/// The name that events of this source carry.
pub const SOURCE: &str = "asterisk";
