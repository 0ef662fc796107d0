//! A phone that says what a test tells it to: raw SIP over UDP on the loopback.

use std::{collections::HashSet, net::SocketAddr, sync::Mutex, time::Duration};

use tokio::net::UdpSocket;

/// How long a test waits for what has to come.
pub const LIMIT: Duration = Duration::from_secs(20);

pub const SDP: &str =
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

pub struct Phone {
    socket: UdpSocket,
    pub addr: SocketAddr,
    peer: SocketAddr,
    sequence: u32,
    seen: Mutex<HashSet<String>>,
}

/// A SIP message as it came.
#[derive(Clone, Debug)]
pub struct Message(pub String);

impl Message {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.lines().take_while(|line| !line.is_empty()).find_map(|line| {
            let (named, value) = line.split_once(':')?;
            named.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    fn to_tag(&self) -> &str {
        self.header("To").and_then(|to| to.split_once("tag=")).map_or("", |(_, tag)| tag)
    }
}

impl Phone {
    pub async fn new(peer: SocketAddr) -> Self {
        Self::at("127.0.0.1", peer).await
    }

    /// One at another address of the loopback.
    pub async fn at(host: &str, peer: SocketAddr) -> Self {
        let socket = UdpSocket::bind((host, 0)).await.unwrap();
        let addr = socket.local_addr().unwrap();
        Self { socket, addr, peer, sequence: 0, seen: Mutex::default() }
    }

    pub fn uri(&self) -> String {
        format!("sip:agent@{}", self.addr)
    }

    async fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.peer).await.unwrap();
    }

    /// Waits for a message that begins so; others are passed over.
    pub async fn expect(&self, start: &str) -> Message {
        let mut passed = Vec::new();
        let wait = async {
            let mut buffer = vec![0; 65_536];
            loop {
                let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if text.starts_with(start) {
                    return Message(text);
                }
                passed.push(text.lines().next().unwrap_or_default().to_owned());
            }
        };
        match tokio::time::timeout(LIMIT, wait).await {
            Ok(message) => message,
            Err(_) => panic!("no {start:?}, but {passed:?}"),
        }
    }

    /// The next message, whatever it is.
    pub async fn next(&self) -> Message {
        let mut buffer = vec![0; 65_536];
        let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
        Message(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    /// Acknowledges a refusal of an INVITE of ours.
    pub async fn ack_refusal(&self, invite: &Message, response: &Message) {
        let head = invite.0.split_once("\r\n\r\n").unwrap().0;
        let kept = head.lines().filter(|line| !line.starts_with("Content-")).map(|line| {
            if line.starts_with("To:") {
                format!("To: {}", response.header("To").unwrap())
            } else {
                line.to_owned()
            }
        });
        let text =
            kept.collect::<Vec<_>>().join("\r\n").replacen("INVITE", "ACK", 1).replace("INVITE", "ACK");
        self.send(&format!("{text}\r\nContent-Length: 0\r\n\r\n")).await;
    }

    /// Sends what is written, as it is.
    pub async fn say(&self, text: &str) {
        self.send(text).await;
    }

    /// Sends a new INVITE with the usual offer, and gives it back.
    pub async fn invite(&mut self, call_id: &str) -> Message {
        self.invite_with(call_id, SDP).await
    }

    /// Sends a new INVITE with an offer, and gives it back.
    pub async fn invite_with(&mut self, call_id: &str, offer: &str) -> Message {
        self.sequence += 1;
        let text = self.invitation(call_id, offer);
        self.send(&text).await;
        Message(text)
    }

    /// An INVITE as the last one was, or the first would be.
    pub fn invitation(&self, call_id: &str, offer: &str) -> String {
        let kind = if offer.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "INVITE sip:5551234@{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{call_id};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:4930123@{addr}>;tag=caller\r\nTo: <sip:5551234@{peer}>\r\n\
             Call-ID: {call_id}\r\nCSeq: {seq} INVITE\r\nContact: <sip:caller@{addr}>\r\n\
             {kind}Content-Length: {length}\r\n\r\n{offer}",
            peer = self.peer,
            addr = self.addr,
            seq = self.sequence.max(1),
            length = offer.len(),
        )
    }

    /// Cancels an INVITE of ours.
    pub async fn cancel(&self, invite: &Message) {
        let mut text = invite.0.split_once("\r\n\r\n").unwrap().0.replacen("INVITE", "CANCEL", 1);
        text = text.replace("INVITE\r\n", "CANCEL\r\n");
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("Content-")).collect();
        self.send(&format!("{}\r\nContent-Length: 0\r\n\r\n", kept.join("\r\n"))).await;
    }

