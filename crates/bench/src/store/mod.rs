//! The store and the intake, as libraries, in this process.

pub mod filled;
pub mod ingest;
pub mod load;
pub mod reads;

use pegcount::operations::chain;
