//! The task of one call: it feeds the state machine with what happens, and carries out what that orders.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use rsipstack::{
    dialog::dialog::{DialogState, DialogStateReceiver, DialogStateSender, TransactionHandle},
    sip::Response,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    legs::StackLeg,
    machine::Machine,
    media::{Media, Stance},
    registry::{Command, Place},
    switch::Shared,
    wire,
    words::{Action, Body, Failure, Found, Input, LegId, MediaEvent, RequestId, Timer},
};
use crate::{Report, TransferAsk, What, Why, report::Reporter, trace::TraceSeat};

/// What a task that was begun for a call comes back with.
#[derive(Debug)]
pub enum Note {
    /// The final response to an INVITE; none: there was none.
    Invited {
        /// Whose.
        leg: LegId,
        /// It.
        response: Option<Box<Response>>,
    },
    /// A BYE of ours is through.
    Closed {
        /// Whose.
        leg: LegId,
    },
    /// The final response to a re-INVITE or UPDATE.
    Replied {
        /// Whose.
        leg: LegId,
        /// The request's number.
        exchange: u32,
        /// It.
        response: Option<Box<Response>>,
    },
    /// The reason that a BYE gives, which comes before the BYE itself.
    ByeReason {
        /// Whose.
        leg: LegId,
        /// The value of the header.
        reason: String,
    },
    /// Where a target is.
    Located {
        /// The number of the question.
        ticket: u32,
        /// The places, to be tried in order; or why there is none.
        targets: Result<Vec<Found>, Why>,
    },
}

