# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

from plexus_bridge.commands import output as module
from plexus_bridge.commands.output import BoundedOutput


def test_lines_that_come_too_fast_are_left_out_and_told_of(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, 'monotonic', lambda: now)
    sent: list[dict[str, Any]] = []
    bounded = BoundedOutput(lambda message: sent.append(dict(message)))
    line = {'type': 'output', 'id': 'x', 'event': 'data', 'data': 924 * 'y'}
    for _ in range(1000):
        bounded.take(line)
    assert len(sent) == 256
    now += 1.0
    bounded.take(line)
    assert sent[256] == {**line, 'data': '[744 lines left out: they came too fast]\n'}
    assert sent[257] == line
    for _ in range(100):
        bounded.take(line)
    assert len(sent) == 258 + 63
    bounded.take({'type': 'output', 'id': 'x', 'event': 'exit', 'code': 0})
    assert [message['event'] for message in sent[-2:]] == ['data', 'exit']
    assert '[37 lines left out' in sent[-2]['data']
    assert 'code' not in sent[-3]
