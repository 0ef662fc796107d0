//! Calls with media, recordings and what a crash leaves of them.

use tokio::net::UdpSocket;

use super::*;
use crate::{
    HangUp, Side,
    call::tests::phone::{Message, SDP},
    recording::Format,
};

/// A phone's media.
struct Voice {
    socket: UdpSocket,
    at: SocketAddr,
}

impl Voice {
    async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = socket.local_addr().unwrap();
        Self { socket, at }
    }

    /// The phone's own words: with an address that its media does not come from.
    fn sdp(&self) -> String {
        SDP.replace("c=IN IP4 127.0.0.1", "c=IN IP4 127.0.0.31").replace("4000", &self.at.port().to_string())
    }

    /// Says 20 ms of u-law to whom an SDP names.
    async fn say(&self, to: &Message, sequence: u16) {
        let port = to.body().split("m=audio ").nth(1).unwrap().split(' ').next().unwrap();
        let mut packet = vec![0x80, 0x00];
        packet.extend_from_slice(&sequence.to_be_bytes());
        packet.extend_from_slice(&(u32::from(sequence) * 160).to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 1]);
        packet.extend((0..160_u16).map(|n| (n * 7) as u8));
        let to: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        self.socket.send_to(&packet, to).await.unwrap();
    }

    /// Waits for what the other said.
    async fn hears(&self, sequence: u16) {
        let mut buffer = [0; 2_000];
        loop {
            let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
            if length > 4 && buffer[2..4] == sequence.to_be_bytes() {
                return;
            }
        }
    }
}

/// A call whose sides have heard each other; gives the caller's 200.
async fn spoken(lab: &Lab, caller: &mut Phone, callee: &Phone) -> Message {
    lab.lead_to(Target { nat: true, ..Target::at(callee.uri()) });
    spoken_where_it_leads(caller, callee).await
}

