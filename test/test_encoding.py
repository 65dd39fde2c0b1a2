# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import importlib
import json
import math
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies
import orjson
import pytest

import plexus_bridge
from plexus_bridge import encoding

BOTH = pytest.mark.parametrize('dumps', [encoding.standard_dumps, orjson.dumps])
BOTH_READ = pytest.mark.parametrize('loads', [encoding.standard_loads, orjson.loads])

json_values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers(-2**63, 2**64 - 1)
    | strategies.floats(allow_nan=False, allow_infinity=False) | strategies.text(),
    lambda inner: strategies.lists(inner, max_size=5)
    | strategies.dictionaries(strategies.text(), inner, max_size=5), max_leaves=20)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@given(value=json_values)
def test_each_reads_what_either_writes(value):
    for dumps in (encoding.standard_dumps, orjson.dumps):
        for loads in (encoding.standard_loads, orjson.loads):
            found = loads(dumps(value))
            assert found == value
            assert repr(found) == repr(value)  # 1 is no 1.0 and no True


@pytest.mark.parametrize('value', [
    {'b': [1, -2.5, True, None], 'a': 'ü "\\ \n\0 \u2028 🙂 /'}, '', [], {}, 1e22, 0.1, 2**64 - 1])
def test_both_write_the_same_bytes(value):
    if value == 1e22:  # the exponents differ, the numbers do not
        assert float(encoding.standard_dumps(value)) == float(orjson.dumps(value))
    else:
        assert encoding.standard_dumps(value) == orjson.dumps(value)


@pytest.mark.parametrize('number', [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused_by_the_standard_one(number):
    with pytest.raises(ValueError):
        encoding.standard_dumps({'value': [number]})
    # Why points.py lets none of them get so far:
    assert orjson.dumps({'value': [number]}) == b'{"value":[null]}'


@BOTH
@pytest.mark.parametrize('value', ['\ud800', {'\udc00': 1}, {1, 2}, object(), nested(100_000)],
                         ids=['text', 'key', 'set', 'object', 'deep'])
def test_what_is_no_json_is_a_value_or_type_error(dumps, value):
    with pytest.raises((ValueError, TypeError)):
        dumps(value)


@BOTH_READ
@pytest.mark.parametrize('text', [
    '', '{', '[1,]', '{"a":1,}', "{'a':1}", 'NaN', '[Infinity]', '-Infinity', '01', '[1] [2]',
    '"\t"', '[' * 100_000 + ']' * 100_000, b'"\xff"', b'\xff\xfe'],
    ids=lambda text: repr(text[:9]))
def test_what_is_no_json_is_not_read(loads, text):
    with pytest.raises(ValueError):
        loads(text)


@BOTH_READ
def test_text_and_bytes_are_read_alike(loads):
    assert loads('{"a":"ü"}') == loads('{"a":"ü"}'.encode()) == {'a': 'ü'}


def test_without_orjson_the_standard_library_serves(monkeypatch):
    assert encoding.dumps is orjson.dumps
    monkeypatch.setattr(plexus_bridge, 'encoding', encoding)  # the import below sets it, too
    monkeypatch.setitem(sys.modules, 'orjson', None)
    monkeypatch.delitem(sys.modules, 'plexus_bridge.encoding')
    alone = importlib.import_module('plexus_bridge.encoding')
    assert alone.dumps is alone.standard_dumps
    assert alone.loads is alone.standard_loads
    assert json.loads(alone.dumps({'a': [1.5]})) == {'a': [1.5]}
