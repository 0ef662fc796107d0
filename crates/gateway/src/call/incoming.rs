//! Requests that come in: to which call they go, or how a call begins, or how they are answered.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rsipstack::{
    dialog::{
        DialogId,
        dialog::{Dialog, DialogState},
    },
    sip::{Header, HeadersExt, Method, Request, SipMessage},
    transaction::{TransactionReceiver, key::TransactionRole, transaction::Transaction},
    transport::SipConnection,
};

use super::{
    actor::{Actor, Beginning, Note},
    directory::{Answer, Known},
    door::Door,
    index::Entry,
    inspector::{contact_uri, reached_at},
    legs::StackLeg,
    media::Party,
    session::{LEAST, Session},
    switch::Shared,
    wire,
    words::{Input, Invited, LegId},
};
use crate::{Ask, Side, trace::TraceSeat};

/// How long a request within a dialog waits until the dialog is settled.
const SETTLES_WITHIN: Duration = Duration::from_secs(2);
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// Hands out requests of one door that the stack has no transaction for.
pub(super) async fn dispatch(shared: Arc<Shared>, door: Arc<Door>, mut incoming: TransactionReceiver) {
    loop {
        let transaction = tokio::select! {
            () = shared.running.cancelled() => return,
            transaction = incoming.recv() => transaction,
        };
        match transaction {
            Some(transaction) => received(&shared, &door, transaction),
            None => return,
        }
    }
}

fn received(shared: &Arc<Shared>, door: &Arc<Door>, transaction: Transaction) {
    let in_dialog = DialogId::try_from(&transaction).is_ok_and(|id| !id.local_tag.is_empty());
    match (transaction.original.method, in_dialog) {
        (Method::Ack | Method::Cancel, _) => {}
        (_, true) => within_dialog(shared, transaction),
        (Method::Invite, false) => {
            if let Err((transaction, answer)) = invited(shared, door, transaction) {
                refuse(*transaction, answer);
            }
        }
        (Method::Options, false) => {
            let headers = vec![wire::header("Allow", wire::ALLOW)];
            refuse(transaction, Answer { status: 200, headers });
        }
        (Method::Bye | Method::Update | Method::Info | Method::Refer | Method::Notify, false) => {
            refuse(transaction, Answer::plain(481));
        }
        (Method::Register, false) => {
            let answer = match source(&transaction.original) {
                Some(source) => shared.settings.directory.register(&transaction.original, source),
                None => Answer::plain(400),
            };
            refuse(transaction, answer);
        }
        (_, false) => refuse(transaction, Answer::plain(405)),
    }
}

/// A dialog may have begun by another door: a large message goes by TCP where the others went by UDP.
fn within_dialog(shared: &Arc<Shared>, mut transaction: Transaction) {
    let dialog = shared.doors.iter().find_map(|door| door.dialogs.match_dialog(&transaction));
    let Some(Dialog::Invite(mut dialog)) = dialog else {
        return refuse(transaction, Answer::plain(481));
    };
    if transaction.original.method == Method::Bye {
        bye_reason(shared, &transaction.original);
        if dialog.state().can_cancel() {
            // The INVITE that this BYE comes too early for is to be answered too (RFC 3261, 15.1.2).
            let _ = dialog.reject(Some(wire::status(487)), None);
        }
    }
    let waits = dialog.role() == TransactionRole::Server
        && !matches!(transaction.original.method, Method::Bye | Method::PRack);
    tokio::spawn(async move {
        if waits && !settled(|| dialog.state()).await {
            let later = Answer { status: 500, headers: vec![wire::header("Retry-After", "1")] };
            return refuse(transaction, later);
        }
        if let Err(error) = dialog.handle(&mut transaction).await {
            tracing::debug!(%error, "request within a dialog");
        }
    });
}

/// Whether the dialog of a caller is settled, now or soon. The stack leaves a request without an answer that it takes up
/// before the ACK, or while another is on its way: the ACK right in front of it, which another task takes up, above all.
async fn settled(state: impl Fn() -> DialogState) -> bool {
    for _ in 0..SETTLES_WITHIN.as_millis() / LOOKS_EVERY.as_millis() {
        let state = state();
        if state.is_confirmed() || state.is_terminated() {
            return true;
        }
        tokio::time::sleep(LOOKS_EVERY).await;
    }
    state().is_confirmed()
}

/// Tells a call why a leg hangs up, before the stack tells that it does.
fn bye_reason(shared: &Shared, request: &Request) {
    let (Some(reason), Ok(call_id)) = (wire::reason(request), request.call_id_header()) else { return };
    if let Some(entry) = shared.index.find(call_id.value()) {
        let _ = entry.notes.send(Note::ByeReason { leg: entry.leg, reason });
    }
}

/// Answers a request with a final response, and stays until that is through.
fn refuse(mut transaction: Transaction, answer: Answer) {
    tokio::spawn(async move {
        let invite = transaction.original.method == Method::Invite;
        let status = wire::status(answer.status);
        if transaction.reply_with(status, answer.headers, None).await.is_ok() && invite {
            // Its ACK, or the end of its retransmissions.
            while transaction.receive().await.is_some() {
                if transaction.is_terminated() {
                    break;
                }
            }
        }
    });
}

/// Where a request came from; `None` when that cannot be told.
fn source(request: &Request) -> Option<SocketAddr> {
    let (_, source) = SipConnection::parse_target_from_via(request.via_header().ok()?).ok()?;
    source.try_into().ok()
}

type Refusal = (Box<Transaction>, Answer);

