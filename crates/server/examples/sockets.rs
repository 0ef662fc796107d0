//! Measures the live WebSocket: from an event to the message on every socket.
//! `cargo run --release -p pegcount --example sockets -- HTTP_URL LIVE_ADDRESS KEY [CLIENTS] [EVENTS] [PAUSE_MS] [PID]`.
//!
//! The clients are as plain as can be, since they share the machine with the server: each reads into a small buffer,
//! answers pings, and notes when it first learned of each count. `PID` is the server's, to show its memory.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use std::{
    env,
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// What to measure.
struct Options {
    /// Where events are posted: `http://host:port`.
    http: String,
    /// Where the sockets connect to.
    live: SocketAddr,
    /// A whole key that may read calls and write events. Nothing else may happen in its organization.
    key: String,
    /// How many sockets.
    clients: usize,
    /// How many events, each of which changes the count.
    events: usize,
    /// From one event to the next.
    pause: Duration,
    /// The server's process, if its memory is to be shown.
    pid: Option<u32>,
}

/// Sockets that begin to connect at once.
const CONNECTING: usize = 200;
/// Connections from one address: a machine has some 28,000 ports for those to one and the same place.
const FROM_ONE_ADDRESS: usize = 20_000;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let mut word = |what: &str| words.next().ok_or_else(|| format!("{what} is missing"));
    let (http, live, key) = (word("the URL")?, word("the live address")?.parse()?, word("the key")?);
    let mut number = |otherwise: u64| words.next().map_or(Ok(otherwise), |word| word.parse::<u64>());
    let options = Options {
        http,
        live,
        key,
        clients: usize::try_from(number(1_000)?)?,
        events: usize::try_from(number(100)?)?,
        pause: Duration::from_millis(number(100)?),
        pid: Some(u32::try_from(number(0)?)?).filter(|pid| *pid != 0),
    };
    open_as_many_files_as_may_be();
    // Asked for by the client of HTTP, which is built without one of its own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?
        .block_on(run(Arc::new(options)))
}

fn open_as_many_files_as_may_be() {
    let most = getrlimit(Resource::Nofile).maximum;
    // Refused: then the first socket too many says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
}

/// Opens the sockets, tells of calls, and prints how long each message took.
async fn run(options: Arc<Options>) -> Result<()> {
    let begun = Instant::now();
    let before = options.pid.map(memory);
    let arrived = Arc::new(AtomicU64::new(0));
    let clients = connect(&options, begun, &arrived).await?;
    println!("{} sockets open after {:.1} s", clients.len(), begun.elapsed().as_secs_f64());
    if let (Some(pid), Some(before)) = (options.pid, before) {
        let after = memory(pid);
        let each = after.saturating_sub(before) as f64 / options.clients as f64;
        println!(
            "the server's anonymous memory: {before} KiB before, {after} KiB now, {each:.1} KiB a socket"
        );
    }
    // On a thread of its own, so that an acknowledgement is not noticed late because messages are being read.
    let asked = Arc::clone(&options);
    let source = std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(tell(&asked, begun))
    });
    let (sent, acknowledged) = tokio::task::spawn_blocking(move || source.join())
        .await?
        .map_err(|_| "the source of events failed")??;
    let mut from_sent = Vec::new();
    let mut from_acknowledged = Vec::new();
    let mut messages = 0;
    let mut open = Vec::new();
    for client in clients {
        let seen = tokio::time::timeout(PATIENCE, client).await???;
        messages += seen.messages;
        open.push(seen.socket);
        for (event, at) in seen.first_told.iter().enumerate() {
            from_sent.push(at.saturating_sub(sent[event]));
            from_acknowledged.push(at.saturating_sub(acknowledged[event]));
        }
    }
    drop(open);
    println!("{messages} messages, {} expected without conflation", options.events * options.clients);
    show("from the event's acknowledgement", from_acknowledged);
    show("from the event's sending", from_sent);
    let round_trips =
        sent.iter().zip(&acknowledged).map(|(sent, acknowledged)| acknowledged - sent).collect();
    show("the acknowledgement itself", round_trips);
    if let Some(pid) = options.pid {
        println!("the server's anonymous memory afterwards: {} KiB", memory(pid));
    }
    // The calls end, so that the next run begins as this one did.
    let ends: Vec<_> = (0..options.events).map(|number| event("call_completed", number)).collect();
    post(&options, &reqwest::Client::builder().no_proxy().build()?, format!("[{}]", ends.join(","))).await
}

/// Sends the events one after the other; when each was sent, and when it was acknowledged.
async fn tell(options: &Options, begun: Instant) -> Result<(Vec<u64>, Vec<u64>)> {
    let (mut sent, mut acknowledged) = (Vec::new(), Vec::new());
    let http = reqwest::Client::builder().no_proxy().build()?;
    let mut pace = tokio::time::interval(options.pause);
    for number in 0..options.events {
        pace.tick().await;
        sent.push(since(begun));
        post(options, &http, event("call_initiated", number)).await?;
        acknowledged.push(since(begun));
    }
    Ok((sent, acknowledged))
}

