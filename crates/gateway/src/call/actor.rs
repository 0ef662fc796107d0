//! The task of one call: it feeds the state machine with what happens, and carries out what that orders.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    door::{Door, Waiting},
    legs::{Outcome, SipLeg},
    machine::Machine,
    media::{Media, Stance},
    registry::{Command, Place},
    switch::Shared,
    wire,
    words::{Action, Body, Failure, Found, Input, LegId, MediaEvent, RequestId, Timer},
};
use crate::{
    CallerIdentity, Report, TransferAsk, What, Why,
    report::Reporter,
    sip::{Answer, ClientKey, Message, Method, Received, ServerKey},
    trace::TraceSeat,
};

/// What a call is told of its dialogs, and by tasks that were begun for it.
#[derive(Debug)]
pub enum Note {
    /// A request within a dialog.
    Requested {
        /// Whose.
        leg: LegId,
        /// The door it came by.
        door: Arc<Door>,
        /// It.
        received: Box<Received>,
    },
    /// The ACK for a 2xx of ours.
    Acknowledged {
        /// Whose.
        leg: LegId,
        /// It.
        ack: Box<Message>,
    },
    /// A CANCEL, which is answered.
    Cancelled {
        /// Whose.
        leg: LegId,
        /// The INVITE it is for.
        invite: ServerKey,
        /// The value of its `Reason` header.
        reason: Option<String>,
    },
    /// A response to a request of ours.
    Responded {
        /// Who waits for it, and to what it is.
        waiting: Waiting,
        /// The door that the request left by.
        door: Arc<Door>,
        /// The request.
        key: ClientKey,
        /// The same as it was sent.
        request: Bytes,
        /// The response, and where it came from; none: there was none in time.
        response: Option<Box<(Message, std::net::SocketAddr)>>,
    },
    /// Where a target is.
    Located {
        /// The number of the question.
        ticket: u32,
        /// The places, to be tried in order; or why there is none.
        targets: Result<Vec<Found>, Why>,
    },
}

/// A request within a dialog that waits for our response.
pub(super) struct Pending {
    pub(super) leg: LegId,
    pub(super) door: Arc<Door>,
    pub(super) received: Box<Received>,
}

/// What is known of a call when it begins.
pub(super) struct Beginning {
    /// Whose it is.
    pub(super) account: Arc<str>,
    /// What its plan noted.
    pub(super) note: Arc<str>,
    /// The number or name in the `From` of legs that we call, when their target has none.
    pub(super) from: String,
    /// What else is known of who calls.
    pub(super) identity: Arc<CallerIdentity>,
    /// What `Max-Forwards` our INVITEs have.
    pub(super) max_forwards: u8,
    /// What is remembered of its messages.
    pub(super) trace: Option<TraceSeat>,
}

/// One call.
pub(super) struct Actor {
    pub(super) shared: Arc<Shared>,
    pub(super) place: Place,
    pub(super) machine: Machine,
    pub(super) media: Box<dyn Media>,
    pub(super) legs: HashMap<LegId, SipLeg>,
    pub(super) requests: HashMap<RequestId, Pending>,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) beginning: Beginning,
    timers: BTreeMap<Timer, Instant>,
    reporter: Reporter,
    next_request: u64,
    media_closed: bool,
    recording_ended: bool,
    begun_wall: u64,
    begun: Instant,
}

/// What an actor listens to, apart from its own media, timers and reports.
pub(super) struct Ears {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) notes: mpsc::UnboundedReceiver<Note>,
}

impl Actor {
    /// A call that has begun, and what it listens to.
    pub(super) fn new(
        shared: Arc<Shared>,
        place: Place,
        commands: mpsc::Receiver<Command>,
        media: Box<dyn Media>,
        beginning: Beginning,
    ) -> (Self, Ears) {
        let (notes, note_ears) = mpsc::unbounded_channel();
        let ears = Ears { commands, notes: note_ears };
        (Self::listening(shared, place, media, beginning, notes), ears)
    }

    /// The same for one whose first leg has spoken already.
    pub(super) fn listening(
        shared: Arc<Shared>,
        place: Place,
        media: Box<dyn Media>,
        beginning: Beginning,
        notes: mpsc::UnboundedSender<Note>,
    ) -> Self {
        let reporter = Reporter::new(shared.settings.owner.clone(), shared.lost.clone());
        let begun_wall = shared.now();
        Self {
            shared,
            place,
            machine: Machine::new(),
            media,
            legs: HashMap::new(),
            requests: HashMap::new(),
            notes,
            beginning,
            timers: BTreeMap::new(),
            reporter,
            next_request: 0,
            media_closed: false,
            recording_ended: false,
            begun_wall,
            begun: Instant::now(),
        }
    }

