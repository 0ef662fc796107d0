//! What a peer described.

use std::net::{IpAddr, SocketAddr};

use super::{
    Direction, Payload, PayloadMap, SdpError,
    document::{Document, Line, Stream},
};

/// A session description with an audio stream that can be relayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    pub(super) document: Document,
    /// Which of the streams is the audio.
    pub(super) chosen: usize,
    audio: Audio,
}

/// The audio stream of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Where the describing side takes RTP; `None` when it held the old way, by the address 0.0.0.0 or `::`.
    pub rtp: Option<SocketAddr>,
    /// Where it takes RTCP; `None` as above, or when there is no port left for it.
    pub rtcp: Option<SocketAddr>,
    /// Which way media flows; an old-way hold is already in it.
    pub direction: Direction,
    /// The payload types that can be relayed and recorded; at least one carries speech.
    pub payloads: PayloadMap,
    /// Milliseconds of media that it likes in a packet.
    pub ptime_ms: Option<u32>,
}

impl Description {
    /// Reads a body of type `application/sdp`.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        Self::of(Document::parse(body)?)
    }

    /// Its audio stream.
    pub fn audio(&self) -> &Audio {
        &self.audio
    }

    pub(super) fn of(document: Document) -> Result<Self, SdpError> {
        let chosen = choose(&document.streams)?;
        let audio = Audio::read(&document, &document.streams[chosen])?;
        Ok(Self { document, chosen, audio })
    }
}

/// The first audio stream that is neither refused nor encrypted: some peers offer the same audio in both ways.
fn choose(streams: &[Stream]) -> Result<usize, SdpError> {
    let mut refusal = SdpError::NoAudio;
    for (index, stream) in streams.iter().enumerate() {
        if !stream.kind.eq_ignore_ascii_case("audio") || stream.port == 0 {
            continue;
        }
        let transport = stream.transport.to_ascii_uppercase();
        match transport.as_str() {
            "RTP/AVP" | "RTP/AVPF" => return Ok(index),
            _ if transport.contains("SAVP") => refusal = SdpError::Encrypted,
            _ if refusal == SdpError::NoAudio => refusal = SdpError::Transport,
            _ => {}
        }
    }
    Err(refusal)
}

impl Audio {
    fn read(document: &Document, stream: &Stream) -> Result<Self, SdpError> {
        let connection =
            |lines: &[Line]| lines.iter().find(|line| line.letter == 'c').map(|line| line.value.clone());
        let connection =
            connection(&stream.lines).or_else(|| connection(&document.session)).ok_or(SdpError::Address)?;
        let address = address(&connection).ok_or(SdpError::Address)?;
        let described = direction(&stream.lines).or_else(|| direction(&document.session)).unwrap_or_default();
        let payloads = payloads(stream);
        if payloads.preferred().is_none() {
            return Err(SdpError::NoCodec);
        }
        let ptime = |value: &str| {
            let digits = value.split(|character: char| !character.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse().ok()).filter(|ptime| (1..=1000).contains(ptime))
        };
        let takes_media = !address.is_unspecified();
        Ok(Self {
            rtp: takes_media.then(|| SocketAddr::new(address, stream.port)),
            rtcp: if takes_media { rtcp(stream, address) } else { None },
            direction: Direction::of(described.sends(), described.receives() && takes_media),
            payloads,
            ptime_ms: Document::attributes(&stream.lines)
                .find_map(|(name, value)| if name == "ptime" { ptime(value) } else { None }),
        })
    }
}

/// The address of one host: `IN IP4 192.0.2.1`. Names are not looked up, groups not joined.
fn address(connection: &str) -> Option<IpAddr> {
    let mut words = connection.split_ascii_whitespace();
    let ("IN", Some("IP4" | "IP6"), Some(address)) = (words.next()?, words.next(), words.next()) else {
        return None;
    };
    let address: IpAddr = address.split('/').next()?.parse().ok()?;
    let broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (!address.is_multicast() && !broadcast).then_some(address)
}

fn direction(lines: &[Line]) -> Option<Direction> {
    Document::attributes(lines).find_map(|(name, _)| Direction::named(name))
}

/// Where RTCP goes (RFC 3605): the next port unless it is said otherwise.
fn rtcp(stream: &Stream, host: IpAddr) -> Option<SocketAddr> {
    let said = Document::attributes(&stream.lines).find_map(|(name, value)| {
        let (port, elsewhere) = value.split_once(' ').unwrap_or((value, ""));
        let port = port.parse().ok().filter(|port: &u16| name == "rtcp" && *port > 0)?;
        Some(SocketAddr::new(address(elsewhere).filter(|host| !host.is_unspecified()).unwrap_or(host), port))
    });
    said.or_else(|| stream.port.checked_add(1).map(|port| SocketAddr::new(host, port)))
}

/// A payload type and what follows it in an attribute: `96 opus/48000/2`.
pub(super) fn typed(value: &str) -> Option<(u8, &str)> {
    let (number, rest) = value.trim_start().split_once(char::is_whitespace)?;
    Some((payload_type(number)?, rest.trim()))
}

fn payload_type(format: &str) -> Option<u8> {
    format.parse().ok().filter(|number| *number <= 127)
}

/// The payload types that are ours, each once, in the peer's order.
fn payloads(stream: &Stream) -> PayloadMap {
    let about = |wanted: &'static str, payload_type: u8| {
        Document::attributes(&stream.lines)
            .filter(move |(name, _)| *name == wanted)
            .filter_map(|(_, value)| typed(value))
            .find_map(move |(number, rest)| (number == payload_type).then_some(rest))
    };
    let mut payloads: Vec<Payload> = Vec::new();
    for number in stream.formats.iter().filter_map(|format| payload_type(format)) {
        if payloads.iter().any(|payload| payload.payload_type == number) {
            continue;
        }
        let payload = match about("rtpmap", number) {
            Some(encoding) => Payload::encoded(number, encoding),
            None => Payload::fixed(number),
        };
        payloads.extend(
            payload.map(|payload| Payload { fmtp: about("fmtp", number).map(str::to_owned), ..payload }),
        );
    }
    payloads.into_iter().collect()
}
