//! The sockets: HTTP, the live WebSocket, the operator's socket; and their end.

use std::{
    net::{Ipv6Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpSocket},
    signal::unix::{Signal, SignalKind, signal},
};
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::{
    access::{Beginning, Ledger, Refusal},
    address,
    app::App,
    config::Config,
    connections::{Caps, Connections, Deadlines, Descriptors, Front},
    dialects, logging,
    metrics::SipFigures,
    operations::{Operator, Ready},
    operator_socket, preflight, reference, sources,
    status::{self, Places, Status, StatusParts},
    web::{
        document::{self, Family},
        failure::{Failure, FailureBody},
        layers::{self, Surroundings},
        route_table::RouteTable,
    },
};

/// What is answered even when every connection is taken.
const ALWAYS_ANSWERED: &[&str] = &["/healthz", "/readyz"];
/// When a client that found every connection taken is told to come back.
const COME_BACK: Duration = Duration::from_secs(5);

/// How many connections may wait to be accepted. The standard library's 128 is too few when every watcher comes back
/// after a restart: those beyond it try again a second later.
const BACKLOG: u32 = 4096;

/// The documented routes of everything, and what documents them.
pub fn routes(config: &Config, feed: &Arc<dialects::tenant::Feed>) -> (Router<Arc<Ledger>>, OpenApi) {
    OpenApiRouter::with_openapi(reference::frame())
        .merge(dialects::v1::routes())
        .merge(sources::native::routes(config.control_url_reach()))
        .merge(sources::freeswitch::routes())
        .merge(dialects::organization::routes())
        .merge(dialects::agent::routes(config.agent.clone()))
        .merge(dialects::tenant::routes(config.tenant.clone(), Arc::clone(feed)))
        .split_for_parts()
}

/// Everything that the main port serves.
fn main_router(app: &App, config: &Config, feed: &Arc<dialects::tenant::Feed>) -> Result<Router, String> {
    let (router, mut api) = routes(config, feed);
    let status = Arc::new(status_of(app, config, feed));
    let status_routes = document::complete::<FailureBody, _>(status::routes(status), &Family::native());
    let (status_router, status_api) = status_routes.split_for_parts();
    api.merge(status_api);
    let surroundings = Surroundings {
        metrics: Arc::clone(&app.metrics),
        table: RouteTable::of(&api).with("/ws/live", &dialects::tenant::SOCKET_PARAMETERS),
        refuse: dialects::refused,
        cors: config.cors.layer()?,
    };
    let document = reference::finish(&api, &config.public_url);
    let router = router
        .merge(status_router)
        .merge(SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", document).config(offline()))
        .fallback(dialects::no_route)
        .method_not_allowed_fallback(|| async { Failure::wrong_method() })
        .with_state(Arc::clone(&app.ledger));
    Ok(layers::around(router, surroundings))
}

/// What the live port serves: the WebSocket at `/`, which a browser lets every page open.
fn live_router(app: &App, feed: &Arc<dialects::tenant::Feed>) -> Router {
    let surroundings = Surroundings {
        metrics: Arc::clone(&app.metrics),
        table: RouteTable::default().with("/", &dialects::tenant::SOCKET_PARAMETERS),
        refuse: |_, refusal| dialects::tenant::refused(refusal),
        cors: None,
    };
    layers::around(dialects::tenant::live_routes::<()>(Arc::clone(feed)), surroundings)
}

/// Builds the status behind `/readyz` and `/metrics`.
fn status_of(app: &App, config: &Config, feed: &Arc<dialects::tenant::Feed>) -> Status {
    let (feed, sip) = (Arc::clone(feed), Arc::clone(&app.sip));
    let (shelf, lost) = (app.shelf.clone(), app.lost.clone());
    let elsewhere = config.store_elsewhere().and_then(|store| Some(store.parent()?.to_owned()));
    Status::new(StatusParts {
        store: Arc::clone(&app.store),
        places: Places {
            store: config.store_url(),
            folders: [config.data.clone()].into_iter().chain(elsewhere).collect(),
            min_free_bytes: config.readiness.min_free_disk_bytes,
        },
        live: Arc::clone(&app.live),
        metrics: Arc::clone(&app.metrics),
        clock: app.clock.clone(),
        watchers: Box::new(move || feed.connections()),
        gateway: Box::new(move || gateway_of(sip.standing())),
        recordings: Box::new(move || {
            let (ok, message) = lost.health(&shelf);
            status::Part { ok, message }
        }),
    })
}

/// How the gateway is, for who looks after the program.
fn gateway_of(standing: sources::sip::Standing) -> status::Gateway {
    let running = match standing {
        sources::sip::Standing::Off => return status::Gateway::off(),
        sources::sip::Standing::Running(running) => running,
    };
    let mut notes = Vec::new();
    if running.is_behind {
        notes.push(format!("{} reports wait for the ledger", running.waiting_reports));
    }
    if running.lacks_lame {
        notes.push("LAME is missing: recordings are WAV files (install libmp3lame0)".to_owned());
    }
    for organization in &running.unknown_organizations {
        notes.push(format!("the configuration names the organization {organization}, which does not exist"));
    }
    status::Gateway {
        ok: !running.is_behind,
        message: (!notes.is_empty()).then(|| notes.join("; ")),
        figures: Some(SipFigures {
            gateway: running.counts,
            waiting_reports: running.waiting_reports,
            retries: running.retries,
            refused_events: running.refused,
        }),
    }
}

/// The reference asks nobody: its own setting would send the URL of the document to a validator on the internet.
fn offline() -> utoipa_swagger_ui::Config<'static> {
    utoipa_swagger_ui::Config::default().validator_url("none")
}

