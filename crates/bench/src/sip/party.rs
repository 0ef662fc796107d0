//! One side of many calls over UDP: it calls, or answers every call at once, and hangs up when the other side does.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{
    gateway::NUMBER,
    message::{Kind, Message, sdp, with_length},
};
use crate::serving::failed;

/// How long a final answer may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// After how long a request is sent again that nobody has answered, at first (RFC 3261: T1).
const AGAIN: Duration = Duration::from_millis(500);
/// Room for what has arrived and is not read yet.
const BUFFER: usize = 4 << 20;
/// Callers' numbers begin so.
const PREFIX: &str = "+1415";

/// One side.
pub struct Party {
    shared: Arc<Shared>,
    reader: JoinHandle<()>,
}

struct Shared {
    socket: UdpSocket,
    address: SocketAddr,
    gateway: SocketAddr,
    /// Where all of its calls hear.
    media: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of the calls that it has placed, by Call-ID.
    placed: HashMap<String, Placed>,
    /// Where those who called it hear, by the caller's number.
    heard: HashMap<u32, SocketAddr>,
    /// The calls that the other side has hung up, and when it did the last one.
    hung_up: HashSet<String>,
    last_hung_up: Option<Instant>,
}

struct Placed {
    answers: mpsc::UnboundedSender<Message>,
    acknowledgement: Option<String>,
}

/// A call that was placed and answered.
pub struct Call {
    /// Which one.
    pub number: u32,
    /// Where the other side hears.
    pub media: SocketAddr,
    call_id: String,
    from: String,
    to: String,
    target: String,
    answers: mpsc::UnboundedReceiver<Message>,
}

/// A socket of UDP with as large a buffer as the system allows.
///
/// # Errors
/// When there is none.
pub fn socket(ip: Ipv4Addr) -> Result<std::net::UdpSocket, String> {
    let cannot = |error: std::io::Error| failed(&ip.to_string(), &error);
    let socket = std::net::UdpSocket::bind((ip, 0)).map_err(cannot)?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER).map_err(cannot)?;
    Ok(socket)
}

/// The number that a caller shows.
pub fn shown(number: u32) -> String {
    format!("{PREFIX}{number:07}")
}

impl Party {
    /// One on a free port, whose calls hear there.
    ///
    /// # Errors
    /// When there is no socket.
    pub fn open(ip: Ipv4Addr, gateway: SocketAddr, media: SocketAddr) -> Result<Self, String> {
        let cannot = |error: std::io::Error| failed(&ip.to_string(), &error);
        let socket = socket(ip)?;
        socket.set_nonblocking(true).map_err(cannot)?;
        let socket = UdpSocket::from_std(socket).map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        let shared = Arc::new(Shared { socket, address, gateway, media, state: Mutex::default() });
        let reader = tokio::spawn(Arc::clone(&shared).read());
        Ok(Self { shared, reader })
    }

    /// Where it is called.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where who called it with this number hears.
    pub fn heard(&self, number: u32) -> Option<SocketAddr> {
        self.shared.state().heard.get(&number).copied()
    }

    /// How many calls the other side has hung up, and when it did the last one.
    pub fn hung_up(&self) -> (usize, Option<Instant>) {
        let state = self.shared.state();
        (state.hung_up.len(), state.last_hung_up)
    }

    /// Places calls, so many each second, and waits until all are answered.
    ///
    /// # Errors
    /// When one is not.
    pub async fn call_all(&self, numbers: std::ops::Range<u32>, rate: u32) -> Result<Vec<Call>, String> {
        let begin = tokio::time::Instant::now();
        let mut calls = JoinSet::new();
        for (place, number) in (0_u32..).zip(numbers) {
            tokio::time::sleep_until(begin + Duration::from_secs(1) * place / rate.max(1)).await;
            let shared = Arc::clone(&self.shared);
            calls.spawn(async move { shared.call(number).await });
        }
        let mut answered = Vec::with_capacity(calls.len());
        while let Some(call) = calls.join_next().await {
            answered.push(call.map_err(|error| failed("a call", &error))??);
        }
        answered.sort_by_key(|call| call.number);
        Ok(answered)
    }

