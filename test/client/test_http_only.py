# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A link without a device socket, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted_gateway import ScriptedIngest

from plexus_bridge.client.link import Link
from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.journal import Journal
from plexus_bridge.delivery.lanes import Lanes
from plexus_bridge.delivery.outbox import Outbox
from plexus_bridge.protocol.device import Hello

Start = Callable[[str], tuple[Link, Outbox, Lanes, list[LinkStatus]]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start links to an address; all their statuses are kept."""
    started: list[tuple[Link, Journal]] = []

    def start_link(url: str) -> tuple[Link, Outbox, Lanes, list[LinkStatus]]:
        counters = Counters()
        lanes = Lanes(counters)
        journal = Journal(tmp_path / f'{len(started)}.db', 10**7, counters)
        outbox = Outbox(lanes, journal, counters)
        link = Link(url, Hello('plx_k', 'kiln-7', 'test', '0'), outbox, counters,
                    user_agent='test', device_url='')
        told: list[LinkStatus] = []
        link.on_change = told.append
        link.start()
        started.append((link, journal))
        return link, outbox, lanes, told

    yield start_link
    for link, journal in started:
        link.stop(0.1)
        journal.close()


def add(lanes: Lanes, outbox: Outbox, *values: int) -> None:
    for value in values:
        lanes.sinks['state'].add({'class': 'metric', 'metric': 'm', 'value': value})
        outbox.flush()


def test_without_a_socket_address_all_goes_by_http_and_stopping_waits_for_every_frame(start):
    with ScriptedIngest(lambda body: (200, {'count': len(body['points'])}, {})) as gateway:
        link, outbox, lanes, told = start(gateway.url)
        add(lanes, outbox, *range(20))
        link.stop(10.0)
        assert [point['value'] for body in gateway.bodies for point in body['points']] \
            == list(range(20))
        assert gateway.upgrades == 0
    # The clock may be told again with each answer.
    assert {status.transport for status in told} == {Transport.HTTP}


def test_a_key_that_http_refuses_is_told_as_such_until_it_is_let_in(start, wait_until):
    answers: list[tuple[int, Any, dict[str, str]]] = [(401, {'error': 'invalid key'}, {})]
    with ScriptedIngest(lambda body: answers[0]) as gateway:
        _, outbox, lanes, told = start(gateway.url)
        add(lanes, outbox, 1)
        wait_until(lambda: told and told[-1].key_refused, 'the refusal is told')
        assert '401' in told[-1].detail


def test_settling_is_told(start, wait_until):
    settled: list[int] = []
    with ScriptedIngest(lambda body: (200, {'count': len(body['points'])}, {})) as gateway:
        _, outbox, lanes, _ = start(gateway.url)
        outbox.on_settled = lambda: settled.append(outbox.unsettled_points())
        add(lanes, outbox, 1)
        wait_until(lambda: settled, 'somebody hears of it')
    assert settled == [0]


def test_a_hurried_link_does_not_wait_for_its_back_off(start, wait_until):
    answers: list[tuple[int, Any, dict[str, str]]] = [(503, {}, {'Retry-After': '60'})]

    def answer(body: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        return answers[0] if answers else (200, {'count': len(body['points'])}, {})

    with ScriptedIngest(answer) as gateway:
        link, outbox, lanes, told = start(gateway.url)
        add(lanes, outbox, 1)
        wait_until(lambda: told and '503' in told[-1].detail, 'it is told to wait')
        answers.clear()
        link.hurry()
        wait_until(lambda: outbox.unsettled_points() == 0, 'it does not')
