//! What every HTTP surface shares: reading queries, bodies and credentials within bounds. It knows no dialect and no
//! call; each dialect puts a failure in its own words.

pub mod aside;
pub mod body;
mod budget;
pub mod caller;
pub mod compression;
pub mod cors;
pub mod credentials;
pub mod document;
pub mod failure;
pub mod host;
pub mod json;
pub mod layers;
pub mod number;
pub mod path;
pub mod query;
pub mod range;
pub mod route_table;
pub mod schemas;
pub mod terminal;
pub mod verbatim;
