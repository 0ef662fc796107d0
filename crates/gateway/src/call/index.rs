//! Which leg of which call a message belongs to, by its Call-ID.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{actor::Note, words::LegId};
use crate::{Side, sip::Message, trace::CallTrace};

/// A leg, as far as its messages are concerned.
#[derive(Debug)]
pub struct Entry {
    /// Its number.
    pub leg: LegId,
    /// The side it stands on.
    pub side: Side,
    /// Its call's task.
    pub notes: mpsc::UnboundedSender<Note>,
    /// What is remembered of its call's messages.
    pub trace: Option<Arc<CallTrace>>,
}

impl Entry {
    /// Remembers a message.
    pub fn remember(&self, at_ms: u64, sent: bool, peer: SocketAddr, message: Bytes) {
        if let Some(trace) = &self.trace {
            trace.note(at_ms, (self.leg.0, self.side), sent, Some(peer), message);
        }
    }
}

/// All legs.
#[derive(Debug, Default)]
pub struct Index {
    entries: RwLock<HashMap<Arc<str>, Arc<Entry>>>,
    tags: RandomState,
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

    /// Our tag in responses to a request: the same for the same request and its CANCEL, and one that nobody can guess.
    pub fn tag(&self, request: &Message) -> String {
        let number = request.cseq().map(|(number, _)| number);
        format!("{:016x}", self.tags.hash_one((request.call_id(), request.from_tag(), number)))
    }

    /// How many legs there are.
    pub fn len(&self) -> usize {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The leg with a Call-ID.
    pub fn find(&self, sip_call_id: &str) -> Option<Arc<Entry>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner).get(sip_call_id).cloned()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut entries = self.index.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.remove(&self.sip_call_id);
    }
}
