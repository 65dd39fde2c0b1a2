# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Sources that are registered, and names that two devices want."""

from __future__ import annotations

from collections.abc import Callable
import sqlite3
from typing import Any

import pytest

from plexus_bridge.gateway import sources

NOW_MS = 1_790_000_000_000
UUID = '01234567-89ab-cdef-0123-456789abcdef'


def test_a_registered_source_is_listed(client: Any):
    made = client.post('/api/sources', {
        'slug': 'kiln-7', 'name': 'Kiln', 'device_type': 'oven', 'metadata': {'floor': 2}})
    assert made.status_code == 201
    source = made.json()['source']
    assert (source['slug'], source['name'], source['metadata']) == ('kiln-7', 'Kiln', {'floor': 2})
    assert client.get('/v1/sources')['devices'] == [
        {'source_id': 'kiln-7', 'online': False, 'last_seen_ms': None}]


def test_a_source_that_has_sent_exists_already(client: Any):
    client.post('/ingest', {'source_id': 'kiln-7', 'points': [{'metric': 'm', 'value': 1}]})
    answer = client.post('/api/sources', {'slug': 'kiln-7'})
    assert (answer.status_code, answer.json()['error']) == (409, 'CONFLICT')


@pytest.mark.parametrize('slug', [
    None, '', 7, 'Kiln', '../kiln', "k'; DROP TABLE source; --", 'x' * 257, UUID, 'a b', '.a'])
def test_names_that_are_none(client: Any, slug: object):
    answer = client.post('/api/sources', {'slug': slug})
    assert (answer.status_code, answer.json()['error']) == (400, 'VALIDATION_ERROR')
    assert client.get('/v1/sources') == {'devices': []}


def test_the_first_installation_owns_a_name_and_others_get_a_number(database: sqlite3.Connection):
    sources.ensure(database, 'rig_3')  # a device that is called so
    names = [sources.claim(database, 'rig', install)
             for install in ('a', 'b', 'c', 'a', 'b', 'c')]
    assert names == ['rig', 'rig_2', 'rig_4', 'rig', 'rig_2', 'rig_4']
    assert sources.claim(database, 'rig_2', 'b') == 'rig_2', 'it asks by the name it adopted'
    assert sources.claim(database, 'other', 'b') == 'other'


def test_a_long_name_stays_one(database: sqlite3.Connection):
    slug = 'x' * 256
    assert sources.claim(database, slug, 'a') == slug
    assert sources.claim(database, slug, 'b') == 'x' * 254 + '_2'


def test_two_installations_of_one_name_are_two_devices(
        client: Any, device: Callable[..., Any], wait_for: Callable[..., None]):
    one = device('rig', install_id='a' * 32)
    two = device('rig', install_id='b' * 32)
    assert [each.authenticated['source_id'] for each in (one, two)] == ['rig', 'rig_2']
    for each, value in ((one, 1), (two, 2)):
        each.telemetry(1, ('t', value, NOW_MS))
        assert each.receive()['type'] == 'telemetry_ack'
    assert client.samples('rig', 't') == [(NOW_MS, 1)]
    assert client.samples('rig_2', 't') == [(NOW_MS, 2)]
    listed = {each['source_id']: each['online'] for each in client.get('/v1/sources')['devices']}
    assert listed == {'rig': True, 'rig_2': True}
    two.close()
    wait_for(lambda: not client.get('/v1/sources/rig_2')['online'], 'it has left by its own name')
    assert device('rig', install_id='b' * 32).authenticated['source_id'] == 'rig_2'
    assert device('rig', install_id=7).authenticated['source_id'] == 'rig', 'not an install id'
