//! The four documents against the running program.

mod curl_lines;
mod documents;
mod lists;
mod manners;
mod search;
mod statistics;
