# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands of the map as targets of the dispatcher: their steps, one after the other."""

from __future__ import annotations

import logging
import time
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

from plexus_bridge.commands.run import Run
from plexus_bridge.commands.steps import ActionStep
from plexus_bridge.commands.steps import CommandRule
from plexus_bridge.commands.steps import LifecycleStep
from plexus_bridge.commands.steps import ParameterStep
from plexus_bridge.commands.steps import PauseStep
from plexus_bridge.commands.steps import PublishStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.commands.steps import Step
from plexus_bridge.errors import CommandError
from plexus_bridge.errors import MappingError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.layouts import message_class
from plexus_bridge.ros.message_values import build
from plexus_bridge.ros.targets.action import ActionPerformer
from plexus_bridge.ros.targets.attempt import Attempt
from plexus_bridge.ros.targets.attempt import Performer
from plexus_bridge.ros.targets.service import LifecyclePerformer
from plexus_bridge.ros.targets.service import ParameterPerformer
from plexus_bridge.ros.targets.service import ServicePerformer

log = logging.getLogger(__name__)

_QUEUE = 10


class PublishPerformer:
    """Publishes messages on one topic; the publisher is there from the start, to be found."""

    def __init__(self, node: Node, step: PublishStep):
        self._node = node
        self._step = step
        self._class = message_class(step.type)
        self._publisher = node.create_publisher(self._class, step.topic, QoSProfile(depth=_QUEUE))
        self.title = f'topic {step.topic}'

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Publish one and return how many subscriptions there are."""
        step = self._step
        message = build(self._class, step.type, attempt.filled(step.message),
                        self._node.get_clock(), 'message')
        if step.wait_s:
            await attempt.wait(
                lambda: self._publisher.get_subscription_count() > 0,
                min(attempt.deadline, time.monotonic() + step.wait_s),
                f'nobody listens to {step.topic} (waited {step.wait_s:g} s)')
        self._publisher.publish(message)
        return {'subscriptions': self._publisher.get_subscription_count()}


class PausePerformer:
    """Waits."""

    def __init__(self, step: PauseStep):
        self._seconds = step.seconds
        self.title = f'pause of {step.seconds:g} s'

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Let the time pass."""
        end = time.monotonic() + self._seconds
        await attempt.wait(lambda: time.monotonic() >= end, attempt.deadline,
                           f'the time of {attempt.timeout_s:g} s is up')
        return {}


def performer(node: Node, step: Step) -> Performer:
    """Return what carries out a step; MappingError for a type that is not installed."""
    if isinstance(step, ServiceStep):
        return ServicePerformer(node, step)
    if isinstance(step, ActionStep):
        return ActionPerformer(node, step)
    if isinstance(step, ParameterStep):
        return ParameterPerformer(node, step)
    if isinstance(step, PublishStep):
        return PublishPerformer(node, step)
    if isinstance(step, LifecycleStep):
        return LifecyclePerformer(node, step)
    return PausePerformer(step)


class MapTarget:
    """Carries out runs of one command of the map, on the executor's thread."""

    def __init__(self, node: Node, rule: CommandRule, chores: Chores):
        self._timeout_s = rule.timeout_s
        self._chores = chores
        self._performers = [performer(node, step) for step in rule.steps]

    def start(self, run: Run) -> None:
        """Begin a run, after those that were begun before."""
        self._chores.begin(lambda: self._perform(run))

    async def _perform(self, run: Run) -> None:
        if run.ended:
            return
        try:
            if run.expired():
                raise CommandError('expired_on_arrival', 'its time was up before it began')
            run.running()
            results = await self._steps(run, time.monotonic() + self._timeout_s)
            run.succeed(results[0] if len(results) == 1 else {'steps': results})
        except Exception as error:
            if not isinstance(error, CommandError | MappingError):
                log.error('command %s failed unexpectedly', run.command, exc_info=error)
            run.fail_with(error)

    async def _steps(self, run: Run, deadline: float) -> list[dict[str, Any]]:
        results: list[dict[str, Any]] = []
        count = len(self._performers)
        for index, step in enumerate(self._performers):
            share = 100 * index / count, 100 * (index + 1) / count
            attempt = Attempt(run, self._chores, deadline, self._timeout_s, share)
            run.on_cancel(lambda: self._chores.post(self._chores.pulse))
            try:
                results.append(await step.perform(attempt))
            except CommandError as error:
                if count == 1:
                    raise
                raise CommandError(
                    error.code, f'step {index + 1} of {count} ({step.title}): {error}') from error
            if index < count - 1:
                attempt.progress(100.0, f'{step.title} is done')
        return results
