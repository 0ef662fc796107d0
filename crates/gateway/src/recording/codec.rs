//! What the payload types of a call mean.

use std::collections::BTreeMap;

/// How a payload is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 with the u-law.
    Pcmu,
    /// G.711 with the A-law.
    Pcma,
    /// G.722 at 64 kbit/s: samples 16,000 times a second, though its RTP clock says 8,000.
    G722,
    /// Opus (RFC 6716).
    Opus,
    /// Key presses, comfort noise, and whatever cannot be decoded: silence in a recording.
    Silent,
}

impl Codec {
    /// The codec that an SDP calls so (`PCMU` of `PCMU/8000`), in any case. What is not known is silent.
    pub fn named(name: &str) -> Self {
        [("PCMU", Self::Pcmu), ("PCMA", Self::Pcma), ("G722", Self::G722), ("opus", Self::Opus)]
            .into_iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(Self::Silent, |(_, codec)| codec)
    }
}

/// A payload type's codec and the clock of its RTP time stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    /// How it is coded.
    pub codec: Codec,
    /// Ticks a second of its time stamps.
    pub clock_rate: u32,
}

/// What the payload types of one side mean. Types that it does not name mean what RFC 3551 gives them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayloadMap(BTreeMap<u8, Payload>);

impl PayloadMap {
    /// Names a payload type, of 7 bits. A clock that stands still is taken as 8,000.
    pub fn insert(&mut self, payload_type: u8, codec: Codec, clock_rate: u32) {
        let clock_rate = if clock_rate == 0 { 8_000 } else { clock_rate };
        self.0.insert(payload_type & 0x7f, Payload { codec, clock_rate });
    }

    /// What a payload type means.
    pub fn meaning(&self, payload_type: u8) -> Payload {
        self.0.get(&payload_type).copied().unwrap_or(Payload {
            codec: match payload_type {
                0 => Codec::Pcmu,
                8 => Codec::Pcma,
                9 => Codec::G722,
                _ => Codec::Silent,
            },
            clock_rate: 8_000,
        })
    }

    /// The types that are named, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, Payload)> {
        self.0.iter().map(|(payload_type, payload)| (*payload_type, *payload))
    }
}

impl FromIterator<(u8, Codec, u32)> for PayloadMap {
    fn from_iter<T: IntoIterator<Item = (u8, Codec, u32)>>(types: T) -> Self {
        let mut map = Self::default();
        for (payload_type, codec, clock_rate) in types {
            map.insert(payload_type, codec, clock_rate);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_is_not_named_means_what_its_rfc_gives_it() {
        let map: PayloadMap = [(96, Codec::Opus, 48_000), (0, Codec::Silent, 0)].into_iter().collect();
        assert_eq!(map.meaning(96), Payload { codec: Codec::Opus, clock_rate: 48_000 });
        assert_eq!(map.meaning(8).codec, Codec::Pcma);
        assert_eq!(map.meaning(9), Payload { codec: Codec::G722, clock_rate: 8_000 });
        assert_eq!(map.meaning(0), Payload { codec: Codec::Silent, clock_rate: 8_000 });
        assert_eq!(map.meaning(101).codec, Codec::Silent);
    }

    #[test]
    fn a_codec_is_known_by_its_name_in_any_case() {
        assert_eq!(Codec::named("OPUS"), Codec::Opus);
        assert_eq!(Codec::named("pcma"), Codec::Pcma);
        assert_eq!(Codec::named("telephone-event"), Codec::Silent);
    }
}
