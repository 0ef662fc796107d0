//! Calls over TCP and TLS.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

use super::*;
use crate::{
    Addresses, Tls,
    call::tests::phone::{Message, SDP},
};

/// A phone at one end of a stream.
struct Line<S> {
    stream: S,
    waiting: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Line<S> {
    const fn new(stream: S) -> Self {
        Self { stream, waiting: Vec::new() }
    }

    async fn say(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next message that begins so.
    async fn expect(&mut self, start: &str) -> Message {
        let wait = async {
            loop {
                if let Some(message) = self.cut()
                    && message.0.starts_with(start)
                {
                    return message;
                }
                if self.whole().is_none() {
                    assert_ne!(self.stream.read_buf(&mut self.waiting).await.unwrap(), 0, "closed");
                }
            }
        };
        tokio::time::timeout(LIMIT, wait).await.expect(start)
    }

    fn whole(&self) -> Option<usize> {
        let text = String::from_utf8_lossy(&self.waiting);
        let head = text.find("\r\n\r\n")? + 4;
        let length: usize = Message(text.into_owned()).header("Content-Length").unwrap().parse().unwrap();
        (self.waiting.len() >= head + length).then_some(head + length)
    }

    fn cut(&mut self) -> Option<Message> {
        let whole = self.whole()?;
        let message = self.waiting.drain(..whole).collect();
        Some(Message(String::from_utf8(message).unwrap()))
    }

    async fn answer(&mut self, request: &Message, status: &str, body: &str) {
        let copied = ["Via", "From", "Call-ID", "CSeq"]
            .map(|name| format!("{name}: {}\r\n", request.header(name).unwrap()))
            .concat();
        let to = request.header("To").unwrap();
        let tag = if to.contains("tag=") { "" } else { ";tag=callee" };
        self.say(&format!(
            "SIP/2.0 {status}\r\n{copied}To: {to}{tag}\r\nContact: <sip:x@127.0.0.1:9;transport=tcp>\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await;
    }

    /// Takes a call, and its end.
    async fn takes_a_call(&mut self, transport: &str) {
        let invite = self.expect("INVITE").await;
        assert!(invite.header("Via").unwrap().starts_with(&format!("SIP/2.0/{transport} 127.0.0.1:")));
        let contact = invite.header("Contact").unwrap().to_ascii_lowercase();
        assert!(contact.contains(&format!("transport={}", transport.to_ascii_lowercase())), "{contact}");
        self.answer(&invite, "200 OK", SDP).await;
        self.expect("ACK").await;
        let bye = self.expect("BYE").await;
        self.answer(&bye, "200 OK", "").await;
    }
}

fn invite(transport: &str, call_id: &str) -> String {
    format!(
        "INVITE sip:5551234@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{call_id}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@127.0.0.1>;tag=caller\r\nTo: <sip:5551234@127.0.0.1>\r\n\
         Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:1@127.0.0.1:9;transport={transport}>\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{SDP}",
        SDP.len()
    )
}

fn within(method: &str, answer: &Message, transport: &str) -> String {
    let header = |name| answer.header(name).unwrap();
    let number = if method == "ACK" { 1 } else { 2 };
    format!(
        "{method} sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:9;branch=z9hG4bK{method}{number}\r\n\
         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {number} {method}\r\nContent-Length: 0\r\n\r\n",
        header("From"),
        header("To"),
        header("Call-ID"),
    )
}

async fn lab() -> Lab {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    config.tcp = vec!["127.0.0.1:0".parse().unwrap()];
    Lab::of(config, folder, false).await
}

/// Calls by one stream what another one takes, and hangs up.
async fn call<A, B>(
    lab: &mut Lab,
    caller: &mut Line<A>,
    transport: &str,
    callee: impl Future<Output = Line<B>>,
) where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    caller.say(&invite(transport, "stream")).await;
    let taking = async { callee.await.takes_a_call(transport).await };
    let calling = async {
        let answer = caller.expect("SIP/2.0 200").await;
        caller.say(&within("ACK", &answer, transport)).await;
        caller.say(&within("BYE", &answer, transport)).await;
        caller.expect("SIP/2.0 200").await;
    };
    tokio::join!(taking, calling);
    lab.until(is_ended).await;
    lab.nothing_left().await;
}

#[tokio::test]
async fn a_call_comes_by_tcp_and_goes_on_by_tcp() {
    let mut lab = lab().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("sip:agent@{};transport=tcp", listener.local_addr().unwrap());
    lab.lead_to(Target::at(target));
    let tcp = lab.gateway.addresses().tcp[0];
    let mut caller = Line::new(TcpStream::connect(tcp).await.unwrap());
    caller.say("\r\n\r\n").await;
    let mut pong = [0; 2];
    caller.stream.read_exact(&mut pong).await.unwrap();
    assert_eq!(&pong, b"\r\n");
    let callee = async { Line::new(listener.accept().await.unwrap().0) };
    call(&mut lab, &mut caller, "TCP", callee).await;
    assert!(lab.gateway.counts().sip.connections > 0, "the caller's is kept");
}

#[tokio::test]
async fn a_stream_that_nobody_can_cut_is_closed_and_a_target_that_is_not_there_is_told() {
    let mut lab = lab().await;
    let tcp = lab.gateway.addresses().tcp[0];
    let mut broken = TcpStream::connect(tcp).await.unwrap();
    broken.write_all(b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, broken.read_to_end(&mut rest)).await.expect("closed").unwrap_or_default();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    lab.lead_to(Target::at(format!("sip:agent@{gone};transport=tcp")));
    let mut caller = Line::new(TcpStream::connect(tcp).await.unwrap());
    caller.say(&invite("TCP", "gone")).await;
    caller.expect("SIP/2.0 503").await;
    lab.until(is_ended).await;
}

#[tokio::test]
async fn a_request_that_is_too_large_closes_no_connection() {
    let mut lab = lab().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    lab.lead_to(Target::at(format!("sip:agent@{};transport=tcp", listener.local_addr().unwrap())));
    let tcp = lab.gateway.addresses().tcp[0];
    let mut caller = Line::new(TcpStream::connect(tcp).await.unwrap());
    // One whose body, and one whose header is too large.
    let body = "x".repeat(20_000);
    let of = |call_id: &str| invite("TCP", call_id);
    let (head, _) = of("body").split_once("Content-Length").map(|(head, _)| (head.to_owned(), ())).unwrap();
    let large = [
        format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()),
        of("head").replace("Max-Forwards", &format!("X-Padding: {}\r\nMax-Forwards", &body[..9_000])),
        of("long").replace("Content-Type", &format!("X-Padding: {}\r\nContent-Type", body.repeat(10))),
    ];
    for text in large {
        caller.say(&text).await;
        caller.expect("SIP/2.0 513").await;
    }
    let callee = async { Line::new(listener.accept().await.unwrap().0) };
    call(&mut lab, &mut caller, "TCP", callee).await;
    assert_eq!(lab.gateway.counts().sip.connections_refused, 0);
}

#[tokio::test]
async fn a_connection_leaves_from_the_address_that_is_listened_on() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    config.udp = vec!["127.0.0.77:0".parse().unwrap()];
    let lab = Lab::of(config, folder, false).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    lab.lead_to(Target::at(format!("sip:agent@{};transport=tcp", listener.local_addr().unwrap())));
    let caller = lab.phone().await;
    caller.say(&caller.invitation("from", SDP)).await;
    let (_, from) = tokio::time::timeout(LIMIT, listener.accept()).await.expect("a connection").unwrap();
    assert_eq!(from.ip(), lab.udp().ip());
}

/// A certificate of 127.0.0.1 and its key.
fn certificate(folder: &TempDir) -> Tls {
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let settings = folder.path().join("openssl.cnf");
    let text = "[req]\ndistinguished_name=dn\nx509_extensions=of\n[dn]\n\
                [of]\nbasicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n";
    std::fs::write(&settings, text).unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=localhost", "-config"])
        .arg(&settings)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Tls { listen: vec!["127.0.0.1:0".parse().unwrap()], roots: Some(certificate.clone()), certificate, key }
}

#[tokio::test]
async fn a_call_comes_by_tls_and_goes_on_by_tls_to_who_proves_its_name() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    let tls = certificate(&folder);
    config.tls = Some(tls.clone());
    let mut lab = Lab::of(config, folder, false).await;
    let root = CertificateDer::from_pem_file(&tls.certificate).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root], PrivateKeyDer::from_pem_file(&tls.key).unwrap())
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    lab.lead_to(Target::at(format!("sip:agent@{at};transport=tls")));
    let stream = TcpStream::connect(lab.gateway.addresses().tls[0]).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.unwrap();
    let mut caller = Line::new(stream);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let callee = async {
        let (stream, _) = listener.accept().await.unwrap();
        Line::new(acceptor.accept(stream).await.unwrap())
    };
    call(&mut lab, &mut caller, "TLS", callee).await;
    // Who does not prove the name that is called is not called.
    let other = format!("sip:agent@localhost:{};transport=tls", at.port());
    lab.lead_to(Target { destination: Some(at), ..Target::at(other) });
    caller.say(&invite("TLS", "other")).await;
    let refused = async {
        let (stream, _) = listener.accept().await.unwrap();
        assert!(acceptor.accept(stream).await.is_err(), "the certificate is of the address, not of the name");
    };
    tokio::join!(refused, caller.expect("SIP/2.0 503"));
}

