//! What real peers said, and what nobody should.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::prelude::*;

use super::*;

const BARESIP_OPUS_OFFER: &str = include_str!("../../tests/fixtures/sdp/baresip-opus-offer.sdp");
const BARESIP_OPUS_ANSWER: &str = include_str!("../../tests/fixtures/sdp/baresip-opus-answer.sdp");
const BARESIP_G711_OFFER: &str = include_str!("../../tests/fixtures/sdp/baresip-g711-offer.sdp");
const SIPP_OFFER: &str = include_str!("../../tests/fixtures/sdp/sipp-offer.sdp");
const SIPP_HOLD_OFFER: &str = include_str!("../../tests/fixtures/sdp/sipp-hold-offer.sdp");
const ASTERISK_OFFER: &str = include_str!("../../tests/fixtures/sdp/asterisk-offer.sdp");
const ASTERISK_HOLD_ANSWER: &str = include_str!("../../tests/fixtures/sdp/asterisk-hold-answer.sdp");
const FREESWITCH_OFFER: &str = include_str!("../../tests/fixtures/sdp/freeswitch-offer.sdp");
const FREESWITCH_ANSWER: &str = include_str!("../../tests/fixtures/sdp/freeswitch-answer.sdp");
const RTPENGINE_ANSWER: &str = include_str!("../../tests/fixtures/sdp/rtpengine-answer.sdp");

const REAL: [&str; 10] = [
    BARESIP_OPUS_OFFER,
    BARESIP_OPUS_ANSWER,
    BARESIP_G711_OFFER,
    SIPP_OFFER,
    SIPP_HOLD_OFFER,
    ASTERISK_OFFER,
    ASTERISK_HOLD_ANSWER,
    FREESWITCH_OFFER,
    FREESWITCH_ANSWER,
    RTPENGINE_ANSWER,
];

const HERE: Local =
    Local { rtp: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), 30_000), rtcp_port: 30_001 };

fn origin() -> Origin {
    Origin::new(42, HERE.rtp.ip())
}

fn read(text: &str) -> Description {
    Description::parse(text.as_bytes()).expect("a description")
}

fn refusal(text: &str) -> SdpError {
    Description::parse(text.as_bytes()).expect_err("a refusal")
}

fn relayed(text: &str) -> String {
    relay_offer(&read(text), HERE, &mut origin()).expect("an offer").body
}

/// A description with these streams.
fn of(streams: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n{streams}")
}

fn types(description: &Description) -> Vec<(u8, Codec)> {
    description.audio().payloads.iter().map(|payload| (payload.payload_type, payload.codec)).collect()
}

#[test]
fn what_real_peers_say_is_passed_on_but_for_addresses_and_ports() {
    for text in REAL {
        let description = read(text);
        let body = relayed(text);
        let expected: Vec<String> = text
            .lines()
            .map(|line| match line.split_at(2) {
                ("o=", _) => "o=- 42 1 IN IP4 198.51.100.7".to_owned(),
                ("c=", _) => "c=IN IP4 198.51.100.7".to_owned(),
                // It may name a caller who asks not to be known.
                ("s=", _) => "s=-".to_owned(),
                ("m=", rest) => {
                    let port = description.audio().rtp.expect("an address").port().to_string();
                    format!("m={}", rest.replacen(&port, "30000", 1))
                }
                ("a=", rest) if rest.starts_with("rtcp:") => "a=rtcp:30001".to_owned(),
                _ => line.to_owned(),
            })
            .collect();
        assert_eq!(body.lines().collect::<Vec<_>>(), expected);
        assert!(body.ends_with("\r\n"));
    }
}

