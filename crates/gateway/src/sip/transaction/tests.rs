use super::*;

const PEER: &str = "192.0.2.7:5060";
const T1: Duration = Duration::from_millis(500);

/// A table, its time, and what it sent and told.
struct Bench {
    table: Table<&'static str>,
    begun: Instant,
    now: Instant,
    sent: Vec<(Duration, String)>,
}

impl Bench {
    fn new(is_reliable: bool) -> Self {
        let now = Instant::now();
        Self { table: Table::new(T1, is_reliable), begun: now, now, sent: Vec::new() }
    }

    fn peer() -> SocketAddr {
        PEER.parse().unwrap()
    }

    /// Notes what was sent: its first line, and when.
    fn note(&mut self, outbox: Outbox) {
        for (to, bytes) in outbox {
            assert_eq!(to, Self::peer());
            let line = std::str::from_utf8(&bytes).unwrap().lines().next().unwrap().to_owned();
            self.sent.push((self.now - self.begun, line));
        }
    }

    /// What was sent since the last look, by its first words.
    fn sent(&mut self) -> Vec<String> {
        let first =
            |line: &str| line.strip_prefix("SIP/2.0 ").unwrap_or(line).split(' ').next().unwrap().to_owned();
        self.sent.drain(..).map(|(_, line)| first(&line)).collect()
    }

    /// The same by the milliseconds of its time.
    fn sent_at(&mut self) -> Vec<u128> {
        self.sent.drain(..).map(|(at, _)| at.as_millis()).collect()
    }

    fn takes(&mut self, text: &str) -> Option<Event<&'static str>> {
        let message = Message::read(text.to_owned().into()).unwrap();
        let mut outbox = Outbox::new();
        let event = self.table.received(message, Self::peer(), self.now, &mut outbox);
        self.note(outbox);
        event
    }

    /// Lets time pass, and gives what it brought.
    fn passes(&mut self, time: Duration) -> Vec<Event<&'static str>> {
        let until = self.now + time;
        let mut events = Vec::new();
        while let Some(due) = self.table.next_due().filter(|due| *due <= until) {
            self.now = due;
            let mut outbox = Outbox::new();
            events.extend(self.table.fire(self.now, &mut outbox));
            self.note(outbox);
        }
        self.now = until;
        events
    }

    fn asks(&mut self, method: Method) -> (ClientKey, String) {
        let branch = self.table.branch();
        let key = ClientKey::new(branch, method);
        let name = method.name();
        let text = format!(
            "{name} sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP us;branch={}\r\nRoute: <sip:p;lr>\r\nFrom: <sip:us>;tag=1\r\nTo: <sip:a@b>\r\n\
             Call-ID: x\r\nCSeq: 1 {name}\r\n\r\n",
            ClientKey::branch(branch)
        );
        let mut outbox = Outbox::new();
        self.table.request(key, Self::peer(), text.clone().into(), Some("us"), self.now, &mut outbox);
        self.note(outbox);
        (key, text)
    }

    fn answers(&mut self, request: &str, status: u16, tag: &str) -> Option<Event<&'static str>> {
        let line = |name: &str| request.lines().find(|line| line.starts_with(name)).unwrap();
        let text = format!(
            "SIP/2.0 {status} X\r\n{}\r\n{}\r\nTo: <sip:a@b>;tag={tag}\r\nCall-ID: x\r\n{}\r\n\r\n",
            line("Via"),
            line("From"),
            line("CSeq"),
        );
        self.takes(&text)
    }

    fn responds(&mut self, key: &ServerKey, status: u16) -> bool {
        let mut outbox = Outbox::new();
        let text = format!("SIP/2.0 {status} X\r\n\r\n");
        let done = self.table.respond(key, status, text.into(), self.now, &mut outbox);
        self.note(outbox);
        done
    }

    fn does(&mut self, act: impl FnOnce(&mut Table<&'static str>, Instant, &mut Outbox)) {
        let mut outbox = Outbox::new();
        act(&mut self.table, self.now, &mut outbox);
        self.note(outbox);
    }
}