/// The addresses of HTTP, bound before anything is made, so that one in use is reported first. Until they are listened on, another
/// program can still take one; then the start fails later.
pub struct Sockets {
    http: TcpSocket,
    live: TcpSocket,
}

impl Sockets {
    /// Takes them.
    ///
    /// # Errors
    /// A sentence that says which cannot be taken and what to do.
    pub fn bind(config: &Config) -> Result<Self, String> {
        let bound = |key, address| bind(address).map_err(|error| cannot_listen(key, address, &error));
        Ok(Self { http: bound("listen", config.listen)?, live: bound("live_listen", config.live_listen)? })
    }
}

/// Serves until a signal says stop.
///
/// # Errors
/// A sentence that says what is wrong and what to do.
pub async fn serve(
    config: Config,
    sockets: Sockets,
    app: App,
    ready_file: Option<&Path>,
    reload: impl Fn() -> Result<Config, String>,
    announce: impl FnOnce(&Ready),
) -> Result<(), String> {
    // Heard from before anybody can know that this runs.
    let signals = Signals::listen()?;
    let descriptors = Descriptors::of_process(config.wanted_descriptors());
    let listen = |key, socket: TcpSocket, address| {
        socket.listen(BACKLOG).map_err(|error| cannot_listen(key, address, &error))
    };
    let http = listen("listen", sockets.http, config.listen)?;
    let live = listen("live_listen", sockets.live, config.live_listen)?;
    let address = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
    let (http_address, live_address) = (address(&http)?, address(&live)?);
    let sip = app.start_sip(&config, descriptors).await?;
    let ready = Ready { http: http_address, live: live_address, sip, pid: std::process::id() };
    app.ledger.links_begin_with(beginning_of_links(&config, ready.http));

    let stop = CancellationToken::new();
    let feed = dialects::tenant::Feed::start(&config.tenant, &app.ledger, stop.clone());
    let main = main_router(&app, &config, &feed)?;
    let live_router = live_router(&app, &feed);
    let tls = preflight::tls(&config)?;
    let connections = Connections::new(caps(&config, descriptors), tls, app.metrics.connections.clone());
    let mut servers = tokio::task::JoinSet::new();
    let refuse = |path: &str| dialects::refused(path, all_taken());
    let front = Front { router: main, always: ALWAYS_ANSWERED, refuse };
    servers.spawn(Arc::clone(&connections).serve(http, front, stop.clone()));
    let front =
        Front { router: live_router, always: &[], refuse: |_| dialects::tenant::refused(all_taken()) };
    servers.spawn(connections.serve(live, front, stop.clone()));
    let operator = Operator { listening: Some(ready), ..app.operator() };
    let socket = operator_socket::Socket::open(&config.data, operator, stop.clone())?;

    tokio::spawn(stop.clone().run_until_cancelled_owned(logging::sum_up_repeats()));
    // Told to stop with the requests, so that both have their time at once.
    app.start_jobs(stop.clone());
    if let Some(path) = ready_file {
        write_ready_file(path, &ready)?;
    }
    announce(&ready);
    let ended = wait(&app, &mut servers, signals, reload).await;
    if let Some(path) = ready_file {
        let _ = std::fs::remove_file(path);
    }
    let grace = Deadlines::default().shutdown;
    tracing::info!("stopping: no new connections; requests may go on for {} s", grace.as_secs());
    stop.cancel();
    while servers.join_next().await.is_some() {}
    socket.close().await;
    drop(feed);
    app.stop().await?;
    tracing::info!("stopped");
    ended
}

