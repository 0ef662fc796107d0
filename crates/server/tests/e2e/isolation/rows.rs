//! Every endpoint: what A asks of its own, and what it asks with the ids of B.

use serde_json::{Value, json};

use super::world::World;

/// A request without its key.
pub struct Ask {
    /// Path and query.
    pub path: String,
    /// Body.
    pub body: Body,
}

/// What goes along.
pub enum Body {
    /// Nothing.
    None,
    /// JSON.
    Json(Value),
    /// A form.
    Form(String),
}

/// What A gets when it names what is B's.
#[derive(Clone, Copy)]
pub enum Foreign {
    /// This status, and no word of B.
    Status(u16),
    /// An answer in which every count is 0.
    Nothing,
}

/// An endpoint.
pub struct Row {
    /// `METHOD /path` of the OpenAPI document.
    pub route: &'static str,
    /// The scope it takes; empty: no key at all.
    pub scope: &'static str,
    /// What A asks of its own, after everything else was refused.
    pub own: Ask,
    /// What that answers.
    pub status: u16,
    /// What A asks of B's.
    pub foreign: Vec<(Ask, Foreign)>,
}

fn ask(path: &str) -> Ask {
    Ask { path: path.to_owned(), body: Body::None }
}

fn json_to(path: &str, body: Value) -> Ask {
    Ask { path: path.to_owned(), body: Body::Json(body) }
}

fn tenant(path: &str, number: i64) -> Ask {
    Ask { path: path.to_owned(), body: Body::Form(format!("tenant_id={number}")) }
}

/// Every row, in the order in which they can be carried out.
pub fn all(world: &World) -> Vec<Row> {
    let mut rows = reading(world);
    rows.extend(writing(world));
    rows.extend(dialects(world));
    rows
}

const NOT_FOUND: Foreign = Foreign::Status(404);
const OK: Foreign = Foreign::Status(200);