/// Begins a call, or says how to refuse it.
fn invited(shared: &Arc<Shared>, door: &Arc<Door>, mut transaction: Transaction) -> Result<(), Refusal> {
    let refusal = |transaction, answer| Err((Box::new(transaction), answer));
    let Screened { invited, trunk, from, known, max_forwards, source } =
        match screen(shared, &transaction.original) {
            Ok(screened) => screened,
            Err(answer) => return refusal(transaction, answer),
        };
    let (place, commands) = match shared.admit(trunk.as_ref()) {
        Ok(admitted) => admitted,
        Err(refused) => {
            tracing::info!(%refused, "a call was not taken");
            let headers = vec![wire::header("Retry-After", "5")];
            return refusal(transaction, Answer { status: 503, headers });
        }
    };
    let trace = shared.settings.traces.begin(place.call());
    let (notes, note_ears) = tokio::sync::mpsc::unbounded_channel();
    let entry = Entry {
        leg: LegId(0),
        side: Side::Caller,
        nat: known.nat,
        notes: notes.clone(),
        trace: trace.as_ref().map(TraceSeat::trace),
    };
    entry.remember(shared.now(), false, Some(source), &SipMessage::Request(transaction.original.clone()));
    let Some(seat) = shared.index.enter(&invited.sip_call_id, entry) else {
        // Merged or looped (RFC 3261, 8.2.2.2).
        return refusal(transaction, Answer::plain(482));
    };
    if known.nat {
        let from = door.stack_address(source);
        let said = transaction.original.contact_header().ok().and_then(contact_uri);
        transaction.original.headers.unique_push(reached_at(&from, said.as_ref()));
    }
    let (states, state_ears) = door.dialogs.new_dialog_state_channel();
    let contact = Some(door.contact.clone());
    let created = door.dialogs.get_or_create_server_invite(&transaction, states.clone(), None, contact);
    let Ok(dialog) = created else { return refusal(transaction, Answer::plain(400)) };
    let mut handling = dialog.clone();
    tokio::spawn(async move {
        // Ends with the ACK, the CANCEL, or neither.
        if let Err(error) = handling.handle(&mut transaction).await {
            tracing::debug!(%error, "INVITE");
        }
    });
    let (account, note) = (invited.plan.account.clone(), invited.plan.note.clone());
    let beginning = Beginning { account, note, from, max_forwards, trace };
    let party = Party { nat: known.nat, ipv4: door.advertised.is_ipv4() };
    let leg = StackLeg::new(
        door.clone(),
        Side::Caller,
        dialog,
        seat,
        party,
        shared.settings.gate.expect(source.ip()),
    );
    let shared_too = shared.clone();
    shared.spawn(async move {
        let shared = shared_too;
        let mut media = shared.open_media(place.call(), &beginning.account).await;
        media.party(Side::Caller, party);
        let (mut actor, ears) = Actor::listening(
            shared.clone(),
            place,
            media,
            beginning,
            (notes, states),
            super::actor::Ears { commands, notes: note_ears, states: state_ears },
        );
        actor.legs.insert(LegId(0), leg);
        actor.run(Input::Invited(Box::new(invited)), ears).await;
    });
    Ok(())
}

struct Screened {
    invited: Invited,
    trunk: Option<crate::Trunk>,
    from: String,
    known: Known,
    max_forwards: u8,
    source: SocketAddr,
}

/// Looks at an INVITE before it becomes a call: whether it can be understood, who sent it, where it leads.
fn screen(shared: &Shared, request: &Request) -> Result<Screened, Answer> {
    let bad = || Answer::plain(400);
    let source = source(request).ok_or_else(bad)?;
    let known = shared.settings.directory.who(request, source)?;
    let max_forwards = request
        .header_value("Max-Forwards")
        .map_or(Ok(70), |value| value.trim().parse::<u8>())
        .map_err(|_| bad())?;
    let max_forwards = max_forwards.checked_sub(1).ok_or(Answer::plain(483))?;
    if let Some(answer) = beyond_us(request) {
        return Err(answer);
    }
    let session = wire::session_ask(request);
    if Session::respond(&session, LEAST).is_err() {
        return Err(Answer { status: 422, headers: vec![wire::header("Min-SE", LEAST.to_string())] });
    }
    let from = request.from_header().ok().and_then(|from| from.uri().ok()).ok_or_else(bad)?;
    let from = wire::user(&from);
    let to = wire::user(&request.uri);
    let sip_call_id = request.call_id_header().map_err(|_| bad())?.value().to_owned();
    let ask =
        Ask { who: known.who.clone(), from: from.clone(), to: to.clone(), uri: request.uri.to_string() };
    let plan = shared.settings.routes.route(&ask).map_err(|cause| Answer::plain(cause.status()))?;
    let trunk = plan.trunk.clone();
    let offer = wire::body(&request.body);
    let invited = Invited { from: from.clone(), to, sip_call_id, offer, session, plan };
    Ok(Screened { invited, trunk, from, known, max_forwards, source })
}

/// The answer to an INVITE that asks for what is not spoken here.
fn beyond_us(request: &Request) -> Option<Answer> {
    let unknown = request
        .headers
        .iter()
        .filter(|header| header.name().eq_ignore_ascii_case("Require"))
        .flat_map(|header| header.value().split(','))
        .find(|tag| !tag.trim().is_empty() && !tag.trim().eq_ignore_ascii_case("timer"));
    let refused = |status, header: Header| Some(Answer { status, headers: vec![header] });
    if let Some(unknown) = unknown {
        return refused(420, wire::header("Unsupported", unknown.trim()));
    }
    let kind = request.header_value("Content-Type").or_else(|| request.header_value("c"));
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or("application/sdp");
    if !request.body.is_empty() && !kind.trim().eq_ignore_ascii_case("application/sdp") {
        return refused(415, wire::header("Accept", "application/sdp"));
    }
    None
}
