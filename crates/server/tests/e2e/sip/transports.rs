//! Calls that come and go by TCP, by TLS, and over IPv6.

use std::{net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::json;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{
    audio::Heard,
    lab::{CALLER, Lab, NUMBER, Network, Place},
    peer::Peer,
    wire::Connection,
};
use crate::server::certificate;

/// A connection from an address to the gateway.
async fn connect(from: &str, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(format!("{from}:0").parse().expect("an address")).expect("an address");
    socket.connect(to).await.expect("a connection")
}

/// The carrier calls, the agent answers; both speak, and the caller hangs up. Then the ledger is asked.
async fn call(lab: &Lab<'_>, carrier: Peer, agent: impl Future<Output = Peer>) {
    let mut caller = carrier.invite(CALLER, NUMBER).await;
    let agent = agent.await;
    let callee = agent.take_call().await;
    caller.connected().await;
    let mut spoken = (
        carrier.sing(caller.heard.expect("media"), 440.0, 75),
        agent.sing(callee.heard.expect("media"), 1_000.0, 75),
    );
    tokio::join!(spoken.0.ends(), spoken.1.ends());
    caller.hang_up().await;
    callee.hung_up().await;
    let call = lab.call("completed").await;
    let end = lab.event(&call, "call_completed").await;
    assert_eq!((&end["hangup_cause"], &end["hangup_source"]), (&json!("user_hangup"), &json!("caller")));
    lab.event(&call, "recording_ready").await;
    let heard = Heard::of_mp3(lab.recording(&call).await.1);
    assert!(heard.strength(0, 440.0) > 0.4 && heard.strength(0, 1_000.0) > 0.4);
}

/// A configuration whose gateway is at the usual port: connections find it there.
fn at_the_usual_port(network: &Network, more: &str) -> String {
    network.config(None, more).replace(&format!("{}:0", network.ip(1)), &network.at(1).to_string())
}

#[tokio::test]
async fn a_call_comes_by_tcp_and_is_taken_by_tcp() {
    let place = Place::configured(|network| at_the_usual_port(network, ""));
    let lab = place.start_alone();
    let listener = TcpListener::bind(place.network.at(3)).await.expect("a listener");
    let at = place.network.at(3);
    lab.agent(Some(&format!("sip:agent@{at};transport=tcp")), json!({})).await;
    let stream = connect(&place.network.ip(2), lab.gateway()).await;
    let own = stream.local_addr().expect("an address");
    let carrier = Peer::connected(Connection::new("TCP", stream), own, lab.gateway()).await;
    let agent = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        Peer::connected(Connection::new("TCP", stream), at, lab.gateway()).await
    };
    call(&lab, carrier, agent).await;
}

#[tokio::test]
async fn a_call_comes_by_tls_and_is_taken_by_tls_by_who_proves_its_address() {
    let mut place = Place::usual();
    let ips = [place.network.ip(1), place.network.ip(3)];
    let (certificate, key) = certificate(&place.home, &ips);
    let tls: SocketAddr = format!("{}:5061", ips[0]).parse().expect("an address");
    let (cert, key_file) = (certificate.display(), key.display());
    place.configure(&place.network.config(
        None,
        &format!(
            "[sip.tls]\nlisten = [\"{tls}\"]\ncert = \"{cert}\"\nkey = \"{key_file}\"\nroots = \"{cert}\"\n"
        ),
    ));
    let lab = place.start_alone();
    let at: SocketAddr = format!("{}:5061", ips[1]).parse().expect("an address");
    lab.agent(Some(&format!("sip:agent@{at};transport=tls")), json!({})).await;

    let own = CertificateDer::from_pem_file(&certificate).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(own.clone()).expect("a root");
    let provider = Arc::new(ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![own], PrivateKeyDer::from_pem_file(&key).expect("a key"))
        .expect("a certificate and its key");
    let listener = TcpListener::bind(at).await.expect("a listener");
    let stream = connect(&place.network.ip(2), tls).await;
    let own = stream.local_addr().expect("an address");
    let name = ServerName::try_from(ips[0].clone()).expect("an address");
    let stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await.expect("TLS");
    let carrier = Peer::connected(Connection::new("TLS", stream), own, tls).await;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let agent = async {
        let (stream, _) = listener.accept().await.expect("a connection");
        let stream = acceptor.accept(stream).await.expect("TLS");
        Peer::connected(Connection::new("TLS", stream), at, tls).await
    };
    call(&lab, carrier, agent).await;
}

#[tokio::test]
async fn a_call_comes_over_ipv6_and_is_taken_over_ipv6() {
    let place = Place::configured(|network| {
        let config = network.config(None, "");
        config.replace(&format!("{}:0", network.ip(1)), "[::1]:0").replace(&network.ip(2), "::1")
    });
    let lab = place.start_alone();
    assert!(lab.gateway().is_ipv6());
    let (carrier, agent) = (lab.peer("::1").await, lab.peer("::1").await);
    lab.agent(Some(&agent.uri("agent")), json!({})).await;
    call(&lab, carrier, async { agent }).await;
}
