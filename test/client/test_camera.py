# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Reading cameras by a program that stands in for ffmpeg and does what the test says."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path
import sys
import time

import pytest

from plexus_bridge.client.camera import CameraStream
from plexus_bridge.client.camera import ffmpeg_command
from plexus_bridge.client.camera import quantiser
from plexus_bridge.errors import CameraError
from plexus_bridge.errors import PlexusError
from plexus_bridge.protocol import backoff

JPEG = b'\xff\xd8\xff\xda\x00\x02picture\xff\xd9'
Say = Callable[[str], None]


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Put a program `ffmpeg` on the path, with this as its text; it notes how it was called."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    monkeypatch.setenv('PATH', f'{folder}{os.pathsep}{os.environ["PATH"]}')
    # What breaks off is opened again at once.
    monkeypatch.setattr(backoff.Backoff, 'next_delay', lambda self, goodbye=False: 0.01)

    def write(text: str) -> Path:
        program = folder / 'ffmpeg'
        calls = tmp_path / 'calls'
        program.write_text(
            f'#!{sys.executable}\nimport sys, time\n'
            f'open({str(calls)!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")\n'
            f'def picture():\n    sys.stdout.buffer.write({JPEG!r})\n'
            f'    sys.stdout.flush()\n{text}\n')
        program.chmod(0o755)
        return calls

    return write


class Screen:
    """What came, and what was said."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.said: list[str] = []

    def stream(self, url: str) -> CameraStream:
        return CameraStream(url, 'front', 15, 85, self.pictures.append, self.said.append)


def test_a_file_is_read_to_its_end_and_then_the_event_is_set(ffmpeg):
    calls = ffmpeg('for _ in range(3): picture()')
    screen = Screen()
    stream = screen.stream('/data/run.mp4')
    assert stream.wait(10)
    stream.join(10)
    assert screen.pictures == [JPEG] * 3
    assert screen.said == []
    assert len(calls.read_text().splitlines()) == 1


def test_setting_the_event_ends_a_program_that_waits_for_ever(ffmpeg, wait_until):
    ffmpeg('picture()\ntime.sleep(600)')
    screen = Screen()
    stream = screen.stream('rtsp://camera/1')
    wait_until(lambda: screen.pictures, 'a picture comes')
    started = time.monotonic()
    stream.set()
    stream.join(10)
    assert time.monotonic() - started < 5
    assert stream._process is not None
    assert stream._process.poll() is not None


def test_a_camera_that_breaks_off_is_opened_again_and_its_password_is_not_told(
        ffmpeg, wait_until):
    calls = ffmpeg('picture()\nprint("cannot read", sys.argv[-12:], file=sys.stderr)\n'
                   'print("rtsp://me:secret@camera/1: gone", file=sys.stderr); sys.exit(1)')
    screen = Screen()
    stream = screen.stream('rtsp://me:secret@camera/1')
    wait_until(lambda: len(screen.pictures) >= 3, 'it comes back')
    stream.set()
    stream.join(10)
    assert len(calls.read_text().splitlines()) >= 3
    assert 'the camera: gone' in screen.said[0]
    assert 'secret' not in ''.join(screen.said)


def test_a_file_that_cannot_be_read_at_all_is_told(ffmpeg, wait_until):
    ffmpeg('print("No such file", file=sys.stderr); sys.exit(1)')
    screen = Screen()
    stream = screen.stream('/data/none.mp4')
    wait_until(lambda: screen.said, 'it is told')
    stream.set()
    stream.join(10)
    assert 'No such file' in screen.said[0]


def test_what_goes_wrong_with_a_picture_is_told_and_does_not_end_the_thread_silently(
        ffmpeg, wait_until):
    ffmpeg('picture()\ntime.sleep(600)')
    said: list[str] = []

    def refuse(jpeg: bytes) -> None:
        raise PlexusError('closed')

    stream = CameraStream('rtsp://camera/1', 'front', 15, 85, refuse, said.append)
    wait_until(lambda: said, 'it is told')
    stream.set()
    stream.join(10)
    assert 'closed' in said[0]


def test_a_missing_program_is_told_at_once(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(CameraError, match='apt install ffmpeg'):
        Screen().stream('rtsp://camera/1')


def test_the_command_suits_the_source():
    rtsp = ffmpeg_command('ffmpeg', 'rtsp://camera/1', 12.5, 85)
    assert rtsp[rtsp.index('-rtsp_transport') + 1] == 'tcp'
    assert rtsp[rtsp.index('-vf') + 1] == 'fps=12.5'
    assert '-re' not in rtsp
    assert '-re' in ffmpeg_command('ffmpeg', 'run.mp4', 15, 85)
    assert '-rtsp_transport' not in ffmpeg_command('ffmpeg', 'https://host/live.m3u8', 15, 85)


def test_quality_becomes_ffmpegs_measure():
    assert (quantiser(100), quantiser(85), quantiser(1)) == (2, 6, 31)
