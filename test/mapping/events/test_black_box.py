# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The black box: every sample of the span once, none outside, within its memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.events.black_box import BlackBox
from plexus_bridge.mapping.events.black_box import CAPTURE
from plexus_bridge.mapping.events.black_box import PART_BYTES
from plexus_bridge.mapping.events.black_box import ROW_BYTES
from plexus_bridge.mapping.events.rules import CaptureRule
from plexus_bridge.mapping.sinks import MetricName
from plexus_bridge.mapping.sinks import PointSink

BEGIN = 1_790_000_000_000


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    return []


def box_of(sent: list[dict[str, Any]], counters: Counters | None = None, **rule: Any) -> BlackBox:
    return BlackBox(CaptureRule((), **{'before_s': 10, 'after_s': 5, **rule}),
                    PointSink(sent.append), counters or Counters())


def test_rows_and_points_are_sent_around_an_event_with_its_identity(sent):
    box = box_of(sent, before_s=1, after_s=1)
    add_row = box.make_ring().add_rows([MetricName('x', {'unit': 'm'}), MetricName('y')])
    for tenth in range(50):
        add_row((tenth, -tenth, BEGIN + tenth * 100))
        if tenth == 25:
            identity = box.trigger('fault', BEGIN + 2_500)
            box.finish()
    assert {point['tags'][CAPTURE] for point in sent} == {identity}
    assert [point['value'] for point in sent if point['metric'] == 'x'] == list(range(15, 36))
    assert [point['value'] for point in sent if point['metric'] == 'y'] == [
        -tenth for tenth in range(15, 36)]
    assert sent[0]['tags'] == {CAPTURE: 'fault@1790000002500', 'unit': 'm'}


def test_without_an_event_nothing_is_sent_and_memory_is_bounded(sent):
    counters = Counters()
    box = box_of(sent, counters, before_s=600, max_mb=0.1)
    ring = box.make_ring()
    add_row = ring.add_rows([MetricName('x')])
    for index in range(10_000):
        add_row((index, BEGIN + index))
    assert not sent
    assert box.bytes <= 100_000
    assert counters['captures_short_of_memory'] == 10_000 - len(ring)


def test_old_samples_make_room_by_time(sent):
    box = box_of(sent)
    ring = box.make_ring()
    for second in range(1000):
        ring.add({'class': 'metric', 'metric': 'x', 'value': 1,
                      'timestamp': BEGIN + second * 1000})
    assert len(ring) <= 12


def test_an_event_whose_span_touches_the_one_before_shares_its_identity(sent):
    box = box_of(sent, before_s=1, after_s=2)
    first = box.trigger('a', BEGIN)
    assert box.trigger('b', BEGIN + 3_000) == first
    add_row = box.make_ring().add_rows([MetricName('x')])
    for second in range(6):
        add_row((second, BEGIN + second * 1000))
    assert [point['value'] for point in sent] == [0, 1, 2, 3, 4, 5]
    assert box.trigger('b', BEGIN + 9_000) != first


def test_the_event_itself_carries_the_identity(sent):
    box = box_of([])
    box.watch(PointSink(sent.append)).add(
        {'class': 'event', 'metric': 'estop', 'value': True, 'timestamp': BEGIN,
         'tags': {'severity': 'error'}})
    assert sent[0]['tags'] == {CAPTURE: f'estop@{BEGIN}', 'severity': 'error'}


def test_a_recording_that_is_looped_begins_anew(sent):
    box = box_of(sent, before_s=1)
    add_row = box.make_ring().add_rows([MetricName('x')])
    for stamp in (BEGIN + 100_000, BEGIN, BEGIN + 100):
        add_row((stamp - BEGIN, stamp))
    box.trigger('fault', BEGIN + 200)
    box.finish()
    assert [point['value'] for point in sent] == [0, 100]


