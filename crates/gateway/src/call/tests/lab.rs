//! Switches over the loopback, and media that is none.

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{net::UdpSocket, sync::mpsc};

use super::phone::{LIMIT, Message as Heard, Phone, SDP};
use crate::{
    Ask, CallId, Denial, Direction, Ended, Limits, Plan, Report, Routes, Side, Target, TraceSettings,
    TransferAsk, What, Who,
    call::{
        Directory, Known, Media, MediaEvent, MediaMaker, MediaRefused, Opening, Party, Settings, Stance,
        Switch,
    },
    guard::{Gate, Policy},
    sip::{Answer, Message},
    trace::Traces,
};

/// Media that is none: SDP goes through with another port.
#[derive(Default)]
struct Fake {
    closed: bool,
}

#[async_trait]
impl Media for Fake {
    fn party(&mut self, _: Side, _: Party) {}

    async fn relay(&mut self, from: Side, _: Stance, sdp: &[u8]) -> Result<Bytes, MediaRefused> {
        let text = std::str::from_utf8(sdp).map_err(|error| MediaRefused(error.to_string()))?;
        if !text.contains("m=audio") {
            return Err(MediaRefused("no audio".into()));
        }
        let port = if from == Side::Caller { "5000" } else { "6000" };
        Ok(text.replace("4000", port).into())
    }

    fn check_answer(&self, _: Side, _: &[u8]) -> Result<(), MediaRefused> {
        Ok(())
    }

    async fn own(&mut self, _: Side) -> Result<Bytes, MediaRefused> {
        Ok(SDP.replace("4000", "7000").into())
    }

    fn record(&mut self) {}

    async fn next(&mut self) -> MediaEvent {
        if self.closed { MediaEvent::Closed } else { pending().await }
    }

    fn close(&mut self) {
        self.closed = true;
    }

    fn over(&mut self) -> Option<String> {
        None
    }
}

struct Fakes;

#[async_trait]
impl MediaMaker for Fakes {
    fn has_room(&self) -> bool {
        true
    }

    async fn open(&self, _: &CallId, _: &str) -> Result<Box<dyn Media>, MediaRefused> {
        Ok(Box::<Fake>::default())
    }
}

/// Everybody may call, and every call leads to the same targets.
pub struct Everywhere {
    targets: Mutex<Vec<Target>>,
    /// Where a user is.
    pub places: Mutex<Vec<Target>>,
    pub limits: Mutex<Limits>,
    stranger: bool,
    nat: bool,
}

impl Everywhere {
    pub fn plan(&self) -> Plan {
        Plan {
            account: "1".into(),
            note: "".into(),
            direction: Direction::Inbound,
            trunk: None,
            headers: Vec::new(),
            targets: self.targets.lock().unwrap().clone(),
            record: false,
            limits: *self.limits.lock().unwrap(),
        }
    }
}

impl Routes for Everywhere {
    fn route(&self, ask: &Ask) -> Result<Plan, Denial> {
        assert_eq!((ask.from.as_str(), ask.to.as_str()), ("4930123", "5551234"));
        Ok(self.plan())
    }

    fn transfer(&self, ask: &TransferAsk<'_>) -> Option<Target> {
        assert_eq!(ask.account, "1");
        Some(Target::at(ask.to))
    }
}

impl Directory for Everywhere {
    fn who(&self, _: &Message, source: SocketAddr) -> Result<Known, Answer> {
        assert!(source.ip().is_loopback());
        if self.stranger {
            return Err(Answer::plain(403));
        }
        Ok(Known { who: Who::Trunk("loopback".into()), nat: self.nat })
    }

    fn register(&self, _: &Message, _: SocketAddr) -> Answer {
        Answer::plain(405)
    }

    fn places(&self, user: &str) -> Vec<Target> {
        assert_eq!(user, "alice");
        self.places.lock().unwrap().clone()
    }
}

/// A switch, and what it reports.
pub struct Lab {
    pub switch: Switch,
    pub routes: Arc<Everywhere>,
    pub reports: mpsc::Receiver<Report>,
    pub addr: SocketAddr,
    pub traces: Arc<Traces>,
}

