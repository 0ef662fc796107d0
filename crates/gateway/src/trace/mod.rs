//! The messages of calls, remembered for who looks into one: the last of each call, in bounded memory.
//!
//! Secrets of a message are not kept; for the rest it is masked when it is read: most never are.

mod mask;
mod message;
mod secrets;

pub use message::Traced;

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use lru::LruCache;

use crate::{CallId, Side, front::TraceSettings};

/// All calls' messages.
#[derive(Debug)]
pub struct Traces {
    settings: TraceSettings,
    calls: Mutex<Calls>,
}

#[derive(Debug)]
struct Calls {
    live: HashMap<CallId, Arc<CallTrace>>,
    /// The call that ended first is forgotten first.
    ended: Option<LruCache<CallId, Arc<CallTrace>>>,
}

/// The messages of one call.
#[derive(Debug)]
pub struct CallTrace {
    settings: TraceSettings,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<Message>,
    bytes: usize,
}

#[derive(Debug)]
struct Message {
    at_ms: u64,
    leg: (u32, Side),
    sent: bool,
    peer: Option<SocketAddr>,
    text: Bytes,
}

/// A call's place among those that last. Dropped, it has ended.
#[derive(Debug)]
pub struct TraceSeat {
    traces: Arc<Traces>,
    call: CallId,
    trace: Arc<CallTrace>,
}

impl Traces {
    /// Remembers nothing yet.
    pub fn new(settings: TraceSettings) -> Arc<Self> {
        let ended = NonZeroUsize::new(settings.ended).map(LruCache::new);
        Arc::new(Self { settings, calls: Mutex::new(Calls { live: HashMap::new(), ended }) })
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with a call; `None` when nothing is to be remembered.
    pub fn begin(self: &Arc<Self>, call: &CallId) -> Option<TraceSeat> {
        if self.settings.messages == 0 {
            return None;
        }
        let trace = Arc::new(CallTrace { settings: self.settings, kept: Mutex::default() });
        self.calls().live.insert(call.clone(), trace.clone());
        Some(TraceSeat { traces: self.clone(), call: call.clone(), trace })
    }

    /// The last messages of a call, oldest first.
    pub fn read(&self, call: &CallId) -> Option<Vec<Traced>> {
        let trace = {
            let mut calls = self.calls();
            let live = calls.live.get(call).cloned();
            live.or_else(|| calls.ended.as_mut()?.peek(call).cloned())?
        };
        Some(trace.read())
    }
}

impl TraceSeat {
    /// Where messages are noted.
    pub fn trace(&self) -> Arc<CallTrace> {
        self.trace.clone()
    }
}

impl Drop for TraceSeat {
    fn drop(&mut self) {
        let mut calls = self.traces.calls();
        calls.live.remove(&self.call);
        if let Some(ended) = &mut calls.ended {
            ended.push(self.call.clone(), self.trace.clone());
        }
    }
}

impl CallTrace {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a message of a leg without its secrets; one that has none is shared with whoever else holds it. The oldest make room
    /// for it.
    pub fn note(&self, at_ms: u64, leg: (u32, Side), sent: bool, peer: Option<SocketAddr>, text: Bytes) {
        let text = secrets::without_secrets(&text).map_or(text, Bytes::from);
        let mut kept = self.kept();
        kept.bytes += text.len();
        kept.messages.push_back(Message { at_ms, leg, sent, peer, text });
        while kept.messages.len() > self.settings.messages || kept.bytes > self.settings.bytes {
            let Some(oldest) = kept.messages.pop_front() else { break };
            kept.bytes -= oldest.text.len();
        }
    }

    fn read(&self) -> Vec<Traced> {
        let text = |message: &Message| {
            let text = String::from_utf8_lossy(&message.text);
            if self.settings.masked { mask::masked(&text) } else { text.into_owned() }
        };
        let read = |message: &Message| Traced {
            at_ms: message.at_ms,
            side: message.leg.1,
            leg: message.leg.0,
            sent: message.sent,
            peer: message.peer,
            text: text(message),
        };
        self.kept().messages.iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(call_id: &str) -> Bytes {
        let text = format!(
            "OPTIONS sip:+14155551234@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\
             From: <sip:b@c>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\n\r\n"
        );
        text.into()
    }

    fn noted(trace: &CallTrace, call_id: &str) {
        trace.note(1, (0, Side::Caller), true, None, message(call_id));
    }

    #[test]
    fn the_last_messages_of_a_call_are_kept_and_the_last_calls_that_ended() {
        let traces = Traces::new(TraceSettings { messages: 2, ended: 1, ..TraceSettings::default() });
        let (first, second) = (CallId::new("1"), CallId::new("2"));
        let seat = traces.begin(&first).unwrap();
        for call_id in ["a", "b", "c"] {
            noted(&seat.trace(), call_id);
        }
        let read = traces.read(&first).unwrap();
        assert_eq!(read.len(), 2);
        assert!(read[0].text.contains("Call-ID: b") && read[1].text.contains("Call-ID: c"));
        assert!(read[0].text.contains("sip:+1415***1234@"), "{}", read[0].text);
        drop(seat);
        assert_eq!(traces.read(&first).map(|read| read.len()), Some(2));
        drop(traces.begin(&second));
        assert_eq!((traces.read(&first), traces.read(&second)), (None, Some(Vec::new())));
    }

    #[test]
    fn the_bytes_of_a_call_are_bounded() {
        let settings = TraceSettings { bytes: 500, masked: false, ..TraceSettings::default() };
        let traces = Traces::new(settings);
        let seat = traces.begin(&CallId::new("1")).unwrap();
        for _ in 0..100 {
            noted(&seat.trace(), "a");
        }
        let read = seat.trace.read();
        let bytes: usize = read.iter().map(|message| message.text.len()).sum();
        assert!(bytes <= 500 && !read.is_empty(), "{bytes}");
        assert!(read[0].text.contains("+14155551234"));
    }

    #[test]
    fn secrets_are_not_kept_where_nothing_is_masked() {
        let traces = Traces::new(TraceSettings { masked: false, ..TraceSettings::default() });
        let seat = traces.begin(&CallId::new("1")).unwrap();
        let text = "INVITE sip:ann@h SIP/2.0\r\nAuthorization: Digest response=\"s\"\r\n\r\n";
        seat.trace().note(1, (0, Side::Caller), false, None, text.into());
        let kept = seat.trace().kept().messages[0].text.clone();
        assert_eq!(kept, "INVITE sip:ann@h SIP/2.0\r\nAuthorization: (removed)\r\n\r\n");
        assert_eq!(seat.trace().read()[0].text.as_bytes(), kept);
    }

    #[test]
    fn nothing_is_remembered_where_nothing_is_to_be() {
        let traces = Traces::new(TraceSettings { messages: 0, ..TraceSettings::default() });
        assert!(traces.begin(&CallId::new("1")).is_none());
    }
}
