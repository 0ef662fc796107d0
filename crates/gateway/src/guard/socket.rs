//! A socket that hands on only what passed the guard.

use std::{io, net::SocketAddr, num::NonZeroUsize, sync::Arc};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{Counts, Gate, Limits, Policy, Reason, Source, Verdict};
use crate::sip::Datagrams;

/// Room for the largest datagram there is: a smaller buffer would cut it, and what is cut cannot be told from what is
/// broken.
const LARGEST_DATAGRAM: usize = 65_536;

/// Binds a socket of UDP whose receive buffer has this many bytes, or as many as the system allows.
///
/// # Errors
///
/// The address is not ours, or taken.
pub fn bind(address: SocketAddr, receive_buffer: usize) -> io::Result<tokio::net::UdpSocket> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::DGRAM,
        Some(socket2::Protocol::UDP),
    )?;
    if address.is_ipv6() {
        // IPv4 has sockets, and an address to show, of its own.
        socket.set_only_v6(true)?;
    }
    socket.set_recv_buffer_size(receive_buffer)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    tokio::net::UdpSocket::from_std(socket.into())
}

/// A socket of UDP with the guard before it. Messages are inspected as they are received; answers that need no
/// transaction are sent from here.
pub struct GuardedSocket<S> {
    socket: S,
    gate: Arc<Gate>,
    counts: Arc<Counts>,
    /// One task receives, so nobody waits here.
    door: Mutex<Door>,
}

struct Door {
    limits: Limits,
    buffer: Vec<u8>,
}

impl<S: Datagrams> GuardedSocket<S> {
    /// Guards this socket by a policy of its own, and remembers the rate of so many addresses.
    pub fn new(socket: S, policy: Policy, addresses: NonZeroUsize) -> Self {
        Self::behind(Gate::new(policy), socket, addresses)
    }

    /// Guards this socket by what others are guarded by too, and remembers the rate of so many addresses.
    pub fn behind(gate: Arc<Gate>, socket: S, addresses: NonZeroUsize) -> Self {
        let counts = gate.counts();
        Self {
            socket,
            gate,
            counts,
            door: Mutex::new(Door {
                limits: Limits::with_room(addresses),
                buffer: vec![0; LARGEST_DATAGRAM],
            }),
        }
    }

    /// What was done so far.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// From the next message on, this is let through.
    pub fn set_policy(&self, policy: Policy) {
        self.gate.set_policy(policy);
    }
}

#[async_trait]
impl<S: Datagrams> Datagrams for GuardedSocket<S> {
    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut door = self.door.lock().await;
        let Door { limits, buffer: datagram } = &mut *door;
        loop {
            let (length, address) = self.socket.recv_from(datagram).await?;
            let bytes = datagram.get(..length).unwrap_or_default();
            let now = tokio::time::Instant::now().into_std();
            match self.gate.judge(bytes, Source::datagram(address), now, limits) {
                Verdict::Pass(message) => match buffer.get_mut(..message.len()) {
                    Some(room) => {
                        room.copy_from_slice(&message);
                        self.counts.count_passed();
                        return Ok((message.len(), address));
                    }
                    None => self.counts.count_dropped(Reason::TooLarge),
                },
                Verdict::Answer { reason, reply, to, .. } => {
                    self.counts.count_answered(reason);
                    // Whoever asked asks again.
                    let _lost = self.socket.send_to(&reply, to);
                }
                Verdict::Drop(reason) => self.counts.count_dropped(reason),
            }
        }
    }

    fn send_to(&self, bytes: &[u8], address: SocketAddr) -> io::Result<()> {
        self.socket.send_to(bytes, address)
    }
}
