//! Names that have SRV records: where they lead, and what becomes of hosts that are not there.

use tokio::{net::UdpSocket, task::JoinHandle};

use super::*;

/// An SRV record that a name server has: priority, port and host.
type Record = (u16, u16, &'static str);

/// A name server that knows the service of one name.
struct NameServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<Record>>>,
    asked: Arc<Mutex<Vec<String>>>,
    running: JoinHandle<()>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl NameServer {
    async fn of(name: &'static str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let records = Arc::<Mutex<Vec<Record>>>::default();
        let (noted, known) = (asked.clone(), records.clone());
        let running = tokio::spawn(async move {
            let mut query = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let (question, asked_for) = question(&query[..length]);
                noted.lock().unwrap().push(asked_for.clone());
                let known = if asked_for == name { known.lock().unwrap().clone() } else { Vec::new() };
                let _ = socket.send_to(&answer(&query[..2], question, &known), from).await;
            }
        });
        Self { address, records, asked, running }
    }
}

/// The question of a query (RFC 1035, section 4.1.2), and its name in lower case.
fn question(query: &[u8]) -> (&[u8], String) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] > 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
        at += length + 1;
    }
    (&query[12..at + 5], labels.join("."))
}

/// An answer with these records, or that there is no such name.
fn answer(id: &[u8], question: &[u8], records: &[Record]) -> Vec<u8> {
    let code = if records.is_empty() { 0x83 } else { 0x80 };
    let mut bytes = [id, &[0x81, code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0], question].concat();
    for (priority, port, host) in records {
        let mut target = Vec::new();
        for label in host.split('.').filter(|label| !label.is_empty()) {
            target.push(label.len() as u8);
            target.extend(label.as_bytes());
        }
        target.push(0);
        // The name is that of the question; SRV, IN, for a minute.
        bytes.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
        bytes.extend((6 + target.len() as u16).to_be_bytes());
        bytes.extend([priority.to_be_bytes(), [0, 1], port.to_be_bytes()].concat());
        bytes.extend(target);
    }
    bytes
}

async fn lab(server: &NameServer) -> Lab {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder, trunk());
    config.name_servers = vec![server.address];
    Lab::of(config, folder, false).await
}

#[tokio::test]
async fn a_name_leads_to_the_hosts_of_its_service_and_past_one_that_is_not_there() {
    let server = NameServer::of("_sip._udp.agents.example").await;
    let lab = lab(&server).await;
    lab.lead_to(Target::at("sip:agent@agents.example"));
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    let dead = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    *server.records.lock().unwrap() = vec![(20, callee.addr.port(), "127.0.0.1"), (10, dead, "127.0.0.1")];
    caller.invite("call").await;
    let invite = callee.expect("INVITE").await;
    assert!(invite.0.starts_with("INVITE sip:agent@agents.example SIP/2.0"), "{}", invite.0);
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
    assert_eq!(*server.asked.lock().unwrap(), ["_sip._udp.agents.example"]);
}

#[tokio::test]
async fn a_uri_with_a_port_and_a_name_without_a_service_lead_to_the_name_itself() {
    let server = NameServer::of("_sip._udp.agents.example").await;
    let lab = lab(&server).await;
    let (mut caller, callee) = (lab.phone().await, lab.phone().await);
    lab.lead_to(Target::at(format!("sip:agent@localhost:{}", callee.addr.port())));
    caller.invite("with-a-port").await;
    let invite = callee.expect("INVITE").await;
    callee.reply(&invite, "486 Busy Here", "").await;
    caller.expect("SIP/2.0 486").await;
    assert!(server.asked.lock().unwrap().is_empty());
    // Such a name has no address either: this is about what is asked.
    lab.lead_to(Target::at("sip:agent@nowhere.example;transport=tcp"));
    caller.invite("nowhere").await;
    caller.expect("SIP/2.0 503").await;
    assert_eq!(*server.asked.lock().unwrap(), ["_sip._tcp.nowhere.example"]);
}

#[tokio::test]
async fn a_name_that_says_that_it_has_no_such_service_leads_nowhere() {
    let server = NameServer::of("_sip._udp.agents.example").await;
    *server.records.lock().unwrap() = vec![(0, 0, ".")];
    let lab = lab(&server).await;
    lab.lead_to(Target::at("sip:agent@agents.example"));
    let mut caller = lab.phone().await;
    caller.invite("call").await;
    caller.expect("SIP/2.0 503").await;
}
