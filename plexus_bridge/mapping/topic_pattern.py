# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Topic names with wildcards: ``/robots/*/odom``, ``/robots/{robot}/odom``, ``/**/imu``."""

from __future__ import annotations

from collections.abc import Mapping
import re

from plexus_bridge.errors import MappingError

# Each more multiplies the ways in which a long name can be taken apart.
MAX_WILDCARDS = 6

_PART = re.compile(r'\*\*|\*|\{[a-z][a-z0-9_]*\}')
_TOKEN = r'[A-Za-z0-9_]+'


def full_name(topic: str, namespace: str = '/', node: str = 'plexus_bridge') -> str:
    """Return a topic or pattern as a node of this namespace and name resolves it."""
    if topic.startswith('/'):
        return topic
    parts = [namespace.strip('/'), *([node] if topic.startswith('~/') else []),
             topic.removeprefix('~/')]
    return '/' + '/'.join(filter(None, parts))


class TopicPattern:
    """
    A topic name in which ``*`` stands for a part between slashes (or a piece of one), ``**`` for
    any number of parts, and ``{name}`` for a part that has a name.

    What stands in their places is captured: by number from ``1`` on, or by name.
    """

    def __init__(self, text: str):
        if '***' in text or len(_PART.findall(text)) > MAX_WILDCARDS:
            raise MappingError(
                f'topic {text!r}: expected * or **, and at most {MAX_WILDCARDS} wildcards')
        self.text = text
        self._names: list[str] = []
        regex = ''
        end = 0
        for match in _PART.finditer(text):
            regex += re.escape(text[end:match.start()]) + self._piece(match[0])
            end = match.end()
        regex += re.escape(text[end:])
        self.is_wildcard = bool(self._names)
        self._regex = re.compile(regex)

    def _piece(self, wildcard: str) -> str:
        if wildcard[1:-1] in self._names:
            raise MappingError(f'topic {self.text!r}: has {wildcard} twice')
        numbered = sum(name.isdigit() for name in self._names) + 1
        self._names.append(wildcard[1:-1] if wildcard.startswith('{') else str(numbered))
        return f'({_TOKEN}(?:/{_TOKEN})*)' if wildcard == '**' else f'({_TOKEN})'

    @property
    def names(self) -> tuple[str, ...]:
        """The names of what is captured, in order."""
        return tuple(self._names)

    def match(self, topic: str) -> Mapping[str, str] | None:
        """Return what stands in the wildcards' places, None if the topic does not match."""
        match = self._regex.fullmatch(topic)
        return dict(zip(self._names, match.groups(), strict=True)) if match else None
