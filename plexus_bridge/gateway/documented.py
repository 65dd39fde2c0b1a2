# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What the OpenAPI description says of answers that are errors."""

from __future__ import annotations

from typing import Any

_MEANINGS = {
    200: 'done', 202: 'not decided yet', 204: 'done, nothing to tell', 400: 'a field is wrong',
    401: 'the key is missing or not accepted', 403: 'the key does not allow this',
    404: 'there is no such thing', 408: 'the body did not come in time',
    409: 'it is there already', 410: 'used or expired',
    413: 'the body is too large', 422: 'a parameter is wrong', 428: 'this needs a confirmation',
    429: 'asked too often; see Retry-After',
    501: 'the gateway lacks a library for this', 503: 'nothing can be stored at present',
}
_ALWAYS = (401, 403, 503)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that asks for a key and may answer with these."""
    return {status: {'description': _MEANINGS[status]} for status in (*statuses, *_ALWAYS)}
