//! What datagrams come and go by.

use std::{io, net::SocketAddr};

use async_trait::async_trait;

/// A socket of UDP, or what behaves like one.
#[async_trait]
pub trait Datagrams: Send + Sync + 'static {
    /// Waits for the next datagram, and puts it into the buffer; what has no room there is cut off.
    ///
    /// # Errors
    /// The system's.
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;

    /// Sends a datagram, or loses it: nobody waits for room.
    ///
    /// # Errors
    /// The system's.
    fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()>;
}

#[async_trait]
impl Datagrams for tokio::net::UdpSocket {
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Self::recv_from(self, buffer).await
    }

    fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
        // Without asking whether there is room: of a socket that was never waited for that is not known.
        socket2::SockRef::from(self).send_to(bytes, &address.into()).map(|_| ())
    }
}