fn request(method: &str, branch: &str) -> String {
    let number_of = if method == "ACK" { "ACK" } else { method };
    format!(
        "{method} sip:us SIP/2.0\r\nVia: SIP/2.0/UDP {PEER};branch={branch}\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:us>\r\nCall-ID: x\r\n\
         CSeq: 1 {number_of}\r\n\r\n"
    )
}

fn received(event: Option<Event<&'static str>>) -> ServerKey {
    match event {
        Some(Event::Request(received)) => received.key,
        other => panic!("{other:?}"),
    }
}

fn status(event: &Option<Event<&'static str>>) -> Option<(u16, Option<&'static str>)> {
    match event {
        Some(Event::Response { response, waiting, .. }) => Some((response.status(), *waiting)),
        _ => None,
    }
}

#[test]
fn an_invite_that_nobody_answers_is_sent_at_longer_and_longer_intervals_and_given_up() {
    let mut bench = Bench::new(false);
    let (key, _) = bench.asks(Method::Invite);
    let events = bench.passes(Duration::from_secs(40));
    assert_eq!(bench.sent_at(), [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]);
    assert!(matches!(events[..], [Event::TimedOut { waiting: Some("us"), key: of }] if of == key));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn another_request_is_sent_at_most_every_four_seconds() {
    let mut bench = Bench::new(false);
    let (_, text) = bench.asks(Method::Bye);
    bench.passes(Duration::from_secs(12));
    assert_eq!(bench.sent_at(), [0, 500, 1_500, 3_500, 7_500, 11_500]);
    assert!(bench.answers(&text, 100, "2").is_none());
    bench.passes(Duration::from_secs(8));
    assert_eq!(bench.sent_at(), [15_500, 19_500]);
    assert_eq!(status(&bench.answers(&text, 200, "2")), Some((200, Some("us"))));
    assert!(bench.answers(&text, 200, "2").is_none());
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn nothing_is_repeated_where_nothing_is_lost_but_patience_ends_all_the_same() {
    let mut bench = Bench::new(true);
    bench.asks(Method::Invite);
    bench.asks(Method::Bye);
    assert_eq!(bench.passes(Duration::from_secs(40)).len(), 2);
    assert_eq!((bench.sent_at(), bench.table.count()), (vec![0, 0], 0));
}

#[test]
fn an_invite_that_rings_is_not_sent_again_and_may_ring_for_long() {
    let mut bench = Bench::new(false);
    let (_, text) = bench.asks(Method::Invite);
    assert_eq!(status(&bench.answers(&text, 180, "2")), Some((180, Some("us"))));
    assert!(bench.passes(Duration::from_secs(600)).is_empty());
    assert_eq!(bench.sent(), ["INVITE"]);
    assert_eq!(status(&bench.answers(&text, 200, "2")), Some((200, Some("us"))));
}

#[test]
fn a_refusal_is_acknowledged_however_often_it_comes() {
    let mut bench = Bench::new(false);
    let (_, text) = bench.asks(Method::Invite);
    assert_eq!(status(&bench.answers(&text, 486, "2")), Some((486, Some("us"))));
    assert!(bench.answers(&text, 486, "2").is_none());
    assert_eq!(bench.sent(), ["INVITE", "ACK", "ACK"]);
    bench.passes(Duration::from_secs(33));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn the_ack_of_a_refusal_has_the_branch_of_its_invite_and_the_tag_of_the_refusal() {
    let mut bench = Bench::new(false);
    let (_, text) = bench.asks(Method::Invite);
    let refusal = format!("SIP/2.0 486 Busy\r\n{}\r\nTo: <sip:a@b>;tag=9\r\nCSeq: 1 INVITE\r\n\r\n", {
        text.lines().find(|line| line.starts_with("Via")).unwrap()
    });
    let mut outbox = Outbox::new();
    let message = Message::read(refusal.into()).unwrap();
    bench.table.received(message, Bench::peer(), bench.now, &mut outbox);
    let ack = Message::read(outbox[0].1.clone()).unwrap();
    let invite = Message::read(text.into()).unwrap();
    assert_eq!(
        (ack.branch(), ack.to_tag(), ack.cseq()),
        (invite.branch(), Some("9"), Some((1, Method::Ack)))
    );
    assert_eq!((ack.uri(), ack.header("Route")), ("sip:a@b", Some("<sip:p;lr>")));
}

#[test]
fn a_2xx_that_comes_again_is_acknowledged_again_and_that_of_another_is_nobodys() {
    let mut bench = Bench::new(false);
    let (key, text) = bench.asks(Method::Invite);
    assert_eq!(status(&bench.answers(&text, 200, "2")), Some((200, Some("us"))));
    bench.does(|table, _, outbox| {
        table.acknowledge(key, "2", Some((Bench::peer(), "ACK sip:a SIP/2.0".into())), outbox);
    });
    assert!(bench.answers(&text, 200, "2").is_none());
    assert_eq!(bench.sent(), ["INVITE", "ACK", "ACK"]);
    assert_eq!(status(&bench.answers(&text, 200, "3")), Some((200, None)));
    bench.passes(Duration::from_secs(33));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn a_2xx_that_comes_twice_before_its_acknowledgement_is_told_once_and_is_no_fork() {
    for tag in ["2", "3"] {
        let mut bench = Bench::new(false);
        let (key, text) = bench.asks(Method::Invite);
        assert!(bench.answers(&text, 200, "2").is_some());
        // The second of a fork is told as nobody's, once too.
        assert_eq!(bench.answers(&text, 200, tag).is_some(), tag == "3");
        assert!(bench.answers(&text, 200, tag).is_none());
        bench.does(|table, _, outbox| {
            table.acknowledge(key, tag, Some((Bench::peer(), "ACK sip:a SIP/2.0".into())), outbox);
        });
        assert!(bench.answers(&text, 200, tag).is_none());
        assert_eq!(bench.sent(), ["INVITE", "ACK", "ACK"]);
    }
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut bench = Bench::new(false);
    let (key, text) = bench.asks(Method::Invite);
    bench.does(|table, now, outbox| table.cancel(key, now, outbox));
    assert_eq!(bench.sent(), ["INVITE"]);
    bench.answers(&text, 180, "2");
    bench.does(|table, now, outbox| table.cancel(key, now, outbox));
    assert_eq!(bench.sent(), ["CANCEL"], "once");
    assert_eq!(status(&bench.answers(&text, 487, "2")), Some((487, Some("us"))));
}

#[test]
fn an_invite_that_was_cancelled_and_never_ends_is_given_up() {
    let mut bench = Bench::new(true);
    let (key, text) = bench.asks(Method::Invite);
    bench.answers(&text, 180, "2");
    bench.does(|table, now, outbox| table.cancel(key, now, outbox));
    let events = bench.passes(Duration::from_secs(33));
    assert!(events.iter().any(|event| matches!(event, Event::TimedOut { waiting: Some("us"), .. })));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn what_answers_an_abandoned_invite_is_nobodys() {
    let mut bench = Bench::new(false);
    let (key, text) = bench.asks(Method::Invite);
    bench.does(|table, now, outbox| table.abandon(key, now, outbox));
    assert_eq!(status(&bench.answers(&text, 200, "2")), Some((200, None)));
}

#[test]
fn a_request_that_comes_again_is_told_once_and_answered_as_often_as_it_comes() {
    let mut bench = Bench::new(false);
    let text = request("OPTIONS", "z9hG4bK1");
    let key = received(bench.takes(&text));
    assert!(bench.takes(&text).is_none());
    assert!(bench.responds(&key, 200) && !bench.responds(&key, 500));
    assert!(bench.takes(&text).is_none());
    assert_eq!(bench.sent(), ["200", "200"]);
    bench.passes(Duration::from_secs(33));
    assert_eq!(bench.table.count(), 0);
}

#[test]
fn a_refusal_of_ours_is_repeated_until_it_is_acknowledged() {
    let mut bench = Bench::new(false);
    let key = received(bench.takes(&request("INVITE", "z9hG4bK1")));
    assert!(bench.responds(&key, 100) && bench.responds(&key, 486));
    bench.passes(Duration::from_secs(2));
    assert_eq!(bench.sent(), ["100", "486", "486", "486"]);
    assert!(bench.takes(&request("ACK", "z9hG4bK1")).is_none());
    bench.passes(Duration::from_secs(6));
    assert_eq!((bench.sent(), bench.table.count()), (vec![], 0));
}

#[test]
fn a_2xx_of_ours_is_repeated_until_its_dialog_says_that_the_ack_is_here() {
    for is_reliable in [false, true] {
        let mut bench = Bench::new(is_reliable);
        let key = received(bench.takes(&request("INVITE", "z9hG4bK1")));
        assert!(bench.responds(&key, 200));
        bench.passes(Duration::from_secs(1));
        assert_eq!(bench.sent(), ["200", "200"]);
        assert!(matches!(bench.takes(&request("ACK", "z9hG4bK2")), Some(Event::Ack(..))));
        bench.does(|table, _, _| table.settle(&key));
        bench.passes(Duration::from_secs(10));
        assert!(bench.takes(&request("INVITE", "z9hG4bK1")).is_none());
        assert_eq!(bench.sent(), Vec::<String>::new());
        bench.passes(Duration::from_secs(33));
        assert_eq!(bench.table.count(), 0);
    }
}

#[test]
fn who_is_dismissed_is_answered_once_for_each_time_it_asks_and_not_remembered() {
    let mut bench = Bench::new(false);
    for _ in 0..2 {
        let key = received(bench.takes(&request("INVITE", "z9hG4bK1")));
        bench.does(|table, _, outbox| table.dismiss(&key, "SIP/2.0 407 X\r\n\r\n".into(), outbox));
        assert!(matches!(bench.takes(&request("ACK", "z9hG4bK1")), Some(Event::Ack(..))));
        assert_eq!((bench.sent(), bench.table.count()), (vec!["407".to_owned()], 0));
        bench.passes(Duration::from_secs(33));
    }
}

#[test]
fn a_reliable_ring_is_repeated_until_it_is_heard_or_for_as_long_as_patience_lasts() {
    let mut bench = Bench::new(true);
    let rings = |bench: &mut Bench, branch: &str| {
        let key = received(bench.takes(&request("INVITE", branch)));
        let text = "SIP/2.0 180 X\r\n\r\n";
        bench.does(|table, now, outbox| assert!(table.respond_reliably(&key, 180, text.into(), now, outbox)));
        key
    };
    let first = rings(&mut bench, "z9hG4bK1");
    bench.passes(Duration::from_secs(1));
    bench.does(|table, _, _| table.heard(&first));
    bench.passes(Duration::from_secs(100));
    assert_eq!(bench.sent_at(), [0, 500]);
    rings(&mut bench, "z9hG4bK2");
    bench.passes(Duration::from_secs(100));
    assert_eq!(bench.sent_at().len(), 11);
    assert!(bench.responds(&first, 200), "it may ring for as long as it likes");
}

#[test]
fn a_cancel_finds_its_invite_and_one_without_finds_nothing() {
    let mut bench = Bench::new(false);
    let invite = received(bench.takes(&request("INVITE", "z9hG4bK1")));
    match bench.takes(&request("CANCEL", "z9hG4bK1")) {
        Some(Event::Cancel(_, Some(of))) => assert_eq!(of, invite),
        other => panic!("{other:?}"),
    }
    assert!(matches!(bench.takes(&request("CANCEL", "z9hG4bK2")), Some(Event::Cancel(_, None))));
}

#[test]
fn a_response_that_is_not_to_a_request_of_ours_is_not_heard() {
    let mut bench = Bench::new(false);
    let (_, text) = bench.asks(Method::Invite);
    for other in ["z9hG4bK0000000000000000", "z9hG4bKx", "1", "z9hG4bK+000000000000001"] {
        let own = text.lines().find(|line| line.starts_with("Via")).unwrap();
        let other = text.replace(own, &format!("Via: SIP/2.0/UDP us;branch={other}"));
        assert!(bench.answers(&other, 200, "2").is_none());
    }
    assert_eq!(bench.table.count(), 1);
}
