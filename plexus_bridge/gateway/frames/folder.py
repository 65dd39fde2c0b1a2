# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of the pictures: one folder for each source, the oldest deleted when it gets much."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
import re
import threading
from typing import NamedTuple
from urllib.parse import quote
from urllib.parse import unquote

from plexus_bridge.errors import RequestError
from plexus_bridge.errors import StoreError
from plexus_bridge.points import check_source_id

MAX_BYTES = 1024**3
# When it is too much, so much stays: deleting is not to go on with every picture.
KEPT = 0.9
MAX_CAMERA_BYTES = 200  # with what is escaped: a file's name has room for 255
MAX_LISTED = 1000
MAX_FOLDER_BYTES = 200

# A name holds whatever a camera is called in letters that no file system reads anything into.
_NAME = re.compile(r'([0-9]{1,16})_([A-Za-z0-9._~%-]{0,200})\.jpg')


class StoredFrame(NamedTuple):
    """One picture: its stamp is Unix ms, its size bytes."""

    name: str
    camera_id: str
    timestamp_ms: int
    size: int


class FrameFolder:
    """The pictures below one folder; used from any thread."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES):
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def keep(self, source_id: str, camera_id: str, timestamp_ms: int, jpeg: bytes) -> StoredFrame:
        """
        Write a picture; one of the same camera and time takes the other's place.

        RequestError 400 for a camera whose name is too long, StoreError if it cannot be written.
        """
        camera = quote(camera_id, safe='')
        if len(camera) > MAX_CAMERA_BYTES:
            raise RequestError(400, f'camera_id: expected at most {MAX_CAMERA_BYTES} bytes')
        name = f'{timestamp_ms}_{camera}.jpg'
        folder = self._of(source_id)
        with self._lock:
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._write(folder / name, jpeg)
                self._make_room(len(jpeg))
            except OSError as error:
                raise StoreError(f'{folder}: cannot be written: {error.strerror}') from None
        return StoredFrame(name, camera_id, timestamp_ms, len(jpeg))

    def newest(self, source_id: str) -> list[StoredFrame]:
        """Return what is kept of a source, the newest first."""
        frames = []
        for path in self._of(source_id).glob('*.jpg'):
            found = _NAME.fullmatch(path.name)
            if found:
                frames.append((int(found[1]), path, unquote(found[2])))
        frames.sort(reverse=True)
        return [StoredFrame(path.name, camera, stamp, path.stat().st_size)
                for stamp, path, camera in frames[:MAX_LISTED] if path.exists()]

    def read(self, source_id: str, name: str) -> bytes | None:
        """Return a picture by its name, None if there is none."""
        if not _NAME.fullmatch(name):
            return None
        try:
            return (self._of(source_id) / name).read_bytes()
        except FileNotFoundError:
            return None

    def _of(self, source_id: str) -> Path:
        """Return the folder of a source; a slug may be longer than the name of a file."""
        slug = check_source_id(source_id)
        if len(slug) > MAX_FOLDER_BYTES:
            # With a "~", which no slug has.
            slug = f'{slug[:100]}~{hashlib.sha256(slug.encode()).hexdigest()}'
        return self._path / slug

    def _write(self, path: Path, jpeg: bytes) -> None:
        part = path.with_name('.part')
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, 'wb') as file:
                file.write(jpeg)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _make_room(self, added: int) -> None:
        if self._bytes is not None:
            self._bytes += added
            if self._bytes <= self._max_bytes:
                return
        files = sorted((path.stat().st_mtime_ns, path.stat().st_size, path)
                       for path in self._path.glob('*/*.jpg'))
        total = sum(size for _, size, _ in files)
        goal = total if total <= self._max_bytes else KEPT * self._max_bytes
        for _, size, path in files[:-1]:  # the picture that just came stays in any case
            if total <= goal:
                break
            path.unlink(missing_ok=True)
            total -= size
        self._bytes = total
