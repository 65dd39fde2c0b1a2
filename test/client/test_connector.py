# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from plexus_bridge.client import connector
from plexus_bridge.client.connector import Connector
from plexus_bridge.client.connector import MOST_GOODBYES
from plexus_bridge.client.connector import STEADY_S
from plexus_bridge.errors import LinkError
from plexus_bridge.errors import NotAuthorised
from plexus_bridge.protocol.backoff import GOODBYE_DELAY_S
from plexus_bridge.protocol.backoff import REFUSED_DELAY_S

URL = 'ws://127.0.0.1:1/ws/device'


class Opened:
    """Stands for an open socket."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def woken() -> threading.Semaphore:
    return threading.Semaphore(0)


@pytest.fixture
def go() -> threading.Event:
    """Let the attempts that are under way end."""
    return threading.Event()


@pytest.fixture
def connecting(monkeypatch, woken, go) -> Any:
    """Return a function that makes a connector whose attempts have the given ends."""

    def make(*ends: Any) -> Connector:
        left = list(ends)

        def attempt(url: str) -> Any:
            end = left.pop(0)
            assert go.wait(5)
            if isinstance(end, Exception):
                raise end
            return end

        monkeypatch.setattr(connector, 'DeviceSocket', attempt)
        return Connector(URL, woken.release)

    return make


def test_a_socket_is_handed_over_once_it_is_open(connecting, woken, go):
    opened = Opened()
    it = connecting(opened)
    assert it.connect(0.0, begin=False) is None
    assert it.deadline == 0.0
    assert it.connect(0.0, begin=True) is None
    go.set()
    assert woken.acquire(timeout=5)
    assert it.connect(0.0, begin=False) is opened


@pytest.mark.parametrize(('end', 'text', 'shortest_s'), [
    (LinkError('nobody listens there'), 'nobody listens', 0.1),
    (NotAuthorised('the key is refused'), 'refused', REFUSED_DELAY_S),
    (ZeroDivisionError('a bug'), 'a bug', 0.1)])
def test_a_failed_attempt_is_told_and_made_again_later(
        connecting, woken, go, end, text, shortest_s):
    it = connecting(end)
    now = time.monotonic()
    it.connect(now, begin=True)
    go.set()
    assert woken.acquire(timeout=5)
    with pytest.raises(LinkError, match=text):
        it.connect(now, begin=True)
    assert it.failing
    assert it.deadline >= now + shortest_s


def test_only_the_first_attempt_is_worth_waiting_for(connecting, woken, go):
    it = connecting(LinkError('no'), LinkError('no'))
    it.connect(0.0, begin=True)
    assert it.promising
    go.set()
    assert woken.acquire(timeout=5)
    with pytest.raises(LinkError):
        it.connect(0.0, begin=True)
    go.clear()
    it.hurry()
    it.connect(0.0, begin=True)
    assert not it.promising
    go.set()
    assert woken.acquire(timeout=5)


def test_what_comes_too_late_is_closed(connecting, woken, go, wait_until):
    opened = Opened()
    it = connecting(opened)
    it.connect(0.0, begin=True)
    it.close()
    go.set()
    wait_until(lambda: opened.closed, 'closed')
    assert not woken.acquire(blocking=False)


def test_a_gateway_that_only_ever_says_goodbye_is_not_asked_without_a_pause():
    it = Connector(URL, lambda: None)
    delays = []
    for _ in range(12):
        it.let_in()
        delays.append(it.failed(goodbye=True))
    assert max(delays[:MOST_GOODBYES]) <= GOODBYE_DELAY_S[1]
    assert min(delays[MOST_GOODBYES:]) > 10
    it.let_in()
    it.proved()
    assert it.failed(goodbye=True) <= GOODBYE_DELAY_S[1]


def test_after_a_connection_that_lasted_the_delays_begin_anew(monkeypatch):
    it = Connector(URL, lambda: None)
    clock = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: clock[0])
    for _ in range(6):
        it.failed()
    it.let_in()
    clock[0] += STEADY_S
    assert it.failed() <= 1.25


def test_without_an_address_nothing_is_tried():
    it = Connector('', lambda: None)
    it.hurry()
    assert it.connect(1e9, begin=True) is None
    assert not it.promising
