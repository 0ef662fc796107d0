//! A SIP peer: as much of one as the tests need, and in their hands.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    task::JoinHandle,
    time::{interval, timeout},
};

use super::{
    audio,
    lab::{CALLER, NUMBER},
    message::Message,
    wire::{Connection, Wire},
};
use crate::server::PATIENCE;

/// A peer on an address of its own.
pub struct Peer {
    wire: Wire,
    media: std::sync::Arc<UdpSocket>,
    pub address: SocketAddr,
    gateway: SocketAddr,
}

/// Makes tags, branches and Call-IDs differ.
fn unique() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Peer {
    /// Over UDP, on this address; port 0 takes a free one.
    pub async fn at(address: SocketAddr, gateway: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).await.expect("a socket");
        let address = socket.local_addr().expect("an address");
        Self::with(Wire::Datagrams(socket), address, gateway).await
    }

    /// At the end of a connection, where others reach it at this address.
    pub async fn connected(connection: Connection, address: SocketAddr, gateway: SocketAddr) -> Self {
        Self::with(Wire::Stream(connection), address, gateway).await
    }

    async fn with(wire: Wire, address: SocketAddr, gateway: SocketAddr) -> Self {
        let media = UdpSocket::bind((address.ip(), 0)).await.expect("a socket");
        Self { wire, media: media.into(), address, gateway }
    }

    /// A number that nobody has had.
    pub fn unique(&self) -> u32 {
        unique()
    }

    pub fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The URI of a name here.
    pub fn uri(&self, name: &str) -> String {
        format!("sip:{name}@{}{}", self.address, self.wire.parameter())
    }

    pub async fn send(&self, text: &str) {
        self.wire.send(text, self.gateway).await;
    }

    /// The next message, whatever it is; none within a time.
    pub async fn next_within(&self, limit: Duration) -> Option<Message> {
        let text = timeout(limit, self.wire.next()).await.ok()?;
        Some(Message { text })
    }

    /// The next message of a kind: a method, or a status. Others are passed over, retransmissions above all.
    pub async fn expect(&self, kind: &str) -> Message {
        let mut passed = Vec::new();
        let found = timeout(PATIENCE, async {
            loop {
                let message = self.next_within(2 * PATIENCE).await.expect("a message");
                if message.kind() == kind {
                    return message;
                }
                passed.push(message.text.lines().next().unwrap_or_default().to_owned());
            }
        })
        .await;
        found.unwrap_or_else(|_| panic!("no {kind}; what came was {passed:?}"))
    }

    /// Answers a request.
    pub async fn answer(&self, request: &Message, status: u16, phrase: &str, extra: &str, body: &str) {
        let mut to = request.header("To").to_owned();
        if !to.contains(";tag=") && status != 100 {
            // The same tag for all answers of one dialog.
            to = format!("{to};tag=peer-{}", request.header("Call-ID").len());
        }
        let vias: String = request.headers("Via").iter().map(|via| format!("Via: {via}\r\n")).collect();
        // Who stays in the way is told of to whoever called (RFC 3261, 12.1.1).
        let ways: String =
            request.headers("Record-Route").iter().map(|way| format!("Record-Route: {way}\r\n")).collect();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status} {phrase}\r\n{vias}{ways}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <{}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            self.uri("peer"),
            body.len(),
        );
        self.send(&text).await;
    }

    /// The SDP of this peer: where it hears, and how (`sendrecv`, `sendonly`).
    pub fn sdp(&self, direction: &str) -> String {
        let media = self.media.local_addr().expect("an address");
        format!(
            "v=0\r\no=peer 1 {} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\nm=audio {} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={direction}\r\n",
            unique(),
            media.port(),
            family = if media.is_ipv4() { "IP4" } else { "IP6" },
            ip = media.ip(),
        )
    }

    /// Waits for an INVITE, rings, and answers it.
    pub async fn take_call(&self) -> Dialog<'_> {
        let invite = self.expect("INVITE").await;
        self.answer(&invite, 180, "Ringing", "", "").await;
        self.accept(&invite).await
    }

    /// Answers an INVITE with 200, and waits for the ACK.
    pub async fn accept(&self, invite: &Message) -> Dialog<'_> {
        self.answer(invite, 200, "OK", "", &self.sdp("sendrecv")).await;
        self.expect("ACK").await;
        Dialog {
            peer: self,
            call_id: invite.header("Call-ID").to_owned(),
            local: format!("{};tag=peer-{}", invite.header("To"), invite.header("Call-ID").len()),
            remote: invite.header("From").to_owned(),
            target: invite.contact().to_owned(),
            cseq: 100,
            heard: Some(invite.media()),
            branch: String::new(),
            routes: invite.headers("Record-Route").into_iter().map(str::to_owned).collect(),
        }
    }

    /// Sends an INVITE to a number at the gateway.
    pub async fn invite(&self, from: &str, to: &str) -> Dialog<'_> {
        self.invite_with(from, to, "").await
    }

    /// The same with more headers.
    pub async fn invite_with(&self, from: &str, to: &str, extra: &str) -> Dialog<'_> {
        self.invite_saying(from, to, extra, &self.sdp("sendrecv")).await
    }

    /// The same with another offer.
    pub async fn invite_offering(&self, from: &str, to: &str, offer: &str) -> Dialog<'_> {
        self.invite_saying(from, to, "", offer).await
    }

    async fn invite_saying(&self, from: &str, to: &str, extra: &str, offer: &str) -> Dialog<'_> {
        let number = unique();
        let mut dialog = Dialog {
            peer: self,
            call_id: format!("call-{number}@{}", self.address.ip()),
            local: format!("<{}>;tag=caller-{number}", self.uri(from)),
            remote: format!("<sip:{to}@{}>", self.gateway),
            target: format!("sip:{to}@{}{}", self.gateway, self.wire.parameter()),
            cseq: 0,
            heard: None,
            branch: String::new(),
            routes: Vec::new(),
        };
        dialog.request("INVITE", extra, offer).await;
        dialog
    }

    /// Calls the number that leads to this agent, who answers: the dialogs of both.
    pub async fn talk_to<'a>(&'a self, agent: &'a Peer) -> (Dialog<'a>, Dialog<'a>) {
        let mut caller = self.invite(CALLER, NUMBER).await;
        let callee = agent.take_call().await;
        caller.connected().await;
        (caller, callee)
    }

    /// Sends packets of PCMU to an address, 20 ms apart, until it is dropped.
    pub fn speak(&self, to: SocketAddr) -> Speech {
        self.say(to, u16::MAX, |packet| vec![packet as u8; 160])
    }

    /// Sends a tone in the same way, so many packets of it.
    pub fn sing(&self, to: SocketAddr, hertz: f64, packets: u16) -> Speech {
        self.say(to, packets, move |packet| audio::tone(hertz, packet))
    }

    fn say(&self, to: SocketAddr, packets: u16, payload: impl Fn(u16) -> Vec<u8> + Send + 'static) -> Speech {
        let socket = self.media.clone();
        Speech(tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(20));
            for sequence in 0..packets {
                ticks.tick().await;
                let packet = rtp(0, sequence, u32::from(sequence) * 160, &payload(sequence));
                let _ = socket.send_to(&packet, to).await;
            }
        }))
    }

    /// Sends so many packets at once, faster than anybody speaks.
    pub async fn burst(&self, to: SocketAddr, packets: u16) {
        for sequence in 0..packets {
            let packet = rtp(0, sequence, u32::from(sequence) * 160, &audio::tone(1_000.0, sequence));
            self.media.send_to(&packet, to).await.expect("it is sent");
        }
    }

    /// Presses a key (RFC 4733): three packets of its end, as telephones send.
    pub async fn press(&self, to: SocketAddr, key: u8) {
        for sequence in 0..3 {
            let packet = rtp(101, 30_000 + sequence, 1_000_000, &[key, 0x8a, 0x03, 0x20]);
            self.media.send_to(&packet, to).await.expect("it is sent");
        }
    }
}

