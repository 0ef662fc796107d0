//! The document's examples, and the socket driven through a real server.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use futures_util::{SinkExt, StreamExt};
use pegcount_calls::{CallName, Direction, OrganizationName, SourceName, StatCell, Stats, Status, Timestamp};
use pegcount_store::{CallKey, OrganizationNumber, Store};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, ClientRequestBuilder, Message,
        protocol::frame::{CloseFrame, coding::CloseCode},
    },
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::{
    AccessMode, Config, Door, Feed, body,
    failure::Failure,
    feed::Timing,
    handlers::is_number,
    live_routes, routes,
    trail::MOST_TOLD_SINGLY,
    wire::{CdrStats, LiveCalls, tenant_message, total_message},
};
use crate::{
    access::{Answer, Excess, KeyFault, Ledger, LedgerParts, Refusal, Thing, Watched},
    audit::Audit,
    auth::{Credentials, NewKey, Scope, Scopes},
    clock::Clock,
    control::Control,
    intake::{CallReference, Incoming, Intake, IntakeParts, Outcome, TariffsHandle},
    jobs::Jobs,
    links::Links,
    live::Live,
    organizations::{Names, PerOrganization},
    recordings::{Patience, Shelf},
    vocabulary::json::compact,
};

const ONE: OrganizationNumber = OrganizationNumber(1);
const TWO: OrganizationNumber = OrganizationNumber(2);

// ---- words

#[test]
fn the_statistics_are_the_documents_example_to_the_letter() {
    let mut stats = Stats::default();
    let cell = StatCell { calls: 18, answered: 18, ..StatCell::default() };
    stats.add(Status::Completed, Direction::Inbound, &cell);
    stats.add(Status::Ringing, Direction::Inbound, &StatCell { calls: 3, ..StatCell::default() });
    let answer = serde_json::to_string(&CdrStats::of("1".into(), &stats)).unwrap();
    assert_eq!(answer, compact(include_str!("golden/cdr_stats.json")));
}

#[test]
fn busy_and_failed_calls_count_in_the_total_alone_unless_they_were_answered() {
    let mut stats = Stats::default();
    let mut add = |status, calls, answered| {
        stats.add(status, Direction::Outbound, &StatCell { calls, answered, ..StatCell::default() });
    };
    add(Status::Completed, 10, 10);
    add(Status::NoAnswer, 4, 0);
    add(Status::Canceled, 3, 0);
    add(Status::Busy, 2, 0);
    add(Status::Failed, 5, 1);
    add(Status::InProgress, 7, 7);
    add(Status::Queued, 1, 0);
    let answer = serde_json::to_string(&CdrStats::of("2".into(), &stats)).unwrap();
    let expected = r#"{"tenant_id":"2","total_calls":24,"answered":11,"no_answer":4,"cancel":3}"#;
    assert_eq!(answer, expected);
}

#[test]
fn the_live_count_is_the_documents_example_to_the_letter() {
    let answer = serde_json::to_string(&LiveCalls { tenant_id: "1".into(), live_calls: 0 }).unwrap();
    assert_eq!(answer, compact(include_str!("golden/live_calls.json")));
}

#[test]
fn the_messages_are_the_documents_examples_to_the_letter() {
    let messages = [total_message(0), tenant_message(ONE, 1), tenant_message(ONE, 0)];
    let documented: Vec<String> = include_str!("golden/messages.ndjson").lines().map(compact).collect();
    assert_eq!(messages.map(|message| message.to_string()), documented.as_slice());
}

#[test]
fn a_tenant_is_named_by_its_number_as_it_is_written_here() {
    assert!(is_number("1") && is_number("9223372036854775807") && is_number("-1"));
    for other in ["01", "+1", "1.0", "1e3", "org-789", "9223372036854775808", "１", ""] {
        assert!(!is_number(other), "{other}");
    }
}

