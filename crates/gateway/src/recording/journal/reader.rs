//! Reads a journal, as far as it is whole.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes};
use pegcount_sealed::{KeyId, Keys, OpenError};

use super::{
    Beginning, Ending, MAGIC, Record,
    record::{LONGEST, PREFIX, SEALED, context, prefix, read},
};

/// The records of a journal, one after the other.
pub(crate) struct Reader<R> {
    source: R,
    /// What opens sealed pieces, and whose journal it is by its name.
    keys: Option<Keys>,
    call: String,
    /// Records of a sealed piece that have not been read yet.
    opened: Bytes,
    whole: u64,
    torn: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a journal. None when the file is no journal of this version.
    pub fn open(path: &Path, keys: Option<&Keys>) -> io::Result<Option<Self>> {
        let call = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let source = BufReader::with_capacity(256 * 1024, File::open(path)?);
        Ok(Self::of(source)?.map(|reader| Self { keys: keys.cloned(), call, ..reader }))
    }
}

impl<R: Read> Reader<R> {
    /// Reads from a source of bytes. None when they are no journal of this version.
    pub fn of(mut source: R) -> io::Result<Option<Self>> {
        let mut magic = [0; MAGIC.len()];
        let whole = fill(&mut source, &mut magic)? && magic == MAGIC;
        let (keys, call, opened) = (None, String::new(), Bytes::new());
        Ok(whole.then_some(Self { source, keys, call, opened, whole: MAGIC.len() as u64, torn: false }))
    }

