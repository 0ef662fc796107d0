//! Live calls that are hung up over HTTP, all at once: how long it takes until both legs of the last one are over.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::Args;
use tokio::task::JoinSet;

use super::{LOOK, Network, gateway::Gateway, recorded::Sides};
use crate::{
    serving::client::{Connection, request},
    table::{Figure, Results},
};

/// New calls each second.
const RATE: u32 = 500;
/// How long the calls may take to be known, and to be over.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is measured.
#[derive(Args)]
pub struct Asked {
    /// How many calls.
    #[arg(long, default_value_t = 1_000)]
    calls: u32,
    /// How many connections the orders come over.
    #[arg(long, default_value_t = 32)]
    connections: u32,
    /// How often.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
}

/// When it was over, from the first order on.
struct Over {
    /// Both sides had every BYE.
    last_bye: Duration,
    /// And no call was live any more.
    all: Duration,
}

/// Measures it.
///
/// # Errors
/// When a program does not start or end, a call is not answered, or an order not taken.
pub async fn run(folder: &Path, asked: Asked, results: &Results) -> Result<(), String> {
    let network = Network::of_this_process();
    let mut gateway = Gateway::start(folder, network, false).await?;
    let sides = Sides::open(network, &mut gateway).await?;
    let mut times = Vec::new();
    for round in 0..asked.rounds {
        let first = round * asked.calls;
        // Kept: a call that is dropped would not hear its BYE confirmed.
        let calls = sides.caller.call_all(first..first + asked.calls, RATE).await?;
        let names = all_answered(&mut gateway, asked.calls).await?;
        times.push(hang_up(&mut gateway, &sides, names, first + asked.calls, asked.connections).await?);
        drop(calls);
    }
    let known = gateway.ended().await?;
    gateway.stop().await?;
    let name = format!("hang-up of {} live calls", asked.calls);
    let note = format!(
        "from the first order, over {} connections, until both sides had every BYE and no call was live",
        asked.connections
    );
    let millis =
        |of: fn(&Over) -> Duration| times.iter().map(|over| of(over).as_secs_f64() * 1_000.0).collect();
    results.put(Figure::of(&name, "ms", millis(|over| over.all)).with_note(&note))?;
    results.put(Figure::of(&format!("{name}, last BYE"), "ms", millis(|over| over.last_bye)))?;
    let missing = u64::from(asked.rounds * asked.calls).abs_diff(known.completed) as f64;
    results.put(Figure::of(&format!("{name}, not completed in the ledger"), "calls", vec![missing]))
}

/// The names of the live calls, once so many are answered.
async fn all_answered(gateway: &mut Gateway, calls: u32) -> Result<VecDeque<String>, String> {
    let begun = Instant::now();
    while gateway.live().await?.1 < u64::from(calls) {
        if begun.elapsed() > PATIENCE {
            return Err("the ledger does not know all calls as answered".to_owned());
        }
        tokio::time::sleep(LOOK).await;
    }
    let rows = gateway.rows("/v1/live").await?;
    let names: VecDeque<String> =
        rows.iter().filter_map(|row| row["id"].as_str().map(str::to_owned)).collect();
    if names.len() == calls as usize { Ok(names) } else { Err(format!("{} calls are live", names.len())) }
}

/// Gives all orders; how long it takes until everything is over. `before` calls will have been hung up then.
async fn hang_up(
    gateway: &mut Gateway,
    sides: &Sides,
    names: VecDeque<String>,
    before: u32,
    connections: u32,
) -> Result<Over, String> {
    let (http, key) = gateway.http();
    let key = key.to_owned();
    let mut open = Vec::new();
    for _ in 0..connections.max(1) {
        open.push(Connection::open(http).await?);
    }
    let names = Arc::new(Mutex::new(names));
    let mut orders = JoinSet::new();
    let begun = Instant::now();
    for connection in open {
        orders.spawn(give(connection, Arc::clone(&names), key.clone()));
    }
    while let Some(given) = orders.join_next().await {
        given.map_err(|error| format!("an order: {error}"))??;
    }
    let due = before as usize;
    let over = loop {
        if let [(one, Some(first)), (other, Some(second))] = [sides.caller.hung_up(), sides.callee.hung_up()]
            && one >= due
            && other >= due
            && gateway.live().await?.0 == 0
        {
            break Over { last_bye: first.max(second) - begun, all: begun.elapsed() };
        }
        if begun.elapsed() > PATIENCE {
            return Err("not every call is over".to_owned());
        }
        tokio::time::sleep(LOOK / 5).await;
    };
    Ok(over)
}

/// Gives one order after the other.
async fn give(
    mut connection: Connection,
    names: Arc<Mutex<VecDeque<String>>>,
    key: String,
) -> Result<(), String> {
    let next = || names.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    while let Some(name) = next() {
        let order = request("POST", &format!("/v1/calls/{name}/hangup"), &key, "{}");
        match connection.ask(&order).await? {
            200 => {}
            status => return Err(format!("the hang-up of {name} was answered with {status}")),
        }
    }
    Ok(())
}
