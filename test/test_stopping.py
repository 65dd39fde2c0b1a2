# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from plexus_bridge.stopping import StopRequest


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_wait_at_once_and_ends_no_process(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with StopRequest() as stop:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        started = time.monotonic()
        assert stop.wait(30.0)
        assert time.monotonic() - started < 10.0
        assert stop.requested
        assert stop.wait(30.0)
        timer.join()
    assert signal.getsignal(number) == before


def test_without_a_request_the_wait_lasts_as_long_as_asked() -> None:
    with StopRequest() as stop:
        started = time.monotonic()
        assert not stop.wait(0.05)
        assert time.monotonic() - started >= 0.049
        assert not stop.wait(-1.0)
        assert not stop.requested


def test_another_thread_may_ask_and_asking_twice_is_asking_once() -> None:
    with StopRequest() as stop:
        thread = threading.Thread(target=lambda: (stop.request(), stop.request()))
        thread.start()
        assert stop.wait(30.0)
        thread.join()


def test_without_signals_it_may_be_waited_for_on_any_thread():
    before = signal.getsignal(signal.SIGTERM)
    stops: list[bool] = []
    entered = threading.Event()
    request: list[StopRequest] = []

    def wait() -> None:
        with StopRequest(signals=False) as stop:
            request.append(stop)
            entered.set()
            stops.append(stop.wait(20.0))

    thread = threading.Thread(target=wait)
    thread.start()
    assert entered.wait(20.0)
    assert signal.getsignal(signal.SIGTERM) is before
    request[0].request()
    thread.join(20.0)
    assert stops == [True]
