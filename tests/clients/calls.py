import requests
import os

API_KEY = os.environ.get('KROSAI_API_KEY')
BASE_URL = 'https://api.krosai.com/v1'

def list_calls(status=None, direction=None, limit=50):
    params = {'limit': limit}
    if status:
        params['status'] = status
    if direction:
        params['direction'] = direction
    
    response = requests.get(
        f'{BASE_URL}/calls',
        headers={'x-api-key': API_KEY},
        params=params
    )
    return response.json()

def get_call(call_id):
    response = requests.get(
        f'{BASE_URL}/calls/{call_id}',
        headers={'x-api-key': API_KEY}
    )
    return response.json()

def get_call_events(call_id):
    response = requests.get(
        f'{BASE_URL}/calls/{call_id}/events',
        headers={'x-api-key': API_KEY}
    )
    return response.json()

def download_recording(call_id, output_path):
    call = get_call(call_id)
    if call.get('recording_url'):
        response = requests.get(call['recording_url'])
        with open(output_path, 'wb') as f:
            f.write(response.content)
        print(f'Recording saved to {output_path}')
