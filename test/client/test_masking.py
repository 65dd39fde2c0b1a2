# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of ours as another implementation reads them."""

from __future__ import annotations

import os
import socket

import pytest
import websocket
from websocket import ABNF

from plexus_bridge.client.masking import client_frame
from plexus_bridge.client.masking import masked


def read_back(frame: bytes) -> ABNF:
    """Return what websocket-client makes of a frame that came over a socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(frame))
        connection = websocket.WebSocket(skip_utf8_validation=True)
        connection.sock = theirs
        theirs.settimeout(5)
        ours.sendall(frame)
        ours.shutdown(socket.SHUT_WR)
        return connection.recv_frame()


@pytest.mark.parametrize('length', [0, 1, 2, 3, 4, 125, 126, 127, 65535, 65536, 70001])
def test_a_frame_of_any_length_is_read_back_by_another_implementation(length: int) -> None:
    payload = os.urandom(length)
    read = read_back(client_frame(ABNF.OPCODE_BINARY, payload))
    assert (read.fin, read.opcode, read.mask_value) == (1, ABNF.OPCODE_BINARY, 1)
    assert read.data == payload


def test_masking_is_the_exclusive_or_with_the_mask_over_and_over() -> None:
    parts = masked(b'\x00\x01\x02\x03\xff\x0f', b'\x0f\xf0\xaa\x55')
    assert b''.join(parts) == b'\x0f\xf1\xa8\x56\xf0\xff'


def test_each_frame_has_a_mask_of_its_own() -> None:
    frames = {client_frame(ABNF.OPCODE_TEXT, b'the same') for _ in range(20)}
    assert len(frames) == 20
