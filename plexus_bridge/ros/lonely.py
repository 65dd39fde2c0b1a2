# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Says once, some seconds after the start, on which topics nobody has published so far."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
import logging
import math

from rclpy.node import Node

from plexus_bridge.ros.rule_intake import RuleIntake
from plexus_bridge.ros.rule_intake import RuleState

log = logging.getLogger(__name__)

# Long enough for a robot's nodes to start after the bridge.
LONELY_AFTER_S = 10.0


class LonelyTopics:
    """`poll` looks once, when it is time to."""

    def __init__(self, node: Node):
        self._node = node
        self._due: float | None = None

    def poll(self, now: float, topics: Iterable[RuleIntake]) -> None:
        """Warn of lonely topics, and say what may have been meant; `now` is monotonic seconds."""
        if self._due is None:
            self._due = now + LONELY_AFTER_S
        if now < self._due:
            return
        self._due = math.inf
        names = [name for name, _ in self._node.get_topic_names_and_types()]
        for topic in topics:
            if not self._is_lonely(topic):
                continue
            wanted = topic.topic or topic.rule.topic
            near = difflib.get_close_matches(
                wanted, [name for name in names if name != wanted], 1)
            log.warning('%s %s: nobody has published here for %.0f s%s',
                        topic.name, wanted, LONELY_AFTER_S,
                        f'; did you mean {near[0]}?' if near else '; it is waited for')

    def _is_lonely(self, topic: RuleIntake) -> bool:
        if topic.messages:
            return False
        # A camera that nobody watches is not looked for.
        return topic.state is RuleState.NO_PUBLISHER or (
            topic.state is RuleState.PAUSED and not self._node.count_publishers(topic.topic))
