# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The other process of `test_messages.py`: answers on every kind of interface of plexus_msgs."""

from __future__ import annotations

import contextlib
import json

import rclpy
from rclpy.action import ActionServer
from rclpy.action.server import ServerGoalHandle
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from plexus_msgs.action import RunCommand
from plexus_msgs.msg import CriterionResult
from plexus_msgs.msg import MetricArray
from plexus_msgs.srv import EndRun


class Peer(Node):
    """Sends metrics back, judges runs, runs commands."""

    def __init__(self) -> None:
        super().__init__('peer')
        self._echo = self.create_publisher(MetricArray, 'echo', 10)
        self.create_subscription(MetricArray, 'metrics', self._echo.publish, 10)
        self.create_service(EndRun, 'end_run', self._end_run)
        self._server = ActionServer(self, RunCommand, 'run_command', self._run_command)

    def _end_run(self, request: EndRun.Request, response: EndRun.Response) -> EndRun.Response:
        response.success = True
        response.run_id = request.run_id
        response.verdict = EndRun.Response.VERDICT_FAILED
        response.results = [
            CriterionResult(criterion=criterion, passed=False, detail='no data')
            for criterion in request.pass_criteria]
        return response

    def _run_command(self, goal: ServerGoalHandle) -> RunCommand.Result:
        feedback = RunCommand.Feedback(
            state=RunCommand.Feedback.STATE_PROGRESS, progress=50.0, message='half way')
        goal.publish_feedback(feedback)
        goal.succeed()
        params = {param.key: param.value for param in goal.request.params}
        return RunCommand.Result(
            state=RunCommand.Result.STATE_SUCCEEDED, run_id=goal.request.run_id,
            result_json=json.dumps({'command': goal.request.command, 'params': params}))


def main() -> None:
    """Serve until the process is ended."""
    rclpy.init()
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Peer())


if __name__ == '__main__':
    main()
