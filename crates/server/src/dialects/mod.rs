//! OUT: the API families that exist in the wild, each to the letter, each in a folder of its own.
//!
//! A dialect reads a request in its words, asks [`crate::access`], and puts the answer in its words. No dialect knows
//! another, the store, or a source.

pub mod agent;
pub mod organization;
pub mod tenant;
pub mod v1;
