//! WAV with 16-bit samples, where there is no MP3.

/// What stands before the samples.
const HEADER: usize = 44;

/// A WAV file in the making.
#[derive(Debug)]
pub struct Wav {
    rate: u32,
    channels: u8,
    data: u64,
}

impl Wav {
    /// With so many samples a second of each of so many channels.
    pub fn new(rate: u32, channels: u8) -> Self {
        Self { rate, channels, data: 0 }
    }

    /// The header of a file with the samples so far. A file of 4 GiB or more says that it has as much as can be said.
    pub fn header(&self) -> [u8; HEADER] {
        let data = u32::try_from(self.data).unwrap_or(u32::MAX - HEADER as u32);
        let frame = 2 * u16::from(self.channels);
        let mut header = [0; HEADER];
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            header[at..at + bytes.len()].copy_from_slice(bytes);
            at += bytes.len();
        };
        put(b"RIFF");
        put(&(data.saturating_add(HEADER as u32 - 8)).to_le_bytes());
        put(b"WAVEfmt ");
        put(&16_u32.to_le_bytes());
        // Uncompressed.
        put(&1_u16.to_le_bytes());
        put(&u16::from(self.channels).to_le_bytes());
        put(&self.rate.to_le_bytes());
        put(&(self.rate * u32::from(frame)).to_le_bytes());
        put(&frame.to_le_bytes());
        put(&16_u16.to_le_bytes());
        put(b"data");
        put(&data.to_le_bytes());
        header
    }

    /// Appends the samples of each channel, interleaved.
    pub fn encode(&mut self, channels: &[&[i16]], bytes: &mut Vec<u8>) {
        let begin = bytes.len();
        for at in 0..channels.iter().map(|channel| channel.len()).min().unwrap_or_default() {
            bytes.extend(channels.iter().flat_map(|channel| channel[at].to_le_bytes()));
        }
        self.data += (bytes.len() - begin) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_follows() {
        let mut wav = Wav::new(48_000, 2);
        let mut bytes = Vec::new();
        wav.encode(&[&[1, 2], &[-1, -2]], &mut bytes);
        assert_eq!(bytes, [1, 0, 255, 255, 2, 0, 254, 255]);
        let header = wav.header();
        assert_eq!(&header[..4], b"RIFF");
        assert_eq!(header[4..8], 44_u32.to_le_bytes());
        assert_eq!(header[22..28], [2, 0, 0x80, 0xbb, 0, 0]);
        assert_eq!(header[28..32], 192_000_u32.to_le_bytes());
        assert_eq!(header[40..], 8_u32.to_le_bytes());
    }
}
