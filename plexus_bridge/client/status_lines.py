# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
What a program that uses the Python API is told on stderr, a line each, unless PLEXUS_QUIET is set.

Each kind of thing once, except that an outage is told again after a recovery.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import os
import sys

from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.client.settings import Settings
from plexus_bridge.counters import Counters

_LOSSES = {
    'gateway_rate_limited': 'too many messages',
    'gateway_source_limit': 'the source is over its limit',
    'gateway_device_limit': "the plan's number of devices is exceeded",
    'gateway_dropped': 'it stores only a part (over a limit, or too many devices)',
    'journal_full': 'the buffer is full: the oldest points make room',
    'disk_refused': 'the disk refuses and memory is full: the oldest points make room',
}


class StatusLines:
    """Hears of the link and of what was stored; any thread may call `say`, the link the rest."""

    def __init__(self, settings: Settings, counters: Counters, held: Callable[[], int]):
        self._settings = settings
        self._counters = counters
        self._held = held
        self._before = LinkStatus()
        self._told: set[str] = set()
        self._out_of_reach = False
        self._landed = False

    def say(self, text: str) -> None:
        """Write a line, whatever becomes of it."""
        if os.environ.get('PLEXUS_QUIET', '').lower() in ('1', 'true', 'yes'):
            return
        with contextlib.suppress(OSError, ValueError, AttributeError):  # there may be no stderr
            sys.stderr.write(f'[plexus] {text}\n')
            sys.stderr.flush()

    def say_once(self, kind: str, text: str) -> None:
        """Write a line unless one of this kind was written."""
        if kind not in self._told:
            self._told.add(kind)
            self.say(text)

    def link_changed(self, status: LinkStatus) -> None:
        """Tell what is new about the link."""
        before, self._before = self._before, status
        if status.connections > before.connections:
            self._connected(status)
        elif status.transport is Transport.HTTP and before.transport is not Transport.HTTP:
            self._by_http(status)
        elif status.key_refused and not before.key_refused:
            self.say_once('refused', f'auth rejected: {status.detail}. Check PLEXUS_API_KEY (or '
                          'api_key in config.json); points are kept until it is right')
            self._out_of_reach = True
        elif status.transport is Transport.NONE and status.detail and not self._out_of_reach:
            self._out_of_reach = True
            self.say(f'not connected: {status.detail}; {self._held()} points held, trying on')

    def _connected(self, status: LinkStatus) -> None:
        name = f'{self._settings.source_id} ({self._settings.gateway_url})'
        self._told.discard('refused')
        if status.connections == 1:
            self.say(f'connected as {name}')
        elif self._out_of_reach:
            self.say(f'reconnected as {name}; {self._held()} points held, sending')
        self._out_of_reach = False

    def _by_http(self, status: LinkStatus) -> None:
        reason = ('the plan does not include the device socket' if status.without_socket
                  else status.detail or 'there is no device socket')
        url = f'{self._settings.gateway_url}/ingest'
        self.say_once('http', f'falling back to POST {url}: {reason}')
        if self._out_of_reach:
            self._out_of_reach = False
            self.say('sending again')

    def settled(self) -> None:
        """Tell that points have landed, the first time, and of losses, each kind once."""
        if not self._landed and (points := self._counters['points_acknowledged']):
            self._landed = True
            way = 'http' if self._counters['frames_sent_http'] else 'ws'
            self.say(f'first {points} points landed (via {way})')
        for reason, points in self._counters.dropped().items():
            if reason not in self._told:
                self.say_once(reason, f'{points} points are lost: '
                              f'{_LOSSES.get(reason, reason)}; further ones are counted only')