@given(st.lists(st.one_of(
    st.tuples(st.just('sample'), st.integers(0, 400)),
    st.tuples(st.just('event'), st.integers(-700, 0)),
    st.tuples(st.just('part'), st.integers(1, 1000))), max_size=120))
def test_every_sample_of_every_span_is_sent_once_under_its_identity_and_no_other(story):
    sent: list[dict[str, Any]] = []
    box = box_of(sent, before_s=1, after_s=0.5)
    add_row = box.make_ring().add_rows([MetricName('x')])
    now, stamps, events = BEGIN, [], []
    for kind, number in story:
        if kind == 'sample':
            now += number
            add_row((now, now))
            stamps.append(now)
        elif kind == 'event':
            # Told of a little late; stamps of one topic do not run backwards.
            when = max([now + number, *(event for event, _ in events)])
            events.append((when, box.trigger('fault', when)))
        else:
            box.send_on(number)
    box.finish()
    wanted = [stamp for stamp in stamps
              if any(event - 1000 <= stamp <= event + 500 for event, _ in events)]
    assert sorted(point['value'] for point in sent) == sorted(wanted)
    for event, identity in events:
        tagged = {point['value'] for point in sent if point['tags'][CAPTURE] == identity}
        assert tagged >= {stamp for stamp in stamps if event - 1000 <= stamp <= event + 500}


def test_a_large_ring_is_sent_part_by_part_and_its_event_before_it(sent):
    box = box_of(sent, before_s=100)
    add_row = box.make_ring().add_rows([MetricName('x')])
    for index in range(20_000):
        add_row((index, BEGIN + index))
    box.watch(PointSink(sent.append)).add(
        {'class': 'event', 'metric': 'estop', 'value': True, 'timestamp': BEGIN + 20_000})
    most = PART_BYTES // ROW_BYTES
    assert sent[0]['metric'] == 'estop'
    assert 0 < len(sent) <= most
    add_row((20_001, BEGIN + 20_001))  # goes straight out
    rounds = 0
    while box.bytes:
        before = len(sent)
        box.send_on()
        assert len(sent) - before <= most
        rounds += 1
    assert rounds > 5
    assert sorted(point['value'] for point in sent[1:]) == [*range(20_000), 20_001]


def test_what_is_left_of_a_span_keeps_its_identity_when_another_begins(sent):
    box = box_of(sent, before_s=1, after_s=0.5)
    add_row = box.make_ring().add_rows([MetricName('x')])
    add_row((1, BEGIN))
    first = box.trigger('fault', BEGIN)
    add_row((2, BEGIN + 5_000))
    second = box.trigger('fault', BEGIN + 5_000)
    box.finish()
    assert {point['value']: point['tags'][CAPTURE] for point in sent} == {1: first, 2: second}


def test_a_topic_whose_clock_is_wrong_pushes_no_other_out(sent):
    box = box_of(sent, before_s=1)
    good, wrong = (box.make_ring().add_rows([MetricName(name)]) for name in 'xy')
    for tenth in range(10):
        good((tenth, BEGIN + tenth * 100))
        wrong((tenth, BEGIN + 80_000_000 + tenth * 100))
    box.trigger('fault', BEGIN + 1_000)
    box.finish()
    assert [point['value'] for point in sent if point['metric'] == 'x'] == list(range(10))


@pytest.mark.parametrize('columns', [0, 1, 10])
def test_memory_is_what_it_is_said_to_be(sent, columns):
    box = box_of(sent, before_s=600, max_mb=4)
    ring = box.make_ring()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        add_row = ring.add_rows([MetricName(str(index)) for index in range(columns)])
        for stamp in range(BEGIN, BEGIN + 25_000):
            if columns:
                add_row((*(stamp / (index + 3) for index in range(columns)), stamp + 1))
            else:
                ring.add({'class': 'event', 'metric': f'e{stamp}', 'value': f'text {stamp}',
                          'timestamp': stamp + 1, 'tags': {'unit': 'm'}})
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert 0.5 * box.bytes <= taken <= 1.1 * box.bytes
