# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""``~/run_command`` and ``~/execute``: what the dashboard may do, for the robot's own nodes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from rclpy.action import ActionServer
from rclpy.action import CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future

from plexus_bridge import encoding
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.programs import Program
from plexus_bridge.commands.programs import Programs
from plexus_bridge.errors import CommandError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.key_values import named_values
from plexus_msgs.action import Execute
from plexus_msgs.action import RunCommand

MAX_LINES = 1000


class LocalActions:
    """Both action servers; everything but the waiting happens on the executor's thread."""

    def __init__(self, node: Node, chores: Chores, dispatcher: Dispatcher, programs: Programs):
        self._chores = chores
        self._dispatcher = dispatcher
        self._programs = programs
        # By goal: how to end it early.
        self._cancels: dict[bytes, Callable[[], object]] = {}
        group = ReentrantCallbackGroup()
        # Kept, for nobody else does.
        self._servers = [
            ActionServer(node, kind, f'~/{name}', execute, callback_group=group,
                         cancel_callback=self._cancel)
            for kind, name, execute in (
                (RunCommand, 'run_command', self._run_command),
                (Execute, 'execute', self._execute))]

    def _cancel(self, handle: Any) -> CancelResponse:
        cancel = self._cancels.get(bytes(handle.goal_id.uuid))
        if cancel is not None:
            cancel()
        return CancelResponse.ACCEPT

    def _on_cancel(self, handle: Any, cancel: Callable[[], object]) -> None:
        self._cancels[bytes(handle.goal_id.uuid)] = cancel
        if handle.is_cancel_requested:  # before it began
            cancel()

    # -- commands

    async def _run_command(self, handle: Any) -> Any:
        request, result = handle.request, RunCommand.Result()
        end: Future[Mapping[str, Any]] = Future()

        def told(run_id: str, status: Mapping[str, Any]) -> None:
            # From any thread, to the one where goals are handled.
            self._chores.post(lambda: self._tell(handle, end, run_id, status))

        result.run_id = request.run_id
        try:
            run = self._dispatcher.run_local(
                request.command, named_values(request.params, request.params_json, 'params_json'),
                told, run_id=request.run_id, expires_in_s=request.expires_in_s or None)
        except CommandError as error:
            return _failed(handle, result, error.code, str(error))
        if run is not None:
            result.run_id = run.run_id
            self._on_cancel(handle, run.cancel)
        status: Mapping[str, Any] = await end
        self._cancels.pop(bytes(handle.goal_id.uuid), None)
        if status['state'] == 'failed':
            return _failed(handle, result, status['error_code'], status['error_message'])
        result.state = RunCommand.Result.STATE_SUCCEEDED
        result.result_json = encoding.dumps(status.get('result', {})).decode()
        handle.succeed()
        return result

    def _tell(self, handle: Any, end: Future[Mapping[str, Any]], run_id: str,
              status: Mapping[str, Any]) -> None:
        if status['state'] in ('succeeded', 'failed'):
            if not end.done():
                self._chores.settle(end, status)
        elif handle.is_active:
            handle.publish_feedback(RunCommand.Feedback(
                state=status['state'], progress=float(status.get('progress', 0.0)),
                message=status.get('message', '')))

    # -- programs

    async def _execute(self, handle: Any) -> Any:
        request, result = handle.request, Execute.Result()
        output = _Output(handle, result, self._chores)
        try:
            program: Program = self._programs.start(
                str(handle.goal_id.uuid), request.command, request.timeout_s or None, output.take)
        except CommandError as error:
            result.outcome = (
                Execute.Result.OUTCOME_NOT_STARTED if error.code in ('handler_error', 'busy')
                else Execute.Result.OUTCOME_REJECTED)
            result.message = str(error)
            handle.abort()
            return result
        self._on_cancel(handle, program.cancel)
        await output.end
        self._cancels.pop(bytes(handle.goal_id.uuid), None)
        result.exit_code = output.code
        if handle.is_cancel_requested:
            result.outcome = Execute.Result.OUTCOME_CANCELLED
            result.message = 'it was cancelled'
            handle.canceled()
        elif output.timed_out:
            result.outcome = Execute.Result.OUTCOME_TIMED_OUT
            result.message = 'its time was up'
            handle.abort()
        else:
            result.outcome = Execute.Result.OUTCOME_EXITED
            handle.succeed()
        return result


class _Output:
    """Lines of a program, gathered as they come and passed on once a turn of the executor."""

    def __init__(self, handle: Any, result: Any, chores: Chores):
        self.end: Future[None] = Future()
        self.code = 0
        self.timed_out = False
        self._handle = handle
        self._result = result
        self._chores = chores
        # Filled on one thread and emptied on another.
        self._lines: deque[str] = deque()
        self._waiting = False

    def take(self, message: Mapping[str, Any]) -> None:
        """Hear what the program says, on its reader's thread."""
        event = message['event']
        if event == 'data':
            if len(self._lines) >= MAX_LINES:
                self._result.lines_dropped += 1
                return
            self._lines.append(message['data'])
            if not self._waiting:
                self._waiting = True
                self._chores.post(self._pass_on)
        elif event == 'timeout':
            self.timed_out = True
        elif event == 'exit':
            self.code = message['code']
            self._chores.post(self._finish)

    def _pass_on(self) -> None:
        self._waiting = False
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines and self._handle.is_active:
            self._handle.publish_feedback(Execute.Feedback(lines=lines))

    def _finish(self) -> None:
        self._pass_on()
        self._chores.settle(self.end, None)


def _failed(handle: Any, result: Any, code: str, message: str) -> Any:
    result.state = RunCommand.Result.STATE_FAILED
    result.error_code = code
    result.error_message = message
    if code == RunCommand.Result.ERROR_CANCELLED and handle.is_cancel_requested:
        handle.canceled()
    else:
        handle.abort()
    return result