#[tokio::test]
async fn a_file_of_tls_that_is_of_no_use_is_named() {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    let tls = certificate(&folder);
    config.tls = Some(Tls { key: folder.path().join("nowhere.pem"), ..tls });
    let failed = Gateway::start(config, Arc::new(Everywhere::default()), Arc::new(now)).await.err();
    assert!(failed.expect("an error").to_string().contains("nowhere.pem"));
}

/// The first line of the answer to an OPTIONS that comes from this address.
async fn asked(from: IpAddr, to: SocketAddr) -> String {
    let socket = tokio::net::UdpSocket::bind((from, 0)).await.unwrap();
    let own = socket.local_addr().unwrap();
    let request = format!(
        "OPTIONS sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@{own}>;tag=1\r\nTo: <sip:{to}>\r\nCall-ID: {port}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
        port = own.port()
    );
    socket.send_to(request.as_bytes(), to).await.unwrap();
    let mut answer = vec![0; 4096];
    let got = tokio::time::timeout(LIMIT, socket.recv_from(&mut answer)).await.expect("an answer");
    let (length, source) = got.unwrap();
    assert_eq!(source, to);
    String::from_utf8_lossy(&answer[..length]).lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn every_address_of_ipv6_is_every_address_of_ipv4_too() {
    let folder = TempDir::new().unwrap();
    let mut peers = trunk();
    peers.trunks[0].networks.push("::1".parse().unwrap());
    let mut config = config(&folder, peers);
    let everywhere: Vec<SocketAddr> = vec!["[::]:0".parse().unwrap()];
    config.udp.clone_from(&everywhere);
    config.tcp.clone_from(&everywhere);
    config.tls = Some(Tls { listen: everywhere, ..certificate(&folder) });
    let lab = Lab::of(config, folder, false).await;
    let Addresses { udp, tcp, tls } = lab.gateway.addresses().clone();
    let loopbacks: [IpAddr; 2] = [Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
    for all in [&udp, &tcp, &tls] {
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[0].port(), all[1].port());
    }
    for loopback in loopbacks {
        let at = |all: &[SocketAddr]| SocketAddr::new(loopback, all[0].port());
        assert_eq!(asked(loopback, at(&udp)).await, "SIP/2.0 200 OK");
        for all in [&tcp, &tls] {
            TcpStream::connect(at(all)).await.unwrap();
        }
    }
}
