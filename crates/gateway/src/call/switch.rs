//! The gateway's SIP side as a whole: its end point, who gets which request, and the orders of the program.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use rsipstack::{
    EndpointBuilder,
    dialog::{DialogId, dialog::Dialog, dialog_layer::DialogLayer},
    platform::net::UdpSocket,
    sip::{HeadersExt, Method, Request, Uri},
    transaction::{TransactionReceiver, endpoint::EndpointInnerRef, transaction::Transaction},
    transport::{SipConnection, TransportLayer, udp::UdpConnection},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    actor::{Actor, Beginning, Note},
    directory::{Answer, Directory},
    legs::StackLeg,
    media::{Media, MediaMaker, NoMedia},
    registry::{Refused, Registry},
    session::{LEAST, Session},
    wire,
    words::{Dial, Input, Invited, LegId},
};
use crate::{Ask, CallId, Report, Routes, Side};

/// The time of day: milliseconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What the gateway needs to know.
#[derive(Clone)]
pub struct Settings {
    /// The address that peers know us by: it stands in Via and Contact.
    pub advertised: SocketAddr,
    /// What `User-Agent` says.
    pub user_agent: String,
    /// How many calls there may be.
    pub most_calls: usize,
    /// The time of day.
    pub clock: Clock,
}

/// How an order to hang up went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// The call is over on all sides.
    Ended,
    /// It is ordered, but some side has not confirmed it in time.
    Ending,
    /// There is no such call (any more).
    NoSuchCall,
}

/// The gateway could not be started.
#[derive(Debug, thiserror::Error)]
#[error("the SIP end point could not be set up: {0}")]
pub struct NotStarted(#[from] rsipstack::Error);

/// What all calls share.
pub(super) struct Shared {
    pub(super) dialogs: Arc<DialogLayer>,
    pub(super) advertised: SocketAddr,
    pub(super) contact: Uri,
    pub(super) routes: Arc<dyn Routes>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) media: Arc<dyn MediaMaker>,
    pub(super) owner: mpsc::Sender<Report>,
    pub(super) lost: Arc<AtomicU64>,
    pub(super) registry: Arc<Registry>,
    clock: Clock,
    /// Who listens to what is said of a leg, by the leg's Call-ID.
    listeners: Mutex<HashMap<String, mpsc::UnboundedSender<Note>>>,
}

impl Shared {
    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn listen(&self, sip_call_id: &str, notes: mpsc::UnboundedSender<Note>) {
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.insert(sip_call_id.to_owned(), notes);
    }

    pub(super) fn unlisten(&self, sip_call_id: &str) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).remove(sip_call_id);
    }

    /// Tells a call why a leg hangs up, before the stack tells that it does.
    fn bye_reason(&self, request: &Request) {
        let (Some(reason), Ok(call_id)) = (wire::reason(request), request.call_id_header()) else { return };
        let sip_call_id = call_id.value().to_owned();
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(listener) = listeners.get(&sip_call_id) {
            let _ = listener.send(Note::ByeReason { sip_call_id, reason });
        }
    }

    async fn open_media(&self, call: &CallId) -> Box<dyn Media> {
        match self.media.open(call).await {
            Ok(media) => media,
            Err(refused) => {
                tracing::warn!(%call, %refused, "no media for a call");
                Box::new(NoMedia::default())
            }
        }
    }
}

/// The gateway's SIP side. Dropped, it is deaf, and calls are left as they are: [`Switch::stop`] ends them.
pub struct Switch {
    shared: Arc<Shared>,
    endpoint: EndpointInnerRef,
    running: CancellationToken,
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.running.cancel();
    }
}

impl Switch {
    /// Starts to listen on a socket, and tells the owner of its calls.
    ///
    /// # Errors
    /// When the socket has no address.
    pub async fn start(
        socket: Arc<dyn UdpSocket>,
        settings: Settings,
        routes: Arc<dyn Routes>,
        directory: Arc<dyn Directory>,
        media: Arc<dyn MediaMaker>,
        owner: mpsc::Sender<Report>,
    ) -> Result<Self, NotStarted> {
        let running = CancellationToken::new();
        let transport = TransportLayer::new(running.child_token());
        let udp = UdpConnection::from_socket(socket, Some(settings.advertised), Some(running.child_token()))
            .await?;
        transport.add_transport(udp.into());
        let endpoint = EndpointBuilder::new()
            .with_cancel_token(running.child_token())
            .with_transport_layer(transport)
            .with_user_agent(&settings.user_agent)
            .build();
        let incoming = endpoint.incoming_transactions()?;
        let contact =
            Uri::try_from(format!("sip:{}", settings.advertised).as_str()).map_err(rsipstack::Error::from)?;
        let shared = Arc::new(Shared {
            dialogs: Arc::new(DialogLayer::new(endpoint.inner.clone())),
            advertised: settings.advertised,
            contact,
            routes,
            directory,
            media,
            owner,
            lost: Arc::default(),
            registry: Registry::with_room(settings.most_calls),
            clock: settings.clock,
            listeners: Mutex::default(),
        });
        let inner = endpoint.inner.clone();
        tokio::spawn(async move { endpoint.serve().await });
        tokio::spawn(dispatch(shared.clone(), incoming, running.child_token()));
        Ok(Self { shared, endpoint: inner, running })
    }

