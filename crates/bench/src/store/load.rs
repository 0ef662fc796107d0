//! Filling a store with the whole calls of a year: told, folded and saved as the intake does it, a thousand a commit.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    time::{Duration, Instant},
};

use pegcount_calls::{Bill, Direction, EndpointName, PhoneNumberName, Tariff};
use pegcount_store::{Basis, OrganizationNumber, Report, Store, Transaction, Unindexed};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    chain,
    filled::{Filled, HEADINGS, SEED, status_code},
};
use crate::{
    calls::{
        Maker,
        whole::{Calls, Whole},
    },
    table::{Figure, Results},
};

const CALLS_A_COMMIT: u64 = 1_000;
/// How many commits' worth of calls wait for the writer.
const AHEAD: usize = 4;

/// A call, and what is derived from it before it is written.
struct Ready {
    whole: Whole,
    bill: Bill,
    uuid: Uuid,
}

/// Fills the store unless it is filled, and tells how that went.
///
/// # Errors
/// When the disk or the store does not do it.
pub async fn run(filled: &Filled, results: &Results) -> Result<(), String> {
    let figures = match filled.known() {
        Some(figures) => figures,
        None => {
            filled.clear()?;
            let figures = fill(filled).await?;
            filled.note(figures.clone())?;
            figures
        }
    };
    figures.into_iter().try_for_each(|figure| results.put(figure))
}

async fn fill(filled: &Filled) -> Result<Vec<Figure>, String> {
    let store = pegcount_store::open(&filled.path().to_string_lossy()).map_err(|error| chain(&error))?;
    let csv = fs::File::create(filled.csv()).map_err(|error| error.to_string())?;
    let mut csv = std::io::BufWriter::with_capacity(1 << 20, csv);
    writeln!(csv, "{HEADINGS}").map_err(|error| error.to_string())?;
    let (batches, mut made) = mpsc::channel(AHEAD);
    let (calls, text_bytes) = (filled.calls, filled.text_bytes);
    let maker = tokio::task::spawn_blocking(move || make(calls, text_bytes, &batches));
    let begun = Instant::now();
    let (mut number, mut events) = (0, 0);
    while let Some(batch) = made.recv().await {
        let mut rows = String::new();
        for ready in &batch {
            number += 1;
            events += ready.whole.told.len();
            add_row(&mut rows, number, ready);
        }
        write(&*store, &batch).await.map_err(|error| chain(&error))?;
        csv.write_all(rows.as_bytes()).map_err(|error| error.to_string())?;
    }
    maker.await.map_err(|error| error.to_string())??;
    let seconds = begun.elapsed().as_secs_f64();
    let indexed = all_indexed(&*store).await?;
    store.close().await.map_err(|error| chain(&error))?;
    csv.flush().map_err(|error| error.to_string())?;
    let bytes = |path| Ok::<_, String>(fs::metadata(path).map_err(|error| error.to_string())?.len() as f64);
    let (bytes, words) = (bytes(filled.path())?, bytes(filled.words())?);
    let once = |name: &str, unit: &str, value: f64| Figure::of(name, unit, vec![value]).at(calls);
    let per_call = calls as f64;
    Ok(vec![
        once("filling a store with whole calls", "calls/s", per_call / seconds).with_note(&format!(
            "{:.1} events a call, about {text_bytes} bytes spoken in an answered one",
            events as f64 / per_call
        )),
        once("disk for a call", "bytes", (bytes + words) / per_call)
            .with_note(&format!("{:.0} of it the index of words", words / per_call)),
        once("filling a store, until the index of words has all", "s", indexed.as_secs_f64()),
        once("peak memory while filling", "MiB", peak_memory_mib()?).with_note("with the maker of calls"),
    ])
}

/// How long a look at the index of words is put off.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Waits until everything that was said can be searched for; how long that took.
///
/// # Errors
/// When the store does not say.
pub async fn all_indexed(store: &dyn Store) -> Result<Duration, String> {
    let begun = Instant::now();
    while store.unindexed().await.map_err(|error| chain(&error))? != Unindexed::default() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(begun.elapsed())
}

/// Makes calls on a thread of its own, until nobody takes them any more.
fn make(count: u64, text_bytes: usize, batches: &mpsc::Sender<Vec<Ready>>) -> Result<(), String> {
    let maker = Maker::new(SEED, text_bytes);
    let calls = Calls::of(&maker, count);
    let tariff = Tariff::default();
    let mut begin = 0;
    while begin < count {
        let end = count.min(begin + CALLS_A_COMMIT);
        let ready = |number| {
            let whole = calls.call(number)?;
            Ok(Ready { bill: tariff.bill(&whole.call), uuid: whole.plan.uuid(), whole })
        };
        let batch = (begin..end).map(ready).collect::<Result<Vec<Ready>, String>>()?;
        if batches.blocking_send(batch).is_err() {
            break;
        }
        begin = end;
    }
    Ok(())
}

async fn write(store: &dyn Store, batch: &[Ready]) -> pegcount_store::Result<()> {
    let mut transaction = store.begin().await?;
    for ready in batch {
        write_one(transaction.as_mut(), ready).await?;
    }
    transaction.commit().await
}

async fn write_one(transaction: &mut dyn Transaction, ready: &Ready) -> pegcount_store::Result<()> {
    let Ready { whole, bill, uuid } = ready;
    let organization = OrganizationNumber(whole.plan.organization as i64);
    let head = transaction.open_call(organization, &whole.name, *uuid).await?;
    let reports: Vec<Report> = whole.told.iter().map(|told| told.report.clone()).collect();
    transaction.append(head.key, &reports).await?;
    if let Some(endpoint) = &whole.call.endpoint {
        transaction.note_endpoint(organization, endpoint).await?;
    }
    if let Some(number) = &whole.call.phone_number {
        transaction.note_phone_number(organization, number).await?;
    }
    let basis = Basis { phone_number: whole.call.phone_number.clone(), ..Basis::default() };
    transaction.save(head.key, &whole.call, bill, &basis).await
}

fn add_row(rows: &mut String, arrival: u64, Ready { whole: Whole { plan, call, .. }, bill, .. }: &Ready) {
    let outbound = u8::from(call.direction == Direction::Outbound);
    let answered = u8::from(call.answered_at().is_some());
    let talk = call.talk_time().map_or(0, |talk| talk.as_secs());
    let cost = bill.total.map_or(0, pegcount_calls::Amount::nanos);
    let endpoint = call.endpoint.as_ref().map_or("", EndpointName::as_str);
    let phone_number = call.phone_number.as_ref().map_or("", PhoneNumberName::as_str);
    // A text takes everything.
    let _ = writeln!(
        rows,
        "{arrival},{},{},{},{outbound},{answered},{talk},{cost},{endpoint},{phone_number},{},{}",
        plan.organization,
        call.created_at.millis(),
        status_code(call.status()),
        call.from_number.as_deref().unwrap_or_default(),
        plan.campaign(),
    );
}

/// The most memory that this process has had.
///
/// # Errors
/// When the system does not tell.
pub fn peak_memory_mib() -> Result<f64, String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|error| error.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map(|kib| kib / 1024.0).ok_or_else(|| "the system does not tell how much memory was used".to_owned())
}
