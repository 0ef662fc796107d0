//! Bodies as a whole, at every operation that takes one.

use serde_json::{Value, json};

use super::{Target, assert_borne};
use crate::{
    forms::{assert_refused, operations},
    server::Home,
};

/// What an operation with a body is tested by.
struct Taker {
    method: &'static str,
    path: &'static str,
    /// The media type that it takes.
    media_type: &'static str,
    /// Most bytes of a body.
    largest: usize,
    /// Whether another media type is refused.
    strict: bool,
}

const KIB: usize = 1024;

fn takers() -> Vec<Taker> {
    let json =
        |method, path, largest| Taker { method, path, media_type: "application/json", largest, strict: true };
    let form = |path| Taker {
        method: "POST",
        path,
        media_type: "application/x-www-form-urlencoded",
        largest: 64 * KIB,
        strict: true,
    };
    vec![
        json("POST", "/v1/events", 16 * KIB * KIB),
        // Its body is sniffed: switches send it under many types.
        Taker { strict: false, ..json("POST", "/sources/freeswitch/cdr", 4 * KIB * KIB) },
        json("POST", "/v1/endpoints", 256 * KIB),
        json("PATCH", "/v1/endpoints/{id}", 256 * KIB),
        json("POST", "/v1/phone-numbers", 256 * KIB),
        json("PATCH", "/v1/phone-numbers/{id}", 256 * KIB),
        json("POST", "/v1/keys", 256 * KIB),
        json("POST", "/v1/keys/{id}/rotate", 256 * KIB),
        json("PUT", "/v1/control-url", 256 * KIB),
        json("PUT", "/v1/calls/{id}/hold", 256 * KIB),
        json("POST", "/v1/erasures", 256 * KIB),
        json("POST", "/v1/outbound-calls", 256 * KIB),
        json("POST", "/api/calls", KIB * KIB),
        form("/apis/get_cdr_stats.php"),
        form("/apis/get_live_calls.php"),
    ]
}

fn nasty() -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        text(""),
        text(" \r\n\t "),
        text("null"),
        text("true"),
        text("5"),
        text("\"text\""),
        text("{"),
        text("}"),
        text("{]"),
        text("{\"a\":1,}"),
        text("{\"a\":1} {\"a\":2}"),
        text("{\"a\":1,\"a\":2}"),
        text("{\"id\":\"a\",\"id\":\"b\"}"),
        text("{\"a\":\"\\u0000\"}"),
        text("{\"name\":\"\\ud800\"}"),
        text("{\"\\udfff\":1}"),
        text("{\"a\":1e999}"),
        text("{\"a\":NaN}"),
        text("{\"number\":99999999999999999999999999}"),
        text("{'a':1}"),
        text("[[[[[[[[["),
        text("\u{feff}{}"),
        b"{\"name\":\"\xff\xfe\"}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"\0\0\0\0".to_vec(),
        b"\x1f\x8b\x08\x00\x00".to_vec(),
        text(&"[".repeat(60_000)),
        text(&"{\"a\":".repeat(12_000)),
        text(&format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100))),
        text(&format!("{{\"metadata\":{}{}}}", "[".repeat(40), "]".repeat(40))),
        text(&format!("{{\"{}\":1}}", "k".repeat(60_000))),
        text(&format!("{{\"id\":\"{}\"}}", "x".repeat(60_000))),
        text("tenant_id"),
        text("tenant_id="),
        text("tenant_id=%00"),
        text("tenant_id=%ff%fe"),
        text("tenant_id=-1"),
        text("tenant_id=01"),
        text("tenant_id=9223372036854775808"),
        text("tenant_id=1&from_date=2025-02-30"),
        text("tenant_id=1&from_date=9999-12-31&to_date=-1"),
        text(&"tenant_id=1&".repeat(5_000)),
        text("{\"tenant_id\":1.5}"),
        text("{\"tenant_id\":[1]}"),
        text("{\"tenant_id\":1e999}"),
        text("cdr="),
        text("cdr=%7B%7D"),
        text("cdr=!!!!"),
    ]
}