/// What a lab may be.
#[derive(Clone, Copy)]
pub struct Kind {
    pub stranger: bool,
    pub nat: bool,
    pub most_calls: usize,
    pub reports: usize,
    pub t1: Duration,
}

impl Default for Kind {
    fn default() -> Self {
        Self { stranger: false, nat: false, most_calls: 10, reports: 64, t1: Duration::from_millis(500) }
    }
}

impl Lab {
    pub async fn of(kind: Kind) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let addr = socket.local_addr().unwrap();
        let limits = Limits { provisional: Duration::from_millis(300), ..Limits::default() };
        let routes = Arc::new(Everywhere {
            targets: Mutex::default(),
            places: Mutex::default(),
            limits: Mutex::new(limits),
            stranger: kind.stranger,
            nat: kind.nat,
        });
        let (owner, reports) = mpsc::channel(kind.reports);
        let traces = Traces::new(TraceSettings::default());
        let settings = Settings {
            user_agent: "test".into(),
            most_calls: kind.most_calls,
            t1: kind.t1,
            clock: Arc::new(|| 1_700_000_000_000),
            routes: routes.clone(),
            directory: routes.clone(),
            media: Arc::new(Fakes),
            owner,
            gate: Gate::new(Policy::default()),
            traces: traces.clone(),
            name_servers: Vec::new(),
        };
        let doors = vec![(Opening::Socket(Arc::new(socket)), addr)];
        let switch = Switch::start(doors, settings);
        Self { switch, routes, reports, addr, traces }
    }

    pub async fn with(stranger: bool, most_calls: usize) -> Self {
        Self::of(Kind { stranger, most_calls, ..Kind::default() }).await
    }

    pub async fn new() -> Self {
        Self::with(false, 10).await
    }

    pub async fn phone(&self) -> Phone {
        Phone::new(self.addr).await
    }

    pub fn lead_to(&self, phones: &[&Phone]) {
        *self.routes.targets.lock().unwrap() = phones.iter().map(|phone| Target::at(phone.uri())).collect();
    }

    pub fn lead_to_targets(&self, targets: Vec<Target>) {
        *self.routes.targets.lock().unwrap() = targets;
    }

    pub async fn report(&mut self) -> Report {
        tokio::time::timeout(LIMIT, self.reports.recv()).await.expect("a report").unwrap()
    }

    /// Waits for the end, and that nothing is left of the call.
    pub async fn end(&mut self) -> Ended {
        let ended = loop {
            if let What::Ended(ended) = self.report().await.what {
                break ended;
            }
        };
        self.nothing_left().await;
        ended
    }

    pub async fn nothing_left(&self) {
        let gone = async {
            while self.switch.dialogs() + self.switch.admitted() > 0 {
                tokio::task::yield_now().await;
            }
        };
        assert!(
            tokio::time::timeout(LIMIT, gone).await.is_ok(),
            "{} dialogs, {} calls",
            self.switch.dialogs(),
            self.switch.admitted()
        );
    }
}

/// A call between two phones that talk: the caller's 200 and the callee's INVITE.
pub async fn talking(lab: &mut Lab, caller: &mut Phone, callee: &Phone) -> (Heard, Heard) {
    lab.lead_to(&[callee]);
    caller.invite("talk").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "180 Ringing", "").await;
    caller.expect("SIP/2.0 180").await;
    callee.reply(&invite, "200 OK", SDP).await;
    callee.expect("ACK").await;
    let answer = caller.expect("SIP/2.0 200").await;
    caller.ack(&answer).await;
    (answer, invite)
}

/// The caller hangs up, and nothing is left of the call.
pub async fn hang_up(lab: &mut Lab, caller: &mut Phone, answer: &Heard, callee: &Phone) {
    caller.as_caller("BYE", answer, "", "").await;
    let bye = callee.expect("BYE").await;
    callee.reply(&bye, "200 OK", "").await;
    lab.end().await;
}
