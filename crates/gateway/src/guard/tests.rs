use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

use proptest::prelude::*;

use super::*;
use crate::sip::{
    Message as Read, Method, Uri,
    address::{Address, Via},
    uri_of,
};

const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 5090);
const STRANGER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), 40_000);

/// One peer; every method that has a name here is taken.
fn policy() -> Policy {
    Policy {
        peers: vec!["192.0.2.0/24".parse().expect("a network")],
        methods: Method::names().map(str::to_owned).collect(),
        ..Policy::default()
    }
}

fn limits() -> Limits {
    Limits::with_room(NonZeroUsize::new(100).expect("room"))
}

fn judged(bytes: &[u8], from: SocketAddr, policy: &Policy) -> Verdict {
    let known = policy.knows(from.ip());
    inspect(bytes, Source::datagram(from), known, Instant::now(), policy, &mut limits())
}

/// The status of an answer, 0 for what passes, and the reason of what is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Pass,
    Answer(u16, Reason),
    Drop(Reason),
}

fn short(verdict: &Verdict) -> Expected {
    match verdict {
        Verdict::Pass(_) => Expected::Pass,
        Verdict::Answer { reason, reply, .. } => {
            let status = std::str::from_utf8(&reply[8..11]).ok().and_then(|status| status.parse().ok());
            Expected::Answer(status.expect("a status"), *reason)
        }
        Verdict::Drop(reason) => Expected::Drop(*reason),
    }
}

use self::Expected::{Answer, Drop, Pass};

/// What becomes of each message of RFC 4475, by its section.
const TORTURE: [(&str, Expected); 49] = [
    // 3.1.1: valid.
    ("wsinv", Pass),
    ("intmeth", Answer(501, Reason::UnknownMethod)),
    ("esc01", Pass),
    ("escnull", Pass),
    ("esc02", Answer(501, Reason::UnknownMethod)),
    ("lwsdisp", Pass),
    ("longreq", Pass),
    ("dblreq", Pass),
    ("semiuri", Pass),
    ("transports", Pass),
    ("mpart01", Pass),
    ("unreason", Pass),
    ("noreason", Pass),
    // 3.1.2: invalid.
    ("badinv01", Answer(400, Reason::Malformed)),
    ("clerr", Answer(400, Reason::ContentLength)),
    ("ncl", Answer(400, Reason::ContentLength)),
    ("scalar02", Answer(400, Reason::CSeq)),
    ("scalarlg", Drop(Reason::CSeq)),
    ("quotbal", Answer(400, Reason::Malformed)),
    ("ltgtruri", Answer(400, Reason::Malformed)),
    ("lwsruri", Answer(400, Reason::Malformed)),
    ("lwsstart", Answer(400, Reason::Malformed)),
    ("trws", Answer(400, Reason::Malformed)),
    ("escruri", Answer(400, Reason::Malformed)),
    ("baddate", Pass),
    ("regbadct", Answer(400, Reason::Malformed)),
    ("badaspec", Pass),
    // Taken but for its end: the empty line after the headers is missing.
    ("baddn", Answer(400, Reason::Malformed)),
    ("badvers", Answer(505, Reason::Version)),
    ("mismatch01", Answer(400, Reason::CSeq)),
    ("mismatch02", Answer(501, Reason::UnknownMethod)),
    ("bigcode", Drop(Reason::Malformed)),
    // 3.2: the transaction layer.
    ("badbranch", Answer(400, Reason::Malformed)),
    // 3.3: the application layer.
    ("insuf", Answer(400, Reason::MissingHeader)),
    ("unkscm", Answer(416, Reason::UnknownScheme)),
    ("novelsc", Answer(416, Reason::UnknownScheme)),
    ("unksm2", Answer(400, Reason::Malformed)),
    ("bext01", Answer(420, Reason::UnknownExtension)),
    // 415 is for those who know what a call needs.
    ("invut", Pass),
    // 401 is the registrar's.
    ("regaut01", Pass),
    ("multi01", Answer(400, Reason::RepeatedHeader)),
    ("mcl01", Answer(400, Reason::ContentLength)),
    ("bcast", Drop(Reason::NotForUs)),
    ("zeromf", Pass),
    ("cparam01", Pass),
    ("cparam02", Pass),
    ("regescrt", Pass),
    // 406 is for those who know what a call needs.
    ("sdp01", Pass),
    // 3.4: as RFC 2543 had it.
    ("inv2543", Answer(400, Reason::MissingHeader)),
];