fn reading(world: &World) -> Vec<Row> {
    let read = |route, own: &str, foreign: &[(&str, Foreign)]| {
        let foreign = foreign.iter().map(|(path, expected)| (ask(path), *expected)).collect();
        Row { route, scope: "calls:read", own: ask(own), status: 200, foreign }
    };
    let open = |route: &'static str, own: &str, foreign: &[(&str, Foreign)]| Row {
        scope: "",
        ..read(route, own, foreign)
    };
    let (uuid, log) = (&world.b.uuid, &world.b.log);
    let of_uuid = format!("/v1/calls/{uuid}");
    let own_log = &world.a.log;
    let signed = own_log.split_once('?').expect("a signature").1;
    let other_log = format!("/logs/{}/{uuid}?{signed}", world.b.number);
    let other_call = format!("/logs/{}/{uuid}?{signed}", world.a.number);
    let other_organization =
        log.replace(&format!("/logs/{}/", world.b.number), &format!("/logs/{}/", world.a.number));
    let own_recording = &world.a.recording;
    let signed = own_recording.split_once('?').expect("a signature").1;
    let path_of_other = world.b.recording.split_once('?').expect("a signature").0;
    let other_recording = format!("{path_of_other}?{signed}");
    vec![
        read(
            "GET /v1/calls",
            "/v1/calls",
            &[
                ("/v1/calls", OK),
                ("/v1/calls?endpoint_id=ep_b1", Foreign::Nothing),
                ("/v1/calls?phone_number_id=pn_b1", Foreign::Nothing),
                ("/v1/calls?metadata.word=tell-nobody", Foreign::Nothing),
                ("/v1/calls?q=tell-nobody", Foreign::Nothing),
            ],
        ),
        read(
            "GET /v1/calls/stats",
            "/v1/calls/stats",
            &[
                ("/v1/calls/stats?endpoint_id=ep_b1", Foreign::Nothing),
                ("/v1/calls/stats?phone_number_id=pn_b1&from_date=2020-01-01", Foreign::Nothing),
            ],
        ),
        read(
            "GET /v1/calls/trends",
            "/v1/calls/trends",
            &[(
                "/v1/calls/trends?from_date=2025-01-09&to_date=2025-01-11&endpoint_id=ep_b1",
                Foreign::Nothing,
            )],
        ),
        read(
            "GET /v1/stats",
            "/v1/stats?from_date=2025-01-09&to_date=2025-01-11",
            &[(
                "/v1/stats?from_date=2025-01-09&to_date=2025-01-11&interval=day&phone_number_id=pn_b1",
                Foreign::Nothing,
            )],
        ),
        read(
            "GET /v1/calls/{id}",
            "/v1/calls/call_a1",
            &[("/v1/calls/call_b1", NOT_FOUND), (&of_uuid, NOT_FOUND)],
        ),
        read(
            "GET /v1/calls/{id}/events",
            "/v1/calls/call_a1/events",
            &[("/v1/calls/call_b1/events", NOT_FOUND)],
        ),
        read(
            "GET /v1/calls/{id}/explain",
            "/v1/calls/call_a1/explain",
            &[("/v1/calls/call_b1/explain", NOT_FOUND)],
        ),
        Row {
            // It was not made through the gateway.
            status: 404,
            ..read(
                "GET /v1/calls/{id}/sip-trace",
                "/v1/calls/call_a1/sip-trace",
                &[("/v1/calls/call_b1/sip-trace", NOT_FOUND)],
            )
        },
        Row {
            scope: "recordings:read",
            ..read(
                "GET /v1/calls/{id}/recording",
                "/v1/calls/call_a1/recording",
                &[("/v1/calls/call_b1/recording", NOT_FOUND)],
            )
        },
        read("GET /v1/live", "/v1/live", &[("/v1/live", OK)]),
        read("GET /v1/endpoints", "/v1/endpoints", &[("/v1/endpoints", OK)]),
        read("GET /v1/endpoints/{id}", "/v1/endpoints/ep_a1", &[("/v1/endpoints/ep_b1", NOT_FOUND)]),
        read("GET /v1/phone-numbers", "/v1/phone-numbers", &[("/v1/phone-numbers", OK)]),
        read(
            "GET /v1/phone-numbers/{id}",
            "/v1/phone-numbers/pn_a1",
            &[("/v1/phone-numbers/pn_b1", NOT_FOUND)],
        ),
        open(
            "GET /logs/{organization}/{call}",
            own_log,
            &[
                (&other_log, NOT_FOUND),
                (&other_call, NOT_FOUND),
                (&other_organization, NOT_FOUND),
                (&format!("{log}x"), NOT_FOUND),
                (&log.replace("expires=", "expires=9"), NOT_FOUND),
            ],
        ),
        open(
            "GET /recordings/{object}",
            own_recording,
            &[
                (&other_recording, NOT_FOUND),
                (&format!("{}x", world.b.recording), NOT_FOUND),
                (&world.b.recording.replace("expires=", "expires=9"), NOT_FOUND),
            ],
        ),
        open("GET /healthz", "/healthz", &[]),
        open("GET /readyz", "/readyz", &[]),
        open("GET /metrics", "/metrics", &[("/metrics", OK)]),
    ]
}

