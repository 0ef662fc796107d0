//! What a call does in all its turns, without a network.

mod lab;
mod network;
pub mod phone;
mod property;
mod races;
mod stories;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;

use super::{failure::OwnFailure, machine::Machine, session::SessionAsk, words::*};
use crate::{Direction, Ended, Limits, Plan, Side, Target, What};

/// A machine, its clock and timers, and everything it ordered.
pub struct Bench {
    pub machine: Machine,
    pub now: u64,
    pub timers: BTreeMap<Timer, u64>,
    pub orders: Vec<Action>,
    pub reports: Vec<What>,
    /// Requests of peers that have no response yet.
    pub unanswered: BTreeSet<RequestId>,
    pub finished: bool,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            machine: Machine::new(),
            now: 1_000_000,
            timers: BTreeMap::new(),
            orders: Vec::new(),
            reports: Vec::new(),
            unanswered: BTreeSet::new(),
            finished: false,
        }
    }

    /// Feeds one input and says what was ordered. What must hold of every single order is asserted here.
    pub fn feed(&mut self, input: Input) -> Vec<Action> {
        if let Input::Asked { request, .. } = &input {
            assert!(self.unanswered.insert(*request));
        }
        if let Input::Fired(timer) = &input {
            self.timers.remove(timer);
        }
        let actions = self.machine.step(self.now, input);
        for action in &actions {
            assert!(!self.finished || matches!(action, Action::Reply { .. }), "after the end: {action:?}");
            match action {
                Action::Start { timer, after } => {
                    self.timers.insert(*timer, self.now + after.as_millis() as u64);
                }
                Action::Stop { timer } => {
                    assert!(self.timers.remove(timer).is_some(), "{timer:?} was stopped, but does not run");
                }
                Action::Reply { request, .. } => {
                    assert!(self.unanswered.remove(request), "{request:?} was answered twice");
                }
                Action::Report { at, what } => {
                    assert_eq!(*at, self.now);
                    self.reports.push(what.clone());
                }
                Action::Finish => self.finished = true,
                _ => {}
            }
        }
        self.orders.extend(actions.iter().cloned());
        actions
    }

    /// Lets the next timer run out; `false` when none runs.
    pub fn wait(&mut self) -> bool {
        let Some((timer, due)) = self.timers.iter().map(|(timer, due)| (*timer, *due)).min_by_key(|t| t.1)
        else {
            return false;
        };
        self.now = self.now.max(due);
        self.feed(Input::Fired(timer));
        true
    }

    pub fn ended(&self) -> Option<&Ended> {
        match self.reports.last() {
            Some(What::Ended(ended)) => Some(ended),
            _ => None,
        }
    }

    pub fn count(&self, of: impl Fn(&Action) -> bool) -> usize {
        self.orders.iter().filter(|action| of(action)).count()
    }
}

pub fn sdp(name: &str) -> Option<Bytes> {
    Some(Bytes::from(format!("v=0\r\ns={name}\r\n")))
}

pub fn plan(targets: usize) -> Plan {
    Plan {
        account: "1".into(),
        note: "".into(),
        direction: Direction::Inbound,
        trunk: None,
        headers: Vec::new(),
        targets: (0..targets).map(|n| Target::at(format!("sip:agent@127.0.0.{n}"))).collect(),
        record: true,
        limits: Limits::default(),
    }
}

pub fn invited(targets: usize) -> Input {
    Input::Invited(Box::new(Invited {
        from: "+4930123".into(),
        identity: Arc::default(),
        to: "+4930456".into(),
        sip_call_id: "abc@peer".into(),
        offer: sdp("caller"),
        session: SessionAsk::default(),
        plan: plan(targets),
    }))
}

pub fn dial(first: usize, then: usize) -> Input {
    Input::Dial(Box::new(Dial {
        from: "agent".into(),
        to: "+4930456".into(),
        first: plan(first).targets,
        plan: plan(then),
    }))
}

pub const CALLER: LegId = LegId(0);
pub const CALLEE: LegId = LegId(1);

pub fn answered(name: &str) -> Result<Bytes, OwnFailure> {
    sdp(name).ok_or(OwnFailure::NoAnswer)
}

pub fn accepted(leg: LegId) -> Input {
    Input::Accepted { leg, body: answered("callee"), session: SessionAsk::default() }
}

pub fn refused(leg: LegId, status: u16) -> Input {
    Input::Failed { leg, failure: Failure::Refused { status, reason: None, min_session: None } }
}

pub fn ringing(leg: LegId) -> Input {
    Input::Progress { leg, status: 180, body: None }
}

/// A call whose sides talk.
pub fn talking() -> Bench {
    let mut bench = Bench::new();
    bench.feed(invited(2));
    bench.feed(ringing(CALLEE));
    bench.feed(accepted(CALLEE));
    bench.feed(Input::Acknowledged { leg: CALLER, body: None });
    bench
}

pub fn side_of(leg: LegId) -> Side {
    if leg == CALLER { Side::Caller } else { Side::Callee }
}
