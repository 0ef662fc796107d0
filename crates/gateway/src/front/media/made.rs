//! Makes the media of calls.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    describe::Table,
    line::{Line, Parts},
};
use crate::{
    CallId, Side,
    call::{Clock, Media, MediaMaker, MediaRefused},
    front::RtpCounts,
    media::{MediaConfig, MediaSession, Ports, Summary},
    recording::Recorder,
};

/// What was heard in all calls that are over.
#[derive(Debug, Default)]
pub(in crate::front) struct RtpTotals {
    received: AtomicU64,
    relayed: AtomicU64,
    lost: AtomicU64,
    refused: AtomicU64,
    malformed: AtomicU64,
    unsent: AtomicU64,
}

impl RtpTotals {
    pub(super) fn add(&self, summary: &Summary) {
        let add = |to: &AtomicU64, more: u64| to.fetch_add(more, Ordering::Relaxed);
        for side in Side::BOTH {
            let of = summary.of(side);
            add(&self.received, of.received);
            add(&self.relayed, of.relayed);
            add(&self.lost, of.lost);
            add(&self.refused, of.refused);
            add(&self.malformed, of.malformed);
        }
        add(&self.unsent, summary.unsent);
    }

    /// The sums, and the ports in use.
    pub(in crate::front) fn counts(&self, ports: &Ports) -> RtpCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        RtpCounts {
            received: read(&self.received),
            relayed: read(&self.relayed),
            lost: read(&self.lost),
            refused: read(&self.refused),
            malformed: read(&self.malformed),
            unsent: read(&self.unsent),
            pairs_in_use: ports.in_use(),
            pairs: ports.pairs(),
        }
    }
}

/// Makes the media of calls.
pub(in crate::front) struct Maker {
    pub(in crate::front) config: MediaConfig,
    /// What IPv4 and IPv6 find us at.
    pub(in crate::front) shown: [IpAddr; 2],
    pub(in crate::front) recorder: Arc<Recorder>,
    pub(in crate::front) clock: Clock,
    pub(in crate::front) totals: Arc<RtpTotals>,
    pub(in crate::front) quality_every: Option<Duration>,
}

/// A number for a session of SDP: any that others do not guess.
pub(super) fn session_number() -> u32 {
    uuid::Uuid::now_v7().as_fields().3.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte))
        & 0x7fff_ffff
}

/// The name of a call's recording: whose it is can be read from it.
fn recording_name(call: &CallId, account: &str) -> Result<String, &'static str> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if account.is_empty() || !account.bytes().all(fine) {
        return Err("the account has no name that a file can have");
    }
    Ok(format!("{account}.{call}"))
}

#[async_trait]
impl MediaMaker for Maker {
    fn has_room(&self) -> bool {
        let ports = &self.config.ports;
        ports.in_use() + Side::BOTH.len() <= ports.pairs()
    }

    async fn open(&self, call: &CallId, account: &str) -> Result<Box<dyn Media>, MediaRefused> {
        let opened = MediaSession::open(&self.config).map_err(|error| MediaRefused(error.to_string()));
        let (session, heard) = opened?;
        let at = |side| {
            let port = session.local(side).port();
            SocketAddr::new(self.shown[0], port)
        };
        let table = Table::new([at(Side::Caller), at(Side::Callee)], [session_number(), session_number()]);
        Ok(Box::new(Line::new(Parts {
            session,
            heard,
            table,
            shown: self.shown,
            recorder: self.recorder.clone(),
            name: recording_name(call, account),
            clock: self.clock.clone(),
            totals: self.totals.clone(),
            quality_every: self.quality_every,
        })))
    }
}
