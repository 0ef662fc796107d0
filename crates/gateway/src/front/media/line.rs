//! The media of one call.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::describe::Table;
use crate::{
    CallId, Side,
    call::{Clock, Media, MediaEvent, MediaRefused, Party, Stance},
    media::{self, MediaSession, Remote, Summary},
    recording::{CallRecording, Ending, PayloadMap, Recorder},
    sdp::{self, Codec, SdpError},
};

/// What the media of a call is made of.
pub(super) struct Parts {
    pub(super) session: MediaSession,
    pub(super) heard: mpsc::Receiver<media::MediaEvent>,
    pub(super) table: Table,
    /// What IPv4 and IPv6 find us at.
    pub(super) shown: [IpAddr; 2],
    pub(super) recorder: Arc<Recorder>,
    pub(super) call: CallId,
    /// The name of the call's recording; or why it cannot have one.
    pub(super) name: Result<String, &'static str>,
    pub(super) clock: Clock,
    pub(super) quality_every: Option<Duration>,
}

/// The media of one call.
pub(super) struct Line {
    parts: Option<Open>,
    closing: Option<JoinHandle<Summary>>,
    out: VecDeque<MediaEvent>,
    /// Which sides were heard, and in which codec.
    began: [bool; 2],
    codec: Option<Codec>,
    recording: Option<CallRecording>,
    not_recorded: Option<String>,
    ended_at: Option<SystemTime>,
    table: Table,
    shown: [IpAddr; 2],
    recorder: Arc<Recorder>,
    call: CallId,
    name: Result<String, &'static str>,
    clock: Clock,
    /// What the payload types of the sides mean.
    payloads: [PayloadMap; 2],
    /// The time of day at the zero of the session's clock.
    zero: SystemTime,
}

/// What there is until it is closed.
struct Open {
    session: MediaSession,
    heard: mpsc::Receiver<media::MediaEvent>,
    quality_every: Option<Duration>,
    quality_at: Option<Instant>,
}

const fn index(side: Side) -> usize {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

/// A moment that a clock tells.
pub(super) fn moment(at_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms)).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What the recording has to know of a side's payload types.
fn recorded(payloads: &sdp::PayloadMap) -> PayloadMap {
    let named = |payload: &sdp::Payload| {
        (payload.payload_type, crate::recording::Codec::named(payload.codec.name()), payload.clock_rate)
    };
    payloads.iter().map(named).collect()
}

/// How well a side was heard, in a call's words.
fn quality(of: &media::Quality) -> crate::Quality {
    crate::Quality {
        codec: of.codec.map(|codec| codec.name().to_owned()),
        packets: of.received,
        lost: of.lost,
        reordered: of.reordered,
        jitter_ms: (of.received > 0).then_some(of.jitter_ms),
        round_trip_ms: of.round_trip_ms,
        mos: of.mos,
    }
}

impl Line {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { session, heard, table, shown, recorder, call, name, clock, quality_every } = parts;
        let elapsed = session.elapsed();
        let now = moment(clock());
        Self {
            zero: now.checked_sub(elapsed).unwrap_or(now),
            parts: Some(Open { session, heard, quality_every, quality_at: None }),
            closing: None,
            out: VecDeque::new(),
            began: [false; 2],
            codec: None,
            recording: None,
            not_recorded: None,
            ended_at: None,
            table,
            shown,
            recorder,
            call,
            name,
            clock,
            payloads: Default::default(),
        }
    }

    fn connect(&mut self, side: Side, remote: Remote) {
        self.payloads[index(side)] = recorded(&remote.payloads);
        if let Some(recording) = &self.recording {
            recording.payloads(side, self.payloads[index(side)].clone());
        }
        if let Some(open) = &self.parts {
            open.session.connect(side, remote);
        }
    }

    fn heard(&mut self, event: &media::MediaEvent) {
        let told = match *event {
            media::MediaEvent::Began { side, codec, .. } => {
                self.began[index(side)] = true;
                self.codec = self.codec.or(codec.filter(|codec| codec.is_speech()));
                self.established()
            }
            media::MediaEvent::Digit { side, digit, .. } => Some(MediaEvent::Dtmf { side, digit }),
            media::MediaEvent::Silent { side, .. } => Some(MediaEvent::Silent(side)),
            media::MediaEvent::Returned { side, .. } => Some(MediaEvent::Heard(side)),
            media::MediaEvent::Refused { side, from, expected, .. } => {
                tracing::warn!(
                    call = %self.call, ?side, %from, %expected,
                    "media is refused, so nobody hears this side: it comes from another address than its SDP names. Set \
                     `nat = true` for its trunk or user, or `\"nat\": true` in the metadata of its endpoint"
                );
                Some(MediaEvent::Refused { side, from, expected })
            }
        };
        self.out.extend(told);
    }

    fn established(&mut self) -> Option<MediaEvent> {
        if self.began != [true; 2] {
            return None;
        }
        if let Some(open) = &mut self.parts {
            open.quality_at = open.quality_every.map(|every| Instant::now() + every);
        }
        let codec = self.codec.map_or("unknown", Codec::name).to_owned();
        Some(MediaEvent::Established { codec })
    }

    fn tell_quality(&mut self) {
        let Some(open) = &mut self.parts else { return };
        open.quality_at = open.quality_every.map(|every| Instant::now() + every);
        for side in Side::BOTH {
            let quality = quality(&open.session.quality(side));
            self.out.push_back(MediaEvent::Quality { side, quality });
        }
    }

    fn closed(&mut self, summary: &Summary) {
        for side in Side::BOTH {
            let of = summary.of(side);
            if of.received > 0 {
                self.out.push_back(MediaEvent::Quality { side, quality: quality(of) });
            }
        }
        if let Some(dropped) = self.recording.as_ref().map(|recording| recording.tap().dropped())
            && dropped > 0
        {
            self.out.push_back(MediaEvent::RecordingCut { dropped });
        }
        self.out.push_back(MediaEvent::Closed);
    }
}