async fn shown(failure: impl Into<Failure>) -> (StatusCode, HeaderMap, String) {
    let (parts, body) = failure.into().into_response().into_parts();
    let body = axum::body::to_bytes(body, 4096).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn every_failure_has_the_dialects_form_and_the_header_that_goes_with_it() {
    let (status, headers, body) = shown(Failure::bad_request("tenant_id is required")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
    assert_eq!(body, compact(include_str!("golden/failure.json")));

    let wait = Duration::from_millis(1200);
    let reason = "the disk is full".to_owned();
    for (failure, status, header, value) in [
        (Failure::only("POST"), 405, Some("allow"), "POST"),
        (Refusal::TooManyRequests { retry_after: wait }.into(), 429, Some("retry-after"), "2"),
        (Refusal::Unavailable { reason, retry_after: wait }.into(), 503, Some("retry-after"), "2"),
        (Refusal::Unauthorized(KeyFault::Missing).into(), 401, Some("www-authenticate"), "Bearer"),
        (Refusal::Forbidden(Scope::CallsRead).into(), 403, None, ""),
        (Refusal::NotFound(Thing::Organization).into(), 404, None, ""),
        (Refusal::invalid("from_date", "must be a date").into(), 400, None, ""),
        (Refusal::TooLong(Excess::default()).into(), 400, None, ""),
    ] {
        let (shown_status, headers, body) = shown(failure).await;
        assert_eq!(shown_status.as_u16(), status);
        assert!(body.starts_with(r#"{"status":"error","message":""#), "{body}");
        if let Some(header) = header {
            assert_eq!(headers[header], value);
        }
    }
}

// ---- bodies

async fn read(query: &str, media_type: Option<&str>, text: &str) -> Result<Option<String>, (u16, String)> {
    let mut request = axum::http::Request::builder().uri(format!("/?{query}"));
    if let Some(media_type) = media_type {
        request = request.header(header::CONTENT_TYPE, media_type);
    }
    let (parts, body) = request.body(Body::from(text.to_owned())).unwrap().into_parts();
    match body::params(&parts, body).await {
        Ok(params) => Ok(params.get("tenant_id").map(str::to_owned)),
        Err(failure) => {
            let (status, _, body) = shown(failure).await;
            Err((status.as_u16(), body))
        }
    }
}

const FORM: Option<&str> = Some("application/x-www-form-urlencoded; charset=UTF-8");
const JSON: Option<&str> = Some("application/json");

#[tokio::test]
async fn the_tenant_may_come_in_a_form_in_json_in_parts_or_in_the_query() {
    let found = |text: &str| Ok(Some(text.to_owned()));
    assert_eq!(read("", FORM, "tenant_id=1").await, found("1"));
    assert_eq!(read("", FORM, "tenant_id=+1+").await, found(" 1 "));
    assert_eq!(read("", None, "tenant_id=1").await, found("1"));
    assert_eq!(read("", JSON, r#"{"tenant_id": 1, "more": [{}]}"#).await, found("1"));
    assert_eq!(read("", JSON, r#"{"tenant_id": "1"}"#).await, found("1"));
    assert_eq!(read("tenant_id=2", None, "").await, found("2"));
    assert_eq!(read("tenant_id=2", FORM, "tenant_id=1").await, found("1"));
    let parts = "--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n9\r\n\
                 --x\r\nContent-Disposition: form-data; name=\"tenant_id\"\r\n\r\n1\r\n--x--\r\n";
    assert_eq!(read("", Some("multipart/form-data; boundary=x"), parts).await, found("1"));
    assert_eq!(read("", FORM, "tenant_id=").await, Ok(None));
    assert_eq!(read("", JSON, r#"{"tenant_id": null}"#).await, Ok(None));
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_in_a_sentence() {
    let large = format!("tenant_id=1&fill={}", "x".repeat(64 * 1024));
    for (media_type, text, status, word) in [
        (JSON, "{", 400, "not valid JSON"),
        (JSON, "[1]", 400, "JSON object"),
        (JSON, r#"{"tenant_id": 1.5}"#, 400, "string or an integer"),
        (JSON, r#"{"tenant_id": [1]}"#, 400, "string or an integer"),
        (JSON, r#"{"tenant_id": 1, "from_date": 5}"#, 400, "from_date must be a string"),
        (Some("text/xml"), "<tenant_id>1</tenant_id>", 415, "application/json"),
        (Some("multipart/form-data"), "x", 400, "multipart"),
        (Some("multipart/form-data; boundary=x"), "--x\r\nbroken", 400, "multipart"),
        (FORM, large.as_str(), 413, "65536"),
    ] {
        let (shown, body) = read("", media_type, text).await.unwrap_err();
        assert_eq!(shown, status, "{text:.40}");
        assert!(body.contains(word), "{body}");
    }
}

// ---- the socket

/// Knows the keys that it is given.
#[derive(Default)]
struct Keys(Mutex<BTreeMap<String, Watched>>);

impl Keys {
    fn of(keys: &[(&str, Watched)]) -> Arc<Self> {
        let keys = keys.iter().map(|(key, watched)| ((*key).to_owned(), watched.clone())).collect();
        Arc::new(Self(Mutex::new(keys)))
    }

    fn revoke(&self, key: &str) {
        self.0.lock().unwrap().remove(key);
    }
}

impl Door for Keys {
    fn admit(&self, credentials: Option<&Credentials>, open: bool) -> Answer<Watched> {
        match credentials {
            None if open => Ok(Watched::All),
            Some(Credentials::Whole(key)) => {
                self.0.lock().unwrap().get(key).cloned().ok_or(Refusal::Unauthorized(KeyFault::Unknown))
            }
            _ => Err(Refusal::Unauthorized(KeyFault::Missing)),
        }
    }

    fn still_admits(&self, credentials: &Credentials) -> bool {
        self.admit(Some(credentials), false).is_ok()
    }
}

struct Server {
    address: SocketAddr,
    live: Arc<Live>,
    keys: Arc<Keys>,
    feed: Arc<Feed>,
    shutdown: CancellationToken,
}

impl Server {
    async fn start(config: Config, timing: Timing) -> Self {
        let keys =
            Keys::of(&[("one", Watched::One(ONE)), ("two", Watched::One(TWO)), ("server", Watched::All)]);
        let live = Arc::new(Live::of(vec![]));
        let shutdown = CancellationToken::new();
        let door: Arc<dyn Door> = keys.clone();
        let feed = Feed::follow(&config, Arc::clone(&live), door, timing, shutdown.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router: Router = live_routes(Arc::clone(&feed));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, live, keys, feed, shutdown }
    }

    async fn open() -> Self {
        Self::start(Config { access: AccessMode::Open, ..Config::default() }, Timing::default()).await
    }

    fn set(&self, organization: OrganizationNumber, call: i64, status: Status) {
        self.live.apply(&[(organization, CallKey(call), Some(status))]);
    }

    fn request(&self, path: &str) -> ClientRequestBuilder {
        ClientRequestBuilder::new(format!("ws://{}{path}", self.address).parse().unwrap())
    }

    async fn connect(&self, request: ClientRequestBuilder) -> Client {
        Client(connect_async(request).await.unwrap().0)
    }

    /// The status, and the body, with which a connection is refused.
    async fn refused(&self, request: ClientRequestBuilder) -> (u16, String) {
        match connect_async(request).await {
            Err(tungstenite::Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status().as_u16(), String::from_utf8(body).unwrap())
            }
            other => panic!("{other:?}"),
        }
    }
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    /// The next frame that is not a ping.
    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await;
            match next.expect("a message in time").expect("an open socket").expect("a message") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.next().await.into_text().unwrap().to_string());
        }
        texts
    }

    /// So many pings, and nothing else in between.
    async fn pings(&mut self, count: u32) {
        for _ in 0..count {
            let next = tokio::time::timeout(Duration::from_secs(5), self.0.next()).await;
            let next = next.expect("a ping in time").expect("an open socket").expect("a message");
            assert!(next.is_ping(), "{next:?}");
        }
    }

    /// That nothing more comes.
    async fn quiet(&mut self) {
        let next = tokio::time::timeout(Duration::from_millis(50), self.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

fn total(count: usize) -> String {
    total_message(count).to_string()
}

fn tenant(organization: OrganizationNumber, count: usize) -> String {
    tenant_message(organization, count).to_string()
}

#[tokio::test]
async fn a_watcher_is_told_how_things_stand_and_then_each_change() {
    let server = Server::open().await;
    server.set(TWO, 20, Status::Ringing);
    server.set(ONE, 10, Status::InProgress);
    let mut client = server.connect(server.request("/")).await;
    assert_eq!(client.texts(3).await, [total(2), tenant(ONE, 1), tenant(TWO, 1)]);
    server.set(ONE, 11, Status::Initiated);
    server.set(ONE, 11, Status::Ringing);
    server.set(TWO, 20, Status::Completed);
    assert_eq!(client.texts(4).await, [tenant(ONE, 2), total(3), tenant(TWO, 0), total(2)]);
    client.quiet().await;
}

#[tokio::test]
async fn a_tenants_key_learns_of_nobody_else() {
    let server = Server::start(Config::default(), Timing::default()).await;
    server.set(ONE, 10, Status::Ringing);
    server.set(TWO, 20, Status::Ringing);
    let mut client = server.connect(server.request("/").with_header("x-api-key", "one")).await;
    assert_eq!(client.texts(2).await, [total(1), tenant(ONE, 1)]);
    server.set(TWO, 21, Status::Ringing);
    server.set(ONE, 10, Status::Completed);
    assert_eq!(client.texts(2).await, [tenant(ONE, 0), total(0)]);
    client.quiet().await;
}

#[tokio::test]
async fn a_key_may_come_as_a_header_in_the_query_or_as_a_subprotocol_that_is_echoed() {
    let server = Server::start(Config::default(), Timing::default()).await;
    for request in [
        server.request("/").with_header("x-api-key", "two"),
        server.request("/").with_header("authorization", "Bearer two"),
        server.request("/?api_key=two"),
    ] {
        assert_eq!(server.connect(request).await.texts(1).await, [total(0)]);
    }
    let request = server.request("/").with_sub_protocol("chat").with_sub_protocol("api-key.two");
    let (_, response) = connect_async(request).await.unwrap();
    assert_eq!(response.headers()[header::SEC_WEBSOCKET_PROTOCOL.as_str()], "api-key.two");
}

#[tokio::test]
async fn without_a_good_key_there_is_no_upgrade() {
    let server = Server::start(Config::default(), Timing::default()).await;
    for request in [server.request("/"), server.request("/?api_key=wrong"), server.request("/?api_key=")] {
        let (status, body) = server.refused(request).await;
        assert_eq!(status, 401);
        assert!(body.starts_with(r#"{"status":"error","message":""#), "{body}");
    }
    let open = Server::open().await;
    assert_eq!(open.refused(open.request("/?api_key=wrong")).await.0, 401);
    let plain = reqwest_like(open.address, "GET").await;
    assert!(plain.starts_with("HTTP/1.1 426") && plain.contains("WebSocket client"), "{plain}");
    assert!(plain.to_lowercase().contains("sec-websocket-version: 13"), "{plain}");
    let post = reqwest_like(open.address, "POST").await;
    assert!(post.starts_with("HTTP/1.1 405") && post.to_lowercase().contains("allow: get"), "{post}");
}

/// The answer to a request that asks for no upgrade.
async fn reqwest_like(address: SocketAddr, method: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_back() {
    let config = Config { access: AccessMode::Open, max_connections: 1 };
    let server = Server::start(config, Timing::default()).await;
    let mut first = server.connect(server.request("/")).await;
    first.texts(1).await;
    assert_eq!(server.refused(server.request("/")).await.0, 503);
    first.0.close(None).await.unwrap();
    server.feed.drained().await;
    server.connect(server.request("/")).await.texts(1).await;
}

#[tokio::test]
async fn a_revoked_key_is_disconnected_and_the_others_are_not() {
    let timing = Timing { keys: Duration::from_millis(20), ..Timing::default() };
    let server = Server::start(Config::default(), timing).await;
    let mut one = server.connect(server.request("/?api_key=one")).await;
    let mut two = server.connect(server.request("/?api_key=two")).await;
    one.texts(1).await;
    two.texts(1).await;
    server.keys.revoke("one");
    let Message::Close(Some(CloseFrame { code, .. })) = one.next().await else { panic!("a close") };
    assert_eq!(code, CloseCode::Policy);
    server.set(TWO, 20, Status::Ringing);
    assert_eq!(two.texts(1).await, [tenant(TWO, 1)]);
}

#[tokio::test]
async fn the_end_of_the_server_closes_every_connection() {
    let server = Server::open().await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(server.connect(server.request("/")).await);
    }
    for client in &mut clients {
        client.texts(1).await;
    }
    server.shutdown.cancel();
    for mut client in clients {
        let Message::Close(Some(CloseFrame { code, .. })) = client.next().await else { panic!("a close") };
        assert_eq!(code, CloseCode::Away);
    }
    server.feed.drained().await;
    assert_eq!(server.refused(server.request("/")).await.0, 503);
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_count_and_no_backlog() {
    const CHANGES: i64 = 5000;
    let server = Server::open().await;
    let mut slow = server.connect(server.request("/")).await;
    let mut quick = server.connect(server.request("/")).await;
    slow.texts(1).await;
    quick.texts(1).await;
    for call in 0..CHANGES {
        server.set(ONE, call, Status::Ringing);
        if call % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let last = total(CHANGES as usize);
    while quick.texts(1).await != [last.clone()] {}
    let mut read = 1;
    while slow.texts(1).await != [last.clone()] {
        read += 1;
    }
    assert!(read < 400, "{read} messages for {CHANGES} changes");
}

#[tokio::test]
async fn a_tenant_that_fell_silent_in_a_backlog_is_told_to_have_no_calls() {
    let live = Arc::new(Live::of(vec![]));
    let door: Arc<dyn Door> = Keys::of(&[]);
    let config = Config::default();
    let feed = Feed::follow(&config, Arc::clone(&live), door, Timing::default(), CancellationToken::new());
    live.apply(&[(TWO, CallKey(1), Some(Status::Ringing))]);
    let (opening, mut all) = feed.open(Watched::All);
    let (own_opening, mut own) = feed.open(Watched::One(ONE));
    assert_eq!(opening, [total_message(1), tenant_message(TWO, 1)]);
    assert_eq!(own_opening, [total_message(0)]);
    // More than the live set keeps for those who lag.
    for call in 0..3000 {
        live.apply(&[(ONE, CallKey(call), Some(Status::Ringing))]);
    }
    live.apply(&[(TWO, CallKey(1), Some(Status::Completed))]);
    all.ready().await;
    // The feed itself may have been too far behind for more than one look.
    let mut told = all.take();
    feed.open(Watched::All);
    told.extend(all.take());
    assert!(told.len() <= 2 * MOST_TOLD_SINGLY, "{told:?}");
    assert!(told.contains(&tenant_message(TWO, 0)) && told.contains(&tenant_message(ONE, 3000)), "{told:?}");
    assert_eq!(told.last(), Some(&total_message(3000)));
    let own = own.take();
    assert_eq!(own, [tenant_message(ONE, 3000), total_message(3000)]);
}

#[tokio::test]
async fn what_a_client_says_is_ignored_within_bounds() {
    let server = Server::open().await;
    let mut client = server.connect(server.request("/")).await;
    client.texts(1).await;
    client.0.send(Message::text("hello")).await.unwrap();
    client.0.send(Message::binary(vec![0; 1000])).await.unwrap();
    server.set(ONE, 1, Status::Ringing);
    assert_eq!(client.texts(2).await, [tenant(ONE, 1), total(1)]);
    client.0.send(Message::text("x".repeat(5000))).await.unwrap();
    server.feed.drained().await;
}

#[tokio::test]
async fn a_faulty_frame_is_answered_with_a_close_frame() {
    let server = Server::open().await;
    let too_large = [&[0x81, 0xfe, 0x20, 0][..], &[0; 4]].concat();
    for (frame, code) in [
        // Without a mask, of a type that is not there, larger than is taken, and no UTF-8.
        (&[0x81, 1, b'x'][..], 1002),
        (&[0x83, 0x81, 0, 0, 0, 0, b'x'], 1002),
        (&too_large, 1009),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
    ] {
        let mut client = server.connect(server.request("/")).await;
        client.texts(1).await;
        let MaybeTlsStream::Plain(stream) = client.0.get_mut() else { panic!("no TLS here") };
        stream.write_all(frame).await.unwrap();
        let Message::Close(Some(close)) = client.next().await else { panic!("{code}: a close frame") };
        assert_eq!(u16::from(close.code), code, "{close}");
        assert!(!close.reason.is_empty(), "{code}");
    }
}

#[tokio::test]
async fn who_is_silent_for_too_long_is_let_go() {
    let ms = Duration::from_millis;
    let timing = Timing { ping: ms(30), silence: ms(1500), ..Timing::default() };
    let config = Config { access: AccessMode::Open, ..Config::default() };
    let server = Server::start(config, timing).await;
    let mut lively = server.connect(server.request("/")).await;
    lively.texts(1).await;
    let mut silent = server.connect(server.request("/")).await;
    // Who reads answers pings. It is still asked when it has been for longer than somebody silent is put up with.
    lively.pings(u32::try_from(1_700 / 30).unwrap()).await;
    while server.feed.connections() != 1 {
        lively.pings(1).await;
    }
    lively.pings(1).await;
    // Read by hand: a client that finds the pings would answer them.
    let MaybeTlsStream::Plain(stream) = silent.0.get_mut() else { panic!("no TLS here") };
    let mut read = Vec::new();
    stream.read_to_end(&mut read).await.unwrap();
    let reason = "nothing was heard for 1 s: answer pings";
    let length = u8::try_from(reason.len() + 2).unwrap();
    let close = [&[0x88, length][..], &1008_u16.to_be_bytes(), reason.as_bytes()].concat();
    assert!(read.ends_with(&close), "{:?}", String::from_utf8_lossy(&read));
}

// ---- the posts, with a store behind them

struct Office {
    router: Router,
    key: String,
    lesser_key: String,
    server_key: String,
    ledger: Arc<Ledger>,
    _folder: tempfile::TempDir,
}

impl Office {
    /// Two tenants; the first has one call of each kind, told in native events.
    async fn open(access: AccessMode) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("calls.db").display());
        let store: Arc<dyn Store> = Arc::from(pegcount_store::open(&url).unwrap());
        let clock = Clock::of(|| Timestamp::from_millis(1_736_600_000_000));
        for (id, number) in [("org-1", ONE), ("org-2", TWO)] {
            let id = OrganizationName::new(id).unwrap();
            store.create_organization(&id, Some(number), None).await.unwrap();
        }
        let mut keys = Vec::new();
        for scopes in [vec!["calls:read", "events:write"], vec!["events:write"], vec!["server"]] {
            let scopes = Scopes::parse(scopes).unwrap();
            let key = NewKey::generate(ONE, scopes, None, clock.now()).unwrap();
            store.create_key(&key.stored).await.unwrap();
            keys.push(key.whole());
        }
        let [key, lesser_key, server_key] = keys.try_into().unwrap();
        let live = Arc::new(Live::of(vec![]));
        let (intake, _) = Intake::start(IntakeParts {
            store: Arc::clone(&store),
            live: Arc::clone(&live),
            names: Names::new(Arc::clone(&store)),
            tariffs: TariffsHandle::default(),
            masks: PerOrganization::default(),
            metrics: Arc::default(),
            outside: Vec::new(),
        })
        .unwrap();
        let jobs = Jobs::new(Arc::clone(&store), clock.clone(), Arc::default(), vec![]);
        let audit = Audit::start(Arc::clone(&store), clock.clone(), &crate::audit::Config::default());
        let ledger = Arc::new(Ledger::new(LedgerParts {
            patience: Patience::minutes(15),
            jobs: Arc::new(jobs),
            audit,
            store,
            intake,
            live,
            control: Arc::new(Control::new(HashMap::new(), clock.clone())),
            keyring: Arc::default(),
            links: Links::new([0; 32]),
            shelf: Shelf::at("recordings".into()),
            clock,
            rate_limit: None,
        }));
        ledger.reload().await.unwrap();
        let config = Config { access, ..Config::default() };
        let feed = Feed::start(&config, &ledger, CancellationToken::new());
        let router = Router::from(routes(config, feed)).with_state(Arc::clone(&ledger));
        Self { router, key, lesser_key, server_key, ledger, _folder: folder }
    }

    /// Lets a call happen: its events are a second apart.
    async fn call(&self, name: &str, day: &str, kinds: &[(&str, serde_json::Value)]) {
        let events = kinds.iter().enumerate().map(|(second, (kind, data))| {
            let at = format!("2025-01-{day}T10:00:{second:02}Z");
            serde_json::json!({ "event_type": kind, "created_at": at, "event_data": data })
        });
        let reports = crate::samples::reports(&events.collect());
        let told = reports.into_iter().map(|report| {
            let event = crate::vocabulary::read_report(&report).unwrap();
            crate::vocabulary::Told { report, event }
        });
        let incoming = Incoming {
            organization: ONE,
            source: SourceName::new("native").unwrap(),
            call: CallReference::Named(CallName::new(name).unwrap()),
            told: told.collect(),
        };
        let access = self.ledger.admit(Some(&Credentials::Whole(self.key.clone())), None).unwrap();
        let outcomes = access.accept(vec![incoming]).await.unwrap();
        assert!(outcomes.iter().flatten().all(|outcome| *outcome == Outcome::Accepted), "{outcomes:?}");
    }

    async fn fill(&self) {
        use serde_json::json;
        let none = || json!({});
        let answered = |end: (&'static str, serde_json::Value)| {
            vec![("call_initiated", json!({})), ("call_answered", json!({})), end]
        };
        self.call("completed", "10", &answered(("call_completed", none()))).await;
        self.call("broken", "11", &answered(("call_failed", json!({"hangup_cause": "network_error"})))).await;
        for (name, cause) in [("rang_out", "no_answer"), ("gave_up", "user_hangup"), ("busy", "busy")] {
            let end = ("call_failed", json!({ "hangup_cause": cause, "hangup_source": "caller" }));
            self.call(name, "11", &[("call_initiated", none()), end]).await;
        }
        self.call("queued", "11", &[("call_queued", none())]).await;
        self.call("talking", "11", &[("call_initiated", none()), ("call_answered", none())]).await;
        self.call("ringing", "11", &[("call_ringing", none())]).await;
    }

    async fn ask(&self, method: &str, path: &str, key: &str, form: &str) -> (u16, HeaderMap, String) {
        let mut request = axum::http::Request::builder().method(method).uri(path);
        if !form.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if !key.is_empty() {
            request = request.header("x-api-key", key);
        }
        let request = request.body(Body::from(form.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = axum::body::to_bytes(body, 4096).await.unwrap();
        (parts.status.as_u16(), parts.headers, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn answer(&self, path: &str, key: &str, form: &str) -> (u16, String) {
        let (status, _, body) = self.ask("POST", path, key, form).await;
        (status, body)
    }
}

const STATS: &str = "/apis/get_cdr_stats.php";
const LIVE: &str = "/apis/get_live_calls.php";

#[tokio::test]
async fn the_counts_follow_the_table_of_statuses() {
    let office = Office::open(AccessMode::Key).await;
    office.fill().await;
    let stats = |tenant: &str, counts: [u64; 4]| {
        let [total, answered, no_answer, cancel] = counts;
        let text = format!(
            r#"{{"tenant_id":"{tenant}","total_calls":{total},"answered":{answered},"no_answer":{no_answer},"cancel":{cancel}}}"#
        );
        (200, text)
    };
    let live =
        |tenant: &str, count: u64| (200, format!(r#"{{"tenant_id":"{tenant}","live_calls":{count}}}"#));
    assert_eq!(office.answer(STATS, &office.key, "tenant_id=1").await, stats("1", [5, 2, 1, 1]));
    assert_eq!(office.answer(LIVE, &office.key, "tenant_id=+1").await, live("1", 2));
    assert_eq!(office.answer(&format!("{LIVE}?tenant_id=1"), &office.key, "").await, live("1", 2));
    let day = "tenant_id=1&from_date=2025-01-11&to_date=2025-01-11";
    assert_eq!(office.answer(STATS, &office.key, day).await, stats("1", [4, 1, 1, 1]));
    assert_eq!(office.answer(STATS, &office.server_key, "tenant_id=2").await, stats("2", [0, 0, 0, 0]));
    assert_eq!(office.answer(LIVE, &office.server_key, "tenant_id=2").await, live("2", 0));
    let (_, headers, _) = office.ask("POST", STATS, &office.key, "tenant_id=1").await;
    assert_eq!(headers[header::CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_why_in_this_form() {
    let office = Office::open(AccessMode::Key).await;
    for path in [STATS, LIVE] {
        for (key, form, status, word) in [
            ("", "tenant_id=1", 401, "API key"),
            ("wrong", "", 401, "API key"),
            (office.lesser_key.as_str(), "tenant_id=1", 403, "calls:read"),
            (office.key.as_str(), "", 400, r#""tenant_id is required""#),
            (office.key.as_str(), "tenant_id=++", 400, r#""tenant_id is required""#),
            (office.key.as_str(), "tenant_id=2", 404, "Tenant not found"),
            (office.key.as_str(), "tenant_id=3", 404, "Tenant not found"),
            (office.key.as_str(), "tenant_id=01", 404, "Tenant not found"),
            (office.key.as_str(), "tenant_id=org-1", 404, "Tenant not found"),
        ] {
            let (shown, body) = office.answer(path, key, form).await;
            assert_eq!(shown, status, "{path} {form}: {body}");
            assert!(body.starts_with(r#"{"status":"error","message":""#) && body.contains(word), "{body}");
        }
        for method in ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"] {
            let (status, headers, body) = office.ask(method, path, &office.key, "tenant_id=1").await;
            assert_eq!((status, headers[header::ALLOW].to_str().unwrap()), (405, "POST"), "{method}");
            assert!(method == "HEAD" || body.starts_with(r#"{"status":"error""#), "{body}");
        }
    }
    let (status, body) = office.answer(STATS, &office.key, "tenant_id=1&from_date=soon").await;
    assert!(status == 400 && body.contains("from_date"), "{body}");
}

#[tokio::test]
async fn an_opened_dialect_answers_anybody_but_no_bad_key() {
    let office = Office::open(AccessMode::Open).await;
    assert_eq!(office.answer(LIVE, "", "tenant_id=2").await.0, 200);
    assert_eq!(office.answer(LIVE, "", "tenant_id=3").await.0, 404);
    assert_eq!(office.answer(LIVE, "wrong", "tenant_id=2").await.0, 401);
    assert_eq!(office.answer(LIVE, &office.key, "tenant_id=2").await.0, 404);
}

#[tokio::test]
async fn the_main_port_has_the_socket_too_and_documents_the_posts() {
    let office = Office::open(AccessMode::Key).await;
    assert_eq!(office.ask("GET", "/ws/live", "", "").await.0, 401);
    assert_eq!(office.ask("GET", "/ws/live", &office.key, "").await.0, 426);
    let feed = Feed::start(&Config::default(), &office.ledger, CancellationToken::new());
    let api = routes(Config::default(), feed).into_openapi();
    assert!(api.paths.paths.contains_key(STATS) && api.paths.paths.contains_key(LIVE));
}
