# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a camera's road does, told as metrics once in a while."""

from __future__ import annotations

from collections.abc import Iterator
import threading

Reading = tuple[str, float, str]


class CameraStatistics:
    """Frames, bytes, ages and CPU since the last report; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._frames = 0
        self._bytes = 0
        self._oldest_s = 0.0
        self._cpu_s = 0.0
        self._encoded = 0

    def encoded(self, cpu_s: float) -> None:
        """Count a picture and what it took of a thread's time."""
        with self._lock:
            self._encoded += 1
            self._cpu_s += cpu_s

    def sent(self, size: int, age_s: float) -> None:
        """Count a frame that has left so many seconds after it was received."""
        with self._lock:
            self._frames += 1
            self._bytes += size
            self._oldest_s = max(self._oldest_s, age_s)

    def report(self, seconds: float) -> Iterator[Reading]:
        """Yield (name, value, unit) of the last `seconds`, then begin anew; nothing if idle."""
        with self._lock:
            frames, size, oldest_s = self._frames, self._bytes, self._oldest_s
            encoded, cpu_s = self._encoded, self._cpu_s
            self._begin()
        if frames:
            yield 'rate', frames / seconds, 'Hz'
            yield 'bytes_per_s', size / seconds, 'By/s'
            yield 'age', oldest_s, 's'
        if encoded:
            yield 'encoding', cpu_s / encoded, 's'