#[test]
fn every_torture_message_gets_its_verdict_and_what_passes_is_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/rfc4475");
    if !folder.is_dir() {
        eprintln!("SKIPPED: no torture messages at {}", folder.display());
        return;
    }
    let mut wrong = Vec::new();
    for (name, expected) in TORTURE {
        let bytes = std::fs::read(folder.join(format!("{name}.sip"))).expect("a message");
        let verdict = judged(&bytes, PEER, &policy());
        if short(&verdict) != expected {
            wrong.push(format!("{name}: {:?} instead of {expected:?}", short(&verdict)));
        }
        if let Verdict::Pass(message) = &verdict {
            assert_eq!(judged(message, PEER, &policy()), verdict, "{name} passes again as it is");
            if let Err(broken) = is_read(message) {
                wrong.push(format!("{name}: it cannot be read: {broken}"));
            }
        }
        if let Verdict::Answer { reply, .. } = &verdict {
            assert!(reply.len() <= bytes.len() + 256, "{name}");
            assert!(Read::read(reply.clone().into()).is_some(), "{name}");
        }
        assert!(matches!(judged(&bytes, STRANGER, &policy()), Verdict::Drop(_)), "{name} from a stranger");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether the reader finds all that a transaction and a dialog need.
fn is_read(message: &[u8]) -> Result<(), String> {
    let read = Read::read(message.to_vec().into()).ok_or("no message")?;
    let (from, to) = (read.header("From").unwrap_or_default(), read.header("To").unwrap_or_default());
    let tag = Address::read(from).and_then(|from| from.tag);
    if read.from_tag() != tag || tag.is_none() {
        return Err(format!("another tag in From: {:?}", read.from_tag()));
    }
    for party in [from, to] {
        let uri = uri_of(party);
        if Address::read(party).is_none_or(|party| party.uri != uri) {
            return Err(format!("another URI in {party}"));
        }
        if uri.starts_with("sip") && Uri::read(uri).is_none() {
            return Err(format!("no URI in {party}"));
        }
    }
    if read.cseq().is_none()
        || read.call_id().is_empty()
        || read.header("Via").is_none_or(|via| Via::read(via).is_none())
    {
        return Err("no CSeq, Call-ID or Via".to_owned());
    }
    let written = String::from_utf8_lossy(message);
    let (head, body) = written.split_once("\r\n\r\n").ok_or("no end")?;
    if read.all().count() + 1 != head.split("\r\n").count() {
        return Err(format!("{} headers of {}", read.all().count(), head.split("\r\n").count() - 1));
    }
    if String::from_utf8_lossy(read.body()) != body {
        return Err("another body".to_owned());
    }
    Ok(())
}

const INVITE: &str = "INVITE sip:+15550100@192.0.2.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKabc\r\n\
    Max-Forwards: 70\r\n\
    From: \"Ann\" <sip:ann@example.com>;tag=1\r\n\
    To: <sip:+15550100@192.0.2.1>\r\n\
    Call-ID: one@192.0.2.7\r\n\
    CSeq: 1 INVITE\r\n\
    Contact: <sip:ann@192.0.2.7:5070>\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 5\r\n\
    \r\n\
    v=0\r\n";

fn passed(message: &str) -> String {
    match judged(message.as_bytes(), PEER, &policy()) {
        Verdict::Pass(message) => String::from_utf8(message).expect("text"),
        verdict => panic!("{verdict:?} for {message}"),
    }
}

fn answered(message: &str) -> (String, SocketAddr) {
    match judged(message.as_bytes(), PEER, &policy()) {
        Verdict::Answer { reply, to, .. } => (String::from_utf8(reply).expect("text"), to),
        verdict => panic!("{verdict:?} for {message}"),
    }
}

#[test]
fn a_datagram_without_content_length_keeps_its_body_and_a_stream_without_it_is_refused() {
    let message = INVITE.replace("Content-Length: 5\r\n", "");
    assert!(passed(&message).ends_with("Content-Length: 5\r\n\r\nv=0\r\n"));
    let source = Source { address: PEER, carrier: Carrier::Stream };
    let verdict = inspect(message.as_bytes(), source, true, Instant::now(), &policy(), &mut limits());
    assert_eq!(short(&verdict), Answer(400, Reason::ContentLength));
}

#[test]
fn what_follows_the_body_is_cut() {
    assert!(passed(&INVITE.replace("v=0\r\n", "v=0\r\nINVITE again")).ends_with("\r\n\r\nv=0\r\n"));
}

#[test]
fn lists_blanks_folds_and_compact_names_are_brought_to_one_form() {
    let message = INVITE
        .replace(
            "Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKabc",
            "v: SIP / 2.0/UDP a.example ;branch = z9hG4bKabc ,\r\n\tSIP/2.0/TCP b.example",
        )
        .replace("From: \"Ann\" <", "f:   \"Ann < ; = x\"   < ")
        .replace(";tag=1", " ;\r\n tag  =  1")
        .replace("To: <sip:+15550100@", "t :<sip:+15550100;phone-context=a@")
        .replace("Content-Type", "x: 1800 ; refresher = uac\r\nc");
    let message = passed(&message);
    for line in [
        "Via: SIP/2.0/UDP a.example;branch=z9hG4bKabc\r\nVia: SIP/2.0/TCP b.example\r\n",
        "From: \"Ann < ; = x\" <sip:ann@example.com>;tag=1\r\n",
        "To: <sip:+15550100;phone-context=a@192.0.2.1>\r\n",
        "Session-Expires: 1800;refresher=uac\r\nContent-Type: application/sdp\r\n",
    ] {
        assert!(message.contains(line), "{line} in {message}");
    }
    assert_eq!(is_read(message.as_bytes()), Ok(()));
}

#[test]
fn a_display_name_with_a_comma_is_taken_without_quotes() {
    let message = passed(&INVITE.replace("\"Ann\"", "Bell, Alexander"));
    assert!(message.contains("From: Bell, Alexander <sip:ann@example.com>;tag=1\r\n"), "{message}");
    assert_eq!(is_read(message.as_bytes()), Ok(()));
}

#[test]
fn a_byte_that_is_not_utf_8_does_not_hide_the_headers_after_it() {
    let mut bytes = INVITE.as_bytes().to_vec();
    let at = INVITE.find("Ann").expect("the name");
    bytes[at] = 0xc4;
    let Verdict::Pass(message) = judged(&bytes, PEER, &policy()) else { panic!("it passes") };
    assert!(String::from_utf8_lossy(&message).contains("\"?nn\""));
    assert_eq!(is_read(&message), Ok(()));
}

#[test]
fn a_response_port_is_a_number_or_has_no_equals_sign_however_often_it_is_there() {
    let with = |parameter: &str| INVITE.replace("z9hG4bKabc", &format!("z9hG4bKabc;{parameter}"));
    for parameter in ["rport", "rport=5070", "RPORT"] {
        assert_eq!(is_read(passed(&with(parameter)).as_bytes()), Ok(()), "{parameter}");
    }
    for parameter in ["rport=", "rport=;5060", "rport;rport=", "RPort=x", "rport=65536"] {
        let verdict = judged(with(parameter).as_bytes(), PEER, &policy());
        assert!(!matches!(verdict, Verdict::Pass(_)), "{parameter}");
    }
}

#[test]
fn an_answer_goes_to_who_asked_and_to_the_port_of_its_via_unless_it_asks_otherwise() {
    let broken = INVITE.replace("CSeq: 1 INVITE", "CSeq: 1 BYE");
    let (reply, to) = answered(&broken);
    assert_eq!(to, SocketAddr::new(PEER.ip(), 5070));
    assert!(reply.starts_with("SIP/2.0 400 CSeq Of Another Method\r\n"));
    assert!(reply.contains("Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKabc;received=192.0.2.7\r\n"));
    assert!(reply.contains("To: <sip:+15550100@192.0.2.1>;tag="));
    assert_eq!(answered(&broken), (reply, to), "the same answer to the same request");
    let (reply, to) = answered(&broken.replace("z9hG4bKabc", "z9hG4bKabc;rport"));
    assert_eq!(to, PEER);
    assert!(reply.contains(";rport=5090;received=192.0.2.7\r\n"));
}

#[test]
fn a_method_that_is_not_taken_is_told_which_are() {
    let message = INVITE.replace("INVITE", "PUBLISH");
    let policy = Policy { methods: vec!["INVITE".to_owned(), "BYE".to_owned()], ..policy() };
    let Verdict::Answer { reply, .. } = judged(message.as_bytes(), PEER, &policy) else { panic!("answered") };
    assert!(String::from_utf8_lossy(&reply).contains("\r\nAllow: INVITE, BYE\r\n"));
}

#[test]
fn an_extension_that_must_be_understood_is_named_in_the_answer() {
    let message = INVITE.replace("Contact:", "Require: timer, precondition\r\nContact:");
    let (reply, _) = answered(&message);
    assert!(reply.starts_with("SIP/2.0 420 ") && reply.contains("\r\nUnsupported: precondition\r\n"));
}

#[test]
fn neither_an_ack_nor_one_whose_sender_cannot_be_read_is_answered() {
    for message in [
        INVITE.replace("INVITE", "ACK").replace("Call-ID", "X-Call-ID"),
        INVITE.replace("<sip:ann@example.com>", "<sip:ann@example.com").replace("70", "x"),
        INVITE.replace("SIP/2.0/UDP 192.0.2.7:5070", "nonsense"),
        INVITE.replace("Via: SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKabc\r\n", ""),
    ] {
        let verdict = judged(message.as_bytes(), PEER, &policy());
        assert!(matches!(verdict, Verdict::Drop(Reason::Malformed | Reason::MissingHeader)), "{verdict:?}");
    }
}

#[test]
fn a_request_needs_no_max_forwards() {
    for method in ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"] {
        let request = INVITE.replace("INVITE", method);
        for hops in ["", "Max-Forwards: 0\r\n"] {
            let request = request.replace("Max-Forwards: 70\r\n", hops);
            assert_eq!(short(&judged(request.as_bytes(), PEER, &policy())), Pass, "{method} {hops}");
        }
        let odd = request.replace("70", "-1");
        assert_ne!(short(&judged(odd.as_bytes(), PEER, &policy())), Pass, "{method}");
    }
}

