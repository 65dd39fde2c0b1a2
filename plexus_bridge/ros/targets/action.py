# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Actions: feedback becomes progress, cancelling the run cancels the goal."""

from __future__ import annotations

import time
from typing import Any

from action_msgs.msg import GoalStatus
from rclpy.action import ActionClient
from rclpy.node import Node

from plexus_bridge import encoding
from plexus_bridge.commands.fields import pick
from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import Progress
from plexus_bridge.errors import CommandCancelled
from plexus_bridge.errors import CommandError
from plexus_bridge.ros.layouts import action_class
from plexus_bridge.ros.message_values import build
from plexus_bridge.ros.message_values import plain
from plexus_bridge.ros.targets.attempt import Attempt
from plexus_bridge.ros.targets.attempt import chosen

# How long a server may take to end a goal that was cancelled.
CANCEL_S = 5.0
# Where feedback says how far it is, if the map does not tell.
_USUAL = ('progress', 'percent', 'percentage', 'percent_complete')
_FEEDBACK_BYTES = 512


class ActionPerformer:
    """Sends goals to one action."""

    def __init__(self, node: Node, step: ActionStep):
        self._node = node
        self._step = step
        self._class: Any = action_class(step.type) if step.type else None
        self._type = step.type or ''
        self._client: Any = None
        self.title = f'action {step.name}'

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Send a goal and return its result."""
        step = self._step
        if self._class is None:
            await attempt.ready(self._find_type, step.wait_s, self.title)
        if self._client is None:
            self._client = ActionClient(self._node, self._class, step.name)
        await attempt.ready(self._client.server_is_ready, step.wait_s, self.title)
        goal = build(self._class.Goal, f'{self._type} goal', attempt.filled(step.goal),
                     self._node.get_clock(), 'goal')
        feedback = _Feedback(attempt, step.progress)
        sent = self._client.send_goal_async(goal, feedback_callback=feedback.take)
        try:
            handle = await attempt.answered(sent, self._client.server_is_ready, self.title)
        except Exception:
            # Whoever accepts it later is told that nobody wants it any more.
            sent.add_done_callback(_cancel_late)
            raise
        if not handle.accepted:
            raise CommandError('handler_error', f'{self.title} rejected the goal')
        return await self._result(attempt, handle)

    async def _result(self, attempt: Attempt, handle: Any) -> dict[str, Any]:
        future = handle.get_result_async()
        attempt.run.on_cancel(lambda: attempt.chores.post(attempt.chores.pulse))
        try:
            answer = await attempt.answered(future, self._client.server_is_ready, self.title)
        except (CommandCancelled, CommandError):
            handle.cancel_goal_async()
            if not attempt.run.cancel_requested:
                raise
            await attempt.chores.until(
                lambda: bool(future.done()), time.monotonic() + CANCEL_S,
                f'{self.title} was asked to cancel and did not end within {CANCEL_S:g} s')
            answer = future.result()
        result = plain(answer.result)
        if answer.status == GoalStatus.STATUS_SUCCEEDED:
            return chosen(result, self._step.result)
        if answer.status == GoalStatus.STATUS_CANCELED:
            raise CommandCancelled(f'{self.title} was cancelled')
        raise CommandError('handler_error', f'{self.title} was aborted: {_shown(result)}')

    def _find_type(self) -> bool:
        full_name = f'{self._node.resolve_service_name(self._step.name)}/_action/send_goal'
        for name, types in self._node.get_service_names_and_types():
            if name == full_name:
                self._type = types[0].removesuffix('_SendGoal')
                self._class = action_class(self._type)
        return self._class is not None


class _Feedback:
    """Feedback of one goal as progress."""

    def __init__(self, attempt: Attempt, progress: Progress | None):
        self._attempt = attempt
        self._progress = progress
        self._first: float | None = None

    def take(self, message: Any) -> None:
        feedback = plain(message.feedback)
        self._attempt.progress(self._percent(feedback), _shown(feedback))

    def _percent(self, feedback: dict[str, Any]) -> float:
        if self._progress is None:
            name = next((name for name in _USUAL if _is_number(feedback.get(name))), None)
            return 0.0 if name is None else float(feedback[name])
        value = pick(feedback, self._progress.path)
        if not _is_number(value):
            return 0.0
        if self._first is None:
            self._first = float(value)
        return self._progress.percent(float(value), self._first)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: dict[str, Any]) -> str:
    text = encoding.dumps(value).decode()
    return text if len(text) <= _FEEDBACK_BYTES else f'{text[:_FEEDBACK_BYTES]}…'


def _cancel_late(sent: Any) -> None:
    handle = None if sent.cancelled() or sent.exception() else sent.result()
    if handle is not None and handle.accepted:
        handle.cancel_goal_async()