    /// Hangs a call up, and waits for the confirmation.
    ///
    /// # Errors
    /// When it is not confirmed.
    pub async fn hang_up(&self, mut call: Call) -> Result<(), String> {
        let bye = call.request(self.address(), "BYE", 2, "");
        let answer = self.shared.ask(&bye, "BYE", &mut call.answers).await?;
        match answer.kind() {
            Some(Kind::Response(200)) => Ok(()),
            other => Err(format!("BYE of call {} was answered with {other:?}", call.number)),
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, text: &str) -> Result<(), String> {
        let sent = self.socket.send_to(text.as_bytes(), self.gateway).await;
        sent.map(|_| ()).map_err(|error| failed("a message", &error))
    }

    async fn call(&self, number: u32) -> Result<Call, String> {
        let (sender, answers) = mpsc::unbounded_channel();
        let (ip, uri) = (self.address.ip(), format!("sip:{NUMBER}@{}", self.gateway));
        let call_id = format!("{}@{ip}", uuid::Uuid::now_v7().simple());
        let mut call = Call {
            number,
            media: self.media,
            from: format!("<sip:{}@{}>;tag={number}", shown(number), self.address),
            to: format!("<{uri}>"),
            target: uri,
            call_id,
            answers,
        };
        let placed = Placed { answers: sender, acknowledgement: None };
        self.state().placed.insert(call.call_id.clone(), placed);
        let invite = call.request(self.address, "INVITE", 1, &sdp(self.media));
        let answer = self.ask(&invite, "INVITE", &mut call.answers).await?;
        if answer.kind() != Some(Kind::Response(200)) {
            return Err(format!("call {number} was answered with {:?}", answer.kind()));
        }
        answer.header("To").clone_into(&mut call.to);
        answer.contact().clone_into(&mut call.target);
        call.media = answer.media().ok_or_else(|| format!("the answer of call {number} has no SDP"))?;
        let acknowledgement = call.request(self.address, "ACK", 1, "");
        if let Some(placed) = self.state().placed.get_mut(&call.call_id) {
            placed.acknowledgement = Some(acknowledgement.clone());
        }
        self.send(&acknowledgement).await?;
        Ok(call)
    }

    /// The final answer to a request, which is sent again until there is any answer.
    async fn ask(
        &self,
        request: &str,
        method: &str,
        answers: &mut mpsc::UnboundedReceiver<Message>,
    ) -> Result<Message, String> {
        let answered = async {
            self.send(request).await?;
            let mut patience = AGAIN;
            loop {
                match timeout(patience, answers.recv()).await {
                    Ok(Some(answer)) if answer.method() != method => {}
                    Ok(Some(answer)) => match answer.kind() {
                        Some(Kind::Response(status)) if status >= 200 => return Ok(answer),
                        _ => patience = PATIENCE,
                    },
                    Ok(None) => return Err("nobody reads any more".to_owned()),
                    Err(_) => {
                        self.send(request).await?;
                        patience *= 2;
                    }
                }
            }
        };
        timeout(PATIENCE, answered).await.map_err(|_| format!("{method} is not answered"))?
    }

    /// Takes what comes, until it is aborted.
    async fn read(self: Arc<Self>) {
        let mut buffer = vec![0; 65_536];
        loop {
            // An error is about something that was sent, to where nobody is any more.
            let Ok((length, _)) = self.socket.recv_from(&mut buffer).await else { continue };
            let Some(message) = buffer.get(..length).and_then(Message::read) else { continue };
            if let Some(answer) = self.take(message) {
                // Lost, it is asked for again.
                let _ = self.send(&answer).await;
            }
        }
    }

    /// Takes one message; what is sent because of it.
    fn take(&self, message: Message) -> Option<String> {
        let call_id = message.header("Call-ID").to_owned();
        let mut state = self.state();
        match message.kind()? {
            Kind::Response(status) => {
                let placed = state.placed.get(&call_id)?;
                let repeated = status / 100 == 2 && message.method() == "INVITE";
                let again = placed.acknowledgement.clone().filter(|_| repeated);
                // The call is not asked about any more: then nobody waits.
                let _ = placed.answers.send(message);
                again
            }
            Kind::Request("ACK") => None,
            Kind::Request("INVITE") => {
                let number = message.caller().strip_prefix(PREFIX)?.parse().ok()?;
                state.heard.insert(number, message.media()?);
                let contact = format!("Contact: <sip:callee@{}>\r\n", self.address);
                Some(message.answer("200 OK", &format!("callee-{number}"), &contact, &sdp(self.media)))
            }
            Kind::Request(method) => {
                // One that is sent again says nothing new.
                if method == "BYE" && state.hung_up.insert(call_id) {
                    state.last_hung_up = Some(Instant::now());
                }
                Some(message.answer("200 OK", "party", "", ""))
            }
        }
    }
}

impl Call {
    fn request(&self, own: SocketAddr, method: &str, cseq: u32, body: &str) -> String {
        let Self { call_id, from, to, target, number, .. } = self;
        let branch = uuid::Uuid::now_v7().simple();
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{branch};rport\r\nMax-Forwards: 70\r\n\
             From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n\
             Contact: <sip:{}@{own}>\r\n{}",
            shown(*number),
            with_length(body)
        )
    }
}