    /// Calls two parties and connects them.
    ///
    /// # Errors
    /// When there is no room for a call.
    pub fn dial(&self, order: Dial) -> Result<CallId, Refused> {
        let call = CallId::fresh();
        let (place, commands) = self.shared.registry.admit(&call, order.plan.trunk.as_ref())?;
        let shared = self.shared.clone();
        let beginning = Beginning {
            account: order.plan.account.clone(),
            note: order.plan.note.clone(),
            from: order.from.chars().filter(|c| c.is_ascii_alphanumeric() || "+-_.".contains(*c)).collect(),
            max_forwards: 70,
        };
        tokio::spawn(async move {
            let media = shared.open_media(place.call()).await;
            let channel = shared.dialogs.new_dialog_state_channel();
            let (actor, ears) = Actor::new(shared, place, commands, media, beginning, channel);
            actor.run(Input::Dial(Box::new(order)), ears).await;
        });
        Ok(call)
    }

    /// Ends a call, and waits up to a limit until it is over on all sides. An order that is given again changes nothing.
    pub async fn hang_up(&self, call: &CallId, reason: Option<String>, limit: Duration) -> HangUp {
        let Some(over) = self.shared.registry.hang_up(call, reason) else { return HangUp::NoSuchCall };
        match tokio::time::timeout(limit, over.cancelled()).await {
            Ok(()) => HangUp::Ended,
            Err(_) => HangUp::Ending,
        }
    }

    /// How many calls are not over.
    pub fn live(&self) -> usize {
        self.shared.registry.live()
    }

    /// Whether a call is not over.
    pub fn is_live(&self, call: &CallId) -> bool {
        self.shared.registry.is_live(call)
    }

    /// How many calls are not over, or are but the owner has not taken all their reports.
    pub fn admitted(&self) -> usize {
        self.shared.registry.admitted()
    }

