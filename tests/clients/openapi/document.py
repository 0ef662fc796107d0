"""Compares the running program with its own /openapi.json: keys, statuses, media types, and every body that it answers.

A body is checked strictly: a property that the document does not name is a difference too.
"""

import http.server
import json
import os
import pathlib
import threading
import urllib.parse

import jsonschema
import referencing
import requests

BASE = os.environ["BASE"]
KEY = os.environ["PEGCOUNT_KEY"]
KEY_ID, SECRET = KEY[:20], KEY[21:]
GOLDEN = pathlib.Path(os.environ["ROOT"]) / "crates/server/src/dialects"

DOCUMENT = requests.get(f"{BASE}/openapi.json", timeout=30).json()
METHODS = ("get", "post", "put", "patch", "delete")
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}

# How a scheme of the document shows the key.
SCHEMES = {
    "api_key": {"x-api-key": KEY},
    "bearer": {"authorization": f"Bearer {KEY}"},
    "basic": {"authorization": requests.auth._basic_auth_str(KEY_ID, SECRET)},
    "organization_key": {"X-API-KEY": KEY_ID},
    "organization_secret": {"X-API-SECRET": SECRET},
}

# What cannot succeed here, and why.
NEVER_SUCCEEDS = {
    "download_recording": "no call of this test has a recording of our own",
    "get_sip_trace": "the gateway is off",
    "place_call": "the gateway is off",
    "get_job": "no job waits",
    "retry_job": "no job waits",
    "forget_job": "no job waits",
}


def strict(document):
    """The document in which every object has only the properties that it names."""
    document = json.loads(json.dumps(document))
    parts = set()

    def collect(value):
        if isinstance(value, dict):
            for part in value.get("allOf", []):
                parts.add(part.get("$ref") or id(part))
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)

    def close(value, name=None):
        if isinstance(value, dict):
            is_object = "properties" in value or "allOf" in value
            is_part = id(value) in parts or f"#/components/schemas/{name}" in parts
            if is_object and not is_part and "additionalProperties" not in value:
                value["unevaluatedProperties"] = False
            for inner in value.values():
                close(inner)
        elif isinstance(value, list):
            for inner in value:
                close(inner)

    collect(document)
    for name, schema in document["components"]["schemas"].items():
        close(schema, name)
    return document


STRICT = strict(DOCUMENT)
RESOURCE = referencing.Resource(contents=STRICT, specification=referencing.jsonschema.DRAFT202012)
REGISTRY = referencing.Registry().with_resource("urn:document", RESOURCE)
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER
for name, bits in (("int64", 63), ("int32", 31)):
    FORMATS.checks(name)(lambda value, bits=bits: not isinstance(value, int) or -(2**bits) <= value < 2**bits)


def validate(what, schema, value):
    """The value must be what the schema says."""
    pointed = json.loads(json.dumps(schema).replace('"#/components/', '"urn:document#/components/'))
    validator = jsonschema.Draft202012Validator(pointed, registry=REGISTRY, format_checker=FORMATS)
    for error in validator.iter_errors(value):
        raise AssertionError(f"{what}: {error.json_path}: {error.message[:400]}")


def shown(operation):
    """The headers of the first documented way to show a key."""
    ways = operation["security"]
    return {name: value for scheme in (ways[0] if ways else {}) for name, value in SCHEMES[scheme].items()}


SUCCEEDED = set()


def compare(name, response):
    """An answer must be one that the document has."""
    _, path, operation = OPERATIONS[name]
    what = f"{name}: {response.status_code} {response.text[:300]}"
    documented = operation["responses"].get(str(response.status_code))
    assert documented is not None, f"{what}: the document has no such status"
    content = documented.get("content", {})
    media_type = response.headers.get("content-type", "").split(";")[0]
    if not content:
        assert not response.content, f"{what}: the document has no body"
    else:
        assert media_type in content, f"{what}: the document has no {media_type}"
        if media_type == "application/json":
            validate(what, content[media_type]["schema"], response.json())
    for header, described in documented.get("headers", {}).items():
        assert header in response.headers, f"{what}: no {header}"
    if response.ok:
        SUCCEEDED.add(name)


