"""Calls the program through the client that openapi-python-client makes of /openapi.json."""

import os

from pegcount_client import AuthenticatedClient, Client
from pegcount_client.api.agent import agent_call_stats
from pegcount_client.api.calls import get_call, list_calls
from pegcount_client.api.organization import organization_get_call
from pegcount_client.api.tenant import get_live_calls
from pegcount_client.models import FailureBody, OrganizationCallStatus, Question, StatusWord

base, key = os.environ["BASE"], os.environ["PEGCOUNT_KEY"]
native = AuthenticatedClient(base_url=base, token=key, prefix="", auth_header_name="x-api-key")

listed = list_calls.sync(client=native, status=[StatusWord.COMPLETED, StatusWord.FAILED], limit=10)
assert listed.total >= 1 and listed.limit == 10, listed
call = next(call for call in listed.calls if call.id == "call_abc123")
assert call.status is StatusWord.COMPLETED and call.duration == 180, call
assert call.created_at.year == 2025 and call.created_at.tzinfo is not None, call.created_at

found = get_call.sync(client=native, id="call_abc123")
assert found.endpoint.id == "ep_xyz789" and found.completed_at > found.answered_at, found
missing = get_call.sync(client=native, id="call_nobody")
assert isinstance(missing, FailureBody) and missing.code == "CALL_NOT_FOUND", missing

pair = Client(base_url=base, headers={"X-API-KEY": key[:20], "X-API-SECRET": key[21:]})
found = organization_get_call.sync(client=pair, call_id="call_abc123").data
assert found.call_status is OrganizationCallStatus.ENDED and found.call_cost.product_costs == [], found

assert get_live_calls.sync(client=native, body=Question(tenant_id="1")).tenant_id == "1"
stats = agent_call_stats.sync(client=native, agent_id=1)
assert [one.call_status.value for one in stats if one.call_duration == 180.0] == ["ANSWERED"], stats
print("the generated Python client works")
