# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A device with commands, played by the test: it answers what and when the test wants."""

from __future__ import annotations

from typing import Any

TARE: dict[str, Any] = {
    'name': 'tare', 'params': {'cell': {'type': 'integer', 'minimum': 1, 'maximum': 4,
                                        'required': True}},
    'danger': 'normal', 'idempotent': True, 'expires_in_s': 30.0, 'concurrency': 'accept'}
DECLARATIONS: list[dict[str, Any]] = [
    TARE,
    {**TARE, 'name': 'once', 'params': {}, 'idempotent': False},
    {**TARE, 'name': 'heat', 'params': {}, 'danger': 'dangerous'},
    {**TARE, 'name': 'reset', 'params': {}, 'danger': 'critical'},
    {**TARE, 'name': 'drive', 'idempotent': False, 'params': {
        'linear_x': {'type': 'number', 'minimum': -1, 'maximum': 1, 'required': True},
        'lease': {'type': 'string', 'required': False},
        'operator': {'type': 'string', 'maxLength': 64, 'required': False}}},
    {**TARE, 'name': 'release', 'params': {'lease': {'type': 'string', 'required': False}}},
]
HELLO: dict[str, Any] = {'protocol': 1, 'commands': DECLARATIONS}


def status(robot: Any, run: dict[str, Any], seq: int, state: str, **more: object) -> None:
    """Send a status of a run as a device does."""
    robot.send({'type': 'command_status', 'run_id': run['run_id'], 'seq': seq, 'state': state,
                **more})


def finish(robot: Any, run: dict[str, Any], **result: object) -> None:
    """Run something to its end and hear every status acknowledged."""
    status(robot, run, 1, 'acknowledged')
    status(robot, run, 2, 'running')
    status(robot, run, 3, 'succeeded', result=result)
    for _ in range(3):
        ack = robot.receive()
        assert (ack['type'], ack['run_id']) == ('command_status_ack', run['run_id'])
