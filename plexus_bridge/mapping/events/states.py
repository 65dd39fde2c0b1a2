# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Ends of action goals and transitions of lifecycle nodes, as ROS publishes them by itself."""

from __future__ import annotations

from collections.abc import Mapping

from plexus_bridge.mapping.event_points import make_event
from plexus_bridge.mapping.events.rules import ACTION_STATUS
from plexus_bridge.mapping.events.rules import EventRule
from plexus_bridge.mapping.events.rules import TRANSITIONS
from plexus_bridge.mapping.every_message import EveryMessage
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.paths import parse_path
from plexus_bridge.mapping.reader import compile_reader
from plexus_bridge.mapping.sinks import Sink
from plexus_bridge.mapping.template import fill
from plexus_bridge.mapping.template import fill_name

GOAL_STATUSES = 'action_msgs/msg/GoalStatusArray'
TRANSITION_EVENT = 'lifecycle_msgs/msg/TransitionEvent'
# Ends of action_msgs/msg/GoalStatus, and how grave they are.
ENDS = {4: 'succeeded', 5: 'canceled', 6: 'aborted'}
_SEVERITIES = {'succeeded': 'info', 'canceled': 'warn', 'aborted': 'error'}
# Goals of one action whose end was told.
MAX_GOALS = 1024
# Topics are found within a second or two of their publisher.
RECENT_MS = 4_000


class GoalMapper(EveryMessage):
    """
    An event for each goal that ends; ends from before the first message are no news.

    Unless the goal was taken moments ago: whoever offers an action may have it fail before its
    topic is found.
    """

    def __init__(self, rule: EventRule, message: Message, topic: str,
                 captures: Mapping[str, str], sinks: Mapping[str, Sink]):
        action = topic.removesuffix(ACTION_STATUS)
        self._event = fill_name(rule.event or 'action.{action}', {
            **captures, 'action': dotted(action)})
        self._tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        self._ends = rule.ends
        self._sink = sinks['urgent']
        self._read = compile_reader(message, [parse_path(path) for path in (
            'status_list[*].goal_info.goal_id.uuid', 'status_list[*].goal_info.stamp',
            'status_list[*].status')])
        self._told: dict[bytes, None] | None = None

    def take(self, data: bytes, received_ms: int) -> None:
        """Take one message; MappingError if it cannot be read."""
        goals, stamps, statuses = self._read(data)
        is_first = self._told is None
        told = self._told = {} if self._told is None else self._told
        for goal, (seconds, _), status in zip(goals, stamps, statuses, strict=True):
            end, identity = ENDS.get(status), bytes(goal)
            if end is None or identity in told:
                continue
            told[identity] = None
            if len(told) > MAX_GOALS:
                del told[next(iter(told))]
            is_news = not is_first or 0 <= received_ms - seconds * 1000 <= RECENT_MS
            if end in self._ends and is_news:
                self._sink.add(make_event(
                    self._event, end, received_ms, self._tags, _SEVERITIES[end],
                    {'goal_id': identity.hex()}))


class TransitionMapper(EveryMessage):
    """An event for each transition of a lifecycle node."""

    def __init__(self, rule: EventRule, message: Message, topic: str,
                 captures: Mapping[str, str], sinks: Mapping[str, Sink]):
        node = topic.removesuffix(TRANSITIONS)
        self._event = fill_name(
            rule.event or 'lifecycle.{node}', {**captures, 'node': dotted(node)})
        self._tags = {key: fill(value, captures) for key, value in rule.tags.items()}
        self._severity = rule.severity or 'info'
        self._sink = sinks['urgent']
        self._read = compile_reader(message, [parse_path(path) for path in (
            'transition.label', 'start_state.label', 'goal_state.label')])

    def take(self, data: bytes, received_ms: int) -> None:
        """Take one message; MappingError if it cannot be read."""
        transition, start, goal = self._read(data)
        self._sink.add(make_event(
            self._event, {'transition': transition, 'from': start, 'to': goal}, received_ms,
            self._tags, 'error' if goal == 'errorprocessing' else self._severity))


def dotted(name: str) -> str:
    """Return a ROS name as a part of an event's name: ``/robot1/dock`` is ``robot1.dock``."""
    return name.strip('/').replace('/', '.')
