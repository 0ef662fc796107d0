//! The command line (contract, cli.md): stdout is for data, stderr for sentences; exit 0, 1 (failed), 2 (usage).

mod audit;
mod door;
mod encoded;
mod encryption;
mod import;
mod jobs;
mod keys;
mod print;
mod refold;

use std::{
    cell::Cell,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};
use rustix::fs::Mode;

use crate::{
    address,
    app::App,
    clock::Clock,
    config::{Config, LogConfig, Overrides, USUAL_FILE},
    demo, logging,
    operations::{Order, Ready},
    preflight,
    server::{self, Sockets},
};
use door::Door;

/// The open ledger of calls for phone systems and voice agents.
#[derive(Parser)]
#[command(
    name = "pegcount",
    version,
    arg_required_else_help = true,
    after_help = "Example: pegcount serve, and then pegcount demo in another terminal"
)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
struct Common {
    /// The configuration file [default: pegcount.toml, if there is one].
    #[arg(long, global = true, value_name = "FILE", env = "PEGCOUNT_CONFIG")]
    config: Option<PathBuf>,
    /// The data folder [default: ./pegcount-data].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where calls are kept [default: sqlite:DIR/pegcount.db].
    #[arg(long, global = true, value_name = "URL")]
    store: Option<String>,
    /// Make the data folder and its store where there is none, as a first `serve` does.
    #[arg(long, global = true)]
    init: bool,
    /// Print exactly one JSON value.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    #[command(after_help = "Example: pegcount serve --data /var/lib/pegcount --listen 127.0.0.1:8080")]
    Serve(ServeArgs),
    /// Make or list organizations.
    #[command(after_help = "Example: pegcount organizations create --id org-789 --name \"Example Ltd\"")]
    Organizations {
        #[command(subcommand)]
        command: OrganizationsCommand,
    },
    /// Make, list, rotate or revoke keys.
    #[command(
        after_help = "Example: pegcount keys create --organization org-789 --scopes calls:read,events:write --json"
    )]
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Take in records from files: Asterisk CDR and CEL CSV, FreeSWITCH JSON CDRs (folders too), events as NDJSON.
    #[command(after_help = "Example: pegcount import asterisk-cdr-csv /var/log/asterisk/cdr-csv/Master.csv \
                            --organization org-789 --tz Europe/Berlin")]
    Import(import::ImportArgs),
    /// Fold calls again from their events: after an upgrade that mended a reading, or to repair them. Each keeps the rates and
    /// the phone number that it had, unless --rates or --numbers is given.
    #[command(
        after_help = "Example: pegcount refold --check --organization org-789\n         pegcount refold --rates --call call_1"
    )]
    Refold(refold::RefoldArgs),
    /// Look for damage: the store, calls against their events, the disk, the clock, the ports.
    #[command(after_help = "Example: pegcount doctor --json")]
    Doctor,
    /// See to jobs: work that comes after calls.
    #[command(after_help = "Example: pegcount jobs list --state dead")]
    Jobs {
        #[command(subcommand)]
        command: jobs::JobsCommand,
    },
    /// See to the audit log: who read, erased and changed what.
    #[command(after_help = "Example: pegcount audit verify")]
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// See to encryption at rest: make a key, tell what is sealed with which, seal everything with the newest.
    #[command(after_help = "Example: pegcount encryption status")]
    Encryption {
        #[command(subcommand)]
        command: encryption::EncryptionCommand,
    },
    /// Copy the store and the recordings, also while the server runs. A backup replaces nothing, and is on disk when this
    /// returns.
    #[command(after_help = "Example: pegcount backup /backup/pegcount.db --data /var/lib/pegcount\n\n\
                            It makes pegcount.db, pegcount-words.db and the folder pegcount-recordings, whose files are hard \
                            links where the file system allows it.\n\n\
                            Restore: put them into an empty folder as pegcount.db, pegcount-words.db and recordings, and the \
                            link-key of the old data folder beside them; a sealed store needs its encryption keys")]
    Backup {
        /// The file to make.
        path: PathBuf,
        /// Leave the folder of recordings out, where it is copied by other means.
        #[arg(long)]
        without_recordings: bool,
    },
    /// Fill a running server with believable calls, live, until stopped.
    #[command(after_help = "Example: pegcount demo --rate 0.5")]
    Demo(DemoArgs),
    /// Check a configuration file, and the files and folders that it names: whether `serve` would start with it.
    #[command(after_help = "Example: pegcount check-config /etc/pegcount.toml")]
    CheckConfig {
        /// The file [default: what `serve` reads: --config, or pegcount.toml if there is one].
        file: Option<PathBuf>,
        /// Also whether its addresses can be listened on; while the server runs, it has taken them.
        #[arg(long)]
        ports: bool,
    },
}

