//! Our own recordings: files in one folder, each named after the call it is of.
//!
//! The gateway writes them, and an event `recording_ready` names one by its file's name (`object`). Whose a file is and of
//! which call follows from its name alone, so an event that names another's file is of no use to who sends it.

mod object;
mod shelf;

pub use object::Object;
pub use shelf::Shelf;
