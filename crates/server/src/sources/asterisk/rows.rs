//! The rows of a CSV file.
//!
//! Asterisk writes no line break into a field, exports of databases do. So an open quotation mark runs on into the next
//! lines only if it is closed there as CSV has it (RFC 4180): a line that a crash tore apart spoils itself, not the rows
//! after it.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read},
};

/// Longest line in bytes, and longest row; a row has some hundred.
const LONGEST_LINE: usize = 256 * 1024;
/// Most lines that a row may have.
const MOST_LINES: usize = 32;

/// A row that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct RowError {
    /// Its line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub message: String,
}

/// A row with its line.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) fields: Vec<String>,
}

impl Row {
    /// The row's content, the same for the same fields however they were quoted.
    pub(super) fn canonical(&self) -> String {
        self.fields.join("\u{1f}")
    }

    pub(super) fn error(&self, message: impl Into<String>) -> RowError {
        RowError { line: self.line, message: message.into() }
    }
}

/// A line with its number, counted from 1.
struct Line {
    number: u64,
    bytes: Vec<u8>,
}

impl Line {
    /// The line without what ends it.
    fn text(&self) -> &[u8] {
        let text = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        text.strip_suffix(b"\r").unwrap_or(text)
    }
}

/// Reads a file row by row, holding the lines of one row at a time.
pub(super) struct Rows<R> {
    input: BufReader<R>,
    splitter: Splitter,
    /// How many lines were read.
    count: u64,
    /// The line at which the last row begins.
    line: u64,
    /// Lines that were looked at and are still to be read.
    ahead: VecDeque<Result<Line, RowError>>,
    ended: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        let input = BufReader::new(input);
        Self { input, splitter: Splitter::new(), count: 0, line: 0, ahead: VecDeque::new(), ended: false }
    }

    /// The line at which the row that was read last begins, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    fn next_line(&mut self) -> Option<Result<Line, RowError>> {
        if self.ahead.is_empty() && !self.ended { self.read_line() } else { self.ahead.pop_front() }
    }

    /// The row that begins with a line whose last quotation mark is open.
    fn go_on(&mut self, first: &Line) -> Result<Row, RowError> {
        let mut text = first.text().to_vec();
        let mut quotes = Quotes::default();
        quotes.pass(&text);
        let mut seen = Vec::new();
        while seen.len() + 1 < MOST_LINES && text.len() <= LONGEST_LINE && quotes.are_open() {
            let Some(line) = self.next_line() else { break };
            if let Ok(line) = &line {
                text.push(b'\n');
                text.extend_from_slice(line.text());
                quotes.pass(b"\n");
                quotes.pass(line.text());
            }
            let is_line = line.is_ok();
            seen.push(line);
            if !is_line {
                break;
            }
        }
        if quotes.are_closed()
            && let Ok(fields) = self.splitter.split(&text)
        {
            return Ok(Row { line: first.number, fields });
        }
        for line in seen.into_iter().rev() {
            self.ahead.push_front(line);
        }
        let message = "a quotation mark is not closed: the row was cut off or torn".to_owned();
        Err(RowError { line: first.number, message })
    }

    /// The next line of the file; `None` at its end.
    fn read_line(&mut self) -> Option<Result<Line, RowError>> {
        let mut bytes = Vec::new();
        let mut length = 0_usize;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // What follows cannot be reached.
                    self.ended = true;
                    let message = format!("the file cannot be read on: {error}");
                    return Some(Err(RowError { line: self.count + 1, message }));
                }
            };
            if chunk.is_empty() {
                self.ended = true;
                if length == 0 {
                    return None;
                }
                break;
            }
            let end = chunk.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(chunk.len(), |end| end + 1);
            length += taken;
            if length <= LONGEST_LINE {
                bytes.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            }
            self.input.consume(taken);
            if end.is_some() {
                break;
            }
        }
        self.count += 1;
        if length > LONGEST_LINE {
            let message = format!("the line has {length} bytes, at most {LONGEST_LINE} are taken");
            return Some(Err(RowError { line: self.count, message }));
        }
        Some(Ok(Line { number: self.count, bytes }))
    }
}

/// How the quotation marks of a row stand, read strictly: a field is quoted as a whole, or not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Quotes {
    /// At the start of a field.
    #[default]
    Start,
    /// In a field that is not quoted.
    Bare,
    /// In a quoted field.
    Quoted,
    /// Behind a quotation mark in a quoted field, which closes it unless another one follows.
    Closing,
    /// They stand as CSV does not have it.
    Broken,
}