    /// The next record; none at the end, or where the journal is torn.
    ///
    /// # Errors
    /// What the disk says; [`OpenError::Unknown`] within, where a piece is sealed with a key that is not at hand.
    pub fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            if self.opened.has_remaining() {
                let record = self.of_piece();
                self.torn |= record.is_none();
                return Ok(record);
            }
            match self.body()? {
                Some(body) if body.first() == Some(&SEALED) => self.open_piece(&body)?,
                Some(body) => {
                    let length = body.len();
                    let record = read(body);
                    self.passed(length, record.is_some());
                    return Ok(record);
                }
                None => return Ok(None),
            }
        }
    }

    /// The next record of the piece that was opened.
    fn of_piece(&mut self) -> Option<Record> {
        // Whoever sealed it vouches for it: its checksums tell nothing more.
        let (length, _) = prefix(*self.opened.first_chunk()?);
        self.opened.advance(PREFIX);
        let is_there = length <= self.opened.len();
        is_there.then(|| self.opened.split_to(length)).and_then(read)
    }

    fn open_piece(&mut self, body: &Bytes) -> io::Result<()> {
        let keys = self.keys.as_ref();
        let opened = match keys {
            Some(keys) => keys.open(&context(&self.call, self.whole), &body[1..]),
            None => Err(Keys::id_of(&body[1..]).map_or(OpenError::Damaged, OpenError::Unknown)),
        };
        match opened {
            Ok(records) => {
                self.opened = records.into();
                self.passed(body.len(), true);
            }
            Err(OpenError::Damaged) => self.passed(body.len(), false),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A body was read, and makes sense or does not.
    fn passed(&mut self, length: usize, is_sound: bool) {
        if is_sound {
            self.whole += (PREFIX + length) as u64;
        } else {
            self.torn = true;
        }
    }

    /// The body of the next record in the file; none at the end, or where the journal is torn.
    fn body(&mut self) -> io::Result<Option<Bytes>> {
        let mut first = [0; PREFIX];
        if self.torn || !fill(&mut self.source, &mut first[..1])? {
            return Ok(None);
        }
        let length = fill(&mut self.source, &mut first[1..])?.then(|| prefix(first));
        if let Some((length, checksum)) = length.filter(|(length, _)| *length <= LONGEST) {
            let mut body = vec![0; length];
            if fill(&mut self.source, &mut body)? && crc32fast::hash(&body) == checksum {
                return Ok(Some(body.into()));
            }
        }
        self.torn = true;
        Ok(None)
    }

    /// How many bytes from the begin are whole, of what was read so far.
    pub fn whole(&self) -> u64 {
        self.whole
    }

    /// Whether the journal ended within a record, or in one that is damaged.
    pub fn torn(&self) -> bool {
        self.torn
    }
}

/// Whether there were as many bytes as there is room for.
fn fill(source: &mut impl Read, room: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(room) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// With which key the first piece of a journal is sealed; `None` of one in the clear, and of what is no journal.
pub(crate) fn sealed_with(path: &Path) -> io::Result<Option<KeyId>> {
    let mut source = File::open(path)?;
    let mut begin = [0; MAGIC.len() + PREFIX + 1];
    if !fill(&mut source, &mut begin)? || !begin.starts_with(&MAGIC) || begin.last() != Some(&SEALED) {
        return Ok(None);
    }
    let mut id = [0; 4];
    Ok(fill(&mut source, &mut id)?.then_some(KeyId(id)))
}

/// What a whole journal says, but for its media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Survey {
    pub beginning: Beginning,
    pub ending: Option<Ending>,
    /// When the last frame arrived, or the begin.
    pub last_frame_at: SystemTime,
    /// How many bytes are whole.
    pub whole: u64,
}

/// Reads a journal through. None when it does not say whose it is.
pub(crate) fn survey(path: &Path, keys: Option<&Keys>) -> io::Result<Option<Survey>> {
    let Some(mut reader) = Reader::open(path, keys)? else { return Ok(None) };
    let Some(Record::Beginning(beginning)) = reader.next()? else { return Ok(None) };
    let mut ending = None;
    let mut last = Duration::ZERO;
    while let Some(record) = reader.next()? {
        match record {
            Record::Frame(frame) => last = last.max(Duration::from_nanos(frame.arrived_nanos)),
            Record::Ended { ending: told, .. } => ending = Some(told),
            Record::Beginning(_) | Record::Payloads(..) | Record::Cut => {}
        }
    }
    let last_frame_at = beginning.started_at.checked_add(last).unwrap_or(beginning.started_at);
    Ok(Some(Survey { beginning, ending, last_frame_at, whole: reader.whole() }))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::{Frame, Side, recording::journal::append};

    fn frame(sequence: u16) -> Record {
        Record::Frame(Frame {
            side: Side::Caller,
            arrived_nanos: u64::from(sequence) * 20_000_000,
            sequence,
            timestamp: u32::from(sequence) * 160,
            payload_type: 0,
            payload: Bytes::from(vec![sequence as u8; 160]),
        })
    }

    /// A journal of ten frames, and where each record ends.
    fn journal() -> (Vec<u8>, Vec<usize>) {
        let mut bytes = MAGIC.to_vec();
        append(&Record::Beginning(Beginning { call: "a".to_owned(), started_at: UNIX_EPOCH }), &mut bytes);
        let mut ends = vec![bytes.len()];
        for sequence in 0..10 {
            append(&frame(sequence), &mut bytes);
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    /// How many records are read, and what the reader says at the end.
    fn read_all(bytes: &[u8]) -> (usize, u64, bool) {
        let Some(mut reader) = Reader::of(bytes).expect("memory") else { return (0, 0, true) };
        let mut records = 0;
        while reader.next().expect("memory").is_some() {
            records += 1;
        }
        (records, reader.whole(), reader.torn())
    }

    #[test]
    fn a_journal_that_is_whole_is_not_torn() {
        let (bytes, ends) = journal();
        assert_eq!(read_all(&bytes), (ends.len(), bytes.len() as u64, false));
    }

    #[test]
    fn a_file_that_is_no_journal_is_none() {
        assert!(Reader::of(&b"RIFF....WAVE"[..]).expect("memory").is_none());
        assert!(Reader::of(&MAGIC[..3]).expect("memory").is_none());
    }

    #[test]
    fn a_record_that_claims_gigabytes_ends_the_journal() {
        let (mut bytes, ends) = journal();
        bytes.truncate(ends[3]);
        bytes.extend([0xff; 12]);
        assert_eq!(read_all(&bytes), (4, ends[3] as u64, true));
    }

    proptest! {
        #[test]
        fn a_torn_tail_costs_only_the_record_that_it_tears(cut in 8_usize..2_000) {
            let (bytes, ends) = journal();
            let cut = cut.min(bytes.len());
            let whole = ends.iter().filter(|end| **end <= cut).count();
            let whole_bytes = ends.iter().rev().find(|end| **end <= cut).copied().unwrap_or(MAGIC.len());
            prop_assert_eq!(read_all(&bytes[..cut]), (whole, whole_bytes as u64, whole_bytes != cut));
        }

        #[test]
        fn a_damaged_byte_ends_the_journal_before_its_record(at in 8_usize..2_000, flip in 1_u8..) {
            let (mut bytes, ends) = journal();
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= flip;
            let whole = ends.iter().filter(|end| **end <= at).count();
            let (records, _, torn) = read_all(&bytes);
            prop_assert_eq!((records, torn), (whole, true));
        }
    }
}
