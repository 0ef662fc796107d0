//! As plain a client as can be, since it shares the machine with the server.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::failed;

/// No answer that is asked for here is longer.
const LONGEST: usize = 4 << 20;

/// A connection that asks one thing after the other.
pub struct Connection {
    stream: TcpStream,
    held: Vec<u8>,
    /// How much of what is held is the head of the answer.
    head: usize,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| failed("the server", &error))?;
        stream.set_nodelay(true).map_err(|error| failed("the server", &error))?;
        Ok(Self { stream, held: Vec::with_capacity(16 << 10), head: 0 })
    }

    /// Sends a whole request, and gives the status of the answer once all of it has come.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is no answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<u16, String> {
        let broken = |error: std::io::Error| failed("the connection", &error);
        self.stream.write_all(request).await.map_err(broken)?;
        self.held.clear();
        loop {
            if let Some(Head { status, length, body }) = head(&self.held)?
                && self.held.len() >= length + body
            {
                self.head = length;
                return Ok(status);
            }
            let room = self.held.len() < LONGEST;
            if !room || self.stream.read_buf(&mut self.held).await.map_err(broken)? == 0 {
                return Err("the answer is cut short, or too long".to_owned());
            }
        }
    }

    /// The body of the last answer.
    pub fn body(&self) -> &[u8] {
        self.held.get(self.head..).unwrap_or_default()
    }
}

/// What the head of an answer says, and its length.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Head {
    status: u16,
    length: usize,
    body: usize,
}

/// The head of an answer, once it is whole.
fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|error| failed("the answer", &error))?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, body) {
        (Some(status), Some(body)) => Ok(Some(Head { status, length: end + 4, body })),
        _ => Err(format!("no answer that is known here: {text}")),
    }
}

/// The bytes of a request.
pub fn request(method: &str, path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_when_as_much_has_come_as_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head(answer), Ok(Some(Head { status: 200, length: answer.len() - 2, body: 2 })));
        assert_eq!(head(&answer[..20]), Ok(None));
        assert!(head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
