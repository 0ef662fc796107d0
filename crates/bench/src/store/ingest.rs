//! Durable ingest through the intake: the writer's thread, its queue, its fold, its commits.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use pegcount::{
    intake::{Incoming, Intake, IntakeParts, Outcome, TariffsHandle},
    live::Live,
    metrics::Metrics,
    operations::chain,
    organizations::{Names, PerOrganization},
};
use pegcount_sealed::Keys;

use super::{filled::SEED, load::all_indexed};
use crate::{
    calls::{
        Maker,
        live::{Events, LiveCalls},
    },
    table::{Figure, Results},
};

/// About how many bytes are spoken in an answered call.
const TEXT_BYTES: usize = 4_000;
/// Requests are as large as a source's that gathers a little, and so many are on their way that commits are full.
const EVENTS_A_REQUEST: usize = 100;
const ON_THEIR_WAY: usize = 40;
/// How many calls' pasts are made at a time.
const CALLS_AT_A_TIME: usize = 2_000;

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// How many calls are in progress all the time.
    pub live: u64,
    /// How many events are told in a round.
    pub events: usize,
    /// How many rounds.
    pub rounds: usize,
}

/// Takes events in, from the moment on when so many calls are under way.
#[async_trait::async_trait]
pub trait Ledger: Send {
    /// Takes them in, in this order. When this returns all of them are durable.
    async fn take(&mut self, events: Vec<Events>) -> Result<(), String>;
}

/// Tells a ledger of calls: first what has happened of those in progress, which is not measured, then round by round.
///
/// # Errors
/// When the ledger does not take an event.
pub async fn tell_all(
    ledger: &mut dyn Ledger,
    amount: Amount,
    results: &Results,
    figure: Figure,
) -> Result<Figure, String> {
    let maker = Maker::new(SEED, TEXT_BYTES);
    let mut calls = LiveCalls::begin(&maker, amount.live);
    let in_progress = calls.in_progress();
    let (mut told, mut taken) = (0, Duration::ZERO);
    for numbers in in_progress.chunks(CALLS_AT_A_TIME) {
        let events = numbers.iter().map(|number| calls.so_far(*number));
        let events = events.collect::<Result<Vec<Events>, String>>()?;
        told += events.iter().map(|events| events.told.len()).sum::<usize>();
        let begun = Instant::now();
        ledger.take(events).await?;
        taken += begun.elapsed();
    }
    let live = in_progress.len();
    let name = format!("{}, several events of a call at once", figure.name);
    let note = format!("what had happened of {live} calls before the rounds: {told} events");
    results.put(Figure::of(&name, "events/s", vec![told as f64 / taken.as_secs_f64()]).with_note(&note))?;
    let mut rates = Vec::with_capacity(amount.rounds);
    for _ in 0..amount.rounds {
        let events = (0..amount.events).map(|_| calls.next()).collect::<Result<Vec<Events>, String>>()?;
        let begun = Instant::now();
        ledger.take(events).await?;
        rates.push(amount.events as f64 / begun.elapsed().as_secs_f64());
    }
    let by_round: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
    let note = format!("{live} live calls, rounds of {} events: {}", amount.events, by_round.join(", "));
    Ok(Figure::of(&figure.name, "events/s", rates).with_note(&note))
}

/// The intake on a store of its own.
struct OfIntake {
    intake: Intake,
}

#[async_trait::async_trait]
impl Ledger for OfIntake {
    async fn take(&mut self, events: Vec<Events>) -> Result<(), String> {
        let mut requests: Vec<Vec<Incoming>> = Vec::new();
        let mut of_last = EVENTS_A_REQUEST;
        for one in events {
            if of_last >= EVENTS_A_REQUEST {
                requests.push(Vec::with_capacity(EVENTS_A_REQUEST));
                of_last = 0;
            }
            of_last += one.told.len();
            requests.last_mut().ok_or("no request")?.push(one.incoming()?);
        }
        let answers =
            stream::iter(requests).map(|request| self.intake.accept(request)).buffered(ON_THEIR_WAY);
        let answers: Vec<Vec<Vec<Outcome>>> = answers.try_collect().await.map_err(|error| chain(&error))?;
        let refused = answers.iter().flatten().flatten().find(|outcome| **outcome != Outcome::Accepted);
        refused.map_or(Ok(()), |outcome| Err(format!("an event was not taken: {outcome:?}")))
    }
}

/// Measures it, in the clear or sealed.
///
/// # Errors
/// When the store or the disk does not do it.
pub async fn run(folder: &Path, sealed: bool, amount: Amount, results: &Results) -> Result<(), String> {
    let name = if sealed { "ingest, sealed" } else { "ingest" };
    let folder = folder.join("ingest");
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    let keys = if sealed { Some(new_key()?) } else { None };
    let fold = Some(pegcount::vocabulary::fold_reports as pegcount_store::FoldReports);
    let opening = pegcount_store::Opening { keys: keys.as_ref(), fold, ..Default::default() };
    let store = pegcount_store::open_as(&folder.join("calls.db").to_string_lossy(), opening);
    let store: Arc<dyn pegcount_store::Store> = Arc::from(store.map_err(|error| chain(&error))?);
    let (intake, writer) = Intake::start(IntakeParts {
        store: Arc::clone(&store),
        live: Arc::new(Live::of(Vec::new())),
        names: Names::new(Arc::clone(&store)),
        tariffs: TariffsHandle::default(),
        masks: PerOrganization::default(),
        metrics: Arc::new(Metrics::default()),
        outside: Vec::new(),
    })
    .map_err(failed)?;
    let mut ledger = OfIntake { intake };
    let figure = tell_all(&mut ledger, amount, results, Figure::of(name, "events/s", Vec::new())).await;
    let behind = store.unindexed().await.map_err(|error| chain(&error))?.changes;
    let indexed = all_indexed(&*store).await?;
    drop(ledger);
    let ended = tokio::task::spawn_blocking(move || writer.join()).await;
    ended.map_err(|error| error.to_string())?.map_err(|_| "the writer has failed".to_owned())?;
    store.close().await.map_err(|error| chain(&error))?;
    drop(store);
    results.put(figure?)?;
    let note = format!("{behind} calls were not in it when the last event was acknowledged");
    let name = format!("{name}, until the index of words has all");
    results.put(Figure::of(&name, "s", vec![indexed.as_secs_f64()]).with_note(&note))?;
    std::fs::remove_dir_all(&folder).map_err(failed)
}

fn new_key() -> Result<Keys, String> {
    let line = Keys::generate().map_err(|error| error.to_string())?;
    Keys::parse(&line).map_err(|error| error.to_string())
}