/// The same where the call leads to the callee already.
pub async fn spoken_where_it_leads(caller: &mut Phone, callee: &Phone) -> Message {
    let (mine, yours) = (Voice::new().await, Voice::new().await);
    caller.invite_with("spoken", &mine.sdp()).await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "200 OK", &yours.sdp()).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    let talking = async {
        for sequence in 0..30 {
            // Each is behind address translation: where it is, is known when it has spoken, so the first may be lost.
            let heard = async { tokio::join!(mine.hears(sequence), yours.hears(sequence)) };
            tokio::pin!(heard);
            loop {
                mine.say(&answer, sequence).await;
                yours.say(&invite, sequence).await;
                if tokio::time::timeout(Duration::from_millis(100), &mut heard).await.is_ok() {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(LIMIT, talking).await.expect("they hear each other");
    answer
}

async fn hang_up(caller: &mut Phone, answer: &Message, callee: &Phone) {
    caller.as_caller("BYE", answer, "", "").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
}

#[tokio::test]
async fn a_call_is_relayed_measured_recorded_and_leaves_nothing() {
    let mut lab = Lab::with(trunk(), true).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let answer = spoken(&lab, &mut caller, &callee).await;
    hang_up(&mut caller, &answer, &callee).await;
    let told = lab.until(|what| matches!(what, What::Recorded(_) | What::NotRecorded { .. })).await;
    let at = |of: &dyn Fn(&What) -> bool| told.iter().position(|report| of(&report.what));
    let established = at(&|what| matches!(what, What::MediaEstablished { codec, .. } if codec == "PCMU"));
    let (begun, ended) = (at(&|what| matches!(what, What::RecordingBegun)), at(&|what| is_ended(what)));
    assert!(established.is_some() && begun.is_some() && established < ended, "{told:?}");
    assert_eq!(ended, Some(told.len() - 2), "the recording is told after the end");
    for side in Side::BOTH {
        let heard = at(
            &|what| matches!(what, What::MediaQuality { side: of, quality } if *of == side && quality.packets == 30),
        );
        assert!(heard.is_some(), "{told:?}");
    }
    assert!(told.iter().all(|report| &*report.account == "7" && report.call == told[0].call));
    let What::Recorded(recording) = &told[told.len() - 1].what else { panic!("{told:?}") };
    let suffix = if lab.gateway.recording_format() == Format::Mp3 { "mp3" } else { "wav" };
    let name = format!("7.{}.{suffix}", told[0].call);
    assert_eq!(recording.file, lab.folder.path().join(name));
    assert_eq!(std::fs::metadata(&recording.file).unwrap().len(), recording.bytes);
    assert!(recording.duration >= Duration::from_millis(500), "{recording:?}");
    lab.nothing_left().await;
    let counts = lab.gateway.counts();
    assert_eq!((counts.rtp.received, counts.rtp.lost, counts.recording.recorded), (60, 0, 1));
    let trace = lab.gateway.trace(&told[0].call).expect("a trace");
    assert!(trace.iter().any(|message| message.text.starts_with("INVITE") && message.sent));
    assert_eq!(lab.gateway.stop(LIMIT).await, 0);
    assert_eq!(lab.reports.recv().await, None);
}

#[tokio::test]
async fn a_recording_that_a_crash_cut_off_is_made_when_its_call_is_ended() {
    let mut lab = Lab::with(trunk(), true).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    spoken(&lab, &mut caller, &callee).await;
    lab.until(|what| matches!(what, What::RecordingBegun)).await;
    // The journal is copied as a crash would leave it, as soon as something of the call is in it.
    let journals = lab.folder.path().join("journals");
    let left = TempDir::new().unwrap();
    std::fs::create_dir(left.path().join("journals")).unwrap();
    let copied = async {
        loop {
            let file = std::fs::read_dir(&journals).unwrap().flatten().next();
            if let Some(file) = file.filter(|file| file.metadata().is_ok_and(|data| data.len() > 5_000)) {
                let to = left.path().join("journals").join(file.file_name());
                return std::fs::copy(file.path(), to).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, copied).await.expect("a journal");
    let config = config(&left, trunk());
    let mut again = Lab::of(config, left, true).await;
    let [cut] = &again.gateway.left_over()[..] else { panic!("{:?}", again.gateway.left_over()) };
    assert_eq!(&*cut.account, "7");
    again.gateway.end_left_over(cut).unwrap();
    let report = again.report().await;
    assert_eq!((&*report.account, &report.call), ("7", &cut.call));
    assert!(matches!(report.what, What::Recorded(_)), "{report:?}");
    assert!(again.gateway.left_over().is_empty());
}

#[tokio::test]
async fn an_account_that_no_file_can_be_named_after_is_not_recorded() {
    struct Odd(Everywhere);
    impl Routes for Odd {
        fn route(&self, ask: &Ask) -> Result<Plan, crate::Denial> {
            Ok(Plan { account: "../7".into(), ..self.0.route(ask)? })
        }
        fn transfer(&self, _: &TransferAsk<'_>) -> Option<Target> {
            None
        }
    }
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    // One host of both families takes what IPv4 sends it.
    config.media.host = "::".parse().unwrap();
    let routes = Arc::new(Odd(Everywhere { record: true, ..Everywhere::default() }));
    let started = Gateway::start(config, routes.clone(), Arc::new(now)).await.unwrap();
    let (gateway, reports) = started;
    let mut lab = Lab { gateway, routes: Arc::default(), reports, folder };
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    *routes.0.targets.lock().unwrap() = vec![Target { nat: true, ..Target::at(callee.uri()) }];
    let answer = spoken(&lab, &mut caller, &callee).await;
    hang_up(&mut caller, &answer, &callee).await;
    let told = lab.until(|what| matches!(what, What::NotRecorded { .. })).await;
    assert!(is_ended(&told[told.len() - 2].what));
}

#[tokio::test]
async fn an_offer_that_is_encrypted_only_is_refused() {
    let mut lab = Lab::with(trunk(), false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite_with("secret", &SDP.replace("RTP/AVP", "RTP/SAVP")).await;
    caller.expect("SIP/2.0 488").await;
    lab.until(is_ended).await;
    lab.nothing_left().await;
}

#[tokio::test]
async fn an_order_of_the_program_calls_and_hangs_up() {
    let mut lab = Lab::with(trunk(), false).await;
    let (agent, outside) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(outside.uri()));
    let ask = Ask {
        who: crate::Who::User("a".into()),
        from: String::new(),
        to: String::new(),
        to_context: None,
        is_private: false,
        uri: String::new(),
    };
    let plan = lab.routes.route(&ask).unwrap();
    let order = crate::Dial {
        from: "agent".into(),
        to: "5551234".into(),
        first: vec![Target::at(agent.uri())],
        plan,
    };
    let call = lab.gateway.dial(order).await.unwrap();
    for phone in [&agent, &outside] {
        let invite = phone.expect("INVITE").await;
        phone.reply(&invite, "200 OK", SDP).await;
        phone.expect("ACK").await;
    }
    lab.until(|what| *what == What::Answered).await;
    assert!(lab.gateway.is_live(&call));
    let phones = async {
        for phone in [&agent, &outside] {
            let bye = phone.expect("BYE").await;
            phone.reply(&bye, "200 OK", "").await;
        }
    };
    let (hung_up, ()) = tokio::join!(lab.gateway.hang_up(&call, None, LIMIT), phones);
    assert_eq!(hung_up, HangUp::Ended);
    lab.nothing_left().await;
}

#[tokio::test]
async fn a_call_comes_by_ipv6_and_goes_on_by_ipv4() {
    let folder = TempDir::new().unwrap();
    let mut peers = trunk();
    peers.trunks[0].networks.push("::1".parse().unwrap());
    let mut config = config(&folder, peers);
    config.udp.push("[::1]:0".parse().unwrap());
    config.media.host = "::".parse().unwrap();
    let mut lab = Lab::of(config, folder, false).await;
    let [ipv4, ipv6] = lab.gateway.addresses().udp[..] else { panic!("two addresses") };
    let (mut caller, callee) = (Phone::at("::1", ipv6).await, Phone::new(ipv4).await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite("families").await;
    let invite = callee.expect("INVITE").await;
    assert!(invite.header("Via").unwrap().contains(&ipv4.to_string()), "{}", invite.0);
    assert_eq!(invite.header("Contact"), Some(format!("<sip:{ipv4}>").as_str()));
    assert!(invite.body().contains("c=IN IP4 127.0.0.1"), "{}", invite.body());
    callee.reply(&invite, "200 OK", SDP).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    assert_eq!(answer.header("Contact"), Some(format!("<sip:{ipv6}>").as_str()));
    assert!(answer.body().contains("c=IN IP6 ::1"), "{}", answer.body());
    caller.ack(&answer).await;
    hang_up(&mut caller, &answer, &callee).await;
    lab.until(is_ended).await;
    lab.nothing_left().await;
}

#[tokio::test]
async fn a_recording_does_not_wait_for_a_peer_that_never_confirms_its_end() {
    let mut lab = Lab::with(trunk(), true).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let answer = spoken(&lab, &mut caller, &callee).await;
    caller.as_caller("BYE", &answer, "", "").await;
    callee.expect("BYE").await;
    let told = lab.until(|what| matches!(what, What::Recorded(_))).await;
    assert!(is_ended(&told[told.len() - 2].what));
    assert!(lab.gateway.is_live(&told[0].call), "the callee has not confirmed");
}

#[tokio::test]
async fn a_call_without_ports_for_its_media_is_told_to_come_again() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    config.media.ports = 44_000..=44_003;
    let lab = Lab::of(config, folder, false).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(callee.uri()));
    caller.invite("first").await;
    callee.expect("INVITE").await;
    caller.invite("second").await;
    let refused = caller.expect("SIP/2.0 503").await;
    assert_eq!(refused.header("Retry-After"), Some("5"));
}
