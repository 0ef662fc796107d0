//! What is looked at, and mended, in every message on its way into the stack and out of it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use rsipstack::{
    sip::{
        CSeq, CallId, Contact, Header, HeadersExt, Method, SipMessage, StatusCode, Uri,
        prelude::ToTypedHeader,
    },
    transaction::endpoint::{MessageInspector, TransportEventInspector},
    transport::{SipAddr, SipConnection, TransportEvent},
};

use super::{index::Index, switch::Clock, wire};
use crate::guard::{Carrier, Gate, Limits, Source, Verdict};

/// Remembers the messages of calls, and mends what would leave the stack without an address to go on with.
pub struct Inspector {
    index: Arc<Index>,
    clock: Clock,
}

impl Inspector {
    /// One that finds legs in this index.
    pub fn new(index: Arc<Index>, clock: Clock) -> Self {
        Self { index, clock }
    }
}

fn call_id(message: &SipMessage) -> Option<&str> {
    let header = match message {
        SipMessage::Request(request) => request.call_id_header(),
        SipMessage::Response(response) => response.call_id_header(),
    };
    header.ok().map(CallId::value)
}

impl MessageInspector for Inspector {
    fn before_send(&self, message: SipMessage, destination: Option<&SipAddr>) -> SipMessage {
        if let Some(entry) = call_id(&message).and_then(|call_id| self.index.find(call_id)) {
            let peer = destination.and_then(|address| address.get_socketaddr().ok());
            entry.remember((self.clock)(), true, peer, &message);
        }
        message
    }

    fn after_received(&self, mut message: SipMessage, from: Option<&SipAddr>) -> SipMessage {
        // What the stack tells itself, of a timeout say, comes from nowhere.
        let Some(from) = from else { return message };
        let Some(entry) = call_id(&message).and_then(|call_id| self.index.find(call_id)) else {
            return message;
        };
        entry.remember((self.clock)(), false, from.get_socketaddr().ok(), &message);
        if let SipMessage::Response(response) = &mut message
            && matches!(response.status_code.code(), 201..=299)
            && response.cseq_header().and_then(CSeq::method).is_ok_and(|of| of == Method::Invite)
        {
            // The stack knows no other success of an INVITE.
            response.status_code = StatusCode::OK;
        }
        mend_contact(&mut message, from, entry.nat);
        message
    }
}

/// Puts the source of a message in the place of its Contact, when that is of no use: since the peer is behind address
/// translation, or since it gave none with a 2xx to an INVITE, which has to have one (RFC 3261, 13.3.1.4).
fn mend_contact(message: &mut SipMessage, from: &SipAddr, nat: bool) {
    let (said, needed) = match &*message {
        SipMessage::Request(request) => (request.contact_header().ok(), false),
        SipMessage::Response(response) => {
            let method = response.cseq_header().and_then(CSeq::method);
            let accepts = matches!(response.status_code.code(), 200..=299);
            (response.contact_header().ok(), accepts && method.is_ok_and(|of| of == Method::Invite))
        }
    };
    let uri = said.and_then(contact_uri);
    if (uri.is_some() && !nat) || (said.is_none() && !needed) {
        return;
    }
    let contact = reached_at(from, uri.as_ref());
    match message {
        SipMessage::Request(request) => request.headers.unique_push(contact),
        SipMessage::Response(response) => response.headers.unique_push(contact),
    }
}

/// The URI of a Contact.
pub(super) fn contact_uri(contact: &Contact) -> Option<Uri> {
    contact.typed().ok().map(|contact| contact.uri)
}

/// A Contact at the address that a message came from.
pub(super) fn reached_at(from: &SipAddr, said: Option<&Uri>) -> Header {
    let user = said.map(wire::user).filter(|user| !user.is_empty());
    let user = user.map(|user| format!("{user}@")).unwrap_or_default();
    let transport = match from.r#type {
        Some(rsipstack::sip::Transport::Tcp) => ";transport=tcp",
        Some(rsipstack::sip::Transport::Tls) => ";transport=tls",
        _ => "",
    };
    Header::Contact(format!("<sip:{user}{}{transport}>", from.addr).into())
}