    /// Acknowledges a 2xx to an INVITE of ours.
    pub async fn ack(&self, response: &Message) {
        self.request_as_caller("ACK", response, response.header("CSeq").unwrap(), "", "").await;
    }

    /// The same, with an answer.
    pub async fn ack_with(&self, response: &Message, answer: &str) {
        self.request_as_caller("ACK", response, response.header("CSeq").unwrap(), "", answer).await;
    }

    /// Acknowledges a 2xx to the last request of ours within a dialog.
    pub async fn as_caller_acks(&self, response: &Message) {
        self.request_as_caller("ACK", response, &format!("{} ACK", self.sequence), "", "").await;
    }

    /// Hangs up a call that we made, with the same message however often.
    pub async fn bye_once(&self, response: &Message) {
        self.request_as_caller("BYE", response, "90000 BYE", "", "").await;
    }

    /// Hangs up a call that we took, with the same message however often.
    pub async fn bye_as_callee(&self, invite: &Message) {
        let from = format!("{};tag=callee", invite.header("To").unwrap());
        self.request("BYE", invite, "90000", &from, invite.header("From").unwrap(), "", "").await;
    }

    /// Whether this is the first time that a call is named.
    pub fn is_first(&self, call: &str) -> bool {
        self.seen.lock().unwrap().insert(call.to_owned())
    }

    /// Sends a request within a dialog that we began, known by a response of the peer.
    pub async fn as_caller(&mut self, method: &str, response: &Message, headers: &str, body: &str) {
        self.sequence += 1;
        let sequence = format!("{} {method}", self.sequence);
        self.request_as_caller(method, response, &sequence, headers, body).await;
    }

    async fn request_as_caller(&self, method: &str, of: &Message, sequence: &str, headers: &str, body: &str) {
        let number = sequence.split(' ').next().unwrap();
        let (from, to) = (of.header("From").unwrap(), of.header("To").unwrap());
        self.request(method, of, number, from, to, headers, body).await;
    }

    /// Sends a request within a dialog that the peer began, by its INVITE.
    pub async fn as_callee(&mut self, method: &str, invite: &Message, headers: &str, body: &str) {
        self.sequence += 1;
        let number = (self.sequence + 100).to_string();
        let from = format!("{};tag=callee", invite.header("To").unwrap());
        let to = invite.header("From").unwrap();
        self.request(method, invite, &number, &from, to, headers, body).await;
    }

    #[expect(clippy::too_many_arguments, reason = "a SIP request has so many parts")]
    async fn request(
        &self,
        method: &str,
        of: &Message,
        number: &str,
        from: &str,
        to: &str,
        headers: &str,
        body: &str,
    ) {
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:{peer} SIP/2.0\r\nVia: SIP/2.0/UDP {addr};branch=z9hG4bK{call}{method}{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n\
             Contact: <sip:x@{addr}>\r\n{headers}{kind}Content-Length: {length}\r\n\r\n{body}",
            peer = self.peer,
            addr = self.addr,
            call = of.header("Call-ID").unwrap(),
            length = body.len(),
        );
        self.send(&text).await;
    }

    /// Responds to a request of the peer.
    pub async fn reply(&self, request: &Message, status: &str, body: &str) {
        self.reply_with(request, status, "", body).await;
    }

    /// The same, with further headers.
    pub async fn reply_with(&self, request: &Message, status: &str, headers: &str, body: &str) {
        let contact = format!("Contact: <sip:agent@{}>\r\n", self.addr);
        let contact = if headers.contains("Contact:") { "" } else { contact.as_str() };
        self.respond(request, status, &format!("{contact}{headers}"), body).await;
    }

    /// The same, without a Contact.
    pub async fn reply_bare(&self, request: &Message, status: &str, body: &str) {
        self.respond(request, status, "", body).await;
    }

    async fn respond(&self, request: &Message, status: &str, headers: &str, body: &str) {
        let copied = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", request.header(name).unwrap()))
            .concat();
        let mut to = request.header("To").unwrap().to_owned();
        if request.to_tag().is_empty() && !status.starts_with("100") {
            to.push_str(";tag=callee");
        }
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "SIP/2.0 {status}\r\n{copied}To: {to}\r\n{headers}{kind}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.send(&text).await;
    }
}
