//! Two organizations on one server: what belongs to one does not exist for the other, whatever it asks.

mod rows;
mod world;

use std::collections::BTreeSet;

use futures_util::StreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest},
};

use crate::{
    forms::{Dialect, assert_form, assert_refused, operations},
    server::{Answer, Home, PATIENCE, Server, send},
};
use rows::{Ask, Body, Foreign, Row};
use world::{MARK, World};

fn request(world: &World, row: &Row, ask: &Ask) -> reqwest::RequestBuilder {
    let method = row.route.split(' ').next().expect("a method");
    let request = world.client.to(method, &ask.path);
    match &ask.body {
        Body::None => request,
        Body::Json(body) => request.json(body),
        Body::Form(body) => {
            request.header("content-type", "application/x-www-form-urlencoded").body(body.clone())
        }
    }
}

async fn ask_with(world: &World, row: &Row, ask: &Ask, key: &str) -> Answer {
    send(Dialect::of(&ask.path).with_key(request(world, row, ask), key)).await
}

/// Without a key, with one that is none, and with one that may not.
async fn check_doors(world: &World, row: &Row) {
    let Row { route, own, .. } = row;
    let path = &own.path;
    if row.scope.is_empty() {
        return;
    }
    assert_refused(&format!("{route} without a key"), path, &send(request(world, row, own)).await, 401);
    let (id, secret) = crate::forms::halves(&world.a.key);
    let stranger = format!("key_{}_{secret}", "a".repeat(16));
    let mixed = format!("{id}_{}", crate::forms::halves(&world.b.key).1);
    for wrong in [stranger.as_str(), mixed.as_str(), &format!("{}x", world.a.key)] {
        let answer = ask_with(world, row, own, wrong).await;
        assert_refused(&format!("{route} with a wrong key"), path, &answer, 401);
    }
    let lacking = ask_with(world, row, own, &world.lacking[row.scope]).await;
    assert_refused(&format!("{route} without {}", row.scope), path, &lacking, 403);
    assert!(lacking.text.contains(row.scope), "{route}: {}", lacking.text);
    if matches!(Dialect::of(path), Dialect::Native | Dialect::Organization) {
        let named = Dialect::of(path).with_key(request(world, row, own), &world.a.key);
        let named = send(named.header("x-organization-id", "org-b")).await;
        assert_refused(&format!("{route} for the other organization"), path, &named, 404);
    }
}

