# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Services, and what is done by them: parameters of nodes, transitions of managed ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.parameter import parameter_value_to_python

from plexus_bridge.commands.fields import pick
from plexus_bridge.commands.steps import LifecycleStep
from plexus_bridge.commands.steps import ParameterStep
from plexus_bridge.commands.steps import ServiceStep
from plexus_bridge.commands.templates import fill_text
from plexus_bridge.errors import CommandError
from plexus_bridge.ros.layouts import service_class
from plexus_bridge.ros.message_values import build
from plexus_bridge.ros.message_values import plain
from plexus_bridge.ros.targets.attempt import Attempt
from plexus_bridge.ros.targets.attempt import chosen

_TYPES = {bool: 'true or false', int: 'a whole number', float: 'a number', str: 'a text',
          list: 'a list'}


class Caller:
    """One service that is called; its client is made when it is first needed, and kept."""

    def __init__(self, node: Node, name: str, type_name: str | None):
        self._node = node
        self._client: Any = None
        self._class: Any = service_class(type_name) if type_name else None
        self._type = type_name or ''
        self.title = f'service {name}'
        self.name = name

    async def call(self, attempt: Attempt, values: Mapping[str, Any], wait_s: float) -> Any:
        """Call with such fields and return the response."""
        await self.ready(attempt, wait_s)
        request = build(self._class.Request, f'{self._type} request', values,
                        self._node.get_clock(), 'request')
        return await self.send(attempt, request)

    async def send(self, attempt: Attempt, request: Any) -> Any:
        """Send a request, once `ready`, and return the response."""
        future = self._client.call_async(request)
        try:
            return await attempt.answered(future, self._client.service_is_ready, self.title)
        finally:
            if not future.done():
                self._client.remove_pending_request(future)

    async def ready(self, attempt: Attempt, wait_s: float) -> None:
        """Wait until the service is there."""
        if self._class is None:
            await attempt.ready(self._find_type, wait_s, self.title)
        if self._client is None:
            self._client = self._node.create_client(self._class, self.name)
        await attempt.ready(self._client.service_is_ready, wait_s, self.title)

    def _find_type(self) -> bool:
        full_name = self._node.resolve_service_name(self.name)
        for name, types in self._node.get_service_names_and_types():
            if name == full_name:
                self._type = types[0]
                self._class = service_class(self._type)
        return self._class is not None


class ServicePerformer:
    """Calls the service of a step."""

    def __init__(self, node: Node, step: ServiceStep):
        self._step = step
        self._caller = Caller(node, step.name, step.type)
        self.title = self._caller.title

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Call it; CommandError if the response says that it did not go well."""
        step = self._step
        response: dict[str, Any] = plain(await self._caller.call(
            attempt, attempt.filled(step.request), step.wait_s))
        path = 'success' if step.success is None else step.success
        if path and pick(response, path) is False:
            said = response.get('message')
            raise CommandError('handler_error', said if isinstance(said, str) and said else (
                f'{self.title} answered {path}: false'))
        return chosen(response, step.result)


class ParameterPerformer:
    """Sets and reads parameters of a node, by the services that every node has."""

    def __init__(self, node: Node, step: ParameterStep):
        self._step = step
        self._set = Caller(node, f'{step.node}/set_parameters_atomically',
                           'rcl_interfaces/srv/SetParametersAtomically')
        self._get = Caller(node, f'{step.node}/get_parameters', 'rcl_interfaces/srv/GetParameters')
        self.title = f'parameters of {step.node}'

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Set them, all or none, and return those that are asked for, or what was set."""
        step = self._step
        values = attempt.filled(step.set)
        if values:
            await self.change(attempt, values)
        names = list(step.get) or list(values)
        return dict(zip(names, await self._read(attempt, names), strict=True))

    async def change(self, attempt: Attempt, values: dict[str, Any]) -> None:
        """Set parameters, all or none; CommandError says why they are not."""
        present = await self._read(attempt, list(values), may_lack=True)
        parameters = []
        for (name, value), old in zip(values.items(), present, strict=True):
            parameters.append(
                Parameter(name, value=self._like(old, name, value)).to_parameter_msg())
        await self._set.ready(attempt, self._step.wait_s)
        response = await self._set.send(
            attempt, SetParametersAtomically.Request(parameters=parameters))
        if not response.result.successful:
            raise CommandError(
                'handler_error', response.result.reason or f'{self.title} were not set')

    def _like(self, old: Any, name: str, value: Any) -> Any:
        """Return a value in the type that the parameter has; CommandError if it cannot be."""
        if type(old) is float and type(value) is int:
            return float(value)
        if type(old) is int and type(value) is float and value.is_integer():
            return int(value)
        if old is not None and type(old) is not type(value):
            raise CommandError(
                'bad_params', f'parameter {name} of {self._step.node}: saw {value!r}, expected '
                f'{_TYPES.get(type(old), "another type")}, as it is now ({old!r})')
        return value

    async def _read(self, attempt: Attempt, names: list[str], *, may_lack: bool = False
                    ) -> list[Any]:
        await self._get.ready(attempt, self._step.wait_s)
        response = await self._get.send(attempt, GetParameters.Request(names=names))
        if len(response.values) == len(names):
            return [_plain_value(value) for value in response.values]
        if may_lack:  # to set one that is not declared is for the node to allow
            return [None] * len(names)
        raise CommandError(
            'handler_error', f'{self._step.node} has no parameters {", ".join(names)}')


def _plain_value(value: Any) -> Any:
    found = parameter_value_to_python(value)
    return found if found is None or isinstance(found, str | bool | int | float) else plain(found)


class LifecyclePerformer:
    """Changes the state of a managed node."""

    def __init__(self, node: Node, step: LifecycleStep):
        self._step = step
        self._change = Caller(node, f'{step.node}/change_state', 'lifecycle_msgs/srv/ChangeState')
        self._state = Caller(node, f'{step.node}/get_state', 'lifecycle_msgs/srv/GetState')
        self.title = f'lifecycle of {step.node}'

    async def perform(self, attempt: Attempt) -> dict[str, Any]:
        """Ask for the transition and return the state that the node is in then."""
        wait_s = self._step.wait_s
        transition = fill_text(self._step.transition, attempt.run.params)
        request = ChangeState.Request()
        request.transition.label = transition
        await self._change.ready(attempt, wait_s)
        response = await self._change.send(attempt, request)
        await self._state.ready(attempt, wait_s)
        state = (await self._state.send(attempt, GetState.Request())).current_state.label
        if not response.success:
            raise CommandError(
                'handler_error', f'{self._step.node} did not {transition}; it is {state}')
        return {'state': state}
