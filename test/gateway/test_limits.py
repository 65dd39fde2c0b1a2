# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Ceilings of messages and devices (protocol sections 6.11 and 19)."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import pytest

from plexus_bridge.gateway.gateway import Gateway
from plexus_bridge.gateway.limits import add_arguments
from plexus_bridge.gateway.limits import Ceilings
from plexus_bridge.gateway.limits import Limits
from plexus_bridge.gateway.limits import limits_of
from plexus_bridge.gateway.limits import Meter

NOW_MS = 1_790_000_000_000
ELSEWHERE = '192.0.2.7'


def test_a_meter_lets_a_burst_through_and_then_its_rate():
    meter = Meter(10, 5, 0.0)
    assert [meter.take(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [meter.take(0.1), meter.take(0.1)] == [True, False]
    assert [meter.take(100.0) for _ in range(6)] == [True] * 5 + [False], 'never above its burst'


@pytest.mark.parametrize(('peer', 'here', 'metered'), [
    ('127.0.0.1', False, False), ('::1', False, False), (None, False, False),
    ('testclient', False, False), (ELSEWHERE, False, True), ('127.0.0.1', True, True),
    ('fe80::1%eth0', False, True)])
def test_devices_of_this_machine_are_metered_only_if_asked(
        peer: str | None, here: bool, metered: bool):
    ceilings = Ceilings(Limits(apply_here=here, source_messages_per_s=1, source_burst=1))
    assert (ceilings.connection_meter(peer, 0.0) is not None) == metered
    assert ceilings.refusal('kiln-7', peer, 0.0) is None
    second = ceilings.refusal('kiln-7', peer, 0.0)
    assert (second is not None and second.code == 'SOURCE_LIMIT') == metered
    assert ceilings.refusal('kiln-8', peer, 0.0) is None


def test_devices_are_counted_and_those_that_are_there_stay():
    ceilings = Ceilings(Limits(max_devices=2))
    ceilings.know(['kiln-1'])
    refusals = [ceilings.refusal(f'kiln-{index}', '127.0.0.1', 0.0) for index in (2, 3, 1, 2)]
    assert [refusal and refusal.code for refusal in refusals] == [
        None, 'DEVICE_LIMIT', None, None]


def test_no_limits():
    ceilings = Ceilings(Limits(messages_per_s=None, source_messages_per_s=None))
    assert ceilings.connection_meter(ELSEWHERE, 0.0) is None
    assert all(ceilings.refusal('kiln-7', ELSEWHERE, 0.0) is None for _ in range(10_000))


class TestOnTheWire:

    def test_frames_beyond_a_connections_rate_are_told_in_their_order(
            self, client: Any, gateway: Gateway, device: Callable[..., Any]):
        gateway.ceilings = Ceilings(Limits(messages_per_s=0.001, message_burst=2,
                                           source_messages_per_s=None, apply_here=True))
        kiln = device('kiln-7')
        for seq in (1, 2, 3, 4):
            kiln.telemetry(seq, ('t', seq, NOW_MS + seq))
        answers = []
        while not answers or answers[-1]['seq'] < 4:
            answers.append(kiln.receive())
        errors = [(each['code'], each['seq']) for each in answers if each['type'] == 'error']
        assert errors == [('RATE_LIMITED', 3), ('RATE_LIMITED', 4)]
        assert len(client.samples('kiln-7', 't')) == 2
        assert client.get('/v1/gateway')['dropped']['rate_limited'] == 2

    def test_a_sources_ceiling_counts_over_socket_and_http(
            self, client: Any, gateway: Gateway, device: Callable[..., Any]):
        gateway.ceilings = Ceilings(Limits(
            messages_per_s=None, source_messages_per_s=0.001, source_burst=1, apply_here=True))
        kiln = device('kiln-7')
        kiln.telemetry(1, ('t', 1, NOW_MS))
        assert kiln.receive() == {'type': 'telemetry_ack', 'seq': 1}
        kiln.telemetry(2, ('t', 2, NOW_MS + 1))
        error = kiln.receive()
        assert (error['code'], error['seq']) == ('SOURCE_LIMIT', 2)
        points = [{'metric': 't', 'value': 1, 'source_id': source}
                  for source in ('kiln-7', 'kiln-7', 'kiln-8')]
        assert client.post('/ingest', {'points': points}).json() == {
            'success': True, 'count': 1, 'dropped': 2}

    def test_a_device_too_many(
            self, client: Any, gateway: Gateway, device: Callable[..., Any]):
        gateway.ceilings = Ceilings(Limits(max_devices=1))
        first, second = device('kiln-7'), device('kiln-8')
        for kiln in (first, second):
            kiln.telemetry(1, ('t', 1, NOW_MS))
        assert first.receive() == {'type': 'telemetry_ack', 'seq': 1}
        assert second.receive()['code'] == 'DEVICE_LIMIT'
        assert client.post('/ingest', {'source_id': 'kiln-9', 'points': [
            {'metric': 't', 'value': 1}]}).json() == {
                'success': True, 'count': 0, 'dropped': 1, 'source_id': 'kiln-9'}


@pytest.mark.parametrize(('arguments', 'limits'), [
    ([], Limits()),
    (['--max-devices', '3', '--limit-local'], Limits(max_devices=3, apply_here=True)),
    (['--max-messages', '100'], Limits(100, 100, 100, 100)),
    (['--max-messages', '0'], Limits(None, 1, None))])
def test_they_are_chosen_on_the_command_line(arguments: list[str], limits: Limits):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert limits_of(parser.parse_args(arguments)) == limits


@pytest.mark.parametrize('wrong', ['-1', '1.5', 'many', ''])
def test_what_is_no_number_is_refused(wrong: str):
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    with pytest.raises(argparse.ArgumentError, match='whole number'):
        parser.parse_args([f'--max-devices={wrong}'])


def test_devices_of_an_earlier_day_count(processes: Callable[..., Any]):
    gateway = processes()
    for source, count in (('kiln-1', 1), ('kiln-2', 0), ('kiln-1', 1)):
        client = gateway.start('--max-devices', '1').client()
        answer = client.post('/ingest', {'source_id': source, 'points': [
            {'metric': 't', 'value': 1}]})
        assert answer.json()['count'] == count
        client.close()
        gateway.end()
