# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells whoever listens what becomes of commands, and what agents answer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
import contextlib
from typing import Any

Listener = Callable[[Mapping[str, Any]], None]


class Updates:
    """Listeners by source; used on the event loop alone."""

    def __init__(self) -> None:
        self._listeners: dict[str, dict[object, Listener]] = {}

    def tell(self, source_id: str, update: Mapping[str, Any]) -> None:
        """Hand an update, a JSON object with a `type`, to all who listen to the source."""
        for listener in list(self._listeners.get(source_id, {}).values()):
            listener(update)

    @contextlib.contextmanager
    def heard_by(self, source_id: str, listener: Listener) -> Iterator[None]:
        """Have `listener` called with every update of a source."""
        token = object()
        self._listeners.setdefault(source_id, {})[token] = listener
        try:
            yield
        finally:
            listeners = self._listeners[source_id]
            del listeners[token]
            if not listeners:
                del self._listeners[source_id]