/// How many connections there may be. Where there are fewer descriptors than the configuration asks for, an address gets the
/// same part of them as it would have had of all.
fn caps(config: &Config, descriptors: Descriptors) -> Caps {
    let (all, each) = (config.limits.connections, config.limits.connections_per_address);
    let connections = descriptors.connections.min(all);
    let per_address = (connections as u128 * each as u128).div_ceil(all.max(1) as u128) as usize;
    Caps { connections, per_address, proxies: config.limits.proxies.clone() }
}

/// What an operator says by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen_for = |kind| signal(kind).map_err(|error| format!("signals cannot be heard: {error}"));
        Ok(Self {
            terminate: listen_for(SignalKind::terminate())?,
            interrupt: listen_for(SignalKind::interrupt())?,
            hang_up: listen_for(SignalKind::hangup())?,
        })
    }
}

/// Waits for the order to stop; reads the configuration anew when told.
async fn wait(
    app: &App,
    servers: &mut tokio::task::JoinSet<()>,
    mut signals: Signals,
    reload: impl Fn() -> Result<Config, String>,
) -> Result<(), String> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return Ok(()),
            _ = signals.interrupt.recv() => return Ok(()),
            _ = signals.hang_up.recv() => match take_over(app, &reload).await {
                Ok(()) => tracing::info!(
                    "the configuration was read again: rates and SIP trunks, users and limits hold from now on, the rest \
                     at the next start"
                ),
                Err(error) => tracing::error!(error, "the configuration was not taken over"),
            },
            ended = servers.join_next() => {
                return match ended {
                    Some(Err(error)) => Err(format!("a server stopped: {error}")),
                    Some(Ok(())) | None => Err("a server stopped".into()),
                };
            }
        }
    }
}

/// Takes over what can be changed while the program runs.
async fn take_over(app: &App, reload: impl Fn() -> Result<Config, String>) -> Result<(), String> {
    let config = reload()?;
    let tariffs = config.tariffs()?;
    app.sip.reconfigure(&config.sip).await?;
    app.tariffs.replace(tariffs);
    Ok(())
}

fn cannot_listen(key: &str, address: SocketAddr, error: &std::io::Error) -> String {
    let advice = preflight::why_not_listen(error);
    let flag = key.replace('_', "-");
    format!("{key}: {address} cannot be listened on: {error}{advice}; choose another with --{flag}")
}

fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if address.ip() == Ipv6Addr::UNSPECIFIED {
        // Every address of the machine, those of IPv4 too, whatever the system has as its default.
        socket2::SockRef::from(&socket).set_only_v6(false)?;
    }
    // As the standard library does: the address is free at once when the program before has ended.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Tells a client that there is no connection for it.
fn all_taken() -> Refusal {
    Refusal::Unavailable { reason: "too many connections are open".into(), retry_after: COME_BACK }
}

/// What links begin with, for clients that may come from elsewhere.
fn beginning_of_links(config: &Config, http: SocketAddr) -> Beginning {
    if !config.public_url.is_empty() {
        return Beginning::Fixed(config.public_url.clone());
    }
    Beginning::Requested { scheme: config.scheme(), otherwise: address::reachable(http).to_string() }
}

/// Written whole: who waits for the file never sees half of it. Everybody may read it: it holds no secret, and a service
/// manager may run as another user.
fn write_ready_file(path: &Path, ready: &Ready) -> Result<(), String> {
    let cannot =
        |error: std::io::Error| format!("the ready file {} cannot be written: {error}", path.display());
    let text = serde_json::to_string(ready).map_err(|error| error.to_string())?;
    let mut beside: PathBuf = path.to_owned();
    beside.set_extension(format!("{}.tmp", ready.pid));
    std::fs::write(&beside, text).map_err(cannot)?;
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o644)).map_err(cannot)?;
    std::fs::rename(&beside, path).map_err(cannot)
}
