//! Makes the media of calls.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
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
    media::{MediaConfig, MediaSession},
    recording::Recorder,
};

/// Makes the media of calls.
pub(in crate::front) struct Maker {
    pub(in crate::front) config: MediaConfig,
    /// What IPv4 and IPv6 find us at.
    pub(in crate::front) shown: [IpAddr; 2],
    pub(in crate::front) recorder: Arc<Recorder>,
    pub(in crate::front) clock: Clock,
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
            call: call.clone(),
            name: recording_name(call, account),
            clock: self.clock.clone(),
            quality_every: self.quality_every,
        })))
    }
}
