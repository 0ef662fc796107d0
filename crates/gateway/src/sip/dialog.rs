//! Dialogs: what two parties of a call know of each other (RFC 3261, 12).

use std::net::SocketAddr;

use bytes::Bytes;

use super::{
    compose::{Draft, Header},
    message::{Message, Method},
    transaction::ClientKey,
    uri::{Uri, tag_of, uri_of},
};
use crate::quoting::split_outside;

/// As whom messages of ours leave.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The Via but for its branch: `SIP/2.0/UDP 192.0.2.1:5060`.
    pub via: String,
    /// The URI that we are reached by.
    pub contact: String,
    /// What `User-Agent` says.
    pub agent: String,
}

impl Identity {
    fn via(&self, draft: &mut Draft, branch: u64) {
        draft.parts("Via", &[&self.via, ";branch=", &ClientKey::branch(branch), ";rport"]);
    }

    fn contact(&self, draft: &mut Draft) {
        draft.parts("Contact", &["<", &self.contact, ">"]);
    }
}

/// An INVITE that begins a dialog.
#[derive(Clone, Copy, Debug)]
pub struct Invitation<'a> {
    /// The address of who calls, without a tag: `"Name" <uri>`.
    pub caller: &'a str,
    /// The URI of who is called.
    pub callee: &'a str,
    /// The Call-ID.
    pub call_id: &'a str,
    /// The tag of who calls.
    pub tag: &'a str,
    /// `Max-Forwards`.
    pub max_forwards: u8,
    /// Further headers.
    pub headers: &'a [Header],
    /// The offer.
    pub body: &'a [u8],
}

impl Invitation<'_> {
    /// The message.
    pub fn written(&self, us: &Identity, branch: u64) -> Bytes {
        let mut draft = Draft::request("INVITE", self.callee);
        us.via(&mut draft, branch);
        draft.header("Max-Forwards", &self.max_forwards.to_string());
        draft.parts("From", &[self.caller, ";tag=", self.tag]);
        draft.parts("To", &["<", self.callee, ">"]);
        draft.header("Call-ID", self.call_id);
        draft.header("CSeq", "1 INVITE");
        us.contact(&mut draft);
        draft.headers(self.headers);
        draft.header("User-Agent", &us.agent);
        draft.finish(self.body)
    }
}

/// A request of ours again, with what its peer wants to see (RFC 3261, 22.1): of the same call, with another number.
pub fn written_again(
    request: &Message,
    number: u32,
    (us, branch): (&Identity, u64),
    proof: &Header,
) -> Bytes {
    let method = request.method_name();
    let mut draft = Draft::request(method, request.uri());
    us.via(&mut draft, branch);
    let number = number.to_string();
    for (name, value) in request.all() {
        match name {
            "Via" | "Content-Length" => {}
            "CSeq" => {
                draft.parts("CSeq", &[&number, " ", method]);
            }
            name if name == proof.name => {}
            name => {
                draft.header(name, value);
            }
        }
    }
    draft.header(&proof.name, &proof.value);
    draft.finish(request.body())
}

/// What is known of the other party.
#[derive(Clone, Debug)]
pub struct Dialog {
    call_id: String,
    /// Our address with our tag.
    local: String,
    /// Theirs.
    remote: String,
    /// The URI that they are reached by.
    target: String,
    /// Whom requests pass first.
    routes: Vec<String>,
    /// The number of our last request.
    sent: u32,
    /// The number of their last.
    heard: Option<u32>,
}

impl Dialog {
    /// The one that an INVITE of theirs begins, when we have this tag and reach them by this URI.
    pub fn taken(invite: &Message, tag: &str, target: String) -> Self {
        let (local, remote) =
            (invite.header("To").unwrap_or_default(), invite.header("From").unwrap_or_default());
        Self {
            call_id: invite.call_id().to_owned(),
            local: format!("{local};tag={tag}"),
            remote: remote.to_owned(),
            target,
            routes: routes_of(invite).collect(),
            sent: 0,
            heard: invite.cseq().map(|(number, _)| number),
        }
    }

    /// The one that a response to an INVITE of ours begins, when we reach them by this URI.
    pub fn begun(response: &Message, target: String) -> Self {
        let (local, remote) =
            (response.header("From").unwrap_or_default(), response.header("To").unwrap_or_default());
        let mut routes: Vec<String> = routes_of(response).collect();
        routes.reverse();
        Self {
            call_id: response.call_id().to_owned(),
            local: local.to_owned(),
            remote: remote.to_owned(),
            target,
            routes,
            sent: response.cseq().map_or(1, |(number, _)| number),
            heard: None,
        }
    }

