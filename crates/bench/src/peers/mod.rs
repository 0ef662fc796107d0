//! What the ledger is measured against.

pub mod duckdb;
pub mod postgres;
pub mod sync;