#[test]
fn an_opus_offer_is_read() {
    let offer = read(BARESIP_OPUS_OFFER);
    let audio = offer.audio();
    assert_eq!(audio.rtp, Some("127.0.0.31:23014".parse().expect("an address")));
    assert_eq!(audio.rtcp, Some("127.0.0.31:23015".parse().expect("an address")));
    assert_eq!(audio.direction, Direction::SendReceive);
    assert_eq!(audio.ptime_ms, Some(20));
    assert_eq!(types(&offer), [(96, Codec::Opus), (101, Codec::TelephoneEvent)]);
    let opus = audio.payloads.preferred().expect("opus");
    assert_eq!((opus.clock_rate, opus.channels), (48_000, 2));
    assert_eq!(opus.fmtp.as_deref(), Some("stereo=1;sprop-stereo=1;maxaveragebitrate=28000"));
}

#[test]
fn comfort_noise_is_kept_and_the_port_of_rtcp_is_read() {
    let offer = read(FREESWITCH_OFFER);
    assert_eq!(types(&offer), [(0, Codec::Pcmu), (101, Codec::TelephoneEvent), (13, Codec::ComfortNoise)]);
    let elsewhere = of("m=audio 4000 RTP/AVP 8\r\na=rtcp:5000 IN IP4 192.0.2.9\r\n");
    assert_eq!(read(&elsewhere).audio().rtcp, Some("192.0.2.9:5000".parse().expect("an address")));
    assert!(relayed(&elsewhere).contains("a=rtcp:30001\r\n"));
    assert_eq!(read(&of("m=audio 65535 RTP/AVP 8\r\n")).audio().rtcp, None);
}

#[test]
fn codecs_that_cannot_be_recorded_go_with_all_that_is_said_of_them() {
    let body = relayed(&of("m=audio 4000 RTP/AVPF 18 97 8 111 101 3\r\n\
        a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\na=rtpmap:97 iLBC/8000\r\na=rtpmap:8 pcma/8000/1\r\n\
        a=rtpmap:111 Opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:97 nack\r\na=rtcp-fb:* nack\r\n\
        a=rtpmap:101 telephone-event/48000\r\na=maxptime:60\r\n"));
    assert_eq!(
        body.lines().skip(5).collect::<Vec<_>>(),
        [
            "m=audio 30000 RTP/AVPF 8 111 101",
            "a=rtpmap:8 pcma/8000/1",
            "a=rtpmap:111 Opus/48000/2",
            "a=rtcp-fb:111 transport-cc",
            "a=rtcp-fb:* nack",
            "a=rtpmap:101 telephone-event/48000",
            "a=maxptime:60",
        ]
    );
    for none in ["18 101", "96", "101 13", "200 opus"] {
        let text = of(&format!("m=audio 4000 RTP/AVP {none}\r\na=rtpmap:101 telephone-event/8000\r\n"));
        assert_eq!(refusal(&text), SdpError::NoCodec, "{none}");
        assert_eq!(refusal(&text).sip_status(), 488);
    }
    let renamed = of("m=audio 4000 RTP/AVP 0 8\r\na=rtpmap:0 G729/8000\r\n");
    assert_eq!(types(&read(&renamed)), [(8, Codec::Pcma)], "what is said outweighs what is usual");
}

#[test]
fn other_streams_are_refused_in_their_place() {
    let offer = of("m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n\
        m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n\
        m=audio 4002 RTP/AVP 0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n");
    let relayed = relay_offer(&read(&offer), HERE, &mut origin()).expect("an offer");
    let streams = |body: &str| {
        body.lines().filter(|line| line.starts_with("m=")).map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = [
        "m=video 0 RTP/AVP 96",
        "m=audio 0 RTP/SAVP 0",
        "m=audio 30000 RTP/AVP 0",
        "m=application 0 UDP/DTLS/SCTP webrtc-datachannel",
    ];
    assert_eq!(streams(&relayed.body), expected);
    assert!(!relayed.body.contains("VP8") && !relayed.body.contains("crypto"));

    // An answer has as many streams as its offer, even if the peer answers only one.
    let answer = relay_answer(&read(SIPP_OFFER), &read(&offer), HERE, &mut origin()).expect("an answer");
    let expected = expected.map(|line| line.replace("RTP/AVP 0", "RTP/AVP 0 101"));
    assert_eq!(streams(&answer.body), expected);
}

#[test]
fn encryption_and_other_transports_are_refused_by_name() {
    for transport in ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "rtp/savp"] {
        let error = refusal(&of(&format!("m=audio 4000 {transport} 0\r\n")));
        assert_eq!((&error, error.sip_status()), (&SdpError::Encrypted, 488), "{transport}");
    }
    assert_eq!(refusal(&of("m=audio 4000 udp 0\r\n")), SdpError::Transport);
    assert_eq!(refusal(&of("m=video 4000 RTP/AVP 31\r\n")), SdpError::NoAudio);
    assert_eq!(refusal(&of("m=audio 0 RTP/AVP 0\r\n")), SdpError::NoAudio);
    assert_eq!(refusal(&of("")), SdpError::NoAudio);
}

