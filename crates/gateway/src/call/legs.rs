//! The dialogs of a call in the SIP stack: how orders are carried out on them, and what they say.

use std::{sync::Arc, time::Duration};

use rsipstack::{
    dialog::{
        authenticate::Credential,
        dialog::{DialogState, TerminatedReason},
        invitation::InviteOption,
        invite_dialog::InviteDialog,
    },
    sip::{Header, HeadersExt, Response, Uri},
    transaction::key::TransactionRole,
};
use tokio::task::AbortHandle;

use super::{
    actor::{Actor, Note},
    door::Door,
    index::{Entry, Seat},
    locate::Way,
    media::Party,
    session::{Granted, LEAST},
    wire,
    words::{Body, Failure, Input, LegId, Outgoing, RequestId},
};
use crate::{Side, Target, Why, guard::Expected, trace::TraceSeat};

/// One dialog of a call. Dropped, it is gone from the stack.
pub(super) struct StackLeg {
    pub(super) side: Side,
    /// What the media has to know of it.
    pub(super) party: Party,
    door: Arc<Door>,
    dialog: InviteDialog,
    /// Its place among those that messages are for.
    seat: Seat,
    /// What it sends is let through.
    _expected: Expected,
    /// Ends the INVITE that is still out.
    inviting: Option<AbortHandle>,
    /// The CSeq number of the last ACK that was taken in.
    acknowledged: Option<u32>,
    pub(super) bye_reason: Option<String>,
}

impl StackLeg {
    pub(super) fn new(
        door: Arc<Door>,
        side: Side,
        dialog: InviteDialog,
        seat: Seat,
        party: Party,
        expected: Expected,
    ) -> Self {
        Self {
            side,
            party,
            door,
            dialog,
            seat,
            _expected: expected,
            inviting: None,
            acknowledged: None,
            bye_reason: None,
        }
    }

    pub(super) fn sip_call_id(&self) -> &str {
        self.seat.sip_call_id()
    }

    fn incoming(&self) -> bool {
        self.dialog.role() == TransactionRole::Server
    }

    /// What a change of the dialog's state means for the call.
    pub(super) fn heard(&mut self, leg: LegId, state: DialogState) -> Option<Input> {
        match state {
            DialogState::Trying(_) if !self.incoming() => {
                Some(Input::Progress { leg, status: 100, body: None })
            }
            DialogState::Early(_, response) if !self.incoming() => Some(Input::Progress {
                leg,
                status: response.status_code.code(),
                body: wire::body(&response.body),
            }),
            // Also comes after each request within the dialog, without a new ACK.
            DialogState::Confirmed(..) => {
                let ack = self.dialog.last_remote_ack()?;
                let sequence = ack.cseq_header().ok()?.seq().ok()?;
                if self.acknowledged.replace(sequence) == Some(sequence) {
                    return None;
                }
                Some(Input::Acknowledged { leg, body: wire::body(&ack.body) })
            }
            DialogState::Terminated(_, reason) => match (reason, self.incoming()) {
                (TerminatedReason::UacCancel, true) => Some(Input::Cancelled { leg, reason: None }),
                // The second: it hung up a call that was not answered. Ours are told of no more, once they refuse.
                (TerminatedReason::UacBye | TerminatedReason::UasDecline, true)
                | (TerminatedReason::UasBye, false) => {
                    Some(Input::Bye { leg, reason: self.bye_reason.take() })
                }
                // No ACK came, and the stack sent the BYE.
                (TerminatedReason::Timeout, _) => Some(Input::Closed { leg }),
                // Of our own doing, or told by the INVITE's or BYE's task.
                _ => None,
            },
            _ => None,
        }
    }

    /// Rings, with early media when there is any.
    pub(super) fn ring(&self, body: Option<Vec<u8>>) {
        let mut headers = vec![Header::from(rsipstack::sip::headers::Allow::from(wire::ALLOW))];
        if body.is_some() {
            headers.push(wire::sdp_type());
        }
        self.log("ring", self.dialog.ringing(Some(headers), body));
    }

    /// Answers.
    pub(super) fn accept(&self, body: Option<Vec<u8>>, session: Option<Granted>) {
        let mut headers = wire::session_response(session);
        if body.is_some() {
            headers.push(wire::sdp_type());
        }
        self.log("accept", self.dialog.accept(Some(headers), body));
    }

