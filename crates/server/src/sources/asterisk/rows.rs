//! The rows of a CSV file, one a line.
//!
//! Asterisk writes no line break into a field. So a line that a crash tore apart spoils itself, not the rows after it,
//! as it would if an open quotation mark could run on.

use std::io::{BufRead, BufReader, Read};

/// Longest line in bytes; a row has some hundred.
const LONGEST_LINE: usize = 256 * 1024;

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

/// Reads a file row by row, holding one line at a time.
pub(super) struct Rows<R> {
    input: BufReader<R>,
    splitter: Splitter,
    line: u64,
    ended: bool,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input: BufReader::new(input), splitter: Splitter::new(), line: 0, ended: false }
    }

    /// The line that was read last, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// The next line without its end; `None` at the end of the file.
    fn next_line(&mut self) -> Option<Result<Vec<u8>, RowError>> {
        let mut line = Vec::new();
        let mut length = 0_usize;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // What follows cannot be reached.
                    self.ended = true;
                    let message = format!("the file cannot be read on: {error}");
                    return Some(Err(RowError { line: self.line + 1, message }));
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
                line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            }
            self.input.consume(taken);
            if end.is_some() {
                break;
            }
        }
        self.line += 1;
        if length > LONGEST_LINE {
            let message = format!("the line has {length} bytes, at most {LONGEST_LINE} are taken");
            return Some(Err(RowError { line: self.line, message }));
        }
        Some(Ok(line))
    }
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Row, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let line = match self.next_line()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let mut bytes = line.as_slice();
            if self.line == 1 {
                bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            }
            let bytes = bytes.trim_ascii();
            if bytes.is_empty() {
                continue;
            }
            let line = self.line;
            let split = self.splitter.split(bytes);
            return Some(match split {
                Ok(fields) => Ok(Row { line, fields }),
                Err(message) => Err(RowError { line, message }),
            });
        }
        None
    }
}

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

    /// The fields of a line, which has no line break in it.
    fn split(&mut self, line: &[u8]) -> Result<Vec<String>, String> {
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
            return Err("a quotation mark is not closed: the row was cut off or torn".to_owned());
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
}