#[test]
fn ice_and_shared_ports_are_taken_out() {
    let body = relayed(
        "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\na=group:BUNDLE 0\na=ice-options:trickle\na=fingerprint:sha-256 AA\n\
         m=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1\na=ice-ufrag:u\na=ice-pwd:p\na=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\n\
         a=setup:actpass\na=rtcp-mux\na=crypto:1 x\na=mid:0\n",
    );
    let rest = ["m=audio 30000 RTP/AVP 0", "a=mid:0"];
    assert_eq!(body.lines().skip(5).collect::<Vec<_>>(), rest);
    assert!(body.contains("c=IN IP4 198.51.100.7\r\nt=0 0\r\n"), "the address is the session's");
}

#[test]
fn a_hold_is_seen_in_its_direction_and_in_the_old_address() {
    assert_eq!(read(SIPP_HOLD_OFFER).audio().direction, Direction::SendOnly);
    assert!(read(SIPP_HOLD_OFFER).audio().direction.holds());
    assert_eq!(read(ASTERISK_HOLD_ANSWER).audio().direction, Direction::ReceiveOnly);
    let by_session = of("a=inactive\r\nm=audio 4000 RTP/AVP 0\r\n");
    assert_eq!(read(&by_session).audio().direction, Direction::Inactive);
    assert!(relayed(&by_session).ends_with("a=inactive\r\nm=audio 30000 RTP/AVP 0\r\n"));

    for (said, relayed_as) in [("", "sendonly"), ("a=recvonly\r\n", "inactive")] {
        let old = of(&format!("m=audio 4000 RTP/AVP 0\r\n{said}"))
            .replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
        let audio = read(&old).audio().clone();
        assert_eq!((audio.rtp, audio.rtcp, audio.direction.name()), (None, None, relayed_as));
        let body = relayed(&old);
        assert!(body.contains("c=IN IP4 198.51.100.7\r\n"), "{body}");
        assert!(body.ends_with(&format!("m=audio 30000 RTP/AVP 0\r\na={relayed_as}\r\n")), "{body}");
    }
}

#[test]
fn an_answer_has_no_flow_that_was_not_offered() {
    let answer = relay_answer(&read(ASTERISK_OFFER), &read(SIPP_HOLD_OFFER), HERE, &mut origin());
    assert_eq!(answer.expect("an answer").sent.audio().direction, Direction::ReceiveOnly);
    let answer = relay_answer(&read(ASTERISK_HOLD_ANSWER), &read(SIPP_HOLD_OFFER), HERE, &mut origin());
    assert!(answer.expect("an answer").body.contains("a=recvonly\r\n"));
}

#[test]
fn the_version_rises_only_when_the_description_changes() {
    let mut origin = origin();
    let version = |relayed: &Relayed| relayed.body.lines().nth(1).expect("o=").to_owned();
    let first = relay_offer(&read(SIPP_OFFER), HERE, &mut origin).expect("an offer");
    let again = relay_offer(&read(SIPP_OFFER), HERE, &mut origin).expect("an offer");
    assert_eq!(first, again);
    let hold = direction_offer(&first.sent, Direction::SendOnly, &mut origin).expect("an offer");
    assert_eq!(version(&hold), "o=- 42 2 IN IP4 198.51.100.7");
    assert_eq!(hold.body.replace("sendonly", "sendrecv").replace("42 2", "42 1"), first.body);
    let resume = direction_offer(&hold.sent, Direction::SendReceive, &mut origin).expect("an offer");
    assert_eq!(resume.sent, first.sent);
    assert_eq!(version(&resume), "o=- 42 3 IN IP4 198.51.100.7");
}

