# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The inventory of `device_auth`: each topic of a metric rule is a sensor (section 11.2)."""

from __future__ import annotations

from typing import Any

from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.inventory import sensor
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.ros.intake import Intake
from plexus_bridge.ros.layouts import message_layout

# An introduction is one message of at most 1 MiB.
MAX_SENSORS = 200


def sensors(intake: Intake) -> list[dict[str, Any]]:
    """Return what is measured as far as it is known now; any thread may call."""
    told = []
    for topic in intake.topics:
        rule = intake.rule_now(topic)
        # What a black box keeps is sent with its event only.
        if not isinstance(rule, MetricRule) or rule.place[:1] != ('metrics',):
            continue
        type_name = topic.type or rule.type
        try:
            layout = message_layout(type_name) if type_name else None
        except MappingError:
            layout = None
        publishers = topic.publishers
        told.append(sensor(
            rule, topic.topic or rule.topic, layout, topic.captures,
            available=publishers is not None and publishers.count > 0))
    return told[:MAX_SENSORS]
