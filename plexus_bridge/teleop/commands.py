# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
The commands by which an operator drives: `drive`, `stop`, `estop` and `release`.

They are declared and run as any other command (protocol section 8), so that every gateway that
speaks commands can carry them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Protocol

from plexus_bridge.commands.declarations import declare
from plexus_bridge.commands.dispatcher import Dispatcher
from plexus_bridge.commands.run import Run
from plexus_bridge.errors import CommandError
from plexus_bridge.protocol.declarations import MIN_EXPIRY_S
from plexus_bridge.teleop.orders import Accepted
from plexus_bridge.teleop.orders import Granted
from plexus_bridge.teleop.orders import Order
from plexus_bridge.teleop.orders import Refused
from plexus_bridge.teleop.teleop import TeleopSettings
from plexus_bridge.teleop.velocity import AXES

MAX_NAME = 64
_UNNAMED = 'unnamed operator'


class Driver(Protocol):
    """What drives: each call takes effect before it returns; any thread may call."""

    def drive(self, order: Order) -> Granted | Accepted | Refused:
        """Follow an order at once, or say why not."""

    def release(self, operator: str, lease: str) -> Refused | None:
        """End a lease: the robot stops at once."""

    def stop(self, operator: str) -> None:
        """Stop the robot at once, whoever asks."""

    def emergency_stop(self, who: str) -> None:
        """Stop the robot at once, until it is released on the robot's side."""

    def refused(self, operator: str, text: str) -> None:
        """Take note of an order that was refused before it came here."""

    def clock_ms(self) -> float:
        """Return the robot's clock, which orders may echo."""


def offer_driving(dispatcher: Dispatcher, driver: Driver, settings: TeleopSettings) -> None:
    """Have a dispatcher offer the commands; nothing of them is ever run late or twice."""
    operator = {'type': 'string', 'maxLength': MAX_NAME, 'title': 'Operator', 'required': False}
    lease = {'type': 'string', 'maxLength': 64, 'required': False,
             'description': 'From the answer to a drive of zero without a lease.'}
    number = {'type': 'number', 'required': False}
    drive_params = {
        'operator': operator, 'lease': lease,
        'seq': {'type': 'integer', 'minimum': 0, 'required': False,
                'description': 'Grows with each order of a lease.'},
        'issued_ms': {**number, 'description': "When it was issued, by the operator's clock."},
        'echo_ms': {**number, 'description': 'robot_ms of the newest answer that was seen.'},
        **{_param(axis): {
            'type': 'number', 'required': False, 'minimum': limit.lowest,
            'maximum': limit.highest, 'unit': 'm/s' if axis.startswith('linear') else 'rad/s'}
           for axis, limit in settings.limits.axes.items()}}
    table: list[tuple[str, str, dict[str, Any], Callable[[Run], object], bool]] = [
        ('drive', 'Drive', drive_params, lambda run: _drive(driver, settings, run), False),
        ('release', 'Release the robot', {'operator': operator, 'lease': lease},
         lambda run: _release(driver, run), True),
        ('stop', 'Stop', {'operator': operator},
         lambda run: driver.stop(_operator(run)), True),
        ('estop', 'Emergency stop, released on the robot only', {'operator': operator},
         lambda run: driver.emergency_stop(_operator(run)), True)]
    for name, title, params, act, unlimited in table:
        dispatcher.add(
            declare(name, params, title=title, expires_in_s=MIN_EXPIRY_S, concurrency='accept'),
            _AtOnce(act), momentary=True, unlimited=unlimited,
            on_refused=lambda params, error: driver.refused(_named(params), str(error)))


class _AtOnce:
    """Acts on the link's own thread: orders keep their order and wait for nothing."""

    def __init__(self, act: Callable[[Run], object]):
        self._act = act

    def start(self, run: Run) -> None:
        run.succeed(self._act(run))


def _drive(driver: Driver, settings: TeleopSettings, run: Run) -> dict[str, Any]:
    params = run.params
    answer = driver.drive(Order(
        operator=_operator(run),
        velocity={axis: params[_param(axis)] for axis in AXES if _param(axis) in params},
        lease=params.get('lease', ''), seq=params.get('seq'),
        issued_ms=params.get('issued_ms'), echo_ms=params.get('echo_ms')))
    if isinstance(answer, Refused):
        raise _refusal(answer)
    said: dict[str, Any] = {'robot_ms': driver.clock_ms()}
    if isinstance(answer, Granted):
        return {**said, 'lease': answer.lease, 'deadman_ms': settings.deadman_ms,
                'max_age_ms': settings.max_age_ms}
    if answer.age_ms is not None:
        said['age_ms'] = round(answer.age_ms, 1)
    return {**said, 'speed_factor': round(answer.speed_factor, 3)}


def _release(driver: Driver, run: Run) -> None:
    refused = driver.release(_operator(run), run.params.get('lease', ''))
    if refused is not None:
        raise _refusal(refused)


def _refusal(refused: Refused) -> CommandError:
    return CommandError('handler_error', f'{refused.why.value}: {refused.text}')


def _operator(run: Run) -> str:
    return run.params.get('operator') or _UNNAMED


def _named(params: object) -> str:
    """Return the operator's name from parameters that may be anything."""
    name = params.get('operator') if isinstance(params, Mapping) else None
    return name[:MAX_NAME] if isinstance(name, str) and name else _UNNAMED


def _param(axis: str) -> str:
    return axis.replace('.', '_')