#[test]
fn an_offer_of_our_own_is_complete() {
    let here = Local { rtp: SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 30_000), rtcp_port: 30_005 };
    let mut origin = Origin::new(7, here.rtp.ip());
    let codecs = [Codec::Pcma, Codec::Pcmu, Codec::TelephoneEvent];
    let offer = own_offer(here, &codecs, &mut origin).expect("an offer");
    assert_eq!(
        offer.body,
        "v=0\r\no=- 7 1 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8 0 101\r\n\
         a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n\
         a=ptime:20\r\na=sendrecv\r\na=rtcp:30005\r\n"
    );
    assert_eq!(read(&offer.body), offer.sent);
    let all = own_offer(here, &Codec::ALL, &mut origin).expect("an offer");
    assert_eq!(types(&all.sent).len(), 7);
    assert_eq!(own_offer(here, &[Codec::TelephoneEvent], &mut origin), Err(SdpError::NoCodec));
}

#[test]
fn what_real_peers_get_wrong_is_put_right() {
    let text = "v=0\r\n\r\no=x 1 1 IN IP4 192.0.2.1\r\na=tool:t\r\nc=IN IP4 192.0.2.1/127\r\nx=y\r\n\
        m=AUDIO 4000/2 rtp/avp 0 0 8 \r\na=ptime:20.0\r\nz=0\r\nb=AS:64\r\ni=\u{e9}\r\ne=ann@h\r\np=+15559999\r\n\r\n";
    let mut latin = text.as_bytes().to_vec();
    latin.retain(|byte| *byte != 0xc3);
    let description = Description::parse(&latin).expect("a description");
    assert_eq!(description.audio().ptime_ms, Some(20));
    let body = relay_offer(&description, HERE, &mut origin()).expect("an offer").body;
    assert_eq!(
        body,
        "v=0\r\no=- 42 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\na=tool:t\r\n\
         m=AUDIO 30000 rtp/avp 0 8\r\nb=AS:64\r\na=ptime:20.0\r\n"
    );
}

#[test]
fn garbage_is_refused_with_its_line() {
    let malformed = |text: &str, line: usize| {
        let error = refusal(text);
        assert!(matches!(error, SdpError::Malformed { line: at, .. } if at == line), "{text:?}: {error}");
        assert_eq!(error.sip_status(), 400);
    };
    malformed("", 1);
    malformed("hello", 1);
    malformed("v=1\r\n", 1);
    malformed("v=0\r\n", 2);
    malformed("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n", 3);
    malformed(&of("m=audio 4000\r\n"), 6);
    malformed(&of("m=audio 70000 RTP/AVP 0\r\n"), 6);
    malformed(&of("m=audio 4000 RTP/AVP\r\n"), 6);
    malformed(&of("m=audio 4000 RTP/AVP 0\r\nhello\r\n"), 7);
    malformed(&of("m=audio 4000 RTP/AVP 0\r\n a=x\r\n"), 7);
    malformed(&of("m=audio 4000 RTP/AVP 0\r\na=x\0\r\n"), 7);
    assert_eq!(refusal(&"v".repeat(20_000)), SdpError::TooLong("bytes"));
    assert_eq!(refusal(&of(&"a=\n".repeat(600))), SdpError::TooLong("lines"));
    assert_eq!(refusal(&of(&"m=x 0 y z\r\n".repeat(17))), SdpError::TooLong("streams"));
    let many = "0 ".repeat(65);
    assert_eq!(
        refusal(&of(&format!("m=audio 1 RTP/AVP {many}\r\n"))),
        SdpError::TooLong("formats of a stream")
    );
}

