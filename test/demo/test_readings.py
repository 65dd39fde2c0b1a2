# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
import socket

from plexus_bridge.demo.readings import GatewayReader


def test_a_gateway_that_does_not_answer_has_nothing_to_tell(tmp_path: Path) -> None:
    with socket.socket() as silent:
        silent.bind(('127.0.0.1', 0))
        port = silent.getsockname()[1]
        reader = GatewayReader(f'http://127.0.0.1:{port}', tmp_path / 'key', timeout_s=0.1)
        assert (reader.key, reader.points_stored(), reader.latest('x')) == ('', None, {})
        silent.listen()  # from here on it is connected to and does not answer
        assert reader.get('/v1/gateway') is None
    (tmp_path / 'key').write_text('plx_abc\n')
    assert reader.key == 'plx_abc'
