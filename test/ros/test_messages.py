# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""plexus_msgs between two processes: what one sends is what the other reads."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
from typing import Any

from action_msgs.msg import GoalStatus
from diagnostic_msgs.msg import KeyValue
import pytest
from rclpy.action import ActionClient
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message

from plexus_msgs.action import RunCommand
from plexus_msgs.msg import BridgeStatus
from plexus_msgs.msg import DropCount
from plexus_msgs.msg import Event
from plexus_msgs.msg import LaneStatus
from plexus_msgs.msg import Metric
from plexus_msgs.msg import MetricArray
from plexus_msgs.msg import PassCriterion
from plexus_msgs.msg import RuleStatus
from plexus_msgs.msg import Value
from plexus_msgs.srv import EndRun

SUPPORT = Path(__file__).parents[1] / 'support'


@pytest.fixture
def peer(start: Callable[..., Any], ros_environment: dict[str, str]) -> Any:
    """The process on the other side."""
    path = os.pathsep.join([str(SUPPORT), ros_environment['PYTHONPATH']])
    return start('messages_peer', PYTHONPATH=path)


def test_a_message_comes_back_as_it_was_sent(graph, peer):
    sent = MetricArray(lane=MetricArray.LANE_BULK, tags=[KeyValue(key='site', value='lab')])
    sent.stamp.sec = 1_790_000_000
    sent.metrics = [
        Metric(name='arm.motor1.temperature', value=72.25, unit='Cel'),
        Metric(name='größe.µ', value=-0.0, tags=[KeyValue(key='joint', value='2')])]
    came_back = graph.collect(MetricArray, 'echo', 10)
    publisher = graph.node.create_publisher(MetricArray, 'metrics', 10)

    def returned() -> bool:
        publisher.publish(sent)  # again and again: the peer may join late
        return bool(came_back)

    graph.spin_until(returned, f'the metrics come back; {peer.output}')
    assert came_back[0] == sent


def test_a_service_carries_criteria_and_verdict(graph, peer):
    criterion = PassCriterion(
        metric='arm.motor1.temperature', comparison=PassCriterion.LESS_OR_EQUAL, value=80.0,
        label='motor stays cool')
    request = EndRun.Request(run_id='r-1', pass_criteria=[criterion])
    response = graph.call(EndRun, 'end_run', request)
    assert response.success
    assert response.run_id == 'r-1'
    assert response.verdict == EndRun.Response.VERDICT_FAILED
    assert [result.criterion for result in response.results] == [criterion]
    assert [result.detail for result in response.results] == ['no data']


def test_an_action_gives_feedback_and_a_result(graph, peer):
    client = ActionClient(graph.node, RunCommand, 'run_command')
    graph.spin_until(client.server_is_ready, f'the action is there; {peer.output}')
    goal = RunCommand.Goal(
        command='dock', params=[KeyValue(key='dock', value='a')], run_id='r-2')
    feedback: list[Any] = []
    accepted = client.send_goal_async(goal, lambda message: feedback.append(message.feedback))
    graph.spin_until(accepted.done, 'the goal is answered')
    assert accepted.result().accepted
    finished = accepted.result().get_result_async()
    graph.spin_until(lambda: finished.done() and feedback, 'the action ends')
    client.destroy()

    assert finished.result().status == GoalStatus.STATUS_SUCCEEDED
    result = finished.result().result
    assert (result.state, result.run_id, result.error_code) == ('succeeded', 'r-2', '')
    assert json.loads(result.result_json) == {'command': 'dock', 'params': {'dock': 'a'}}
    assert [(each.state, each.progress) for each in feedback] == [('progress', 50.0)]


@pytest.mark.parametrize('value', [
    Value(type=Value.TYPE_BOOLEAN, boolean=True),
    Value(type=Value.TYPE_NUMBER, number=-1.5e300),
    Value(type=Value.TYPE_STRING, text='blockiert – Tür 3'),
    Value(type=Value.TYPE_JSON, text='{"from": "IDLE", "to": ["AUTO"]}'),
], ids=['boolean', 'number', 'string', 'json'])
def test_an_event_carries_every_kind_of_value(value):
    event = Event(name='door.blocked', value=value, severity=Event.SEVERITY_WARN)
    assert deserialize_message(serialize_message(event), Event) == event


def test_the_status_nests_lanes_rules_and_drops():
    dropped = [DropCount(reason='not_finite', count=2**63)]
    rule = RuleStatus(
        section=RuleStatus.SECTION_METRICS, topic='/scan', state=RuleStatus.STATE_QOS_MISMATCH,
        reason='publisher is best effort', dropped=dropped)
    status = BridgeStatus(
        link=BridgeStatus.LINK_ONLINE, rules=[rule], lanes=[LaneStatus(name='urgent')])
    again = deserialize_message(serialize_message(status), BridgeStatus)
    assert again == status
    assert again.rules[0].dropped[0].count == 2**63


def test_the_comparisons_are_those_of_the_protocol():
    assert {
        PassCriterion.GREATER, PassCriterion.GREATER_OR_EQUAL, PassCriterion.LESS,
        PassCriterion.LESS_OR_EQUAL, PassCriterion.EQUAL, PassCriterion.NOT_EQUAL,
    } == {'>', '>=', '<', '<=', '=', '!='}


def test_the_error_codes_are_those_of_the_protocol():
    assert {
        RunCommand.Result.ERROR_UNKNOWN_COMMAND, RunCommand.Result.ERROR_BAD_PARAMS,
        RunCommand.Result.ERROR_EXPIRED_ON_ARRIVAL, RunCommand.Result.ERROR_BUSY,
        RunCommand.Result.ERROR_DUPLICATE, RunCommand.Result.ERROR_HANDLER_ERROR,
        RunCommand.Result.ERROR_CANCELLED,
    } == {'unknown_command', 'bad_params', 'expired_on_arrival', 'busy', 'duplicate',
          'handler_error', 'cancelled'}