async fn send(
    target: &Target<'_>,
    taker: &Taker,
    media_type: Option<&str>,
    body: Vec<u8>,
) -> crate::server::Answer {
    let id = match taker.path {
        path if path.contains("endpoints") => "ep_1",
        path if path.contains("calls") => "call_good",
        _ => "pn_1",
    };
    let path = taker.path.replace("{id}", id);
    let request = target.request(taker.method, &path);
    let request = match media_type {
        Some(media_type) => request.header("content-type", media_type),
        None => request,
    };
    crate::server::send(request.body(body)).await
}

async fn check_taker(target: &Target<'_>, taker: &Taker) {
    let Taker { method, path, media_type, largest, strict } = taker;
    for body in nasty() {
        let what = format!("{method} {path} {:?}", String::from_utf8_lossy(&body));
        let json = Some("application/json");
        for media_type in [Some(*media_type), json, None] {
            assert_borne(&what, path, &send(target, taker, media_type, body.clone()).await);
        }
    }
    for odd in [
        "text/plain",
        "text/xml",
        "application/octet-stream",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=x",
        "application",
        ";;;",
        "*/*",
        "application/json-seq",
    ] {
        let answer = send(target, taker, Some(odd), b"{}".to_vec()).await;
        assert_borne(&format!("{path} as {odd}"), path, &answer);
        let multipart = odd.starts_with("multipart/") && path.starts_with("/apis/");
        if *strict && !multipart {
            assert_refused(&format!("{path} as {odd}"), path, &answer, 415);
        }
    }
    let typed = send(target, taker, Some("Application/JSON; charset=utf-8"), b"{}".to_vec()).await;
    assert_ne!(typed.status.as_u16(), 415, "{path}");
    let huge = send(target, taker, Some(media_type), vec![b' '; largest + 1]).await;
    assert_refused(&format!("{path} above {largest} bytes"), path, &huge, 413);
    let large = send(target, taker, Some(media_type), vec![b' '; *largest]).await;
    assert_refused(&format!("{path} of {largest} bytes"), path, &large, 400);
}

#[tokio::test]
async fn no_body_of_any_operation_breaks_anything() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let takers = takers();
    for (route, operation) in operations(&target.client).await {
        let (method, path) = route.split_once(' ').expect("a route");
        let tested = takers.iter().any(|taker| (taker.method, taker.path) == (method, path));
        assert_eq!(tested, operation.get("requestBody").is_some(), "{route} takes a body, or not");
    }
    for taker in &takers {
        check_taker(&target, taker).await;
    }
    // What takes no body does not mind one.
    let path = "/v1/calls/call_good/hangup";
    let answer = target.post(path, "text/plain", "\0\u{1}\u{2}").await;
    assert_eq!(answer.status.as_u16(), 409, "{path}: {}", answer.text);
    target.assert_whole().await;
}

