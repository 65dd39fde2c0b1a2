# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to agents, rebuilt field by field (protocol section 11.3)."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge import encoding
from plexus_bridge.errors import CommandError
from plexus_bridge.protocol.agent_messages import agent_message
from plexus_bridge.protocol.agent_messages import as_typed_command
from plexus_bridge.protocol.agent_messages import FIELDS


@pytest.mark.parametrize(('asked', 'message'), [
    ({'type': 'ping'}, {}),
    ({'type': 'cancel'}, {}),
    ({'type': 'start_stream'}, {'metrics': [], 'interval_ms': 100, 'id': 'new'}),
    ({'type': 'start_stream', 'metrics': ['a'], 'interval_ms': 20, 'store': True, 'id': 's'},
     {'metrics': ['a'], 'interval_ms': 20, 'store': True, 'id': 's'}),
    ({'type': 'stop_stream', 'id': None}, {'id': '*'}),
    ({'type': 'start_session', 'session_name': 'Glaze 4'},
     {'session_id': 'new', 'session_name': 'Glaze 4', 'metrics': [], 'interval_ms': 100}),
    ({'type': 'stop_session', 'session_id': 's'}, {'session_id': 's'}),
    ({'type': 'configure', 'sensor': 'MPU6050', 'config': {'sample_rate': 50}},
     {'sensor': 'MPU6050', 'config': {'sample_rate': 50}}),
    ({'type': 'execute', 'command': 'uname -a', 'timeout_seconds': 5},
     {'id': 'new', 'command': 'uname -a', 'timeout_seconds': 5}),
    ({'type': 'start_camera', 'camera_id': 'front', 'resolution': [640, 480]},
     {'camera_id': 'front', 'resolution': [640, 480]}),
    ({'type': 'stop_can', 'channel': '*'}, {'channel': '*'}),
    ({'type': 'mavlink_command', 'command': 'arm', 'force': False},
     {'command': 'arm', 'force': False})])
def test_messages_that_agents_know(asked: dict[str, Any], message: dict[str, Any]):
    assert agent_message('pi-1', asked, 'new') == {
        'type': asked['type'], 'source_id': 'pi-1', **message}


@pytest.mark.parametrize(('asked', 'text'), [
    ({}, 'start_stream'), ({'type': 'reboot'}, 'reboot'), ({'type': []}, 'expected one of'),
    ({'type': 'ping', 'x': 1}, 'no fields'), ({'type': 'stop_session'}, 'session_id: is missing'),
    ({'type': 'configure', 'sensor': 'a'}, 'config: is missing'),
    ({'type': 'configure', 'sensor': 'a', 'config': [1]}, 'config: expected an object'),
    ({'type': 'configure', 'sensor': 'a', 'config': {'x': float('nan')}}, 'config: expected'),
    ({'type': 'execute', 'command': ''}, 'command: expected'),
    ({'type': 'execute', 'command': 'a\x00b'}, 'command: expected'),
    ({'type': 'start_stream', 'interval_ms': -1}, 'interval_ms: expected'),
    ({'type': 'start_stream', 'interval_ms': float('inf')}, 'interval_ms: expected'),
    ({'type': 'start_stream', 'metrics': 'a'}, 'metrics: expected'),
    ({'type': 'start_stream', 'source_id': 'pi-2'}, "'source_id'"),
    ({'type': 'start_camera', 'camera_id': 'a', 'resolution': [1]}, 'resolution: expected')])
def test_what_no_agent_knows_is_refused(asked: dict[str, Any], text: str):
    with pytest.raises(CommandError, match=text) as error:
        agent_message('pi-1', asked, 'new')
    assert error.value.code == 'bad_params'


def test_the_later_form_is_a_command():
    message = agent_message('pi-1', {'type': 'stop_stream'}, 'new')
    assert as_typed_command(message) == ('stop_stream', {'source_id': 'pi-1', 'id': '*'})


@given(st.sampled_from(sorted(FIELDS)), st.dictionaries(
    st.sampled_from(sorted({name for fields in FIELDS.values() for name in fields})),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    | st.lists(st.integers() | st.text(), max_size=3)))
def test_whatever_is_asked_is_refused_or_can_be_sent(kind: str, asked: dict[str, Any]):
    with contextlib.suppress(CommandError):
        message = agent_message('pi-1', {**asked, 'type': kind}, 'new')
        assert encoding.loads(encoding.dumps(message)) == message
