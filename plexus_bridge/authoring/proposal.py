# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""A map to begin with, made from the topics that are there, with comments that explain it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
import json
import re

from plexus_bridge.authoring.source import per_second
from plexus_bridge.authoring.source import Source
from plexus_bridge.authoring.source import SourceTopic
from plexus_bridge.errors import MappingError
from plexus_bridge.mapping.builtin_maps import BUILTIN_MAPS
from plexus_bridge.mapping.events.rules import ACTION_STATUS
from plexus_bridge.mapping.events.rules import TRANSITIONS
from plexus_bridge.mapping.events.states import GOAL_STATUSES
from plexus_bridge.mapping.events.states import TRANSITION_EVENT
from plexus_bridge.mapping.inventory import sensor
from plexus_bridge.mapping.layout import Array
from plexus_bridge.mapping.layout import Layout
from plexus_bridge.mapping.layout import Message
from plexus_bridge.mapping.layout import Primitive
from plexus_bridge.mapping.layout import Sequence
from plexus_bridge.mapping.rules import MetricRule
from plexus_bridge.mapping.self_describing import SELF_DESCRIBING
from plexus_bridge.mapping.stamps import HEADER

IMAGE_TYPES = frozenset(('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'))
# What is proposed beside the topic for a type that makes events by itself, and why.
EVENT_TYPES = {
    'rcl_interfaces/msg/Log': ('    min_level: WARN', 'lines of the log, repeated ones folded'),
    'diagnostic_msgs/msg/DiagnosticArray': ('', 'an event for each change of a level'),
    TRANSITION_EVENT: ('', 'an event for each transition'),
    GOAL_STATUSES: ('', 'an event for each goal that fails'),
    'plexus_msgs/msg/Event': ('', 'events that name themselves')}
# Types whose topics have a fixed end, which a rule for an action or a lifecycle node adds itself.
_BY_ENDING = frozenset((GOAL_STATUSES, TRANSITION_EVENT))
# The same statuses a second time.
REPEATED = frozenset(('/diagnostics_agg', '/diagnostics_toplevel_state'))
# Of no use as metrics to anybody: the graph's own business.
LEFT_OUT = frozenset((
    '/parameter_events', '/clock', '/tf', '/tf_static', '/robot_description'))
# Topics up to this rate are taken whole, faster ones are thinned to it.
WHOLE_RATE_HZ = 10.0
# What a bridge says of itself; beside it stand its own interfaces.
BRIDGE_STATUS = 'plexus_msgs/msg/BridgeStatus'
# What needs no quotes in YAML, but for the words that mean something there.
_WORD = re.compile('/?[A-Za-z_][A-Za-z0-9_./-]*')
_OTHER_WORDS = frozenset(('y', 'n', 'yes', 'no', 'on', 'off', 'true', 'false', 'null'))
# What a map to begin with asks of each camera; the link may carry less.
VIDEO_RATE_HZ = 10
VIDEO_WIDTH = 1280
# Fields named for a type without a built-in map; the rest is a matter of taste.
MAX_FIELDS = 12


def propose(source: Source, source_id: str, gateway_url: str) -> Iterator[str]:
    """Yield the lines of a map for a source's topics."""
    yield f'# A map to begin with, made from {source.name} ({source.seconds:.0f} s).'
    yield '# Delete what you do not need and rename what you keep. plexus-bridge check tells of'
    yield '# every mistake, and with --bag or --live what would come out.'
    yield ''
    yield 'version: 1'
    yield f'source_id: {_scalar(source_id)}'
    yield f'gateway: {{url: {json.dumps(gateway_url)}}}'
    yield ''
    topics = _of_the_robot(source)
    chosen = [topic for topic in topics if _is_metric(topic)]
    rules = [line for topic in chosen for line in _rule(topic, source)]
    if any(not line.startswith('  #') for line in rules):
        yield 'metrics:'
        yield from rules
    else:
        yield '# metrics:  # no topic here has a type that makes metrics by itself'
        yield from rules
    yield from _others(topics)
    yield from _video(source)


def _of_the_robot(source: Source) -> list[SourceTopic]:
    """Return the topics but a bridge's own, and hidden ones that make no events."""
    bridges = tuple(
        f'{topic.name.rpartition("/")[0]}/' for topic in source.topics.values()
        if BRIDGE_STATUS in topic.types)
    return [topic for topic in source.topics.values()
            if not topic.name.startswith(bridges)
            and ('/_' not in topic.name or _is_event(topic))]


def _is_metric(topic: SourceTopic) -> bool:
    return (topic.name not in LEFT_OUT and not _is_event(topic)
            and not IMAGE_TYPES.intersection(topic.types))


def _is_event(topic: SourceTopic) -> bool:
    return len(topic.types) == 1 and topic.types[0] in EVENT_TYPES


