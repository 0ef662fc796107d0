//! How the messages of a peer travel: in datagrams, or in a stream.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    net::UdpSocket,
    sync::Mutex,
};

/// A stream of bytes, whatever is under it.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The side that is read, and the bytes that make no whole message yet.
struct Reading {
    stream: ReadHalf<Box<dyn Stream>>,
    held: Vec<u8>,
}

/// A connection over TCP or TLS.
pub struct Connection {
    transport: &'static str,
    reading: Mutex<Reading>,
    writing: Mutex<WriteHalf<Box<dyn Stream>>>,
}

impl Connection {
    /// `TCP` or `TLS`.
    pub fn new(transport: &'static str, stream: impl Stream + 'static) -> Self {
        let stream: Box<dyn Stream> = Box::new(stream);
        let (reading, writing) = tokio::io::split(stream);
        let reading = Reading { stream: reading, held: Vec::new() };
        Self { transport, reading: Mutex::new(reading), writing: Mutex::new(writing) }
    }

    /// The next message. Nothing is lost when it is waited for no longer.
    async fn next(&self) -> String {
        let mut guard = self.reading.lock().await;
        let Reading { stream, held } = &mut *guard;
        loop {
            if let Some(length) = whole(held) {
                let message: Vec<u8> = held.drain(..length).collect();
                return String::from_utf8(message).expect("a text");
            }
            let read = stream.read_buf(held).await.expect("the connection stands");
            assert!(read > 0, "the connection was closed");
        }
    }
}

/// How long the message is that these bytes begin with, if it is there whole (RFC 3261, 18.3).
fn whole(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&held[..head]).to_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    let whole = head + length.trim().parse::<usize>().expect("a length");
    (held.len() >= whole).then_some(whole)
}

/// How messages travel.
pub enum Wire {
    Datagrams(UdpSocket),
    Stream(Connection),
}

impl Wire {
    /// What Via says.
    pub fn transport(&self) -> &'static str {
        match self {
            Self::Datagrams(_) => "UDP",
            Self::Stream(connection) => connection.transport,
        }
    }

    /// What a URI says.
    pub fn parameter(&self) -> &'static str {
        match self.transport() {
            "TCP" => ";transport=tcp",
            "TLS" => ";transport=tls",
            _ => "",
        }
    }

    pub async fn send(&self, text: &str, to: SocketAddr) {
        match self {
            Self::Datagrams(socket) => {
                socket.send_to(text.as_bytes(), to).await.expect("it is sent");
            }
            Self::Stream(connection) => {
                let mut stream = connection.writing.lock().await;
                stream.write_all(text.as_bytes()).await.expect("it is sent");
                stream.flush().await.expect("it is sent");
            }
        }
    }

    /// The next message, however long that takes.
    pub async fn next(&self) -> String {
        match self {
            Self::Datagrams(socket) => {
                let mut buffer = vec![0; 65_536];
                let (length, _) = socket.recv_from(&mut buffer).await.expect("a datagram");
                String::from_utf8_lossy(&buffer[..length]).into_owned()
            }
            Self::Stream(connection) => connection.next().await,
        }
    }
}
