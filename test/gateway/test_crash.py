# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A gateway process that is killed in mid-stream keeps whatever it acknowledged."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import Any

import pytest
import websocket

NOW_MS = 1_790_000_000_000
POINTS = 50


@pytest.mark.parametrize('attempt', range(6))
def test_what_was_acknowledged_survives_kill_9(running: Any, attempt: int):
    client = running.client()
    device = client.device('kiln-7')
    # Killed at another moment each time: after so many acknowledgements, amid frames under way.
    acks_before_the_kill = random.Random(attempt).randint(1, 60)
    sent = threading.Thread(target=_send_until_the_end, args=(device,))
    sent.start()
    acknowledged = _acknowledged_until_the_end(device, running.process, acks_before_the_kill)
    sent.join()
    device.close()
    client.close()
    assert running.process.wait(20) == -9

    running.start()
    with contextlib.closing(running.client()) as client:
        stored = client.samples('kiln-7', 't')
        rolled_up = client.get('/v1/sources/kiln-7/metrics/query', interval='1m',
                               start=NOW_MS - 60_000, end=NOW_MS + 1_000_000)
    assert acknowledged > 0
    assert stored[:acknowledged * POINTS] == [
        (NOW_MS + index, index) for index in range(acknowledged * POINTS)]
    assert sum(rolled_up['series']['t']['count']) == len(stored)
    assert len(stored) % POINTS == 0, 'a frame is stored whole or not at all'


def _send_until_the_end(device: Any) -> None:
    for seq in range(1, 100_000):
        first = (seq - 1) * POINTS
        try:
            device.telemetry(seq, *(
                ('t', index, NOW_MS + index) for index in range(first, first + POINTS)))
        except (OSError, websocket.WebSocketException):
            return


def _acknowledged_until_the_end(device: Any, process: Any, acks_before_the_kill: int) -> int:
    acknowledged, answers = 0, 0
    while True:
        try:
            acknowledged = device.receive()['seq']
        except (OSError, websocket.WebSocketException):
            return acknowledged
        answers += 1
        if answers == acks_before_the_kill:
            process.kill()
