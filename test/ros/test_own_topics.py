# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/metrics`` and ``~/events`` from any node, through a bridge to its points."""

from __future__ import annotations

import math
import time
from typing import Any

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import KeyValue
import pytest

from plexus_bridge.counters import Counters
from plexus_bridge.mapping.sinks import PointSink
from plexus_bridge.ros.intake import EVENT_POLL_S
from plexus_bridge.ros.own_topics import OwnTopics
from plexus_msgs.msg import Event
from plexus_msgs.msg import Metric
from plexus_msgs.msg import MetricArray
from plexus_msgs.msg import Value


@pytest.fixture
def points() -> dict[str, list[dict[str, Any]]]:
    return {'urgent': [], 'state': [], 'bulk': []}


@pytest.fixture
def own(graph, points) -> OwnTopics:
    return OwnTopics(graph.node, {lane: PointSink(arrived.append)
                                  for lane, arrived in points.items()}, {'site': 'lab'},
                     Counters())


def publish(graph: Any, own: OwnTopics, topic: str, message: Any, arrived: list[Any]) -> Any:
    publisher = graph.node.create_publisher(type(message), topic, 10)
    graph.spin_until(publisher.get_subscription_count, 'the bridge listens')
    publisher.publish(message)

    def came() -> bool:
        own.poll(time.monotonic(), 0)
        return bool(arrived)

    graph.spin_until(came, 'the point')
    return arrived.pop()


def test_a_metric_of_any_node_arrives(graph, own, points):
    message = MetricArray(metrics=[Metric(name='pump.flow', value=1.5, unit='l/min')])
    point = publish(graph, own, '/test/metrics', message, points['state'])
    assert (point['metric'], point['value']) == ('pump.flow', 1.5)
    assert point['tags'] == {'site': 'lab', 'unit': 'l/min'}


@pytest.mark.parametrize(('value', 'expected'), [
    (Value(text='jammed'), 'jammed'),
    (Value(number=2.5), 2.5),
    (Value(), True),
    (Value(type=Value.TYPE_BOOLEAN), False),
    (Value(type=Value.TYPE_NUMBER), 0.0),
    (Value(type=Value.TYPE_JSON, text='{"jaw": 1}'), {'jaw': 1}),
    (Value(type=Value.TYPE_JSON, text='{'), '{'),
    (Value(type=Value.TYPE_NUMBER, number=float('inf')), 'inf'),
])
def test_an_event_of_any_node_goes_by_the_urgent_lane(graph, own, points, value, expected):
    message = Event(
        stamp=Time(sec=1_790_000_000, nanosec=500_000_000), name='gripper.jammed', value=value,
        severity=Event.SEVERITY_ERROR, tags=[KeyValue(key='part', value='left')])
    assert publish(graph, own, '/test/events', message, points['urgent']) == {
        'class': 'event', 'metric': 'gripper.jammed', 'value': expected,
        'timestamp': 1_790_000_000_500,
        'tags': {'severity': 'error', 'site': 'lab', 'part': 'left'}}


def test_an_event_without_a_stamp_has_that_of_its_receipt(graph, own, points):
    point = publish(graph, own, '/test/events', Event(name='note'), points['urgent'])
    assert point['timestamp'] == pytest.approx(
        graph.node.get_clock().now().nanoseconds / 1e6, abs=5000)
    assert point['tags'] == {'site': 'lab'}


def test_events_are_looked_for_often_while_anybody_publishes_them(graph, own):
    assert own.poll(1.0, 0) == math.inf
    graph.node.create_publisher(Event, '/test/events', 10)
    graph.spin_until(lambda: graph.node.count_publishers('/test/events'), 'the publisher')
    assert own.poll(1.4, 0) == math.inf
    assert own.poll(1.5, 0) == 1.5 + EVENT_POLL_S


def test_simulated_time_is_tagged_and_not_believed(graph, points):
    own = OwnTopics(graph.node, {lane: PointSink(arrived.append)
                                 for lane, arrived in points.items()}, {}, Counters(),
                    simulated=True)
    stamp = Time(sec=1_600_000_000)
    for topic, message, lane in (
            ('/test/events', Event(stamp=stamp, name='note'), 'urgent'),
            ('/test/metrics', MetricArray(stamp=stamp, metrics=[Metric(name='x', stamp=stamp)]),
             'state')):
        point = publish(graph, own, topic, message, points[lane])
        assert point['tags'] == {'clock': 'sim'}
        assert point['timestamp'] > 1_600_000_000_000