impl From<SdpError> for MediaRefused {
    fn from(error: SdpError) -> Self {
        Self(error.to_string())
    }
}

#[async_trait]
impl Media for Line {
    fn party(&mut self, side: Side, party: Party) {
        let address = self.shown[usize::from(!party.ipv4)];
        self.table.stands(side, party.latching, address, super::made::session_number());
    }

    async fn relay(&mut self, from: Side, stance: Stance, sdp: &[u8]) -> Result<Bytes, MediaRefused> {
        match stance {
            Stance::Offer => Ok(self.table.offer(from, sdp)?.into()),
            Stance::Answer => {
                let (body, connected) = self.table.answer(from, sdp)?;
                for (side, remote) in connected {
                    self.connect(side, remote);
                }
                Ok(body.into())
            }
        }
    }

    fn check_answer(&self, from: Side, sdp: &[u8]) -> Result<(), MediaRefused> {
        Ok(self.table.check_answer(from, sdp)?)
    }

    async fn own(&mut self, to: Side) -> Result<Bytes, MediaRefused> {
        Ok(self.table.own(to)?.into())
    }

    fn record(&mut self) {
        let Some(open) = &self.parts else { return };
        let begun = match &self.name {
            Ok(name) => self.recorder.begin(name, self.zero).map_err(|error| error.to_string()),
            Err(reason) => Err((*reason).to_owned()),
        };
        match begun {
            Ok(recording) => {
                for side in Side::BOTH {
                    recording.payloads(side, self.payloads[index(side)].clone());
                }
                open.session.record(Some(recording.tap()));
                self.recording = Some(recording);
                self.out.push_back(MediaEvent::RecordingBegun);
            }
            Err(reason) => self.not_recorded = Some(reason),
        }
    }

    async fn next(&mut self) -> MediaEvent {
        loop {
            if let Some(event) = self.out.pop_front() {
                return event;
            }
            if let Some(closing) = &mut self.closing {
                let summary = closing.await.unwrap_or_default();
                self.closing = None;
                self.closed(&summary);
                continue;
            }
            let Some(open) = &mut self.parts else { return std::future::pending().await };
            let due = open.quality_at;
            tokio::select! {
                Some(event) = open.heard.recv() => self.heard(&event),
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.tell_quality(),
            }
        }
    }

    fn close(&mut self) {
        let Some(mut open) = self.parts.take() else { return };
        open.session.record(None);
        self.ended_at = Some(moment((self.clock)()));
        while let Ok(event) = open.heard.try_recv() {
            self.heard(&event);
        }
        self.closing = Some(tokio::spawn(open.session.close()));
    }

    fn over(&mut self) -> Option<String> {
        if let Some(recording) = self.recording.take() {
            let ended_at = self.ended_at.unwrap_or(self.zero);
            recording.end(Ending { reason: "over".to_owned(), ended_at });
        }
        self.not_recorded.take()
    }
}
