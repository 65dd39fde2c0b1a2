# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
``from plexus_bridge import Plexus``: the Python API, as the platform's own SDK has it.

What the SDK loses, this keeps (protocol sections 14 and 20): points are on disk within a tenth of
a second and leave it only when the gateway has said that it stored them.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import logging
import os
from pathlib import Path
import threading
import time
from types import TracebackType
from typing import Any
import warnings
import weakref

from plexus_bridge.client.announcement import Announcement
from plexus_bridge.client.batch import BatchSender
from plexus_bridge.client.handlers import Handler
from plexus_bridge.client.handlers import legacy_target_of
from plexus_bridge.client.handlers import LegacyHandler
from plexus_bridge.client.handlers import target_of
from plexus_bridge.client.intake import Intake
from plexus_bridge.client.retry import RetryConfig
from plexus_bridge.client.runs import Runs
from plexus_bridge.client.runs import Whose
from plexus_bridge.client.sender import Sender
from plexus_bridge.client.sender import USER_AGENT
from plexus_bridge.client.settings import Arguments
from plexus_bridge.client.settings import read_settings
from plexus_bridge.client.store import open_store
from plexus_bridge.client.video_calls import VideoCalls
from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import AuthenticationError
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import PlexusError
from plexus_bridge.errors import SettingError
from plexus_bridge.stopping import StopRequest

CLOSE_WAIT_S = 2.0
_LONG_S = 3600.0

# A program that has not set up logging is told by the status lines alone.
logging.getLogger('plexus_bridge').addHandler(logging.NullHandler())


