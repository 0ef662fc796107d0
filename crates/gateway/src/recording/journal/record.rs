//! The records of a journal and their bytes. Numbers are little-endian.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf, Bytes};
use pegcount_sealed::Keys;

use crate::{
    Frame, Side,
    recording::codec::{Codec, PayloadMap},
};

/// What a journal begins with; the last byte is the version of its format.
pub(crate) const MAGIC: [u8; 8] = *b"PEGJRNL\x01";

/// Bytes before a record's body: its length and its CRC-32.
pub(crate) const PREFIX: usize = 8;

/// The longest body: a sealed piece, which is written once it has [`super::writer::AT_ONCE`] bytes, the last of them a frame
/// with all that a UDP datagram may carry.
pub(crate) const LONGEST: usize = super::writer::AT_ONCE + 65_535 + 1_024;

/// The first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beginning {
    /// Whose journal it is.
    pub call: String,
    /// The time of day from which `Frame::arrived_nanos` counts. Milliseconds are kept.
    pub started_at: SystemTime,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Why, in the words of who ended it. At most 1,000 bytes are kept.
    pub reason: String,
    /// When. Milliseconds are kept.
    pub ended_at: SystemTime,
}

/// What stands in a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    Beginning(Beginning),
    /// From here on the payload types of a side mean this.
    Payloads(Side, PayloadMap),
    Frame(Frame),
    /// The journal had its greatest size; nothing more of the media was kept.
    Cut,
    /// The call is over.
    Ended {
        ending: Ending,
        /// Frames that had found no room on their way here.
        dropped: u64,
        /// Written by a later run of the program.
        interrupted: bool,
    },
}

const BEGINNING: u8 = 1;
const PAYLOADS: u8 = 2;
const FRAME: u8 = 3;
const CUT: u8 = 4;
const ENDED: u8 = 5;
/// A sealed piece: the body goes on with what [`Keys::seal`] gave for some records with their prefixes.
pub(crate) const SEALED: u8 = 6;

fn side_byte(side: Side) -> u8 {
    match side {
        Side::Caller => 0,
        Side::Callee => 1,
    }
}

fn side_of(byte: u8) -> Option<Side> {
    Side::BOTH.get(usize::from(byte)).copied()
}

fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Silent => 0,
        Codec::Pcmu => 1,
        Codec::Pcma => 2,
        Codec::G722 => 3,
        Codec::Opus => 4,
    }
}

fn codec_of(byte: u8) -> Codec {
    match byte {
        1 => Codec::Pcmu,
        2 => Codec::Pcma,
        3 => Codec::G722,
        4 => Codec::Opus,
        _ => Codec::Silent,
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time_of(millis: u64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis))
}

/// A text with its length in two bytes, cut at 1,000 bytes.
fn append_text(text: &str, bytes: &mut Vec<u8>) {
    let text = &text[..text.floor_char_boundary(1_000)];
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
}

/// Appends a record's bytes to `bytes`, its prefix before it. A frame's payload is cut at what a datagram may carry.
pub(crate) fn append(record: &Record, bytes: &mut Vec<u8>) {
    let begin = bytes.len();
    bytes.extend([0; PREFIX]);
    match record {
        Record::Beginning(beginning) => {
            bytes.push(BEGINNING);
            bytes.extend(millis(beginning.started_at).to_le_bytes());
            append_text(&beginning.call, bytes);
        }
        Record::Payloads(side, map) => {
            bytes.extend([PAYLOADS, side_byte(*side), map.iter().len() as u8]);
            for (payload_type, payload) in map.iter() {
                bytes.extend([payload_type, codec_byte(payload.codec)]);
                bytes.extend(payload.clock_rate.to_le_bytes());
            }
        }
        Record::Frame(frame) => {
            bytes.extend([FRAME, side_byte(frame.side), frame.payload_type]);
            bytes.extend(frame.sequence.to_le_bytes());
            bytes.extend(frame.timestamp.to_le_bytes());
            bytes.extend(frame.arrived_nanos.to_le_bytes());
            bytes.extend(&frame.payload[..frame.payload.len().min(65_535)]);
        }
        Record::Cut => bytes.push(CUT),
        Record::Ended { ending, dropped, interrupted } => {
            bytes.extend([ENDED, u8::from(*interrupted)]);
            bytes.extend(millis(ending.ended_at).to_le_bytes());
            bytes.extend(dropped.to_le_bytes());
            append_text(&ending.reason, bytes);
        }
    }
    finish(begin, bytes);
}

/// Appends some records as a sealed piece. It belongs into the journal of this call, at this place.
pub(crate) fn append_sealed(
    records: &[u8],
    keys: &Keys,
    (call, place): (&str, u64),
    bytes: &mut Vec<u8>,
) -> io::Result<()> {
    let begin = bytes.len();
    bytes.extend([0; PREFIX]);
    bytes.push(SEALED);
    bytes.extend(keys.seal(&context(call, place), records)?);
    finish(begin, bytes);
    Ok(())
}