/// What is known of a call when it begins.
pub(super) struct Beginning {
    /// Whose it is.
    pub(super) account: Arc<str>,
    /// What its plan noted.
    pub(super) note: Arc<str>,
    /// The `From` of legs that we call, when their target has none.
    pub(super) from: String,
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
    pub(super) legs: HashMap<LegId, StackLeg>,
    pub(super) requests: HashMap<RequestId, TransactionHandle>,
    pub(super) notes: mpsc::UnboundedSender<Note>,
    pub(super) states: DialogStateSender,
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
    pub(super) states: DialogStateReceiver,
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
        let (states, state_ears) = mpsc::unbounded_channel();
        let ears = Ears { commands, notes: note_ears, states: state_ears };
        Self::listening(shared, place, media, beginning, (notes, states), ears)
    }

    /// The same for one whose first leg has spoken already.
    pub(super) fn listening(
        shared: Arc<Shared>,
        place: Place,
        media: Box<dyn Media>,
        beginning: Beginning,
        (notes, states): (mpsc::UnboundedSender<Note>, DialogStateSender),
        ears: Ears,
    ) -> (Self, Ears) {
        let reporter = Reporter::new(shared.settings.owner.clone(), shared.lost.clone());
        let begun_wall = shared.now();
        let actor = Self {
            shared,
            place,
            machine: Machine::new(),
            media,
            legs: HashMap::new(),
            requests: HashMap::new(),
            notes,
            states,
            beginning,
            timers: BTreeMap::new(),
            reporter,
            next_request: 0,
            media_closed: false,
            recording_ended: false,
            begun_wall,
            begun: Instant::now(),
        };
        (actor, ears)
    }

    /// Runs the call from its first input to its end, and then waits until the owner has its reports.
    pub(super) async fn run(mut self, first: Input, mut ears: Ears) {
        self.feed(first).await;
        while !self.machine.finished() {
            let due = self.timers.values().min().copied();
            tokio::select! {
                biased;
                // Before states: a BYE's reason has to be known when the BYE is.
                Some(note) = ears.notes.recv() => {
                    if matches!(note, Note::Invited { .. }) {
                        // What its target said before comes before its final word.
                        while let Ok(state) = ears.states.try_recv() {
                            self.changed(state).await;
                        }
                    }
                    self.noted(note).await;
                }
                Some(state) = ears.states.recv() => self.changed(state).await,
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
        // Whoever asks meanwhile asks nobody.
        ears.states.close();
        while let Some(state) = ears.states.recv().await {
            self.changed(state).await;
        }
        self.legs.clear();
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
        match note {
            Note::Invited { leg, response } => {
                let input = self.invite_outcome(leg, response.as_deref());
                self.feed(input).await;
            }
            Note::Closed { leg } => self.feed(Input::Closed { leg }).await,
            Note::Replied { leg, exchange, response } => {
                let response = response.as_deref();
                let status = response.map(|response| response.status_code.code());
                let body = response.and_then(|response| wire::body(&response.body));
                let session = response.map(wire::session_ask).unwrap_or_default();
                self.feed(Input::Replied { leg, exchange, status, body, session }).await;
            }
            Note::ByeReason { leg, reason } => {
                if let Some(leg) = self.legs.get_mut(&leg) {
                    leg.bye_reason = Some(reason);
                }
            }
            Note::Located { ticket, targets } => self.feed(Input::Located { ticket, targets }).await,
        }
    }

    /// Takes in what the stack says of one of the call's dialogs.
    async fn changed(&mut self, state: DialogState) {
        let sip_call_id = &state.id().call_id;
        let leg = self.legs.iter().find(|(_, leg)| leg.sip_call_id() == sip_call_id).map(|(id, _)| *id);
        match state {
            DialogState::Updated(_, request, handle)
            | DialogState::Refer(_, request, handle)
            | DialogState::Info(_, request, handle)
            | DialogState::Options(_, request, handle)
            | DialogState::Message(_, request, handle)
            | DialogState::Publish(_, request, handle)
            | DialogState::Notify(_, request, handle) => {
                let Some(leg) = leg else {
                    let _ = handle.reply(wire::status(481)).await;
                    return;
                };
                self.next_request += 1;
                let id = RequestId(self.next_request);
                self.requests.insert(id, handle);
                let by = self.legs.get(&leg).map(|stack| stack.side);
                let ask = wire::asked(&request, |to| {
                    let (call, beginning) = (self.place.call(), &self.beginning);
                    let (account, note) = (&*beginning.account, &*beginning.note);
                    self.shared.settings.routes.transfer(&TransferAsk { call, account, note, by: by?, to })
                });
                self.feed(Input::Asked { leg, request: id, ask }).await;
            }
            DialogState::Calling(_)
            | DialogState::Trying(_)
            | DialogState::Early(..)
            | DialogState::WaitAck(..)
            | DialogState::Confirmed(..)
            | DialogState::Terminated(..) => {
                if let Some(leg) = leg
                    && let Some(input) = self.legs.get_mut(&leg).and_then(|stack| stack.heard(leg, state))
                {
                    self.feed(input).await;
                }
            }
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
                let Ok(offer) = self.words(side, body).await else {
                    return Some(Input::MediaRefused { leg });
                };
                self.invite(leg, side, &target, way, (offer, session))
            }
            Action::Cancel { leg } => self.cancel(leg),
            Action::Abandon { leg } => {
                if let Some(leg) = self.forget(leg) {
                    leg.abandon();
                }
                None
            }
            Action::Ring { leg, body } => {
                let side = self.legs.get(&leg)?.side;
                // Early media that cannot be relayed is no reason not to ring.
                let body = self.words(side, body).await.unwrap_or_default();
                self.legs.get(&leg)?.ring(body);
                None
            }
            Action::Accept { leg, body, session } => {
                let side = self.legs.get(&leg)?.side;
                match self.words(side, body).await {
                    Ok(body) => self.legs.get(&leg)?.accept(body, session),
                    Err(()) => {
                        self.forget(leg)?.reject(488, &crate::Cause::MediaFailure.into());
                        return Some(Input::MediaRefused { leg });
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
            Action::Reply { leg, request, status, body, session } => {
                self.respond(leg, request, status, body, session).await
            }
            Action::Take { leg, answer } => {
                let side = self.legs.get(&leg)?.side;
                let taken = self.media.relay(side, Stance::Answer, &answer).await;
                taken.is_err().then_some(Input::MediaRefused { leg })
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

    /// Lets a leg go. Who else stands on its side is there again, as far as the media is concerned.
    fn forget(&mut self, leg: LegId) -> Option<StackLeg> {
        let gone = self.legs.remove(&leg)?;
        if let Some(stays) = self.legs.values().find(|stays| stays.side == gone.side) {
            self.media.party(stays.side, stays.party);
        }
        Some(gone)
    }

    /// The SDP of a message to a side.
    pub(super) async fn words(&mut self, to: crate::Side, body: Body) -> Result<Option<Vec<u8>>, ()> {
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
                Err(())
            }
        }
    }
}
