# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""Where messages come from when a map is tried: a recording, or a look at the live graph."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
import difflib
import re
from types import MappingProxyType
from typing import Any
from typing import NamedTuple
from typing import Protocol

from plexus_bridge.bags import Bag
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import NO_MEMBER
from plexus_bridge.mapping.layout import PRIMITIVES
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.layout import String

# Rates of less than this mean nothing: one message comes in no time.
_SHORTEST_S = 0.1
_WSTRING_BOUND = re.compile(r'\bwstring<=\d+')


class SourceMessage(NamedTuple):
    """
    One message as CDR, with the time at which it was received, ns since 1970.

    `type` is its own where a topic may have several.
    """

    topic: str
    time_ns: int
    data: bytes
    type: str = ''


@dataclass(frozen=True)
class SourceTopic:
    """A topic, its types (one, if all is well) and how many messages there are."""

    name: str
    types: tuple[str, ...]
    count: int


class Source(Protocol):
    """Topics and messages to try a map on."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @property
    def topics(self) -> Mapping[str, SourceTopic]:
        """What there is, by name."""

    def layout(self, type_name: str) -> Message:
        """Return a type's layout; MappingError if nobody knows it."""

    def messages(self, topics: Collection[str]) -> Iterator[SourceMessage]:
        """Yield the messages of some topics in the order of their times."""


def per_second(amount: float, seconds: float) -> float | None:
    """Return a rate, None where the time is too short to tell one."""
    return amount / seconds if seconds >= _SHORTEST_S else None


def no_such_topic(source: Source, topic: str, full: str) -> str:
    """Return what to say of a rule's `topic` that nothing fits; `full` is its whole name."""
    said = f'no such topic in {source.name}'
    if full == topic:
        near = difflib.get_close_matches(full, source.topics, 1)
        return f'{said}; did you mean {near[0]}?' if near else said
    said = f'no topic {full} in {source.name}; a relative name follows --namespace'
    ending = f'/{topic.removeprefix("~/")}'
    near = [name.removesuffix(ending) for name in source.topics if name.endswith(ending)]
    return f'{said}, did you mean {near[0]}?' if near else said


class Definitions:
    """Message types by name, from the definitions in a recording and the standard ones."""

    def __init__(self, own: Mapping[str, Any], broken: Mapping[str, str] = MappingProxyType({})):
        from rosbags.typesys import get_typestore
        from rosbags.typesys import Stores

        # Field definitions as rosbags keeps them: (constants, [(name, (kind, content))]).
        self._fields = {**get_typestore(Stores.LATEST).fielddefs, **own}
        self._broken = broken
        self._layouts: dict[str, Message] = {}

    def layout(self, type_name: str) -> Message:
        """Return a type's layout; MappingError if nobody defines it."""
        if type_name not in self._layouts:
            if type_name not in self._fields and type_name in self._broken:
                raise MappingError(
                    f'type {type_name}: its definition in the recording cannot be read: '
                    f'{self._broken[type_name]}')
            if type_name not in self._fields:
                raise MappingError(
                    f'type {type_name}: the recording does not bring its definition, and it is '
                    'no standard type')
            fields = self._fields[type_name][1]
            if [name for name, _ in fields] == [NO_MEMBER]:
                fields = []  # as the message's class says it
            self._layouts[type_name] = Message(type_name, tuple(
                (name, self._layout_of(node)) for name, node in fields))
        return self._layouts[type_name]

    def _layout_of(self, node: tuple[Any, Any]) -> Layout:
        kind, content = node
        if kind.name == 'BASE':
            return _base(content[0])
        if kind.name == 'NAME':
            # rosbags takes wstring for the name of a message.
            return _base('wstring') if content.endswith('/wstring') else self.layout(content)
        element = self._layout_of(content[0])
        return Array(element, content[1]) if kind.name == 'ARRAY' else Sequence(element)


class BagSource:
    """A recording; layouts come from the definitions in it."""

    def __init__(self, bag: Bag):
        self._bag = bag
        self._definitions = Definitions(*_definitions_in(bag))
        names = sorted({topic.name for topic in bag.topics})
        self.topics = {
            name: SourceTopic(
                name, tuple(sorted({t.type for t in bag.topics if t.name == name})),
                sum(t.count for t in bag.topics if t.name == name))
            for name in names}

    @property
    def name(self) -> str:
        """The recording's path."""
        return str(self._bag.path)

    @property
    def seconds(self) -> float:
        """From the first to the last message."""
        return (self._bag.end_ns - self._bag.start_ns) / 1e9

    def layout(self, type_name: str) -> Message:
        """Return a type's layout; MappingError if the recording does not define it."""
        return self._definitions.layout(type_name)

    def messages(self, topics: Collection[str]) -> Iterator[SourceMessage]:
        """Yield messages; BagError if the recording turns out to be damaged."""
        if topics:
            for message in self._bag.messages(topics):
                yield SourceMessage(message.topic, message.time_ns, message.data, message.type)


def nothing_in(source: Source) -> str:
    """Return what to say of a source without topics."""
    if isinstance(source, BagSource):
        return f'{source.name}: holds no topic'
    return (f'heard no topic in {source.name} within {source.seconds:.0f} s; is the robot '
            'running, and with this ROS_DOMAIN_ID?')


def _base(name: str) -> Layout:
    if name in ('string', 'wstring'):
        return String(wide=name == 'wstring')
    name = {'octet': 'byte', 'boolean': 'bool'}.get(name, name)
    if name not in PRIMITIVES:
        raise MappingError(f'a field of type {name} cannot be read')
    return PRIMITIVES[name]


def _definitions_in(bag: Bag) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the definitions in a recording, and why others cannot be read, both by type."""
    from rosbags.typesys import get_types_from_idl
    from rosbags.typesys import get_types_from_msg

    types: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for topic in bag.topics:
        try:
            if topic.definition_format == 'msg':
                # rosbags knows no bounds of wstrings, which do not change the bytes.
                text = _WSTRING_BOUND.sub('wstring', topic.definition)
                types.update(get_types_from_msg(text, topic.type))
            elif topic.definition_format == 'idl':
                types.update(get_types_from_idl(topic.definition))
        except Exception as error:  # of one topic; nobody says which exceptions there are
            broken[topic.type] = str(error).partition('\n')[0].rstrip(':') or type(error).__name__
    return types, broken