fn writing(world: &World) -> Vec<Row> {
    let row = |route, scope, own, status, foreign| Row { route, scope, own, status, foreign };
    let other_number = json!({"id": "ep_mine", "number": world.b.agent});
    let other_key = format!("/v1/keys/{}", crate::forms::halves(&world.b.key).0);
    let spare_key = format!("/v1/keys/{}", crate::forms::halves(&world.lacking["calls:control"]).0);
    let [own_job, other_job] = [&world.a, &world.b].map(|one| format!("/v1/jobs/{}", one.job));
    let note = |call: &str| json!({"call_id": call, "event_type": "x_note", "event_data": {"note": "ours"}});
    let cdr = crate::server::fixtures().join("freeswitch/json_cdr/answered.1.json");
    let cdr: Value = serde_json::from_str(&std::fs::read_to_string(cdr).expect("a record")).expect("JSON");
    let url = json!({"url": "https://hooks.example/hang-up"});
    vec![
        row(
            "POST /v1/calls/{id}/hangup",
            "calls:control",
            ask("/v1/calls/call_a2/hangup"),
            409,
            vec![
                (ask("/v1/calls/call_b2/hangup"), NOT_FOUND),
                (ask(&format!("/v1/calls/{}/hangup", world.b.uuid)), NOT_FOUND),
            ],
        ),
        row(
            "POST /v1/outbound-calls",
            "calls:control",
            json_to("/v1/outbound-calls", json!({"from_number": "+15550001", "to_number": "+15550002"})),
            // This server has no gateway. Whose number may be called from: tests of the source.
            503,
            vec![],
        ),
        row(
            "POST /v1/events",
            "events:write",
            json_to("/v1/events", note("call_a1")),
            200,
            vec![(json_to("/v1/events", note("call_apart")), OK)],
        ),
        row(
            "POST /sources/freeswitch/cdr",
            "events:write",
            json_to("/sources/freeswitch/cdr", cdr),
            200,
            vec![],
        ),
        row(
            "POST /v1/endpoints",
            "admin",
            json_to("/v1/endpoints", json!({"id": "ep_new"})),
            201,
            vec![(json_to("/v1/endpoints", other_number), Foreign::Status(409))],
        ),
        row(
            "PATCH /v1/endpoints/{id}",
            "admin",
            json_to("/v1/endpoints/ep_new", json!({"name": "New"})),
            200,
            vec![(json_to("/v1/endpoints/ep_b1", json!({"name": "ours"})), NOT_FOUND)],
        ),
        row(
            "DELETE /v1/endpoints/{id}",
            "admin",
            ask("/v1/endpoints/ep_new"),
            204,
            vec![(ask("/v1/endpoints/ep_b1"), NOT_FOUND)],
        ),
        row(
            "POST /v1/phone-numbers",
            "admin",
            json_to("/v1/phone-numbers", json!({"id": "pn_new"})),
            201,
            vec![(json_to("/v1/phone-numbers", json!({"id": "pn_apart"})), Foreign::Status(201))],
        ),
        row(
            "PATCH /v1/phone-numbers/{id}",
            "admin",
            json_to("/v1/phone-numbers/pn_new", json!({"number": "+1"})),
            200,
            vec![(json_to("/v1/phone-numbers/pn_b1", json!({"number": "+1"})), NOT_FOUND)],
        ),
        row(
            "DELETE /v1/phone-numbers/{id}",
            "admin",
            ask("/v1/phone-numbers/pn_new"),
            204,
            vec![(ask("/v1/phone-numbers/pn_b1"), NOT_FOUND)],
        ),
        row(
            "GET /v1/registrations",
            "admin",
            ask("/v1/registrations"),
            200,
            vec![(ask("/v1/registrations"), OK)],
        ),
        row("GET /v1/keys", "admin", ask("/v1/keys"), 200, vec![(ask("/v1/keys"), OK)]),
        row(
            "POST /v1/keys",
            "admin",
            json_to("/v1/keys", json!({"name": "more"})),
            201,
            vec![(json_to("/v1/keys", json!({"scopes": ["server"]})), Foreign::Status(403))],
        ),
        row(
            "POST /v1/keys/{id}/rotate",
            "admin",
            json_to(&format!("{spare_key}/rotate"), json!({})),
            201,
            vec![(json_to(&format!("{other_key}/rotate"), json!({})), NOT_FOUND)],
        ),
        row("DELETE /v1/keys/{id}", "admin", ask(&spare_key), 204, vec![(ask(&other_key), NOT_FOUND)]),
        row(
            "GET /v1/audit",
            "admin",
            ask("/v1/audit"),
            200,
            vec![
                (ask("/v1/audit"), OK),
                (ask("/v1/audit?call=call_b1"), NOT_FOUND),
                (ask(&format!("/v1/audit?call={}", world.b.uuid)), OK),
            ],
        ),
        row("GET /v1/jobs", "admin", ask("/v1/jobs"), 200, vec![(ask("/v1/jobs"), OK)]),
        row("GET /v1/jobs/{id}", "admin", ask(&own_job), 200, vec![(ask(&other_job), NOT_FOUND)]),
        row(
            "POST /v1/jobs/{id}/retry",
            "admin",
            ask(&format!("{own_job}/retry")),
            204,
            vec![(ask(&format!("{other_job}/retry")), NOT_FOUND)],
        ),
        row("DELETE /v1/jobs/{id}", "admin", ask(&own_job), 204, vec![(ask(&other_job), NOT_FOUND)]),
        row(
            "PUT /v1/calls/{id}/hold",
            "admin",
            json_to("/v1/calls/call_a3/hold", json!({"reason": "ours"})),
            200,
            vec![(json_to("/v1/calls/call_b1/hold", json!({"reason": "ours"})), NOT_FOUND)],
        ),
        row(
            "GET /v1/calls/{id}/hold",
            "admin",
            ask("/v1/calls/call_a3/hold"),
            200,
            vec![(ask("/v1/calls/call_b3/hold"), NOT_FOUND)],
        ),
        row(
            "DELETE /v1/calls/{id}/hold",
            "admin",
            ask("/v1/calls/call_a3/hold"),
            204,
            vec![(ask("/v1/calls/call_b3/hold"), NOT_FOUND)],
        ),
        row(
            "POST /v1/erasures",
            "admin",
            json_to("/v1/erasures", json!({"phone_number": "+15550009999"})),
            202,
            vec![(json_to("/v1/erasures", json!({"phone_number": "+15550009998"})), Foreign::Status(202))],
        ),
        row(
            "GET /v1/erasures/{id}",
            "admin",
            ask(&format!("/v1/erasures/{}", world.a.erasure)),
            200,
            vec![(ask(&format!("/v1/erasures/{}", world.b.erasure)), NOT_FOUND)],
        ),
        row("PUT /v1/control-url", "admin", json_to("/v1/control-url", url), 200, vec![]),
        row("GET /v1/control-url", "admin", ask("/v1/control-url"), 200, vec![(ask("/v1/control-url"), OK)]),
        row("DELETE /v1/control-url", "admin", ask("/v1/control-url"), 204, vec![]),
        row(
            "DELETE /v1/calls/{id}",
            "admin",
            ask("/v1/calls/call_a3"),
            204,
            vec![
                (ask("/v1/calls/call_b1"), NOT_FOUND),
                (ask(&format!("/v1/calls/{}", world.b.uuid)), NOT_FOUND),
            ],
        ),
    ]
}

