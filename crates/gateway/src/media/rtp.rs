//! The header of an RTP packet (RFC 3550, 5.1).

/// What the relay reads of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) timestamp: u32,
    pub(super) ssrc: u32,
    /// Without header, extension and padding; may be empty.
    pub(super) payload: &'a [u8],
}

/// Whether bytes on a shared port are RTCP (RFC 5761, 4).
pub(super) fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, 192..=223, ..] if first >> 6 == 2)
}

impl<'a> Packet<'a> {
    /// `None` when the bytes are no RTP packet.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk::<12>()?;
        let [first, second, sequence_high, sequence_low, t3, t2, t1, t0, s3, s2, s1, s0] = *header;
        if first >> 6 != 2 {
            return None;
        }
        let mut payload = bytes.get(12 + 4 * usize::from(first & 0x0f)..)?;
        if first & 0x10 != 0 {
            let [_, _, high, low] = *payload.first_chunk::<4>()?;
            payload = payload.get(4 + 4 * usize::from(u16::from_be_bytes([high, low]))..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            let end = payload.len().checked_sub(padding).filter(|_| padding > 0)?;
            payload = &payload[..end];
        }
        Some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([sequence_high, sequence_low]),
            timestamp: u32::from_be_bytes([t3, t2, t1, t0]),
            ssrc: u32::from_be_bytes([s3, s2, s1, s0]),
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(first: u8) -> Vec<u8> {
        vec![first, 0x80 | 8, 0x12, 0x34, 0, 0, 0x10, 0x20, 0xde, 0xad, 0xbe, 0xef]
    }

    #[test]
    fn a_header_is_read() {
        let bytes = [header(0x80), vec![1, 2, 3]].concat();
        let expected = Packet {
            payload_type: 8,
            sequence: 0x1234,
            timestamp: 0x1020,
            ssrc: 0xdead_beef,
            payload: &[1, 2, 3],
        };
        assert_eq!(Packet::parse(&bytes), Some(expected));
    }

    #[test]
    fn sources_extension_and_padding_are_no_payload() {
        let bytes = [
            header(0x80 | 0x20 | 0x10 | 2),
            vec![9; 8],
            vec![0xbe, 0xde, 0, 1, 9, 9, 9, 9],
            vec![7, 0, 0, 3],
        ]
        .concat();
        assert_eq!(Packet::parse(&bytes).map(|packet| packet.payload), Some(&[7_u8][..]));
    }

    #[test]
    fn what_is_cut_short_is_no_packet() {
        let whole =
            [header(0x80 | 0x20 | 0x10 | 1), vec![9; 4], vec![0, 0, 0, 1, 9, 9, 9, 9], vec![1]].concat();
        assert_eq!(Packet::parse(&whole).map(|packet| packet.payload.len()), Some(0));
        for length in 0..whole.len() {
            assert_eq!(Packet::parse(&whole[..length]), None, "{length}");
        }
        assert_eq!(Packet::parse(&[header(0x00), vec![0; 8]].concat()), None, "STUN");
        assert_eq!(Packet::parse(&[header(0x80 | 0x20), vec![0]].concat()), None, "padding of 0");
        assert_eq!(Packet::parse(&[header(0x80 | 0x20), vec![9]].concat()), None, "too much padding");
    }

    #[test]
    fn rtcp_on_the_port_of_rtp_is_told_apart() {
        assert!(is_rtcp(&[0x80, 200, 0, 6]));
        assert!(!is_rtcp(&[0x80, 0x80 | 8, 0, 6]));
        assert!(!is_rtcp(&[0x00, 200]));
        assert!(!is_rtcp(&[0x80]));
    }
}