def ask(name, status, query=None, headers=None, keys=None, url=None, **rest):
    """Sends a request to an operation; its answer must have this status and be documented."""
    method, path, operation = OPERATIONS[name]
    for placeholder, value in rest.pop("path", {}).items():
        path = path.replace("{" + placeholder + "}", urllib.parse.quote(value, safe=""))
    sent = {**(shown(operation) if keys is None else keys), **(headers or {})}
    response = requests.request(
        method, url or BASE + path, params=query, headers=sent, timeout=30, allow_redirects=False, **rest
    )
    assert status is None or response.status_code == status, f"{name}: {response.status_code} {response.text[:400]}"
    compare(name, response)
    return response


class Controller(http.server.BaseHTTPRequestHandler):
    """Takes every order to hang up."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def events(call, *told):
    return [
        {"call_id": call, "event_type": kind, "created_at": f"2025-02-01T10:00:{second:02}Z", "event_data": data}
        for second, kind, data in told
    ]


def tell_calls():
    """A call of which everything is known, one of which nothing is, and one that is live."""
    setup = {
        "direction": "inbound", "from_number": "+14155551234", "to_number": "+2348012345678",
        "endpoint_id": "ep_checked", "phone_number_id": "pn_checked", "caller_name": "Ada", "task_id": 7, "context": {"a": [1]},
        "metadata": {"batch_call_id": "batch-001", "vip": True}, "telephony": {"call_sid": "CA1"},
    }
    words = [{"word": "Hello", "start_ms": 0, "end_ms": 400}]
    told = events(
        "call_full",
        (0, "call_initiated", setup),
        (1, "call_ringing", {}),
        (2, "call_answered", {}),
        (3, "sip_media_established", {"codec": "opus", "latency_ms": 120}),
        (4, "transcript_turn", {"role": "agent", "content": "Hello", "start_ms": 0, "end_ms": 400, "words": words}),
        (5, "tool_invoked", {"tool_call_id": "t1", "name": "track", "arguments": {"id": 7}}),
        (6, "tool_result", {"tool_call_id": "t1", "result": "on the road", "duration_ms": 12}),
        (7, "stage_latency", {"stage": "llm", "latency_ms": 210.5, "provider": "p"}),
        (8, "latency_summary", {"stage": "tts", "min": 1, "max": 9.5, "num": 3, "values": [1, 2, 9.5]}),
        (9, "media_quality", {"leg": "agent", "packet_loss": 0.01, "audio_codec": "opus", "sample_rate_hz": 48000}),
        (10, "call_held", {}),
        (11, "call_resumed", {}),
        (20, "call_completed", {"hangup_cause": "user_hangup"}),
        (21, "cost_item", {"product": "inbound_call", "unit": "minute", "unit_price": "0.02", "quantity": "0.3"}),
        (22, "analysis_ready", {"call_successful": True, "call_summary": "fine", "user_sentiment": "positive",
                                "in_voicemail": False, "custom": {"order": 7}}),
        (23, "recording_ready", {"url": "https://storage.example.com/call_full.mp3", "duration_seconds": 18}),
        (24, "metadata_set", {"metadata": {"vip": False}}),
    )
    told += events("call_bare", (30, "call_failed", {"endpoint_id": "ep_checked"}))
    told += events("call_gone", (31, "call_completed", {}))
    told += [{"call_id": "call_now", "event_type": kind} for kind in ("call_initiated", "call_answered")]
    receipt = ask("post_events", 200, json=told).json()
    assert receipt["rejected"] == [], receipt


def answers():
    """Every operation, once and more."""
    ask("create_endpoint", 201, json={"id": "ep_checked", "name": "Support Agent", "provider": "elevenlabs"})
    ask("create_endpoint", 409, json={"id": "ep_checked"})
    ask("create_phone_number", 201, json={"id": "pn_checked", "number": "+2348012345678", "endpoint_id": "ep_checked"})
    tell_calls()
    ask("post_events", 422, json=[{"call_id": "call_x", "event_type": "nonsense"}])
    ask("post_events", 400, data="{", headers={"content-type": "application/json"})
    ask("post_cdr", 400, json={"no": "record"})
    variables = {"uuid": "u-1", "direction": "inbound", "duration": "5", "billsec": "3", "hangup_cause": "NORMAL_CLEARING"}
    times = {"created_time": "1738400000000000", "answered_time": "1738400002000000", "hangup_time": "1738400005000000"}
    cdr = {"channel_data": {"direction": "inbound"}, "variables": variables, "callflow": [{"times": times}]}
    ask("post_cdr", 200, json=cdr, keys=SCHEMES["basic"])
    for query in ({}, {"limit": 1}, {"q": "hello"}, {"status": ["completed", "failed"]}, {"metadata.vip": "false"}):
        ask("list_calls", 200, query=query)
    ask("list_calls", 404, headers={"x-organization-id": "org_nobody"})
    cursor = ask("list_calls", 200, query={"limit": 1}).json()["next_cursor"]
    ask("list_calls", 200, query={"cursor": cursor})
    for call in ("call_full", "call_bare", "call_now"):
        ask("get_call", 200, path={"id": call})
        ask("call_events", 200, path={"id": call})
        ask("explain_call", 200, path={"id": call})
        ask("organization_get_call", 200, path={"callId": call})
    for name in ("get_call", "call_events", "explain_call", "get_recording", "erase_call", "hang_up", "get_hold",
                 "get_endpoint", "get_phone_number", "delete_endpoint", "delete_phone_number", "revoke_key", "get_job",
                 "retry_job", "forget_job", "get_erasure", "get_sip_trace"):
        ask(name, 404, path={"id": "nobody"})
    ask("organization_get_call", 404, path={"callId": "nobody"})
    ask("get_recording", 200, path={"id": "call_full"})
    ask("call_stats", 200)
    ask("call_trends", 200, query={"from_date": "2025-02-01", "to_date": "2025-02-02"})
    ask("get_statistics", 200, query={"interval": "day", "from_date": "2025-02-01", "to_date": "2025-02-02"})
    ask("get_statistics", 200, query={"with": "none"})
    ask("live_calls", 200)
    for thing in ("endpoints", "phone_numbers", "keys", "jobs", "audit"):
        ask(f"list_{thing}", 200)
    ask("get_endpoint", 200, path={"id": "ep_checked"})
    ask("change_endpoint", 200, path={"id": "ep_checked"}, json={"name": None, "metadata": {"a": 1}})
    ask("change_endpoint", 400, path={"id": "ep_checked"}, json={"nonsense": 1})
    ask("get_phone_number", 200, path={"id": "pn_checked"})
    ask("change_phone_number", 200, path={"id": "pn_checked"}, json={"endpoint_id": None})
    ask("change_phone_number", 400, path={"id": "pn_checked"}, json={"number": ""})
    ask("create_phone_number", 201, json={"id": "pn_other", "number": "+15550000001"})
    ask("change_phone_number", 409, path={"id": "pn_other"}, json={"number": "+2348012345678"})
    ask("delete_phone_number", 204, path={"id": "pn_checked"})
    made = ask("create_key", 201, json={"name": "reader", "scopes": ["calls:read"]}).json()
    ask("list_keys", 403, keys={"x-api-key": made["key"]})
    rotated = ask("rotate_key", 201, path={"id": made["key_id"]}, json={"grace_seconds": 0}).json()
    ask("list_keys", 200)
    ask("revoke_key", 204, path={"id": rotated["key_id"]})
    ask("set_hold", 200, path={"id": "call_full"}, json={"reason": "Case 17/2025"})
    ask("get_hold", 200, path={"id": "call_full"})
    ask("explain_call", 200, path={"id": "call_full"})
    ask("erase_call", 409, path={"id": "call_full"})
    ask("release_hold", 204, path={"id": "call_full"})
    ask("erase_call", 204, path={"id": "call_gone"})
    erasure = ask("create_erasure", 202, json={"phone_number": "+15550000000"}).json()
    ask("get_erasure", 200, path={"id": erasure["id"]})
    ask("place_call", None, json={"from_number": "+2348012345678", "to_number": "+14155551234"})
    ask("hang_up", 409, path={"id": "call_full"})
    controller = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Controller)
    threading.Thread(target=controller.serve_forever, daemon=True).start()
    ask("get_control_url", 404)
    ask("put_control_url", 200, json={"url": f"http://127.0.0.1:{controller.server_port}/"})
    ask("get_control_url", 200)
    ask("hang_up", 200, path={"id": "call_now"})
    ask("delete_control_url", 204)
    controller.shutdown()

    listed = ask("organization_list_calls", 200, query={"user_sentiment": "POSITIVE", "duration_ms_from": 0}).json()
    assert listed["data"]["calls"][0]["call_analysis"]["user_sentiment"] == "Positive", listed
    ask("organization_list_calls", 400, query={"limit": 101})
    ask("organization_search_calls", 200, json={"filter_criteria": {"call_status": ["ended"]}})
    ask("organization_search_calls", 400, data="[]", headers={"content-type": "application/json"})
    ask("organization_agent_performance", 200, query={"agent_id": "ep_checked"})
    ask("organization_agent_performance", 400)
    log = ask("organization_get_call", 200, path={"callId": "call_full"}).json()["data"]["public_log_url"]
    ask("get_call_log", 200, url=log)
    ask("get_call_log", 404, path={"organization": "1", "call": "none"}, query={"expires": 1, "signature": "x"})
    ask("download_recording", 404, path={"object": "none.mp3"}, query={"expires": 1, "signature": "x"})

    number = str(ask("get_endpoint", 200, path={"id": "ep_checked"}).json()["number"])
    assert len(ask("agent_call_stats", 200, path={"agent_id": number}).json()) == 2
    ask("agent_call_stats", 404, path={"agent_id": "4711"})
    ask("agent_call_stats", 422, path={"agent_id": "x"}, query={"limit": 0, "from_date": "never"})
    for name in ("get_cdr_stats", "get_live_calls"):
        ask(name, 200, data={"tenant_id": "1"})
        ask(name, 200, json={"tenant_id": "1"})
        ask(name, 200, query={"tenant_id": "1"})
        ask(name, 400)
        ask(name, 404, data={"tenant_id": "4711"})
    for name in ("get_health", "get_readiness", "get_metrics"):
        ask(name, 200)
    ask("delete_endpoint", 204, path={"id": "ep_checked"})
    # Lists that come later are compared too.
    for name, (method, path, _) in OPERATIONS.items():
        if method == "get" and "{" not in path:
            ask(name, None)


def keys_and_bodies():
    """What holds for every operation: how its key is shown, what it takes, and how it refuses."""
    for name, (method, path, operation) in OPERATIONS.items():
        ways = operation["security"]
        # Nothing may happen: what is sent is refused, or names nothing.
        missing = {part.split("}")[0]: "nobody" for part in path.split("{")[1:]}
        sent = {"path": missing, "query": {"nonsense": "1"}, "headers": {"prefer": "handling=strict"}}
        assert ask(name, 400, **sent).headers["preference-applied"] == "handling=strict", name
        if ways:
            ask(name, 401, path=missing, keys={})
        for way in ways:
            keys = {header: value for scheme in way for header, value in SCHEMES[scheme].items()}
            if method == "get" and not missing:
                ask(name, None, keys=keys)
        for parameter in operation.get("parameters", []):
            largest = parameter["schema"].get("maximum")
            if largest is not None and parameter["in"] == "query":
                refused = ask(name, None, path=missing, query={parameter["name"]: largest + 1})
                assert refused.status_code in (400, 422), f"{name}: {parameter['name']}={largest + 1} is taken"
        if "requestBody" in operation:
            odd = ask(name, None, path=missing, data=b"nonsense", headers={"content-type": "application/x-nonsense"})
            assert (odd.status_code == 415) == ("415" in operation["responses"]), f"{name}: {odd.status_code}"


def golden_answers():
    """The answers that the documents of the dialects show."""
    for file, name in {
        "v1/golden/list.json": "list_calls", "v1/golden/get.json": "get_call", "v1/golden/stats.json": "call_stats",
        "v1/golden/events.json": "call_events", "organization/golden/list.json": "organization_list_calls",
        "organization/golden/get.json": "organization_get_call", "agent/golden/call_stats.json": "agent_call_stats",
        "tenant/golden/cdr_stats.json": "get_cdr_stats", "tenant/golden/live_calls.json": "get_live_calls",
    }.items():
        content = OPERATIONS[name][2]["responses"]["200"]["content"]["application/json"]
        golden = json.loads((GOLDEN / file).read_text())
        validate(file, content["schema"], golden)
        assert content["example"] == golden, f"{name} shows another example than {file}"
    failure = json.loads((GOLDEN / "tenant/golden/failure.json").read_text())
    validate("failure.json", {"$ref": "#/components/schemas/ErrorBody"}, failure)


golden_answers()
answers()
keys_and_bodies()
left = OPERATIONS.keys() - SUCCEEDED - NEVER_SUCCEEDS.keys()
assert not left, f"no request of this test succeeds with {sorted(left)}: add one"
print(f"{len(OPERATIONS)} operations answer as the document says")
