//! What a language model says of a call that is over: a job asks an endpoint that speaks OpenAI's chat completions, and its
//! answer becomes an event `analysis_ready`.
//!
//! Nothing is asked of calls that opted out, that have an analysis of their source's own, or of which nothing was said.

mod answer;
mod ask;
mod asking;
mod config;
mod desk;
mod prompt;
mod schema;
#[cfg(test)]
mod tests;
mod work;

pub use asking::Asking;
pub use config::{Config, Fields, Secret, Settings};
pub use desk::{ANALYSIS, Desk};
pub use work::Analysis;