async fn post(options: &Options, http: &reqwest::Client, body: String) -> Result<()> {
    let post = http.post(format!("{}/v1/events", options.http)).header("x-api-key", &options.key);
    post.header("content-type", "application/json").body(body).send().await?.error_for_status()?;
    Ok(())
}

fn event(kind: &str, number: usize) -> String {
    let run = std::process::id();
    format!(r#"{{"call_id":"sockets-{run}-{number}","event_type":"{kind}","event_data":{{}}}}"#)
}

/// What one socket saw.
struct Seen {
    /// For each event: when it was first told of, or of a later one.
    first_told: Vec<u64>,
    messages: usize,
    /// Kept open until all have been told.
    socket: TcpStream,
}

type Client = tokio::task::JoinHandle<Result<Seen>>;

async fn connect(options: &Options, begun: Instant, arrived: &Arc<AtomicU64>) -> Result<Vec<Client>> {
    let mut clients = Vec::with_capacity(options.clients);
    for first in (0..options.clients).step_by(CONNECTING) {
        for number in first..options.clients.min(first + CONNECTING) {
            let (live, key, events) = (options.live, options.key.clone(), options.events);
            let arrived = Arc::clone(arrived);
            clients.push(tokio::spawn(async move {
                let socket = open(live, number, &key).await?;
                arrived.fetch_add(1, Ordering::Relaxed);
                listen(socket, events, begun).await
            }));
        }
        let due = clients.len() as u64;
        while arrived.load(Ordering::Relaxed) < due {
            if clients.iter().any(tokio::task::JoinHandle::is_finished) {
                let gone = clients.into_iter().find(tokio::task::JoinHandle::is_finished);
                return Err(match gone {
                    Some(client) => client.await?.err().unwrap_or_else(|| "a socket was closed".into()),
                    None => "a socket was closed".into(),
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(clients)
}

/// A socket that was let in.
async fn open(live: SocketAddr, number: usize, key: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let more = u8::try_from(number / FROM_ONE_ADDRESS)?;
    if live.ip().is_loopback() && more > 0 {
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + more), 0)))?;
    }
    let mut stream = socket.connect(live).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {live}\r\nx-api-key: {key}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&head).into_owned().into());
    }
    Ok(stream)
}

/// Reads until the last event is told of.
async fn listen(mut stream: TcpStream, events: usize, begun: Instant) -> Result<Seen> {
    let (mut first_told, mut messages) = (Vec::with_capacity(events), 0);
    let mut buffer = [0; 512];
    let mut filled = 0;
    let mut at_the_begin = None;
    while first_told.len() < events {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err("the server closed a socket".into());
        }
        filled += read;
        let now = since(begun);
        let mut from = 0;
        while let Some((kind, payload, next)) = frame(&buffer[..filled], from) {
            match kind {
                1 => {
                    if let Some(count) = total(payload) {
                        let base = *at_the_begin.get_or_insert(count);
                        let told = count.saturating_sub(base).min(events);
                        messages += usize::from(told > first_told.len());
                        first_told.resize(told.max(first_told.len()), now);
                    }
                }
                8 => return Err("the server said goodbye".into()),
                // A ping; masked with zeros, which change nothing.
                9 => {
                    let mut pong = vec![0x8a, 0x80 | u8::try_from(payload.len())?, 0, 0, 0, 0];
                    pong.extend_from_slice(payload);
                    stream.write_all(&pong).await?;
                }
                _ => {}
            }
            from = next;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
    }
    Ok(Seen { first_told, messages, socket: stream })
}

/// The frame that begins here, if it is whole: its kind, its payload, where the next one begins. All are short.
fn frame(bytes: &[u8], from: usize) -> Option<(u8, &[u8], usize)> {
    let (first, length) = (*bytes.get(from)?, usize::from(*bytes.get(from + 1)?));
    let end = from + 2 + length;
    Some((first & 0x0f, bytes.get(from + 2..end)?, end))
}

/// The count of a system-wide message.
fn total(message: &[u8]) -> Option<usize> {
    let digits = message.strip_prefix(br#"{"event":"call_count","count":"#)?.strip_suffix(b"}")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn show(what: &str, mut micros: Vec<u64>) {
    micros.sort_unstable();
    let at = |share: f64| {
        let place = (micros.len().saturating_sub(1) as f64 * share) as usize;
        micros.get(place).copied().unwrap_or_default() as f64 / 1000.0
    };
    println!(
        "{what}: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, most {:.1} ms",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}

/// The anonymous resident memory of a process, in KiB.
fn memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