#[test]
fn an_address_that_is_no_hosts_is_refused() {
    for address in
        ["IP4 224.2.1.1/127", "IP4 host.example.com", "IP6 ff02::1", "IP4 255.255.255.255", "ATM x", ""]
    {
        let text = of("m=audio 4000 RTP/AVP 0\r\n").replace("c=IN IP4 192.0.2.1", &format!("c=IN {address}"));
        assert_eq!(refusal(&text), SdpError::Address, "{address}");
    }
    let text = of("m=audio 4000 RTP/AVP 0\r\n").replace("c=IN IP4 192.0.2.1\r\n", "");
    assert_eq!(refusal(&text), SdpError::Address);
    let six = text.replace("RTP/AVP 0\r\n", "RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\n");
    assert_eq!(read(&six).audio().rtp, Some("[2001:db8::1]:4000".parse().expect("an address")));
}

#[test]
fn packets_are_understood_by_the_receivers_types_first() {
    let (receiver, sender) = (read(BARESIP_OPUS_OFFER), read(FREESWITCH_OFFER));
    let towards = receiver.audio().payloads.towards(&sender.audio().payloads);
    assert_eq!(towards.get(96).map(|payload| payload.codec), Some(Codec::Opus));
    assert_eq!(towards.get(0).map(|payload| payload.codec), Some(Codec::Pcmu));
    assert_eq!(towards.iter().count(), 4);
    assert!(!receiver.audio().payloads.shares_speech_with(&sender.audio().payloads));
    assert!(read(SIPP_OFFER).audio().payloads.shares_speech_with(&sender.audio().payloads));
}

/// Lines of which most make sense at most places.
fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(REAL.join("\r\n").lines().map(str::to_owned).collect::<Vec<_>>()),
        prop::sample::select(vec![
            "m=video 5000 RTP/AVP 96",
            "m=audio 4000 RTP/AVP 9 0 8 96 101 13 18",
            "m=audio 4000 RTP/SAVP 0",
            "c=IN IP4 0.0.0.0",
            "c=IN IP6 2001:db8::1",
            "a=rtcp:5000 IN IP6 2001:db8::2",
            "a=rtcp-mux",
            "a=inactive",
            "a=rtpmap:96 opus/48000/2",
            "a=rtpmap:0 G729/8000",
            "k=clear:x",
            "r=1 2",
            "z=0 0",
            "t=1 2",
            "b=AS:1",
            "s= ",
            "",
        ])
        .prop_map(str::to_owned),
        "[a-z]=[ -~]{0,20}",
        "\\PC{0,12}",
    ]
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Description::parse(&bytes);
    }

    #[test]
    fn relaying_what_was_relayed_changes_nothing(lines in prop::collection::vec(any_line(), 0..24), real in prop::sample::select(REAL.to_vec())) {
        let text = format!("{real}{}", lines.join("\r\n"));
        if let Ok(offer) = Description::parse(text.as_bytes()) {
            let mut origin = origin();
            let once = relay_offer(&offer, HERE, &mut origin).expect("an offer");
            let read = Description::parse(once.body.as_bytes()).expect("what we send can be read");
            prop_assert_eq!(&read.audio().payloads, &offer.audio().payloads);
            prop_assert_eq!(read.audio().direction, offer.audio().direction);
            prop_assert_eq!(read.audio().rtp, Some(HERE.rtp));
            let twice = relay_offer(&read, HERE, &mut origin).expect("an offer");
            prop_assert_eq!(&once.body, &twice.body);
            let answer = relay_answer(&read, &offer, HERE, &mut origin).expect("an answer");
            prop_assert_eq!(answer.body.matches("\nm=").count(), text.matches("\nm=").count());
            for direction in Direction::ALL {
                let turned = direction_offer(&once.sent, direction, &mut origin).expect("an offer");
                let read = Description::parse(turned.body.as_bytes()).expect("what we send can be read");
                prop_assert_eq!(read.audio().direction, direction);
            }
        }
    }
}