#[derive(Args)]
struct ServeArgs {
    /// Where HTTP is served [default: 127.0.0.1:8080]; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", value_parser = address::listening)]
    listen: Option<SocketAddr>,
    /// Where the live WebSocket is served [default: 127.0.0.1:8001].
    #[arg(long, value_name = "ADDR", value_parser = address::listening)]
    live_listen: Option<SocketAddr>,
    /// Where SIP is served [default: 127.0.0.1:5060], or off.
    #[arg(long, value_name = "ADDR|off")]
    sip: Option<String>,
    /// Start although the store has lost something, and go on without it; the log says what.
    #[arg(long)]
    accept_loss: bool,
    /// Gets the addresses as JSON once everything answers.
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
}

#[derive(Subcommand)]
enum OrganizationsCommand {
    /// Make an organization.
    #[command(after_help = "Example: pegcount organizations create --id org-789 --name \"Example Ltd\"\n\n\
                            Before the server's first start, --init makes the store too")]
    Create {
        /// Its string id.
        #[arg(long)]
        id: String,
        /// Its number [default: the next free one].
        #[arg(long)]
        number: Option<i64>,
        /// What people call it.
        #[arg(long)]
        name: Option<String>,
    },
    /// List the organizations.
    #[command(after_help = "Example: pegcount organizations list --json")]
    List,
}

#[derive(Args)]
struct DemoArgs {
    /// Calls a second.
    #[arg(long, default_value_t = 0.5, value_name = "CALLS_PER_SECOND")]
    rate: f64,
    /// The server [default: the one of the configuration, on this machine].
    #[arg(long, env = "PEGCOUNT_URL")]
    url: Option<String>,
    /// The key [default: the first key of the data folder].
    #[arg(long, env = "PEGCOUNT_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Whose calls they are, by id or number; for a key with the scope server [default: the key's organization].
    #[arg(long, value_name = "ID")]
    organization: Option<String>,
    /// Makes the same calls again for the same number.
    #[arg(long)]
    seed: Option<u64>,
    /// Stop after so many calls.
    #[arg(long)]
    limit: Option<u64>,
}

/// Runs the command line that this process was given.
pub fn main() -> ExitCode {
    // Calls are personal data: what this program writes is for its user alone, whatever the shell or the service manager
    // has set. Before there are threads, which share it.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot be started: {error}")),
    };
    // Whoever comes second finds it installed; that is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match runtime.block_on(run(cli)) {
        Ok(code) => code,
        Err(sentence) => fail(&sentence),
    }
}

/// What was asked for makes no sense, which clap could not know.
fn misused(sentence: &str) -> ExitCode {
    say(sentence);
    ExitCode::from(2)
}

fn fail(sentences: &str) -> ExitCode {
    say(sentences);
    ExitCode::FAILURE
}

/// Says what went wrong: a line for each problem.
fn say(sentences: &str) {
    for sentence in sentences.lines() {
        print::to_stderr(&format!("pegcount: {sentence}"));
    }
}

