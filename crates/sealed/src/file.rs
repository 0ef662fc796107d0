//! Files that are sealed in chunks, and files in the clear, behind the same doors.
//!
//! A sealed file begins with [`HEAD`] bytes: what it is, the id of the key, and a name of its own that is random. Chunks of
//! [`CHUNK`] bytes follow, the last one shorter or just as long; each has its nonce before and its tag behind it. A chunk is
//! bound to the name of its file, to its place in it and to whether it is the last one.

use std::{
    borrow::{Borrow, Cow},
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
};

use crate::keys::{KeyId, Keys, OpenError, SURPLUS, append_sealed, open_sealed, random};

/// What a sealed file begins with; the last byte is the version of its format.
const MAGIC: [u8; 8] = *b"PEGSEAL\x01";
const NAME: usize = 16;

/// Bytes before the first chunk.
pub const HEAD: usize = 8 + 4 + NAME;
/// Bytes of a chunk in the clear.
pub const CHUNK: usize = 64 * 1024;
const SEALED_CHUNK: u64 = (CHUNK + SURPLUS) as u64;

/// What a sealed file says of itself in its first [`HEAD`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    key: KeyId,
    name: [u8; NAME],
}

impl Head {
    /// What these first bytes of a file say; `None` of one in the clear.
    pub fn parse(first: &[u8]) -> Option<Self> {
        let rest = first.strip_prefix(&MAGIC)?;
        let (key, rest) = rest.split_first_chunk()?;
        Some(Self { key: KeyId(*key), name: *rest.first_chunk()? })
    }

    /// With which key the file is sealed.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    fn bytes(&self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&self.key.0);
        bytes[12..].copy_from_slice(&self.name);
        bytes
    }

    /// How many bytes a file of so many bytes has in the clear.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] of one that was cut where none ends.
    pub fn clear_length(sealed: u64) -> Result<u64, OpenError> {
        let chunks = sealed.saturating_sub(HEAD as u64);
        // Only the one chunk of an empty file is empty.
        let has_rest = (1..=SURPLUS as u64).contains(&(chunks % SEALED_CHUNK)) && chunks != SURPLUS as u64;
        if chunks == 0 || has_rest {
            return Err(OpenError::Damaged);
        }
        Ok(chunks - chunks.div_ceil(SEALED_CHUNK) * SURPLUS as u64)
    }

    /// Which chunks hold these bytes of the clear, of which there are some.
    pub fn chunks(clear: &Range<u64>) -> Range<u64> {
        clear.start / CHUNK as u64..clear.end.div_ceil(CHUNK as u64)
    }

    /// Where a chunk lies in a file of so many bytes.
    pub fn place(chunk: u64, sealed: u64) -> Range<u64> {
        let begin = HEAD as u64 + chunk * SEALED_CHUNK;
        begin..sealed.min(begin + SEALED_CHUNK)
    }

    /// Opens a chunk of a file that has so many bytes.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, keys: &Keys, chunk: u64, sealed: u64, bytes: &[u8]) -> Result<Vec<u8>, OpenError> {
        let is_last = Self::place(chunk, sealed).end == sealed;
        open_sealed(keys.of_files(self.key)?, &self.context(chunk, is_last), bytes)
    }

    fn seal(&self, keys: &Keys, chunk: u64, is_last: bool, clear: &[u8]) -> io::Result<Vec<u8>> {
        let mut sealed = Vec::with_capacity(clear.len() + SURPLUS);
        append_sealed(keys.of_files(self.key)?, &self.context(chunk, is_last), clear, &mut sealed)?;
        Ok(sealed)
    }

    fn context(&self, chunk: u64, is_last: bool) -> [u8; NAME + 9] {
        let mut context = [u8::from(is_last); NAME + 9];
        context[..NAME].copy_from_slice(&self.name);
        context[NAME..NAME + 8].copy_from_slice(&chunk.to_le_bytes());
        context
    }
}

