//! A SIP message in its parts, unfolded and tidied (RFC 3261, 7).

use std::borrow::Cow;

use crate::{
    quoting::{blank, end_of_head, is_token, lines, split_outside},
    sip::long_name,
};

use super::{
    header::{Kind, tidied},
    reason::Reason,
};

/// Headers of one message, after lists were taken apart.
const MOST_HEADERS: usize = 200;
/// Room for the headers of most messages.
const USUAL_HEADERS: usize = 16;

/// Why a message cannot be taken, and what its sender is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) status: u16,
    pub(super) phrase: &'static str,
    /// A header line of the answer, without its end.
    pub(super) header: Option<String>,
}

impl Fault {
    pub(super) const fn new(reason: Reason, status: u16, phrase: &'static str) -> Self {
        Self { reason, status, phrase, header: None }
    }

    pub(super) const fn bad(reason: Reason, phrase: &'static str) -> Self {
        Self::new(reason, 400, phrase)
    }
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start<'a> {
    Request { method: &'a str, uri: Cow<'a, str>, version: &'a str },
    Response { version: &'a str, code: &'a str, phrase: &'a str },
}

#[derive(Clone, Debug)]
pub(super) struct Header<'a> {
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    pub(super) value: Cow<'a, str>,
}

/// A message cut where its headers end.
#[derive(Clone, Debug)]
pub(super) struct Halves<'a> {
    /// The first line and the headers as text, unfolded: most often as they came.
    head: Cow<'a, str>,
    /// Everything after the empty line; none when there is no such line.
    rest: Option<&'a [u8]>,
}

impl<'a> Halves<'a> {
    /// Cuts a message; nothing when it holds but ends of lines.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        let begin = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
        let bytes = &bytes[begin..];
        let (head, rest) = match end_of_head(bytes) {
            Some(end) => (&bytes[..end], Some(&bytes[end + 4..])),
            None => (bytes.strip_suffix(b"\r\n").unwrap_or(bytes), None),
        };
        Some(Self { head: unfolded(text_of(head)), rest })
    }
}

/// A message as far as it could be read.
#[derive(Clone, Debug)]
pub(super) struct Message<'a> {
    pub(super) start: Start<'a>,
    pub(super) headers: Vec<Header<'a>>,
    /// Everything after the empty line.
    pub(super) rest: &'a [u8],
    /// The first thing that was wrong with its form.
    pub(super) fault: Option<Fault>,
    /// Whether its head had an end.
    is_whole: bool,
    /// How long its head was.
    length: usize,
}

impl<'a> Message<'a> {
    /// Takes a message apart; nothing when its first line is not one of SIP.
    pub(super) fn read(halves: &'a Halves<'_>) -> Option<Self> {
        let mut lines = lines(&halves.head);
        let (start, odd) = start_line(lines.next()?)?;
        let endless = halves.rest.is_none().then_some(Fault::bad(Reason::Malformed, "Headers Without End"));
        let mut message = Self {
            start,
            headers: Vec::with_capacity(USUAL_HEADERS),
            rest: halves.rest.unwrap_or_default(),
            is_whole: halves.rest.is_some(),
            fault: endless.or(odd),
            length: halves.head.len(),
        };
        for line in lines {
            if let Err(broken) = message.take_header(line) {
                message.fault.get_or_insert(broken);
            }
            if message.headers.len() > MOST_HEADERS {
                message.fault.get_or_insert(Fault::bad(Reason::Malformed, "Too Many Headers"));
                break;
            }
        }
        Some(message)
    }

    fn take_header(&mut self, line: &'a str) -> Result<(), Fault> {
        const BROKEN: Fault = Fault::bad(Reason::Malformed, "Malformed Header");
        let (name, value) = line.split_once(':').ok_or(BROKEN)?;
        let name = name.trim_matches(blank);
        if !is_token(name) || !is_printable(value) {
            return Err(BROKEN);
        }
        let name = long_name(name);
        let kind = Kind::of(name);
        let value = tidied(kind, value.trim_matches(blank));
        if !kind.is_taken_apart() {
            self.headers.push(Header { kind, name, value });
            return Ok(());
        }
        // Whoever reads it finds one value in each line.
        let apart = match &value {
            Cow::Borrowed(value) => self.take_apart(kind, name, split_outside(value, ','), Cow::Borrowed),
            Cow::Owned(value) => {
                self.take_apart(kind, name, split_outside(value, ','), |part| Cow::Owned(part.to_owned()))
            }
        };
        if apart { Ok(()) } else { Err(BROKEN) }
    }

