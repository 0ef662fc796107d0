"""Calls the functions of the document's Python example and checks what they return."""

import calls

listed = calls.list_calls(status="completed", direction="inbound", limit=10)
assert listed["total"] == 1 and listed["limit"] == 10, listed
assert listed["calls"][0]["id"] == "call_abc123", listed
assert calls.list_calls()["total"] == 2
call = calls.get_call("call_abc123")
assert call["duration"] == 180 and call["endpoint"]["id"] == "ep_xyz789", call
events = calls.get_call_events("call_abc123")["events"]
assert [event["id"] for event in events] == ["evt_001", "evt_003", "evt_005"], events
calls.download_recording("call_abc123", "/dev/null")
assert calls.get_call("call_nobody")["code"] == "CALL_NOT_FOUND"
print("the Python example works")
