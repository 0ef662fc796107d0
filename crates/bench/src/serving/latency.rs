//! How long an event waits for its acknowledgement: told one a request, at a given pace, whether earlier ones have been
//! acknowledged or not.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, task::JoinSet, time::sleep_until};

use super::{
    client::{Connection, request},
    failed,
    program::Program,
};
use crate::{
    calls::{
        Maker,
        live::{Events, LiveCalls},
    },
    store::filled::{Filled, SEED},
    table::{Figure, Results},
};

/// About how many bytes are spoken in an answered call, and how many calls are in progress.
const TEXT_BYTES: usize = 4_000;
const LIVE: u64 = 20_000;
/// Connections over which events are told: as many are on their way at most.
const CONNECTIONS: usize = 256;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(6);
/// Connections that read meanwhile.
const READERS: usize = 8;
/// Events of one request while what has happened so far is told.
const AT_ONCE: usize = 500;

/// Measures it: slowly, with readers beside it and, unless `only_slowly`, quickly.
///
/// # Errors
/// When the server does not take an event.
pub async fn run(filled: &Filled, only_slowly: bool, results: &Results) -> Result<(), String> {
    let program = Program::start(filled).await?;
    let maker = Maker::new(SEED, TEXT_BYTES);
    let mut calls = LiveCalls::begin(&maker, LIVE);
    // Each run tells of calls of its own: a repetition would cost less.
    let run = uuid::Uuid::now_v7().simple().to_string();
    let mut teller = Teller { program: &program, run, connections: Vec::new() };
    for _ in 0..CONNECTIONS {
        teller.connections.push(Connection::open(program.http).await?);
    }
    teller.begin(&calls).await?;
    let put = |name: &str, rounds: &[Vec<Duration>], share: usize, note: Option<String>| {
        let times: Vec<Duration> =
            rounds.iter().filter_map(|times| times.get(times.len() * share / 100).copied()).collect();
        let figure = Figure::of_times(name, &times).at(filled.calls);
        results.put(match note {
            Some(note) => figure.with_note(&note),
            None => figure,
        })
    };
    let alone = teller.rounds(&mut calls, 500).await?;
    put("acknowledgement at 500 events/s, p50", &alone, 50, None)?;
    put("acknowledgement at 500 events/s, p99", &alone, 99, None)?;
    let readers = Readers::start(&program)?;
    let beside = teller.rounds(&mut calls, 500).await?;
    let note = format!("they read {:.0} statistics and lists a second", readers.stop()?);
    put("acknowledgement at 500 events/s beside 8 readers, p99", &beside, 99, Some(note))?;
    if !only_slowly {
        let quickly = teller.rounds(&mut calls, 5_000).await?;
        put("acknowledgement at 5,000 events/s, p99", &quickly, 99, None)?;
    }
    drop(teller);
    program.stop().await
}

/// Who tells events.
struct Teller<'a> {
    program: &'a Program,
    run: String,
    connections: Vec<Connection>,
}