    /// Refuses.
    pub(super) fn reject(self, status: u16, why: &Why) {
        let reason = Some(why.reason());
        self.log("reject", self.dialog.reject(Some(wire::status(status)), reason));
    }

    /// Gives up what never came to an end. The stack goes on to cancel it, or to hang up if it answers after all.
    pub(super) fn abandon(self) {
        if let Some(inviting) = &self.inviting {
            inviting.abort();
        }
    }

    fn log(&self, doing: &str, done: rsipstack::Result<()>) {
        if let Err(error) = done {
            tracing::info!(doing, sip_call_id = self.sip_call_id(), %error, "SIP stack");
        }
    }
}

impl Drop for StackLeg {
    fn drop(&mut self) {
        // A client's id changes with the tag of the response; the dialog knows its last.
        self.door.dialogs.remove_dialog(&self.dialog.id());
    }
}

impl Actor {
    /// Sends an INVITE.
    pub(super) fn invite(
        &mut self,
        leg: LegId,
        side: Side,
        target: &Target,
        way: Way,
        (offer, session): (Option<Vec<u8>>, u32),
    ) -> Option<Input> {
        let failed = Some(Input::Failed { leg, failure: Failure::Unreachable });
        let Way { door, address, party } = way;
        let sip_call_id = format!("{}@{}", uuid::Uuid::now_v7().simple(), door.advertised.ip());
        let Some(mut option) = self.invite_option(target, &door, (offer, session)) else { return failed };
        option.destination = Some(door.stack_address(address));
        option.call_id = Some(sip_call_id.clone());
        let trace = self.beginning.trace.as_ref().map(TraceSeat::trace);
        let entry = Entry { leg, side, nat: party.nat, notes: self.notes.clone(), trace };
        // What comes back may be here before this goes on.
        let Some(seat) = self.shared.index.enter(&sip_call_id, entry) else { return failed };
        let expected = self.shared.settings.gate.expect(address.ip());
        let Ok((dialog, task)) = door.dialogs.do_invite_async(option, self.states.clone()) else {
            return failed;
        };
        let mut stack = StackLeg::new(door, side, dialog, seat, party, expected);
        stack.inviting = Some(task.abort_handle());
        self.legs.insert(leg, stack);
        let notes = self.notes.clone();
        tokio::spawn(async move {
            // An error is a message that could not be sent or read, or the abort of this very task.
            let response = task.await.ok().and_then(Result::ok).and_then(|(_, response)| response);
            let _ = notes.send(Note::Invited { leg, response: response.map(Box::new) });
        });
        None
    }

    fn invite_option(
        &self,
        target: &Target,
        door: &Door,
        (offer, session): (Option<Vec<u8>>, u32),
    ) -> Option<InviteOption> {
        let caller = match &target.caller {
            Some(caller) => caller.clone(),
            None => format!("sip:{}@{}", self.beginning.from, door.advertised),
        };
        let credential = target.credential.as_ref().map(|credential| Credential {
            username: credential.user.clone(),
            password: credential.password.clone(),
            realm: credential.realm.clone(),
            ..Credential::default()
        });
        let headers = vec![
            wire::header("Supported", "timer"),
            wire::header("Allow", wire::ALLOW),
            wire::header("Session-Expires", session.to_string()),
            wire::header("Min-SE", LEAST.to_string()),
            Header::MaxForwards(u32::from(self.beginning.max_forwards).into()),
        ];
        Some(InviteOption {
            caller: Uri::try_from(caller.as_str()).ok()?,
            callee: Uri::try_from(target.uri.as_str()).ok()?,
            content_type: Some("application/sdp".into()),
            offer,
            contact: door.contact.clone(),
            credential,
            headers: Some(headers),
            ..InviteOption::default()
        })
    }

    /// What the final response to an INVITE means.
    pub(super) fn invite_outcome(&mut self, leg: LegId, response: Option<&Response>) -> Input {
        if let Some(stack) = self.legs.get_mut(&leg) {
            stack.inviting = None;
        }
        let Some(response) = response else {
            return Input::Failed { leg, failure: Failure::Unreachable };
        };
        match response.status_code.code() {
            200..=299 => Input::Accepted {
                leg,
                body: wire::body(&response.body),
                session: wire::session_ask(response),
            },
            status => {
                let min_session = wire::least_session(response);
                let failure = Failure::Refused { status, reason: wire::reason(response), min_session };
                Input::Failed { leg, failure }
            }
        }
    }

