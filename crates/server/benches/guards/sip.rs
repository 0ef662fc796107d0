//! What the gateway does for the messages of a call before the call itself: guard, read, find the transaction, answer.

use std::{error::Error, hint::black_box, net::SocketAddr, num::NonZeroUsize, time::Duration};

use pegcount_gateway::{
    guard::{Limits, Policy, Source, Verdict, inspect},
    sip::{Answer, Event, Message, Outbox, Received, Table, response},
};
use tokio::time::Instant;

/// Until nothing of a call is remembered any more.
const FORGOTTEN: Duration = Duration::from_secs(40);

const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n\
                     a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n";

/// Takes the messages of so many calls, one after the other.
pub fn calls(rounds: u32) -> Result<(), Box<dyn Error>> {
    let peer: SocketAddr = "192.0.2.7:5060".parse()?;
    let policy = Policy { peers: vec!["192.0.2.0/24".parse()?], ..Policy::default() };
    let mut limits = Limits::with_room(NonZeroUsize::MIN);
    let mut table = Table::<()>::new(Duration::from_millis(500), false);
    let mut now = Instant::now();
    for round in 0..rounds {
        for (method, body) in [("INVITE", OFFER), ("ACK", ""), ("BYE", "")] {
            let text = request(method, round, body);
            let verdict =
                inspect(text.as_bytes(), Source::datagram(peer), true, now.into_std(), &policy, &mut limits);
            let Verdict::Pass(bytes) = verdict else { return Err("the guard does not let it pass".into()) };
            let message = Message::read(bytes.into()).ok_or("it cannot be read")?;
            let mut outbox = Outbox::new();
            match table.received(message, peer, now, &mut outbox) {
                Some(Event::Request(received)) => {
                    let statuses: &[u16] = if method == "INVITE" { &[100, 180, 200] } else { &[200] };
                    answer(&mut table, &received, statuses, now, &mut outbox);
                }
                Some(Event::Ack(..)) => {}
                _ => return Err("it is no request".into()),
            }
            black_box(outbox);
        }
        now += FORGOTTEN;
        black_box(table.fire(now, &mut Outbox::new()));
    }
    if table.count() == 0 { Ok(()) } else { Err("something is remembered for ever".into()) }
}

fn answer(table: &mut Table<()>, to: &Received, statuses: &[u16], now: Instant, outbox: &mut Outbox) {
    for status in statuses {
        let text = response(&to.message, to.source, &Answer::plain(*status), "tag", "pegcount");
        table.respond(&to.key, *status, text, now, outbox);
    }
}

fn request(method: &str, call: u32, body: &str) -> String {
    let (branch, tag) = if method == "INVITE" { ("1", "") } else { (method, ";tag=tag") };
    let number = if method == "BYE" { 2 } else { 1 };
    format!(
        "{method} sip:+15550100@192.0.2.1:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK{call}{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: \"Ann\" <sip:+15550199@192.0.2.7>;tag={call}\r\nTo: <sip:+15550100@192.0.2.1>{tag}\r\n\
         Call-ID: {call}@192.0.2.7\r\nCSeq: {number} {method}\r\nContact: <sip:192.0.2.7:5060>\r\nUser-Agent: guard\r\n\
         Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO\r\nSupported: timer\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