#[test]
fn a_message_larger_than_allowed_is_refused_and_its_sender_told() {
    let message = INVITE.replace("v=0", &"x".repeat(9000));
    assert_eq!(short(&judged(message.as_bytes(), PEER, &policy())), Answer(513, Reason::TooLarge));
    let head = message.split_inclusive("\r\n\r\n").next().unwrap();
    let source = Source { address: PEER, carrier: Carrier::StreamHead };
    let mut limits = Limits::with_room(NonZeroUsize::MIN);
    let verdict = inspect(head.as_bytes(), source, true, Instant::now(), &policy(), &mut limits);
    assert_eq!(short(&verdict), Answer(513, Reason::TooLarge));
}

#[test]
fn a_ping_gets_a_pong_and_other_signs_of_life_nothing() {
    let verdict = judged(b"\r\n\r\n", PEER, &policy());
    assert_eq!(
        verdict,
        Verdict::Answer { reason: Reason::KeepAlive, reply: b"\r\n".to_vec(), to: PEER, refused: None }
    );
    for bytes in [&b""[..], b"\r\n", b"\0\0\0\0", b"  "] {
        assert_eq!(judged(bytes, PEER, &policy()), Verdict::Drop(Reason::KeepAlive));
    }
}

#[test]
fn strangers_are_not_heard_or_may_only_ask_to_be_authenticated_and_are_never_answered() {
    let phones = Policy { strangers: Strangers::Phones, ..policy() };
    let options = INVITE.replace("INVITE", "OPTIONS");
    let in_dialog = options.replace("To: <sip:+15550100@192.0.2.1>", "To: <sip:+15550100@192.0.2.1>;tag=2");
    let broken = INVITE.replace("70", "x");
    assert_eq!(short(&judged(INVITE.as_bytes(), STRANGER, &policy())), Drop(Reason::UnknownSource));
    assert_eq!(short(&judged(INVITE.as_bytes(), STRANGER, &phones)), Pass);
    assert_eq!(short(&judged(options.as_bytes(), STRANGER, &phones)), Drop(Reason::UnknownSource));
    assert_eq!(short(&judged(in_dialog.as_bytes(), STRANGER, &phones)), Pass);
    assert_eq!(short(&judged(broken.as_bytes(), STRANGER, &phones)), Drop(Reason::Malformed));
    assert_eq!(short(&judged(b"\r\n\r\n", STRANGER, &phones)), Drop(Reason::KeepAlive));
}

