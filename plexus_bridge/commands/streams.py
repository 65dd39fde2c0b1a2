# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Live streams, recordings and rates that people ask for, beside what the map says."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
import math
import threading
import time
from typing import Any
import uuid

from plexus_bridge.errors import CommandError
from plexus_bridge.mapping.adjustments import Adjustments
from plexus_bridge.mapping.adjustments import MAX_HZ
from plexus_bridge.mapping.adjustments import MIN_HZ
from plexus_bridge.mapping.adjustments import Wish
from plexus_bridge.points import MAX_TAG_BYTES
from plexus_bridge.points import trim

MAX_STREAMS = 64

# Called once: with '' when it was done, else with what went wrong.
Done = Callable[[str], None]


@dataclass(frozen=True)
class Session:
    """A recording in progress; `name` is for people."""

    session_id: str
    name: str
    wish: Wish


@dataclass(frozen=True)
class _Stream:
    wish: Wish
    remote: bool
    keep: bool


class Streams:
    """
    What is wanted at the moment; any thread may call. `changed` hears all of it when it changes.

    `topics` gives the topics that can be configured; `configure_node` sets parameters of a node
    that the map allows (CommandError if it does not) and says how that went. A stream that is to
    be kept goes on while there is no link, others are only for who watches now.
    """

    def __init__(self, changed: Callable[[Adjustments], None],
                 topics: Callable[[], Collection[str]],
                 configure_node: Callable[[str, Mapping[str, Any], Done], None]):
        # Hears of each session that begins (True) and ends (False).
        self.on_session: Callable[[Session, bool], None] = _nobody
        self._changed = changed
        self._topics = topics
        self._configure_node = configure_node
        self._lock = threading.Lock()
        self._streams: dict[str, _Stream] = {}
        self._session: Session | None = None
        self._rates: dict[str, float] = {}
        self._prefixes: dict[str, str] = {}
        self._live = False

    @property
    def session(self) -> Session | None:
        """The recording in progress."""
        return self._session

    def start_stream(self, stream_id: str, metrics: tuple[str, ...],
                     interval_ms: float | None, *, remote: bool, keep: bool = False) -> str:
        """Begin a stream, or replace the one of this id; a `remote` one ends with the link."""
        stream_id = stream_id or f'stream_{uuid.uuid4().hex[:12]}'
        with self._lock:
            if len(self._streams) >= MAX_STREAMS and stream_id not in self._streams:
                raise CommandError('busy', f'{MAX_STREAMS} streams are in progress already')
            self._streams[stream_id] = _Stream(Wish(metrics, interval_ms), remote, keep)
            self._tell()
        return stream_id

    def stop_streams(self, stream_id: str) -> list[str]:
        """End a stream, or all for ``*``; CommandError ``bad_params`` if there is none."""
        with self._lock:
            ended = list(self._streams) if stream_id == '*' else [stream_id]
            if stream_id != '*' and stream_id not in self._streams:
                raise CommandError('bad_params', f'stream {stream_id!r} is not in progress')
            for one in ended:
                del self._streams[one]
            self._tell()
        return ended

    def start_session(self, session_id: str, name: str, metrics: tuple[str, ...],
                      interval_ms: float | None) -> Session:
        """Begin to record; CommandError ``busy`` if another recording is in progress."""
        session_id = trim(session_id, MAX_TAG_BYTES) or (
            f'session_{int(time.time())}_{uuid.uuid4().hex[:6]}')
        session = Session(session_id, name or session_id, Wish(metrics, interval_ms, session_id))
        with self._lock:
            if self._session is not None and self._session.session_id != session_id:
                raise CommandError(
                    'busy', f'session {self._session.session_id} is in progress; stop it first')
            self._session = session
            self._tell()
        self.on_session(session, True)
        return session

    def stop_session(self, session_id: str) -> Session:
        """End the recording (any for ''); CommandError ``bad_params`` if it is not in progress."""
        with self._lock:
            session = self._session
            if session is None or session_id not in ('', session.session_id):
                raise CommandError(
                    'bad_params', f'session {session_id or "(any)"} is not in progress')
            self._session = None
            self._tell()
        self.on_session(session, False)
        return session

    def configure(self, sensor: str, config: Mapping[str, Any], done: Done) -> None:
        """
        Change a topic's rate or prefix, or a node's parameters, all or nothing.

        CommandError ``bad_params`` if that makes no sense; `done` hears how it went.
        """
        if sensor not in self._topics():
            self._configure_node(sensor, config, done)
            return
        unknown = set(config) - {'sample_rate', 'prefix'}
        if unknown:
            raise CommandError(
                'bad_params', f'config: saw {", ".join(sorted(map(str, unknown)))[:80]}, expected '
                'sample_rate (Hz) or prefix')
        rate, prefix = _rate(config.get('sample_rate')), config.get('prefix')
        if prefix is not None and not (isinstance(prefix, str) and 1 <= len(prefix) <= 200):
            raise CommandError('bad_params', 'prefix: expected a text of 1 to 200 characters')
        with self._lock:
            if rate is not None:
                self._rates[sensor] = rate
            if prefix is not None:
                self._prefixes[sensor] = prefix
            self._tell()
        done('')

    def opened(self) -> None:
        """There is somebody again who may watch."""
        with self._lock:
            self._live = True
            self._tell()

    def lost(self) -> None:
        """End the streams of those who cannot see them any more; recordings go on."""
        with self._lock:
            self._live = False
            self._streams = {name: stream for name, stream in self._streams.items()
                             if stream.keep or not stream.remote}
            self._tell()

    def _tell(self) -> None:
        # Within the lock: of two changes the later one is to be heard last.
        wishes = [stream.wish for stream in self._streams.values() if stream.keep or self._live]
        if self._session is not None:
            wishes.append(self._session.wish)
        self._changed(Adjustments(tuple(wishes), dict(self._rates), dict(self._prefixes)))


def _nobody(_session: Session, _begun: bool) -> None:
    """Tell nobody."""


def _rate(value: object) -> float | None:
    if value is None:
        return None
    try:
        rate = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        rate = math.nan
    if not MIN_HZ <= rate <= MAX_HZ:
        raise CommandError(
            'bad_params', f'sample_rate: expected Hz from {MIN_HZ} to {MAX_HZ:.0f}')
    return rate