    /// Reports that were dropped so far.
    pub fn lost_reports(&self) -> u64 {
        self.shared.lost.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How many dialogs the SIP stack holds.
    pub fn dialogs(&self) -> usize {
        self.shared.dialogs.len()
    }

    /// How many transactions the SIP stack is running.
    pub fn transactions(&self) -> usize {
        self.endpoint.get_stats().running_transactions
    }

    /// Takes no more calls, ends all, waits up to a limit until they are over on all sides, and stops listening. Says how
    /// many were not over in time.
    pub async fn stop(self, limit: Duration) -> usize {
        let ending = self.shared.registry.stop();
        let all = async {
            for over in &ending {
                over.cancelled().await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
        ending.iter().filter(|over| !over.is_cancelled()).count()
    }
}

/// Hands out requests that the stack has no transaction for.
async fn dispatch(shared: Arc<Shared>, mut incoming: TransactionReceiver, running: CancellationToken) {
    loop {
        let transaction = tokio::select! {
            () = running.cancelled() => return,
            transaction = incoming.recv() => transaction,
        };
        match transaction {
            Some(transaction) => received(&shared, transaction),
            None => return,
        }
    }
}

fn received(shared: &Arc<Shared>, mut transaction: Transaction) {
    let in_dialog = DialogId::try_from(&transaction).is_ok_and(|id| !id.local_tag.is_empty());
    match (transaction.original.method, in_dialog) {
        (Method::Ack | Method::Cancel, _) => {}
        (_, true) => match shared.dialogs.match_dialog(&transaction) {
            Some(Dialog::Invite(mut dialog)) => {
                if transaction.original.method == Method::Bye {
                    shared.bye_reason(&transaction.original);
                    if dialog.state().can_cancel() {
                        // The INVITE that this BYE comes too early for is to be answered too (RFC 3261, 15.1.2).
                        let _ = dialog.reject(Some(wire::status(487)), None);
                    }
                }
                tokio::spawn(async move {
                    if let Err(error) = dialog.handle(&mut transaction).await {
                        tracing::debug!(%error, "request within a dialog");
                    }
                });
            }
            _ => refuse(transaction, 481, Vec::new()),
        },
        (Method::Invite, false) => {
            if let Err((transaction, status, headers)) = invited(shared, transaction) {
                refuse(*transaction, status, headers);
            }
        }
        (Method::Options, false) => refuse(transaction, 200, vec![wire::header("Allow", wire::ALLOW)]),
        (Method::Bye | Method::Update | Method::Info | Method::Refer | Method::Notify, false) => {
            refuse(transaction, 481, Vec::new());
        }
        (_, false) => {
            let answer = match (&transaction.original.method, source(&transaction.original)) {
                (Method::Register, Some(source)) => shared.directory.register(&transaction.original, source),
                (_, Some(_)) => Answer::plain(405),
                (_, None) => Answer::plain(400),
            };
            refuse(transaction, answer.status, answer.headers);
        }
    }
}

/// Answers a request with a final response, and stays until that is through.
fn refuse(mut transaction: Transaction, status: u16, headers: Vec<rsipstack::sip::Header>) {
    tokio::spawn(async move {
        let invite = transaction.original.method == Method::Invite;
        if transaction.reply_with(wire::status(status), headers, None).await.is_ok() && invite {
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

type Refusal = (Box<Transaction>, u16, Vec<rsipstack::sip::Header>);

/// Begins a call, or says how to refuse it.
fn invited(shared: &Arc<Shared>, mut transaction: Transaction) -> Result<(), Refusal> {
    let screened = screen(shared, &transaction.original);
    let Screened { invited, trunk, beginning } = match screened {
        Ok(screened) => screened,
        Err((status, headers)) => return Err((Box::new(transaction), status, headers)),
    };
    let call = CallId::fresh();
    let (place, commands) = match shared.registry.admit(&call, trunk.as_ref()) {
        Ok(admitted) => admitted,
        Err(refused) => {
            tracing::info!(%refused, "a call was not taken");
            let headers = vec![wire::header("Retry-After", "5")];
            return Err((Box::new(transaction), 503, headers));
        }
    };
    let (states, state_ears) = shared.dialogs.new_dialog_state_channel();
    let contact = Some(shared.contact.clone());
    let created = shared.dialogs.get_or_create_server_invite(&transaction, states.clone(), None, contact);
    let Ok(dialog) = created else { return Err((Box::new(transaction), 400, Vec::new())) };
    let mut handling = dialog.clone();
    tokio::spawn(async move {
        // Ends with the ACK, the CANCEL, or neither.
        if let Err(error) = handling.handle(&mut transaction).await {
            tracing::debug!(%error, "INVITE");
        }
    });
    let shared = shared.clone();
    tokio::spawn(async move {
        let media = shared.open_media(place.call()).await;
        let (mut actor, ears) =
            Actor::new(shared.clone(), place, commands, media, beginning, (states, state_ears));
        let leg = StackLeg::new(&shared, Side::Caller, dialog, &actor.notes);
        actor.legs.insert(LegId(0), leg);
        actor.run(Input::Invited(Box::new(invited)), ears).await;
    });
    Ok(())
}

struct Screened {
    invited: Invited,
    trunk: Option<crate::Trunk>,
    beginning: Beginning,
}

/// Looks at an INVITE before it becomes a call: whether it can be understood, who sent it, where it leads.
fn screen(shared: &Shared, request: &Request) -> Result<Screened, (u16, Vec<rsipstack::sip::Header>)> {
    let bad = || (400, Vec::new());
    let source = source(request).ok_or_else(bad)?;
    let known = shared.directory.who(request, source).map_err(|answer| (answer.status, answer.headers))?;
    let max_forwards = request
        .header_value("Max-Forwards")
        .map_or(Ok(70), |value| value.trim().parse::<u8>())
        .map_err(|_| bad())?;
    let max_forwards = max_forwards.checked_sub(1).ok_or((483, Vec::new()))?;
    if let Some(unknown) = request
        .headers
        .iter()
        .filter(|header| header.name().eq_ignore_ascii_case("Require"))
        .flat_map(|header| header.value().split(','))
        .find(|tag| !tag.trim().is_empty() && !tag.trim().eq_ignore_ascii_case("timer"))
    {
        return Err((420, vec![wire::header("Unsupported", unknown.trim())]));
    }
    let kind = request.header_value("Content-Type").or_else(|| request.header_value("c"));
    let kind = kind.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or("application/sdp");
    if !request.body.is_empty() && !kind.trim().eq_ignore_ascii_case("application/sdp") {
        return Err((415, vec![wire::header("Accept", "application/sdp")]));
    }
    let session = wire::session_ask(request);
    if Session::respond(&session, LEAST).is_err() {
        return Err((422, vec![wire::header("Min-SE", LEAST.to_string())]));
    }
    let from = request.from_header().ok().and_then(|from| from.uri().ok()).ok_or_else(bad)?;
    let from = wire::user(&from);
    let to = wire::user(&request.uri);
    let sip_call_id = request.call_id_header().map_err(|_| bad())?.value().to_owned();
    let ask = Ask { who: known.who, from: from.clone(), to: to.clone(), uri: request.uri.to_string() };
    let plan = shared.routes.route(&ask).map_err(|cause| (cause.status(), Vec::new()))?;
    let trunk = plan.trunk.clone();
    let offer = wire::body(&request.body);
    let beginning = Beginning {
        account: plan.account.clone(),
        note: plan.note.clone(),
        from: from.clone(),
        max_forwards,
    };
    let invited = Invited { from, to, sip_call_id, offer, session, plan };
    Ok(Screened { invited, trunk, beginning })
}
