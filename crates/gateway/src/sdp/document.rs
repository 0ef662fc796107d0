//! A description as lines, before anything is made of them.

use super::SdpError;

/// Real descriptions are below 4 KiB.
const MOST_BYTES: usize = 16 * 1024;
const MOST_LINES: usize = 512;
const MOST_STREAMS: usize = 16;
const MOST_FORMATS: usize = 64;

/// The letters of a session's lines, in the order that RFC 8866 (5) writes them; `t` and `r` may alternate.
const SESSION_ORDER: &str = "siuepcbtrzka";
/// The letters of a stream's lines, in order.
const STREAM_ORDER: &str = "icbka";

/// One line: `letter=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) letter: char,
    pub(super) value: String,
}

impl Line {
    pub(super) fn new(letter: char, value: impl Into<String>) -> Self {
        Self { letter, value: value.into() }
    }

    /// The name and the value of an attribute; the value is empty for one that has none.
    pub(super) fn attribute(&self) -> Option<(&str, &str)> {
        (self.letter == 'a').then(|| self.value.split_once(':').unwrap_or((&self.value, "")))
    }
}

/// An `m=` line and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) kind: String,
    pub(super) port: u16,
    pub(super) transport: String,
    pub(super) formats: Vec<String>,
    pub(super) lines: Vec<Line>,
}

impl Stream {
    fn parse(value: &str, line: usize) -> Result<Self, SdpError> {
        let malformed = |what| SdpError::Malformed { line, what };
        let mut words = value.split_ascii_whitespace();
        let mut word = || words.next();
        let (Some(kind), Some(port), Some(transport)) = (word(), word(), word()) else {
            return Err(malformed("a stream needs its kind, port, transport and formats"));
        };
        // A number of ports may follow (`49170/2`): only the first is used.
        let port = port.split('/').next().and_then(|port| port.parse().ok());
        let port = port.ok_or_else(|| malformed("the port of a stream is not a number up to 65535"))?;
        let formats: Vec<String> = words.map(str::to_owned).collect();
        if formats.is_empty() {
            return Err(malformed("a stream without a format"));
        }
        if formats.len() > MOST_FORMATS {
            return Err(SdpError::TooLong("formats of a stream"));
        }
        Ok(Self { kind: kind.to_owned(), port, transport: transport.to_owned(), formats, lines: Vec::new() })
    }

    /// The same stream refused, or no longer wanted.
    pub(super) fn refused(&self) -> Self {
        Self { port: 0, lines: Vec::new(), ..self.clone() }
    }
}

/// All lines but `v=` and `o=`, which are written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) session: Vec<Line>,
    pub(super) streams: Vec<Stream>,
}

impl Document {
    pub(super) fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MOST_BYTES {
            return Err(SdpError::TooLong("bytes"));
        }
        // Names in Latin-1 are seen in `s=`; nothing that matters is beyond ASCII.
        let text = String::from_utf8_lossy(body);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches(['\r', ' ', '\t'])).enumerate();
        if lines.next().is_none_or(|(_, first)| first != "v=0") {
            return Err(SdpError::Malformed { line: 1, what: "a description begins with v=0" });
        }
        let mut document = Self { session: Vec::new(), streams: Vec::new() };
        let mut last = 1;
        let mut owned = false;
        for (index, text) in lines {
            let number = index + 1;
            if number > MOST_LINES {
                return Err(SdpError::TooLong("lines"));
            }
            if text.is_empty() {
                continue;
            }
            last = number;
            let line = line(text, number)?;
            let full = document.streams.len() == MOST_STREAMS;
            match (line.letter, document.streams.last_mut()) {
                ('m', _) if full => return Err(SdpError::TooLong("streams")),
                ('m', _) => document.streams.push(Stream::parse(&line.value, number)?),
                ('o', None) if !owned => owned = true,
                (_, Some(stream)) if STREAM_ORDER.contains(line.letter) => stream.lines.push(line),
                (_, None) if SESSION_ORDER.contains(line.letter) => document.session.push(line),
                ('v' | 'o', _) => {
                    return Err(SdpError::Malformed { line: number, what: "a second description begins" });
                }
                // What does not belong here is not passed on: the next peer may be less tolerant.
                _ => {}
            }
        }
        if owned { Ok(document) } else { Err(SdpError::Malformed { line: last + 1, what: "no o= line" }) }
    }

    /// The attributes of the session, or of a stream.
    pub(super) fn attributes(lines: &[Line]) -> impl Iterator<Item = (&str, &str)> {
        lines.iter().filter_map(Line::attribute)
    }

    /// The lines that every description needs, and all in the order of RFC 8866.
    pub(super) fn complete(mut self) -> Self {
        for needed in [Line::new('s', "-"), Line::new('t', "0 0")] {
            if !self.session.iter().any(|line| line.letter == needed.letter) {
                self.session.push(needed);
            }
        }
        self.session.sort_by_key(|line| match line.letter {
            'r' => SESSION_ORDER.find('t'),
            letter => SESSION_ORDER.find(letter),
        });
        for stream in &mut self.streams {
            stream.lines.sort_by_key(|line| STREAM_ORDER.find(line.letter));
        }
        self
    }

    /// The text of all lines but `v=` and `o=`.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut write = |letter: char, value: &str| {
            text.push(letter);
            text.push('=');
            text.push_str(value);
            text.push_str("\r\n");
        };
        self.session.iter().for_each(|line| write(line.letter, &line.value));
        for Stream { kind, port, transport, formats, lines } in &self.streams {
            write('m', &format!("{kind} {port} {transport} {}", formats.join(" ")));
            lines.iter().for_each(|line| write(line.letter, &line.value));
        }
        text
    }
}

fn line(text: &str, line: usize) -> Result<Line, SdpError> {
    let malformed = |what| SdpError::Malformed { line, what };
    let mut characters = text.chars();
    let letter = characters.next().filter(char::is_ascii_lowercase);
    let (Some(letter), Some('=')) = (letter, characters.next()) else {
        return Err(malformed("not of the form letter=value"));
    };
    let value = characters.as_str();
    if value.chars().any(|character| character.is_control() && character != '\t') {
        return Err(malformed("a control character"));
    }
    Ok(Line::new(letter, value))
}
