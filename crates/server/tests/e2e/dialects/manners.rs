//! Methods, routes, ids of requests, and ids in paths.

use serde_json::json;

use crate::{
    forms::{Dialect, assert_form, assert_refused, operations},
    server::{Home, send},
};

#[tokio::test]
async fn another_method_is_refused_in_the_form_of_the_dialect_with_the_methods_that_there_are() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let documented = operations(&client).await;
    for path in documented.iter().map(|(route, _)| route.split_once(' ').expect("a route").1) {
        let mut known: Vec<&str> =
            documented.iter().filter_map(|(route, _)| route.strip_suffix(path)?.strip_suffix(' ')).collect();
        if known.contains(&"GET") {
            known.push("HEAD");
        }
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if known.contains(&method) {
                continue;
            }
            let path = path.replace(['{', '}'], "");
            let answer = send(Dialect::of(&path).with_key(client.to(method, &path), &server.key)).await;
            assert_refused(&format!("{method} {path}"), &path, &answer, 405);
            let allow = answer.headers.get("allow").and_then(|value| value.to_str().ok());
            let allow = allow.unwrap_or_else(|| panic!("{method} {path} says nothing of what it takes"));
            let mut said: Vec<&str> = allow.split(',').map(str::trim).collect();
            said.sort_unstable();
            known.sort_unstable();
            assert_eq!(said, known, "{method} {path}");
        }
    }
    let live = reqwest::Url::parse(&format!("http://{}/", server.live)).expect("a URL");
    let plain = send(reqwest::Client::new().get(live.clone()).header("x-api-key", &server.key)).await;
    assert_refused("no WebSocket", "/ws/live", &plain, 426);
    let posted = send(reqwest::Client::new().post(live)).await;
    assert_refused("a POST to the WebSocket", "/ws/live", &posted, 405);
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let unknown = [
        "/v2/calls",
        "/v1",
        "/v1/calls/",
        "/v1/calls/x/y/z",
        "/api",
        "/api/callz",
        "/apis/x.php",
        "/ws",
        "//",
        "/docs/none",
    ];
    let known = [
        "/",
        "/healthz",
        "/v1/calls",
        "/api/calls",
        "/api/agents/1/call_stats",
        "/apis/get_cdr_stats.php",
        "/ws/live",
    ];
    for (path, is_known) in
        unknown.map(|path| (path, false)).into_iter().chain(known.map(|path| (path, true)))
    {
        let request = || Dialect::of(path).with_key(client.to("GET", path), &server.key);
        let answer = send(request()).await;
        let made = answer.headers.get("x-request-id").expect("an id").clone();
        let again = send(request()).await;
        assert_ne!(Some(&made), again.headers.get("x-request-id"), "{path}: each request has its own");
        let echoed = send(request().header("x-request-id", "my-own.id/7")).await;
        assert_eq!(echoed.headers["x-request-id"], "my-own.id/7", "{path}");
        let long = "x".repeat(200);
        for odd in ["", "two words", long.as_str()] {
            let replaced = send(request().header("x-request-id", odd)).await;
            assert!(replaced.headers["x-request-id"].as_bytes().starts_with(b"req_"), "{path} {odd:?}");
        }
        if !is_known && path != "/docs/none" {
            assert_eq!(answer.status.as_u16(), 404, "{path}: {}", answer.text);
            assert_form(path, path, &answer);
        }
        let without_key = send(client.to("GET", path)).await;
        assert!(without_key.headers.contains_key("x-request-id"), "{path}");
    }
    let huge = client.to("POST", "/v1/keys").header("x-api-key", &server.key).body(vec![b' '; 300_000]);
    assert!(send(huge).await.headers.contains_key("x-request-id"));
    let live = send(reqwest::Client::new().get(format!("http://{}/nowhere", server.live))).await;
    assert_refused("the live port has one page", "/ws/live", &live, 404);
}

