//! From an event to the message on every live WebSocket.
//!
//! The clients are as plain as can be, since they share the machine with the server: each reads into a small buffer,
//! answers pings, and notes when it first learned of each count.

use std::{
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
    task::JoinError,
};

use super::{
    client::{Connection, request},
    failed,
    program::Program,
};
use crate::{
    store::filled::Filled,
    table::{Figure, Results},
};

/// How many sockets watch.
const WATCHERS: [usize; 2] = [1_000, 10_000];
/// Events, each of which changes the count; from one to the next; and how many of them are one run of the figure.
const EVENTS: usize = 100;
const PAUSE: Duration = Duration::from_millis(100);
const EVENTS_A_RUN: usize = 20;
/// Sockets that begin to connect at once.
const CONNECTING: usize = 200;
/// Connections from one address: a machine has some 28,000 ports for those to one and the same place.
const FROM_ONE_ADDRESS: usize = 20_000;
/// How long the last messages may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is watched.
struct Watching {
    live: SocketAddr,
    key: String,
    clients: usize,
    events: usize,
}

/// Measures it.
///
/// # Errors
/// When the server does not let a socket in, or does not take an event.
pub async fn run(filled: &Filled, results: &Results) -> Result<(), String> {
    open_as_many_files_as_may_be();
    for clients in WATCHERS {
        let program = Program::start(filled).await?;
        let before = program.anonymous_kib()?;
        let watching =
            Watching { live: program.live, key: program.key_apart.clone(), clients, events: EVENTS };
        let begun = Instant::now();
        let open = connect(&watching, begun, &Arc::new(AtomicU64::new(0))).await?;
        let each = program.anonymous_kib()?.saturating_sub(before) as f64 / clients as f64;
        let acknowledged = tell(&program, begun).await?;
        let mut runs = vec![Vec::new(); EVENTS.div_ceil(EVENTS_A_RUN)];
        let mut sockets = Vec::with_capacity(clients);
        for client in open {
            let seen = tokio::time::timeout(PATIENCE, client).await;
            let seen = joined(seen.map_err(|_| "a message does not come".to_owned())?)?;
            for (event, (told, acknowledged)) in seen.first_told.iter().zip(&acknowledged).enumerate() {
                runs[event / EVENTS_A_RUN].push(told.saturating_sub(*acknowledged));
            }
            sockets.push(seen.socket);
        }
        drop(sockets);
        program.stop().await?;
        let p99 = |mut micros: Vec<u64>| {
            micros.sort_unstable();
            micros.get(micros.len() * 99 / 100).copied().unwrap_or_default() as f64 / 1000.0
        };
        let name = format!("live count at {clients} sockets, p99");
        let figure = Figure::of(&name, "ms", runs.into_iter().map(p99).collect());
        results.put(figure.with_note("from the event's acknowledgement; clients on the same machine"))?;
        let name = format!("memory of a socket, of {clients}");
        results.put(Figure::of(&name, "KiB", vec![each]))?;
    }
    Ok(())
}

/// Lets this process, and what it starts, open as many files as it may; how many that are, `None` when there is no limit.
pub fn open_as_many_files_as_may_be() -> Option<u64> {
    let most = getrlimit(Resource::Nofile).maximum;
    // Refused: then the first socket too many says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    most
}

fn joined<T>(ended: Result<Result<T, String>, JoinError>) -> Result<T, String> {
    ended.map_err(|error| failed("a socket", &error))?
}

/// Tells of one call after the other; when each was acknowledged. On a thread of its own, so that an acknowledgement is
/// not noticed late because messages are being read.
async fn tell(program: &Program, begun: Instant) -> Result<Vec<u64>, String> {
    let (http, key) = (program.http, program.key_apart.clone());
    let run = uuid::Uuid::now_v7().simple().to_string();
    let thread = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| failed("a thread", &error))?.block_on(tell_all(http, &key, &run, begun))
    };
    let told = tokio::task::spawn_blocking(thread).await;
    told.map_err(|error| failed("the source of events", &error))?
}

async fn tell_all(http: SocketAddr, key: &str, run: &str, begun: Instant) -> Result<Vec<u64>, String> {
    let mut connection = Connection::open(http).await?;
    let event = |kind: &str, number| format!(r#"{{"call_id":"{run}-{number}","event_type":"{kind}"}}"#);
    let mut acknowledged = Vec::with_capacity(EVENTS);
    let mut pace = tokio::time::interval(PAUSE);
    for number in 0..EVENTS {
        pace.tick().await;
        let body = event("call_initiated", number);
        match connection.ask(&request("POST", "/v1/events", key, &body)).await? {
            200 => acknowledged.push(since(begun)),
            status => return Err(format!("an event was answered with {status}")),
        }
    }
    // The calls end, so that the next run begins as this one did.
    let ends: Vec<String> = (0..EVENTS).map(|number| event("call_completed", number)).collect();
    connection.ask(&request("POST", "/v1/events", key, &format!("[{}]", ends.join(",")))).await?;
    Ok(acknowledged)
}

/// What one socket saw.
struct Seen {
    /// For each event: when it was first told of, or of a later one.
    first_told: Vec<u64>,
    /// Kept open until all have been told.
    socket: TcpStream,
}

type Client = tokio::task::JoinHandle<Result<Seen, String>>;

async fn connect(
    options: &Watching,
    begun: Instant,
    arrived: &Arc<AtomicU64>,
) -> Result<Vec<Client>, String> {
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
                    Some(client) => {
                        joined(client.await).err().unwrap_or_else(|| "a socket was closed".to_owned())
                    }
                    None => "a socket was closed".to_owned(),
                });
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(clients)
}

/// A socket that was let in.
async fn open(live: SocketAddr, number: usize, key: &str) -> Result<TcpStream, String> {
    let broken = |error: std::io::Error| failed("a socket", &error);
    let socket = TcpSocket::new_v4().map_err(broken)?;
    let more = u8::try_from(number / FROM_ONE_ADDRESS).map_err(|error| failed("so many sockets", &error))?;
    if more > 0 {
        socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 1 + more), 0))).map_err(broken)?;
    }
    let mut stream = socket.connect(live).await.map_err(broken)?;
    stream.set_nodelay(true).map_err(broken)?;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: {live}\r\nx-api-key: {key}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.map_err(broken)?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(String::from_utf8_lossy(&head).into_owned());
    }
    Ok(stream)
}

/// Reads until the last event is told of.
async fn listen(mut stream: TcpStream, events: usize, begun: Instant) -> Result<Seen, String> {
    let mut first_told = Vec::with_capacity(events);
    let mut buffer = [0; 512];
    let mut filled = 0;
    let mut at_the_begin = None;
    let broken = |error: std::io::Error| failed("a socket", &error);
    while first_told.len() < events {
        let read = stream.read(&mut buffer[filled..]).await.map_err(broken)?;
        if read == 0 {
            return Err("the server closed a socket".to_owned());
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
                        first_told.resize(told.max(first_told.len()), now);
                    }
                }
                8 => return Err("the server said goodbye".to_owned()),
                // A ping; masked with zeros, which change nothing.
                9 => {
                    // The length of a frame that is read here fits seven bits.
                    let mut pong = vec![0x8a, 0x80 | payload.len() as u8, 0, 0, 0, 0];
                    pong.extend_from_slice(payload);
                    stream.write_all(&pong).await.map_err(broken)?;
                }
                _ => {}
            }
            from = next;
        }
        buffer.copy_within(from..filled, 0);
        filled -= from;
    }
    Ok(Seen { first_told, socket: stream })
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