/// Guards the connections that the stack itself opens, when one of ours is gone and a peer has to be told something.
pub struct StreamInspector {
    gate: Arc<Gate>,
    limits: Mutex<Limits>,
}

impl StreamInspector {
    /// One behind this gate.
    pub fn new(gate: Arc<Gate>) -> Self {
        let room = std::num::NonZeroUsize::MIN.saturating_add(1023);
        Self { gate, limits: Mutex::new(Limits::with_room(room)) }
    }

    fn judge(&self, message: &SipMessage, address: SocketAddr) -> Option<SipMessage> {
        let bytes = match message {
            SipMessage::Request(request) => request.to_bytes(),
            SipMessage::Response(response) => response.to_bytes(),
        };
        let source = Source { address, carrier: Carrier::Stream };
        let now = tokio::time::Instant::now().into_std();
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        match self.gate.judge(&bytes, source, now, &mut limits) {
            Verdict::Pass(bytes) => SipMessage::try_from(bytes.as_slice()).ok(),
            // There is no way to answer from here; who asks so hears nothing.
            Verdict::Answer { reason, .. } | Verdict::Drop(reason) => {
                self.gate.counts().count_dropped(reason);
                None
            }
        }
    }
}

#[async_trait]
impl TransportEventInspector for StreamInspector {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        match event {
            TransportEvent::Incoming(message, connection @ SipConnection::Tcp(_), from) => {
                let message = self.judge(&message, from.get_socketaddr().ok()?)?;
                Some(TransportEvent::Incoming(message, connection, from))
            }
            event => Some(event),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from() -> SipAddr {
        SipAddr {
            r#type: Some(rsipstack::sip::Transport::Tcp),
            addr: "192.0.2.9:5070".parse::<SocketAddr>().unwrap().into(),
        }
    }

    fn response(contact: &str, method: &str) -> SipMessage {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:b@c>;tag=1\r\n\
             To: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 {method}\r\n{contact}Content-Length: 0\r\n\r\n"
        );
        SipMessage::try_from(text.as_bytes()).unwrap()
    }

    fn mended(contact: &str, method: &str, nat: bool) -> Option<String> {
        let mut message = response(contact, method);
        mend_contact(&mut message, &from(), nat);
        let SipMessage::Response(response) = message else { unreachable!() };
        response.contact_header().ok().map(|contact| contact.value().to_owned())
    }

    #[test]
    fn a_2xx_without_a_contact_is_gone_on_with_where_it_came_from() {
        assert_eq!(mended("", "INVITE", false).as_deref(), Some("<sip:192.0.2.9:5070;transport=tcp>"));
        assert_eq!(mended("", "BYE", false), None);
    }

    #[test]
    fn a_contact_stands_unless_its_peer_is_behind_address_translation() {
        let said = "Contact: <sip:phone@10.0.0.1:5060>\r\n";
        assert_eq!(mended(said, "INVITE", false).as_deref(), Some("<sip:phone@10.0.0.1:5060>"));
        assert_eq!(mended(said, "INVITE", true).as_deref(), Some("<sip:phone@192.0.2.9:5070;transport=tcp>"));
    }

    #[test]
    fn what_comes_by_a_connection_of_the_stack_is_guarded_too() {
        let inspector = StreamInspector::new(Gate::new(crate::guard::Policy::default()));
        let address = "192.0.2.9:5070".parse().unwrap();
        assert!(inspector.judge(&response("", "INVITE"), address).is_none());
        let _expected = inspector.gate.expect(address.ip());
        assert!(inspector.judge(&response("", "INVITE"), address).is_some());
    }
}
