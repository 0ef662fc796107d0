//! WAV files as recorders leave them: with a length that was never written, or a format that says less than it should.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use super::sound::File;

/// Longest description of the samples, in bytes.
const LONGEST_FORMAT: u32 = 4_096;
/// How many chunks may stand before the samples.
const MOST_CHUNKS: usize = 1_000;
/// From here on a length means that it was not known when it was written.
const UNKNOWN: u32 = 0x7fff_0000;
/// The largest length that is not taken to be unknown by who reads it.
const LARGEST: u64 = 0xffff_0000;

/// A WAV file, told anew.
pub(super) struct Mended {
    /// A head that fits the samples, and the samples.
    pub(super) bytes: io::Chain<Cursor<Vec<u8>>, io::Take<File>>,
    /// Whether there are fewer samples than the head said.
    pub(super) is_cut: bool,
}

/// Reads the head of a file; `None` where it is no WAV with samples in it.
pub(super) fn mended(mut file: File) -> io::Result<Option<Mended>> {
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    let mut head = [0; 12];
    if !read(&mut file, &mut head)? || !head.starts_with(b"RIFF") || !head.ends_with(b"WAVE") {
        return Ok(None);
    }
    let mut format = None;
    for _ in 0..MOST_CHUNKS {
        let mut chunk = [0; 8];
        if !read(&mut file, &mut chunk)? {
            return Ok(None);
        }
        let [a, b, c, d, length @ ..] = chunk;
        let said = u32::from_le_bytes(length);
        match &[a, b, c, d] {
            b"fmt " if said <= LONGEST_FORMAT => {
                let mut bytes = vec![0; said as usize];
                if !read(&mut file, &mut bytes)? {
                    return Ok(None);
                }
                file.seek_relative(i64::from(said & 1))?;
                format = Some(bytes);
            }
            b"data" => {
                let Some(format) = format else { return Ok(None) };
                let there = end.saturating_sub(file.stream_position()?).min(LARGEST);
                let is_known = said > 0 && said < UNKNOWN;
                let length = if is_known { there.min(u64::from(said)) } else { there };
                let head = head_of(format, u32::try_from(length).unwrap_or(u32::MAX));
                let is_cut = is_known && there < u64::from(said);
                return Ok(Some(Mended { bytes: Cursor::new(head).chain(file.take(length)), is_cut }));
            }
            // A chunk is filled up to an even length.
            _ => file.seek_relative(i64::from(said) + i64::from(said & 1))?,
        }
    }
    Ok(None)
}

/// The head of a WAV file. What describes A-law and mu-law has to say how much more it says, which is nothing.
fn head_of(mut format: Vec<u8>, data: u32) -> Vec<u8> {
    if matches!(format.get(..2), Some([6 | 7, 0])) {
        format.resize(18, 0);
        format.splice(16.., [0, 0]);
    }
    let format_length = u32::try_from(format.len()).unwrap_or_default();
    let mut head = Vec::with_capacity(format.len() + 28);
    head.extend(b"RIFF");
    head.extend((data.saturating_add(20 + format_length)).to_le_bytes());
    head.extend(b"WAVEfmt ");
    head.extend(format_length.to_le_bytes());
    head.extend(&format);
    if format_length % 2 == 1 {
        head.push(0);
    }
    head.extend(b"data");
    head.extend(data.to_le_bytes());
    head
}

/// Fills a place with bytes; `false` where the file has no more.
fn read(file: &mut File, place: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