fn rtp(kind: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, kind];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(7_u32.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A peer that speaks.
pub struct Speech(JoinHandle<()>);

impl Speech {
    /// Waits until all is said.
    pub async fn ends(&mut self) {
        (&mut self.0).await.expect("it is said");
    }
}

impl Drop for Speech {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A dialog of a peer with the gateway.
pub struct Dialog<'a> {
    pub peer: &'a Peer,
    pub call_id: String,
    local: String,
    remote: String,
    target: String,
    cseq: u32,
    /// Where the gateway hears this peer.
    pub heard: Option<SocketAddr>,
    branch: String,
    /// Whom requests within it pass through.
    routes: Vec<String>,
}

impl Dialog<'_> {
    /// Sends a request within it, or the one that begins it.
    pub async fn request(&mut self, method: &str, extra: &str, body: &str) {
        self.cseq += 1;
        self.branch = format!("z9hG4bK-{}", unique());
        self.write(method, self.cseq, &self.branch, extra, body).await;
    }

    async fn write(&self, method: &str, cseq: u32, branch: &str, extra: &str, body: &str) {
        let kind = match (body.is_empty(), extra.contains("Content-Type")) {
            (false, false) => "Content-Type: application/sdp\r\n",
            _ => "",
        };
        let routes: String = self.routes.iter().map(|route| format!("Route: {route}\r\n")).collect();
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/{} {};branch={branch};rport\r\n{routes}Max-Forwards: 70\r\nFrom: {}\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\nContact: <{}>\r\n{extra}{kind}Content-Length: {}\r\n\r\n{body}",
            self.target,
            self.peer.wire.transport(),
            self.peer.address,
            self.local,
            self.remote,
            self.call_id,
            self.peer.uri("peer"),
            body.len(),
        );
        self.peer.send(&text).await;
    }

    /// Waits for the 2xx of the INVITE and acknowledges it.
    pub async fn connected(&mut self) -> Message {
        let answer = self.peer.expect("200").await;
        self.remote = answer.header("To").to_owned();
        self.target = answer.contact().to_owned();
        self.heard = Some(answer.media());
        self.routes = answer.headers("Record-Route").into_iter().rev().map(str::to_owned).collect();
        self.write("ACK", self.cseq, &format!("z9hG4bK-{}", unique()), "", "").await;
        answer
    }

    /// Waits for a final response that is no 2xx and acknowledges it.
    pub async fn refused(&mut self, status: &str) -> Message {
        let answer = self.peer.expect(status).await;
        self.remote = answer.header("To").to_owned();
        self.write("ACK", self.cseq, &self.branch, "", "").await;
        answer
    }

    /// Whether requests within it pass through this host.
    pub fn passes_through(&self, ip: &str) -> bool {
        self.routes.iter().any(|route| route.contains(&format!("<sip:{ip}")))
    }

    /// Gives up an INVITE.
    pub async fn cancel(&self) {
        self.write("CANCEL", self.cseq, &self.branch, "", "").await;
    }

    /// Hangs up, and waits for the confirmation.
    pub async fn hang_up(&mut self) {
        self.request("BYE", "", "").await;
        self.peer.expect("200").await;
    }

    /// Waits for the other side's BYE, and confirms it.
    pub async fn hung_up(&self) -> Message {
        let bye = self.peer.expect("BYE").await;
        self.peer.answer(&bye, 200, "OK", "", "").await;
        bye
    }
}
