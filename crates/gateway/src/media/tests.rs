//! The exchange without sockets, and sessions on the loopback.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use proptest::prelude::*;
use tokio::{net::UdpSocket, sync::mpsc, time::timeout};

use super::{
    exchange::{Exchange, Onward},
    *,
};
use crate::{
    Side, Tap,
    sdp::{Codec, Description, Direction, PayloadMap},
};

const SECOND: u64 = 1_000_000_000;
const CALLER: &str = "192.0.2.1:4000";
const CALLEE: &str = "192.0.2.2:5000";

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address")
}

/// PCMA, PCMU, Opus as 96, keys as 101.
fn payloads() -> PayloadMap {
    let text = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0 96 101\r\n\
        a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n";
    Description::parse(text.as_bytes()).expect("a description").audio().payloads.clone()
}

fn remote(rtp: SocketAddr, direction: Direction) -> Remote {
    let rtcp = SocketAddr::new(rtp.ip(), rtp.port() + 1);
    Remote { rtp: Some(rtp), rtcp: Some(rtcp), latching: Latching::Off, payloads: payloads(), direction }
}

fn packet_of(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let header = [0x80, payload_type];
    [&header[..], &sequence.to_be_bytes(), &timestamp.to_be_bytes(), &ssrc.to_be_bytes(), payload].concat()
}

