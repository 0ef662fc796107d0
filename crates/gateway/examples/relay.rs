//! How much of a core the relay takes: `cargo run --release -p pegcount-gateway --example relay [calls] [seconds]`.
//!
//! The relay has a thread of its own, whose time on the processor is counted; the phones are served by another.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use pegcount_gateway::{
    Side,
    media::{Latching, MediaConfig, MediaSession, Ports, Remote},
    sdp::{Direction, PayloadMap},
};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const EACH: Duration = Duration::from_millis(20);

/// The time that this thread has had a processor (`/proc`: Linux only).
fn busy() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().ok_or("no time in schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

/// A phone and where the relay takes what it sends.
type Line = (UdpSocket, SocketAddr);

/// Serves calls until the phones are done; tells the packets relayed and the time it took.
fn relay(
    calls: usize,
    lines: &mpsc::Sender<Vec<Line>>,
    done: tokio::sync::oneshot::Receiver<()>,
) -> Result<(u64, Duration), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let config = MediaConfig::new(HOST, Ports::new(30_000..=40_000)?);
        let mut sessions = Vec::new();
        let mut opened = Vec::new();
        for _ in 0..calls {
            let (session, _events) = MediaSession::open(&config)?;
            for side in Side::BOTH {
                let phone = UdpSocket::bind((HOST, 0))?;
                phone.set_nonblocking(true)?;
                session.connect(
                    side,
                    Remote {
                        rtp: Some(phone.local_addr()?),
                        rtcp: None,
                        latching: Latching::Off,
                        payloads: PayloadMap::default(),
                        direction: Direction::SendReceive,
                    },
                );
                opened.push((phone, session.local(side)));
            }
            sessions.push(session);
        }
        lines.send(opened)?;
        let before = busy()?;
        done.await?;
        let took = busy()?.saturating_sub(before);
        let mut relayed = 0;
        for session in sessions {
            let summary = session.close().await;
            relayed += summary.caller.relayed + summary.callee.relayed;
        }
        Ok((relayed, took))
    })
}

/// Sends a packet of G.711 from every phone each 20 ms, spread evenly, and takes in what comes.
fn talk(lines: &[Line], duration: Duration) -> Result<u64, Failure> {
    let mut packet = [0x55; 172];
    packet[..12].copy_from_slice(&[0x80, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let mut heard = 0;
    let begin = Instant::now();
    let rounds = u32::try_from(duration.as_millis() / EACH.as_millis())?;
    for round in 0..rounds {
        packet[2..4].copy_from_slice(&u16::try_from(round % 65_536)?.to_be_bytes());
        packet[4..8].copy_from_slice(&(round * 160).to_be_bytes());
        for (index, (phone, to)) in (0_u32..).zip(lines) {
            let due = EACH * round + EACH * index / u32::try_from(lines.len())?;
            if let Some(early) = due.checked_sub(begin.elapsed()) {
                thread::park_timeout(early);
            }
            phone.send_to(&packet, to)?;
            while phone.recv(&mut [0; 256]).is_ok() {
                heard += 1;
            }
        }
    }
    thread::park_timeout(EACH);
    for (phone, _) in lines {
        while phone.recv(&mut [0; 256]).is_ok() {
            heard += 1;
        }
    }
    Ok(heard)
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let calls = arguments.next().map_or(Ok(100), |calls| calls.parse())?;
    let duration = Duration::from_secs(arguments.next().map_or(Ok(2), |seconds| seconds.parse())?);
    let (lines, opened) = mpsc::channel();
    let (done, finish) = tokio::sync::oneshot::channel();
    let server = thread::spawn(move || relay(calls, &lines, finish));
    let opened = opened.recv()?;
    let begin = Instant::now();
    let heard = talk(&opened, duration)?;
    let seconds = begin.elapsed().as_secs_f64();
    done.send(()).map_err(|()| "the relay is gone")?;
    let (relayed, took) = server.join().map_err(|_| "the relay failed")??;
    let sent = u64::try_from(opened.len())? * u64::try_from(duration.as_millis() / EACH.as_millis())?;
    println!(
        "{calls} calls: {:.0} packets/s, {:.2} us of processor a packet, {:.1} % of a core; {relayed} of {sent} relayed, {heard} heard",
        relayed as f64 / seconds,
        took.as_secs_f64() * 1e6 / relayed as f64,
        took.as_secs_f64() / seconds * 100.0,
    );
    Ok(())
}