#[tokio::test]
async fn every_call_id_that_is_taken_is_reached_in_every_dialect() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let long = "x".repeat(128);
    let all = "azAZ09_.:@+~=-";
    for id in ["...", "a..b", ".a", "..a", "a.", "-.", "+", "~", "@:", "=", all, long.as_str()] {
        let setup = json!({"endpoint_id": id, "phone_number_id": id});
        server.tell(&json!({"call_id": id, "event_type": "call_initiated", "event_data": setup})).await;
        let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for id in [id, encoded.as_str()] {
            for path in [
                format!("/v1/calls/{id}"),
                format!("/v1/calls/{id}/events"),
                format!("/v1/calls/{id}/explain"),
                format!("/v1/endpoints/{id}"),
                format!("/v1/phone-numbers/{id}"),
                format!("/api/calls/{id}"),
                format!("/v1/audit?call={}", id.replace('+', "%2B")),
            ] {
                let answer = send(Dialect::of(&path).with_key(client.to("GET", &path), &server.key)).await;
                assert_eq!(answer.status.as_u16(), 200, "{path}: {}", answer.text);
            }
        }
    }
    for id in [".", ".."] {
        let event = json!({"call_id": id, "event_type": "call_initiated"});
        let refused = server.post("/v1/events", &event).await.expect(422);
        let message = refused["rejected"][0]["message"].as_str().expect("a message");
        assert_eq!(message, "call_id may not be . or .., which no URL can name");
        let endpoint = server.post("/v1/endpoints", &json!({"id": id})).await.expect(400);
        assert!(endpoint["error"].as_str().expect("an error").contains("may not be . or .."), "{endpoint}");
    }
}

/// Whatever stands in the place of a call's id in a path is no call's id.
#[tokio::test]
async fn words_of_routes_are_no_call_ids() {
    let home = Home::new("");
    let server = home.start();
    let documented = operations(&server.client()).await;
    let paths = || documented.iter().map(|(route, _)| route.split_once(' ').expect("a route").1);
    let with_ids = ["/v1/calls/", "/api/calls/"];
    let words = paths().filter_map(|path| {
        let word = with_ids.iter().find_map(|prefix| path.strip_prefix(prefix))?.split('/').next()?;
        (!word.starts_with('{')).then_some(word)
    });
    let words: std::collections::BTreeSet<&str> = words.collect();
    assert!(words.contains("stats") && words.contains("agent-performance"), "{words:?}");
    for word in words {
        let event = json!({"call_id": word, "event_type": "call_initiated"});
        let refused = server.post("/v1/events", &event).await.expect(422);
        let message = refused["rejected"][0]["message"].as_str().expect("a message");
        assert!(message.contains("reserved word"), "{word}: {message}");
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_a_body_and_an_id_may_be_percent_encoded() {
    let home = Home::new("");
    let server = home.start();
    let client = server.client();
    let id = "call:1@switch~a=b+c.d-e_f";
    server
        .tell(
            &json!({"call_id": id, "event_type": "call_initiated", "event_data": {"endpoint_id": "ep:1@x"}}),
        )
        .await;
    let encoded: String = id.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let number = server.get("/v1/endpoints/ep%3A1%40x").await.expect(200)["number"].clone();
    for path in [
        format!("/v1/calls/{encoded}"),
        format!("/v1/calls/{id}"),
        format!("/v1/calls/{encoded}/events"),
        format!("/v1/calls/{encoded}/explain"),
        "/v1/endpoints/ep:1@x".to_owned(),
        format!("/api/calls/{encoded}"),
        format!("/api/agents/%3{number}/call_stats"),
        "/v1/calls".to_owned(),
        "/api/calls".to_owned(),
        "/v1/calls/stats".to_owned(),
        "/healthz".to_owned(),
        "/openapi.json".to_owned(),
    ] {
        let request = |method| Dialect::of(&path).with_key(client.to(method, &path), &server.key);
        let got = send(request("GET")).await;
        assert_eq!(got.status.as_u16(), 200, "{path}: {}", got.text);
        let head = send(request("HEAD")).await;
        assert_eq!((head.status, head.text.as_str()), (got.status, ""), "{path}");
        assert_eq!(head.headers.get("content-type"), got.headers.get("content-type"), "{path}");
    }
    let by_uuid =
        send(Dialect::Organization.with_key(client.to("GET", &format!("/api/calls/{encoded}")), &server.key))
            .await;
    let uuid = by_uuid.expect(200)["data"]["id"].as_str().expect("a UUID").to_owned();
    assert_eq!(uuid.as_bytes()[14], b'7', "a UUID of version 7: {uuid}");
    for path in [format!("/v1/calls/{uuid}"), format!("/v1/calls/{}", uuid.to_uppercase())] {
        assert_eq!(server.get(&path).await.expect(200)["id"], id, "{path}");
    }
    let head = send(client.to("HEAD", "/v1/calls")).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (401, ""));
}