#[test]
fn a_scanner_is_dropped_by_its_name() {
    let message = INVITE.replace("Contact:", "User-Agent: Friendly-Scanner 1.0\r\nContact:");
    assert_eq!(short(&judged(message.as_bytes(), PEER, &policy())), Drop(Reason::Scanner));
}

#[test]
fn an_address_sends_a_burst_and_then_at_its_rate_and_others_are_not_slowed_by_it() {
    let policy =
        Policy { strangers: Strangers::Phones, stranger_rate: Rate { per_second: 10, burst: 3 }, ..policy() };
    let mut limits = limits();
    let begin = Instant::now();
    let mut passes = |from: &str, after: u64| {
        let source = Source::datagram(SocketAddr::new(from.parse().expect("an address"), 5060));
        let now = begin + Duration::from_millis(after);
        matches!(
            inspect(INVITE.as_bytes(), source, policy.knows(source.address.ip()), now, &policy, &mut limits),
            Verdict::Pass(_)
        )
    };
    let sent: Vec<bool> = (0..5).map(|_| passes("203.0.113.9", 0)).collect();
    assert_eq!(sent, [true, true, true, false, false]);
    assert!(!passes("::ffff:203.0.113.9", 50), "the same address");
    assert!(passes("203.0.113.9", 100));
    assert!(!passes("203.0.113.9", 100));
    assert!(passes("203.0.113.10", 100));
    assert!((0..3).all(|last| passes(&format!("2001:db8::{last}"), 0)));
    assert!(!passes("2001:db8::ffff", 0), "one subscriber has a /64");
    assert!(passes("2001:db8:0:1::1", 0));
}