/// The packet of 20 ms with this number.
fn packet(number: u16) -> Vec<u8> {
    packet_of(8, number, 160 * u32::from(number), 77, &number.to_be_bytes().repeat(80))
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// An exchange with both sides connected at time 0.
fn exchange() -> (Exchange, mpsc::Receiver<MediaEvent>) {
    let (events, receiver) = mpsc::channel(8);
    let mut exchange = Exchange::new(50, Duration::from_secs(10), events, Arc::default());
    exchange.connect(Side::Caller, remote(at(CALLER), Direction::SendReceive), 0);
    exchange.connect(Side::Callee, remote(at(CALLEE), Direction::SendReceive), 0);
    (exchange, receiver)
}

fn told(receiver: &mut mpsc::Receiver<MediaEvent>) -> Vec<MediaEvent> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

#[test]
fn a_packet_goes_on_to_the_other_side_and_a_strangers_does_not() {
    let (mut exchange, _events) = exchange();
    assert_eq!(exchange.rtp(Side::Caller, at(CALLER), &packet(1), 0), Some(Onward::Rtp(at(CALLEE))));
    assert_eq!(exchange.rtp(Side::Callee, at(CALLEE), &packet(1), 0), Some(Onward::Rtp(at(CALLER))));
    assert_eq!(exchange.rtp(Side::Callee, at("203.0.113.5:5000"), &packet(2), 0), None);
    assert_eq!(exchange.rtp(Side::Callee, at(CALLEE), b"hello", 0), None);
    let quality = exchange.quality(Side::Callee);
    assert_eq!((quality.received, quality.relayed, quality.refused, quality.malformed), (1, 1, 1, 1));
}

#[test]
fn nothing_is_taken_before_a_side_is_connected() {
    let (events, _receiver) = mpsc::channel(8);
    let mut exchange = Exchange::new(50, Duration::from_secs(10), events, Arc::default());
    assert_eq!(exchange.rtp(Side::Caller, at(CALLER), &packet(1), 0), None);
    exchange.connect(Side::Caller, remote(at(CALLER), Direction::SendReceive), 0);
    assert_eq!(exchange.rtp(Side::Caller, at(CALLER), &packet(1), 0), None, "there is no other side");
    assert_eq!(exchange.quality(Side::Caller).received, 1);
    assert_eq!(exchange.quality(Side::Caller).refused, 1);
}

#[test]
fn a_hold_stops_one_way_and_no_more() {
    let (mut exchange, _events) = exchange();
    let (tap, mut frames) = Tap::with_room(8);
    exchange.record(Some(tap));
    exchange.connect(Side::Caller, remote(at(CALLER), Direction::SendOnly), SECOND);
    exchange.connect(Side::Callee, remote(at(CALLEE), Direction::ReceiveOnly), SECOND);
    assert!(exchange.rtp(Side::Caller, at(CALLER), &packet(1), SECOND).is_some(), "music on hold");
    assert!(exchange.rtp(Side::Callee, at(CALLEE), &packet(1), SECOND).is_none());
    assert_eq!(exchange.quality(Side::Callee).received, 1, "what came is counted all the same");
    assert_eq!(frames.try_recv().map(|frame| frame.side), Ok(Side::Caller));
    assert!(frames.try_recv().is_err(), "what is not to be heard is not recorded");
    let reports = words(&[0x80c9_0001, 77]);
    assert!(exchange.rtcp(Side::Callee, at("192.0.2.2:5001"), &reports, SECOND).is_some());
    exchange.connect(Side::Caller, remote(at(CALLER), Direction::SendReceive), 2 * SECOND);
    exchange.connect(Side::Callee, remote(at(CALLEE), Direction::SendReceive), 2 * SECOND);
    assert!(exchange.rtp(Side::Callee, at(CALLEE), &packet(2), 2 * SECOND).is_some());
}

#[test]
fn a_side_is_silent_once_until_it_returns_and_only_if_it_should_send() {
    let (mut exchange, mut events) = exchange();
    exchange.rtp(Side::Caller, at(CALLER), &packet(1), SECOND);
    let began = MediaEvent::Began {
        side: Side::Caller,
        payload_type: 8,
        codec: Some(Codec::Pcma),
        at: Duration::from_secs(1),
    };
    assert_eq!(told(&mut events), [began]);
    exchange.tick(10 * SECOND);
    exchange.tick(10 * SECOND + 1);
    let (since, now) = (Duration::ZERO, Duration::from_secs(10));
    assert_eq!(told(&mut events), [MediaEvent::Silent { side: Side::Callee, since, at: now }]);
    exchange.tick(11 * SECOND);
    let (since, now) = (Duration::from_secs(1), Duration::from_secs(11));
    assert_eq!(told(&mut events), [MediaEvent::Silent { side: Side::Caller, since, at: now }]);
    exchange.rtp(Side::Caller, at(CALLER), &packet(2), 12 * SECOND);
    assert_eq!(told(&mut events), [MediaEvent::Returned { side: Side::Caller, at: Duration::from_secs(12) }]);

    exchange.connect(Side::Caller, remote(at(CALLER), Direction::ReceiveOnly), 13 * SECOND);
    exchange.tick(100 * SECOND);
    assert_eq!(told(&mut events), [], "a side that is held may be silent");
    exchange.connect(Side::Caller, remote(at(CALLER), Direction::SendReceive), 100 * SECOND);
    exchange.tick(109 * SECOND);
    assert_eq!(told(&mut events), []);
    exchange.tick(110 * SECOND);
    assert_eq!(told(&mut events).len(), 1);
}

#[test]
fn keys_are_heard_by_the_clock_of_their_type() {
    let (mut exchange, mut events) = exchange();
    exchange.rtp(Side::Caller, at(CALLER), &packet(1), 0);
    told(&mut events);
    for (sequence, end, duration) in [(2, 0, 160_u16), (3, 0x80, 800), (4, 0x80, 800), (5, 0x80, 800)] {
        let payload = [&[9, 0x0a | end][..], &duration.to_be_bytes()].concat();
        exchange.rtp(Side::Caller, at(CALLER), &packet_of(101, sequence, 320, 77, &payload), SECOND);
    }
    let digit =
        MediaEvent::Digit { side: Side::Caller, digit: '9', duration_ms: 100, at: Duration::from_secs(1) };
    assert_eq!(told(&mut events), [digit]);
    let open = packet_of(101, 6, 2000, 77, &[11, 0x0a, 1, 0x40]);
    exchange.rtp(Side::Caller, at(CALLER), &open, SECOND);
    exchange.tick(2 * SECOND);
    let digit =
        MediaEvent::Digit { side: Side::Caller, digit: '#', duration_ms: 40, at: Duration::from_secs(2) };
    assert_eq!(told(&mut events), [digit], "its end was lost");
    assert_eq!(exchange.quality(Side::Caller).codec, Some(Codec::Pcma));
    assert!(exchange.quality(Side::Caller).jitter_ms.abs() < 1e-9, "keys say nothing of jitter");
}

#[test]
fn events_without_room_are_dropped_and_counted() {
    let (events, _receiver) = mpsc::channel(1);
    let mut exchange = Exchange::new(50, Duration::from_secs(10), events, Arc::default());
    for side in Side::BOTH {
        exchange.connect(side, remote(at(CALLER), Direction::SendReceive), 0);
        exchange.rtp(side, at(CALLER), &packet(1), 0);
    }
    assert_eq!(exchange.summary().events_dropped, 1);
}

#[test]
fn another_ssrc_is_another_stream_and_all_are_summed() {
    let (mut exchange, _events) = exchange();
    for (sequence, ssrc) in [(1, 7), (3, 7), (40_000, 8), (40_001, 8), (40_001, 8), (9, 9)] {
        exchange.rtp(Side::Caller, at(CALLER), &packet_of(0, sequence, 0, ssrc, &[0; 160]), 0);
    }
    let quality = exchange.quality(Side::Caller);
    assert_eq!((quality.streams, quality.received, quality.lost), (3, 5, 1));
    assert_eq!((quality.duplicates, quality.gaps), (1, 1));
    assert!((quality.loss - 1.0 / 6.0).abs() < 1e-9);
    assert!(quality.mos.expect("speech") < 4.0);
}

#[test]
fn reports_tell_the_round_trip_and_how_the_peer_hears() {
    let (mut exchange, _events) = exchange();
    exchange.rtp(Side::Callee, at(CALLEE), &packet(1), 0);
    let sender = words(&[0x80c8_0006, 77, 0x0000_1234, 0x5678_0000, 0, 1, 160]);
    let onward = exchange.rtcp(Side::Callee, at("192.0.2.2:5001"), &sender, SECOND);
    assert_eq!(onward, Some(Onward::Rtcp(at("192.0.2.1:4001"))));
    // 64 of 256 lost, jitter of 80 ticks, the report held for half a second; it comes back after 540 ms.
    let block = |ssrc| words(&[0x81c9_0007, 5, ssrc, 0x4000_0003, 1, 80, 0x1234_5678, 0x8000]);
    let now = SECOND + 540_000_000;
    assert_eq!(exchange.rtcp(Side::Caller, at("203.0.113.1:4001"), &block(77), now), None);
    exchange.rtcp(Side::Caller, at("192.0.2.1:4001"), &block(78), now);
    assert_eq!(exchange.quality(Side::Caller).peer, None, "of a stream that is not the other side's");
    exchange.rtcp(Side::Caller, at("192.0.2.1:4001"), &block(77), now);
    let quality = exchange.quality(Side::Caller);
    assert!((quality.round_trip_ms.expect("a round trip") - 40.0).abs() < 1e-6);
    let expected = PeerReport { loss: 0.25, lost: 3, jitter_ms: 10.0, at: Duration::from_nanos(now) };
    assert_eq!(quality.peer, Some(expected));
    // On the port of RTP the same is read.
    assert!(exchange.rtp(Side::Caller, at(CALLER), &block(77), now).is_some());
    assert!(exchange.rtp(Side::Caller, at("203.0.113.1:4000"), &block(77), now).is_none());
    assert_eq!(exchange.rtcp(Side::Caller, at("192.0.2.1:4001"), b"hello", now), None);
    assert_eq!((exchange.quality(Side::Caller).malformed, exchange.quality(Side::Caller).refused), (1, 2));
}

/// A peer on the loopback, with sockets for RTP and RTCP.
struct Phone {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl Phone {
    async fn new() -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        Self { rtp: bind().await.expect("a socket"), rtcp: bind().await.expect("a socket") }
    }

    fn remote(&self) -> Remote {
        let rtp = self.rtp.local_addr().expect("an address");
        Remote { rtcp: self.rtcp.local_addr().ok(), ..remote(rtp, Direction::SendReceive) }
    }
}

async fn received(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2048];
    let limit = Duration::from_secs(10);
    let length = timeout(limit, socket.recv(&mut buffer)).await.expect("in time").expect("a packet");
    buffer[..length].to_vec()
}

