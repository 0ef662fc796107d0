//! What would keep a server from starting, found before anything is made or opened: the files and folders that a configuration
//! names. `serve` refuses by it, and `check-config` shows it.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder},
    io,
    net::{TcpListener, UdpSocket},
    os::unix::fs::DirBuilderExt,
    path::Path,
    sync::Arc,
};

use pegcount_gateway::Gateway;
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use crate::config::{Config, Listener, Transport};

/// What keeps a server from starting with this configuration, each in a sentence that names the key and says what to do.
pub fn problems(config: &Config) -> Vec<String> {
    let checks = [
        config.encryption.keys().map(drop),
        tls(config).map(drop),
        gateway(config),
        data_folder(&config.data),
        store_folder(config),
    ];
    checks.into_iter().filter_map(Result::err).chain(foreign_addresses(config)).collect()
}

/// Addresses of the configuration that this machine does not have. A port of its own choice shows it, whoever listens where.
fn foreign_addresses(config: &Config) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let listeners = config.listeners().into_iter().filter(|one| seen.insert(one.key.clone()));
    let told = listeners.filter_map(|listener| {
        let error = UdpSocket::bind((listener.address.ip(), 0)).err()?;
        Some(cannot_listen(&listener, &error))
    });
    told.collect()
}

/// What a server starts with all the same, and somebody should look at.
pub fn warnings(config: &Config) -> Vec<String> {
    let mut found = config.sip.warnings();
    if config.encryption.is_exposed() {
        let file = config.encryption.key_file.display();
        found.push(format!(
            "encryption.key_file: every user of this machine can read {file}: chmod o-rwx {file}"
        ));
    }
    let (sockets, connections) = (config.tenant.max_connections, config.limits.connections);
    if sockets > connections {
        found.push(format!(
            "tenant.max_connections: {sockets} WebSockets do not fit into limits.connections ({connections}), which counts \
             every connection: raise that too"
        ));
    }
    if config.public_url.is_empty() && !config.listen.ip().is_loopback() {
        found.push(format!(
            "public_url is not set: links to recordings and logs begin with {}:// and the host that each request names. \
             Behind a proxy, set public_url to the URL that clients use",
            config.scheme()
        ));
    }
    found
}

/// The organizations that the configuration names and the store does not have. A store that is not there yet has none, and
/// lacks none.
///
/// # Errors
/// A sentence when the store cannot be read, or is sealed with a key that the configuration lacks.
pub fn unknown_organizations(config: &Config) -> Result<Vec<String>, String> {
    // Keys that cannot be read are a problem of their own.
    let Ok(keys) = config.encryption.keys() else { return Ok(Vec::new()) };
    let known = pegcount_store::peek_at_organizations(&config.store_url(), keys.as_ref())
        .map_err(|error| crate::operations::chain(&error))?;
    let Some(known) = known else { return Ok(Vec::new()) };
    let unknown = config
        .named_organizations()
        .into_iter()
        .filter(|(_, id)| !known.iter().any(|organization| organization.id.as_str() == id));
    let told = unknown.map(|(key, id)| {
        format!(
            "{key}: there is no organization {id:?}: make it with `pegcount organizations create --id {id}`, or mend the id"
        )
    });
    Ok(told.collect())
}

/// Addresses of this machine that cannot be listened on now. While the server runs, its own are taken.
pub fn taken_addresses(config: &Config) -> Vec<String> {
    taken(config.listeners())
}

/// Addresses of SIP that cannot be listened on now.
pub fn taken_for_sip(config: &Config) -> Vec<String> {
    taken(config.listeners().into_iter().filter(|listener| listener.key.starts_with("sip.")))
}

fn taken(listeners: impl IntoIterator<Item = Listener>) -> Vec<String> {
    let told = listeners.into_iter().filter_map(|listener| {
        let error = try_listening(&listener).err()?;
        // That is a problem whether ports are looked at or not.
        (error.kind() != io::ErrorKind::AddrNotAvailable).then(|| cannot_listen(&listener, &error))
    });
    told.collect()
}

