# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""How a route asks for a key: one function for every request."""

from __future__ import annotations

import ipaddress

from fastapi.security import APIKeyHeader
from starlette.requests import HTTPConnection

from plexus_bridge.gateway.access.keys import Key
from plexus_bridge.gateway.gateway import gateway_of

KEY_HEADER = 'x-api-key'

# For the OpenAPI description; `authorise` reads the header itself.
API_KEY = APIKeyHeader(name=KEY_HEADER, auto_error=False)


async def authorise(
        connection: HTTPConnection, scope: str | None, source_id: str | None = None) -> Key:
    """
    Return the key of a request, which has the scope and may act for the source.

    AccessError 401 (missing, unknown, revoked or expired) or 403 (scope, another device); the
    application gives it the body that the route's part of the protocol has.
    """
    return await gateway_of(connection).admit(
        connection.headers.get(KEY_HEADER), scope, source_id)


def address_of(connection: HTTPConnection) -> str:
    """
    Return where a request comes from, to count tries by.

    Of IPv6 the network of one subscriber: within it anybody has as many addresses as he likes.
    """
    host = connection.client.host if connection.client else ''
    try:
        address = ipaddress.IPv6Address(host.partition('%')[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))
