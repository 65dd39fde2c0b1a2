# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""One rule on one topic of the graph, and why there is data from it, or none."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import enum
import logging
import math
import time
from typing import Any
from typing import TYPE_CHECKING

from rclpy.subscription import Subscription

from plexus_bridge.config.document import place_text
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.plan import Rule
from plexus_bridge.mapping.topic import Mapper
from plexus_bridge.ros.graph import Publishers
from plexus_bridge.video.rules import CameraRule

if TYPE_CHECKING:
    from plexus_bridge.ros.outcome import Outcome

log = logging.getLogger(__name__)

# A message's bytes and what the middleware says of it, and what takes one if there is one.
Taken = tuple[bytes, Mapping[str, int]]
TakeMessage = Callable[[Any, bool], 'Taken | None']


class RuleState(enum.Enum):
    """Why there is data, or none; names as in plexus_msgs/msg/RuleStatus."""

    STARTING = 'not looked at yet'
    NO_PUBLISHER = 'nobody publishes'
    WRONG_TYPE = 'wrong type'
    UNKNOWN_TYPE = 'type not installed'
    QOS_MISMATCH = 'not connected'
    NOTHING_PUBLISHED = 'nothing published yet'
    STALE = 'nothing published any more'
    PATH_MISSING = 'path missing'
    NOT_FINITE = 'values are no numbers'
    MALFORMED = 'messages cannot be read'
    RATE_LIMITED = 'everything is held back'
    PAUSED = 'switched off on request'
    LINK_DOWN = 'nothing reaches the gateway'
    OK = 'data flows'


_LEVELS = {
    RuleState.OK: logging.INFO, RuleState.NOT_FINITE: logging.WARNING,
    RuleState.NO_PUBLISHER: logging.DEBUG, RuleState.STALE: logging.INFO,
    RuleState.NOTHING_PUBLISHED: logging.DEBUG, RuleState.PAUSED: logging.INFO}
# Between these it goes back and forth with what is measured.
_FLOWING = frozenset((RuleState.OK, RuleState.RATE_LIMITED))


def _kind(reason: str) -> str:
    """Return a reason without its numbers: data that are cut short are one kind of trouble."""
    return ''.join(sign for sign in reason if not sign.isdigit())


_NOBODY = 'nobody publishes on this topic; it is waited for'
_GONE = 'whoever published here is gone; it is waited for'


@dataclass(eq=False, slots=True)
class RuleIntake:
    """One rule on one topic: the subscription, the mapping, and how it goes."""

    rule: Rule | CameraRule
    # Where it stands among all rules of the plan.
    index: int
    topic: str
    captures: Mapping[str, str] = field(default_factory=dict)
    state: RuleState = RuleState.STARTING
    reason: str = ''
    # Since when `state` holds, Unix ms.
    since_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    publishers: Publishers | None = None
    type: str = ''
    subscription: Subscription[Any] | None = None
    layout: Message | None = None
    # The one piece of rclpy's inside that polling needs: `handle.take_message`.
    take_message: TakeMessage | None = None
    message_class: Any = None
    mapper: Mapper | None = None
    # What comes of the messages; there where the mapper is. Whether any could be read.
    outcome: Outcome | None = None
    readable: bool = False
    # When it was heard last, on the clock of `poll`.
    heard_at: float = -math.inf
    last_received_ms: int = 0
    messages: int = 0
    # Points that were made of them; of a camera, pictures.
    points: int = 0
    # How many messages came from those who are gone.
    heard_before: int = 0
    unreadable: int = 0
    # Why the first message that could not be read was so.
    trouble: str = ''
    # Whether a publisher and the subscription suit each other, and since when there is one.
    fits: bool = False
    subscribed_at: float = -math.inf
    # Since when nobody publishes (the clock of `poll`), None while somebody does.
    gone_at: float | None = None
    publisher_count: int = -1
    # On the clock of `poll`: when publishers were counted, looked at, and heard first.
    counted_at: float = -math.inf
    discovered_at: float = -math.inf
    first_heard_at: float = math.inf
    # How often to look for messages.
    period_s: float = 0.0

    def tell(self, state: RuleState, reason: str) -> None:
        """Take note of how it goes; whatever is new is logged once."""
        if (state, reason) == (self.state, self.reason):
            return
        states = self.state, state
        is_news = state is not self.state or _kind(reason) != _kind(self.reason)
        if state is not self.state:
            self.since_ms = time.time_ns() // 1_000_000
        self.state = state
        self.reason = reason
        if not is_news:
            return
        level = logging.DEBUG if _FLOWING.issuperset(states) else _LEVELS.get(
            state, logging.ERROR)
        log.log(level, '%s %s: %s', self.name, self.topic or self.rule.topic, reason)

    def tell_nobody(self) -> None:
        """Take note that nobody publishes; that somebody did and is gone is worth a line."""
        if self.messages and self.state is not RuleState.NO_PUBLISHER:
            log.info('%s %s: %s', self.name, self.topic, _GONE)
        self.heard_before = self.messages
        self.tell(RuleState.NO_PUBLISHER, _GONE if self.messages else _NOBODY)

    @property
    def name(self) -> str:
        """The rule's place in the map, as people write it: ``metrics[3]``."""
        return place_text(self.rule.place)
