# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""What a map's cameras would send of messages that are there: the bridge's own encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from plexus_bridge.authoring.source import no_such_topic
from plexus_bridge.authoring.source import per_second
from plexus_bridge.authoring.source import Source
from plexus_bridge.counters import Counters
from plexus_bridge.delivery.video import VideoFrames
from plexus_bridge.errors import MappingError
from plexus_bridge.errors import PictureError
from plexus_bridge.mapping.topic_pattern import full_name
from plexus_bridge.protocol.video import MAX_JPEG_BYTES
from plexus_bridge.video.camera import Camera
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import COMPRESSED_IMAGE
from plexus_bridge.video.rules import IMAGE


@dataclass
class CameraReport:
    """One camera: pictures that would be sent, and their bytes; `problem` says why none."""

    rule: CameraRule
    type: str = ''
    # Messages that were looked at, and all that came: a look at a graph keeps some only.
    messages: int = 0
    of_messages: int = 0
    pictures: int = 0
    bytes: int = 0
    unusable: int = 0
    trouble: str = ''
    problem: str = ''


class _WideLink(VideoFrames):
    """Carries whatever a gateway takes: what the link makes of it nobody knows yet."""

    @property
    def frame_bytes(self) -> int:
        """As large as a gateway takes."""
        return MAX_JPEG_BYTES


@dataclass
class _Filming:
    report: CameraReport
    camera: Camera
    frames: VideoFrames
    due_s: float = 0.0


def film(rules: tuple[CameraRule, ...], source: Source, counters: Counters, *,
         namespace: str = '/') -> list[CameraReport]:
    """Encode the pictures of a source as the bridge would; one report for each camera."""
    reports = [CameraReport(rule) for rule in rules]
    running: dict[str, list[_Filming]] = {}
    for report in reports:
        topic = full_name(report.rule.topic, namespace)
        filming = _begin(report, topic, source, counters)
        if filming is not None:
            running.setdefault(topic, []).append(filming)
    for message in source.messages(list(running)):
        for filming in running[message.topic]:
            if message.type not in ('', filming.report.type):
                continue
            _take(filming, message.data, message.time_ns)
    for report in reports:
        if not report.messages and not report.problem:
            report.problem = 'there is no message on this topic'
    return reports


def _begin(report: CameraReport, topic: str, source: Source, counters: Counters
           ) -> _Filming | None:
    if topic not in source.topics:
        report.problem = no_such_topic(source, report.rule.topic, topic)
        return None
    types = [kind for kind in source.topics[topic].types if kind in (IMAGE, COMPRESSED_IMAGE)]
    wanted = report.rule.type or next(iter(types), '')
    if not wanted or wanted not in types:
        report.problem = (f'saw {", ".join(source.topics[topic].types)}, expected '
                          f'{report.rule.type or f"{IMAGE} or {COMPRESSED_IMAGE}"}')
        return None
    report.type = wanted
    report.of_messages = source.topics[topic].count
    frames = _WideLink()
    frames.opened()
    try:
        camera = Camera(report.rule, 'dry-run', frames, counters)
        camera.expect(source.layout(wanted))
    except (MappingError, PictureError) as error:
        report.problem = str(error)
        return None
    return _Filming(report, camera, frames)


def _take(filming: _Filming, data: bytes, time_ns: int) -> None:
    report, seconds = filming.report, time_ns / 1e9
    report.messages += 1
    if seconds < filming.due_s:
        return
    filming.due_s = max(filming.due_s + 1 / report.rule.rate_hz, seconds)
    if not filming.camera.encode(data, time_ns // 1_000_000, seconds):
        report.unusable += 1
        report.trouble = report.trouble or filming.camera.trouble
        return
    for frame in filming.frames.take_all():
        report.pictures += 1
        report.bytes += len(frame.message.payload)


def film_text(reports: list[CameraReport], seconds: float) -> Iterator[str]:
    """Yield the lines of a report about cameras."""
    for report in reports:
        name = f'camera {report.rule.camera_id} ({report.rule.topic})'
        if report.problem:
            yield f'{name} gives nothing: {report.problem}'
            continue
        if report.pictures:
            seen = seconds * min(1, report.messages / max(report.of_messages, 1))
            rate, size = per_second(report.pictures, seen), per_second(report.bytes, seen)
            each = f'of {report.bytes / report.pictures / 1000:.0f} kB'
            yield f'{name}: {report.pictures} of {report.messages} messages, ' + (
                each if rate is None or size is None else
                f'{rate:.1f} pictures/s {each}, {size / 1000:.0f} kB/s where the link carries it')
        if report.unusable:
            yield f'{name}: {report.unusable} pictures cannot be used: {report.trouble}'
