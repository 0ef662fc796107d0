//! Cutting a stream into messages (RFC 3261, 18.3), before anybody looks at what they say.

use bytes::{Buf, Bytes, BytesMut};

/// Longer ends of line before a message are no keep-alive.
const LONGEST_KEEP_ALIVE: usize = 4;

/// Bytes of a message that is too large and is skipped. Beyond that its sender is not listened to any longer.
const MOST_SKIPPED: usize = 1 << 20;
/// Bytes in which a head has to end.
const LONGEST_HEAD: usize = 1 << 16;

/// A stream that cannot be cut: whoever sends it is not listened to any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Endless;

/// What was cut off a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A whole message, or the ends of line of a keep-alive.
    Message(Bytes),
    /// The head of a message that is too large. Its body is skipped.
    Head(Bytes),
}

/// What has arrived of a stream and was not cut off yet.
#[derive(Debug)]
pub(super) struct Framer {
    waiting: BytesMut,
    largest: usize,
    /// How far the end of the header was looked for.
    searched: usize,
    /// Bytes still to come of a body that is skipped.
    skipped: usize,
}

impl Framer {
    /// One that takes messages up to this size.
    pub(super) fn new(largest: usize) -> Self {
        Self { waiting: BytesMut::new(), largest, searched: 0, skipped: 0 }
    }

    /// Where the next bytes of the stream are to be put.
    pub(super) const fn room(&mut self) -> &mut BytesMut {
        &mut self.waiting
    }

    /// The next message when it is whole, or its head when it is too large. One without Content-Length ends with its
    /// header, and is refused for that by who reads it.
    pub(super) fn next(&mut self) -> Result<Option<Piece>, Endless> {
        let gone = self.skipped.min(self.waiting.len());
        self.waiting.advance(gone);
        self.skipped -= gone;
        if self.skipped > 0 {
            return Ok(None);
        }
        if let Some(keep_alive) = self.keep_alive() {
            return Ok(Some(Piece::Message(keep_alive)));
        }
        let from = self.searched.saturating_sub(3);
        let found =
            self.waiting.get(from..).unwrap_or_default().windows(4).position(|end| end == b"\r\n\r\n");
        let Some(head) = found.map(|at| from + at + 4) else {
            self.searched = self.waiting.len();
            return if self.waiting.len() > self.largest.max(LONGEST_HEAD) { Err(Endless) } else { Ok(None) };
        };
        let length = self.waiting.get(..head).map_or(0, content_length);
        let whole = head.checked_add(length).filter(|whole| *whole <= MOST_SKIPPED).ok_or(Endless)?;
        if whole > self.largest {
            (self.searched, self.skipped) = (0, length);
            return Ok(Some(Piece::Head(self.waiting.split_to(head).freeze())));
        }
        if self.waiting.len() < whole {
            // Found again at once when there is more.
            self.searched = head - 1;
            return Ok(None);
        }
        self.searched = 0;
        Ok(Some(Piece::Message(self.waiting.split_to(whole).freeze())))
    }

    /// Ends of line between messages: two ask for one (RFC 5626, 4.4.1).
    fn keep_alive(&mut self) -> Option<Bytes> {
        let ends = self.waiting.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if ends == 0 {
            return None;
        }
        let ends = ends.min(LONGEST_KEEP_ALIVE);
        // Half of a pair may be still to come.
        if ends == self.waiting.len() && ends % 2 == 1 {
            return None;
        }
        let cut = if ends < 2 { 1 } else { ends - ends % 2 };
        let keep_alive = Bytes::copy_from_slice(self.waiting.get(..cut)?);
        self.waiting.advance(cut);
        self.searched = 0;
        Some(keep_alive)
    }
}

