//! What TLS needs: who we are, and whom we believe.

use std::{net::SocketAddr, path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};

/// A file of TLS that is of no use.
#[derive(Debug)]
pub(crate) struct Unusable {
    /// Which.
    pub(crate) file: std::path::PathBuf,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// Our certificate, and the roots that others' must lead to.
#[derive(Clone)]
pub(crate) struct Means {
    pub(super) acceptor: TlsAcceptor,
    pub(super) connector: TlsConnector,
}

fn unusable(file: &Path, reason: impl std::fmt::Display) -> Unusable {
    Unusable { file: file.to_owned(), reason: reason.to_string() }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| unusable(file, error))?;
    if read.is_empty() { Err(unusable(file, "there is no certificate in it")) } else { Ok(read) }
}

impl Means {
    /// Reads the files; without `roots` the system's are believed.
    pub(crate) fn load(certificate: &Path, key: &Path, roots: Option<&Path>) -> Result<Self, Unusable> {
        let provider = Arc::new(ring::default_provider());
        let chain = certificates(certificate)?;
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(certificate, error))?
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .map_err(|error| unusable(key, error))?;
        let client = client(provider, certificate, roots)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }
}

fn client(
    provider: Arc<CryptoProvider>,
    certificate: &Path,
    roots: Option<&Path>,
) -> Result<ClientConfig, Unusable> {
    let mut believed = RootCertStore::empty();
    match roots {
        Some(file) => {
            for root in certificates(file)? {
                believed.add(root).map_err(|error| unusable(file, error))?;
            }
        }
        None => {
            let system = rustls_native_certs::load_native_certs();
            let (_, passed_over) = believed.add_parsable_certificates(system.certs);
            if believed.is_empty() {
                tracing::warn!(passed_over, "the system has no roots: no other's certificate is believed");
            }
        }
    }
    let builder = ClientConfig::builder_with_provider(provider);
    let builder =
        builder.with_safe_default_protocol_versions().map_err(|error| unusable(certificate, error))?;
    Ok(builder.with_root_certificates(believed).with_no_client_auth())
}

/// The name that a peer has to prove: the host of the URI, or where that is an address, the address.
pub(super) fn name_of(host: &str, address: SocketAddr) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).unwrap_or_else(|_| ServerName::IpAddress(address.ip().into()))
}
