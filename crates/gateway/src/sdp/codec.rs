//! The codecs that can be relayed and recorded, and the payload types that stand for them.

/// What the gateway can relay and record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722 at 64 kbit/s. Its RTP clock is 8000 although it samples at 16 kHz (RFC 3551, 4.5.2).
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// Keys pressed, as events (RFC 4733).
    TelephoneEvent,
    /// Comfort noise (RFC 3389).
    ComfortNoise,
}

impl Codec {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus, Self::TelephoneEvent, Self::ComfortNoise];

    /// Its name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
            Self::TelephoneEvent => "telephone-event",
            Self::ComfortNoise => "CN",
        }
    }

    /// Whether it carries speech: a call needs one that does.
    pub const fn is_speech(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma | Self::G722 | Self::Opus)
    }

    /// Samples a second of the sound it carries; what an RTP clock counts is in [`Payload::clock_rate`].
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::TelephoneEvent | Self::ComfortNoise => 8000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// The payload type that stands for it without `a=rtpmap` (RFC 3551, 6).
    pub(super) const fn fixed(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            13 => Some(Self::ComfortNoise),
            _ => None,
        }
    }

    fn named(name: &str, clock_rate: u32, channels: u8) -> Option<Self> {
        let codec = Self::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))?;
        let fits = match codec {
            Self::Pcmu | Self::Pcma | Self::G722 => clock_rate == 8000 && channels == 1,
            Self::Opus => clock_rate == 48_000 && channels == 2,
            Self::TelephoneEvent | Self::ComfortNoise => (8000..=48_000).contains(&clock_rate),
        };
        fits.then_some(codec)
    }
}

/// What a payload type stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The payload type; at most 127.
    pub payload_type: u8,
    /// Its codec.
    pub codec: Codec,
    /// Ticks a second of its RTP time stamps; never 0.
    pub clock_rate: u32,
    /// Channels, as described; Opus always says 2.
    pub channels: u8,
    /// Its parameters (`a=fmtp`), as described.
    pub fmtp: Option<String>,
}

impl Payload {
    /// A payload type that needs no `a=rtpmap`.
    pub(super) fn fixed(payload_type: u8) -> Option<Self> {
        let codec = Codec::fixed(payload_type)?;
        Some(Self { payload_type, codec, clock_rate: 8000, channels: 1, fmtp: None })
    }

    /// Of an encoding as in `a=rtpmap`: `opus/48000/2`. `None` when it is not one of ours.
    pub(super) fn encoded(payload_type: u8, encoding: &str) -> Option<Self> {
        let mut parts = encoding.trim().split('/');
        let name = parts.next()?;
        let clock_rate = parts.next()?.parse().ok()?;
        let channels = parts.next().map_or(Some(1), |channels| channels.trim().parse().ok())?;
        let codec = Codec::named(name, clock_rate, channels)?;
        Some(Self { payload_type, codec, clock_rate, channels, fmtp: None })
    }
}

/// What the payload types of a stream stand for, in order of preference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadMap(Vec<Payload>);

impl PayloadMap {
    /// What a payload type stands for.
    pub fn get(&self, payload_type: u8) -> Option<&Payload> {
        self.0.iter().find(|payload| payload.payload_type == payload_type)
    }

    /// All, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Payload> {
        self.0.iter()
    }

    /// The speech codec that is liked best.
    pub fn preferred(&self) -> Option<&Payload> {
        self.0.iter().find(|payload| payload.codec.is_speech())
    }

    /// Whether both know a speech codec: without one they cannot talk through a relay.
    pub fn shares_speech_with(&self, other: &Self) -> bool {
        self.0
            .iter()
            .any(|own| own.codec.is_speech() && other.0.iter().any(|others| others.codec == own.codec))
    }

    /// What packets mean that are sent towards the side that described `self`, by a side that described `sender`. A
    /// sender uses the receiver's payload types (RFC 3264, 5.1); some use their own.
    #[must_use]
    pub fn towards(&self, sender: &Self) -> Self {
        let own = sender.0.iter().filter(|payload| self.get(payload.payload_type).is_none());
        Self(self.0.iter().chain(own).cloned().collect())
    }
}

impl FromIterator<Payload> for PayloadMap {
    fn from_iter<I: IntoIterator<Item = Payload>>(payloads: I) -> Self {
        Self(payloads.into_iter().collect())
    }
}
