# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands as a robot declares them (protocol section 8.1), and the parameters it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plexus_bridge.errors import CommandDeclarationError
from plexus_bridge.errors import RemoteProtocolError
from plexus_bridge.protocol.declarations import Declaration
from plexus_bridge.protocol.declarations import DEFAULT_EXPIRY_S
from plexus_bridge.protocol.declarations import MAX_EXPIRY_S
from plexus_bridge.protocol.declarations import MIN_EXPIRY_S
from plexus_bridge.protocol.declarations import Parameter
from plexus_bridge.protocol.declarations import read_declaration

Specs = Mapping[str, Mapping[str, Any]]


def declare(
        name: str, params: Specs | None = None, *, title: str | None = None,
        description: str | None = None, danger: str = 'normal', idempotent: bool = False,
        expires_in_s: float = DEFAULT_EXPIRY_S, concurrency: str = 'reject') -> Declaration:
    """
    Return a command's declaration; CommandDeclarationError says what cannot be declared.

    `params` are specs by name, such as ``{'zone': {'type': 'integer', 'minimum': 1}}``;
    `danger` is normal, dangerous or critical; an `idempotent` command may be sent again after a
    lost connection; a run expires `expires_in_s` (5 … 3600) after it was asked for;
    `concurrency` is accept or reject (a second run of the command while one is in progress).
    """
    if isinstance(expires_in_s, bool) or not isinstance(expires_in_s, int | float) or not (
            MIN_EXPIRY_S <= expires_in_s <= MAX_EXPIRY_S):
        raise CommandDeclarationError(
            f'command {name!r}: expires_in_s: saw {expires_in_s!r}, expected seconds from '
            f'{MIN_EXPIRY_S:.0f} to {MAX_EXPIRY_S:.0f}')
    body: dict[str, Any] = {
        'name': name, 'params': {key: _spec(spec) for key, spec in (params or {}).items()},
        'danger': danger, 'idempotent': idempotent, 'expires_in_s': float(expires_in_s),
        'concurrency': concurrency}
    for key, text in (('title', title), ('description', description)):
        if text is not None:
            body[key] = text
    try:
        return read_declaration(body)
    except RemoteProtocolError as error:
        raise CommandDeclarationError(f'command {error}') from None


def _spec(spec: object) -> object:
    # `required` is always written: what is neither required nor has a default is left out.
    if not isinstance(spec, Mapping):
        return spec
    return {**spec, 'required': spec.get('required', spec.get('default') is None)}


def take_params(declaration: Declaration, params: object) -> dict[str, Any]:
    """
    Return parameters as the command gets them: converted, with defaults (section 8.3).

    CommandError ``bad_params`` for what does not fit the declaration.
    """
    declaration.check(params)
    given: Mapping[str, Any] = params or {}  # type: ignore[assignment]
    taken = {}
    for name, parameter in declaration.parameters.items():
        value = given.get(name)
        if value is not None:
            taken[name] = _convert(parameter, value)
        elif parameter.spec.get('default') is not None:
            taken[name] = parameter.spec['default']
    return taken


def _convert(parameter: Parameter, value: Any) -> Any:
    if parameter.type == 'integer':
        # By way of float where it must be: 7.0 and "7.0"; not for 2**60, which has no float.
        return int(value) if isinstance(value, int) else _integer(value)
    if parameter.type == 'number':
        return float(value)
    if parameter.type == 'boolean':
        return value.strip().lower() == 'true' if isinstance(value, str) else bool(value)
    return value


def _integer(value: Any) -> int:
    try:
        return int(value)
    except ValueError:
        return int(float(value))