/// What a sealed piece is bound to.
pub(crate) fn context(call: &str, place: u64) -> Vec<u8> {
    [b"journal ", call.as_bytes(), &place.to_le_bytes()].concat()
}

/// Writes the prefix of the record that begins there.
fn finish(begin: usize, bytes: &mut [u8]) {
    let length = (bytes.len() - begin - PREFIX) as u32;
    let checksum = crc32fast::hash(&bytes[begin + PREFIX..]);
    bytes[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    bytes[begin + 4..begin + PREFIX].copy_from_slice(&checksum.to_le_bytes());
}

/// The length of the body and its checksum, as its prefix has them.
pub(crate) fn prefix(bytes: [u8; PREFIX]) -> (usize, u32) {
    let [a, b, c, d, e, f, g, h] = bytes;
    (u32::from_le_bytes([a, b, c, d]) as usize, u32::from_le_bytes([e, f, g, h]))
}

/// The record of a body; none when it makes no sense.
pub(crate) fn read(mut body: Bytes) -> Option<Record> {
    let body = &mut body;
    match body.try_get_u8().ok()? {
        BEGINNING => {
            let started_at = time_of(body.try_get_u64_le().ok()?)?;
            Some(Record::Beginning(Beginning { call: read_text(body)?, started_at }))
        }
        PAYLOADS => {
            let side = side_of(body.try_get_u8().ok()?)?;
            let mut map = PayloadMap::default();
            for _ in 0..body.try_get_u8().ok()? {
                let payload_type = body.try_get_u8().ok()?;
                let codec = codec_of(body.try_get_u8().ok()?);
                map.insert(payload_type, codec, body.try_get_u32_le().ok()?);
            }
            Some(Record::Payloads(side, map))
        }
        FRAME => Some(Record::Frame(Frame {
            side: side_of(body.try_get_u8().ok()?)?,
            payload_type: body.try_get_u8().ok()?,
            sequence: body.try_get_u16_le().ok()?,
            timestamp: body.try_get_u32_le().ok()?,
            arrived_nanos: body.try_get_u64_le().ok()?,
            payload: body.split_off(0),
        })),
        CUT => Some(Record::Cut),
        ENDED => {
            let interrupted = body.try_get_u8().ok()? != 0;
            let ended_at = time_of(body.try_get_u64_le().ok()?)?;
            let dropped = body.try_get_u64_le().ok()?;
            let ending = Ending { reason: read_text(body)?, ended_at };
            Some(Record::Ended { ending, dropped, interrupted })
        }
        _ => None,
    }
}

fn read_text(body: &mut Bytes) -> Option<String> {
    let length = usize::from(body.try_get_u16_le().ok()?);
    if length > body.len() {
        return None;
    }
    String::from_utf8(body.split_to(length).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of(record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        append(record, &mut bytes);
        bytes
    }

    fn body_of(bytes: &[u8]) -> Bytes {
        Bytes::copy_from_slice(&bytes[PREFIX..])
    }

    #[test]
    fn every_record_is_read_as_it_was_written() {
        let at = UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
        let map = [(0, Codec::Pcmu, 8_000), (96, Codec::Opus, 48_000), (101, Codec::Silent, 8_000)];
        let records = [
            Record::Beginning(Beginning { call: "a-call".to_owned(), started_at: at }),
            Record::Payloads(Side::Callee, map.into_iter().collect()),
            Record::Frame(Frame {
                side: Side::Caller,
                arrived_nanos: u64::MAX,
                sequence: 65_535,
                timestamp: u32::MAX,
                payload_type: 127,
                payload: Bytes::from_static(b"payload"),
            }),
            Record::Cut,
            Record::Ended {
                ending: Ending { reason: "normal".to_owned(), ended_at: at },
                dropped: 7,
                interrupted: true,
            },
        ];
        for record in records {
            let bytes = bytes_of(&record);
            let (length, checksum) = prefix(bytes[..PREFIX].try_into().expect("a prefix"));
            assert_eq!((length, checksum), (bytes.len() - PREFIX, crc32fast::hash(&bytes[PREFIX..])));
            assert_eq!(read(body_of(&bytes)), Some(record));
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_two_characters() {
        let ending = Ending { reason: "ü".repeat(700), ended_at: UNIX_EPOCH };
        let bytes = bytes_of(&Record::Ended { ending, dropped: 0, interrupted: false });
        let Some(Record::Ended { ending, .. }) = read(body_of(&bytes)) else { panic!("an end") };
        assert_eq!(ending.reason, "ü".repeat(500));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(Bytes::from(bytes));
        }

        #[test]
        fn any_begin_of_a_record_is_read_without_a_panic(cut in 0_usize..30) {
            let map = [(0, Codec::Pcmu, 8_000), (96, Codec::Opus, 48_000)].into_iter().collect();
            let body = body_of(&bytes_of(&Record::Payloads(Side::Caller, map)));
            read(body.slice(..cut.min(body.len())));
        }
    }
}
