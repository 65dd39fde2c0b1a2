# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""
Declared commands as a gateway reads them: the contract of protocol section 8.1, checked again.

A device says in `device_auth` which commands it has; whoever runs one is held to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import math
import re
from typing import Any

from plexus_bridge.errors import CommandError
from plexus_bridge.errors import RemoteProtocolError

MAX_PARAMETERS = 16
MAX_ENUM = 64
MIN_EXPIRY_S = 5.0
MAX_EXPIRY_S = 3600.0
DEFAULT_EXPIRY_S = 30.0
DANGERS = ('normal', 'dangerous', 'critical')
CONCURRENCIES = ('accept', 'reject')

_NAME = re.compile(r'[a-z][a-z0-9_]{0,63}')
_ANY_TYPE = frozenset(('type', 'required', 'default', 'title', 'description'))
_NUMERIC = frozenset(('minimum', 'maximum', 'unit'))
_KEYWORDS = {'string': _ANY_TYPE | {'maxLength', 'enum'}, 'integer': _ANY_TYPE | _NUMERIC,
             'number': _ANY_TYPE | _NUMERIC, 'boolean': _ANY_TYPE}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a command; `spec` is its declaration."""

    name: str
    type: str
    required: bool
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class Declaration:
    """A command that a device has declared; `body` is what it said, in the form of section 8.1."""

    name: str
    parameters: Mapping[str, Parameter]
    danger: str
    idempotent: bool
    expires_in_s: float
    concurrency: str
    body: Mapping[str, Any]

    def check(self, params: object) -> None:
        """
        Raise CommandError ``bad_params`` unless a device would take these parameters.

        What the device converts (section 8.3: ``"7"`` for an integer) is let through.
        """
        if params is None:
            params = {}
        if not isinstance(params, dict):
            raise _bad(f'params: saw {type(params).__name__}, expected an object')
        for name, value in params.items():
            parameter = self.parameters.get(name)
            if parameter is None:
                known = ', '.join(sorted(self.parameters)) or 'none'
                raise _bad(f'params: saw {_shown(name)}, expected one of: {known}')
            if value is not None:
                _check_value(parameter, value)
        for name, parameter in self.parameters.items():
            if parameter.required and params.get(name) is None:
                raise _bad(f'params.{name}: is missing')


def read_declaration(raw: object) -> Declaration:
    """Read one entry of `device_auth.commands`; RemoteProtocolError says what is wrong."""
    if not isinstance(raw, dict):
        raise RemoteProtocolError(f'saw {type(raw).__name__}, expected an object')
    name = raw.get('name')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RemoteProtocolError(
            f'name: saw {_shown(name)}, expected a lower-case letter and up to 63 more letters, '
            'digits and "_"')
    try:
        return _read_named(name, raw)
    except RemoteProtocolError as error:
        raise RemoteProtocolError(f'{name}: {error}') from None


def clamp_expiry(seconds: object) -> float:
    """Return an expiry within the limits of section 8.1; the default for what is no number."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds:
        return DEFAULT_EXPIRY_S
    return float(min(max(seconds, MIN_EXPIRY_S), MAX_EXPIRY_S))


def _read_named(name: str, raw: dict[str, Any]) -> Declaration:
    params = raw.get('params')
    if not isinstance(params, dict):
        raise RemoteProtocolError(
            f'params: saw {type(params).__name__}, expected an object of name and type '
            '(legacy entries, whose params are a list, are not declarations)')
    if len(params) > MAX_PARAMETERS:
        raise RemoteProtocolError(f'params: saw {len(params)}, expected at most {MAX_PARAMETERS}')
    parameters = {key: _read_parameter(key, spec) for key, spec in params.items()}
    idempotent = raw.get('idempotent')
    if not isinstance(idempotent, bool):
        raise RemoteProtocolError(f'idempotent: saw {_shown(idempotent)}, expected true or false')
    expiry = clamp_expiry(raw.get('expires_in_s'))
    for key in ('title', 'description'):
        _expect_text(raw, key)
    danger = _one_of(raw, 'danger', DANGERS)
    concurrency = _one_of(raw, 'concurrency', CONCURRENCIES)
    body = {
        'name': name, 'params': params, 'danger': danger, 'idempotent': idempotent,
        'expires_in_s': expiry, 'concurrency': concurrency,
        **{key: raw[key] for key in ('title', 'description') if raw.get(key) is not None}}
    return Declaration(name, parameters, danger, idempotent, expiry, concurrency, body)