/// Every count of things in an answer.
fn counts(body: &Value) -> Vec<u64> {
    match body {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match (key.as_str(), value.as_u64()) {
                ("total" | "total_calls" | "total_count", Some(count)) => vec![count],
                _ => counts(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(counts).collect(),
        _ => Vec::new(),
    }
}

async fn check_foreign(world: &World, row: &Row) {
    let route = row.route;
    for (ask, expected) in &row.foreign {
        let answer = ask_with(world, row, ask, &world.a.key).await;
        let what = format!("{route} with the ids of the other: {}", ask.path);
        assert!(!answer.text.contains(MARK), "{what}: {}", answer.text);
        assert_form(&what, &ask.path, &answer);
        match expected {
            Foreign::Status(status) => assert_eq!(answer.status.as_u16(), *status, "{what}: {}", answer.text),
            Foreign::Nothing => {
                let counted = counts(&answer.expect(200));
                assert!(
                    !counted.is_empty() && counted.iter().all(|count| *count == 0),
                    "{what}: {}",
                    answer.text
                );
            }
        }
    }
}

#[tokio::test]
async fn nothing_of_another_organization_is_seen_or_changed_at_any_endpoint() {
    let home = Home::new("");
    let server = home.start();
    let world = World::make(&home, &server).await;
    let rows = rows::all(&world);
    let tested: BTreeSet<&str> = rows.iter().map(|row| row.route).collect();
    let documented = operations(&world.client).await;
    let documented: BTreeSet<&str> = documented.iter().map(|(route, _)| route.as_str()).collect();
    assert_eq!(tested, documented, "every documented endpoint has a row here");

    let before = world.sight_of_b().await;
    for row in &rows {
        check_doors(&world, row).await;
        check_foreign(&world, row).await;
        let answer = ask_with(&world, row, &row.own, &world.a.key).await;
        assert_eq!(answer.status.as_u16(), row.status, "{}: {}", row.route, answer.text);
        assert!(!answer.text.contains(MARK), "{}: {}", row.route, answer.text);
        assert_form(row.route, &row.own.path, &answer);
    }
    assert_eq!(before, world.sight_of_b().await, "nothing that A did shows at B");
    check_same_names(&world).await;
    check_server_key(&world, &server).await;
    assert!(!server.log().contains("panicked"), "{}", server.log());
}

/// The same call, endpoint and phone number in both organizations are two each.
async fn check_same_names(world: &World) {
    let mut seen = Vec::new();
    for one in [&world.a, &world.b] {
        let call = one.get(world, "/v1/calls/call_same").await.expect(200);
        assert_eq!(call["from_number"], one.word);
        assert_eq!(call["endpoint"]["name"], one.word);
        assert_eq!(call["phone_number"]["number"], one.word);
        assert_eq!(call["transcript"], format!("[Caller]: {}", one.word));
        let same = one.get(world, "/v1/calls?endpoint_id=ep_same&phone_number_id=pn_same").await.expect(200);
        assert_eq!(same["total"], 1);
        let endpoint = one.get(world, "/v1/endpoints/ep_same").await.expect(200);
        assert_eq!(endpoint["name"], one.word);
        let search = one.get(world, &format!("/v1/calls?q={MARK}")).await.expect(200);
        assert_eq!(search["total"], u32::from(one.word == MARK));
        seen.push((one.uuid.clone(), endpoint["number"].clone()));
    }
    assert!(seen[0].0 != seen[1].0 && seen[0].1 != seen[1].1, "{seen:?}");
    let by_uuid = world.a.get(world, &format!("/v1/calls/{}", world.b.uuid)).await;
    assert_refused("the other's UUID", "/v1/calls", &by_uuid, 404);
}

/// A `server` key acts for the organization that it names, by id or by number.
async fn check_server_key(world: &World, server: &Server<'_>) {
    let named = |path: &str, organization: &str| {
        let request = Dialect::of(path).with_key(world.client.to("GET", path), &server.key);
        request.header("x-organization-id", organization.to_owned())
    };
    for name in ["org-b", &world.b.number.to_string()] {
        let list = send(named("/v1/calls", name)).await.expect(200);
        assert_eq!(list["total"], world.b.get(world, "/v1/calls").await.json()["total"]);
        let list = send(named("/api/calls", name)).await.expect(200);
        assert_eq!(list["data"]["organization_id"], "org-b");
    }
    assert_eq!(server.get("/v1/calls").await.expect(200)["total"], 0, "its own organization has no calls");
    for nobody in ["org-c", "99", "-1"] {
        for path in ["/v1/calls", "/api/calls"] {
            assert_refused(nobody, path, &send(named(path, nobody)).await, 404);
        }
    }
    let odd = world.client.to("GET", "/v1/calls").header("x-api-key", &server.key);
    let odd =
        odd.header("x-organization-id", reqwest::header::HeaderValue::from_bytes(b"\xf6rg").expect("bytes"));
    assert_refused("a name that is no text", "/v1/calls", &send(odd).await, 404);
    let path = "/apis/get_cdr_stats.php";
    for one in [&world.a, &world.b] {
        let form = world.client.to("POST", path).header("content-type", "application/x-www-form-urlencoded");
        let form = form.header("x-api-key", &server.key).body(format!("tenant_id={}", one.number));
        assert_eq!(send(form).await.expect(200)["tenant_id"], one.number.to_string());
        let agent = format!("/api/agents/{}/call_stats", one.agent);
        let calls = send(world.client.to("GET", &agent).header("x-api-key", &server.key)).await.expect(200);
        assert_eq!(calls[0]["from_number"], one.word);
    }
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(url: &str, header: Option<(&'static str, String)>) -> Result<Socket, StatusCode> {
    let mut request = url.into_client_request().expect("a request");
    if let Some((name, value)) = header {
        request.headers_mut().insert(name, value.parse().expect("a header"));
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(response)) => {
            let body = response.body().as_deref().unwrap_or_default();
            let body: Value = serde_json::from_slice(body).unwrap_or_default();
            assert!(Dialect::Tenant.is_refusal(&body), "{body}");
            Err(response.status().as_u16().try_into().expect("a status"))
        }
        Err(other) => panic!("{other}"),
    }
}

/// Messages until this one came, which is the last of them.
async fn until(socket: &mut Socket, last: &str) -> Vec<String> {
    let mut seen = Vec::new();
    while seen.last().is_none_or(|message| message != last) {
        let next = tokio::time::timeout(PATIENCE, socket.next()).await;
        match next.unwrap_or_else(|_| panic!("{last} never came: {seen:?}")) {
            Some(Ok(Message::Text(text))) => seen.push(text.to_string()),
            Some(Ok(_)) => {}
            other => panic!("{other:?} after {seen:?}"),
        }
    }
    seen
}

#[tokio::test]
async fn the_web_socket_carries_only_what_its_key_may_see() {
    let home = Home::new("");
    let server = home.start();
    let world = World::make(&home, &server).await;
    let (live, main) = (format!("ws://{}/", server.live), format!("ws://{}/ws/live", server.http));
    let (a, b) = (&world.a, &world.b);
    for url in [&live, &main] {
        assert_eq!(connect(url, None).await.err(), Some(StatusCode::UNAUTHORIZED));
        let wrong = connect(&format!("{url}?api_key={}x", a.key), None).await;
        assert_eq!(wrong.err(), Some(StatusCode::UNAUTHORIZED));
        let lacking = connect(url, Some(("x-api-key", world.lacking["calls:read"].clone()))).await;
        assert_eq!(lacking.err(), Some(StatusCode::FORBIDDEN));
    }
    let tenant = |count: u32, number: i64| {
        format!(r#"{{"event":"call_count","count":{count},"tenant_id":"{number}"}}"#)
    };
    let total = |count: u32| format!(r#"{{"event":"call_count","count":{count}}}"#);
    let bearer = ("authorization", format!("Bearer {}", a.key));
    let protocol = ("sec-websocket-protocol", format!("api-key.{}", a.key));
    let mut sockets = vec![
        connect(&format!("{live}?api_key={}", a.key), None).await.expect("let in"),
        connect(&live, Some(("x-api-key", a.key.clone()))).await.expect("let in"),
        connect(&main, Some(bearer)).await.expect("let in"),
        connect(&main, Some(protocol)).await.expect("let in"),
    ];
    for socket in &mut sockets {
        assert_eq!(until(socket, &tenant(1, a.number)).await, [total(1), tenant(1, a.number)]);
    }
    let mut all = connect(&live, Some(("x-api-key", server.key.clone()))).await.expect("let in");
    let opening = until(&mut all, &tenant(1, b.number)).await;
    assert_eq!(opening, [total(2), tenant(1, a.number), tenant(1, b.number)]);

    let begin = |call: &str| json!({"call_id": call, "event_type": "call_initiated"});
    b.tell(&world, &begin("call_b_live")).await;
    a.tell(&world, &begin("call_a_live")).await;
    for socket in &mut sockets {
        assert_eq!(until(socket, &total(2)).await, [tenant(2, a.number), total(2)], "nothing of the other");
    }
    let seen = until(&mut all, &total(4)).await;
    assert_eq!(seen, [tenant(2, b.number), total(3), tenant(2, a.number), total(4)]);
}