/// A file that is read, sealed or in the clear. Any part of it, by any number of threads.
#[derive(Debug)]
pub struct Source {
    file: fs::File,
    /// Bytes on the disk.
    size: u64,
    /// Bytes in the clear.
    length: u64,
    sealed: Option<(Head, Keys)>,
}

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// What the disk says; [`OpenError`] within [`io::ErrorKind::InvalidData`] for one that is sealed with a key that is not
    /// among these, or was cut.
    pub fn open(path: &Path, keys: Option<&Keys>) -> io::Result<Self> {
        Self::of(fs::File::open(path)?, keys)
    }

    /// The same of a file that is open.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn of(file: fs::File, keys: Option<&Keys>) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut first = [0; HEAD];
        let read = read_at_most(&file, 0, &mut first)?;
        let sealed = match (Head::parse(&first[..read]), keys) {
            (None, _) => None,
            (Some(head), Some(keys)) => {
                keys.of_files(head.key)?;
                Some((head, keys.clone()))
            }
            (Some(head), None) => return Err(OpenError::Unknown(head.key).into()),
        };
        let length = sealed.as_ref().map_or(Ok(size), |_| Head::clear_length(size))?;
        let source = Self { file, size, length, sealed };
        if source.sealed.is_some() && length == 0 {
            // Nobody reads what has nothing to be read: so whether it was cut shows here.
            source.chunk(0)?;
        }
        Ok(source)
    }

    /// How many bytes it has in the clear.
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// How many bytes it has on the disk.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// With which key it is sealed; `None` of one in the clear.
    pub fn key(&self) -> Option<KeyId> {
        self.sealed.as_ref().map(|(head, _)| head.key)
    }

    /// The file itself.
    pub const fn file(&self) -> &fs::File {
        &self.file
    }

    /// What stands from here on in the clear: to the end of the chunk at most, nothing at the end. Waits for the disk.
    ///
    /// # Errors
    /// What the disk says; [`OpenError::Damaged`] within [`io::ErrorKind::InvalidData`].
    pub fn piece(&self, at: u64) -> io::Result<Vec<u8>> {
        if at >= self.length {
            return Ok(Vec::new());
        }
        let chunk = at / CHUNK as u64;
        let within = (at % CHUNK as u64) as usize;
        if self.sealed.is_none() {
            let mut bytes = vec![0; CHUNK - within];
            let read = read_at_most(&self.file, at, &mut bytes)?;
            bytes.truncate(read);
            return Ok(bytes);
        }
        let mut clear = self.chunk(chunk)?;
        clear.drain(..within.min(clear.len()));
        Ok(clear)
    }

    /// A chunk of a sealed file.
    fn chunk(&self, chunk: u64) -> io::Result<Vec<u8>> {
        let Some((head, keys)) = &self.sealed else { return Ok(Vec::new()) };
        let place = Head::place(chunk, self.size);
        let mut bytes = vec![0; place.end.saturating_sub(place.start) as usize];
        self.file.read_exact_at(&mut bytes, place.start)?;
        Ok(head.open(keys, chunk, self.size, &bytes)?)
    }

    /// Reads it from the beginning.
    pub fn cursor(&self) -> Cursor<&Self> {
        Cursor::of(self)
    }
}