impl Quotes {
    fn pass(&mut self, text: &[u8]) {
        for byte in text {
            *self = match (*self, byte) {
                (Self::Start, b'"') | (Self::Closing, b'"') => Self::Quoted,
                (Self::Quoted, b'"') => Self::Closing,
                (Self::Start | Self::Bare | Self::Closing, b',') => Self::Start,
                (Self::Start | Self::Bare, byte) if *byte != b'"' => Self::Bare,
                (Self::Quoted, _) => Self::Quoted,
                _ => Self::Broken,
            };
        }
    }

    fn are_open(self) -> bool {
        self == Self::Quoted
    }

    fn are_closed(self) -> bool {
        matches!(self, Self::Start | Self::Bare | Self::Closing)
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = match self.next_line()? {
                Ok(line) => line,
                Err(error) => {
                    self.line = error.line;
                    return Some(Err(error));
                }
            };
            if line.number == 1 && line.bytes.starts_with(b"\xef\xbb\xbf") {
                line.bytes.drain(..3);
            }
            let text = line.bytes.trim_ascii();
            if text.is_empty() {
                continue;
            }
            self.line = line.number;
            return Some(match self.splitter.split(text) {
                Ok(fields) => Ok(Row { line: line.number, fields }),
                Err(Unclosed) => self.go_on(&line),
            });
        }
    }
}

/// A quotation mark of a row is still open at its end.
struct Unclosed;

/// Splits lines into fields. One parser serves them all, since the tables it works by are costly to make.
struct Splitter(csv::Reader<OneLine>);

/// The line that the parser is given to read.
#[derive(Default)]
struct OneLine {
    line: Vec<u8>,
    place: usize,
    asked_for_more: bool,
}

impl Read for OneLine {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let rest = self.line.get(self.place..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        let (Some(target), Some(source)) = (buffer.get_mut(..count), rest.get(..count)) else { return Ok(0) };
        target.copy_from_slice(source);
        self.place += count;
        self.asked_for_more |= count == 0;
        Ok(count)
    }
}

impl Splitter {
    fn new() -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).flexible(true).terminator(csv::Terminator::Any(b'\n'));
        Self(builder.from_reader(OneLine::default()))
    }

    /// The fields of a row, whose line breaks are in quotation marks.
    fn split(&mut self, line: &[u8]) -> Result<Vec<String>, Unclosed> {
        let given = self.0.get_mut();
        given.line.clear();
        given.line.extend_from_slice(line);
        given.line.push(b'\n');
        given.place = 0;
        let mut record = csv::ByteRecord::new();
        let read = self.0.read_byte_record(&mut record);
        if !matches!(read, Ok(true)) || self.0.get_ref().asked_for_more {
            // It still waits for the quotation mark that closes.
            *self = Self::new();
            return Err(Unclosed);
        }
        Ok(record.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<Result<Vec<String>, u64>> {
        let rows = Rows::new(text.as_bytes());
        rows.map(|row| row.map(|row| row.fields).map_err(|error| error.line)).collect()
    }

    #[test]
    fn a_line_that_leaves_a_quotation_mark_open_does_not_swallow_the_next() {
        let row = |fields: &[&str]| Ok(fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>());
        let text = "\"a\",\"b \"\"c\"\"\"\r\n\n\"a\",\"b\nx,\ry\n\"a\"b\",\"\nlast";
        assert_eq!(
            fields(text),
            [row(&["a", "b \"c\""]), Err(3), row(&["x", "\ry"]), Err(5), row(&["last"])]
        );
    }

    #[test]
    fn a_line_break_in_a_quoted_field_belongs_to_it() {
        let text = "\"a\",\"one\r\ntwo\n\n\"\"three\"\",\",\"c\"\n\"d\",\"e\"\n\"f\",\"g\n\"h\",\"i\"\n";
        let lines: Vec<_> =
            Rows::new(text.as_bytes()).map(|row| row.map(|row| (row.line, row.fields))).collect();
        let fields = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect::<Vec<_>>();
        assert_eq!(lines[0].as_ref().unwrap(), &(1, fields(&["a", "one\ntwo\n\n\"three\",", "c"])));
        assert_eq!(lines[1].as_ref().unwrap(), &(5, fields(&["d", "e"])));
        assert_eq!(lines[2].as_ref().err().unwrap().line, 6);
        assert_eq!(lines[3].as_ref().unwrap(), &(7, fields(&["h", "i"])));
        let endless = format!("\"a\",\"b\n{}\"c\",\"d\"\n", "x\n".repeat(MOST_LINES));
        assert_eq!(Rows::new(endless.as_bytes()).filter(Result::is_err).count(), 1);
        assert_eq!(Rows::new(endless.as_bytes()).count(), MOST_LINES + 2);
    }
}