/// What the first Content-Length of a header says; 0 where there is none. What cannot be read is not ours to judge.
fn content_length(head: &[u8]) -> usize {
    let lines = head.split(|byte| *byte == b'\n');
    let value = lines.skip(1).find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = line.get(..colon)?.trim_ascii();
        let named = name.eq_ignore_ascii_case(b"content-length") || name.eq_ignore_ascii_case(b"l");
        named.then(|| line.get(colon + 1..)).flatten()
    });
    let value = value.and_then(|value| std::str::from_utf8(value.trim_ascii()).ok());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: &str = "OPTIONS sip:a@b SIP/2.0\r\nl : 5\r\n\r\nhello";
    const SECOND: &str = "BYE sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n";

    fn cut(framer: &mut Framer) -> Vec<Vec<u8>> {
        let pieces = std::iter::from_fn(|| framer.next().expect("small enough"));
        pieces.map(|(Piece::Message(bytes) | Piece::Head(bytes))| bytes.to_vec()).collect()
    }

    proptest! {
        #[test]
        fn a_stream_is_cut_into_the_same_messages_however_it_arrives(pieces in prop::collection::vec(1..20_usize, 1..60)) {
            let stream = format!("\r\n\r\n{FIRST}{SECOND}\r\n{FIRST}");
            let (mut framer, mut rest, mut found) = (Framer::new(1_000), stream.as_bytes(), Vec::new());
            for piece in pieces.into_iter().chain([stream.len()]) {
                let (now, later) = rest.split_at(piece.min(rest.len()));
                framer.room().extend_from_slice(now);
                found.extend(cut(&mut framer));
                rest = later;
            }
            found.retain(|message| message.starts_with(b"O") || message.starts_with(b"B"));
            prop_assert_eq!(found, [FIRST, SECOND, FIRST].map(|message| message.as_bytes().to_vec()));
        }

        #[test]
        fn nothing_that_arrives_brings_it_down(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut framer = Framer::new(500);
            framer.room().extend_from_slice(&bytes);
            while let Ok(Some(piece)) = framer.next() {
                let (Piece::Message(bytes) | Piece::Head(bytes)) = &piece;
                prop_assert!(!bytes.is_empty());
                prop_assert!(bytes.len() <= 500 || matches!(piece, Piece::Head(_)));
            }
        }
    }

    #[test]
    fn a_large_message_is_skipped_behind_its_head() {
        let head = "INVITE sip:a@b SIP/2.0\r\nContent-Length: 200\r\n\r\n";
        let stream = format!("{head}{}{SECOND}", "\r\n".repeat(100));
        for piece in [1, 7, stream.len()] {
            let (mut framer, mut found) = (Framer::new(100), Vec::new());
            for bytes in stream.as_bytes().chunks(piece) {
                framer.room().extend_from_slice(bytes);
                found.extend(std::iter::from_fn(|| framer.next().unwrap()));
            }
            let expected = [Piece::Head(head.into()), Piece::Message(SECOND.into())];
            assert_eq!(found, expected, "{piece}");
        }
    }

    #[test]
    fn a_stream_without_an_end_in_sight_is_given_up() {
        for length in ["1048577", "18446744073709551615"] {
            let mut framer = Framer::new(100);
            let head = format!("INVITE sip:a@b SIP/2.0\r\nContent-Length: {length}\r\n\r\n");
            framer.room().extend_from_slice(head.as_bytes());
            assert_eq!(framer.next(), Err(Endless), "{length}");
        }
        let mut framer = Framer::new(100);
        framer.room().extend_from_slice(&[b'a'; LONGEST_HEAD]);
        assert_eq!(framer.next(), Ok(None));
        framer.room().extend_from_slice(b"a");
        assert_eq!(framer.next(), Err(Endless));
    }

    #[test]
    fn two_ends_of_line_are_a_keep_alive() {
        let mut framer = Framer::new(100);
        framer.room().extend_from_slice(b"\r\n\r\n\r\n");
        assert_eq!(cut(&mut framer), [b"\r\n\r\n".to_vec(), b"\r\n".to_vec()]);
    }
}
