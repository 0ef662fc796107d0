//! What a finished recording says of itself.

use std::{
    io::{self, Read},
    path::Path,
    time::Duration,
};

use pegcount_sealed::{Keys, Source};

use super::{Format, KBITS, output::checksum_of};
use crate::recording::{
    mixdown::RATE,
    report::{Flaws, Recorded},
};

/// As much of a file as says what it is.
const HEAD: usize = 44;

/// What a head says: channels, and bytes a second.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    channels: u8,
    bytes_per_second: u64,
    /// Bytes that are no sound.
    head: u64,
}

/// Tells again of a finished recording what can be told by its file alone: its flaws are forgotten, and its length is that
/// of its frames. `None` where it is none of ours.
pub(in crate::recording) fn retold(path: &Path, keys: Option<&Keys>) -> io::Result<Option<Recorded>> {
    let format = [Format::Mp3, Format::Wav]
        .into_iter()
        .find(|format| path.extension().is_some_and(|extension| extension == format.suffix()));
    let (Some(format), Some(call)) = (format, path.file_stem().and_then(|name| name.to_str())) else {
        return Ok(None);
    };
    let file = Source::open(path, keys)?;
    let mut head = Vec::with_capacity(HEAD);
    file.cursor().take(HEAD as u64).read_to_end(&mut head)?;
    let said = match format {
        Format::Mp3 => mp3(&head),
        Format::Wav => wav(&head),
    };
    let Some(said) = said else { return Ok(None) };
    let (bytes, sha256) = checksum_of(file.cursor())?;
    let duration = Duration::from_millis(bytes.saturating_sub(said.head) * 1_000 / said.bytes_per_second);
    let finished_at = file.file().metadata()?.modified()?;
    Ok(Some(Recorded {
        call: call.to_owned(),
        path: path.to_owned(),
        format,
        channels: said.channels,
        bytes,
        duration,
        sha256,
        begins_at: finished_at.checked_sub(duration).unwrap_or(finished_at),
        flaws: Flaws::default(),
    }))
}

/// The rates of MPEG-1 layer III by their index, in thousands of bits a second (ISO/IEC 11172-3, 2.4.2.3); 0 is a free one.
const RATES: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// A frame of MPEG-1 layer III at 48 kHz, with the rate that our encoder gives to so many channels.
fn mp3(head: &[u8]) -> Option<Said> {
    let [0xff, version, rates, mode, ..] = *head else { return None };
    let channels: u8 = if mode >> 6 == 3 { 1 } else { 2 };
    let bitrate = RATES.get(usize::from(rates >> 4)).copied();
    let ours =
        version & 0xfe == 0xfa && bitrate == Some(KBITS * u32::from(channels)) && (rates >> 2) & 3 == 1;
    ours.then_some(Said {
        channels,
        bytes_per_second: u64::from(KBITS * u32::from(channels)) * 1_000 / 8,
        head: 0,
    })
}

/// The header that [`super::Wav`] writes.
fn wav(head: &[u8]) -> Option<Said> {
    let channels = *head.get(22)?;
    let ours = head.len() == HEAD && head.starts_with(b"RIFF") && (1..=2).contains(&channels);
    let bytes_per_second = 2 * u64::from(RATE) * u64::from(channels);
    ours.then_some(Said { channels, bytes_per_second, head: HEAD as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_many_channels_there_are_and_how_fast_they_go() {
        let said = |channels, bytes_per_second, head| Some(Said { channels, bytes_per_second, head });
        assert_eq!(mp3(&[0xff, 0xfb, 0x54, 0xc4, 0]), said(1, 8_000, 0));
        assert_eq!(mp3(&[0xff, 0xfb, 0x94, 0x44, 0]), said(2, 16_000, 0));
        for channels in [1, 2] {
            let head = super::super::Wav::new(RATE, channels).header();
            assert_eq!(wav(&head), said(channels, 96_000 * u64::from(channels), 44));
            assert_eq!(wav(&head[..43]), None);
        }
        for other in [
            &b""[..],
            b"ID3",
            &[0xff, 0xfb, 0x90, 0xc4],
            &[0xff, 0xf3, 0x54, 0xc4],
            &[0xff, 0xfb, 0x50, 0xc4],
        ] {
            assert_eq!((mp3(other), wav(other)), (None, None), "{other:?}");
        }
    }
}
