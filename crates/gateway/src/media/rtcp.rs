//! Sender and receiver reports (RFC 3550, 6.4), as far as a relay reads them.

/// A block of a report: how its sender hears a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The stream.
    pub(super) ssrc: u32,
    /// Lost since the report before, of 256.
    pub(super) fraction_lost: u8,
    /// Lost in all; below 0 when packets came twice.
    pub(super) lost: i32,
    /// In ticks of the stream's clock.
    pub(super) jitter: u32,
    /// The middle of the NTP stamp of the last sender report that it heard; 0 for none.
    pub(super) last_report: u32,
    /// How long ago that was, in units of 1/65536 s.
    pub(super) delay: u32,
}

/// What a packet of reports says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// A sender report, by the middle 32 bits of its NTP stamp.
    Sent(u32),
    /// A block of a sender or receiver report.
    Heard(Block),
}

/// Whether bytes begin as a packet of reports does; reduced-size ones (RFC 5506) count.
pub(super) fn is_valid(bytes: &[u8]) -> bool {
    super::rtp::is_rtcp(bytes) && packets(bytes).next().is_some()
}

/// What a compound packet says, up to the first part that is cut short.
pub(super) fn reports(bytes: &[u8]) -> impl Iterator<Item = Report> {
    packets(bytes).flat_map(|packet| {
        // After the header and the sender's SSRC, a sender report has 20 bytes of its own.
        let (own, blocks) = match packet[1] {
            200 => (packet.get(10..14), packet.get(28..)),
            201 => (None, packet.get(8..)),
            _ => (None, None),
        };
        let sent =
            own.and_then(|stamp| stamp.first_chunk()).map(|stamp| Report::Sent(u32::from_be_bytes(*stamp)));
        let count = usize::from(packet[0] & 0x1f);
        let blocks = blocks.unwrap_or_default().chunks_exact(24).take(count).filter_map(block);
        sent.into_iter().chain(blocks.map(Report::Heard))
    })
}

/// The packets of a compound one.
fn packets(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let [first, _, high, low] = *bytes.first_chunk::<4>()?;
        let length = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        let (packet, rest) = bytes.split_at_checked(length).filter(|_| first >> 6 == 2)?;
        bytes = rest;
        Some(packet)
    })
}

fn block(bytes: &[u8]) -> Option<Block> {
    let word = |at: usize| bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word));
    let losses = word(4)?;
    Some(Block {
        ssrc: word(0)?,
        fraction_lost: losses.to_be_bytes()[0],
        // The low 24 bits are a signed number.
        lost: (losses << 8).cast_signed() >> 8,
        jitter: word(12)?,
        last_report: word(16)?,
        delay: word(20)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn a_compound_packet_is_read() {
        let sender = words(&[0x81c8_000c, 7, 0x1111_aaaa, 0xbbbb_2222, 160, 1, 160]);
        let block = words(&[9, 0x40ff_fffe, 1234, 80, 0xaaaa_bbbb, 0x0001_8000]);
        let names = words(&[0x81ca_0001, 7]);
        let receiver = words(&[0x80c9_0001, 7]);
        let bytes = [sender, block, names, receiver].concat();
        let heard = Block {
            ssrc: 9,
            fraction_lost: 64,
            lost: -2,
            jitter: 80,
            last_report: 0xaaaa_bbbb,
            delay: 0x0001_8000,
        };
        let expected = [Report::Sent(0xaaaa_bbbb), Report::Heard(heard)];
        assert_eq!(reports(&bytes).collect::<Vec<_>>(), expected);
        assert!(is_valid(&bytes));
    }

    #[test]
    fn what_is_cut_short_says_nothing() {
        let bytes = words(&[0x9fc9_0001, 7]);
        assert_eq!(reports(&bytes).count(), 0, "31 blocks are announced, none is there");
        for length in 0..bytes.len() {
            assert!(!is_valid(&bytes[..length]));
        }
        assert_eq!(reports(&words(&[0x81c8_0000])).count(), 0);
        assert_eq!(reports(&words(&[0x01c8_0000])).count(), 0);
    }
}
