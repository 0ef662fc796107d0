//! The four documents against the running program.

mod documents;
mod lists;
mod manners;
mod search;
mod statistics;