fn dialects(world: &World) -> Vec<Row> {
    let row = |route, own, foreign| Row { route, scope: "calls:read", own, status: 200, foreign };
    let search = |criteria: Value| json_to("/api/calls", json!({"filter_criteria": criteria}));
    let (a, b) = (&world.a, &world.b);
    let agent = |number: i64| ask(&format!("/api/agents/{number}/call_stats"));
    vec![
        row(
            "GET /api/calls",
            ask("/api/calls"),
            vec![
                (ask("/api/calls"), OK),
                (ask("/api/calls?agent_id=ep_b1"), Foreign::Nothing),
                (ask("/api/calls?metadata.word=Tell-Nobody"), Foreign::Nothing),
                (ask("/api/calls?transcript_search=Tell%20Nobody"), Foreign::Nothing),
            ],
        ),
        row(
            "POST /api/calls",
            search(json!({})),
            vec![(search(json!({"agent_id": ["ep_b1"]})), Foreign::Nothing)],
        ),
        row(
            "GET /api/calls/{callId}",
            ask("/api/calls/call_a1"),
            vec![(ask("/api/calls/call_b1"), NOT_FOUND), (ask(&format!("/api/calls/{}", b.uuid)), NOT_FOUND)],
        ),
        row(
            "GET /api/calls/agent-performance",
            ask("/api/calls/agent-performance?agent_id=ep_a1"),
            vec![(ask("/api/calls/agent-performance?agent_id=ep_b1"), NOT_FOUND)],
        ),
        row("GET /api/agents/{agent_id}/call_stats", agent(a.agent), vec![(agent(b.agent), NOT_FOUND)]),
        row(
            "POST /apis/get_cdr_stats.php",
            tenant("/apis/get_cdr_stats.php", a.number),
            vec![(tenant("/apis/get_cdr_stats.php", b.number), NOT_FOUND)],
        ),
        row(
            "POST /apis/get_live_calls.php",
            tenant("/apis/get_live_calls.php", a.number),
            vec![(tenant("/apis/get_live_calls.php", b.number), NOT_FOUND)],
        ),
    ]
}
