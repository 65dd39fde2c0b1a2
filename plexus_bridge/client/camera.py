# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras that FFmpeg reads: RTSP, HLS, files (VID-05)."""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import shutil
import subprocess
import tempfile
import threading
from typing import IO

from plexus_bridge.client.mjpeg import read_mjpeg_frames
from plexus_bridge.errors import CameraError
from plexus_bridge.errors import PlexusError
from plexus_bridge.protocol.backoff import Backoff

_END_S = 2.0
_ERROR_BYTES = 4096


class CameraStream(threading.Event):
    """
    Reads a camera on a thread of its own until `set` is called, or a file has ended.

    A stream that breaks off is opened again, with growing pauses. `hand_on` takes each JPEG.
    """

    def __init__(self, url: str, camera_id: str, fps: float, quality: int,
                 hand_on: Callable[[bytes], object], say: Callable[[str], None]):
        super().__init__()
        program = shutil.which('ffmpeg')
        if program is None:
            raise CameraError(
                'stream_camera needs the program ffmpeg, which is not on the PATH: '
                'apt install ffmpeg')
        self._command = ffmpeg_command(program, url, fps, quality)
        self._url = url
        self._camera_id = camera_id
        self._hand_on = hand_on
        self._say = say
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(
            target=self._run, name=f'plexus-camera-{camera_id}', daemon=True)
        self._thread.start()

    def set(self) -> None:
        """Stop: the program ends now, whatever it waits for."""
        super().set()
        with self._lock:
            process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.terminate()

    def join(self, timeout_s: float) -> None:
        """Wait for the end after `set`."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        backoff = Backoff()
        while not self.is_set():
            seen, reason = self._read()
            if self.is_set():
                break
            if not is_live(self._url) and seen:
                break  # the file has ended
            if seen:
                backoff.succeeded()
            delay = backoff.next_delay()
            self._say(f'camera {self._camera_id}: ffmpeg ended after {seen} pictures: '
                      f'{reason or "no reason given"}; next try in {delay:.0f} s')
            self.wait(delay)
        super().set()

    def _read(self) -> tuple[int, str]:
        """Run the program once; returns how many pictures came, and its last words."""
        seen = 0
        with tempfile.TemporaryFile() as errors:
            try:
                with self._lock:
                    if self.is_set():
                        return 0, ''
                    self._process = subprocess.Popen(
                        self._command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=errors)
                assert self._process.stdout is not None
                for jpeg in read_mjpeg_frames(self._process.stdout):
                    if self.is_set():
                        break
                    seen += 1
                    self._hand_on(jpeg)
            except (OSError, PlexusError) as error:
                return seen, str(error)
            finally:
                self._end_process()
            return seen, self._last_line(errors)

    def _end_process(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _last_line(self, errors: IO[bytes]) -> str:
        size = errors.seek(0, 2)
        errors.seek(max(0, size - _ERROR_BYTES))
        lines = errors.read().decode(errors='replace').strip().splitlines()
        # An address may have a password in it.
        return lines[-1].replace(self._url, 'the camera') if lines else ''


def is_live(url: str) -> bool:
    """Tell whether a source comes by the network, and is worth waiting for when it breaks off."""
    return '://' in url and not url.startswith('file://')


def ffmpeg_command(program: str, url: str, fps: float, quality: int) -> list[str]:
    """Return the command that writes a source's pictures as JPEGs to its output."""
    command = [program, '-nostdin', '-hide_banner', '-loglevel', 'error']
    if url.startswith(('rtsp://', 'rtsps://')):
        # Over UDP a lost packet spoils pictures until the next whole one.
        command += ['-rtsp_transport', 'tcp']
    # A file is read at the speed at which it was taken, a camera without a queue in between.
    command += ['-fflags', 'nobuffer'] if is_live(url) else ['-re']
    return [*command, '-i', url, '-an', '-vf', f'fps={fps:g}', '-c:v', 'mjpeg',
            '-q:v', str(quantiser(quality)), '-f', 'image2pipe', 'pipe:1']


def quantiser(quality: int) -> int:
    """Return FFmpeg's measure, 2 (best) to 31, for a quality of 1 to 100."""
    return round(2 + (100 - quality) * 29 / 99)
