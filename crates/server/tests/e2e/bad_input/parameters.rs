//! Every parameter of every path and query, as the OpenAPI document lists them.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::Value;

use super::{Target, assert_borne};
use crate::{
    forms::{assert_refused, operations},
    server::{Home, PATIENCE},
};

/// Values that somebody may send; as they stand in a URL.
const NASTY: [&str; 46] = [
    "",
    "%00",
    "a%00b",
    "%ff",
    "%ed%a0%80",
    "%u0000",
    "%",
    "%zz",
    "-1",
    "-0",
    "0",
    "1",
    "+5",
    "%2B5",
    "5%20",
    "0x10",
    "1.5",
    "1e3",
    "1e400",
    "NaN",
    "Infinity",
    "null",
    "true",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999",
    "2025-02-30",
    "2025-01-10",
    "2025-01-10T24:00:00Z",
    "2025-01-10T10:00:00%2B99:00",
    "9999-12-31",
    "9999-12-31T23:59:59Z",
    "-000001-01-01",
    "0000-01-01",
    "Mars/Olympus",
    "../../etc/passwd",
    "'%20OR%201=1--",
    "%22",
    "*",
    "(((",
    "%F0%9F%98%80",
    ",,,,",
    ";",
    "%E2%80%AE",
];

/// Parameters whose values are checked: `nonsense` is refused by name.
const CHECKED: [&str; 28] = [
    "action",
    "state",
    "with",
    "limit",
    "offset",
    "page",
    "from_date",
    "to_date",
    "tz",
    "sort",
    "sort_by",
    "sort_order",
    "status",
    "direction",
    "call_status",
    "call_type",
    "disconnection_reason",
    "call_successful",
    "in_voicemail",
    "start_timestamp_from",
    "start_timestamp_to",
    "end_timestamp_from",
    "end_timestamp_to",
    "duration_ms_from",
    "duration_ms_to",
    "interval",
    "cursor",
    "types",
];

/// Parameters that take any text: `nonsense` is only found nowhere.
const FREE: [&str; 14] = [
    "actor",
    "call",
    "kind",
    "endpoint_id",
    "phone_number_id",
    "q",
    "metadata.KEY",
    "agent_id",
    "from_number",
    "to_number",
    "batch_call_id",
    "user_sentiment",
    "transcript_search",
    "signature",
];

/// The path of an operation with ids that exist, and the query that it needs.
fn filled(target: &Target<'_>, path: &str) -> String {
    let id = match path {
        path if path.starts_with("/v1/endpoints") => "ep_1",
        path if path.starts_with("/v1/phone-numbers") => "pn_1",
        _ => "call_good",
    };
    let path = path
        .replace("{id}", id)
        .replace("{callId}", id)
        .replace("{agent_id}", &target.agent.to_string())
        .replace("{organization}", "1")
        .replace("{call}", &target.uuid)
        .replace("{object}", "1.call_good.mp3");
    match path.as_str() {
        "/api/calls/agent-performance" => format!("{path}?agent_id=ep_1"),
        path if path.starts_with("/logs/") || path.starts_with("/recordings/") => {
            format!("{path}?expires=1&signature=x")
        }
        _ => path,
    }
}

fn joined(path: &str, parameter: &str) -> String {
    format!("{path}{}{parameter}", if path.contains('?') { '&' } else { '?' })
}

fn names(operation: &Value, place: &str) -> Vec<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let of_place = all.filter(|parameter| parameter["in"] == place);
    of_place.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

async fn check_parameter(target: &Target<'_>, path: &str, name: &str) {
    let name = name.replace("KEY", "k");
    for value in NASTY {
        let url = joined(path, &format!("{name}={value}"));
        assert_borne(&url, path, &target.get(&url).await);
    }
    let long = "x".repeat(10_000);
    let list = "a,".repeat(30_000);
    for (what, value) in [("10 kB", long.as_str()), ("a long list", &list[..60_000 - name.len()])] {
        let url = joined(path, &format!("{name}={value}"));
        assert_borne(&format!("{path} {name} of {what}"), path, &target.get(&url).await);
    }
    let once = format!("{name}=1&");
    let repeated = once.repeat(60_000 / once.len());
    assert_borne(&format!("{path} {name} repeated"), path, &target.get(&joined(path, &repeated)).await);
}