/// As many bytes as there are, and there is room for.
fn read_at_most(file: &fs::File, at: u64, room: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < room.len() {
        match file.read_at(&mut room[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Reads a [`Source`] as one reads a file. It holds one chunk.
#[derive(Debug)]
pub struct Cursor<S> {
    source: S,
    at: u64,
    piece: Vec<u8>,
    piece_at: u64,
}

impl<S: Borrow<Source>> Cursor<S> {
    /// From the beginning.
    pub fn of(source: S) -> Self {
        Self { source, at: 0, piece: Vec::new(), piece_at: 0 }
    }

    /// How many bytes there are in the clear.
    pub fn length(&self) -> u64 {
        self.source.borrow().length()
    }
}

impl<S: Borrow<Source>> Read for Cursor<S> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let held = self.piece_at..self.piece_at + self.piece.len() as u64;
        if !held.contains(&self.at) {
            self.piece = self.source.borrow().piece(self.at)?;
            self.piece_at = self.at;
        }
        let rest = &self.piece[((self.at - self.piece_at) as usize).min(self.piece.len())..];
        let read = rest.len().min(room.len());
        room[..read].copy_from_slice(&rest[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl<S: Borrow<Source>> Seek for Cursor<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(back) => self.length().checked_add_signed(back),
            SeekFrom::Current(further) => self.at.checked_add_signed(further),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A file that is written from its beginning to its end: sealed where there are keys, else in the clear.
#[derive(Debug)]
pub struct Sink {
    file: fs::File,
    waiting: Vec<u8>,
    /// How many chunks are written.
    chunks: u64,
    /// The first chunk, which may be changed until the end.
    first: Vec<u8>,
    is_first_changed: bool,
    sealed: Option<(Head, Keys)>,
}

impl Sink {
    /// Begins to write a file that is open to be read and written, and empty.
    ///
    /// # Errors
    /// What the disk says.
    pub fn to(mut file: fs::File, keys: Option<&Keys>) -> io::Result<Self> {
        let sealed = match keys {
            Some(keys) => {
                let head = Head { key: keys.sealing(), name: random()? };
                file.write_all(&head.bytes())?;
                Some((head, keys.clone()))
            }
            None => None,
        };
        Ok(Self { file, waiting: Vec::new(), chunks: 0, first: Vec::new(), is_first_changed: false, sealed })
    }

    /// Writes over the first bytes, of which there are as many already and no more than a chunk has.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for more.
    pub fn write_first(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_first_changed = self.chunks > 0;
        let first = if self.is_first_changed { &mut self.first } else { &mut self.waiting };
        first.get_mut(..bytes.len()).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes what is left, and gives the file as it can be read. The disk is not asked to keep it.
    ///
    /// # Errors
    /// What the disk says.
    pub fn finish(mut self) -> io::Result<Source> {
        let waiting = std::mem::take(&mut self.waiting);
        self.put(waiting, true)?;
        if self.is_first_changed {
            let first = self.bytes_of(&self.first, 0, false)?;
            self.file.write_all_at(&first, self.sealed.as_ref().map_or(0, |_| HEAD as u64))?;
        }
        let keys = self.sealed.map(|(_, keys)| keys);
        Source::of(self.file, keys.as_ref())
    }

    fn put(&mut self, chunk: Vec<u8>, is_last: bool) -> io::Result<()> {
        let bytes = self.bytes_of(&chunk, self.chunks, is_last)?;
        self.file.write_all(&bytes)?;
        if self.chunks == 0 {
            self.first = chunk;
        }
        self.chunks += 1;
        Ok(())
    }

    fn bytes_of<'a>(&self, chunk: &'a [u8], number: u64, is_last: bool) -> io::Result<Cow<'a, [u8]>> {
        match &self.sealed {
            Some((head, keys)) => head.seal(keys, number, is_last, chunk).map(Cow::Owned),
            None => Ok(Cow::Borrowed(chunk)),
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Not while it may be the last: that one is sealed otherwise.
        if self.waiting.len() == CHUNK {
            let full = std::mem::take(&mut self.waiting);
            self.put(full, false)?;
        }
        let taken = bytes.len().min(CHUNK - self.waiting.len());
        self.waiting.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Keys {
        Keys::parse(&Keys::generate().unwrap()).unwrap()
    }

    fn written(keys: Option<&Keys>, pieces: &[&[u8]], first: &[u8]) -> Source {
        let mut sink = Sink::to(tempfile::tempfile().unwrap(), keys).unwrap();
        for piece in pieces {
            sink.write_all(piece).unwrap();
        }
        sink.write_first(first).unwrap();
        sink.finish().unwrap()
    }

    fn read(source: &Source) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        source.cursor().read_to_end(&mut all).map(|_| all)
    }

    fn on_disk(source: &Source) -> Vec<u8> {
        let mut all = vec![0; source.size() as usize];
        source.file().read_exact_at(&mut all, 0).unwrap();
        all
    }

    fn file_of(bytes: &[u8]) -> fs::File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    const LENGTHS: [usize; 7] = [0, 1, 1_000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK];

    #[test]
    fn a_file_of_any_length_is_read_as_it_was_written_sealed_or_in_the_clear() {
        let keys = keys();
        for length in LENGTHS {
            let clear: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            for keys in [None, Some(&keys)] {
                let source = written(keys, &[&clear], b"");
                assert_eq!((source.length(), source.key()), (length as u64, keys.map(Keys::sealing)));
                assert!(read(&source).unwrap() == clear, "{length}");
                let again = Source::of(file_of(&on_disk(&source)), keys).unwrap();
                assert!(read(&again).unwrap() == clear, "{length}");
            }
        }
    }

    #[test]
    fn nothing_of_the_clear_is_in_a_sealed_file() {
        let keys = keys();
        let source = written(Some(&keys), &[&b"all in the clear ".repeat(10_000)], b"ALL");
        let bytes = on_disk(&source);
        assert!(!bytes.windows(6).any(|window| window.eq_ignore_ascii_case(b"in the")));
        assert_eq!(source.piece(0).unwrap()[..8], *b"ALL in t");
    }

    #[test]
    fn a_file_that_was_cut_or_whose_chunks_were_swapped_is_damaged_where_that_was() {
        let keys = keys();
        let source = written(Some(&keys), &[&vec![7; 3 * CHUNK]], b"");
        let bytes = on_disk(&source);
        let chunk = SEALED_CHUNK as usize;
        let mut swapped = bytes.clone();
        swapped[HEAD..HEAD + 2 * chunk].rotate_left(chunk);
        let opened = |bytes: &[u8]| Source::of(file_of(bytes), Some(&keys));
        for cut in [HEAD, HEAD + 20, HEAD + SURPLUS, HEAD + 2 * chunk + SURPLUS] {
            assert!(opened(&bytes[..cut]).is_err(), "{cut}");
        }
        let cuts = [HEAD + 2 * chunk, HEAD + 2 * chunk + SURPLUS + 1, HEAD + 3 * chunk - 1];
        for (damaged, whole) in cuts.map(|cut| (&bytes[..cut], CHUNK)).into_iter().chain([(&swapped[..], 0)])
        {
            let source = opened(damaged).unwrap();
            source.cursor().read_exact(&mut vec![0; whole]).unwrap();
            assert!(read(&source).is_err());
        }
    }

    #[test]
    fn a_sealed_file_without_its_key_is_refused_by_the_name_of_the_key() {
        let (ours, other) = (keys(), keys());
        let bytes = on_disk(&written(Some(&ours), &[b"x"], b""));
        for keys in [None, Some(&other)] {
            let error = Source::of(file_of(&bytes), keys).unwrap_err();
            assert!(error.to_string().contains(&ours.sealing().to_string()), "{error}");
        }
    }

    #[test]
    fn the_first_bytes_can_be_written_over_whatever_followed() {
        let keys = keys();
        for keys in [None, Some(&keys)] {
            for length in LENGTHS {
                let clear = vec![1; 4 + length];
                let all = read(&written(keys, &[&clear], b"head")).unwrap();
                assert!(all[..4] == *b"head" && all[4..] == clear[4..], "{length}");
            }
        }
        let mut sink = Sink::to(tempfile::tempfile().unwrap(), None).unwrap();
        sink.write_all(b"abc").unwrap();
        assert!(sink.write_first(b"abcd").is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_part_is_read_as_from_a_file(start in 0..200_000_u64, length in 0..100_000_usize) {
            let keys = keys();
            let clear: Vec<u8> = (0..180_000_u32).map(|at| (at * 7 % 253) as u8).collect();
            let source = written(Some(&keys), &[&clear[..70_000], &clear[70_000..]], b"");
            let mut cursor = source.cursor();
            cursor.seek(SeekFrom::Start(start)).unwrap();
            let mut part = Vec::new();
            cursor.take(length as u64).read_to_end(&mut part).unwrap();
            let from = clear.len().min(start as usize);
            prop_assert!(part == clear[from..clear.len().min(from + length)]);
        }

        #[test]
        fn any_bytes_are_opened_without_a_panic(mut bytes: Vec<u8>, is_sealed: bool) {
            let keys = keys();
            if is_sealed {
                bytes.splice(0..0, Head { key: keys.sealing(), name: [0; NAME] }.bytes());
            }
            if let Ok(source) = Source::of(file_of(&bytes), Some(&keys)) {
                let _ = read(&source);
            }
        }
    }
}