    /// Makes a header of each part; says whether all are something.
    fn take_apart<'p>(
        &mut self,
        kind: Kind,
        name: &'a str,
        parts: Option<Vec<&'p str>>,
        kept: impl Fn(&'p str) -> Cow<'a, str>,
    ) -> bool {
        let parts = parts.unwrap_or_default();
        let tidy = parts.iter().map(|part| part.trim_matches(blank));
        self.headers.extend(tidy.clone().take(MOST_HEADERS).map(|part| Header {
            kind,
            name,
            value: kept(part),
        }));
        !parts.is_empty() && tidy.clone().all(|part| !part.is_empty())
    }

    /// The first header of this kind.
    pub(super) fn first(&self, kind: Kind) -> Option<&str> {
        self.all(kind).next()
    }

    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |header| header.kind == kind).map(|header| &*header.value)
    }

    /// The first line and the headers of usual length, of a message that could not be read to its end without its last: that
    /// may be cut.
    pub(super) fn outlined(&mut self) -> Vec<u8> {
        const USUAL: usize = 1024;
        const MOST: usize = 32;
        if !self.is_whole {
            self.headers.pop();
        }
        self.headers.retain(|header| header.value.len() <= USUAL);
        self.headers.truncate(MOST);
        if let Start::Request { uri, .. } = &mut self.start
            && uri.len() > USUAL
        {
            *uri = Cow::Owned(uri.chars().take(USUAL).collect());
        }
        self.written(&[])
    }

    /// The message in the form that is handed on, with so much of the rest as its body.
    pub(super) fn written(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.length + body.len() + 64);
        let start = match &self.start {
            Start::Request { method, uri, version } => [*method, uri, version],
            Start::Response { version, code, phrase } => [*version, code, phrase],
        };
        for (part, end) in start.into_iter().zip([" ", " ", "\r\n"]) {
            out.extend_from_slice(part.as_bytes());
            out.extend_from_slice(end.as_bytes());
        }
        for header in self.headers.iter().filter(|header| header.kind != Kind::ContentLength) {
            push_header(&mut out, header.name, &header.value);
        }
        push_header(&mut out, "Content-Length", &body.len().to_string());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body);
        out
    }
}

pub(super) fn push_header(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// The first line in its parts, and what is wrong with its form.
fn start_line(line: &str) -> Option<(Start<'_>, Option<Fault>)> {
    if line.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("SIP/")) {
        let mut parts = line.splitn(3, ' ');
        let (version, code) = (parts.next()?, parts.next()?);
        let phrase = parts.next().unwrap_or_default().trim_matches(blank);
        let odd = (!is_printable(phrase)).then_some(Fault::bad(Reason::Malformed, "Malformed Status-Line"));
        return Some((Start::Response { version, code, phrase }, odd));
    }
    let (method, after) = line.split_once([' ', '\t'])?;
    let (uri, version) = after.trim_matches(blank).rsplit_once([' ', '\t'])?;
    if !is_token(method) || !version.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("SIP/")) {
        return None;
    }
    // One blank between the parts, and none after them.
    let exact = line.len() == method.len() + uri.len() + version.len() + 2
        && !uri.is_empty()
        && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let odd = (!exact).then_some(Fault::bad(Reason::Malformed, "Malformed Request-Line"));
    Some((Start::Request { method, uri: Cow::Borrowed(uri), version }, odd))
}

/// The text with lines that continue others joined to them. Blanks between them become one.
fn unfolded(head: Cow<'_, str>) -> Cow<'_, str> {
    if !lines(&head).any(|line| line.starts_with(blank)) {
        return head;
    }
    let mut out = String::with_capacity(head.len());
    for (number, line) in lines(&head).enumerate() {
        if number > 0 && line.starts_with(blank) {
            out.truncate(out.trim_end_matches(blank).len());
            out.push(' ');
            out.push_str(line.trim_matches(blank));
        } else {
            out.push_str(if number > 0 { "\r\n" } else { "" });
            out.push_str(line);
        }
    }
    Cow::Owned(out)
}

/// The headers as text. A byte that is not UTF-8 (Latin-1 in a display name, mostly) becomes a question mark.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    Cow::Owned(text)
}

/// No control characters, but after a backslash (RFC 3261, 25.1, quoted-pair), and no end of line at all.
fn is_printable(text: &str) -> bool {
    let mut escaped = false;
    text.bytes().all(|byte| {
        let fine = match byte {
            b'\r' | b'\n' => false,
            b'\t' => true,
            _ => !byte.is_ascii_control() || escaped,
        };
        escaped = byte == b'\\' && !escaped;
        fine
    })
}