class Plexus(VideoCalls):
    """
    Sends a source's readings, events and pictures, and answers commands; any thread may call.

    Argument, environment, ``config.json`` and default count in this order; SettingError (a
    ValueError) if there is no key or the `source_id` is none. Nothing is opened but the file
    where points wait until the gateway has them: JournalError if another program has it.
    """

    def __init__(self, api_key: str | None = None, endpoint: str | None = None,
                 source_id: str | None = None, timeout: float = 10.0,
                 retry_config: RetryConfig | None = None, max_buffer_size: int | None = None,
                 persistent_buffer: bool = True, buffer_path: str | os.PathLike[str] | None = None,
                 ws_url: str | None = None, *, gateway_url: str | None = None,
                 transport: str = 'ws'):
        if not timeout > 0:
            raise SettingError(f'timeout: saw {timeout!r}, expected seconds above 0')
        if max_buffer_size is not None:
            check_points(max_buffer_size)
        self._settings = read_settings(Arguments(
            api_key=api_key, endpoint=endpoint, source_id=source_id, gateway_url=gateway_url,
            ws_url=ws_url, transport=transport))
        self.timeout = timeout
        counters = Counters()
        store = open_store(self._settings, Path(buffer_path) if buffer_path else None, counters,
                           persistent=persistent_buffer)
        # Counters of its own: what it drops is no point.
        self._commands = Dispatcher(Counters(), store.runs)
        self._video = VideoFrames()
        self._sender = Sender(
            self._settings, store, counters, control=self._commands,
            video=self._video, pauses=(retry_config or RetryConfig()).pauses())
        self._sender.max_points = max_buffer_size
        self._commands.wake = self._sender.wake
        self._intake = Intake(self._settings, self._sender, timeout)
        self._runs = Runs(self._settings, USER_AGENT, timeout, self._sender.now_ms)
        self._batches: weakref.WeakSet[BatchSender] = weakref.WeakSet()
        VideoCalls.__init__(self, self._sender, self._intake, self._video)
        self._announcement = Announcement(self._sender)
        self._serving: StopRequest | None = None
        atexit.register(self._at_exit)

    # -- who and where

    @property
    def source_id(self) -> str:
        """The source that everything belongs to."""
        return self._settings.source_id

    @property
    def gateway_url(self) -> str:
        """Where points go."""
        return self._settings.gateway_url

    @property
    def endpoint(self) -> str:
        """Where runs are kept."""
        return self._settings.endpoint

    # -- points

    def send(self, metric: str, value: Any, timestamp: float | None = None,
             tags: Mapping[str, Any] | None = None, data_class: str | None = None) -> bool:
        """
        Send one reading: a number is a metric, all else an event, unless `data_class` says so.

        `timestamp` is Unix seconds (or milliseconds), as it is; without one it is now, by the
        gateway's clock. True: taken over for delivery, whatever becomes of the connection.
        PointError if this can never be stored. AuthenticationError while the gateway refuses the
        key and RateLimitedError once after it threw earlier points away: taken over all the same.
        """
        point = self._intake.make_point(metric, value, timestamp, tags, data_class)
        return self._intake.send([point])

    def event(self, name: str, data: Any, timestamp: float | None = None,
              tags: Mapping[str, Any] | None = None) -> bool:
        """Send an event: a text, or anything that JSON can hold; else as `send`."""
        return self._intake.send([self._intake.make_point(name, data, timestamp, tags, 'event')])

    def send_batch(self, points: Iterable[Any], timestamp: float | None = None,
                   tags: Mapping[str, Any] | None = None) -> bool:
        """
        Send ``(metric, value)`` and ``(metric, value, timestamp)`` together; else as `send`.

        `timestamp` and `tags` are shared by all that have none. All are taken, or none.
        """
        return self._intake.send(self._intake.make_points(points, timestamp, tags))

    def batch(self, interval_ms: float = 100.0, max_points: int = 5000,
              max_pending: int = 200_000) -> BatchSender:
        """Return what sends fast readings together: ``with px.batch() as b: b.send(…)``."""
        self._intake.check_usable()
        batch = BatchSender(self._intake, interval_ms, max_points, max_pending)
        self._batches.add(batch)
        return batch

    def flush_buffer(self, timeout: float | None = None) -> bool:
        """
        Wait until the gateway has everything; True.

        That is for at most `timeout` seconds, by default those of the client.

        LinkError if it does not get there (AuthenticationError if the key is refused): nothing
        is lost by that.
        """
        self._intake.begin()
        self._sender.hurry()
        seconds = self.timeout if timeout is None else timeout
        left = self._sender.wait_until_delivered(seconds)
        if left:
            status = self._sender.status
            text = (f'{left} points are not confirmed by {self.gateway_url} within '
                    f'{seconds:g} s: {status.detail or "no answer yet"}; they are kept')
            raise (AuthenticationError if status.key_refused else LinkError)(text)
        return True

    def buffer_size(self) -> int:
        """Return how many points the gateway has not confirmed yet."""
        return self._sender.unconfirmed()

    @property
    def max_buffer_size(self) -> int | None:
        """
        How many points may wait on disk: beyond, the oldest make room, and are counted.

        None, as it is at first: as many as 256 MiB hold, some two million.
        """
        return self._sender.max_points

    @max_buffer_size.setter
    def max_buffer_size(self, points: int) -> None:
        check_points(points)
        self._sender.max_points = points

    @property
    def dropped_points(self) -> int:
        """Points that the gateway took by HTTP and did not store."""
        return self._sender.counters.dropped().get('gateway_dropped', 0)

    @property
    def rate_limited_frames(self) -> int:
        """Messages that the gateway threw away for their rate or the plan's limits."""
        return sum(self._sender.counters[f'frames_gateway_{limit}']
                   for limit in ('rate_limited', 'source_limit', 'device_limit'))

    @property
    def lost_points(self) -> Mapping[str, int]:
        """Every point that was taken over and will never be stored, by reason."""
        return self._sender.counters.dropped()

    # -- runs

    def start_run(self, name: str, source_id: str | Whose | None = Whose.OWN,
                  tags: Mapping[str, Any] | None = None,
                  metadata: Mapping[str, Any] | None = None,
                  pass_criteria: Sequence[Mapping[str, Any]] | None = None,
                  started_at: str | None = None) -> dict[str, Any]:
        """
        Begin a run and return it; it lasts until `end_run`.

        `source_id` None is for a run of the whole organisation. `pass_criteria` are
        ``{'metric', 'operator', 'value', 'label'?}`` and judged when it ends. `started_at` is
        ISO 8601 with its offset. Errors are those of `Runs`.
        """
        return self._runs.start(
            name, source_id, tags=tags, metadata=metadata, pass_criteria=pass_criteria,
            started_at=started_at)

    def end_run(self, run: Mapping[str, Any] | str, status: str = 'completed',
                ended_at: str | None = None) -> dict[str, Any]:
        """
        End a run, given as such or by its id; return it with its verdict in ``test_result``.

        What was sent before is delivered first, for at most `timeout`, so that it is judged, too.
        """
        if self._sender.started:
            self._sender.wait_until_delivered(self.timeout, hopeful=False)
        return self._runs.end(run, status, ended_at)

    @contextlib.contextmanager
    def run(self, name: str, **more: Any) -> Iterator[dict[str, Any]]:
        """
        Have a run last as long as the block; an exception ends it as ``aborted``.

        What the block is given has the run's state and verdict afterwards.
        """
        run = self.start_run(name, **more)
        try:
            yield run
        except BaseException as error:
            try:
                run.update(self.end_run(run, 'aborted'))
            except PlexusError as failure:
                # The block's own error is what the caller has to see.
                self._sender.lines.say(
                    f'run {name!r} could not be ended after {error!r}: {failure}')
            raise
        run.update(self.end_run(run))

    # -- commands

    def command(self, name: str, *, title: str | None = None, description: str | None = None,
                params: Mapping[str, Mapping[str, Any]] | None = None, danger: str = 'normal',
                idempotent: bool = False, expires_in: float = 30.0,
                concurrency: str = 'accept') -> Callable[[Handler], Handler]:
        """
        Declare a command; decorates the function that is called as ``handler(run, **params)``.

        The connection is opened for it, if there is none yet. Parameters are checked and
        converted before. What it returns is the run's result, an exception has the run fail.
        CommandDeclarationError if it cannot be declared so.
        """
        declaration = declare(
            name, params, title=title, description=description, danger=danger,
            idempotent=idempotent, expires_in_s=expires_in, concurrency=concurrency)

        def register(handler: Handler) -> Handler:
            self._intake.check_usable()
            self._commands.add(declaration, target_of(handler))
            self._announcement.due()
            return handler

        return register

    def on_command(self, name: str, handler: LegacyHandler, *, description: str | None = None,
                   params: Sequence[Mapping[str, Any]] | None = None,
                   concurrency: str = 'accept') -> None:
        """
        Answer a command of the old kind by ``handler(name, params)``; `command` does more.

        `description` and `params` are advertised no more, and are taken for old programs' sake.
        """
        self._intake.check_usable()
        warnings.warn('on_command is deprecated: command declares parameters, danger and expiry',
                      DeprecationWarning, stacklevel=2)
        if concurrency not in ('accept', 'reject'):
            raise SettingError(f"concurrency: saw {concurrency!r}, expected 'accept' or 'reject'")
        self._commands.add_legacy(
            name, legacy_target_of(handler), reject=concurrency == 'reject')
        self._announcement.due()

    def serve(self, timeout: float | None = None) -> None:
        """
        Stay connected until SIGINT, SIGTERM, `stop_serving` or for `timeout` seconds, then close.

        Signal handlers are taken only on the main thread, and given back.
        """
        self._intake.begin()
        until = None if timeout is None else time.monotonic() + timeout
        on_main = threading.current_thread() is threading.main_thread()
        with StopRequest(signals=on_main) as stop:
            self._serving = stop
            try:
                while not stop.wait(_LONG_S if until is None else until - time.monotonic()):
                    if until is not None and time.monotonic() >= until:
                        break
            finally:
                self._serving = None
        self.close()

    def stop_serving(self) -> None:
        """Have `serve` return; any thread may call."""
        if self._serving is not None:
            self._serving.request()

    # -- the end

    def close(self) -> None:
        """
        Send what can be sent within two seconds, then end; doing so twice is harmless.

        What the gateway has not confirmed then is on disk, and goes out with the next start.
        """
        self.stop_cameras()
        for batch in list(self._batches):
            batch.close()
        if not self._intake.close():
            return
        atexit.unregister(self._at_exit)
        self._announcement.cancel()
        self._commands.close('the program has ended')
        left = self._sender.close(CLOSE_WAIT_S if self._sender.persistent else self.timeout)
        self._runs.close()
        if left:
            self._sender.lines.say(
                f'{left} points are not confirmed; ' + (
                    'they are on disk and go out with the next start' if self._sender.persistent
                    else 'they were in memory only and are lost'))

    def __enter__(self) -> Plexus:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def _at_exit(self) -> None:
        if self._intake.is_ours:  # a forked child has no part in it
            self.close()


def check_points(points: object) -> None:
    """Raise SettingError unless this is a number of points to keep."""
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise SettingError(f'max_buffer_size: saw {points!r}, expected 1 or more points')