def _rule(topic: SourceTopic, source: Source) -> Iterator[str]:
    rate = per_second(topic.count, source.seconds)
    types = ', '.join(topic.types)
    yield f'  # {types}, {_rate_text(topic, rate)}'
    if len(topic.types) > 1:
        yield f'  # - topic: {topic.name}  # name the type that you want with "type:"'
        return
    kind = topic.types[0]
    try:
        layout = source.layout(kind)
    except MappingError as error:
        yield f'  # - topic: {topic.name}  # {error}'
        return
    if kind in BUILTIN_MAPS or kind == SELF_DESCRIBING:
        yield f'  # {_builtin(topic.name, layout)}'
        yield f'  - topic: {topic.name}'
        yield f'    sampling: {_sampling(rate)}'
        return
    fields = list(_number_paths(layout))
    if not fields:
        yield f'  # - topic: {topic.name}  # this type has no single numbers'
        return
    prefix = topic.name.strip('/').replace('/', '.')
    yield f'  - topic: {topic.name}'
    yield f'    sampling: {_sampling(rate)}'
    yield '    fields:'
    for path in fields[:MAX_FIELDS]:
        yield f'      - {_field(path, prefix)}'
    for path in fields[MAX_FIELDS:]:
        yield f'      # - {_field(path, prefix)}'


def _builtin(topic: str, message: Message) -> str:
    if message.name == SELF_DESCRIBING:
        return 'its metrics are named by the messages themselves'
    names = sensor(MetricRule(topic), topic, message, {}, available=True)['metrics']
    if not names:
        return 'built-in map: its text as an event when it changes; "fields:" would replace it'
    more = f' and {len(names) - 3} more' if len(names) > 3 else ''
    return f'built-in map: {", ".join(names[:3])}{more}; "fields:" would replace it'


def _field(path: str, prefix: str) -> str:
    metric = f'{prefix}.{path.partition("[")[0]}'
    return f'{{path: {_scalar(path)}, metric: {_scalar(metric)}}}'


def _scalar(text: str) -> str:
    """Return a text as YAML: in quotes unless it is a word that nothing else can be."""
    if _WORD.fullmatch(text) and text.lower() not in _OTHER_WORDS:
        return text
    return json.dumps(text)


def _rate_text(topic: SourceTopic, rate: float | None) -> str:
    return f'{topic.count} messages' if rate is None else f'{rate:.3g} Hz'


def _sampling(rate: float | None) -> str:
    if rate is not None and rate <= WHOLE_RATE_HZ:
        return '{mode: every}'
    return f'{{mode: latest, rate_hz: {WHOLE_RATE_HZ:g}}}'


def _number_paths(message: Message, prefix: str = '') -> Iterator[str]:
    for name, layout in message.fields:
        yield from _paths_of(layout, f'{prefix}{name}')


def _paths_of(layout: Layout, path: str) -> Iterator[str]:
    if isinstance(layout, Primitive):
        yield path
    elif isinstance(layout, Message) and layout.name != HEADER:
        yield from _number_paths(layout, f'{path}.')
    elif isinstance(layout, Array | Sequence) and isinstance(layout.element, Primitive) \
            and 'covariance' not in path:
        yield f'{path}[0]'


def _others(topics: Iterable[SourceTopic]) -> Iterator[str]:
    events = [topic for topic in topics if _is_event(topic)]
    if events:
        yield ''
        yield 'events:' if any(topic.name not in REPEATED for topic in events) else '# events:'
        for topic in events:
            more, why = EVENT_TYPES[topic.types[0]]
            yield f'  # {topic.types[0]}: {why}'
            if topic.name in REPEATED:
                yield f'  # - topic: {topic.name}  # repeats what /diagnostics says'
                continue
            yield f'  - {_event_source(topic)}'
            if more:
                yield more


def _event_source(topic: SourceTopic) -> str:
    for source, ending in (('action', ACTION_STATUS), ('lifecycle', TRANSITIONS)):
        if topic.types[0] in _BY_ENDING and topic.name.endswith(ending):
            return f'{source}: {topic.name.removesuffix(ending)}'
    return f'topic: {topic.name}'


def _video(source: Source) -> Iterator[str]:
    images = [topic for topic in source.topics.values() if IMAGE_TYPES.intersection(topic.types)]
    if not images:
        return
    names = {topic.name for topic in images}
    taken: set[str] = set()
    yield ''
    yield 'video:'
    for topic in images:
        rate = per_second(topic.count, source.seconds)
        yield f'  # {", ".join(topic.types)}, {_rate_text(topic, rate)}'
        better = f'{topic.name}/compressed'
        if better in names or topic.name.endswith('/compressedDepth'):
            why = f'the same pictures as {better}, which cost less to take' \
                if better in names else 'the same distances as its raw topic'
            yield f'  # - topic: {topic.name}  # {why}'
            continue
        camera_id = _free(_camera(topic.name), taken)
        most = VIDEO_RATE_HZ if rate is None else min(max(round(rate), 1), VIDEO_RATE_HZ)
        yield (f'  - {{topic: {topic.name}, camera_id: {_scalar(camera_id)}, rate_hz: {most}, '
               f'quality: 85, max_width: {VIDEO_WIDTH}}}')


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no other camera has, and take it."""
    found, number = name, 2
    while found in taken:
        found, number = f'{name}-{number}', number + 1
    taken.add(found)
    return found


def _camera(topic: str) -> str:
    parts = [part for part in topic.strip('/').split('/')
             if not part.startswith(('image', 'compressed'))]
    return parts[-1] if parts else 'camera'