    pub(super) fn cancel(&self, leg: LegId) -> Option<Input> {
        let Some(stack) = self.legs.get(&leg) else { return Some(Input::Closed { leg }) };
        let dialog = stack.dialog.clone();
        tokio::spawn(async move {
            // The INVITE's own task tells how it ended, whatever became of the CANCEL.
            if let Err(error) = dialog.cancel().await {
                tracing::debug!(%error, "CANCEL");
            }
        });
        None
    }

    pub(super) fn bye(&self, leg: LegId, why: &Why) -> Option<Input> {
        let Some(stack) = self.legs.get(&leg) else { return Some(Input::Closed { leg }) };
        let dialog = stack.dialog.clone();
        let notes = self.notes.clone();
        let reason = wire::reason_header(why);
        tokio::spawn(async move {
            // A dialog that the stack ended already needs none, and says so by success.
            if let Err(error) = dialog.bye_with_headers(Some(vec![reason])).await {
                tracing::info!(%error, "BYE");
            }
            let _ = notes.send(Note::Closed { leg });
        });
        None
    }

    pub(super) async fn send(&mut self, leg: LegId, exchange: u32, request: Outgoing) -> Option<Input> {
        let (dialog, side) = self.legs.get(&leg).map(|leg| (leg.dialog.clone(), leg.side))?;
        let notes = self.notes.clone();
        let (update, body, session) = match request {
            Outgoing::ReInvite { body, session } => (false, body, session),
            Outgoing::Update { body, session } => (true, body, session),
            Outgoing::Info { content_type, body } => {
                let headers = content_type.map(|kind| vec![Header::ContentType(kind.into())]);
                tokio::spawn(async move { dialog.info(headers, Some(body.to_vec())).await });
                return None;
            }
            Outgoing::Notify { status, last } => {
                let (headers, body) = notify(status, last);
                tokio::spawn(async move { dialog.notify(Some(headers), Some(body)).await });
                return None;
            }
        };
        let Ok(body) = self.words(side, body).await else {
            let _ = notes.send(Note::Replied { leg, exchange, response: Some(Box::new(not_acceptable())) });
            return None;
        };
        let mut headers = wire::session_request(session);
        if body.is_some() {
            headers.push(wire::sdp_type());
        }
        tokio::spawn(async move {
            let sent = if update {
                dialog.update(Some(headers), body).await
            } else {
                dialog.reinvite(Some(headers), body).await
            };
            let response = sent.ok().flatten().map(Box::new);
            let _ = notes.send(Note::Replied { leg, exchange, response });
        });
        None
    }

    pub(super) async fn respond(
        &mut self,
        leg: LegId,
        request: RequestId,
        status: u16,
        body: Body,
        session: Option<Granted>,
    ) -> Option<Input> {
        let handle = self.requests.remove(&request)?;
        let side = self.legs.get(&leg).map(|leg| leg.side);
        let words = match side {
            Some(side) => self.words(side, body).await,
            None => Ok(None),
        };
        let Ok(words) = words else {
            let _ = handle.reply(wire::status(488)).await;
            return Some(Input::MediaRefused { leg });
        };
        let mut headers = if status < 300 { wire::session_response(session) } else { Vec::new() };
        if status == 422 {
            headers.push(wire::header("Min-SE", LEAST.to_string()));
        }
        if words.is_some() {
            headers.push(wire::sdp_type());
        }
        // A peer that is gone needs no response.
        let _ = handle.respond(wire::status(status), Some(headers), words).await;
        None
    }
}

/// The headers and body of a NOTIFY on how a REFER goes (RFC 3515, 2.4.5).
fn notify(status: u16, last: bool) -> (Vec<Header>, Vec<u8>) {
    let state =
        if last { "terminated;reason=noresource".to_owned() } else { expires(Duration::from_secs(120)) };
    let headers = vec![
        Header::Event("refer".into()),
        Header::SubscriptionState(state.as_str().into()),
        Header::ContentType("message/sipfrag;version=2.0".into()),
    ];
    let phrase = wire::status(status);
    (headers, format!("SIP/2.0 {phrase}\r\n").into_bytes())
}

fn expires(after: Duration) -> String {
    format!("active;expires={}", after.as_secs())
}

/// Stands for the response of a side that could not be asked, since the media refused what it was to be asked.
fn not_acceptable() -> Response {
    Response { status_code: wire::status(488), ..Response::default() }
}