async fn run(cli: Cli) -> Result<ExitCode, String> {
    let common = cli.common;
    let print = print::Printer { json: common.json };
    match cli.command {
        Command::Serve(args) => serve(&common, args).await,
        Command::CheckConfig { file, ports } => check_config(&common, file, ports, &print),
        Command::Organizations { command } => {
            let order = match command {
                OrganizationsCommand::Create { id, number, name } => {
                    Order::CreateOrganization { id, number, name }
                }
                OrganizationsCommand::List => Order::ListOrganizations,
            };
            print.organizations(&order_once(&common, order).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Keys { command } => keys::run(&common, command, &print).await,
        Command::Import(args) => import::run(&common, args, &print).await,
        Command::Refold(args) => refold::run(&common, args, &print).await,
        Command::Jobs { command } => jobs::run(&common, command, &print).await,
        Command::Audit { command } => audit::run(&common, command, &print).await,
        Command::Encryption { command } => encryption::run(&common, command, &print).await,
        Command::Doctor => doctor(&common, &print).await,
        Command::Backup { path, without_recordings } => {
            let path = std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            print.backed_up(&order_once(&common, Order::Backup { path, without_recordings }).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(args) => demo(&common, args).await,
    }
}

impl Common {
    fn overrides(&self) -> Overrides {
        Overrides { data: self.data.clone(), store: self.store.clone(), ..Overrides::default() }
    }

    fn config(&self) -> Result<Config, String> {
        Config::load(self.config.as_deref(), &self.overrides())
    }
}

async fn order_once(common: &Common, order: Order) -> Result<serde_json::Value, String> {
    let mut door = Door::open(common, &common.config()?).await?;
    let done = door.order(order).await;
    door.close().await?;
    done
}

async fn doctor(common: &Common, print: &print::Printer) -> Result<ExitCode, String> {
    let config = common.config()?;
    let findings = door::look(common, &config).await?;
    let damage = print.findings(&findings);
    Ok(if damage { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn demo(common: &Common, args: DemoArgs) -> Result<ExitCode, String> {
    if !(args.rate > 0.0 && args.rate <= 1000.0) {
        return Ok(misused("--rate must lie above 0 and be at most 1000 calls a second"));
    }
    let config = common.config()?;
    let url = args.url.unwrap_or_else(|| config.local_url());
    // The configured server may show a certificate that nobody else trusts. One that cannot be read shows at the request.
    let certificates =
        if config.has_tls() { std::fs::read(&config.tls.cert).unwrap_or_default() } else { Vec::new() };
    let key = match args.key {
        Some(key) => key,
        None => {
            std::fs::read_to_string(config.data.join("first-key")).map(|key| key.trim().to_owned()).map_err(
                |error| {
                    let data = config.data.display();
                    format!(
                        "there is no key in {data}/first-key ({error}): give one with --key, or name the server's data folder \
                         with --data"
                    )
                },
            )?
        }
    };
    logging::start(&LogConfig::default())?;
    print::to_stderr(&format!("Calls go to {url}, {} a second, until you press Ctrl-C.", args.rate));
    let options = demo::DemoOptions {
        url,
        key,
        organization: args.organization,
        certificates,
        calls_per_second: args.rate,
        seed: args.seed,
        limit: args.limit,
    };
    demo::run(options).await?;
    Ok(ExitCode::SUCCESS)
}

/// Refuses what `serve` would refuse, by the same checks.
fn check_config(
    common: &Common,
    file: Option<PathBuf>,
    ports: bool,
    print: &print::Printer,
) -> Result<ExitCode, String> {
    let file = file.or_else(|| common.config.clone());
    let config = Config::load(file.as_deref(), &common.overrides())?;
    let mut problems = preflight::problems(&config);
    let mut warnings = preflight::warnings(&config);
    match preflight::unknown_organizations(&config) {
        Ok(unknown) => warnings.extend(unknown),
        Err(sentence) => problems.push(format!("store: {sentence}")),
    }
    if ports {
        problems.extend(preflight::taken_addresses(&config));
    }
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let usual = Path::new(USUAL_FILE);
    let file = file.as_deref().or(usual.is_file().then_some(usual));
    print.checked(file, &warnings);
    Ok(ExitCode::SUCCESS)
}

async fn serve(common: &Common, args: ServeArgs) -> Result<ExitCode, String> {
    let overrides =
        Overrides { listen: args.listen, live_listen: args.live_listen, sip: args.sip, ..common.overrides() };
    let file = common.config.clone();
    let load = move || Config::load(file.as_deref(), &overrides);
    let config = load()?;
    logging::start(&config.log)?;
    let problems = preflight::problems(&config);
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let unknown = preflight::unknown_organizations(&config).unwrap_or_default();
    // The gateway itself names those of its trunks and users, and goes on looking for them.
    let is_looked_for = |told: &String| told.starts_with("sip.trunks") || told.starts_with("sip.users");
    let unknown = unknown.into_iter().filter(|told| !is_looked_for(told));
    for warning in preflight::warnings(&config).into_iter().chain(unknown) {
        tracing::warn!("{warning}");
    }
    let sockets = Sockets::bind(&config)?;
    let taken = preflight::taken_for_sip(&config);
    if !taken.is_empty() {
        return Err(taken.join("\n"));
    }
    let losses =
        if args.accept_loss { pegcount_store::Losses::Accepted } else { pegcount_store::Losses::Refused };
    let app = App::start_accepting(&config, Clock::system(), losses).await?;
    if let Some(path) = &args.ready_file {
        // One of an earlier run would say that this one is ready. The data folder is ours now, so no other server has it.
        let _ = std::fs::remove_file(path);
    }
    let json = common.json;
    let data = config.data.clone();
    let scheme = config.scheme();
    let first_key = app.first_key.clone();
    let is_announced = Cell::new(false);
    let announce = |ready: &Ready| {
        is_announced.set(true);
        print::served(ready, scheme, first_key.as_deref(), &data, json);
    };
    let served = server::serve(config, sockets, app, args.ready_file.as_deref(), load, announce).await;
    // The next start makes no key, so this one must not be lost with what failed.
    if let (Err(_), Some(key), false) = (&served, &first_key, is_announced.get()) {
        print::first_key(key, &data, json);
    }
    served.map(|()| ExitCode::SUCCESS)
}

/// Whether a path is worth a progress bar.
fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map(|metadata| metadata.len()).unwrap_or_default()
}