/// Whether an address could be listened on now.
///
/// # Errors
/// Why it could not.
pub fn try_listening(listener: &Listener) -> io::Result<()> {
    match listener.transport {
        Transport::Tcp => TcpListener::bind(listener.address).map(drop),
        Transport::Udp => UdpSocket::bind(listener.address).map(drop),
    }
}

fn cannot_listen(listener: &Listener, error: &io::Error) -> String {
    let Listener { key, address, transport } = listener;
    let advice = match key.as_str() {
        "sip.listen" => "; choose another with --sip, or start without SIP with --sip off",
        _ => "; choose another",
    };
    format!(
        "{key}: {address} cannot be listened on for {transport}: {error}{}{advice}",
        why_not_listen(error)
    )
}

/// What an error of listening on an address means here, to be put behind it.
pub fn why_not_listen(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => " (another program, or another Pegcount, listens there)",
        io::ErrorKind::AddrNotAvailable => {
            " (this machine has no such address; 0.0.0.0 means every address of it)"
        }
        io::ErrorKind::PermissionDenied => {
            " (ports below 1024 need root, or the capability CAP_NET_BIND_SERVICE: AmbientCapabilities= of systemd)"
        }
        _ => "",
    }
}

/// What HTTPS is served with; `None` without it.
///
/// # Errors
/// A sentence that names the file and says what is wrong with it.
pub fn tls(config: &Config) -> Result<Option<Arc<ServerConfig>>, String> {
    if !config.has_tls() {
        return Ok(None);
    }
    let (cert, key) = (&config.tls.cert, &config.tls.key);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read("tls.cert", cert)?).collect();
    let chain = chain.map_err(|error| format!("tls.cert: {} cannot be used: {error}", cert.display()))?;
    if chain.is_empty() {
        return Err(format!("tls.cert: {} holds no certificate in PEM", cert.display()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read("tls.key", key)?)
        .map_err(|error| format!("tls.key: {} holds no private key in PEM: {error}", key.display()))?;
    // A configuration needs a default provider. An error means that one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let built = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, secret);
    let mut built = built.map_err(|error| {
        format!("tls: {} and {} do not belong together: {error}", cert.display(), key.display())
    })?;
    built.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(Arc::new(built)))
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{key}: {} cannot be read: {error}", file.display()))
}

/// Whether the gateway would start: its certificate, the LAME library, its peers.
fn gateway(config: &Config) -> Result<(), String> {
    match config.sip.settings(&config.data)? {
        Some(settings) => Gateway::check(&settings.gateway).map_err(|error| format!("sip: {error}")),
        None => Ok(()),
    }
}

/// Whether the data folder can be written, or made.
fn data_folder(data: &Path) -> Result<(), String> {
    let advice = "take a folder that this user may write, with --data or `data`";
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let there = or_current(there);
    if !there.is_dir() {
        return Err(format!("data: {} is a file and no folder: {advice}", there.display()));
    }
    writable(there).map_err(|error| format!("data: {} cannot be written: {error}: {advice}", there.display()))
}

/// Whether the folder of a store outside the data folder is there, since it is not made, and can be written.
fn store_folder(config: &Config) -> Result<(), String> {
    let Some(store) = config.store_elsewhere() else { return Ok(()) };
    let folder = or_current(store.parent().unwrap_or(Path::new("")));
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(format!("store: there is no folder {shown}: make it, or name another store"));
    }
    writable(folder).map_err(|error| {
        format!("store: {shown} cannot be written: {error}: take a folder that this user may write, with --store or `store`")
    })
}

fn or_current(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// Whether something can be made in a folder. Only trying tells: permissions say nothing of `/proc`, or to root.
fn writable(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".pegcount-{}", std::process::id()));
    match DirBuilder::new().mode(0o700).create(&probe) {
        Ok(()) => fs::remove_dir(&probe),
        // Of one that was cut off, and of a full disk a server starts on all the same.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AlreadyExists | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ) =>
        {
            Ok(())
        }
        Err(error) => Err(error),
    }
}
