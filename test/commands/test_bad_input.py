# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a gateway sends, nothing but an answer comes of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from plexus_bridge import encoding
from plexus_bridge.commands.agents import Agents
from plexus_bridge.commands.agents import ProgramMessages
from plexus_bridge.commands.agents import StreamMessages
from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.programs import Programs
from plexus_bridge.commands.run import Run
from plexus_bridge.commands.streams import Streams
from plexus_bridge.counters import Counters
from plexus_bridge.errors import CommandError
from plexus_bridge.protocol.messages import decode

KINDS = ('command_run', 'command_status_ack', 'typed_command', 'start_stream', 'stop_stream',
         'start_session', 'stop_session', 'configure', 'execute', 'cancel', 'ping', 'other')
KEYS = ('run_id', 'command', 'params', 'ttl_ms', 'attempt', 'id', 'seq', 'metrics', 'interval_ms',
        'stream_id', 'session_id', 'session_name', 'sensor', 'config', 'timeout_seconds',
        'source_id')
WORDS = st.sampled_from(('go', 'r1', '*', '/imu', 'start_stream', 'execute', 'zone', 'speed',
                         'sample_rate', 'prefix', ''))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS
    | st.sampled_from((2**63, -2**63, 10**400, 1e308, 0, 1, 3)),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=8) | WORDS | st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=8)
MESSAGES = st.fixed_dictionaries(
    {'type': st.sampled_from(KINDS)}, optional=dict.fromkeys(KEYS, VALUES | WORDS))


class Straight:
    """Ends every run at once with its parameters as the result."""

    def start(self, run: Run) -> None:
        run.running()
        run.succeed(dict(run.params))


def refuse(_node: str, _config: Any, _done: Any) -> None:
    raise CommandError('bad_params', 'no such sensor')


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, min_size=1, max_size=8))
def test_nothing_but_answers_comes_of_any_message(messages):
    dispatcher = Dispatcher(Counters())
    params = {'zone': {'type': 'integer', 'required': False, 'minimum': 0, 'maximum': 9},
              'speed': {'type': 'number', 'required': False},
              'on': {'type': 'boolean', 'required': False},
              'text': {'type': 'string', 'maxLength': 5, 'required': False}}
    dispatcher.add(declare('go', params, concurrency='accept'), Straight())
    agents = Agents()
    agents.add(StreamMessages(Streams(lambda _: None, lambda: {'/imu'}, refuse), dispatcher.send))
    agents.add(ProgramMessages(Programs(), dispatcher.send, dispatcher.cancel))
    dispatcher.agent = agents
    dispatcher.opened({'type': 'authenticated'}, 0.0)
    for now, message in enumerate(messages):
        dispatcher.receive(message, float(now))
        for answer in dispatcher.messages_to_send(float(now)):
            # What is said is JSON, bounded, and of a kind that gateways know.
            text = encoding.dumps(dict(answer))
            assert len(text) <= 65_536
            assert decode(text)['type'] in (
                'command_status', 'command_result', 'device_error', 'output', 'pong',
                'session_started', 'session_stopped')
