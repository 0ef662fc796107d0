//! Descriptions that the gateway sends.

use std::net::SocketAddr;

use super::{
    Codec, Description, Direction, SdpError,
    description::typed,
    document::{Document, Line, Stream},
    origin::{Origin, host},
};

/// What asks for ICE, DTLS, SDES or ZRTP, bundles streams or shares a port with RTCP. The relay does none of them, and a
/// peer that does not find them falls back to plain RTP.
const NOT_RELAYED: [&str; 25] = [
    "acap",
    "acfg",
    "alt",
    "bundle-only",
    "candidate",
    "connection",
    "crypto",
    "end-of-candidates",
    "fingerprint",
    "group",
    "ice-lite",
    "ice-mismatch",
    "ice-options",
    "ice-pacing",
    "ice-pwd",
    "ice-ufrag",
    "msid-semantic",
    "pcfg",
    "remote-candidates",
    "rtcp-mux",
    "rtcp-mux-only",
    "setup",
    "tcap",
    "tls-id",
    "zrtp-hash",
];

/// Where the gateway takes media of the side that a description is sent to, as that side can reach it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The address and port of RTP.
    pub rtp: SocketAddr,
    /// The port of RTCP.
    pub rtcp_port: u16,
}

/// A description to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Its text, of type `application/sdp`.
    pub body: String,
    /// What it says: keep it for [`direction_offer`].
    pub sent: Description,
}

/// What the other side gets of an offer: its streams in its order, with other media than the chosen audio refused by
/// port 0, and only the codecs that can be relayed and recorded.
pub fn relay_offer(offer: &Description, local: Local, origin: &mut Origin) -> Result<Relayed, SdpError> {
    signed(in_place(offer, offer, offer.audio().direction, local), origin)
}

/// What the side that made `offer` gets of the other side's answer: as many streams as it offered, in its order
/// (RFC 3264, 6), and no flow that it did not offer, whatever the other side made of them.
pub fn relay_answer(
    answer: &Description,
    offer: &Description,
    local: Local,
    origin: &mut Origin,
) -> Result<Relayed, SdpError> {
    let (said, offered) = (answer.audio().direction, offer.audio().direction.reversed());
    let direction = Direction::of(said.sends() && offered.sends(), said.receives() && offered.receives());
    signed(in_place(answer, offer, direction, local), origin)
}

/// A new offer to a side that got `sent` last, which changes only the direction: [`Direction::SendOnly`] or
/// [`Direction::Inactive`] to hold it, [`Direction::SendReceive`] to talk on.
pub fn direction_offer(
    sent: &Description,
    direction: Direction,
    origin: &mut Origin,
) -> Result<Relayed, SdpError> {
    let mut document = sent.document.clone();
    turn(&mut document.streams[sent.chosen], direction);
    signed(document, origin)
}

/// What a side got last, once more: in the same words if nothing else was said to it since.
pub fn told_again(sent: &Description, origin: &mut Origin) -> Result<Relayed, SdpError> {
    signed(sent.document.clone(), origin)
}

/// An offer of our own, for a side that called without one (RFC 3261, 13.2.1): these codecs, in this order.
pub fn own_offer(local: Local, codecs: &[Codec], origin: &mut Origin) -> Result<Relayed, SdpError> {
    let mut formats = Vec::new();
    let mut lines = Vec::new();
    let mut describe = |number: u8, encoding: &str, fmtp: Option<&str>| {
        formats.push(number.to_string());
        lines.push(Line::new('a', format!("rtpmap:{number} {encoding}")));
        lines.extend(fmtp.map(|fmtp| Line::new('a', format!("fmtp:{number} {fmtp}"))));
    };
    for codec in codecs {
        match codec {
            Codec::Pcmu => describe(0, "PCMU/8000", None),
            Codec::Pcma => describe(8, "PCMA/8000", None),
            Codec::G722 => describe(9, "G722/8000", None),
            Codec::ComfortNoise => describe(13, "CN/8000", None),
            Codec::Opus => describe(96, "opus/48000/2", None),
            Codec::TelephoneEvent => {
                // Keys are counted by the clock of the speech that they interrupt (RFC 4733, 2.2).
                describe(101, "telephone-event/8000", Some("0-15"));
                if codecs.contains(&Codec::Opus) {
                    describe(102, "telephone-event/48000", Some("0-15"));
                }
            }
        }
    }
    lines.push(Line::new('a', "ptime:20"));
    lines.push(Line::new('a', Direction::SendReceive.name()));
    let stream = Stream {
        kind: "audio".to_owned(),
        port: local.rtp.port(),
        transport: "RTP/AVP".to_owned(),
        formats,
        lines: with_rtcp(lines, local, false),
    };
    let empty = Document { session: Vec::new(), streams: Vec::new() };
    signed(Document { streams: vec![stream], ..session(&empty, local) }, origin)
}