#[test]
fn a_flood_of_addresses_is_forgotten_again() {
    let mut limits = Limits::with_room(NonZeroUsize::new(10).expect("room"));
    let now = Instant::now();
    for last in 0..1000_u32 {
        let address = IpAddr::V4(Ipv4Addr::from(last));
        assert!(limits.take(address, Rate { per_second: 1, burst: 1 }, now));
    }
    assert_eq!(limits.remembered(), 10);
}

#[test]
fn a_network_contains_its_addresses_and_no_others() {
    let contains = |network: &str, address: &str| {
        network.parse::<Network>().expect("a network").contains(address.parse().expect("an address"))
    };
    assert!(contains("192.0.2.128/25", "192.0.2.200") && !contains("192.0.2.128/25", "192.0.2.127"));
    assert!(contains("0.0.0.0/0", "198.51.100.1") && !contains("0.0.0.0/0", "::1"));
    assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("2001:db8::/32", "2001:db9::1"));
    assert!(contains("::/0", "2001:db9::1") && contains("192.0.2.1", "::ffff:192.0.2.1"));
    for text in ["192.0.2.0/33", "192.0.2", "::/129", "/8", "192.0.2.0/-1"] {
        assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text}");
    }
}

const SOUND: [&str; 3] = [
    INVITE,
    include_str!("../registrar/recorded/register-with-digest.sip"),
    "SIP/2.0 200 OK\r\n\
     Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKxyz;received=192.0.2.1;rport=5060\r\n\
     Record-Route: <sip:192.0.2.7;lr>, <sip:192.0.2.8;lr;ftag=1>\r\n\
     From: sip:ann@example.com;tag=1\r\n\
     To: Bell, Ann <sip:+15550100;npdi@192.0.2.1;user=phone>;tag=2\r\n\
     Call-ID: one@192.0.2.7\r\n\
     CSeq: 1 INVITE\r\n\
     m: <sip:ann@[2001:db8::1]:5070;transport=udp>\r\n\
     x: 1800;refresher=uac\r\n\
     l: 0\r\n\
     \r\n",
];

