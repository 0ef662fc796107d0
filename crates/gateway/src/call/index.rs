//! Which leg of which call a message belongs to, by its Call-ID.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use rsipstack::sip::SipMessage;
use tokio::sync::mpsc;

use super::{actor::Note, words::LegId};
use crate::{Side, trace::CallTrace};

/// A leg, as far as its messages are concerned.
#[derive(Debug)]
pub struct Entry {
    /// Its number.
    pub leg: LegId,
    /// The side it stands on.
    pub side: Side,
    /// Whether it is behind address translation, so that what it says of its own address is of no use.
    pub nat: bool,
    /// Its call's task.
    pub notes: mpsc::UnboundedSender<Note>,
    /// What is remembered of its call's messages.
    pub trace: Option<Arc<CallTrace>>,
}

impl Entry {
    /// Remembers a message.
    pub fn remember(&self, at_ms: u64, sent: bool, peer: Option<SocketAddr>, message: &SipMessage) {
        if let Some(trace) = &self.trace {
            trace.note(at_ms, (self.leg.0, self.side), sent, peer, message);
        }
    }
}

/// All legs.
#[derive(Debug, Default)]
pub struct Index {
    entries: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
}

/// A leg's place in the index. Dropped, it is gone from there.
#[derive(Debug)]
pub struct Seat {
    index: Arc<Index>,
    sip_call_id: Arc<str>,
}

impl Index {
    /// Takes a leg in; `None` when another has the Call-ID: a request that came twice by different ways, or a loop.
    pub fn enter(self: &Arc<Self>, sip_call_id: &str, entry: Entry) -> Option<Seat> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let sip_call_id: Arc<str> = sip_call_id.into();
        if entries.contains_key(&sip_call_id) {
            return None;
        }
        entries.insert(sip_call_id.clone(), Arc::new(entry));
        Some(Seat { index: self.clone(), sip_call_id })
    }

    /// The leg with a Call-ID.
    pub fn find(&self, sip_call_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(sip_call_id).cloned()
    }
}

impl Seat {
    /// The Call-ID.
    pub fn sip_call_id(&self) -> &str {
        &self.sip_call_id
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entries = self.index.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&self.sip_call_id);
    }
}
