# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot's own nodes may ask of the bridge: ``~/start_stream``, ``~/declare_command`` …"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.node import Node
from rclpy.task import Future
import yaml

from plexus_bridge.commands.streams import Streams
from plexus_bridge.errors import CommandError
from plexus_bridge.ros.chores import Chores
from plexus_bridge.ros.key_values import named_values
from plexus_msgs.srv import Configure
from plexus_msgs.srv import DeclareCommand
from plexus_msgs.srv import StartSession
from plexus_msgs.srv import StartStream
from plexus_msgs.srv import StopSession
from plexus_msgs.srv import StopStream

MAX_DECLARATION = 65_536


class LocalServices:
    """
    Services around `Streams`, and commands declared at run time.

    `declare` takes one entry of the map's `commands`, `withdraw` its name; CommandError says why
    not.
    """

    def __init__(self, node: Node, chores: Chores, streams: Streams,
                 declare: Callable[[dict[str, Any]], None], withdraw: Callable[[str], None]):
        self._streams = streams
        self._declare = declare
        self._chores = chores
        self._withdraw = withdraw
        for kind, name, serve in (
                (StartStream, 'start_stream', self._start_stream),
                (StopStream, 'stop_stream', self._stop_stream),
                (StartSession, 'start_session', self._start_session),
                (StopSession, 'stop_session', self._stop_session),
                (DeclareCommand, 'declare_command', self._declare_command)):
            node.create_service(kind, f'~/{name}', answered(serve))
        node.create_service(Configure, '~/configure', self._configure,
                            callback_group=ReentrantCallbackGroup())

    def _start_stream(self, request: Any, response: Any) -> None:
        response.stream_id = self._streams.start_stream(
            request.stream_id, tuple(request.metrics), float(request.interval_ms or 100),
            remote=False, keep=request.keep == StartStream.Request.KEEP_ALL)

    def _stop_stream(self, request: Any, response: Any) -> None:
        response.stream_ids = self._streams.stop_streams(request.stream_id)

    def _start_session(self, request: Any, response: Any) -> None:
        session = self._streams.start_session(
            request.session_id, request.session_name, tuple(request.metrics),
            float(request.interval_ms) or None)
        response.session_id = session.session_id

    def _stop_session(self, request: Any, response: Any) -> None:
        response.session_id = self._streams.stop_session(request.session_id).session_id

    async def _configure(self, request: Any, response: Any) -> Any:
        answer: Future[str] = Future()

        def done(problem: str) -> None:
            self._chores.settle(answer, problem)

        try:
            self._streams.configure(request.sensor, named_values(
                request.settings, request.settings_json, 'settings_json'), done)
            response.message = await answer
        except CommandError as error:
            response.message = str(error)
        response.success = not response.message
        return response

    def _declare_command(self, request: Any, response: Any) -> None:
        entry = _entry(request.declaration)
        if request.withdraw:
            self._withdraw(entry['name'])
        else:
            self._declare(entry)


def answered(serve: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    """Return a service's callback that says in `success` and `message` how it went."""
    def call(request: Any, response: Any) -> Any:
        try:
            serve(request, response)
        except CommandError as error:
            response.message = str(error)
        else:
            response.success = True
        return response
    return call


def _entry(text: str) -> dict[str, Any]:
    if len(text) > MAX_DECLARATION:
        raise CommandError('bad_params', f'declaration: longer than {MAX_DECLARATION} characters')
    try:
        entry = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandError('bad_params', f'declaration: is not YAML: {error}') from None
    if not isinstance(entry, dict) or not isinstance(entry.get('name'), str):
        raise CommandError(
            'bad_params', "declaration: expected an entry of the map's commands, such as "
            '{name: dock, service: {name: /dock}}')
    return entry