    /// Whether a request of theirs belongs to it.
    pub fn is_of(&self, request: &Message) -> bool {
        request.from_tag() == tag_of(&self.remote) && request.to_tag() == tag_of(&self.local)
    }

    /// Notes the number of a request of theirs; says whether it may come now: it is not lower than the last (12.2.2).
    pub fn hears(&mut self, number: u32) -> bool {
        let is_next = self.heard.is_none_or(|heard| number >= heard);
        if is_next {
            self.heard = Some(number);
        }
        is_next
    }

    /// From now on they are reached by this URI.
    pub fn retarget(&mut self, target: String) {
        self.target = target;
    }

    /// The number for the next request of ours.
    pub const fn next_number(&mut self) -> u32 {
        self.sent = self.sent.saturating_add(1);
        self.sent
    }

    /// The URI that requests go to first.
    pub fn next_hop(&self) -> &str {
        self.routes.first().map_or(&self.target, |route| uri_of(route))
    }

    /// The next request of ours.
    pub fn request(
        &mut self,
        method: Method,
        us: &Identity,
        branch: u64,
        headers: &[Header],
        body: &[u8],
    ) -> Bytes {
        let number = self.next_number();
        self.written(method, number, (us, branch), headers, body)
    }

    /// The ACK for a 2xx to the INVITE of this number.
    pub fn ack(&self, number: u32, us: &Identity, branch: u64) -> Bytes {
        self.written(Method::Ack, number, (us, branch), &[], &[])
    }

    fn written(
        &self,
        method: Method,
        number: u32,
        (us, branch): (&Identity, u64),
        headers: &[Header],
        body: &[u8],
    ) -> Bytes {
        // A router of RFC 2543 wants to be the Request-URI itself (12.2.1.1).
        let strict = self
            .routes
            .split_first()
            .filter(|(first, _)| !Uri::read(uri_of(first)).is_some_and(|first| first.has_parameter("lr")));
        let (uri, routes) =
            strict.map_or((self.target.as_str(), &self.routes[..]), |(first, rest)| (uri_of(first), rest));
        let mut draft = Draft::request(method.name(), uri);
        us.via(&mut draft, branch);
        draft.header("Max-Forwards", "70");
        for route in routes {
            draft.header("Route", route);
        }
        if strict.is_some() {
            draft.parts("Route", &["<", &self.target, ">"]);
        }
        draft.header("From", &self.local);
        draft.header("To", &self.remote);
        draft.header("Call-ID", &self.call_id);
        draft.parts("CSeq", &[&number.to_string(), " ", method.name()]);
        if matches!(method, Method::Invite | Method::Update | Method::Notify) {
            us.contact(&mut draft);
        }
        draft.headers(headers);
        draft.header("User-Agent", &us.agent);
        draft.finish(body)
    }
}

/// The Record-Route headers, one value each.
fn routes_of(message: &Message) -> impl Iterator<Item = String> {
    let values = message.headers("Record-Route");
    values
        .flat_map(|value| split_outside(value, ',').unwrap_or_default())
        .map(|route| route.trim().to_owned())
}

