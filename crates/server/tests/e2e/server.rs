//! Starts the real program in a folder of its own, talks to it, and stops it by pid.

use std::{
    io::Read,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A data folder, and the configuration of the servers that run on it one after the other.
pub struct Home {
    folder: tempfile::TempDir,
    /// The configuration (TOML).
    pub config: String,
    /// What the program finds in its environment, beside `PATH`.
    pub environment: Vec<(&'static str, PathBuf)>,
    /// How many files it may have open; `None`: as many as the test.
    pub open_files: Option<u32>,
}

impl Home {
    /// A folder with nothing in it and this configuration (TOML).
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, config: config.to_owned(), environment: Vec::new(), open_files: None }
    }

    /// The same, with a store in its data folder, as a first start makes it.
    pub fn with_store(config: &str) -> Self {
        let home = Self::new(config);
        home.run_json(&["organizations", "list", "--init"]);
        home
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A path beside the data folder, for files of a test.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program, told to use this folder; the environment of the test does not reach it.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let config = self.path("config.toml");
        std::fs::write(&config, &self.config).expect("the configuration is written");
        let program = env!("CARGO_BIN_EXE_pegcount");
        let mut command = match self.open_files {
            None => Command::new(program),
            Some(limit) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "ulimit -n \"$0\"; exec \"$@\"", &limit.to_string(), program]);
                shell
            }
        };
        command.args(arguments).arg("--config").arg(config).arg("--data").arg(self.data());
        command
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("the program runs")
    }

    /// Runs a command that must succeed, with `--json`, and reads what it printed.
    pub fn run_json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {errors}"))
    }

    /// Starts a server and waits until everything answers.
    pub fn start(&self) -> Server<'_> {
        self.try_start().unwrap_or_else(|log| panic!("the server does not start: {log}"))
    }

    /// The same; what the server said, if it ended instead.
    pub fn try_start(&self) -> Result<Server<'_>, String> {
        self.start_listening("127.0.0.1:0", "127.0.0.1:0")
    }

    /// The same on other addresses, for HTTP and for the live WebSocket.
    pub fn start_listening(&self, listen: &str, live_listen: &str) -> Result<Server<'_>, String> {
        self.start_by(&["serve", "--listen", listen, "--live-listen", live_listen])
    }

    /// The same by this command.
    pub fn start_by(&self, serve: &[&str]) -> Result<Server<'_>, String> {
        let ready = self.path("ready.json");
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::create(self.path("log")).expect("the log is made");
        let sip: &[&str] = if self.config.contains("[sip]") { &[] } else { &["--sip", "off"] };
        let child = self
            .command(serve)
            .args(sip)
            .arg("--ready-file")
            .arg(&ready)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let (key, once) = (String::new(), std::sync::OnceLock::new());
        let mut server = Server { home: self, child, http: unset(), live: unset(), sip: None, key, once };
        let ready: Option<Value> = wait_for("the ready file", || {
            if let Ok(Some(_)) = server.child.try_wait() {
                return Some(None);
            }
            serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok().map(Some)
        });
        let Some(ready) = ready else { return Err(server.log()) };
        let address = |name: &str| ready[name].as_str().expect(name).parse().expect("an address");
        (server.http, server.live) = (address("http"), address("live"));
        server.sip = ready["sip"].as_str().map(|sip| sip.parse().expect("an address"));
        server.key = std::fs::read_to_string(self.data().join("first-key")).unwrap_or_default();
        Ok(server)
    }
}

fn unset() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// Asks again until there is an answer; a test that waits for nothing fails after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long for {what}");
        std::thread::yield_now();
    }
}

/// A running server. Dropped, it is killed.
pub struct Server<'a> {
    home: &'a Home,
    child: Child,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Where the live WebSocket is served.
    pub live: SocketAddr,
    /// Where SIP is served over UDP.
    pub sip: Option<SocketAddr>,
    /// The whole first key: every scope.
    pub key: String,
    /// Made at the first request: that takes longer than the request.
    once: std::sync::OnceLock<reqwest::Client>,
}

/// An answer over HTTP, read whole.
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The body as JSON, of an answer with this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self.json()
    }
}

impl Server<'_> {
    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its log and to stdout.
    pub fn log(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = std::fs::File::open(self.home.path("log")) {
            let _ = file.read_to_string(&mut text);
        }
        text
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// A request without a key, over a connection of its own.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let client = self.once.get_or_init(|| {
            // Installed by whichever test is first; the others find it there.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE).pool_max_idle_per_host(0);
            builder.build().expect("a client")
        });
        client.request(method, self.url(path))
    }

    /// `GET` with the first key.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path).header("x-api-key", &self.key)).await
    }

    /// Asks again until what is looked for is in the answer; a test that waits for nothing fails after [`PATIENCE`].
    pub async fn until<T>(&self, path: &str, found: impl Fn(&Answer) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await;
            if let Some(found) = found(&answer) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "waited too long for {path}: {}", answer.text);
            tokio::task::yield_now().await;
        }
    }

    /// `POST` of JSON with the first key.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).header("x-api-key", &self.key).json(body)).await
    }

    /// `POST /v1/events`; every event must be accepted.
    pub async fn tell(&self, events: &Value) -> Value {
        let receipt = self.post("/v1/events", events).await.expect(200);
        assert_eq!(receipt["rejected"], serde_json::json!([]), "{receipt}");
        receipt
    }

    /// `kill -9`: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().expect("the server is killed");
        self.child.wait().expect("the server is gone");
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> std::process::ExitStatus {
        signal(self.child.id(), "TERM");
        wait_for("the end of the server", || self.child.try_wait().ok().flatten())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name (`HUP`, `STOP`).
pub fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    assert!(status.expect("kill runs").success());
}

/// A certificate of these addresses, which nobody else has signed, and its key: two files.
pub fn certificate(home: &Home, addresses: &[String]) -> (PathBuf, PathBuf) {
    let (certificate, key) = (home.path("certificate.pem"), home.path("key.pem"));
    let settings = home.path("openssl.cnf");
    let names: Vec<String> = addresses.iter().map(|address| format!("IP:{address}")).collect();
    let text = format!(
        "[req]\ndistinguished_name=dn\nx509_extensions=of\n[dn]\n[of]\nbasicConstraints=CA:FALSE\nsubjectAltName={}\n",
        names.join(",")
    );
    std::fs::write(&settings, text).expect("it is written");
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-subj", "/CN=pegcount", "-config"])
        .arg(&settings)
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl is installed: scripts/tools");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

/// So many seconds before now, as an event says it.
pub fn ago(seconds: i64) -> String {
    let now = pegcount::clock::Clock::system().now();
    pegcount::vocabulary::time::format_rfc3339(now.plus_millis(-1_000 * seconds))
}

/// Sends a request and reads the answer whole.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.expect("a body") }
}

/// The folder of the recorded data.
pub fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

/// One client for the many requests of a test: it keeps its connections.
pub struct Client {
    client: reqwest::Client,
    base: String,
}

impl Server<'_> {
    /// A client of its own.
    pub fn client(&self) -> Client {
        // Installed by whichever test is first; the others find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
        let client = builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Client { client, base: format!("http://{}", self.http) }
    }
}

impl Client {
    /// A request without a key.
    pub fn to(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}{path}", self.base))
    }
}
