
// Calls the functions of the document's TypeScript example and checks what they return.
function check(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

const listed = await listCalls({ status: 'completed', direction: 'inbound', limit: 10 });
check(listed.total === 1 && listed.calls[0].duration === 180, listed);
const all = await listCalls();
check(all.total === 2 && all.limit === 50, all);
const call = await getCallWithRecording('call_abc123');
check(call.hangup_cause === 'normal_clearing' && call.recording_url === null, call);
const over = await hangupCall('call_abc123');
check(over.code === 'CALL_NOT_ACTIVE', over);
const live = await hangupCall('call_live');
check(live.code === 'NOT_CONTROLLABLE', live);
console.log('the TypeScript example works');