impl Teller<'_> {
    fn body(&self, events: &Events) -> Result<String, String> {
        let mut body = String::from("[");
        for told in &events.told {
            let report = &told.report;
            let comma = if body.len() > 1 { "," } else { "" };
            let (id, kind, at) = (&report.id, &report.kind, report.at.millis());
            let data = report.data.as_json_text();
            write!(
                body,
                r#"{comma}{{"id":"{id}","call_id":"{}-{}","event_type":"{kind}","created_at":{at},"event_data":{data}}}"#,
                self.run, events.number
            )
            .map_err(|error| failed("an event", &error))?;
        }
        body.push(']');
        Ok(body)
    }

    /// Tells what has happened so far in the calls in progress.
    async fn begin(&mut self, calls: &LiveCalls<'_>) -> Result<(), String> {
        let mut connection = self.connections.pop().ok_or("no connection")?;
        for numbers in calls.in_progress().chunks(AT_ONCE / 10) {
            let events = numbers.iter().map(|number| self.body(&calls.so_far(*number)?));
            let bodies = events.collect::<Result<Vec<String>, String>>()?;
            let inner: Vec<&str> = bodies.iter().filter_map(|body| body.get(1..body.len() - 1)).collect();
            let body = format!("[{}]", inner.join(","));
            taken(connection.ask(&request("POST", "/v1/events", &self.program.key_apart, &body)).await?)?;
        }
        self.connections.push(connection);
        Ok(())
    }

    /// How long each event of each round waited, the shortest first.
    async fn rounds(&mut self, calls: &mut LiveCalls<'_>, rate: u32) -> Result<Vec<Vec<Duration>>, String> {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let mut times = self.round(calls, rate).await?;
            times.sort_unstable();
            rounds.push(times);
        }
        Ok(rounds)
    }

    /// From the moment at which each event was to be told, whether a connection was free or not, until it was
    /// acknowledged.
    async fn round(&mut self, calls: &mut LiveCalls<'_>, rate: u32) -> Result<Vec<Duration>, String> {
        let count =
            usize::try_from(u64::from(rate) * ROUND.as_secs()).map_err(|error| failed("the rate", &error))?;
        let mut requests = Vec::with_capacity(count);
        for _ in 0..count {
            let body = self.body(&calls.next()?)?;
            requests.push(request("POST", "/v1/events", &self.program.key_apart, &body));
        }
        let (queue, due) = async_channel(count);
        let begin = tokio::time::Instant::now() + Duration::from_millis(50);
        let mut tellers = JoinSet::new();
        for mut connection in self.connections.drain(..) {
            let due = due.clone();
            tellers.spawn(async move {
                let mut times = Vec::new();
                while let Some((at, request)) = next(&due).await {
                    taken(connection.ask(&request).await?)?;
                    times.push(at.elapsed());
                }
                Ok::<_, String>((connection, times))
            });
        }
        for (number, request) in (0_u32..).zip(requests) {
            let at = begin + Duration::from_secs(1) * number / rate;
            sleep_until(at).await;
            // From now on: timers are right to a millisecond only, which is more than what is measured.
            queue.send((Instant::now(), request)).await.map_err(|_| "every connection broke".to_owned())?;
        }
        drop(queue);
        let mut all = Vec::with_capacity(count);
        for teller in tellers.join_all().await {
            let (connection, times) = teller?;
            self.connections.push(connection);
            all.extend(times);
        }
        Ok(all)
    }
}

type Due = Arc<tokio::sync::Mutex<mpsc::Receiver<(Instant, Vec<u8>)>>>;

/// A queue that many take from.
fn async_channel(room: usize) -> (mpsc::Sender<(Instant, Vec<u8>)>, Due) {
    let (sender, receiver) = mpsc::channel(room.max(1));
    (sender, Arc::new(tokio::sync::Mutex::new(receiver)))
}

async fn next(due: &Due) -> Option<(Instant, Vec<u8>)> {
    due.lock().await.recv().await
}

fn taken(status: u16) -> Result<(), String> {
    if status == 200 { Ok(()) } else { Err(format!("an event was answered with {status}")) }
}

/// How far the readers' thread stands back: they stand for clients on other machines, which would not take the server's
/// cores.
const NICENESS: i32 = 10;

/// Read statistics and lists of the largest organization, one after the other on each of several connections.
struct Readers {
    begun: Instant,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, String>>,
}

impl Readers {
    fn start(program: &Program) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| failed("the readers' thread", &error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, address, key) = (Arc::clone(&stop), program.http, program.key.clone());
        let thread = std::thread::spawn(move || {
            let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICENESS);
            runtime.block_on(async {
                let mut readers = JoinSet::new();
                for reader in 0..READERS {
                    readers.spawn(read(reader, address, key.clone(), Arc::clone(&stopped)));
                }
                readers.join_all().await.into_iter().sum()
            })
        });
        Ok(Self { begun: Instant::now(), stop, thread })
    }

    /// How many answers they got a second.
    fn stop(self) -> Result<f64, String> {
        self.stop.store(true, Ordering::Relaxed);
        let reads = self.thread.join().map_err(|_| "a reader has panicked".to_owned())??;
        Ok(reads as f64 / self.begun.elapsed().as_secs_f64())
    }
}

async fn read(reader: usize, address: SocketAddr, key: String, stop: Arc<AtomicBool>) -> Result<u64, String> {
    let paths = [
        "/v1/calls/stats",
        "/v1/calls?limit=20",
        "/v1/calls?limit=20&status=failed&offset=5000",
        "/v1/calls/trends?from_date=2025-01-01&to_date=2025-06-30",
        "/v1/calls?limit=20&sort=-completed_at",
    ];
    let mut connection = Connection::open(address).await?;
    let mut reads = 0;
    for path in paths.iter().cycle().skip(reader) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let status = connection.ask(&request("GET", path, &key, "")).await?;
        if status != 200 {
            return Err(format!("{path} was answered with {status}"));
        }
        reads += 1;
    }
    Ok(reads)
}
