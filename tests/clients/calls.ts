// List recent call
async function listCalls(options?: {
  status?: string;
  direction?: string;
  limit?: number;
}) {
  const params = new URLSearchParams();
  if (options?.status) params.set('status', options.status);
  if (options?.direction) params.set('direction', options.direction);
  if (options?.limit) params.set('limit', options.limit.toString());
  
  const response = await fetch(
    `https://api.krosai.com/v1/calls?${params}`,
    {
      headers: { 'x-api-key': process.env.KROSAI_API_KEY! },
    }
  );
  
  return response.json();
}

// Get call details with recording
async function getCallWithRecording(callId: string) {
  const response = await fetch(
    `https://api.krosai.com/v1/calls/${callId}`,
    {
      headers: { 'x-api-key': process.env.KROSAI_API_KEY! },
    }
  );
  
  const call = await response.json();
  
  if (call.recording_url) {
    console.log(`Recording available: ${call.recording_url}`);
  }
  
  return call;
}

// Hangup an active call
async function hangupCall(callId: string) {
  const response = await fetch(
    `https://api.krosai.com/v1/calls/${callId}/hangup`,
    {
      method: 'POST',
      headers: { 'x-api-key': process.env.KROSAI_API_KEY! },
    }
  );
  
  return response.json();
}
