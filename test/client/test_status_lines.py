# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import sys

import pytest

from plexus_bridge.client.link_status import LinkStatus
from plexus_bridge.client.link_status import Transport
from plexus_bridge.client.settings import Settings
from plexus_bridge.client.status_lines import StatusLines
from plexus_bridge.counters import Counters

URL = 'http://127.0.0.1:9'
LIVE = LinkStatus(transport=Transport.SOCKET, connections=1)
DOWN = replace(LIVE, transport=Transport.NONE, detail='no network')


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def lines(counters: Counters, monkeypatch: pytest.MonkeyPatch) -> StatusLines:
    monkeypatch.delenv('PLEXUS_QUIET', raising=False)
    return StatusLines(
        Settings('plx_k', URL, URL, URL, 'kiln-7', Path('/')), counters, lambda: 42)


def test_an_outage_and_its_end_are_told_each_time_once(lines, capsys):
    for connections in (1, 2, 3):
        lines.link_changed(replace(LIVE, connections=connections))
        lines.link_changed(replace(DOWN, connections=connections))
        lines.link_changed(replace(DOWN, connections=connections, detail='still no network'))
    assert capsys.readouterr().err.splitlines() == [
        f'[plexus] connected as kiln-7 ({URL})',
        '[plexus] not connected: no network; 42 points held, trying on',
        f'[plexus] reconnected as kiln-7 ({URL}); 42 points held, sending',
        '[plexus] not connected: no network; 42 points held, trying on',
        f'[plexus] reconnected as kiln-7 ({URL}); 42 points held, sending',
        '[plexus] not connected: no network; 42 points held, trying on']


def test_the_way_by_http_is_told_once_and_why(lines, capsys):
    by_http = LinkStatus(transport=Transport.HTTP, refused=True, without_socket=True)
    lines.link_changed(LinkStatus(detail='refused'))
    lines.link_changed(by_http)
    lines.link_changed(LinkStatus(detail='no answer'))
    lines.link_changed(by_http)
    assert capsys.readouterr().err.splitlines() == [
        '[plexus] not connected: refused; 42 points held, trying on',
        f'[plexus] falling back to POST {URL}/ingest: the plan does not include the device socket',
        '[plexus] sending again',
        '[plexus] not connected: no answer; 42 points held, trying on',
        '[plexus] sending again']


def test_a_refused_key_is_told_again_only_after_it_was_let_in(lines, capsys):
    refused = LinkStatus(detail='invalid API key', refused=True)
    for status in (refused, LinkStatus(detail='x'), refused, LIVE, replace(DOWN, refused=True)):
        lines.link_changed(status)
    assert capsys.readouterr().err.count('auth rejected') == 2


def test_what_landed_is_told_once_and_losses_each_kind_once(lines, counters, capsys):
    lines.settled()
    for _ in range(2):
        counters.add('points_acknowledged', 5)
        counters.drop('gateway_rate_limited', 3)
        lines.settled()
    counters.drop('never heard of', 1)
    lines.settled()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0] == '[plexus] first 5 points landed (via ws)'
    assert said[1].startswith('[plexus] 3 points are lost: too many messages')
    assert 'never heard of' in said[2]


@pytest.mark.parametrize('value', ['1', 'true', 'YES'])
def test_quiet_is_asked_for_by_the_environment_at_any_time(lines, capsys, monkeypatch, value):
    lines.say('one')
    monkeypatch.setenv('PLEXUS_QUIET', value)
    lines.say('two')
    monkeypatch.setenv('PLEXUS_QUIET', '0')
    lines.say('three')
    assert capsys.readouterr().err == '[plexus] one\n[plexus] three\n'


def test_a_program_without_stderr_goes_on(lines, monkeypatch):
    monkeypatch.setattr(sys, 'stderr', None)
    lines.say('to nobody')