fn signed(document: Document, origin: &mut Origin) -> Result<Relayed, SdpError> {
    let sent = Description::of(document.complete())?;
    Ok(Relayed { body: origin.sign(sent.document.text()), sent })
}

/// The audio of a description, among streams in the number and order of `shape`, all others refused.
fn in_place(description: &Description, shape: &Description, direction: Direction, local: Local) -> Document {
    let streams = shape.document.streams.iter().enumerate();
    let streams = streams.map(|(index, stream)| match index == shape.chosen {
        true => audio(description, local, direction),
        false => stream.refused(),
    });
    Document { streams: streams.collect(), ..session(&description.document, local) }
}

/// The session's lines, with our address for all streams.
fn session(document: &Document, local: Local) -> Document {
    // The session's name may be that of a caller who asks not to be known.
    let kept = document.session.iter().filter(|line| is_relayed(line)).map(|line| match line.letter {
        's' => Line::new('s', "-".to_owned()),
        _ => line.clone(),
    });
    let connection = Line::new('c', format!("IN {}", host(local.rtp.ip())));
    Document { session: kept.chain([connection]).collect(), streams: Vec::new() }
}

fn is_relayed(line: &Line) -> bool {
    match line.letter {
        // An address that is not ours, a key that nothing is encrypted with, texts and addresses that name somebody.
        'c' | 'k' | 'i' | 'u' | 'e' | 'p' => false,
        _ => line.attribute().is_none_or(|(name, _)| !NOT_RELAYED.contains(&name)),
    }
}

/// The audio of a description at our address.
fn audio(description: &Description, local: Local, direction: Direction) -> Stream {
    let stream = &description.document.streams[description.chosen];
    let payloads = &description.audio().payloads;
    let of_ours = |line: &Line| match line.attribute() {
        Some(("rtpmap" | "fmtp" | "rtcp-fb", value)) => match typed(value) {
            Some((number, _)) => payloads.get(number).is_some(),
            None => value.trim_start().starts_with('*'),
        },
        _ => true,
    };
    let names_rtcp = Document::attributes(&stream.lines).any(|(name, _)| name == "rtcp");
    let lines = stream.lines.iter().filter(|line| is_relayed(line) && of_ours(line)).cloned().collect();
    let mut stream = Stream {
        port: local.rtp.port(),
        formats: payloads.iter().map(|payload| payload.payload_type.to_string()).collect(),
        lines: with_rtcp(lines, local, names_rtcp),
        ..stream.clone()
    };
    if said_direction(&stream, &description.document) != direction {
        turn(&mut stream, direction);
    }
    stream
}

/// Says where RTCP goes, where it was said, and where the next port would be wrong.
fn with_rtcp(lines: Vec<Line>, local: Local, said: bool) -> Vec<Line> {
    let is_rtcp = |line: &Line| line.attribute().is_some_and(|(name, _)| name == "rtcp");
    let place = lines.iter().position(is_rtcp).unwrap_or(lines.len());
    let mut lines: Vec<Line> = lines.into_iter().filter(|line| !is_rtcp(line)).collect();
    if said || local.rtp.port().checked_add(1) != Some(local.rtcp_port) {
        lines.insert(place.min(lines.len()), Line::new('a', format!("rtcp:{}", local.rtcp_port)));
    }
    lines
}

/// What a stream says of its direction, be it for the whole session.
fn said_direction(stream: &Stream, document: &Document) -> Direction {
    let said = |lines| Document::attributes(lines).find_map(|(name, _)| Direction::named(name));
    said(&stream.lines).or_else(|| said(&document.session)).unwrap_or_default()
}

/// Gives a stream a direction, in the place of the one it had.
fn turn(stream: &mut Stream, direction: Direction) {
    let is_direction =
        |line: &Line| line.attribute().is_some_and(|(name, _)| Direction::named(name).is_some());
    let place = stream.lines.iter().position(is_direction).unwrap_or(stream.lines.len());
    stream.lines.retain(|line| !is_direction(line));
    let place = place.min(stream.lines.len());
    stream.lines.insert(place, Line::new('a', direction.name()));
}
