//! Cutting a stream into messages (RFC 3261, 18.3), before anybody looks at what they say.

use bytes::{Buf, Bytes, BytesMut};

/// Longer ends of line before a message are no keep-alive.
const LONGEST_KEEP_ALIVE: usize = 4;

/// Bytes of a message that is too large and is skipped. Beyond that its sender is not listened to any longer.
const MOST_SKIPPED: usize = 1 << 20;
/// Bytes of a head that are kept. Of a longer one the begin is read and the rest skipped.
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
    /// A head that is skipped.
    endless: Option<LongHead>,
}

/// A head that is too long to be kept, as far as it has come.
#[derive(Debug)]
struct LongHead {
    /// Its first lines, whole.
    kept: BytesMut,
    /// What its Content-Length says, once that has come.
    length: Option<usize>,
    /// Bytes that have come.
    seen: usize,
    /// Whether the begin of the current line is gone.
    is_cut: bool,
}

impl Framer {
    /// One that takes messages up to this size.
    pub(super) fn new(largest: usize) -> Self {
        Self { waiting: BytesMut::new(), largest, searched: 0, skipped: 0, endless: None }
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
        if self.endless.is_some() {
            return self.skip_head();
        }
        if let Some(keep_alive) = self.keep_alive() {
            return Ok(Some(Piece::Message(keep_alive)));
        }
        let from = self.searched.saturating_sub(3);
        let found =
            self.waiting.get(from..).unwrap_or_default().windows(4).position(|end| end == b"\r\n\r\n");
        let Some(head) = found.map(|at| from + at + 4) else {
            self.searched = self.waiting.len();
            if self.waiting.len() <= self.largest.max(LONGEST_HEAD) {
                return Ok(None);
            }
            let lines = memchr::memmem::rfind(&self.waiting, b"\r\n").ok_or(Endless)? + 2;
            let kept = self.waiting.split_to(lines);
            let length = content_length(&kept);
            self.endless = Some(LongHead { seen: kept.len(), kept, length, is_cut: false });
            return self.skip_head();
        };
        let length = self.waiting.get(..head).and_then(content_length).unwrap_or(0);
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

    /// Skips the rest of a head line by line, and gives its begin when its end has come.
    fn skip_head(&mut self) -> Result<Option<Piece>, Endless> {
        let Some(head) = &mut self.endless else { return Ok(None) };
        loop {
            if head.seen.saturating_add(head.length.unwrap_or(0)) > MOST_SKIPPED {
                return Err(Endless);
            }
            let Some(end) = memchr::memmem::find(&self.waiting, b"\r\n") else {
                // Of a long line only a CR may still be needed.
                if self.waiting.len() > LONGEST_HEAD {
                    let gone = self.waiting.len() - 1;
                    self.waiting.advance(gone);
                    head.seen += gone;
                    head.is_cut = true;
                }
                return Ok(None);
            };
            let line = self.waiting.split_to(end + 2);
            head.seen += line.len();
            let is_whole = !std::mem::replace(&mut head.is_cut, false);
            if is_whole && end == 0 {
                break;
            }
            if is_whole && head.length.is_none() {
                head.length = length_in(&line);
            }
        }
        let LongHead { mut kept, length, .. } = self.endless.take().ok_or(Endless)?;
        kept.extend_from_slice(b"\r\n");
        (self.searched, self.skipped) = (0, length.unwrap_or(0));
        Ok(Some(Piece::Head(kept.freeze())))
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

/// What the first Content-Length of a header says; nothing where there is none.
fn content_length(head: &[u8]) -> Option<usize> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(length_in)
}

/// What a line says that is a Content-Length; 0 where that cannot be read, which is not ours to judge.
fn length_in(line: &[u8]) -> Option<usize> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    if !name.eq_ignore_ascii_case(b"content-length") && !name.eq_ignore_ascii_case(b"l") {
        return None;
    }
    let value = std::str::from_utf8(line.get(colon + 1..)?.trim_ascii()).ok();
    Some(value.and_then(|value| value.parse().ok()).unwrap_or(0))
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
    fn a_head_that_is_too_long_is_skipped_with_its_body() {
        let begin = "INVITE sip:a@b SIP/2.0\r\nCall-ID: 1\r\n";
        let padding = format!("X-Padding: {}\r\n", "x".repeat(1_000)).repeat(100);
        let long_line = format!("X-Long: {}\r\n", "y".repeat(200_000));
        for more in [padding, long_line] {
            let stream = format!("{begin}{more}Content-Length: 9\r\nX-Last: 1\r\n\r\n\r\n\r\nbody.{SECOND}");
            for piece in [1_000, 7_777, stream.len()] {
                let (mut framer, mut found) = (Framer::new(100), Vec::new());
                for bytes in stream.as_bytes().chunks(piece) {
                    framer.room().extend_from_slice(bytes);
                    found.extend(std::iter::from_fn(|| framer.next().unwrap()));
                    assert!(framer.waiting.len() <= LONGEST_HEAD + stream.len().min(piece));
                }
                let [Piece::Head(head), Piece::Message(next)] = &found[..] else {
                    panic!("{piece}: {found:?}")
                };
                assert!(head.starts_with(begin.as_bytes()) && head.ends_with(b"\r\n\r\n"), "{piece}");
                assert_eq!(next, SECOND.as_bytes());
            }
        }
        let mut framer = Framer::new(100);
        framer.room().extend_from_slice(begin.as_bytes());
        let line = format!("X-Padding: {}\r\n", "x".repeat(1_000));
        let given_up = (0..2_000).position(|_| {
            framer.room().extend_from_slice(line.as_bytes());
            framer.next() == Err(Endless)
        });
        assert_eq!(given_up, Some(MOST_SKIPPED / line.len()));
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
