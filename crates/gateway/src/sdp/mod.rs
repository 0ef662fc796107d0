//! Session descriptions (RFC 8866) of a call that the gateway stands in the middle of (RFC 3264).
//!
//! [`Description::parse`] reads what a peer sent: tolerant of what real peers get wrong, strict against what is no
//! description at all. [`relay_offer`] and [`relay_answer`] make of it what the other side gets: the peer's own words,
//! but for the addresses, ports, codecs that can be neither relayed nor recorded, other media than audio, and what asks
//! for encryption or ICE. [`own_offer`] and [`direction_offer`] make offers of our own.
//!
//! You will not find here: sockets, SIP, a clock.

mod codec;
mod description;
mod direction;
mod document;
mod origin;
mod relay;
#[cfg(test)]
mod tests;

pub use codec::{Codec, Payload, PayloadMap};
pub use description::{Audio, Description};
pub use direction::Direction;
pub use origin::Origin;
pub use relay::{Local, Relayed, direction_offer, own_offer, relay_answer, relay_offer, told_again};

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// It is longer, or has more parts, than any real one.
    #[error("the description is too long: {0}")]
    TooLong(&'static str),
    /// It is not a session description.
    #[error("line {line} of the description: {what}")]
    Malformed {
        /// The line, from 1; one past the last for what is missing.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It has no audio, or refuses it by port 0.
    #[error("the description has no audio stream")]
    NoAudio,
    /// Its audio is encrypted (RTP/SAVP, RTP/SAVPF, with or without DTLS).
    #[error("the audio is offered encrypted only, which is not supported: offer RTP/AVP")]
    Encrypted,
    /// Its audio is neither RTP/AVP nor RTP/AVPF.
    #[error("the audio's transport is not RTP/AVP")]
    Transport,
    /// Its audio has no address, or one that is no single host's.
    #[error("the audio has no usable address: give an IPv4 or IPv6 address of one host")]
    Address,
    /// It answers an offer, and has none of its codecs (RFC 3264, 6.1).
    #[error("the answer has no codec of the offer")]
    NotOffered,
    /// None of its codecs can be relayed and recorded.
    #[error("none of the codecs is supported: offer PCMU, PCMA, G722 or opus")]
    NoCodec,
}

impl SdpError {
    /// The SIP status that refuses a request with such a description: 400 for what is no description, else 488.
    pub const fn sip_status(&self) -> u16 {
        match self {
            Self::TooLong(_) | Self::Malformed { .. } => 400,
            Self::NoAudio
            | Self::Encrypted
            | Self::Transport
            | Self::Address
            | Self::NotOffered
            | Self::NoCodec => 488,
        }
    }
}