/// A sound message with pieces torn out, doubled and replaced.
fn torn() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\r\n".to_owned()),
        Just("\r\n ".to_owned()),
        Just("\n".to_owned()),
        Just("\"".to_owned()),
        Just("\\\"".to_owned()),
        Just("<".to_owned()),
        Just(">".to_owned()),
        Just(" ; ".to_owned()),
        Just("=".to_owned()),
        Just(",".to_owned()),
        Just("@".to_owned()),
        Just(":".to_owned()),
        Just("?".to_owned()),
        Just("To: <sip:a@b>".to_owned()),
        Just("Route: a,b,,c".to_owned()),
        Just(";tag=2".to_owned()),
        Just(";x=\";tag=3\"".to_owned()),
        Just("18446744073709551615".to_owned()),
        "[ -~]{0,12}",
        "\\PC{0,4}",
    ];
    let change = (0..1000_usize, 0..12_usize, piece);
    (0..SOUND.len(), proptest::collection::vec(change, 0..6)).prop_map(|(which, changes)| {
        let mut bytes = SOUND[which].as_bytes().to_vec();
        for (at, gone, piece) in changes {
            let at = at % (bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, piece.into_bytes());
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_break_the_guard(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        judged(&bytes, PEER, &policy());
    }

    #[test]
    fn what_passes_passes_again_unchanged_and_is_read(bytes in torn()) {
        match judged(&bytes, PEER, &policy()) {
            Verdict::Pass(message) => {
                prop_assert!(message.len() <= 4 * bytes.len() + 64);
                prop_assert_eq!(is_read(&message), Ok(()), "{}", String::from_utf8_lossy(&message));
                prop_assert_eq!(judged(&message, PEER, &policy()), Verdict::Pass(message));
            }
            Verdict::Answer { reply, to, .. } => {
                prop_assert!(reply.len() <= bytes.len() + 256);
                prop_assert_eq!(to.ip(), PEER.ip());
                prop_assert!(Read::read(reply.clone().into()).is_some());
            }
            Verdict::Drop(_) => {}
        }
        prop_assert!(matches!(judged(&bytes, STRANGER, &policy()), Verdict::Drop(_)));
    }
}

#[test]
fn every_sound_message_passes_and_every_reason_has_a_name_of_its_own() {
    for message in SOUND {
        assert_eq!(is_read(passed(message).as_bytes()), Ok(()), "{message}");
    }
    let names: std::collections::HashSet<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
    assert_eq!(names.len(), Reason::ALL.len());
}

#[test]
fn the_largest_of_anything_becomes_little_more() {
    let policy = policy();
    for filler in ["a,", "<", "\"", "\r\n ", "\r\nv:a", "\r\nRoute: ,", ";", " ", "\\", ",<a>", "\r\nTo:a"] {
        let head = INVITE.replace("Contact: ", &format!("Route: {}", filler.repeat(7000 / filler.len())));
        match judged(head.as_bytes(), PEER, &policy) {
            Verdict::Pass(message) => assert!(message.len() < head.len() + 4096, "{filler:?}"),
            Verdict::Answer { reply, .. } => assert!(reply.len() <= head.len() + 256, "{filler:?}"),
            Verdict::Drop(_) => {}
        }
    }
}

mod sockets {
    use std::sync::Arc;

    use super::*;
    use crate::sip::Datagrams;

    fn loopback() -> tokio::net::UdpSocket {
        bind("127.0.0.1:0".parse().expect("an address"), 1 << 20).expect("a socket")
    }

    #[tokio::test]
    async fn what_passed_is_received_and_the_rest_is_answered_and_counted() {
        let room = NonZeroUsize::new(10).expect("room");
        let policy = Policy { peers: vec!["127.0.0.0/8".parse().expect("a network")], ..Policy::default() };
        let socket = loopback();
        let address = socket.local_addr().expect("an address");
        let guarded = GuardedSocket::new(socket, policy, room);
        let peer = loopback();
        let broken =
            INVITE.replace("z9hG4bKabc", "z9hG4bKabc;rport").replace("SIP/2.0\r\nVia", "SIP/3.0\r\nVia");
        for message in [broken.as_str(), "nonsense", INVITE] {
            peer.send_to(message.as_bytes(), address).await.expect("sent");
        }
        let mut buffer = [0; 8192];
        let (length, from) = guarded.recv_from(&mut buffer).await.expect("a message");
        assert_eq!(
            (&buffer[..length], from),
            (passed(INVITE).as_bytes(), peer.local_addr().expect("an address"))
        );
        let (length, _) = peer.recv_from(&mut buffer).await.expect("an answer");
        assert!(buffer[..length].starts_with(b"SIP/2.0 505 "));
        let counts = guarded.counts();
        assert_eq!((counts.passed(), counts.answered(Reason::Version)), (1, 1));
        assert_eq!(counts.dropped(Reason::NotSip), 1);
        guarded.set_policy(Policy::default());
        peer.send_to(INVITE.as_bytes(), address).await.expect("sent");
        let receive = guarded.recv_from(&mut buffer);
        tokio::select! {
            _ = receive => panic!("nobody is known any more"),
            () = async { while counts.dropped(Reason::UnknownSource) == 0 { tokio::task::yield_now().await } } => {}
        }
    }

    /// Sends a hundred datagrams through this weather, and gives what arrived, in order.
    async fn arrived(weather: Weather) -> Vec<u8> {
        let sender = Arc::new(WeatheredSocket::new(loopback(), weather));
        let receiver = loopback();
        let address = receiver.local_addr().expect("an address");
        for number in 0..100 {
            sender.send_to(&[number], address).expect("sent");
        }
        sender.send_to(&[255], address).expect("sent");
        let pump = tokio::spawn(async move { sender.recv_from(&mut [0; 10]).await.map(|_| ()) });
        let (mut numbers, mut buffer) = (Vec::new(), [0; 10]);
        // Silence is told from lateness by the paused clock.
        while let Ok(received) =
            tokio::time::timeout(Duration::from_secs(5), receiver.recv_from(&mut buffer)).await
        {
            received.expect("a datagram");
            numbers.push(buffer[0]);
        }
        pump.abort();
        numbers
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_seed_brings_the_same_weather() {
        let weather = Weather {
            lost_per_mille: 200,
            doubled_per_mille: 200,
            latest: Duration::from_millis(100),
            seed: 7,
        };
        let numbers = arrived(weather).await;
        assert_eq!(arrived(weather).await, numbers);
        assert_ne!(arrived(Weather { seed: 8, ..weather }).await, numbers);
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        assert_ne!(sorted, numbers, "some overtook others");
        sorted.dedup();
        assert!(sorted.len() < numbers.len(), "some came twice");
        assert!((60..100).contains(&sorted.len()), "some were lost");
    }
}