/// The URI that who sent a message is reached by: its Contact; where that is missing or of no use, since the peer is behind
/// address translation, the address that it came from, with the parameters of the transport.
pub fn target_of(message: &Message, source: SocketAddr, transport: &str, behind_nat: bool) -> String {
    let contact = message.header("Contact").and_then(|list| Some(*split_outside(list, ',')?.first()?));
    let said = contact.map(uri_of).filter(|uri| Uri::read(uri).is_some());
    match said {
        Some(uri) if !behind_nat => uri.to_owned(),
        said => {
            let user = said.and_then(Uri::read).map(|uri| uri.user).filter(|user| !user.is_empty());
            let user = user.map(|user| format!("{user}@")).unwrap_or_default();
            format!("sip:{user}{source}{transport}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn us() -> Identity {
        Identity {
            via: "SIP/2.0/UDP 192.0.2.1:5060".into(),
            contact: "sip:192.0.2.1:5060".into(),
            agent: "pegcount".into(),
        }
    }

    fn accepted(headers: &str) -> Message {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK0000000000000001\r\nFrom: <sip:us@a>;tag=us\r\n\
             To: <sip:them@b>;tag=them\r\nCall-ID: x\r\nCSeq: 2 INVITE\r\n{headers}\r\n"
        );
        Message::read(text.into()).unwrap()
    }

    fn line<'a>(message: &'a Message, name: &'a str) -> Vec<&'a str> {
        message.headers(name).collect()
    }

    #[test]
    fn a_request_within_a_dialog_passes_those_who_recorded_their_route_in_reverse() {
        let response =
            accepted("Contact: \"x, y\" <sip:desk@192.0.2.9>\r\nRecord-Route: <sip:p2;lr>, <sip:p1;lr>\r\n");
        let source = "192.0.2.7:5060".parse().unwrap();
        let mut dialog = Dialog::begun(&response, target_of(&response, source, "", false));
        let bye = Message::read(dialog.request(Method::Bye, &us(), 7, &[], &[])).unwrap();
        assert_eq!(
            (bye.uri(), line(&bye, "Route")),
            ("sip:desk@192.0.2.9", vec!["<sip:p1;lr>", "<sip:p2;lr>"])
        );
        assert_eq!(
            (bye.cseq(), bye.from_tag(), bye.to_tag()),
            (Some((3, Method::Bye)), Some("us"), Some("them"))
        );
        assert_eq!(dialog.next_hop(), "sip:p1;lr");
        let ack = Message::read(dialog.ack(2, &us(), 8)).unwrap();
        assert_eq!(ack.cseq(), Some((2, Method::Ack)));
    }

    #[test]
    fn a_strict_router_is_written_to_itself() {
        let response = accepted("Contact: <sip:desk@192.0.2.9>\r\nRecord-Route: <sip:p2;lr>, <sip:p1>\r\n");
        let mut dialog = Dialog::begun(&response, "sip:desk@192.0.2.9".into());
        let bye = Message::read(dialog.request(Method::Bye, &us(), 7, &[], &[])).unwrap();
        assert_eq!((bye.uri(), line(&bye, "Route")), ("sip:p1", vec!["<sip:p2;lr>", "<sip:desk@192.0.2.9>"]));
    }

    #[test]
    fn requests_of_a_dialog_have_its_tags_and_come_in_order() {
        let invite = "INVITE sip:us@a SIP/2.0\r\nVia: SIP/2.0/UDP b;branch=z9hG4bK1\r\nFrom: <sip:them@b>;tag=them\r\n\
                      To: <sip:us@a>\r\nCall-ID: x\r\nCSeq: 5 INVITE\r\n\r\n";
        let invite = Message::read(invite.into()).unwrap();
        let mut dialog = Dialog::taken(&invite, "us", "sip:them@b".into());
        let request = |from: &str, to: &str| {
            let text =
                format!("BYE sip:a SIP/2.0\r\nFrom: <sip:x>;tag={from}\r\nTo: <sip:y>;tag={to}\r\n\r\n");
            Message::read(text.into()).unwrap()
        };
        assert!(dialog.is_of(&request("them", "us")));
        assert!(!dialog.is_of(&request("us", "them")) && !dialog.is_of(&invite));
        assert!(!dialog.hears(4) && dialog.hears(5) && dialog.hears(7) && !dialog.hears(6));
    }

    #[test]
    fn a_peer_is_reached_by_its_contact_unless_that_is_of_no_use() {
        let source = "192.0.2.7:5070".parse().unwrap();
        let reached = |headers: &str, nat| target_of(&accepted(headers), source, ";transport=tcp", nat);
        let said = "Contact: <sip:phone@10.0.0.1:5060>;q=1\r\n";
        assert_eq!(reached(said, false), "sip:phone@10.0.0.1:5060");
        assert_eq!(reached(said, true), "sip:phone@192.0.2.7:5070;transport=tcp");
        assert_eq!(reached("", false), "sip:192.0.2.7:5070;transport=tcp");
        assert_eq!(reached("Contact: *\r\n", false), "sip:192.0.2.7:5070;transport=tcp");
    }

    #[test]
    fn a_request_that_has_to_prove_who_sends_it_goes_again() {
        let headers = [Header::new("Supported", "timer")];
        let invitation = Invitation {
            caller: "<sip:us@a>",
            callee: "sip:them@b",
            call_id: "x",
            tag: "us",
            max_forwards: 69,
            headers: &headers,
            body: b"v=0\r\n",
        };
        let first = Message::read(invitation.written(&us(), 1)).unwrap();
        let proof = Header::new("Authorization", "Digest x");
        let again = Message::read(written_again(&first, 2, (&us(), 2), &proof)).unwrap();
        assert_eq!((again.cseq(), again.body()), (Some((2, Method::Invite)), first.body()));
        assert_eq!((line(&again, "Authorization"), line(&again, "Via").len()), (vec!["Digest x"], 1));
        assert_ne!(again.branch(), first.branch());
        assert_eq!(again.header("Supported"), Some("timer"));
    }
}
