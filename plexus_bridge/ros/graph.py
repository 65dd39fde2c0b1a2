# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What is on a topic: its name, its type, and the quality of service that suits all publishers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy

from plexus_bridge.mapping.topic_pattern import full_name


@dataclass(frozen=True)
class Publishers:
    """
    Those of one topic, ourselves left out.

    `reliable` and `transient_local` hold only if they hold for all: asking for more than one of
    them offers would connect to nobody of it.
    """

    count: int
    types: tuple[str, ...]
    reliable: bool
    transient_local: bool

    def qos(self, depth: int) -> QoSProfile:
        """Return a subscription's profile that matches every publisher."""
        return QoSProfile(
            history=HistoryPolicy.KEEP_LAST, depth=depth,
            reliability=ReliabilityPolicy.RELIABLE if self.reliable
            else ReliabilityPolicy.BEST_EFFORT,
            durability=DurabilityPolicy.TRANSIENT_LOCAL if self.transient_local
            else DurabilityPolicy.VOLATILE)


def find_publishers(node: Node, topic: str) -> Publishers:
    """Ask the graph who publishes on a fully resolved topic name."""
    endpoints = node.get_publishers_info_by_topic(topic)
    own = (node.get_name(), node.get_namespace())
    others = [end for end in endpoints if (end.node_name, end.node_namespace) != own]
    return Publishers(
        count=len(others),
        types=tuple(sorted({end.topic_type for end in others})),
        reliable=_all(others, 'reliability', ReliabilityPolicy.RELIABLE),
        transient_local=_all(others, 'durability', DurabilityPolicy.TRANSIENT_LOCAL))


def resolve_pattern(node: Node, text: str) -> str:
    """Return a topic pattern with its namespace, as `resolve_topic_name` does for plain names."""
    return full_name(text, node.get_namespace(), node.get_name())


def _all(endpoints: Sequence[object], policy: str, wanted: object) -> bool:
    return bool(endpoints) and all(
        getattr(end.qos_profile, policy) == wanted for end in endpoints)  # type: ignore[attr-defined]
