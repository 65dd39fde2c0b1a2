# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a request says of a key that shall be made."""

from __future__ import annotations

from plexus_bridge.errors import RequestError
from plexus_bridge.gateway.access.keys import DEFAULT_SCOPES
from plexus_bridge.gateway.access.keys import KeyRequest
from plexus_bridge.gateway.access.keys import SCOPES
from plexus_bridge.gateway.fields import Fields
from plexus_bridge.gateway.fields import shown

MAX_NAME = 200
MAX_VALID_S = 100 * 366 * 86_400


def read_key_request(
        fields: Fields, now_ms: int, name: str = '', *, receive_commands: bool = False
        ) -> KeyRequest:
    """
    Read `name`, `scopes`, `receive_commands`, `source_id` and `expires_in_s`, all optional.

    The argument `receive_commands` is what counts where the request does not say it.

    RequestError 400 for what is wrong.
    """
    scopes = fields.array('scopes', len(SCOPES))
    for scope in scopes:
        if scope not in SCOPES:
            raise RequestError(
                400, f'scopes: saw {shown(scope)}, expected some of {", ".join(SCOPES)}')
    valid_s = fields.seconds('expires_in_s', MAX_VALID_S)
    return KeyRequest(
        fields.label('name', MAX_NAME, default=name), frozenset(scopes) or DEFAULT_SCOPES,
        fields.flag('receive_commands', default=receive_commands),
        fields.source_id(refuse_uuid=True),
        None if valid_s is None else now_ms + 1000 * valid_s)