async fn check_nonsense(target: &Target<'_>, path: &str, name: &str) {
    let url = joined(path, &format!("{}=nonsense", name.replace("KEY", "k")));
    let answer = target.get(&url).await;
    if CHECKED.contains(&name) {
        let refused = if path.starts_with("/api/agents") { 422 } else { 400 };
        assert_refused(&url, path, &answer, refused);
        assert!(answer.text.contains(name), "{url} names no parameter: {}", answer.text);
    } else if FREE.contains(&name) {
        assert!([200, 404].contains(&answer.status.as_u16()), "{url}: {}", answer.text);
    } else {
        assert_eq!(name, "expires", "{path}: say in this test what {name} takes");
    }
}

#[tokio::test]
async fn no_value_of_any_parameter_of_a_query_breaks_anything() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    for (route, operation) in operations(&target.client).await {
        let Some(path) = route.strip_prefix("GET ") else { continue };
        let path = filled(&target, path);
        assert_borne(&path, &path, &target.get(&path).await);
        for name in names(&operation, "query") {
            check_parameter(&target, &path, &name).await;
            check_nonsense(&target, &path, &name).await;
        }
        for odd in ["metadata.=x", "metadata.%00=x", "%00=%00", "%ff=1", "=", "&&&", "unknown=1", "limit"] {
            let url = joined(&path, odd);
            assert_borne(&url, &path, &target.get(&url).await);
        }
        let key = joined(&path, &format!("metadata.{}=x", "k".repeat(10_000)));
        assert_borne("a long key of metadata", &path, &target.get(&key).await);
        let keys: String = (0..3000).map(|key| format!("metadata.{key}=x&")).collect();
        assert_borne("3000 keys of metadata", &path, &target.get(&joined(&path, &keys)).await);
    }
    target.assert_whole().await;
}

#[tokio::test]
async fn no_value_in_any_path_breaks_anything() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    for (route, operation) in operations(&target.client).await {
        let (method, path) = route.split_once(' ').expect("a route");
        for name in names(&operation, "path") {
            let long = "x".repeat(10_000);
            for value in NASTY.into_iter().chain([long.as_str(), "a/b", "%2f", "%2e%2e", "..", "."]) {
                let path = filled(&target, &path.replace(&format!("{{{name}}}"), value));
                let mut request = target.request(method, &path);
                if method == "PATCH" {
                    request = request.json(&serde_json::json!({}));
                }
                let answer = crate::server::send(request).await;
                assert_borne(&format!("{method} {path}"), &path, &answer);
            }
        }
    }
    target.assert_whole().await;
}

