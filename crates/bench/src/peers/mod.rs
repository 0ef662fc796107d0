//! What the ledger is measured against.

pub mod sync;