def _read_parameter(name: str, spec: object) -> Parameter:
    if not _NAME.fullmatch(name):
        raise RemoteProtocolError(f'params: saw {_shown(name)}, expected names as of commands')
    where = f'params.{name}'
    if not isinstance(spec, dict):
        raise RemoteProtocolError(f'{where}: saw {type(spec).__name__}, expected an object')
    kind = spec.get('type')
    keywords = _KEYWORDS.get(kind) if isinstance(kind, str) else None
    if keywords is None or not isinstance(kind, str):
        raise RemoteProtocolError(
            f'{where}.type: saw {_shown(kind)}, expected string, integer, number or boolean')
    for key in spec:
        if key not in keywords:
            raise RemoteProtocolError(
                f'{where}: saw {_shown(key)}, expected of a {kind} only '
                f'{", ".join(sorted(keywords))}')
    has_default = spec.get('default') is not None
    required = spec.get('required', not has_default)
    if not isinstance(required, bool):
        raise RemoteProtocolError(f'{where}.required: saw {_shown(required)}, expected a boolean')
    if required and has_default:
        raise RemoteProtocolError(f'{where}: is required and has a default, expected one of both')
    for key in ('title', 'description', 'unit'):
        _expect_text(spec, key, where)
    _check_constraints(where, spec)
    parameter = Parameter(name, kind, required, spec)
    if has_default:
        _check_default(where, parameter)
    return parameter


def _check_constraints(where: str, spec: dict[str, Any]) -> None:
    for key in ('minimum', 'maximum'):
        if key in spec and not _is_number(spec[key]):
            raise RemoteProtocolError(f'{where}.{key}: saw {_shown(spec[key])}, expected a number')
    if 'minimum' in spec and 'maximum' in spec and spec['minimum'] > spec['maximum']:
        raise RemoteProtocolError(
            f'{where}: minimum {spec["minimum"]} is above maximum {spec["maximum"]}')
    length = spec.get('maxLength', 1)
    if type(length) is not int or length < 1:
        raise RemoteProtocolError(
            f'{where}.maxLength: saw {_shown(length)}, expected an integer from 1 on')
    enum = spec.get('enum', ['-'])
    if (not isinstance(enum, list) or not 1 <= len(enum) <= MAX_ENUM
            or not all(isinstance(one, str) for one in enum)):
        raise RemoteProtocolError(f'{where}.enum: expected 1 to {MAX_ENUM} strings')


def _check_default(where: str, parameter: Parameter) -> None:
    default = parameter.spec['default']
    expected: dict[str, Any] = {
        'string': isinstance(default, str), 'boolean': isinstance(default, bool),
        'integer': type(default) is int, 'number': _is_number(default)}
    if not expected[parameter.type]:
        raise RemoteProtocolError(
            f'{where}.default: saw {_shown(default)}, expected a {parameter.type}')
    try:
        _check_value(parameter, default)
    except CommandError as error:
        raise RemoteProtocolError(f'{where}.default: {error}') from None


# -- values

def _check_value(parameter: Parameter, value: object) -> None:
    where = f'params.{parameter.name}'
    spec = parameter.spec
    if parameter.type == 'string':
        if not isinstance(value, str):
            raise _bad(f'{where}: saw {_shown(value)}, expected a string')
        if len(value) > spec.get('maxLength', len(value)):
            raise _bad(f'{where}: saw {len(value)} characters, expected at most '
                       f'{spec["maxLength"]}')
        if value not in spec.get('enum', (value,)):
            raise _bad(f'{where}: saw {_shown(value)}, expected one of {spec["enum"]}')
        return
    if parameter.type == 'boolean':
        if not _is_truth(value):
            raise _bad(f'{where}: saw {_shown(value)}, expected true or false')
        return
    number = _as_number(value)
    if number is None or (parameter.type == 'integer' and number != int(number)):
        raise _bad(f'{where}: saw {_shown(value)}, expected a finite {parameter.type}')
    if number < spec.get('minimum', number) or number > spec.get('maximum', number):
        raise _bad(f'{where}: saw {_shown(value)}, expected '
                   f'{spec.get("minimum", "-∞")} to {spec.get("maximum", "∞")}')


def _is_truth(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in ('true', 'false')
    return isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1))


def _as_number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _is_number(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, int | float) and (
        _as_number(value) is not None)


# -- texts

def _one_of(raw: dict[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    value = raw.get(key)
    if value not in allowed or not isinstance(value, str):
        raise RemoteProtocolError(
            f'{key}: saw {_shown(value)}, expected {", ".join(allowed[:-1])} or {allowed[-1]}')
    return value


def _expect_text(raw: dict[str, Any], key: str, where: str = '') -> None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise RemoteProtocolError(
            f'{where}{"." if where else ""}{key}: saw {_shown(value)}, expected a text')


def _bad(text: str) -> CommandError:
    return CommandError('bad_params', text)


def _shown(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float) else type(value).__name__
