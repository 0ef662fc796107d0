"""What Schemathesis cannot read in the schemas of /openapi.json: which ids there are, and which values go together."""

import http.server
import io
import itertools
import json
import os
import threading
import time
import urllib.parse
import wave
import zoneinfo

import requests
import schemathesis
from hypothesis import strategies
from schemathesis.core import NOT_SET
from schemathesis.core.parameters import ParameterLocation

BASE = os.environ["BASE"]
KEY = os.environ["PEGCOUNT_KEY"]
KEY_ID, SECRET = KEY[:20], KEY[21:]
SESSION = requests.Session()
SESSION.headers["x-api-key"] = KEY
numbers = itertools.count(1)

schemathesis.openapi.format("iana-time-zone", strategies.sampled_from(sorted(zoneinfo.available_timezones())))


@schemathesis.deserializer("audio/mpeg", "audio/wav")
def audio(_, response):
    """The document says of audio only that it is binary."""
    return response.content.decode("latin-1")


def send(method, path, status, **rest):
    response = SESSION.request(method, BASE + path, timeout=30, **rest)
    assert response.status_code == status, f"{method} {path}: {response.status_code} {response.text}"
    return response.json() if response.content else None


class Outside(http.server.BaseHTTPRequestHandler):
    """Takes every order to hang up, and has a recording."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        sound = io.BytesIO()
        with wave.open(sound, "wb") as written:
            written.setparams((1, 2, 8000, 0, "NONE", ""))
            written.writeframes(bytes(16000))
        found = self.path == "/sound.wav"
        self.send_response(200 if found else 503)
        self.send_header("content-type", "audio/wav")
        self.end_headers()
        if found:
            self.wfile.write(sound.getvalue())

    def log_message(self, *_):
        pass


OUTSIDE = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Outside)
threading.Thread(target=OUTSIDE.serve_forever, daemon=True).start()
OUTSIDE_URL = f"http://127.0.0.1:{OUTSIDE.server_port}"


# Each of these makes something that an operation may change or delete, and gives its id.


def tell(call, *events):
    told = [{"call_id": call, "event_type": kind, "event_data": data} for kind, data in events]
    assert send("POST", "/v1/events", 200, json=told)["rejected"] == []
    return call


def ended_call():
    return tell(
        f"call_{next(numbers)}",
        ("call_initiated", {"endpoint_id": "ep_xyz789", "phone_number_id": "pn_123", "metadata": {"KEY": "value"}}),
        ("call_answered", {}),
        ("transcript_turn", {"role": "agent", "content": "Hello"}),
        ("cost_item", {"product": "inbound_call", "unit": "minute", "unit_price": "0.02", "quantity": "0.3"}),
        ("recording_ready", {"url": "https://storage.example.com/call.mp3", "duration_seconds": 18}),
        ("call_completed", {}),
    )


def live_call():
    send("PUT", "/v1/control-url", 200, json={"url": OUTSIDE_URL})
    return tell(f"call_{next(numbers)}", ("call_answered", {}))


def held_call():
    call = ended_call()
    send("PUT", f"/v1/calls/{call}/hold", 200, json={"reason": "Case 17/2025"})
    return call


def placed_call():
    order = {"from_number": "+2348012345678", "to_number": "+14155551234"}
    return send("POST", "/v1/outbound-calls", 201, json=order)["id"]


def endpoint():
    return send("POST", "/v1/endpoints", 201, json={})["id"]


def phone_number():
    return send("POST", "/v1/phone-numbers", 201, json={})["id"]


def key():
    return send("POST", "/v1/keys", 201, json={})["key_id"]


def job():
    """Fetches a recording that is not there at the moment, again and again."""
    tell(f"call_{next(numbers)}", ("recording_ready", {"url": f"{OUTSIDE_URL}/absent"}), ("call_completed", {}))
    return send("GET", "/v1/jobs?kind=recording_fetch&limit=1", 200)["jobs"][0]["id"]


def erasure():
    return send("POST", "/v1/erasures", 202, json={"phone_number": "+15550000000"})["id"]


MAKE = {
    "agent_call_stats": lambda: 123,
    "call_events": ended_call,
    "change_endpoint": endpoint,
    "change_phone_number": phone_number,
    "delete_endpoint": endpoint,
    "delete_phone_number": phone_number,
    "erase_call": ended_call,
    "explain_call": ended_call,
    "forget_job": job,
    "get_call": ended_call,
    "get_endpoint": endpoint,
    "get_erasure": erasure,
    "get_hold": held_call,
    "get_job": job,
    "get_phone_number": phone_number,
    "get_recording": ended_call,
    "get_sip_trace": placed_call,
    "hang_up": live_call,
    "organization_get_call": ended_call,
    "release_hold": held_call,
    "retry_job": job,
    "revoke_key": key,
    "rotate_key": key,
    "set_hold": ended_call,
}


def wait(what, answer):
    for _ in range(600):
        found = answer()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} is not there after 30 s")


def link(url):
    """The parts of a signed link, as the parameters of the operation that it leads to."""
    parsed = urllib.parse.urlsplit(url)
    return parsed.path.split("/")[2:], dict(urllib.parse.parse_qsl(parsed.query))


def own_recording():
    found = send("GET", "/v1/calls/call_recorded/recording", 200)["recording_url"]
    return found if "/recordings/" in found else None


sip_uri = "sip:agent@127.0.0.1:9"
send("POST", "/v1/endpoints", 201, json={"id": "ep_xyz789", "number": 123, "sip_uri": sip_uri})
line = {"id": "pn_123", "number": "+2348012345678", "endpoint_id": "ep_xyz789"}
send("POST", "/v1/phone-numbers", 201, json=line)
for _ in range(3):
    ended_call()
    job()
tell("call_recorded", ("recording_ready", {"url": f"{OUTSIDE_URL}/sound.wav"}), ("call_completed", {}))
RECORDING = link(wait("a recording that was fetched", own_recording))
PAIR = {"x-api-key": KEY_ID, "x-api-secret": SECRET}
LOG = link(send("GET", "/api/calls/call_recorded", 200, headers=PAIR)["data"]["public_log_url"])
LINKS = {"download_recording": (["object"], *RECORDING), "get_call_log": (["organization", "call"], *LOG)}
CURSORS = {
    name: send("GET", f"{path}?limit=1", 200)["next_cursor"]
    for name, path in {"list_calls": "/v1/calls", "list_jobs": "/v1/jobs", "list_audit": "/v1/audit"}.items()
}
RECORD = {
    "variables": {"uuid": "u-1", "direction": "inbound", "hangup_cause": "NORMAL_CLEARING"},
    "callflow": [{"times": {"created_time": "1738400000000000", "hangup_time": "1738400005000000"}}],
}


def mend_query(name, query):
    """Values that are right alone and wrong together."""
    if query.get("cursor"):
        query["cursor"] = CURSORS[name]
        for other in ("offset", "page", "sort"):
            query.pop(other, None)
    if query.get("sort") == "relevance" and not query.get("q"):
        query["q"] = "hello"
    if query.get("interval") or name == "call_trends":
        query.update(from_date="2025-02-01", to_date="2025-02-03")
    elif query.get("from_date") and query.get("to_date"):
        del query["to_date"]
    for name in ("start_timestamp", "end_timestamp", "duration_ms"):
        if f"{name}_from" in query and f"{name}_to" in query:
            del query[f"{name}_to"]
    return query


# What events of these types cannot be without.
NEEDED = {
    "transcript_turn": {"role": "agent", "content": "Hello"},
    "stage_latency": {"stage": "llm", "latency_ms": 210.5},
    "latency_summary": {"stage": "llm", "p50": 1.5},
    "cost_item": {"product": "inbound_call", "cost": "0.02"},
    "recording_ready": {"url": "https://storage.example.com/call.mp3"},
    "transcript_ready": {"text": "[Agent]: Hello"},
}


def mend_event(event):
    """An event lies between 1990 and tomorrow, and its id names one event of its call."""
    for name in ("created_at", "time"):
        if event.get(name) is not None:
            event[name] = "2025-02-01T10:00:00Z"
    for name in ("call_id", "subject"):
        if name in event:
            event[name] = f"call_{next(numbers)}"
    for kind, data in (("event_type", "event_data"), ("type", "data")):
        if event.get(kind) in NEEDED:
            event[data] = NEEDED[event[kind]]
    return event


def mend_body(name, body, media_type):
    if name == "post_events":
        if media_type == "application/x-ndjson":
            return json.dumps({"call_id": "call_lines", "event_type": "call_answered"})
        return [mend_event(event) for event in body] if isinstance(body, list) else mend_event(body)
    if name == "post_cdr":
        return {**body, **RECORD} if media_type == "application/json" else {"cdr": json.dumps(RECORD)}
    if name == "place_call":
        return {**body, "from_number": "+2348012345678", "endpoint_id": "ep_xyz789"}
    if name == "put_control_url":
        return {**body, "url": OUTSIDE_URL}
    if name == "organization_search_calls":
        for bounds in (body.get("filter_criteria") or {}).values():
            if isinstance(bounds, dict) and bounds.get("lower_threshold") is not None:
                bounds.pop("upper_threshold", None)
    if name in ("get_cdr_stats", "get_live_calls"):
        body = {field: value for field, value in body.items() if media_type == "application/json" or value is not None}
        body = {field: body[field] for field in ("tenant_id", "from_date", "tz") if field in body}
    return body


turns = itertools.count()


@schemathesis.hook
def before_call(context, case, _):
    name = context.operation.definition.raw["operationId"]
    if case.meta is None:
        return
    is_valid = {location: not case.meta.is_negative_at(location) for location in ParameterLocation}
    # A link of a stateful scenario leads to what was made before; now and then an id is left as unknown as it was generated.
    is_linked = case.meta.phase.name.value == "stateful"
    if is_valid[ParameterLocation.PATH] and not is_linked and next(turns) % 4:
        if name in MAKE:
            (parameter,) = case.path_parameters
            case.path_parameters = {parameter: MAKE[name]()}
        if name in LINKS and is_valid[ParameterLocation.QUERY]:
            parameters, parts, query = LINKS[name]
            case.path_parameters = dict(zip(parameters, parts, strict=True))
            case.query = query
    # This run needs its own key.
    if name in ("revoke_key", "rotate_key") and case.path_parameters.get("id") == KEY_ID:
        case.path_parameters = {"id": key()}
    if is_valid[ParameterLocation.QUERY] and case.query:
        case.query = mend_query(name, dict(case.query))
    if is_valid[ParameterLocation.BODY] and case.body is not NOT_SET:
        case.body = mend_body(name, case.body, case.media_type)
    if name in ("get_cdr_stats", "get_live_calls") and case.meta.generation.mode.is_positive:
        # Where the tenant is named is free, but it must be named.
        body = case.body if isinstance(case.body, dict) else {}
        if body.get("from_date"):
            case.query = {field: value for field, value in case.query.items() if field != "to_date"}
        if not body.get("tenant_id") and not case.query.get("tenant_id"):
            case.query = {**case.query, "tenant_id": "1"}
