# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import plexus
import pytest

from plexus_bridge.client import mjpeg
from plexus_bridge.client.mjpeg import read_mjpeg_frames
from plexus_bridge.video.jpeg import choose_encoder
from plexus_bridge.video.jpeg import Pixels


def picture(seed: int, side: int = 48) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return choose_encoder()(Pixels(noise, 'BGR'), 80)


PICTURES = [picture(seed) for seed in range(4)]
# A picture with a smaller one in its head, as cameras have them.
THUMBNAIL = PICTURES[3][:2] + b'\xff\xe1' + (len(PICTURES[0]) + 2).to_bytes(2, 'big') \
    + PICTURES[0] + PICTURES[3][2:]


@given(st.lists(st.sampled_from([*PICTURES, THUMBNAIL]), max_size=5), st.integers(1, 3000),
       st.binary(max_size=20))
def test_pictures_come_out_whole_however_the_stream_is_cut(pictures, chunk, garbage):
    garbage = garbage.replace(b'\xff', b'')
    stream = garbage + garbage.join(pictures)
    assert list(read_mjpeg_frames(io.BytesIO(stream), chunk)) == pictures


@given(st.binary(max_size=3000), st.integers(1, 500))
def test_no_stream_upsets_it_and_what_comes_out_has_both_marks(data, chunk):
    for frame in read_mjpeg_frames(io.BytesIO(data), chunk):
        assert frame.startswith(b'\xff\xd8')
        assert frame.endswith(b'\xff\xd9')


def test_what_breaks_off_at_the_end_is_not_yielded():
    stream = io.BytesIO(PICTURES[0] + PICTURES[1][:-1])
    assert list(read_mjpeg_frames(stream)) == [PICTURES[0]]


def test_plain_streams_are_cut_as_the_sdk_cuts_them():
    stream = b'junk' + b''.join(PICTURES) + PICTURES[0][:100]
    assert list(read_mjpeg_frames(io.BytesIO(stream), 1000)) == list(
        plexus.read_mjpeg_frames(io.BytesIO(stream), 1000))


def test_a_picture_without_an_end_takes_no_more_memory_than_a_large_one(monkeypatch):
    monkeypatch.setattr(mjpeg, 'MAX_PICTURE_BYTES', 10_000)
    endless = PICTURES[0][:-2] + bytes(200_000)
    assert list(read_mjpeg_frames(io.BytesIO(endless + PICTURES[1]), 4096)) == [PICTURES[1]]


@pytest.mark.parametrize('chunk', [1, 7, 65536])
def test_a_pipe_gives_a_picture_as_soon_as_it_is_whole(chunk):
    class Pipe:
        def __init__(self) -> None:
            self.data = io.BytesIO(PICTURES[0])

        def read(self, size: int) -> bytes:
            data = self.data.read(size)
            assert data, 'more was read than is needed for the picture'
            return data

    assert next(read_mjpeg_frames(Pipe(), chunk)) == PICTURES[0]
