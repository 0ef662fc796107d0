//! The addresses at which the gateway speaks SIP: each has a stack of its own, so that what leaves by it shows its address.

use std::{net::SocketAddr, sync::Arc};

use rsipstack::{
    EndpointBuilder,
    dialog::dialog_layer::DialogLayer,
    platform::net::UdpSocket,
    sip::Uri,
    transaction::{
        TransactionReceiver,
        endpoint::{EndpointInnerRef, EndpointOption},
    },
    transport::{SipAddr, TransportLayer, udp::UdpConnection},
};
use tokio_util::sync::CancellationToken;

use super::{
    inspector::{Inspector, StreamInspector},
    switch::{NotStarted, Settings},
};
use crate::stream::Streams;

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// As datagrams.
    Udp,
    /// In a stream.
    Tcp,
    /// In an encrypted stream.
    Tls,
}

impl Transport {
    /// The same in the stack's words.
    pub const fn of_stack(self) -> rsipstack::sip::Transport {
        match self {
            Self::Udp => rsipstack::sip::Transport::Udp,
            Self::Tcp => rsipstack::sip::Transport::Tcp,
            Self::Tls => rsipstack::sip::Transport::Tls,
        }
    }

    /// Its parameter in a URI; UDP needs none.
    pub const fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        }
    }

    /// The port where a URI names none.
    pub const fn usual_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// What a door is made of.
pub enum Opening {
    /// A socket of UDP.
    Socket(Arc<dyn UdpSocket>),
    /// Connections over TCP or TLS, which are made and taken by these.
    Streams(Arc<Streams>),
}

/// One address at which the gateway speaks SIP.
pub struct Door {
    /// How messages travel by it.
    pub transport: Transport,
    /// What peers know it by: it stands in Via and Contact.
    pub advertised: SocketAddr,
    /// What peers reach us by.
    pub contact: Uri,
    /// The dialogs that began by it.
    pub dialogs: Arc<DialogLayer>,
    /// Its stack.
    pub endpoint: EndpointInnerRef,
    /// Its connections.
    pub streams: Option<Arc<Streams>>,
}

impl Door {
    /// Opens a door, and gives what comes in by it.
    pub async fn open(
        opening: Opening,
        advertised: SocketAddr,
        inspector: Inspector,
        settings: &Settings,
        running: &CancellationToken,
    ) -> Result<(Arc<Self>, TransactionReceiver), NotStarted> {
        let layer = TransportLayer::new(running.child_token());
        let (transport, socket, streams): (_, Arc<dyn UdpSocket>, _) = match opening {
            Opening::Socket(socket) => (Transport::Udp, socket, None),
            // The stack takes the address of its first socket for its own.
            Opening::Streams(streams) => (streams.transport(), Arc::new(Mute(advertised)), Some(streams)),
        };
        let listener =
            UdpConnection::from_socket(socket, Some(advertised), Some(running.child_token())).await?;
        layer.add_transport(listener.into());
        let endpoint = EndpointBuilder::new()
            .with_cancel_token(running.child_token())
            .with_transport_layer(layer)
            .with_user_agent(&settings.user_agent)
            .with_option(EndpointOption {
                t1: settings.t1,
                t1x64: settings.t1 * 64,
                ..EndpointOption::default()
            })
            .with_inspector(Box::new(inspector))
            .with_transport_inspector(Box::new(StreamInspector::new(settings.gate.clone())))
            .build();
        let incoming = endpoint.incoming_transactions()?;
        let contact = format!("sip:{advertised}{}", transport.parameter());
        let contact = Uri::try_from(contact.as_str()).map_err(rsipstack::Error::from)?;
        let inner = endpoint.inner.clone();
        tokio::spawn(async move { endpoint.serve().await });
        if let Some(streams) = &streams {
            streams.serve(inner.clone(), running);
        }
        let dialogs = Arc::new(DialogLayer::new(inner.clone()));
        Ok((Arc::new(Self { transport, advertised, contact, dialogs, endpoint: inner, streams }), incoming))
    }

    /// Whether messages to an address can leave by it.
    pub fn leads_to(&self, transport: Transport, address: SocketAddr) -> bool {
        self.transport == transport && self.advertised.is_ipv4() == address.ip().to_canonical().is_ipv4()
    }

    /// An address in the stack's words, to be reached by this door.
    pub fn stack_address(&self, address: SocketAddr) -> SipAddr {
        SipAddr { r#type: Some(self.transport.of_stack()), addr: address.into() }
    }
}

/// A socket that hears nothing and says nothing: it stands for the address of a door of streams.
struct Mute(SocketAddr);

#[async_trait::async_trait]
impl UdpSocket for Mute {
    async fn recv_from(&self, _buffer: &mut [u8]) -> rsipstack::Result<(usize, SocketAddr)> {
        std::future::pending().await
    }

    async fn send_to(&self, _bytes: &[u8], _address: SocketAddr) -> rsipstack::Result<usize> {
        Err(rsipstack::Error::Error("a door of streams sends no datagrams".to_owned()))
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.0)
    }
}