#[tokio::test]
async fn settings_with_bad_fields_are_refused_by_name_and_change_nothing() {
    let home = Home::new("");
    let server = home.start();
    let target = Target::make(&server).await;
    let before = target.get("/v1/endpoints").await.json();
    let long = "x".repeat(20_000);
    for (method, path, body, field) in [
        ("POST", "/v1/endpoints", json!({"id": ""}), "id"),
        ("POST", "/v1/endpoints", json!({"id": "a b"}), "id"),
        ("POST", "/v1/endpoints", json!({"id": long}), "id"),
        ("POST", "/v1/endpoints", json!({"id": 5}), "id"),
        ("POST", "/v1/endpoints", json!({"number": 0}), "number"),
        ("POST", "/v1/endpoints", json!({"number": -1}), "number"),
        ("POST", "/v1/endpoints", json!({"number": 9_007_199_254_740_992_i64}), "number"),
        ("POST", "/v1/endpoints", json!({"number": u64::MAX}), "number"),
        ("POST", "/v1/endpoints", json!({"number": 1.5}), "number"),
        ("POST", "/v1/endpoints", json!({"name": long}), "name"),
        ("POST", "/v1/endpoints", json!({"provider": "a\nb"}), "provider"),
        ("POST", "/v1/endpoints", json!({"sip_uri": []}), "sip_uri"),
        ("POST", "/v1/endpoints", json!({"metadata": []}), "metadata"),
        ("POST", "/v1/endpoints", json!({"metadata": {"k": long}}), "metadata"),
        ("POST", "/v1/endpoints", json!({"nmae": "x"}), "nmae"),
        ("PATCH", "/v1/endpoints/ep_1", json!({"name": 5}), "name"),
        ("PATCH", "/v1/endpoints/ep_1", json!({"metadata": "x"}), "metadata"),
        ("PATCH", "/v1/endpoints/ep_1", json!({"number": 7}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": long}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": "12ab"}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": ""}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": "+"}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": "+1 555 0100, 0101"}), "number"),
        ("POST", "/v1/phone-numbers", json!({"number": "front desk"}), "number"),
        ("PATCH", "/v1/phone-numbers/pn_1", json!({"number": "12ab"}), "number"),
        ("POST", "/v1/phone-numbers", json!({"endpoint_id": "a b"}), "endpoint_id"),
        ("PATCH", "/v1/phone-numbers/pn_1", json!({"number": {}}), "number"),
        ("PATCH", "/v1/phone-numbers/pn_1", json!({"endpoint_id": ""}), "endpoint_id"),
        ("POST", "/v1/keys", json!({"scopes": ["calls:write"]}), "scopes"),
        ("POST", "/v1/keys", json!({"scopes": "calls:read"}), "scopes"),
        ("POST", "/v1/keys", json!({"scopes": []}), "scopes"),
        ("POST", "/v1/keys", json!({"name": long}), "name"),
        ("POST", "/v1/keys/key_none/rotate", json!({"grace_seconds": 31_622_401}), "grace_seconds"),
        ("POST", "/v1/keys/key_none/rotate", json!({"grace_seconds": "1h"}), "grace_seconds"),
        ("PUT", "/v1/calls/call_good/hold", json!({}), "reason"),
        ("PUT", "/v1/calls/call_good/hold", json!({"reason": " "}), "reason"),
        ("PUT", "/v1/calls/call_good/hold", json!({"reason": long}), "reason"),
        ("PUT", "/v1/calls/call_good/hold", json!({"reason": "x", "until": "y"}), "until"),
        ("POST", "/v1/erasures", json!({}), "phone_number"),
        ("POST", "/v1/erasures", json!({"phone_number": ""}), "phone_number"),
        ("POST", "/v1/erasures", json!({"phone_number": "+1 555"}), "phone_number"),
        ("POST", "/v1/erasures", json!({"phone_number": "+1234"}), "phone_number"),
        ("POST", "/v1/erasures", json!({"phone_number": "0049301234"}), "phone_number"),
        ("POST", "/v1/erasures", json!({"phone_number": 15557654321_i64}), "phone_number"),
        ("PUT", "/v1/control-url", json!({}), "url"),
        ("PUT", "/v1/control-url", json!({"url": 5}), "url"),
        ("PUT", "/v1/control-url", json!({"url": "ftp://example.com/"}), "url"),
        ("PUT", "/v1/control-url", json!({"url": format!("https://example.com/{long}")}), "url"),
        ("PUT", "/v1/control-url", json!({"url": "https://u:p@example.com/"}), "url"),
        ("PUT", "/v1/control-url", json!({"url": "https://example.com/", "secret": "x"}), "secret"),
        ("POST", "/api/calls", json!({"limit": 101}), "limit"),
        ("POST", "/api/calls", json!({"page": -1}), "page"),
        ("POST", "/api/calls", json!({"filter_criteria": []}), "filter_criteria"),
        ("POST", "/api/calls", json!({"filter_criteria": {"call_status": {}}}), "call_status"),
        ("POST", "/api/calls", json!({"filter_criteria": {"duration_ms": 5}}), "duration_ms"),
        (
            "POST",
            "/api/calls",
            json!({"filter_criteria": {"duration_ms": {"lower_threshold": 2, "upper_threshold": 1}}}),
            "duration_ms",
        ),
    ] {
        let answer = crate::server::send(target.request(method, path).json(&body)).await;
        let what = format!("{method} {path} {:.200}", body.to_string());
        assert_refused(&what, path, &answer, 400);
        let body: Value = answer.json();
        let named = body["error"].as_str().is_some_and(|sentence| sentence.contains(field));
        assert!(named, "{what} names no field: {body}");
    }
    for (path, array) in
        [("/v1/keys", "[null, [\"calls:read\"]]"), ("/v1/phone-numbers", "[\"pn_7\", null, null]")]
    {
        let answer = target.post(path, "application/json", array).await;
        assert_refused("an array is no object", path, &answer, 400);
    }
    assert_eq!(target.get("/v1/endpoints").await.json(), before);
    target.assert_whole().await;
}
