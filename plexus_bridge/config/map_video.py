# Copyright 2026 Plexus bridge contributors
# SPDX-License-Identifier: Apache-2.0
"""The section `video` of a map as typed objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plexus_bridge.config.document import Document
from plexus_bridge.config.document import Place
from plexus_bridge.protocol.video import MAX_ID_BYTES
from plexus_bridge.video.rules import CameraRule
from plexus_bridge.video.rules import Crop
from plexus_bridge.video.rules import Depth
from plexus_bridge.video.rules import ThermalRule

# What has no meaning for temperatures, which travel whole.
_NOT_THERMAL = ('crop', 'rotate', 'grey', 'max_width', 'depth')
_WHOLE_NUMBERS = ('quality', 'max_width', 'rotate')


def read_video(document: Document, body: Sequence[dict[str, Any]]) -> tuple[CameraRule, ...]:
    """Return the cameras, noting in the document what does not fit together."""
    known: dict[str, int] = {}
    for index, camera in enumerate(body):
        camera_id = camera['camera_id']
        first = known.setdefault(camera_id, index)
        if first != index:
            document.problem(
                ('video', index, 'camera_id'), f'saw {camera_id!r} again, which is that of '
                f'video[{first}]; expected a name of its own for each camera')
        if len(camera_id.encode()) > MAX_ID_BYTES:
            document.problem(
                ('video', index, 'camera_id'), f'saw {len(camera_id.encode())} bytes, expected at '
                f'most {MAX_ID_BYTES}')
    return tuple(_camera(document, ('video', index), camera) for index, camera in enumerate(body))


def _camera(document: Document, place: Place, body: dict[str, Any]) -> CameraRule:
    given = dict(body)
    for name in _WHOLE_NUMBERS:  # JSON Schema takes 90.0 for a whole number, too
        if name in given:
            given[name] = int(given[name])
    if 'crop' in body:
        given['crop'] = Crop(**{name: int(value) for name, value in body['crop'].items()})
    if 'depth' in body:
        given['depth'] = depth = Depth(**body['depth'])
        if depth.near >= depth.far:
            document.problem(
                (*place, 'depth'), f'saw near {depth.near:g} and far {depth.far:g}, expected near '
                'to be less than far')
    if 'thermal' in body:
        given['thermal'] = ThermalRule(**body['thermal'])
        for name in _NOT_THERMAL:
            if name in body:
                document.problem(
                    (*place, name), 'has no meaning beside thermal, whose pictures are sent as '
                    'they come')
    return CameraRule(**given, place=place)
