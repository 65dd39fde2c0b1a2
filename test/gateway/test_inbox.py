# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of what devices send beside points: pictures, errors, sessions, old forms."""

from __future__ import annotations

import base64
from collections.abc import Callable
import json
from typing import Any

import pytest
import websocket

from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.limits import Ceilings
from plexus_bridge.gateway.limits import Limits

NOW_MS = 1_790_000_000_000
JPEG = bytes.fromhex('FFD8FFE000000000FFD9')
BINARY = bytes.fromhex(
    '01 05 7269672E31 05 66726F6E74 00000000 00000000 0000018BCFE56800') + JPEG
VIDEO = '/v1/sources/kiln-7/video/stream?camera_id=front'


def frames(viewer: Any) -> Any:
    """Return the next picture that a viewer is shown."""
    while (message := viewer.receive())['type'] != 'video_frame':
        assert message['type'] == 'init'
    return message


class TestPictures:

    def test_both_forms_reach_a_viewer_alike(
            self, device: Callable[..., Any], stream: Callable[..., Any]):
        viewer = stream(VIDEO)
        assert viewer.receive()['type'] == 'init'
        kiln = device('kiln-7')
        kiln.socket.send_binary(BINARY)
        shown = frames(viewer)
        assert (shown['source_id'], shown['camera_id'], shown['timestamp']) == (
            'kiln-7', 'front', 1_700_000_000_000)
        assert base64.b64decode(shown['frame']) == JPEG
        thermal = {'video_type': 'thermal', 'sensor_width': 2, 'sensor_height': 1,
                   'temp_min': 20.5, 'temp_max': 30.25, 'temps': [20.5, 30.25]}
        kiln.send({'type': 'video_frame', 'camera_id': 'front', 'width': 160, 'height': 80,
                   'frame': base64.b64encode(JPEG).decode(), **thermal})
        shown = frames(viewer)
        assert {name: shown[name] for name in thermal} == thermal
        assert shown['timestamp'] > NOW_MS, 'a picture without a stamp is stamped as it comes'

    def test_a_camera_runs_while_somebody_looks(
            self, device: Callable[..., Any], stream: Callable[..., Any],
            monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr('plexus_bridge.gateway.cameras.STOP_DELAY_S', 0.05)
        kiln = device('kiln-7', cameras=[{'camera_id': 'front'}, {'camera_id': 'rear'}, 7])
        about = {'source_id': 'kiln-7', 'camera_id': 'front'}
        stopped, started = {'type': 'stop_camera', **about}, {'type': 'start_camera', **about}
        assert [kiln.receive() for _ in range(2)] == [stopped, {**stopped, 'camera_id': 'rear'}]
        first, second = stream(VIDEO), stream(VIDEO)
        assert kiln.receive() == started
        first.close()
        kiln.telemetry(1, ('t', 1, NOW_MS))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': 1}
        second.close()
        assert kiln.receive() == stopped

    def test_a_device_that_comes_back_hears_what_is_looked_at(
            self, device: Callable[..., Any], stream: Callable[..., Any]):
        viewer = stream(VIDEO)
        assert viewer.receive()['type'] == 'init'
        assert device('kiln-7').receive() == {
            'type': 'start_camera', 'source_id': 'kiln-7', 'camera_id': 'front'}

    def test_pictures_share_the_budget_of_messages_and_are_lost_in_silence(
            self, client: Any, gateway: Gateway, device: Callable[..., Any]):
        gateway.ceilings = Ceilings(Limits(messages_per_s=0.001, message_burst=2,
                                           source_messages_per_s=None, apply_here=True))
        kiln = device('kiln-7')
        for _ in range(3):
            kiln.socket.send_binary(BINARY)
        kiln.telemetry(1, ('t', 1, NOW_MS))
        assert kiln.receive()['code'] == 'RATE_LIMITED'
        assert client.get('/v1/gateway')['dropped']['video_rate_limited'] == 1


class TestAgents:

    def test_an_error_of_an_agent_is_an_event(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        pi = device('pi-1', acks=False)
        pi.send({'type': 'device_error', 'source_id': 'pi-1', 'source': 'sensor.BME280',
                 'error': 'I2C bus error ' + 'x' * 300, 'severity': 'warning',
                 'timestamp': NOW_MS / 1000})
        pi.send({'type': 'device_error', 'error': None, 'timestamp': 'soon', 'severity': 7})
        path = '/v1/sources/pi-1/events'
        wait_for(lambda: client.request('GET', path).status_code == 200
                 and len(client.get(path, tail=5)) == 2, 'both are kept')
        first, second = client.get(path, tail=5)
        assert (first['metric'], first['timestamp_ms'], first['tags']) == (
            'device.error', NOW_MS, {'error_source': 'sensor.BME280', 'severity': 'warn'})
        assert len(first['value'].encode()) == 256
        assert (second['value'], second['tags']) == ('unknown', {})

    def test_a_recording_is_a_session_and_a_tag(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        pi = device('pi-1', acks=False)
        pi.send({'type': 'session_started', 'session_id': 's1', 'session_name': 'Glaze 4'})
        pi.send({'type': 'telemetry', 'session_id': 's1', 'points': [
            {'metric': 'temperature', 'value': 812.4, 'timestamp': NOW_MS}]})
        pi.send({'type': 'session_stopped', 'session_id': 's1', 'session_name': 'Glaze 4'})
        wait_for(lambda: [each['status'] for each in client.get('/api/sessions')['sessions']]
                 == ['completed'], 'the session is kept')
        [session] = client.get('/api/sessions')['sessions']
        assert (session['session_id'], session['name'], session['source_id']) == (
            's1', 'Glaze 4', 'pi-1')

    def test_the_envelope_of_later_agents(
            self, client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
        pi = device('pi-1', acks=False)
        pi.send({'type': 'telemetry', 'v': 1, 'trace_id': 'abc', 'source_id': 'pi-1',
                 'ingested_at': NOW_MS, 'points': [
                     {'class': 'metric', 'metric': 't', 'value': 1, 'timestamp': NOW_MS}]})
        wait_for(lambda: client.request('GET', '/v1/sources/pi-1/metrics').text == '["t"]',
                 'it is stored')

    @pytest.mark.parametrize('path', ['/ws/device', '/party/org_1'])
    def test_the_oldest_agents_come_with_headers_and_a_handshake(
            self, client: Any, path: str, wait_for: Callable[..., None]):
        socket = websocket.create_connection(
            f'ws://127.0.0.1:{client.port}{path}', timeout=20, header={
                'x-api-key': client.key, 'x-device-id': 'pi-0', 'x-platform': 'Linux'})
        socket.send(json.dumps({'type': 'handshake'}))
        answer = json.loads(socket.recv())
        assert (answer['type'], answer['source_id']) == ('authenticated', 'pi-0')
        assert client.get('/v1/sources/pi-0')['online']
        socket.shutdown()

    def test_where_the_socket_is_can_be_asked(self, client: Any):
        answer = client.request('GET', '/api/config', headers={'x-api-key': ''})
        assert answer.json() == {'ws_url': f'ws://127.0.0.1:{client.port}'}
