//! How soon the program answers after its start, and what a live call costs in memory.

use std::time::Instant;

use super::{
    client::{Connection, request},
    program::Program,
};
use crate::{
    store::filled::Filled,
    table::{Figure, Results},
};

const ROUNDS: usize = 5;

/// Measures it: from the start of the process to the first answer that holds a call.
///
/// # Errors
/// When it does not start or answer.
pub async fn run(filled: &Filled, results: &Results) -> Result<(), String> {
    // The first start may have an organization, keys and the log of whoever filled the store to do with.
    Program::start(filled).await?.stop().await?;
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let program = Program::start(filled).await?;
        let mut connection = Connection::open(program.http).await?;
        let asked = request("GET", "/v1/calls?limit=1", &program.key, "");
        let status = connection.ask(&asked).await?;
        times.push(begun.elapsed());
        if status != 200 {
            return Err(format!("the first answer was {status}"));
        }
        memory.push(program.anonymous_kib()? as f64 / 1024.0);
        drop(connection);
        program.stop().await?;
    }
    results.put(Figure::of_times("start to the first answer", &times).at(filled.calls))?;
    let figure = Figure::of("anonymous memory after the start", "MiB", memory);
    results.put(figure.at(filled.calls))
}