    /// Runs the call from its first input to its end, and then waits until the owner has its reports.
    pub(super) async fn run(mut self, first: Input, mut ears: Ears) {
        self.feed(first).await;
        while !self.machine.finished() {
            let due = self.timers.values().min().copied();
            tokio::select! {
                biased;
                Some(note) = ears.notes.recv() => self.noted(note).await,
                Some(command) = ears.commands.recv() => match command {
                    Command::HangUp(reason) => self.feed(Input::HangUp { reason }).await,
                    Command::Stop => self.feed(Input::Stop).await,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.ring_timers().await,
                event = self.media.next(), if !self.media_closed => {
                    self.media_closed = event == MediaEvent::Closed;
                    self.feed(Input::Media(event)).await;
                }
                () = self.reporter.next_room() => {}
            }
            self.end_recording();
        }
        self.legs.clear();
        for (_, Pending { door, received, .. }) in self.requests.drain() {
            door.respond(&received, &Answer::plain(481));
        }
        // Whoever asks meanwhile asks nobody.
        ears.notes.close();
        while let Some(note) = ears.notes.recv().await {
            self.shared.unheard(note);
        }
        self.place.over();
        self.reporter.drain().await;
        self.end_recording();
        self.reporter.drain().await;
    }

    /// Ends the recording once the owner has the end of the call, be the legs gone or not: what becomes of it is told by
    /// others, and not before that.
    fn end_recording(&mut self) {
        if self.recording_ended || !self.machine.reported_end() || !self.reporter.is_drained() {
            return;
        }
        self.recording_ended = true;
        if let Some(reason) = self.media.over() {
            let (call, account) = (self.place.call().clone(), self.beginning.account.clone());
            let what = What::NotRecorded { reason, is_empty: false };
            self.reporter.tell(Report { call, account, at: self.now(), what });
        }
    }

    /// Milliseconds since 1970 by the clock at the beginning and the time since: it never goes back.
    fn now(&self) -> u64 {
        self.begun_wall + u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Gives the machine one input, and what comes of carrying out its orders.
    pub(super) async fn feed(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let over = match &input {
                Input::Failed { leg, .. }
                | Input::Cancelled { leg, .. }
                | Input::Bye { leg, .. }
                | Input::Closed { leg } => Some(*leg),
                _ => None,
            };
            let now = self.now();
            for action in self.machine.step(now, input) {
                if let Some(back) = self.perform(action).await {
                    inputs.push_back(back);
                }
            }
            if let Some(leg) = over {
                self.forget(leg);
            }
        }
    }

    async fn ring_timers(&mut self) {
        let now = Instant::now();
        while let Some((timer, _)) = self.timers.iter().find(|(_, due)| **due <= now) {
            let timer = *timer;
            self.timers.remove(&timer);
            self.feed(Input::Fired(timer)).await;
        }
    }

    async fn noted(&mut self, note: Note) {
        let input = match note {
            Note::Requested { leg, door, received } => self.requested(leg, door, received),
            Note::Acknowledged { leg, ack } => {
                self.legs.get_mut(&leg).and_then(|sip| sip.acknowledged(leg, &ack))
            }
            Note::Cancelled { leg, invite, reason } => {
                self.cancel_asked(&invite);
                self.legs.get_mut(&leg).and_then(|sip| sip.cancelled(leg, &invite, reason))
            }
            Note::Responded { waiting, door, key, request, response } => {
                let outcome = Outcome { waiting, door, key, request };
                self.responded(&outcome, response.as_deref())
            }
            Note::Located { ticket, targets } => Some(Input::Located { ticket, targets }),
        };
        if let Some(input) = input {
            self.feed(input).await;
        }
    }

    /// A request within a dialog: what it means for the call.
    fn requested(&mut self, leg: LegId, door: Arc<Door>, received: Box<Received>) -> Option<Input> {
        let admitted = match self.legs.get_mut(&leg) {
            Some(sip) => sip.admits(&received.message).map(|()| sip),
            None => Err(Answer::plain(481)),
        };
        let sip = match admitted {
            Ok(sip) => sip,
            Err(answer) => {
                door.respond(&received, &answer);
                return None;
            }
        };
        let request = &received.message;
        if matches!(request.method(), Some(Method::Invite | Method::Update)) {
            sip.retarget(request, received.source);
        }
        if request.method() == Some(Method::Bye) {
            sip.hung_up();
            door.respond(&received, &Answer::plain(200));
            return Some(Input::Bye { leg, reason: wire::reason(request) });
        }
        if request.method() == Some(Method::Prack) {
            // An offer in it would have to be answered in its response; nobody who was heard of makes one.
            let status = match (sip.heard(request), request.body().is_empty()) {
                (true, true) => 200,
                (true, false) => 488,
                (false, _) => 481,
            };
            door.respond(&received, &Answer::plain(status));
            sip.go_on();
            return None;
        }
        let by = sip.side;
        let ask = wire::asked(request, |to| {
            let (call, beginning) = (self.place.call(), &self.beginning);
            let (account, note) = (&*beginning.account, &*beginning.note);
            self.shared.settings.routes.transfer(&TransferAsk { call, account, note, by, to })
        });
        let ask = match ask {
            Ok(ask) => ask,
            Err(answer) => {
                door.respond(&received, &answer);
                return None;
            }
        };
        if request.method() == Some(Method::Invite) {
            door.respond(&received, &Answer::plain(100));
        }
        self.next_request += 1;
        let request = RequestId(self.next_request);
        self.requests.insert(request, Pending { leg, door, received });
        Some(Input::Asked { leg, request, ask })
    }

    /// A re-INVITE is cancelled: it gets no other answer than that.
    fn cancel_asked(&mut self, invite: &ServerKey) {
        let of = self.requests.iter().find(|(_, pending)| pending.received.key == *invite).map(|(id, _)| *id);
        if let Some(Pending { door, received, .. }) = of.and_then(|id| self.requests.remove(&id)) {
            door.respond(&received, &Answer::plain(487));
        }
    }

    /// Carries out one order. What comes of it at once is the machine's next input.
    async fn perform(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Locate { ticket, target } => {
                self.locate(ticket, target);
                None
            }
            Action::Invite { leg, side, target, body, session } => {
                let Some(way) = self.way_to(&target) else {
                    return Some(Input::Failed { leg, failure: Failure::Unreachable });
                };
                self.media.party(side, way.party);
                let offer = match self.words(side, body).await {
                    Ok(offer) => offer,
                    Err(reason) => {
                        self.shared.settings.gate.refusals().count("codec");
                        return Some(Input::MediaRefused { leg, reason });
                    }
                };
                self.invite(leg, side, &target, way, (offer, session))
            }
            Action::Cancel { leg } => self.cancel(leg),
            Action::Abandon { leg } => {
                self.forget(leg);
                None
            }
            Action::Ring { leg, body } => self.ring(leg, body).await,
            Action::Accept { leg, body, session } => {
                let side = self.legs.get(&leg)?.side;
                match self.words(side, body).await {
                    Ok(body) => self.legs.get_mut(&leg)?.accept(body, session),
                    Err(reason) => {
                        self.forget(leg)?.reject(488, &crate::Cause::MediaFailure.into());
                        return Some(Input::MediaRefused { leg, reason });
                    }
                }
                None
            }
            Action::Reject { leg, status, why } => {
                self.forget(leg)?.reject(status, &why);
                None
            }
            Action::Bye { leg, why } => self.bye(leg, &why),
            Action::Send { leg, exchange, request } => self.send(leg, exchange, request).await,
            Action::Reply { request, status, body, session } => {
                self.respond(request, status, body, session).await
            }
            Action::Take { leg, answer } => {
                let side = self.legs.get(&leg)?.side;
                let taken = self.media.relay(side, Stance::Answer, &answer).await;
                taken.err().map(|refused| Input::MediaRefused { leg, reason: refused.to_string() })
            }
            Action::Start { timer, after } => {
                self.timers.insert(timer, Instant::now() + after);
                None
            }
            Action::Stop { timer } => {
                self.timers.remove(&timer);
                None
            }
            Action::Record => {
                self.media.record();
                None
            }
            Action::CloseMedia => {
                self.media.close();
                None
            }
            Action::Report { at, what } => {
                let call = self.place.call().clone();
                let account = self.beginning.account.clone();
                self.reporter.tell(Report { call, account, at, what });
                None
            }
            Action::Finish => None,
        }
    }