#[tokio::test]
async fn parameters_mean_what_the_contract_says_or_are_refused() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let agent = format!("/api/agents/{}/call_stats", target.agent);
    for (path, query, status) in [
        ("/v1/calls", "limit=+5", 200),
        ("/v1/calls", "limit=%2B5", 200),
        ("/v1/calls", "limit=100", 200),
        ("/v1/calls", "limit=101", 400),
        ("/v1/calls", "limit=0", 400),
        ("/v1/calls", "limit=-1", 400),
        ("/v1/calls", "limit=1e1", 400),
        ("/v1/calls", "offset=9223372036854775807", 200),
        ("/v1/calls", "offset=9223372036854775808", 400),
        ("/v1/calls", "page=2147483647", 200),
        ("/v1/calls", "page=2147483648", 400),
        ("/v1/calls", "from_date=2025-01-11&to_date=2025-01-10", 400),
        ("/v1/calls", "from_date=2025-01-10&to_date=2025-01-10", 200),
        ("/v1/calls", "from_date=2025-02-30", 400),
        ("/v1/calls", "from_date=2025-01-10T10:00:00+01:00", 200),
        ("/v1/calls", "to_date=9999-12-31", 200),
        ("/v1/calls", "tz=Europe/Berlin", 200),
        ("/v1/calls", "tz=Europe/Atlantis", 400),
        ("/v1/calls/stats", "endpoint_id=ep_1,ep_2", 400),
        ("/v1/calls/trends", "interval=hour&from_date=1990-01-01", 400),
        ("/v1/stats", "", 200),
        ("/v1/stats", "from_date=9999-12-31&interval=month", 200),
        ("/v1/stats", "interval=minute", 400),
        ("/v1/stats", "interval=hour&from_date=1990-01-01", 400),
        ("/v1/stats", "with=percentiles,none", 200),
        ("/v1/stats", "with=everything", 400),
        ("/v1/stats", "phone_number_id=pn_1,pn_2", 400),
        ("/v1/endpoints", "limit=101", 400),
        ("/v1/phone-numbers", "offset=-1", 400),
        ("/v1/live", "limit=0", 400),
        ("/v1/audit", "limit=100", 200),
        ("/v1/audit", "limit=101", 400),
        ("/v1/audit", "action=call_read,call_erased", 400),
        ("/v1/audit", "from_date=2025-02-30", 400),
        ("/v1/audit", "cursor=MTc", 400),
        ("/v1/audit", "call=call_good", 200),
        ("/v1/audit", "call=call_missing", 404),
        ("/v1/audit", "call=550e8400-e29b-41d4-a716-446655440000", 200),
        ("/v1/jobs", "limit=100", 200),
        ("/v1/jobs", "limit=101", 400),
        ("/v1/jobs", "state=dead,waiting", 400),
        ("/v1/jobs", "cursor=MTc", 400),
        ("/v1/jobs/9223372036854775807", "", 404),
        ("/v1/jobs/9223372036854775808", "", 404),
        ("/v1/calls/call_good/hold", "", 404),
        ("/v1/erasures/nonsense", "", 404),
        ("/api/calls", "limit=100", 200),
        ("/api/calls", "limit=101", 400),
        ("/api/calls", "page=-1", 400),
        ("/api/calls", "page=9223372036854775807", 200),
        ("/api/calls", "duration_ms_from=-1", 400),
        ("/api/calls", "start_timestamp_from=2&start_timestamp_to=1", 400),
        (&agent, "limit=10000", 200),
        (&agent, "limit=10001", 422),
        (&agent, "offset=-1", 422),
        (&agent, "from_date=2025-02-30", 422),
        ("/api/agents/seven/call_stats", "", 422),
        ("/api/agents/9223372036854775808/call_stats", "", 404),
    ] {
        let answer = target.get(&format!("{path}?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{path}?{query}: {}", answer.text);
        assert_borne(query, path, &answer);
    }
    for (query, refused) in [("status=completed&", "direction=nonsense"), ("q=hello&", "limit=nonsense")] {
        let many = query.repeat(300);
        let answer = target.get(&format!("/v1/calls?{many}{refused}")).await;
        assert_refused("a filter behind many others is not forgotten", "/v1/calls", &answer, 400);
    }
}

fn upgrade(key: &str, more: &str) -> Vec<u8> {
    let head = format!(
        "GET /ws/live?api_key={key} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket"
    );
    format!("{head}\r\n{more}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn what_is_no_http_is_turned_away_and_the_server_goes_on() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let key = &server.key;
    let headers = "x: y\r\n".repeat(20_000);
    let query = "limit=1&".repeat(10_000);
    for raw in [
        b"\r\n\r\n\r\n\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
        b"GET /v1/calls\r\n\r\n".to_vec(),
        b"GET /v1/calls HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /v1/calls?q=\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET /v1/calls HTTP/1.1\r\nhost: x\r\nx-api-key: \xff\xfe\r\nconnection: close\r\n\r\n".to_vec(),
        b"GET * HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_vec(),
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(),
        format!("POST /v1/events HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{{}}\r\n0\r\n\r\n").into_bytes(),
        format!("GET /v1/calls HTTP/1.1\r\nhost: x\r\n{headers}\r\n").into_bytes(),
        upgrade(key, "sec-websocket-version: 99\r\nsec-websocket-key: x"),
        upgrade(key, "sec-websocket-version: 13"),
        format!("GET /v1/calls?{query} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
    ] {
        let mut stream = TcpStream::connect(server.http).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        // The server may have hung up before everything was sent.
        let _ = stream.write_all(&raw).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let reset = read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        let text = String::from_utf8_lossy(&answer);
        assert!(read.is_ok() || reset, "it hangs: {:?}", String::from_utf8_lossy(&raw));
        assert!(answer.is_empty() || text.starts_with("HTTP/1.1 4") || text.starts_with("HTTP/1.0 4"), "{text}");
    }
    target.assert_whole().await;
}