/// A session with two phones that are connected to it.
async fn session(
    range: std::ops::RangeInclusive<u16>,
) -> (MediaSession, mpsc::Receiver<MediaEvent>, [Phone; 2]) {
    let ports = Ports::new(range).expect("ports");
    let config = MediaConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ports);
    let (session, events) = MediaSession::open(&config).expect("a session");
    let phones = [Phone::new().await, Phone::new().await];
    for (side, phone) in Side::BOTH.into_iter().zip(&phones) {
        session.connect(side, phone.remote());
    }
    (session, events, phones)
}

/// Where a side's RTCP is taken.
fn control(session: &MediaSession, side: Side) -> SocketAddr {
    let rtp = session.local(side);
    SocketAddr::new(rtp.ip(), rtp.port() + 1)
}

#[tokio::test]
async fn a_thousand_packets_each_way_arrive_byte_for_byte() {
    let (session, mut events, [caller, callee]) = session(23_000..=23_099).await;
    let (tap, mut frames) = Tap::with_room(4000);
    session.record(Some(tap.clone()));
    for number in 0..1000 {
        // One at a time, so that no buffer of the test's own overflows.
        caller.rtp.send_to(&packet(number), session.local(Side::Caller)).await.expect("sent");
        assert_eq!(received(&callee.rtp).await, packet(number));
        let back = packet_of(96, number, 960 * u32::from(number), 5, &[7; 90]);
        callee.rtp.send_to(&back, session.local(Side::Callee)).await.expect("sent");
        assert_eq!(received(&caller.rtp).await, back);
    }
    let begun = [events.recv().await, events.recv().await].map(|event| match event {
        Some(MediaEvent::Began { side, codec, .. }) => (side, codec),
        other => panic!("{other:?}"),
    });
    assert_eq!(begun, [(Side::Caller, Some(Codec::Pcma)), (Side::Callee, Some(Codec::Opus))]);
    let frame = frames.recv().await.expect("a frame");
    assert_eq!((frame.side, frame.sequence, frame.payload_type), (Side::Caller, 0, 8));
    assert_eq!(&frame.payload[..], &packet(0)[12..]);
    assert_eq!((frames.len(), tap.dropped()), (1999, 0));
    let summary = session.close().await;
    for side in Side::BOTH {
        let quality = summary.of(side);
        assert_eq!((quality.received, quality.relayed, quality.lost), (1000, 1000, 0));
    }
    assert_eq!((summary.unsent, summary.events_dropped), (0, 0));
}