    /// Rings a caller, with early media where it can be relayed. Media that cannot be is no reason not to ring.
    async fn ring(&mut self, leg: LegId, body: Body) -> Option<Input> {
        let side = self.legs.get(&leg)?.side;
        let body = self.words(side, body).await.unwrap_or_default();
        self.legs.get_mut(&leg)?.ring(body);
        None
    }

    /// Lets a leg go. Who else stands on its side is there again, as far as the media is concerned.
    fn forget(&mut self, leg: LegId) -> Option<SipLeg> {
        let gone = self.legs.remove(&leg)?;
        if let Some(stays) = self.legs.values().find(|stays| stays.side == gone.side) {
            self.media.party(stays.side, stays.party);
        }
        Some(gone)
    }

    /// The SDP of a message to a side; or why there is none.
    pub(super) async fn words(&mut self, to: crate::Side, body: Body) -> Result<Option<Vec<u8>>, String> {
        let words = match body {
            Body::None => return Ok(None),
            Body::Offer(sdp) => self.media.relay(to.other(), Stance::Offer, &sdp).await,
            Body::Answer(sdp) => self.media.relay(to.other(), Stance::Answer, &sdp).await,
            Body::Own => self.media.own(to).await,
        };
        match words {
            Ok(words) => Ok(Some(words.to_vec())),
            Err(refused) => {
                tracing::info!(call = %self.place.call(), %refused, "media refused");
                Err(refused.to_string())
            }
        }
    }
}