/// What is said of media that comes from elsewhere at these times, in milliseconds.
fn refused_at(times: impl Iterator<Item = u64>) -> Vec<MediaEvent> {
    let (mut exchange, mut events) = exchange();
    for (number, at_ms) in times.enumerate() {
        exchange.rtp(Side::Caller, at("192.0.2.9:4000"), &packet(number as u16), at_ms * 1_000_000);
    }
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[test]
fn media_refused_for_a_second_is_reported_once() {
    let told = refused_at((0..200).map(|number| number * 20));
    let expected = MediaEvent::Refused {
        side: Side::Caller,
        from: at("192.0.2.9:4000"),
        expected: at(CALLER),
        at: Duration::from_secs(1),
    };
    assert_eq!(told, [expected]);
    assert_eq!(refused_at((0..50).map(|number| number * 20)), [], "not quite a second");
    assert_eq!(refused_at((0..20).map(|number| number * 500)), [], "strays");
}

#[test]
fn a_stranger_beside_a_side_that_is_heard_is_not_reported() {
    let (mut exchange, mut events) = exchange();
    for number in 0..200 {
        let now = u64::from(number) * SECOND / 50;
        exchange.rtp(Side::Caller, at("192.0.2.9:4000"), &packet(number), now);
        exchange.rtp(Side::Caller, at(CALLER), &packet(number), now);
    }
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert!(matches!(told[..], [MediaEvent::Began { .. }]), "{told:?}");
}

#[test]
fn packets_are_counted_while_the_call_goes_on() {
    let (events, _receiver) = mpsc::channel(8);
    let totals = Arc::new(Totals::default());
    let mut exchange = Exchange::new(50, Duration::from_secs(10), events, totals.clone());
    for side in [(Side::Caller, CALLER), (Side::Callee, CALLEE)] {
        exchange.connect(side.0, remote(at(side.1), Direction::SendReceive), 0);
    }
    for round in 1..=2 {
        exchange.rtp(Side::Caller, at(CALLER), &packet(round), SECOND);
        exchange.rtp(Side::Caller, at("192.0.2.9:4000"), &packet(round), SECOND);
        exchange.rtp(Side::Callee, at(CALLEE), b"noise", SECOND);
        exchange.tick(SECOND);
        let counts = totals.counts();
        let times = u64::from(round);
        assert_eq!(
            counts,
            PacketCounts { received: times, relayed: times, refused: times, malformed: times, ..counts }
        );
    }
}

#[tokio::test]
async fn a_hijacker_is_not_relayed_and_gets_nothing() {
    let (session, _events, [caller, callee]) = session(23_100..=23_199).await;
    session.connect(
        Side::Callee,
        Remote { rtp: Some(at("127.0.0.99:9")), latching: Latching::Any, ..callee.remote() },
    );
    callee.rtp.send_to(&packet(1), session.local(Side::Callee)).await.expect("sent");
    assert_eq!(received(&caller.rtp).await, packet(1), "its real source is not what was signalled");
    let hijacker = Phone::new().await;
    for side in Side::BOTH {
        hijacker.rtp.send_to(&packet(666), session.local(side)).await.expect("sent");
    }
    // What comes next at each phone is from the other phone.
    callee.rtp.send_to(&packet(2), session.local(Side::Callee)).await.expect("sent");
    assert_eq!(received(&caller.rtp).await, packet(2));
    caller.rtp.send_to(&packet(3), session.local(Side::Caller)).await.expect("sent");
    assert_eq!(received(&callee.rtp).await, packet(3));
    let summary = session.close().await;
    assert_eq!((summary.caller.refused, summary.callee.refused), (1, 1));
    assert!(hijacker.rtp.try_recv(&mut [0; 64]).is_err());
}

#[tokio::test]
async fn reports_are_relayed_and_read() {
    let (session, _events, [caller, callee]) = session(23_200..=23_299).await;
    callee.rtp.send_to(&packet(1), session.local(Side::Callee)).await.expect("sent");
    received(&caller.rtp).await;
    let sender = words(&[0x80c8_0006, 77, 0x0000_1234, 0x5678_0000, 0, 1, 160]);
    callee.rtcp.send_to(&sender, control(&session, Side::Callee)).await.expect("sent");
    assert_eq!(received(&caller.rtcp).await, sender);
    let report = words(&[0x81c9_0007, 5, 77, 0x8000_0001, 1, 80, 0x1234_5678, 0]);
    caller.rtcp.send_to(&report, control(&session, Side::Caller)).await.expect("sent");
    assert_eq!(received(&callee.rtcp).await, report);
    let quality = session.quality(Side::Caller);
    assert!((quality.peer.expect("a report").loss - 0.5).abs() < 1e-9);
    assert!(quality.round_trip_ms.expect("a round trip") > 0.0);
}

#[tokio::test]
async fn a_hold_is_honoured_on_the_wire() {
    let (session, _events, [caller, callee]) = session(23_300..=23_399).await;
    session.connect(Side::Caller, Remote { direction: Direction::SendOnly, ..caller.remote() });
    callee.rtp.send_to(&packet(1), session.local(Side::Callee)).await.expect("sent");
    caller.rtp.send_to(&packet(2), session.local(Side::Caller)).await.expect("sent");
    assert_eq!(received(&callee.rtp).await, packet(2));
    while session.quality(Side::Callee).received == 0 {
        tokio::task::yield_now().await;
    }
    session.connect(Side::Caller, caller.remote());
    callee.rtp.send_to(&packet(3), session.local(Side::Callee)).await.expect("sent");
    assert_eq!(received(&caller.rtp).await, packet(3), "the first was not for it");
}

#[tokio::test]
async fn ports_are_free_when_a_session_is_closed() {
    let ports = Ports::new(23_400..=23_403).expect("ports");
    let config = MediaConfig::new(IpAddr::V4(Ipv4Addr::LOCALHOST), ports.clone());
    let (session, _events) = MediaSession::open(&config).expect("a session");
    assert_eq!(ports.in_use(), 2);
    assert!(matches!(MediaSession::open(&config), Err(PortsError::Exhausted)));
    assert_eq!(ports.in_use(), 2, "half a session leaves nothing behind");
    session.close().await;
    assert_eq!(ports.in_use(), 0);
    let (session, mut events) = MediaSession::open(&config).expect("a session");
    drop(session);
    assert_eq!(events.recv().await, None, "its tasks are gone");
}

proptest! {
    #[test]
    fn no_datagram_makes_it_panic(
        datagrams in prop::collection::vec((any::<bool>(), any::<bool>(), 0..128_u8, 192..224_u8, prop::collection::vec(any::<u8>(), 0..80), any::<u64>()), 1..40)
    ) {
        let (mut exchange, _events) = exchange();
        for (control, shaped, payload_type, kind, mut bytes, now) in datagrams {
            // Bytes that begin as packets do get further.
            if shaped && bytes.len() >= 4 {
                bytes[0] |= 0x80;
                bytes[0] &= 0xbf;
                bytes[1] = if control { kind } else { payload_type };
                bytes[2] = if control { 0 } else { bytes[2] };
            }
            exchange.rtp(Side::Caller, at(CALLER), &bytes, now);
            exchange.rtcp(Side::Callee, at("192.0.2.2:5001"), &bytes, now);
            exchange.tick(now);
        }
        for side in Side::BOTH {
            let quality = exchange.quality(side);
            prop_assert!((0.0..=1.0).contains(&quality.loss));
        }
    }
}
